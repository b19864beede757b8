//! What a connection still has to send, in order, and what must wait for its turn in between. It sends nothing.
//!
//! The queue has no bound of its own: payload is bounded by the pool its chunks come from, and the data plane weighs what
//! it queues against `Sent`.

use std::collections::VecDeque;

use sidering_dataplane::io::{Chunk, Segment};

/// Segments gathered into one send at most.
pub const SEGMENTS_PER_SEND: usize = 64;

/// Bytes in one send at most; the rest follows. It bounds how long one connection keeps others waiting, and how long a slow
/// peer holds slots that it has already taken.
pub const BYTES_PER_SEND: usize = 512 * 1024;

/// Something that must wait until the segments queued before it are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barrier {
    /// The relay of this index and serial number.
    Relay {
        /// Its place in the table of relays.
        index: u32,
        /// Tells it from others that had the same place.
        serial: u32,
    },
    /// The end of the sending side.
    Finish,
}

/// The queue of one connection.
pub struct SendQueue<C> {
    segments: VecDeque<Segment<C>>,
    /// Each with the number of segments between the barrier before it (or the front) and itself.
    barriers: VecDeque<(usize, Barrier)>,
    /// Bytes of the first segment that are sent already.
    front_sent: usize,
}

impl<C> Default for SendQueue<C> {
    fn default() -> SendQueue<C> {
        SendQueue { segments: VecDeque::new(), barriers: VecDeque::new(), front_sent: 0 }
    }
}

impl<C: Chunk> SendQueue<C> {
    /// Queues a segment, which must not be empty.
    #[inline]
    pub fn push(&mut self, segment: Segment<C>) {
        debug_assert!(!segment.is_empty());
        self.segments.push_back(segment);
    }

    /// Lets nothing queued later pass before `barrier` has had its turn.
    pub fn push_barrier(&mut self, barrier: Barrier) {
        let before: usize = self.barriers.iter().map(|(segments, _)| segments).sum();
        self.barriers.push_back((self.segments.len() - before, barrier));
    }

    /// The barrier at the front, if no segment is before it.
    #[inline]
    pub fn pop_due_barrier(&mut self) -> Option<Barrier> {
        if self.barriers.front()?.0 != 0 {
            return None;
        }
        self.barriers.pop_front().map(|(_, barrier)| barrier)
    }

    /// All barriers, for a connection that can send no more.
    pub fn take_barriers(&mut self) -> Vec<Barrier> {
        self.barriers.drain(..).map(|(_, barrier)| barrier).collect()
    }

    /// Whether there is neither a segment nor a barrier.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.barriers.is_empty()
    }

    /// Segments that may be sent now: those before the first barrier.
    #[inline]
    #[must_use]
    pub fn due_segments(&self) -> usize {
        self.barriers.front().map_or(self.segments.len(), |(before, _)| *before)
    }

    /// The bytes of the next send, as much as may go in one: at most [`SEGMENTS_PER_SEND`] runs.
    #[inline]
    pub fn next_send(&self) -> impl Iterator<Item = &[u8]> {
        let (mut skip, mut total) = (self.front_sent, 0);
        let due = self.due_segments().min(SEGMENTS_PER_SEND);
        self.segments.iter().take(due).map_while(move |segment| {
            let bytes = &segment[std::mem::take(&mut skip)..];
            if total > 0 && total + bytes.len() > BYTES_PER_SEND {
                return None;
            }
            let bytes = &bytes[..bytes.len().min(BYTES_PER_SEND)];
            total += bytes.len();
            Some(bytes)
        })
    }

    /// Whether a send of this many segments and bytes is all there is before the end of the sending side. Held back by the
    /// kernel until that end, its last segment carries the FIN, too.
    #[inline]
    #[must_use]
    pub fn ends_behind(&self, segments: usize, bytes: usize) -> bool {
        self.barriers.front() == Some(&(segments, Barrier::Finish)) && bytes <= BYTES_PER_SEND / 2
    }

    /// Appends what is queued behind the first `begun` segments, of which the kernel may have any part.
    pub fn copy_behind(&self, begun: usize, out: &mut Vec<u8>) {
        let mut skip = if begun == 0 { self.front_sent } else { 0 };
        for segment in self.segments.iter().skip(begun) {
            out.extend_from_slice(&segment[std::mem::take(&mut skip)..]);
        }
    }

    /// The kernel took `bytes`: frees what is sent.
    #[inline]
    pub fn advance(&mut self, bytes: usize) {
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
    }

    #[inline]
    fn pop_front(&mut self) {
        self.segments.pop_front();
        self.front_sent = 0;
        if let Some((before, _)) = self.barriers.front_mut() {
            *before -= 1;
        }
    }

    /// Drops all barriers, and all segments but the first few.
    pub fn truncate(&mut self, segments: usize) {
        self.segments.truncate(segments);
        self.barriers.clear();
    }

    /// Drops everything and keeps the memory.
    pub fn clear(&mut self) {
        self.truncate(0);
        self.front_sent = 0;
    }

    /// Segments that there is memory for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.segments.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[derive(Clone)]
    struct NoChunk;

    impl std::ops::Deref for NoChunk {
        type Target = [u8];

        fn deref(&self) -> &[u8] {
            &[]
        }
    }

    impl Chunk for NoChunk {
        fn subset(&self, _: &[u8]) -> NoChunk {
            NoChunk
        }
    }

    fn queue(texts: &[&'static str]) -> SendQueue<NoChunk> {
        let mut queue = SendQueue::default();
        for text in texts {
            queue.push(Segment::Static(text.as_bytes()));
        }
        queue
    }

    fn next(queue: &SendQueue<NoChunk>) -> Vec<&str> {
        queue.next_send().map(|bytes| std::str::from_utf8(bytes).unwrap()).collect()
    }

    #[test]
    fn what_is_sent_in_part_goes_on_where_it_stopped() {
        let mut queue = queue(&["head", "body"]);
        assert_eq!(next(&queue), ["head", "body"]);
        queue.advance(5);
        assert_eq!(next(&queue), ["ody"]);
        queue.advance(1);
        assert_eq!(next(&queue), ["dy"]);
        queue.advance(2);
        assert!(queue.is_empty());
    }

    #[test]
    fn nothing_passes_a_barrier() {
        let mut queue = queue(&["a", "b"]);
        queue.push_barrier(Barrier::Relay { index: 1, serial: 2 });
        queue.push(Segment::Static(b"c"));
        queue.push_barrier(Barrier::Finish);
        assert_eq!((next(&queue), queue.due_segments()), (vec!["a", "b"], 2));
        assert!(!queue.ends_behind(2, 2), "a relay is behind it");
        queue.advance(1);
        assert_eq!(queue.pop_due_barrier(), None);
        queue.advance(1);
        assert_eq!((next(&queue), queue.due_segments()), (vec![], 0));
        assert_eq!(queue.pop_due_barrier(), Some(Barrier::Relay { index: 1, serial: 2 }));
        assert_eq!(next(&queue), ["c"]);
        assert!(queue.ends_behind(1, 1) && !queue.ends_behind(0, 0));
        queue.advance(1);
        assert_eq!(queue.pop_due_barrier(), Some(Barrier::Finish));
        assert!(queue.is_empty());
    }

    #[test]
    fn a_send_is_bounded_in_segments_and_bytes() {
        assert_eq!(next(&queue(&["x"; SEGMENTS_PER_SEND - 1])).len(), SEGMENTS_PER_SEND - 1);
        for segments in [SEGMENTS_PER_SEND, SEGMENTS_PER_SEND + 1] {
            assert_eq!(next(&queue(&vec!["x"; segments])).len(), SEGMENTS_PER_SEND);
        }
        for (first, second, expected) in [
            (BYTES_PER_SEND - 1, 1, vec![BYTES_PER_SEND - 1, 1]),
            (BYTES_PER_SEND, 1, vec![BYTES_PER_SEND]),
            (BYTES_PER_SEND + 1, 1, vec![BYTES_PER_SEND]),
            (1, BYTES_PER_SEND, vec![1]),
        ] {
            let mut queue = SendQueue::<NoChunk>::default();
            for bytes in [first, second] {
                queue.push(Segment::Bytes(Rc::new(vec![0; bytes])));
            }
            assert_eq!(queue.next_send().map(<[u8]>::len).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn only_a_short_end_is_held_back_for_the_fin() {
        let mut queue = queue(&["x"]);
        queue.push_barrier(Barrier::Finish);
        assert!(queue.ends_behind(1, BYTES_PER_SEND / 2));
        assert!(!queue.ends_behind(1, BYTES_PER_SEND / 2 + 1));
        queue.clear();
        assert!(queue.is_empty() && queue.capacity() > 0);
    }
}
