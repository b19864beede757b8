//! What a connection still has to send, and the holder that keeps it alive while the kernel reads it. It submits
//! nothing itself.
//!
//! A holder exists only while there is something to send: idle connections own none. Its memory does not move, and
//! it stays with the connection until the send's last completion. The queue has no bound of its own: payload is bounded
//! by the pool its chunks come from, and the data plane weighs what it queues against `Sent`.

use std::collections::VecDeque;

use sidering_dataplane::io::Segment;

use crate::slot::RingChunk;

/// Segments gathered into one send at most.
pub(crate) const SEGMENTS_PER_SEND: usize = 64;

/// Bytes in one send at most; the rest follows after its completion. It bounds how long a slow peer holds slots that
/// it has already taken.
pub(crate) const BYTES_PER_SEND: usize = 512 * 1024;

/// Holders and gather lists kept for reuse.
const SPARE_MAX: usize = 256;

/// Queue capacity beyond which a holder is freed rather than kept for reuse.
const SPARE_CAPACITY: usize = 256;

/// Something that must wait until the segments queued before it are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Barrier {
    /// The relay of this index and serial number.
    Relay { index: u32, serial: u32 },
    /// The end of the sending side.
    Finish,
}

/// The vectors of a gathered send.
pub(crate) struct Gather {
    vectors: [libc::iovec; SEGMENTS_PER_SEND],
    message: libc::msghdr,
}

/// The next send, as the kernel wants it. Pointers are good until the holder is told of the completion.
pub(crate) enum Prepared {
    One { address: *const u8, bytes: u32 },
    Many { message: *const libc::msghdr },
}

/// Queue and holder of one connection. `in_flight` segments from the front belong to the kernel.
#[derive(Default)]
pub(crate) struct Outgoing {
    segments: VecDeque<Segment<RingChunk>>,
    /// Each with the number of segments between the barrier before it (or the front) and itself.
    barriers: VecDeque<(usize, Barrier)>,
    /// Bytes of the first segment that are sent already.
    front_sent: usize,
    in_flight: usize,
    in_flight_bytes: usize,
    gather: Option<Box<Gather>>,
}

impl Outgoing {
    #[inline]
    pub(crate) fn push(&mut self, segment: Segment<RingChunk>) {
        self.segments.push_back(segment);
    }

    /// Lets nothing queued later pass before `barrier` has had its turn.
    pub(crate) fn push_barrier(&mut self, barrier: Barrier) {
        let before: usize = self.barriers.iter().map(|(segments, _)| segments).sum();
        self.barriers.push_back((self.segments.len() - before, barrier));
    }

    /// The barrier at the front, if no segment is before it.
    #[inline]
    pub(crate) fn pop_due_barrier(&mut self) -> Option<Barrier> {
        if self.barriers.front()?.0 != 0 {
            return None;
        }
        self.barriers.pop_front().map(|(_, barrier)| barrier)
    }

    /// All barriers, for a connection that can send no more.
    pub(crate) fn take_barriers(&mut self) -> Vec<Barrier> {
        self.barriers.drain(..).map(|(_, barrier)| barrier).collect()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.barriers.is_empty()
    }

    /// Whether a segment may be sent now.
    #[inline]
    pub(crate) fn has_due_segments(&self) -> bool {
        self.due_segments() > 0
    }

    #[inline]
    fn due_segments(&self) -> usize {
        self.barriers.front().map_or(self.segments.len(), |(before, _)| *before)
    }

    /// Prepares one send of as much as may go in one. Only while none is in flight and a segment is due.
    #[inline]
    pub(crate) fn prepare(&mut self, spare: &mut Spare) -> Prepared {
        debug_assert!(self.in_flight == 0 && self.has_due_segments());
        let due = self.due_segments().min(SEGMENTS_PER_SEND);
        if due > 1 {
            return self.prepare_many(due, spare);
        }
        let bytes = &self.segments[0][self.front_sent..];
        self.in_flight = 1;
        self.in_flight_bytes = bytes.len().min(BYTES_PER_SEND);
        Prepared::One { address: bytes.as_ptr(), bytes: self.in_flight_bytes as u32 }
    }

    fn prepare_many(&mut self, due: usize, spare: &mut Spare) -> Prepared {
        let gather = self.gather.get_or_insert_with(|| spare.gather());
        let (mut used, mut total, mut skip) = (0, 0, self.front_sent);
        for segment in self.segments.iter().take(due) {
            let bytes = &segment[skip..];
            skip = 0;
            if used > 0 && total + bytes.len() > BYTES_PER_SEND {
                break;
            }
            let length = bytes.len().min(BYTES_PER_SEND);
            gather.vectors[used] =
                libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: length };
            used += 1;
            total += length;
        }
        gather.message.msg_iov = gather.vectors.as_mut_ptr();
        gather.message.msg_iovlen = used as _;
        self.in_flight = used;
        self.in_flight_bytes = total;
        Prepared::Many { message: &raw const gather.message }
    }

    /// Whether the send just prepared is all there is before the end of the sending side. Held back by the kernel until
    /// that end, its last segment carries the FIN, too.
    #[inline]
    pub(crate) fn ends_behind_this(&self) -> bool {
        self.barriers.front() == Some(&(self.in_flight, Barrier::Finish))
            && self.in_flight_bytes <= BYTES_PER_SEND / 2
    }

    /// The send is complete and the kernel took `bytes`: frees what is sent. True if it took less than it was given.
    #[inline]
    pub(crate) fn complete(&mut self, bytes: usize, spare: &mut Spare) -> bool {
        let short = bytes < self.in_flight_bytes;
        self.in_flight = 0;
        self.in_flight_bytes = 0;
        if let Some(gather) = self.gather.take() {
            spare.keep_gather(gather);
        }
        let mut left = bytes;
        while left > 0 {
            let first = self.segments[0].len() - self.front_sent;
            if left < first {
                self.front_sent += left;
                break;
            }
            left -= first;
            self.pop_front();
        }
        short
    }

    #[inline]
    fn pop_front(&mut self) {
        self.segments.pop_front();
        self.front_sent = 0;
        if let Some((before, _)) = self.barriers.front_mut() {
            *before -= 1;
        }
    }

    /// Drops everything the kernel does not hold.
    pub(crate) fn drop_waiting(&mut self) {
        self.segments.truncate(self.in_flight);
        self.barriers.clear();
    }
}

/// Empty holders kept for the next connection that sends.
#[derive(Default)]
pub(crate) struct Spare {
    // The holders travel as boxes: their address must not change while the kernel reads them.
    #[expect(clippy::vec_box)]
    holders: Vec<Box<Outgoing>>,
    #[expect(clippy::vec_box)]
    gathers: Vec<Box<Gather>>,
}

impl Spare {
    #[inline]
    pub(crate) fn holder(&mut self) -> Box<Outgoing> {
        self.holders.pop().unwrap_or_default()
    }

    /// Takes an empty holder back.
    #[inline]
    pub(crate) fn keep_holder(&mut self, mut holder: Box<Outgoing>) {
        debug_assert!(holder.in_flight == 0 && holder.barriers.is_empty());
        if self.holders.len() < SPARE_MAX && holder.segments.capacity() <= SPARE_CAPACITY {
            holder.segments.clear();
            holder.front_sent = 0;
            self.holders.push(holder);
        }
    }

    fn gather(&mut self) -> Box<Gather> {
        self.gathers.pop().unwrap_or_else(|| {
            // SAFETY: vectors and a message header are plain C structures for which all-zero bytes are valid.
            unsafe { Box::<Gather>::new_zeroed().assume_init() }
        })
    }

    fn keep_gather(&mut self, gather: Box<Gather>) {
        if self.gathers.len() < SPARE_MAX {
            self.gathers.push(gather);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(texts: &[&'static str]) -> (Outgoing, Spare) {
        let mut outgoing = Outgoing::default();
        for text in texts {
            outgoing.push(Segment::Static(text.as_bytes()));
        }
        (outgoing, Spare::default())
    }

    #[test]
    fn one_segment_is_sent_alone_and_several_together() {
        let (mut outgoing, mut spare) = holder(&["head"]);
        assert!(matches!(outgoing.prepare(&mut spare), Prepared::One { bytes: 4, .. }));
        assert!(!outgoing.complete(4, &mut spare));
        assert!(outgoing.is_empty());

        let (mut outgoing, mut spare) = holder(&["head", "body"]);
        assert!(matches!(outgoing.prepare(&mut spare), Prepared::Many { .. }));
        assert_eq!((outgoing.in_flight, outgoing.in_flight_bytes), (2, 8));
        assert!(outgoing.complete(5, &mut spare));
        assert!(matches!(outgoing.prepare(&mut spare), Prepared::One { bytes: 3, .. }));
        assert!(!outgoing.complete(3, &mut spare));
        assert!(outgoing.is_empty() && spare.gathers.len() == 1);
    }

    #[test]
    fn nothing_passes_a_barrier() {
        let (mut outgoing, mut spare) = holder(&["a", "b"]);
        outgoing.push_barrier(Barrier::Relay { index: 1, serial: 2 });
        outgoing.push(Segment::Static(b"c"));
        outgoing.push_barrier(Barrier::Finish);
        outgoing.prepare(&mut spare);
        assert_eq!(outgoing.in_flight, 2);
        assert_eq!(outgoing.pop_due_barrier(), None);
        outgoing.complete(2, &mut spare);
        assert!(!outgoing.has_due_segments());
        assert_eq!(outgoing.pop_due_barrier(), Some(Barrier::Relay { index: 1, serial: 2 }));
        assert!(outgoing.has_due_segments());
        outgoing.prepare(&mut spare);
        outgoing.complete(1, &mut spare);
        assert_eq!(outgoing.pop_due_barrier(), Some(Barrier::Finish));
        assert!(outgoing.is_empty());
    }

    #[test]
    fn a_send_is_bounded_in_segments_and_bytes() {
        let (mut outgoing, mut spare) = holder(&["x"; SEGMENTS_PER_SEND + 1]);
        outgoing.prepare(&mut spare);
        assert_eq!(outgoing.in_flight, SEGMENTS_PER_SEND);

        let large = std::rc::Rc::new(vec![0; BYTES_PER_SEND + 1]);
        let mut outgoing = Outgoing::default();
        outgoing.push(Segment::Bytes(large.clone()));
        outgoing.push(Segment::Bytes(large));
        outgoing.prepare(&mut spare);
        assert_eq!((outgoing.in_flight, outgoing.in_flight_bytes), (1, BYTES_PER_SEND));
        assert!(!outgoing.complete(BYTES_PER_SEND, &mut spare));
        outgoing.prepare(&mut spare);
        assert_eq!((outgoing.in_flight, outgoing.in_flight_bytes), (1, 1));
    }
}
