//! One connection as the engine remembers it. No operation starts here.

use super::SimChunk;
use sidering_dataplane::io::{IoError, Segment};
use std::collections::VecDeque;

/// What a connection is, for the books of the oracle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    /// Accepted on this listener.
    Downstream(u32),
    /// Opened to an endpoint: an index into the truth's list of clusters, and one into the cluster.
    Upstream(usize, usize),
}

/// Whether the entry is in use.
///
/// ```text
/// Free -> Live -> Closing (its last completions are to come) -> Free
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
    Free,
    Live,
    Closing,
}

/// Where the receiving side is, as in the ring.
///
/// ```text
/// Rest -> Wanted -> Armed -> Ended      Armed -> Parked -> Wanted      Armed -> StopToRest -> Rest
///                                                                                 | ^
///                                                                     StopToResume -> Wanted
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Receive {
    Rest,
    Wanted,
    Armed,
    StopToRest,
    StopToResume,
    Parked,
    Ended,
}

/// Where the sending side is.
///
/// ```text
/// Connecting -> Open -> Sending -> Open ... -> Ended
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Send {
    Connecting,
    Open,
    Sending,
    Ended,
}

/// Something queued on the sending side.
#[derive(Debug)]
pub(crate) enum Out {
    /// Bytes, and what they looked like when they were queued.
    Segment(Segment<SimChunk>, u64),
    /// A relay, by its number.
    Relay(usize),
    Finish,
}

/// One connection, or a free entry.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) generation: u32,
    pub(crate) life: Life,
    pub(crate) link: u32,
    pub(crate) side: Side,
    pub(crate) receive: Receive,
    /// The kernel holds a receive; `false` as soon as its last completion is posted.
    pub(crate) kernel_receives: bool,
    /// The kernel was told to cancel the receive.
    pub(crate) cancels_receive: bool,
    /// A `Paused` is owed.
    pub(crate) pause_due: bool,
    pub(crate) send: Send,
    /// Segments and bytes from the front of the queue that are the kernel's.
    pub(crate) sending_segments: usize,
    pub(crate) sending_bytes: usize,
    /// The kernel has not yet posted the outcome of the send.
    pub(crate) kernel_sends: bool,
    pub(crate) out: VecDeque<Out>,
    /// Bytes of the first segment that are sent already.
    pub(crate) front_sent: usize,
    /// `shutdown` was asked for.
    pub(crate) finishing: bool,
    /// The machine was told that sending is over.
    pub(crate) knows_send_failed: bool,
    pub(crate) relay_out: Option<usize>,
    pub(crate) relay_in: Option<usize>,
    /// The outcome of the connect, when it is to be posted, and whether it was.
    pub(crate) connecting: Option<Option<Result<(), IoError>>>,
    pub(crate) is_connected: bool,
    /// The machine was told of it.
    pub(crate) is_told: bool,
    /// Operations whose last completion was not seen.
    pub(crate) in_flight: u32,
    pub(crate) resets_at_close: bool,
    pub(crate) opened_at: u64,
    /// When the machine was last told something of it.
    pub(crate) told_at: u64,
    /// When the machine last asked for bytes that it did not want before.
    pub(crate) resumed_at: u64,
    pub(crate) told_bytes: u64,
    /// Bytes were queued since the answer before the junk was told.
    pub(crate) has_asked: bool,
    /// It was told what nobody asked for.
    pub(crate) is_spoiled: bool,
    /// What it was told of when its last byte and its FIN went out: before that its request is still read for its own sake.
    pub(crate) told_at_finish: Option<u64>,
    /// When its FIN went out.
    pub(crate) finished_at: Option<u64>,
    /// It was told that receiving is over.
    pub(crate) knows_end: bool,
    /// Bytes and payload segments handed over and not reported as sent.
    pub(crate) queued_bytes: usize,
    pub(crate) queued_chunks: usize,
}

impl Conn {
    pub(crate) fn vacant() -> Self {
        Conn {
            generation: 0,
            life: Life::Free,
            link: u32::MAX,
            side: Side::Downstream(0),
            receive: Receive::Rest,
            kernel_receives: false,
            cancels_receive: false,
            pause_due: false,
            send: Send::Open,
            sending_segments: 0,
            sending_bytes: 0,
            kernel_sends: false,
            out: VecDeque::new(),
            front_sent: 0,
            finishing: false,
            knows_send_failed: false,
            relay_out: None,
            relay_in: None,
            connecting: None,
            is_connected: false,
            is_told: false,
            in_flight: 0,
            resets_at_close: false,
            opened_at: 0,
            told_at: 0,
            resumed_at: 0,
            told_bytes: 0,
            has_asked: false,
            is_spoiled: false,
            told_at_finish: None,
            finished_at: None,
            knows_end: false,
            queued_bytes: 0,
            queued_chunks: 0,
        }
    }

    /// A free entry is used again, under its next generation.
    pub(crate) fn begin(&mut self, link: u32, side: Side, now: u64) {
        assert_eq!(self.life, Life::Free);
        let generation = self.generation;
        let is_accepted = matches!(side, Side::Downstream(_));
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        *self = Conn { generation, out, ..Conn::vacant() };
        self.life = Life::Live;
        self.link = link;
        self.side = side;
        self.send = if is_accepted { Send::Open } else { Send::Connecting };
        self.is_connected = is_accepted;
        (self.opened_at, self.told_at) = (now, now);
    }

    /// Appends what is queued and in nobody's hands: the kernel has neither taken it nor may take it.
    pub(crate) fn copy_unsent(&self, bytes: &mut Vec<u8>) {
        let mut skip = if self.sending_segments == 0 { self.front_sent } else { 0 };
        for out in self.out.iter().skip(self.sending_segments) {
            if let Out::Segment(segment, _) = out {
                bytes.extend_from_slice(&segment[std::mem::take(&mut skip)..]);
            }
        }
    }

    /// Drops what a failed connection had queued.
    pub(crate) fn drop_unsent(&mut self) {
        self.out.clear();
        self.front_sent = 0;
    }

    pub(crate) fn is_accepted(&self) -> bool {
        matches!(self.side, Side::Downstream(_))
    }

    /// Segments that may be sent now: those before the first relay or end.
    pub(crate) fn due_segments(&self) -> usize {
        self.out.iter().take_while(|out| matches!(out, Out::Segment(..))).count()
    }

    pub(crate) fn has_due_segments(&self) -> bool {
        matches!(self.out.front(), Some(Out::Segment(..)))
    }
}
