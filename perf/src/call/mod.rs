//! Just enough bolt and Dubbo to send calls cheaply and to notice every wrong answer.

mod bolt;
mod dubbo;
mod exchange;
mod frames;
mod outbox;

pub(crate) use self::exchange::{AnswerFault, Exchange};
pub(crate) use self::frames::{FrameBuffer, NoFrame};
pub(crate) use self::outbox::Outbox;

use clap::ValueEnum;

/// What is spoken: frames with a head of fixed length, which holds an id and the length of the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// Version 1 of SOFABolt.
    Bolt,
    Dubbo,
}

/// The place of one call's id in a frame.
type IdPlace = std::ops::Range<usize>;

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bolt => "bolt",
            Self::Dubbo => "dubbo",
        }
    }

    /// The protocol whose frames begin with this byte.
    pub(crate) fn of_first_byte(byte: u8) -> Option<Self> {
        match byte {
            bolt::FIRST_BYTE => Some(Self::Bolt),
            dubbo::FIRST_BYTE => Some(Self::Dubbo),
            _ => None,
        }
    }

    /// The length of the frame that `bytes` begin with; `None` while too little of it is there.
    fn frame_bytes(self, bytes: &[u8]) -> Result<Option<usize>, NoFrame> {
        match self {
            Self::Bolt => bolt::frame_bytes(bytes),
            Self::Dubbo => dubbo::frame_bytes(bytes),
        }
    }

    fn id_place(self) -> IdPlace {
        match self {
            Self::Bolt => bolt::ID_PLACE,
            Self::Dubbo => dubbo::ID_PLACE,
        }
    }

    /// The id of a frame.
    pub(crate) fn id_of(self, frame: &[u8]) -> u64 {
        frame[self.id_place()].iter().fold(0, |id, &byte| id << 8 | u64::from(byte))
    }

    /// Whether an answer says that its call succeeded.
    pub(crate) fn is_success(self, answer: &[u8]) -> bool {
        match self {
            Self::Bolt => bolt::is_success(answer),
            Self::Dubbo => dubbo::is_success(answer),
        }
    }

    /// Appends the answer that gives back what `request` brought.
    pub(crate) fn echo(self, request: &[u8], out: &mut Vec<u8>) -> Result<(), NoFrame> {
        match self {
            Self::Bolt => bolt::echo(request, out),
            Self::Dubbo => dubbo::echo(request, out),
        }
    }
}
