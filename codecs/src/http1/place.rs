//! Where a part of a head stands, in half the size of a `Range<usize>`: layouts are moved about once per message. It
//! checks nothing.

use super::fields::offset_in;

/// Offsets of a part's first byte and of the byte behind it. A head is shorter than 4 GiB by its bound.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Place {
    start: u32,
    end: u32,
}

impl Place {
    /// The place `start..end`.
    pub(super) fn new(start: usize, end: usize) -> Self {
        Place { start: start as u32, end: end as u32 }
    }

    /// The place of `part`, which is a slice of `bytes`.
    pub(super) fn of_part(bytes: &[u8], part: &[u8]) -> Self {
        let start = offset_in(bytes, part);
        Place::new(start, start + part.len())
    }

    /// Offset of the first byte.
    pub(super) fn start(self) -> usize {
        self.start as usize
    }

    /// Offset behind the last byte.
    pub(super) fn end(self) -> usize {
        self.end as usize
    }

    /// The number of bytes.
    pub(super) fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// The part of `bytes` that stands there.
    pub(super) fn in_bytes(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start()..self.end()]
    }
}
