//! All layouts as their peers write them: a call, its answer, where lengths stand. None of the project's own code is in it.

mod table;

pub(super) use table::DIALECTS;

use crate::support::Wire;
use std::io;

/// A length within a frame, which stands there once or more often.
pub(super) struct Length {
    pub(super) what: &'static str,
    pub(super) places: &'static [usize],
    pub(super) width: Width,
    /// The largest that the protocol allows.
    pub(super) max: u32,
}

#[derive(Clone, Copy)]
pub(super) enum Width {
    One,
    Two,
    Four,
    /// Seven bits a byte, in as many bytes as a number can have.
    Varint,
}

/// One way of writing calls.
pub(super) struct Dialect {
    pub(super) name: &'static str,
    pub(super) protocol: &'static str,
    call: fn() -> Vec<u8>,
    answer: fn() -> Vec<u8>,
    /// Where the id stands in a call, in an answer, and how wide it is. An upstream is asked with other ids.
    id_at: (usize, usize),
    id_bytes: usize,
    /// A call's id, as it reaches an upstream.
    pub(super) id: fn(&[u8]) -> u32,
    /// How long a frame is that begins like this, as soon as that is known.
    length: fn(&[u8]) -> Option<usize>,
    pub(super) call_lengths: &'static [Length],
    pub(super) answer_lengths: &'static [Length],
    /// Whether many calls share a connection, told apart by their ids.
    pub(super) has_ids: bool,
    /// A heartbeat.
    pub(super) ping: Option<fn() -> Vec<u8>>,
    /// Its answer.
    pub(super) pong: Option<fn() -> Vec<u8>>,
    /// Writes what is made anew when something in the frame has changed.
    seal: fn(&mut Vec<u8>),
}

impl Dialect {
    /// A call of a client's; its numbers are small.
    pub(super) fn call(&self, id: u32) -> Vec<u8> {
        self.with_id((self.call)(), self.id_at.0, self.wide(id))
    }

    /// The answer that the client gets.
    pub(super) fn answer(&self, id: u32) -> Vec<u8> {
        self.answer_under(self.wide(id))
    }

    /// The answer to a call, as an upstream sees that.
    pub(super) fn answer_to(&self, call: &[u8]) -> Vec<u8> {
        self.answer_under((self.id)(call))
    }

    /// An answer under any id.
    pub(super) fn answer_under(&self, id: u32) -> Vec<u8> {
        self.with_id((self.answer)(), self.id_at.1, id)
    }

    /// An id that needs all of its bytes, where there is more than one: Tars writes it as short as it can.
    fn wide(&self, id: u32) -> u32 {
        if self.id_bytes == 1 { id } else { 0x4000_0000 | id }
    }

    fn with_id(&self, mut frame: Vec<u8>, at: usize, id: u32) -> Vec<u8> {
        let wide = u64::from(id).to_be_bytes();
        frame[at..at + self.id_bytes].copy_from_slice(&wide[8 - self.id_bytes..]);
        (self.seal)(&mut frame);
        frame
    }

    /// With all anew that follows from the rest of it.
    pub(super) fn sealed(&self, mut frame: Vec<u8>) -> Vec<u8> {
        (self.seal)(&mut frame);
        frame
    }

    /// A frame in which this length is another one.
    pub(super) fn with_length(&self, mut frame: Vec<u8>, length: &Length, value: u32) -> Vec<u8> {
        for &at in length.places {
            let bytes = value.to_be_bytes();
            match length.width {
                Width::One => frame[at] = value as u8,
                Width::Two => frame[at..at + 2].copy_from_slice(&bytes[2..]),
                Width::Four => frame[at..at + 4].copy_from_slice(&bytes),
                Width::Varint => frame[at..at + 5].copy_from_slice(&table::padded_varint(value)),
            }
        }
        (self.seal)(&mut frame);
        frame
    }

    /// Reads the next frame.
    pub(super) fn read(&self, wire: &mut Wire) -> io::Result<Vec<u8>> {
        let mut frame = vec![];
        loop {
            match (self.length)(&frame) {
                Some(length) if length <= frame.len() => return Ok(frame),
                Some(length) if length > 1 << 20 => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame that no test sends"));
                }
                Some(length) => frame.extend(super::bolt::take(wire, length - frame.len())?),
                None => frame.extend(super::bolt::take(wire, 1)?),
            }
        }
    }

    /// The frames that `bytes` consist of, all of them whole.
    #[track_caller]
    pub(super) fn frames(&self, mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut frames = vec![];
        while !bytes.is_empty() {
            let length = (self.length)(bytes).filter(|length| (1..=bytes.len()).contains(length));
            let length = length.unwrap_or_else(|| panic!("{}: no whole frame: {bytes:x?}", self.name));
            frames.push(bytes[..length].to_vec());
            bytes = &bytes[length..];
        }
        frames
    }

    /// Whether this is less than a frame.
    pub(super) fn is_cut(&self, bytes: &[u8]) -> bool {
        (self.length)(bytes).is_none_or(|length| length > bytes.len())
    }

    /// Answers every call.
    pub(super) fn serve(&self, wire: &mut Wire) -> io::Result<()> {
        loop {
            let call = self.read(wire)?;
            wire.send(&self.answer_to(&call))?;
        }
    }
}

/// A call on this connection gets its answer.
#[track_caller]
pub(super) fn assert_answered(dialect: &Dialect, wire: &mut Wire, case: &str) {
    wire.send(&dialect.call(6)).unwrap_or_else(|error| panic!("{case}: {error}"));
    let answer = dialect.read(wire).unwrap_or_else(|error| panic!("{case}: {error}"));
    assert_eq!(answer, dialect.answer(6), "{case}");
}
