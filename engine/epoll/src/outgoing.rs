//! What a connection still has to send, in order, and the gathered send of as much as may go at once.
//!
//! It exists only while there is something to send: idle connections own none. The queue has no bound of its own:
//! payload is bounded by the pool its chunks come from, and the data plane weighs what it queues against `Sent`.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};
use sidering_dataplane::io::Segment;

use crate::slot::EpollChunk;

/// Segments gathered into one send at most.
const SEGMENTS_PER_SEND: usize = 64;

/// Most sends have a head, a body and little else: a short list of vectors is quicker to make.
const FEW_SEGMENTS: usize = 8;

/// Bytes in one send at most; the rest follows. It bounds how long one connection keeps the others waiting.
pub(crate) const BYTES_PER_SEND: usize = 512 * 1024;

/// Holders kept for reuse.
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

/// The queue of one connection.
#[derive(Default)]
pub(crate) struct Outgoing {
    segments: VecDeque<Segment<EpollChunk>>,
    /// Each with the number of segments between the barrier before it (or the front) and itself.
    barriers: VecDeque<(usize, Barrier)>,
    /// Bytes of the first segment that are sent already.
    front_sent: usize,
}

/// What a send came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) bytes: usize,
    /// The kernel took less than it was given.
    pub(crate) short: bool,
}

impl Outgoing {
    #[inline]
    pub(crate) fn push(&mut self, segment: Segment<EpollChunk>) {
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

    /// Sends what the peer takes at once of as much as may go in one call. Only while a segment is due.
    ///
    /// If all there is before the end of the sending side goes in it, the kernel is told that more follows, so that the
    /// last segment carries the FIN, too.
    pub(crate) fn send(&mut self, socket: BorrowedFd<'_>) -> Result<Taken, Errno> {
        let due = self.due_segments();
        let (given, sent) = match due {
            1 => self.send_one(socket),
            ..=FEW_SEGMENTS => self.send_many::<FEW_SEGMENTS>(socket, due),
            _ => self.send_many::<SEGMENTS_PER_SEND>(socket, due),
        };
        let bytes = match sent {
            Ok(bytes) => bytes,
            Err(Errno::AGAIN) => 0,
            Err(error) => return Err(error),
        };
        self.advance(bytes);
        Ok(Taken { bytes, short: bytes < given })
    }

    #[inline]
    fn send_one(&self, socket: BorrowedFd<'_>) -> (usize, Result<usize, Errno>) {
        let bytes = &self.segments[0][self.front_sent..];
        let bytes = &bytes[..bytes.len().min(BYTES_PER_SEND)];
        let flags = self.flags(1, bytes.len());
        (bytes.len(), uninterrupted(|| send(socket, bytes, flags)))
    }

    #[inline]
    fn send_many<const MOST: usize>(
        &self,
        socket: BorrowedFd<'_>,
        due: usize,
    ) -> (usize, Result<usize, Errno>) {
        let mut vectors = [IoSlice::new(&[]); MOST];
        let (mut used, mut total, mut skip) = (0, 0, self.front_sent);
        for (vector, segment) in vectors.iter_mut().zip(self.segments.iter().take(due)) {
            let bytes = &segment[skip..];
            skip = 0;
            if used > 0 && total + bytes.len() > BYTES_PER_SEND {
                break;
            }
            *vector = IoSlice::new(&bytes[..bytes.len().min(BYTES_PER_SEND)]);
            used += 1;
            total += vector.len();
        }
        let flags = self.flags(used, total);
        let vectors = &vectors[..used];
        (total, uninterrupted(|| sendmsg(socket, vectors, &mut SendAncillaryBuffer::default(), flags)))
    }

    /// The flags of a send of this many segments and bytes.
    #[inline]
    fn flags(&self, segments: usize, bytes: usize) -> SendFlags {
        let ends_behind_this =
            self.barriers.front() == Some(&(segments, Barrier::Finish)) && bytes <= BYTES_PER_SEND / 2;
        let more = if ends_behind_this { SendFlags::MORE } else { SendFlags::empty() };
        SendFlags::NOSIGNAL | SendFlags::DONTWAIT | more
    }

    /// Frees what is sent.
    #[inline]
    fn advance(&mut self, bytes: usize) {
        let mut left = bytes;
        while left > 0 {
            let first = self.segments[0].len() - self.front_sent;
            if left < first {
                self.front_sent += left;
                break;
            }
            left -= first;
            self.segments.pop_front();
            self.front_sent = 0;
            if let Some((before, _)) = self.barriers.front_mut() {
                *before -= 1;
            }
        }
    }
}

#[inline]
fn uninterrupted(mut call: impl FnMut() -> Result<usize, Errno>) -> Result<usize, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// Empty queues kept for the next connection that sends.
#[derive(Default)]
pub(crate) struct Spare {
    // The boxes themselves are what is spared: a connection holds a pointer, and taking one allocates nothing.
    #[expect(clippy::vec_box)]
    holders: Vec<Box<Outgoing>>,
}

impl Spare {
    #[inline]
    pub(crate) fn holder(&mut self) -> Box<Outgoing> {
        self.holders.pop().unwrap_or_default()
    }

    /// Takes a queue back; what is in it is dropped.
    #[inline]
    pub(crate) fn keep(&mut self, mut holder: Box<Outgoing>) {
        if self.holders.len() < SPARE_MAX && holder.segments.capacity() <= SPARE_CAPACITY {
            holder.segments.clear();
            holder.barriers.clear();
            holder.front_sent = 0;
            self.holders.push(holder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::rc::Rc;

    fn queue(texts: &[&'static str]) -> Outgoing {
        let mut outgoing = Outgoing::default();
        for text in texts {
            outgoing.push(Segment::Static(text.as_bytes()));
        }
        outgoing
    }

    fn read(peer: &mut UnixStream, bytes: usize) -> Vec<u8> {
        let mut read = vec![0; bytes];
        peer.read_exact(&mut read).unwrap();
        read
    }

    #[test]
    fn segments_go_together_and_in_order() {
        let (near, mut far) = UnixStream::pair().unwrap();
        for texts in [&["head"][..], &["head", "body"], &["x"; FEW_SEGMENTS + 1]] {
            let mut outgoing = queue(texts);
            let all = texts.concat();
            let taken = outgoing.send(near.as_fd()).unwrap();
            assert_eq!(taken, Taken { bytes: all.len(), short: false });
            assert!(outgoing.is_empty());
            assert_eq!(read(&mut far, all.len()), all.as_bytes());
        }
    }

    #[test]
    fn nothing_passes_a_barrier() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut outgoing = queue(&["a", "b"]);
        outgoing.push_barrier(Barrier::Relay { index: 1, serial: 2 });
        outgoing.push(Segment::Static(b"c"));
        outgoing.push_barrier(Barrier::Finish);
        assert_eq!(outgoing.pop_due_barrier(), None);
        assert_eq!(outgoing.send(near.as_fd()).unwrap().bytes, 2);
        assert!(!outgoing.has_due_segments());
        assert_eq!(outgoing.pop_due_barrier(), Some(Barrier::Relay { index: 1, serial: 2 }));
        assert_eq!(outgoing.send(near.as_fd()).unwrap().bytes, 1);
        assert_eq!(outgoing.pop_due_barrier(), Some(Barrier::Finish));
        assert!(outgoing.is_empty());
        assert_eq!(read(&mut far, 3), b"abc");
    }

    #[test]
    fn a_send_is_bounded_in_segments_and_bytes() {
        let (near, mut far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let mut outgoing = queue(&["x"; SEGMENTS_PER_SEND + 1]);
        assert_eq!(outgoing.send(near.as_fd()).unwrap(), Taken { bytes: SEGMENTS_PER_SEND, short: false });
        assert_eq!(outgoing.send(near.as_fd()).unwrap(), Taken { bytes: 1, short: false });
        read(&mut far, SEGMENTS_PER_SEND + 1);

        let large = Rc::new(vec![7; BYTES_PER_SEND + 1]);
        let mut outgoing = Outgoing::default();
        outgoing.push(Segment::Bytes(large.clone()));
        outgoing.push(Segment::Bytes(large));
        let total = 2 * (BYTES_PER_SEND + 1);
        let (mut sent, mut shorts) = (0, 0);
        while sent < total {
            let taken = outgoing.send(near.as_fd()).unwrap();
            assert!(taken.bytes <= BYTES_PER_SEND);
            shorts += usize::from(taken.short);
            assert!(read(&mut far, taken.bytes).iter().all(|byte| *byte == 7));
            sent += taken.bytes;
        }
        assert!(outgoing.is_empty() && shorts > 0, "the socket took all of it: nothing was short");
    }
}
