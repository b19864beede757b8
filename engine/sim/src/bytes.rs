//! Bytes in flight, first in, first out; and the patterns that bodies are made of.

use std::sync::LazyLock;

/// A queue of bytes whose front can be looked at in one piece.
#[derive(Debug, Default)]
pub(crate) struct ByteQueue {
    bytes: Vec<u8>,
    start: usize,
}

impl ByteQueue {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Everything that is there.
    pub(crate) fn peek(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 && (self.is_empty() || self.start > self.bytes.len() / 2) {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Drops bytes from the front.
    pub(crate) fn consume(&mut self, length: usize) {
        self.start += length;
        debug_assert!(self.start <= self.bytes.len());
    }

    /// Keeps this many bytes of the front.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.bytes.truncate(self.start + length);
    }
}

/// The longest body there is.
pub(crate) const LONGEST_BODY: usize = 1_500_000;
const STARTS: usize = 65_521;

/// Bytes without a short period, made once: most of a run would be making and comparing them.
static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    (0..LONGEST_BODY + STARTS).map(|at| 33 + ((at ^ (at / 90) ^ (at / 8_191)) % 90) as u8).collect()
});

/// What a body is for; the same tag has other bytes in each of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    Request,
    Answer,
    TunnelUp,
    TunnelDown,
}

/// The bytes of a body from `offset` on.
pub(crate) fn pattern(tag: u32, purpose: Purpose, offset: usize, length: usize) -> &'static [u8] {
    let start = (tag as usize * 13 + purpose as usize * 16_381) % STARTS;
    &BYTES[start + offset..start + offset + length]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_keeps_its_order_over_many_turns() {
        let (mut queue, mut next, mut expected) = (ByteQueue::default(), 0u8, 0u8);
        for step in 0..1000usize {
            let piece: Vec<u8> = (0..step % 7)
                .map(|_| {
                    next = next.wrapping_add(1);
                    next
                })
                .collect();
            queue.push(&piece);
            for _ in 0..(step % 5).min(queue.len()) {
                expected = expected.wrapping_add(1);
                assert_eq!(queue.peek()[0], expected);
                queue.consume(1);
            }
        }
        let left = queue.len();
        queue.truncate(2.min(left));
        assert_eq!(queue.len(), 2.min(left));
    }

    #[test]
    fn neighbouring_tags_differ_soon() {
        for tag in 0..200 {
            let of = |tag, purpose| pattern(tag, purpose, 0, 16);
            assert_ne!(of(tag, Purpose::Answer), of(tag + 1, Purpose::Answer));
            assert_ne!(of(tag, Purpose::Answer), of(tag, Purpose::Request));
        }
    }
}
