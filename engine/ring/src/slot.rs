//! Buffer slots and the chunks that view them: who holds a slot, and how it goes home. It does not know the kernel.
//!
//! ```text
//!   home ──(published, filled by the kernel)──► take: references = 1 ──► clones and subsets come and go
//!    ▲                                                                              │
//!    └───────────────────── the last chunk is dropped: references = 0 ◄─────────────┘
//! ```
//!
//! Everything here belongs to one thread: counts are plain cells, and neither the pool nor a chunk can be sent.

use std::cell::{Cell, RefCell};
use std::io;
use std::ops::Deref;
use std::ptr::NonNull;

use sidering_dataplane::io::Chunk;

use crate::mapping::Mapping;
use crate::poison::{poison, unpoison};

/// The keeper of one slot's count. Its address is stable as long as its pool exists.
struct SlotHeader {
    references: Cell<u32>,
    index: u32,
    /// Where the slot's bytes begin.
    bytes: NonNull<u8>,
    pool: NonNull<PoolCore>,
}

/// What chunks and the pool share.
struct PoolCore {
    /// Slots that came home, the last one on top: it is the one most likely still in the cache. Its capacity is the
    /// number of slots, so that a push never allocates.
    free: RefCell<Vec<u16>>,
    /// Slots that a chunk refers to.
    out: Cell<u32>,
    headers: Vec<SlotHeader>,
    mapping: Mapping,
    slot_bytes: u32,
}

impl PoolCore {
    #[inline]
    fn release(&self, index: u32) {
        self.out.set(self.out.get() - 1);
        poison(self.headers[index as usize].bytes, self.slot_bytes as usize);
        self.free.borrow_mut().push(index as u16);
    }
}

/// A bounded pool of equal slots in one mapping.
pub(crate) struct SlotPool {
    core: NonNull<PoolCore>,
    slot_bytes: u32,
}

impl SlotPool {
    /// Reserves address space for `slots` (at most 65,536) of `slot_bytes` (whole pages) each; no memory is touched.
    pub(crate) fn new(slots: u32, slot_bytes: u32) -> io::Result<SlotPool> {
        assert!(slots <= 1 << 16, "slot numbers have 16 bits");
        let mapping = Mapping::new(slots as usize * slot_bytes as usize)?;
        let base = mapping.base();
        poison(base, slots as usize * slot_bytes as usize);
        let core = NonNull::from(Box::leak(Box::new(PoolCore {
            free: RefCell::new(Vec::with_capacity(slots as usize)),
            out: Cell::new(0),
            headers: Vec::with_capacity(slots as usize),
            mapping,
            slot_bytes,
        })));
        for index in 0..slots {
            // SAFETY: index * slot_bytes lies within the mapping of slots * slot_bytes bytes.
            let bytes = unsafe { base.add(index as usize * slot_bytes as usize) };
            let header = SlotHeader { references: Cell::new(0), index, bytes, pool: core };
            // SAFETY: the core was allocated above and nobody else refers to it yet. The vector has the capacity, so
            // that headers do not move.
            unsafe { (*core.as_ptr()).headers.push(header) };
        }
        Ok(SlotPool { core, slot_bytes })
    }

    #[inline]
    fn core(&self) -> &PoolCore {
        // SAFETY: the core is freed by our own drop at the earliest, and after `new` only shared references to it exist.
        unsafe { self.core.as_ref() }
    }

    /// Slots that chunks refer to.
    #[inline]
    pub(crate) fn out(&self) -> u32 {
        self.core().out.get()
    }

    /// Slots that came home and wait for their next use.
    #[inline]
    pub(crate) fn home(&self) -> usize {
        self.core().free.borrow().len()
    }

    /// The slot that came home last.
    #[inline]
    pub(crate) fn pop_home(&self) -> Option<u16> {
        self.core().free.borrow_mut().pop()
    }

    /// Takes the `count` slots that have been home the longest.
    pub(crate) fn take_oldest_home(&self, count: usize) -> Vec<u16> {
        let mut free = self.core().free.borrow_mut();
        let count = count.min(free.len());
        free.drain(..count).collect()
    }

    /// Where a slot's bytes begin.
    #[inline]
    pub(crate) fn address(&self, slot: u16) -> NonNull<u8> {
        self.core().headers[usize::from(slot)].bytes
    }

    /// Gives a slot's memory back to the system. No chunk may refer to it.
    pub(crate) fn give_back(&self, slot: u16) {
        debug_assert_eq!(self.core().headers[usize::from(slot)].references.get(), 0);
        self.core().mapping.give_back(usize::from(slot) * self.slot_bytes as usize, self.slot_bytes as usize);
    }

    /// Bytes of slot memory backed now.
    pub(crate) fn resident_bytes(&self) -> usize {
        self.core().mapping.resident_bytes()
    }

    /// Fills a slot as the kernel does, which no sanitizer watches.
    #[cfg(test)]
    pub(crate) fn write_as_the_kernel(&self, slot: u16, text: &[u8]) {
        assert!(text.len() <= self.slot_bytes as usize);
        unpoison(self.address(slot), text.len());
        // SAFETY: the text fits into the slot, which lies in the mapping.
        unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), self.address(slot).as_ptr(), text.len()) };
        poison(self.address(slot), text.len());
    }

    /// The first chunk of a slot whose first `length` bytes the kernel has filled.
    ///
    /// # Safety
    /// The slot must have been published to the kernel and now be reported as filled, and not be published again
    /// before its last chunk is dropped (it is not home until then).
    #[inline]
    pub(crate) unsafe fn filled(&self, slot: u16, length: u32) -> RingChunk {
        let core = self.core();
        let header = &core.headers[usize::from(slot)];
        assert_eq!(header.references.get(), 0, "slot {slot} was filled while chunks still refer to it");
        header.references.set(1);
        core.out.set(core.out.get() + 1);
        let length = length.min(self.slot_bytes);
        unpoison(header.bytes, length as usize);
        RingChunk { slot: NonNull::from(header), start: 0, length }
    }
}

impl Drop for SlotPool {
    /// Chunks that are still out keep everything: memory is leaked rather than freed under somebody's view.
    fn drop(&mut self) {
        if self.out() == 0 {
            // SAFETY: the core came from a box in `new`, this is its only owner, and no chunk refers to it any more.
            drop(unsafe { Box::from_raw(self.core.as_ptr()) });
        }
    }
}

/// Received bytes: a view of a slot of the ring's pool, 16 bytes small. Cloning and dropping is a plain count; the
/// last drop sends the slot home. It belongs to its ring's thread.
pub struct RingChunk {
    slot: NonNull<SlotHeader>,
    start: u32,
    length: u32,
}

impl RingChunk {
    #[inline]
    fn header(&self) -> &SlotHeader {
        // SAFETY: while a chunk exists its slot is out, and a pool with slots out is never freed.
        unsafe { self.slot.as_ref() }
    }
}

impl Deref for RingChunk {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: start + length lies within the slot (kept by `filled` and `subset`). The kernel wrote these bytes
        // before it reported them and writes the slot again only after it went home and was published anew; nobody
        // else ever writes it.
        unsafe {
            let start = self.header().bytes.as_ptr().add(self.start as usize);
            std::slice::from_raw_parts(start, self.length as usize)
        }
    }
}

impl Chunk for RingChunk {
    #[inline]
    fn subset(&self, part: &[u8]) -> RingChunk {
        let offset = (part.as_ptr() as usize).wrapping_sub(self.as_ptr() as usize);
        let fits = offset <= self.len() && part.len() <= self.len() - offset;
        assert!(fits, "not a part of this chunk");
        let mut subset = self.clone();
        subset.start += offset as u32;
        subset.length = part.len() as u32;
        subset
    }
}

impl Clone for RingChunk {
    #[inline]
    fn clone(&self) -> RingChunk {
        let references = &self.header().references;
        // Forgotten clones could wrap the count around and free a slot in use: stop instead.
        references.set(references.get().checked_add(1).expect("too many chunks of one slot"));
        RingChunk { slot: self.slot, start: self.start, length: self.length }
    }
}

impl Drop for RingChunk {
    #[inline]
    fn drop(&mut self) {
        let header = self.header();
        let left = header.references.get() - 1;
        header.references.set(left);
        if left == 0 {
            // SAFETY: this slot is out, so the pool has not been freed.
            unsafe { header.pool.as_ref() }.release(header.index);
        }
    }
}

impl std::fmt::Debug for RingChunk {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "RingChunk(slot {}, {}+{})", self.header().index, self.start, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(pool: &SlotPool, slot: u16, text: &[u8]) -> RingChunk {
        pool.write_as_the_kernel(slot, text);
        // SAFETY: the slot is home and filled.
        unsafe { pool.filled(slot, text.len() as u32) }
    }

    #[test]
    fn a_slot_goes_home_once_with_its_last_view() {
        let pool = SlotPool::new(2, 4096).unwrap();
        let whole = filled(&pool, 1, b"head\r\n\r\nbody");
        let body = whole.subset(&whole[8..]);
        assert_eq!((&*body, pool.out(), pool.home()), (&b"body"[..], 1, 0));
        let tail = body.subset(&body[4..]);
        assert!(tail.is_empty());
        drop(whole);
        drop(tail);
        assert_eq!(&*body.clone(), b"body");
        assert_eq!(pool.home(), 0);
        drop(body);
        assert_eq!((pool.out(), pool.pop_home(), pool.pop_home()), (0, Some(1), None));
    }

    #[test]
    #[should_panic(expected = "not a part of this chunk")]
    fn a_foreign_slice_is_no_subset() {
        let pool = SlotPool::new(2, 4096).unwrap();
        let (one, other) = (filled(&pool, 0, b"one"), filled(&pool, 1, b"other"));
        let _ = one.subset(&other[..2]);
    }

    #[test]
    fn a_chunk_may_outlive_its_pool() {
        let pool = SlotPool::new(1, 4096).unwrap();
        let core = pool.core;
        let chunk = filled(&pool, 0, b"still here");
        drop(pool);
        assert_eq!(&*chunk, b"still here");
        drop(chunk);
        // SAFETY: the pool has left its core to the chunk, which is gone. Taken back here so that every other leak shows.
        drop(unsafe { Box::from_raw(core.as_ptr()) });
    }

    #[test]
    fn a_chunk_is_two_words() {
        assert_eq!(size_of::<RingChunk>(), 16);
    }
}
