//! What follows the head of a frame being received: its payload, lent piece by piece, and its checksum.

use super::Frame;
use super::checksum::{CHECKSUM_BYTES, Checksum};
use super::gather::BAD_CHECKSUM;
use crate::codec::{ProtocolError, StreamId};

/// How far the frame being received is.
#[derive(Debug)]
pub(super) struct Incoming {
    state: State,
    payload_left: u64,
    trailer_left: u8,
    checksum: Option<Checksum>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Between frames, or within a head.
    Head,
    /// Behind the head of a frame that is told.
    Told(StreamId),
    /// Behind the head of a frame of which nothing (more) is told.
    Skipped,
    /// Nothing is read any more.
    Done,
}

/// A piece of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'i> {
    Data(StreamId, &'i [u8]),
    End(StreamId),
}

impl Incoming {
    pub(super) fn new() -> Self {
        Incoming { state: State::Head, payload_left: 0, trailer_left: 0, checksum: None }
    }

    pub(super) fn expects_head(&self) -> bool {
        self.state == State::Head
    }

    /// Nothing is read any more.
    pub(super) fn close(&mut self) {
        self.state = State::Done;
        self.checksum = None;
    }

    /// Whether the end of the input would cut a frame.
    pub(super) fn is_within_frame(&self) -> bool {
        let is_behind_head = matches!(self.state, State::Told(_) | State::Skipped);
        is_behind_head && (self.payload_left > 0 || self.trailer_left > 0)
    }

    /// A head was taken that is told: the rest of its frame follows, of which `is_checked` was already looked at.
    #[inline]
    pub(super) fn tell(&mut self, stream: StreamId, frame: &Frame, taken: &[u8], is_checked: bool) {
        self.begin(State::Told(stream), frame, taken.len());
        self.checksum = (frame.trailer_bytes > 0 && !is_checked).then(|| Checksum::of(taken));
    }

    /// A head was taken of which nothing is told, with `taken` bytes.
    pub(super) fn skip(&mut self, frame: &Frame, taken: usize) {
        self.begin(State::Skipped, frame, taken);
        self.checksum = None;
    }

    fn begin(&mut self, state: State, frame: &Frame, taken: usize) {
        self.payload_left = payload_behind(frame, taken);
        self.trailer_left = frame.trailer_bytes;
        self.state = state;
    }

    /// Nothing more is told of this exchange.
    pub(super) fn forget(&mut self, stream: StreamId) {
        if self.state == State::Told(stream) {
            self.state = State::Skipped;
            self.checksum = None;
        }
    }

    /// If nothing but the end of a told frame is due, that is not told: whose it is.
    pub(super) fn skip_end(&mut self) -> Option<StreamId> {
        match self.state {
            State::Told(stream) if self.payload_left == 0 && self.trailer_left == 0 => {
                self.state = State::Head;
                Some(stream)
            }
            _ => None,
        }
    }

    /// The next piece of the frame under way; `None` if there is none, or if more bytes are needed for it.
    pub(super) fn next_part<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Part<'i>>, ProtocolError> {
        let stream = match self.state {
            State::Head | State::Done => return Ok(None),
            State::Told(stream) => Some(stream),
            State::Skipped => None,
        };
        if self.payload_left > 0 {
            let payload = take(input, self.payload_left);
            self.payload_left -= payload.len() as u64;
            if let Some(stream) = stream.filter(|_| !payload.is_empty()) {
                if let Some(checksum) = &mut self.checksum {
                    checksum.update(payload);
                }
                return Ok(Some(Part::Data(stream, payload)));
            }
        }
        if self.payload_left == 0 && self.trailer_left > 0 {
            let trailer = take(input, u64::from(self.trailer_left));
            self.trailer_left -= trailer.len() as u8;
            if let Some(checksum) = &mut self.checksum {
                checksum.receive(trailer);
            }
        }
        if self.payload_left > 0 || self.trailer_left > 0 {
            return Ok(None);
        }
        self.state = State::Head;
        if self.checksum.take().is_some_and(|checksum| !checksum.matches()) {
            return Err(BAD_CHECKSUM);
        }
        Ok(stream.map(Part::End))
    }
}

/// Payload bytes behind the `taken` first bytes of a frame.
pub(super) fn payload_behind(frame: &Frame, taken: usize) -> u64 {
    (u64::from(frame.head_bytes) + frame.payload_bytes).saturating_sub(taken as u64)
}

/// Whether a frame that begins with `taken` and goes on with `input` has the checksum that it should have; `None` if it has none,
/// or is not there whole.
#[inline]
pub(super) fn check_whole(frame: &Frame, taken: &[u8], input: &[u8]) -> Option<bool> {
    if usize::from(frame.trailer_bytes) != CHECKSUM_BYTES {
        return None;
    }
    check(frame, taken, input)
}

fn check(frame: &Frame, taken: &[u8], input: &[u8]) -> Option<bool> {
    let payload_bytes = usize::try_from(payload_behind(frame, taken.len())).ok()?;
    let (payload, rest) = input.split_at_checked(payload_bytes)?;
    let mut checksum = Checksum::of(taken);
    checksum.update(payload);
    checksum.receive(rest.first_chunk::<CHECKSUM_BYTES>()?);
    Some(checksum.matches())
}

fn take<'i>(input: &mut &'i [u8], at_most: u64) -> &'i [u8] {
    let count = usize::try_from(at_most).unwrap_or(usize::MAX).min(input.len());
    let (taken, rest) = input.split_at(count);
    *input = rest;
    taken
}
