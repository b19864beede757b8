//! What a connection still has to send, and the holder that keeps it alive while the kernel reads it. It submits
//! nothing itself.
//!
//! A holder exists only while there is something to send: idle connections own none. Its memory does not move, and
//! it stays with the connection until the send's last completion.

use sidering_dataplane::io::Segment;
use sidering_system::queue::{Barrier, SEGMENTS_PER_SEND, SendQueue};

use crate::slot::RingChunk;

/// Holders and gather lists kept for reuse.
const SPARE_MAX: usize = 256;

/// Queue capacity beyond which a holder is freed rather than kept for reuse.
const SPARE_CAPACITY: usize = 256;

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
    queue: SendQueue<RingChunk>,
    in_flight: usize,
    in_flight_bytes: usize,
    gather: Option<Box<Gather>>,
}

impl Outgoing {
    #[inline]
    pub(crate) fn push(&mut self, segment: Segment<RingChunk>) {
        self.queue.push(segment);
    }

    /// Appends what no send has been given.
    pub(crate) fn copy_unsent(&self, out: &mut Vec<u8>) {
        self.queue.copy_behind(self.in_flight, out);
    }

    /// See [`SendQueue::push_barrier`].
    pub(crate) fn push_barrier(&mut self, barrier: Barrier) {
        self.queue.push_barrier(barrier);
    }

    /// See [`SendQueue::pop_due_barrier`].
    #[inline]
    pub(crate) fn pop_due_barrier(&mut self) -> Option<Barrier> {
        self.queue.pop_due_barrier()
    }

    /// All barriers, for a connection that can send no more.
    pub(crate) fn take_barriers(&mut self) -> Vec<Barrier> {
        self.queue.take_barriers()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether a segment may be sent now.
    #[inline]
    pub(crate) fn has_due_segments(&self) -> bool {
        self.queue.due_segments() > 0
    }

    /// Prepares one send of as much as may go in one. Only while none is in flight and a segment is due.
    #[inline]
    pub(crate) fn prepare(&mut self, spare: &mut Spare) -> Prepared {
        debug_assert!(self.in_flight == 0 && self.has_due_segments());
        if self.queue.due_segments() > 1 {
            return self.prepare_many(spare);
        }
        let bytes = self.queue.next_send().next().unwrap_or_default();
        self.in_flight = 1;
        self.in_flight_bytes = bytes.len();
        Prepared::One { address: bytes.as_ptr(), bytes: bytes.len() as u32 }
    }

    fn prepare_many(&mut self, spare: &mut Spare) -> Prepared {
        let gather = self.gather.get_or_insert_with(|| spare.gather());
        let (mut used, mut total) = (0, 0);
        for (vector, bytes) in gather.vectors.iter_mut().zip(self.queue.next_send()) {
            *vector = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
            used += 1;
            total += bytes.len();
        }
        gather.message.msg_iov = gather.vectors.as_mut_ptr();
        gather.message.msg_iovlen = used as _;
        self.in_flight = used;
        self.in_flight_bytes = total;
        Prepared::Many { message: &raw const gather.message }
    }

    /// Whether the send just prepared is all there is before the end of the sending side.
    #[inline]
    pub(crate) fn ends_behind_this(&self) -> bool {
        self.queue.ends_behind(self.in_flight, self.in_flight_bytes)
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
        self.queue.advance(bytes);
        short
    }

    /// Drops everything the kernel does not hold.
    pub(crate) fn drop_waiting(&mut self) {
        self.queue.truncate(self.in_flight);
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
        debug_assert!(holder.in_flight == 0);
        if self.holders.len() < SPARE_MAX && holder.queue.capacity() <= SPARE_CAPACITY {
            holder.queue.clear();
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
    use sidering_system::queue::BYTES_PER_SEND;

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
