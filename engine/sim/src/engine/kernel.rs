//! The kernel's part of a turn: what it does with the operations it was given, and the completions it posts. It knows
//! nothing of what the engine makes of them.

use super::conn::{Conn, Life, Out, Send};
use super::link::End;
use super::{Engine, SimChunk};
use crate::agenda::Event;
use crate::coverage::Situation;
use crate::journal::Who;
use sidering_dataplane::io::IoError;

/// What a receive came to.
#[derive(Debug)]
pub(super) enum Received {
    Bytes(SimChunk),
    End(Result<(), IoError>),
    NoSlot,
    Cancelled,
}

/// A completion as the kernel posts it. It may be for a connection that is closed by the time it is seen.
#[derive(Debug)]
pub(super) enum Cqe {
    Accept { listener: u32, result: Result<u32, IoError> },
    Connect { index: u32, generation: u32, result: Result<(), IoError> },
    Receive { index: u32, generation: u32, received: Received, is_last: bool },
    Send { index: u32, generation: u32, result: Result<usize, IoError> },
}

impl Cqe {
    /// Whom it is about, so that nobody's completions overtake each other.
    pub(super) fn subject(&self) -> u64 {
        match self {
            Cqe::Accept { listener, .. } => 1 << 32 | u64::from(*listener),
            Cqe::Connect { index, .. } | Cqe::Receive { index, .. } | Cqe::Send { index, .. } => {
                u64::from(*index)
            }
        }
    }
}

/// Completions one receive posts in one turn at most.
pub(crate) const RECEIVES_PER_TURN: usize = 4;

impl Engine {
    /// Lets the kernel work on everything it holds.
    pub(crate) fn enter(&mut self) {
        self.is_ready = false;
        let mut puts_off = self.kernel_accepts();
        let count = self.conns.len();
        let start = self.choices.below(count);
        for step in 0..count {
            let index = (start + step) % count;
            if !self.has_kernel_work(index) {
                continue;
            }
            if self.choices.one_in(self.temper.laziness) {
                puts_off = true;
                continue;
            }
            self.kernel_connects(index);
            // A send may meet the end of a connection before a receive is told of it.
            if self.choices.one_in(self.temper.laziness) {
                self.kernel_sends(index);
                puts_off = true;
                continue;
            }
            self.kernel_receives(index);
            self.kernel_sends(index);
        }
        if puts_off {
            let when = self.now + 1 + self.choices.below(200) as u64;
            self.agenda.add(when, Event::Kick);
        }
        self.shuffle_posted();
    }

    /// Whether the kernel could do anything for this connection now.
    fn has_kernel_work(&self, index: usize) -> bool {
        let conn = &self.conns[index];
        if conn.life == Life::Free {
            return false;
        }
        let closing = conn.life == Life::Closing;
        if let Some(outcome) = conn.connecting {
            return closing || outcome.is_some();
        }
        let link = &self.links[conn.link as usize];
        conn.kernel_receives && (closing || conn.cancels_receive || link.is_readable())
            || conn.kernel_sends && (closing || link.failure().is_some() || link.send_room() > 0)
    }

    fn kernel_connects(&mut self, index: usize) {
        let conn = &mut self.conns[index];
        let closing = conn.life == Life::Closing;
        let Some(outcome) = conn.connecting else { return };
        let result = match outcome {
            Some(result) => result,
            None if closing => Err(IoError::Other(libc_ecanceled())),
            None => return,
        };
        conn.connecting = None;
        let generation = op_generation(conn);
        self.posted.push_back(Cqe::Connect { index: index as u32, generation, result });
    }

    fn kernel_receives(&mut self, index: usize) {
        let conn = &self.conns[index];
        if !conn.kernel_receives {
            return;
        }
        let (generation, link) = (op_generation(conn), conn.link);
        let ends = conn.cancels_receive || conn.life == Life::Closing;
        let most = if ends { self.choices.below(2) } else { 1 + self.choices.below(RECEIVES_PER_TURN) };
        let post = |engine: &mut Engine, received, is_last| {
            if is_last {
                engine.conns[index].kernel_receives = false;
            }
            engine.posted.push_back(Cqe::Receive { index: index as u32, generation, received, is_last });
        };
        for _ in 0..most {
            let arrived = self.links[link as usize].arrived;
            if arrived == 0 {
                break;
            }
            let Some(chunk) = self.fill_slot(link, arrived) else {
                self.meet(Situation::ReceiveParked);
                post(self, Received::NoSlot, true);
                return;
            };
            let is_last = self.choices.one_in(self.temper.multishot_ends);
            post(self, Received::Bytes(chunk), is_last);
            if is_last {
                self.meet(Situation::ReceiveEndedUnasked);
                return;
            }
        }
        if ends {
            post(self, Received::Cancelled, true);
        } else if let Some(end) = self.links[link as usize].take_receive_end() {
            let result = match end {
                End::Fin => Ok(()),
                End::Reset(error) => Err(error),
            };
            post(self, Received::End(result), true);
        } else if self.links[link as usize].arrived > 0 {
            self.is_ready = true;
        }
    }

    fn fill_slot(&mut self, link: u32, arrived: usize) -> Option<SimChunk> {
        let most = arrived.min(self.temper.slot_bytes);
        let length = if self.choices.one_in(self.temper.cuts) { 1 + self.choices.below(most) } else { most };
        let entry = &mut self.links[link as usize];
        let chunk = self.slots.fill(link, &entry.up.peek()[..length])?;
        entry.take(length);
        if length < arrived {
            self.coverage.meet(Situation::SplitRead);
        }
        self.peer_has_room(link);
        Some(chunk)
    }

    /// The proxy has taken bytes: a peer that waits to write may.
    pub(super) fn peer_has_room(&mut self, link: u32) {
        if std::mem::take(&mut self.links[link as usize].writer_waits) {
            self.wake_peer(link);
        }
    }

    fn kernel_sends(&mut self, index: usize) {
        let conn = &self.conns[index];
        if !conn.kernel_sends {
            return;
        }
        let (generation, link) = (op_generation(conn), conn.link);
        let closing = conn.life == Life::Closing;
        let entry = &mut self.links[link as usize];
        let result = if let Some(error) = entry.take_send_failure() {
            Err(error)
        } else {
            let room = entry.send_room().min(conn.sending_bytes);
            if room == 0 && !closing {
                self.links[link as usize].sender_waits = true;
                self.meet(Situation::SendBufferFull);
                return;
            }
            let cuts = closing || self.choices.one_in(self.temper.cuts);
            let bytes = if cuts { self.choices.between(usize::from(!closing), room) } else { room };
            if bytes == 0 { Err(IoError::Other(libc_ecanceled())) } else { Ok(self.hand_over(index, bytes)) }
        };
        self.conns[index].kernel_sends = false;
        self.posted.push_back(Cqe::Send { index: index as u32, generation, result });
    }

    /// Copies bytes of the send in flight into the socket's buffer.
    pub(super) fn hand_over(&mut self, index: usize, bytes: usize) -> usize {
        let conn = &self.conns[index];
        let link = &mut self.links[conn.link as usize];
        let (mut left, mut skip) = (bytes, conn.front_sent);
        for out in conn.out.iter().take(conn.sending_segments) {
            let Out::Segment(segment, sum) = out else { panic!("a send of something that is not bytes") };
            assert_eq!(*sum, checksum(segment), "misuse: a buffer was changed while the engine held it");
            let piece = &segment[skip..];
            let length = piece.len().min(left);
            link.down.push(&piece[..length]);
            left -= length;
            skip = 0;
        }
        assert_eq!(left, 0, "the kernel takes more than there is");
        let serial = conn.link;
        if bytes < conn.sending_bytes {
            self.coverage.meet(Situation::ShortSend);
        }
        self.mark(Who::Kernel, "takes bytes to send", serial, bytes as u64);
        self.after_hand_over(serial);
        bytes
    }

    /// Bytes are on their way to the peer.
    pub(super) fn after_hand_over(&mut self, serial: u32) {
        let link = &mut self.links[serial as usize];
        if link.peer_closed {
            // The peer's kernel answers with a reset.
            let lost = link.down.len();
            link.down.consume(lost);
            if link.failure().is_none() {
                link.up_end = Some(End::Reset(IoError::Reset));
                let when = self.now + 2 * link.delay;
                self.agenda.add(when, Event::Arrive(serial));
            }
            return;
        }
        self.wake_peer(serial);
    }

    /// Completions of different connections come in any order.
    fn shuffle_posted(&mut self) {
        let count = self.posted.len();
        if count < 2 {
            return;
        }
        for _ in 0..count.min(8) {
            let at = self.choices.below(count - 1);
            if self.posted[at].subject() != self.posted[at + 1].subject() {
                self.posted.swap(at, at + 1);
            }
        }
    }
}

/// The generation under which the operations in flight were started: `close` moves it on.
fn op_generation(conn: &Conn) -> u32 {
    if conn.life == Life::Closing { conn.generation.wrapping_sub(1) } else { conn.generation }
}

/// ECANCELED, without a crate for it.
fn libc_ecanceled() -> i32 {
    125
}

/// What a segment looks like, cheaply: its length, its ends and its middle.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    let length = bytes.len();
    let mut sum = length as u64;
    let mut add = |byte: u8| sum = (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().take(8).for_each(|byte| add(*byte));
    bytes.iter().skip(length / 2).take(8).for_each(|byte| add(*byte));
    bytes.iter().rev().take(8).for_each(|byte| add(*byte));
    sum
}

impl Conn {
    /// The next send, of what may go in one.
    pub(super) fn prepare_send(&mut self, segments_max: usize, bytes_max: usize) {
        let due = self.due_segments().min(segments_max);
        let (mut segments, mut bytes, mut skip) = (0, 0, self.front_sent);
        for out in self.out.iter().take(due) {
            let Out::Segment(segment, _) = out else { break };
            let length = segment.len() - skip;
            skip = 0;
            if segments > 0 && bytes + length > bytes_max {
                break;
            }
            segments += 1;
            bytes += length;
        }
        self.sending_segments = segments;
        self.sending_bytes = bytes;
    }

    /// The kernel took this many bytes: what is sent is let go. Tells how many payload segments that were.
    pub(super) fn complete_send(&mut self, bytes: usize) -> usize {
        self.sending_segments = 0;
        self.sending_bytes = 0;
        if self.send == Send::Sending {
            self.send = Send::Open;
        }
        let (mut left, mut chunks) = (bytes, 0);
        while left > 0 {
            let Some(Out::Segment(segment, _)) = self.out.front() else { panic!("more sent than queued") };
            let first = segment.len() - self.front_sent;
            if left < first {
                self.front_sent += left;
                break;
            }
            left -= first;
            self.front_sent = 0;
            chunks += usize::from(matches!(segment, sidering_dataplane::io::Segment::Chunk(_)));
            self.out.pop_front();
        }
        chunks
    }
}
