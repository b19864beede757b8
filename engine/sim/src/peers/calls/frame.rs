//! A frame as models of calls have it, and what a protocol has to say of reading and writing one. Nothing here is the codecs':
//! layouts are read off wire-formats.md and the peers that wrote its golden frames.

use std::fmt;

/// What a frame is to its reader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FrameKind {
    Call,
    OneWay,
    Answer,
    Ping,
    Pong,
    /// Its sender takes no more calls.
    GoAway,
}

/// One frame.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: FrameKind,
    /// Which of the protocol's versions or encodings it is in; below [`Wire::dialects`].
    pub(super) dialect: u8,
    pub(super) id: u64,
    /// Of calls.
    pub(super) service: String,
    pub(super) method: String,
    /// Of calls: how long the caller waits, and 0 if it does not say.
    pub(super) timeout_ms: u32,
    /// A field of so many bytes that makes a call's head long.
    pub(super) pad: usize,
    /// Of answers, in the protocol's own numbers.
    pub(super) status: i32,
    pub(super) payload: Vec<u8>,
}

impl fmt::Debug for Frame {
    /// Without the payload, which is held against the one that was sent by itself.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Frame { kind, dialect, id, service, method, timeout_ms, pad, status, payload } = self;
        let length = payload.len();
        write!(
            formatter,
            "{kind:?} {id:#x} in {dialect} of {service}.{method}, {timeout_ms} ms, a pad of {pad}, status {status}, {length} bytes"
        )
    }
}

impl Frame {
    /// One that says nothing yet.
    pub(super) fn new(kind: FrameKind, dialect: u8, id: u64) -> Self {
        let (service, method) = (String::new(), String::new());
        Frame { kind, dialect, id, service, method, timeout_ms: 0, pad: 0, status: 0, payload: vec![] }
    }
}

/// What a protocol has and has not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Traits {
    pub(super) name: &'static str,
    pub(super) dialects: u8,
    /// Ids tell the answers of one connection apart.
    pub(super) has_ids: bool,
    /// The widest id that a client may choose.
    pub(super) id_bits: u32,
    pub(super) has_pings: bool,
    pub(super) has_go_away: bool,
    /// Statuses of HTTP's vocabulary that its own can tell apart.
    pub(super) statuses: &'static [u16],
}

/// A protocol's frames.
pub(super) trait Wire: Sync {
    fn traits(&self) -> Traits;

    /// The frame at the front, if it is there whole, and its length. Panics on what nobody may write.
    fn read(&self, bytes: &[u8]) -> Option<(Frame, usize)>;

    fn write(&self, frame: &Frame, out: &mut Vec<u8>);

    /// The status in which a status of HTTP's vocabulary is told.
    fn status_of(&self, http: u16) -> i32;

    /// The beginning of something that is no frame, of as many kinds as there are.
    fn garbage(&self, number: u8) -> Vec<u8>;
}

/// Takes numbers and strings off bytes, whose length the caller knows to do.
pub(super) struct Bytes<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Bytes<'a> {
    pub(super) fn of(bytes: &'a [u8], at: usize) -> Self {
        Bytes { bytes, at }
    }

    #[track_caller]
    pub(super) fn take(&mut self, length: usize) -> &'a [u8] {
        let taken = self.bytes.get(self.at..self.at + length);
        let taken = taken.unwrap_or_else(|| panic!("a frame of the proxy ends within itself"));
        self.at += length;
        taken
    }

    #[track_caller]
    pub(super) fn number(&mut self, bytes: usize) -> u64 {
        self.take(bytes).iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    #[track_caller]
    pub(super) fn text(&mut self, length: usize) -> String {
        String::from_utf8_lossy(self.take(length)).into_owned()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }
}

/// Writes a number in so many bytes.
pub(super) fn put(number: u64, bytes: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_be_bytes()[8 - bytes..]);
}

/// A number in so many bytes, if they are there.
pub(super) fn peek(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let there = bytes.get(at..at + length)?;
    Some(there.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}
