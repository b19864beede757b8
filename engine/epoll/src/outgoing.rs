//! The gathered send of what a connection has queued, in one system call, and the queues kept for reuse.

use std::io::IoSlice;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};
use sidering_system::queue::{SEGMENTS_PER_SEND, SendQueue};

use crate::slot::EpollChunk;

/// Most sends have a head, a body and little else: a short list of vectors is quicker to make.
const FEW_SEGMENTS: usize = 8;

/// Queues kept for reuse.
const SPARE_MAX: usize = 256;

/// Capacity beyond which a queue is freed rather than kept for reuse.
const SPARE_CAPACITY: usize = 256;

/// What one connection has queued. It exists only while there is something to send: idle connections own none.
pub(crate) type Outgoing = SendQueue<EpollChunk>;

/// What a send came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) bytes: usize,
    /// The kernel took less than it was given.
    pub(crate) short: bool,
}

/// Sends what the peer takes at once of as much as may go in one call. Only while a segment is due.
///
/// If all there is before the end of the sending side goes in it, the kernel is told that more follows, so that the last
/// segment carries the FIN, too.
pub(crate) fn send_some(queue: &mut Outgoing, socket: BorrowedFd<'_>) -> Result<Taken, Errno> {
    let (given, sent) = match queue.due_segments() {
        1 => send_one(queue, socket),
        ..=FEW_SEGMENTS => send_many::<FEW_SEGMENTS>(queue, socket),
        _ => send_many::<SEGMENTS_PER_SEND>(queue, socket),
    };
    let bytes = match sent {
        Ok(bytes) => bytes,
        Err(Errno::AGAIN) => 0,
        Err(error) => return Err(error),
    };
    queue.advance(bytes);
    Ok(Taken { bytes, short: bytes < given })
}

#[inline]
fn send_one(queue: &Outgoing, socket: BorrowedFd<'_>) -> (usize, Result<usize, Errno>) {
    let bytes = queue.next_send().next().unwrap_or_default();
    let flags = flags(queue, 1, bytes.len());
    (bytes.len(), uninterrupted(|| send(socket, bytes, flags)))
}

#[inline]
fn send_many<const MOST: usize>(queue: &Outgoing, socket: BorrowedFd<'_>) -> (usize, Result<usize, Errno>) {
    let mut vectors = [IoSlice::new(&[]); MOST];
    let (mut used, mut total) = (0, 0);
    for (vector, bytes) in vectors.iter_mut().zip(queue.next_send()) {
        *vector = IoSlice::new(bytes);
        used += 1;
        total += bytes.len();
    }
    let (vectors, flags) = (&vectors[..used], flags(queue, used, total));
    (total, uninterrupted(|| sendmsg(socket, vectors, &mut SendAncillaryBuffer::default(), flags)))
}

/// The flags of a send of this many segments and bytes.
#[inline]
fn flags(queue: &Outgoing, segments: usize, bytes: usize) -> SendFlags {
    let more = if queue.ends_behind(segments, bytes) { SendFlags::MORE } else { SendFlags::empty() };
    SendFlags::NOSIGNAL | SendFlags::DONTWAIT | more
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

/// Empty queues for the next connection that sends.
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
        if self.holders.len() < SPARE_MAX && holder.capacity() <= SPARE_CAPACITY {
            holder.clear();
            self.holders.push(holder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidering_dataplane::io::Segment;
    use sidering_system::queue::BYTES_PER_SEND;
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
            let taken = send_some(&mut outgoing, near.as_fd()).unwrap();
            assert_eq!(taken, Taken { bytes: all.len(), short: false });
            assert!(outgoing.is_empty());
            assert_eq!(read(&mut far, all.len()), all.as_bytes());
        }
    }

    #[test]
    fn a_send_is_bounded_in_segments_and_bytes() {
        let (near, mut far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let mut outgoing = queue(&["x"; SEGMENTS_PER_SEND + 1]);
        assert_eq!(
            send_some(&mut outgoing, near.as_fd()).unwrap(),
            Taken { bytes: SEGMENTS_PER_SEND, short: false }
        );
        assert_eq!(send_some(&mut outgoing, near.as_fd()).unwrap(), Taken { bytes: 1, short: false });
        read(&mut far, SEGMENTS_PER_SEND + 1);

        let large = Rc::new(vec![7; BYTES_PER_SEND + 1]);
        let mut outgoing = Outgoing::default();
        outgoing.push(Segment::Bytes(large.clone()));
        outgoing.push(Segment::Bytes(large));
        let total = 2 * (BYTES_PER_SEND + 1);
        let (mut sent, mut shorts) = (0, 0);
        while sent < total {
            let taken = send_some(&mut outgoing, near.as_fd()).unwrap();
            assert!(taken.bytes <= BYTES_PER_SEND);
            shorts += usize::from(taken.short);
            assert!(read(&mut far, taken.bytes).iter().all(|byte| *byte == 7));
            sent += taken.bytes;
        }
        assert!(outgoing.is_empty() && shorts > 0, "the socket took all of it: nothing was short");
    }
}
