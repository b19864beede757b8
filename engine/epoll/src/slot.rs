//! Buffer slots and the chunks that view them: who holds a slot, and how it goes home. It receives nothing.
//!
//! ```text
//!   free list ──take──► Slot (one owner, writable) ──filled──► EpollChunk ──► clones and subsets come and go
//!    ▲                                                                            │
//!    └──────────────── the last view is dropped: its count goes home ◄────────────┘
//! ```

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::rc::Rc;

use sidering_dataplane::io::Chunk;

/// One buffer.
pub(crate) struct Slot {
    bytes: Box<[u8]>,
    pool: Rc<Home>,
}

/// Where slots go when nobody views them any more.
struct Home {
    /// The last one on top: it is the one most likely still in the cache.
    free: RefCell<Vec<Rc<Slot>>>,
    /// The pool is gone: slots are freed rather than kept.
    closed: Cell<bool>,
}

/// A bounded pool of equal slots. Their memory is taken when needed, and given back by `free_oldest` alone.
pub(crate) struct SlotPool {
    home: Rc<Home>,
    slot_bytes: u32,
    slots_max: u32,
    /// Slots that exist: out, or at home.
    made: u32,
}

impl SlotPool {
    pub(crate) fn new(slots_max: u32, slot_bytes: u32) -> SlotPool {
        let home = Home { free: RefCell::new(Vec::new()), closed: Cell::new(false) };
        SlotPool { home: Rc::new(home), slot_bytes, slots_max, made: 0 }
    }

    /// The slot that came home last, or a new one; `None` when all are out.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<Rc<Slot>> {
        let free = self.home.free.borrow_mut().pop();
        free.or_else(|| self.make())
    }

    #[cold]
    fn make(&mut self) -> Option<Rc<Slot>> {
        if self.made == self.slots_max {
            return None;
        }
        self.made += 1;
        let bytes = vec![0; self.slot_bytes as usize].into_boxed_slice();
        Some(Rc::new(Slot { bytes, pool: self.home.clone() }))
    }

    /// Takes an unused slot back.
    #[inline]
    pub(crate) fn give_back(&self, slot: Rc<Slot>) {
        self.home.free.borrow_mut().push(slot);
    }

    /// Slots that chunks refer to.
    #[inline]
    pub(crate) fn out(&self) -> u32 {
        self.made - self.home() as u32
    }

    /// Slots that wait for their next use.
    #[inline]
    pub(crate) fn home(&self) -> usize {
        self.home.free.borrow().len()
    }

    /// Slots that can be taken now.
    pub(crate) fn available(&self) -> u32 {
        self.slots_max - self.out()
    }

    /// Bytes of memory that slots have now.
    #[inline]
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.made) * u64::from(self.slot_bytes)
    }

    /// Frees those that have been home the longest.
    pub(crate) fn free_oldest(&mut self, count: usize) {
        let mut free = self.home.free.borrow_mut();
        let count = count.min(free.len());
        free.drain(..count);
        self.made -= count as u32;
    }
}

impl Drop for SlotPool {
    /// Slots at home refer to their home: both would live on. Those still out are freed with their last view.
    fn drop(&mut self) {
        self.home.closed.set(true);
        let free = std::mem::take(&mut *self.home.free.borrow_mut());
        drop(free);
    }
}

/// The bytes of a slot that nobody views, to be written.
#[inline]
pub(crate) fn writable(slot: &mut Rc<Slot>) -> &mut [u8] {
    // A slot from `take` has one owner. If it had not, nothing would be received rather than somebody's bytes changed.
    Rc::get_mut(slot).map_or(&mut [], |slot| &mut slot.bytes)
}

/// Received bytes: a view of a slot, 16 bytes small. The last view sends the slot home when it is dropped.
pub struct EpollChunk {
    slot: Rc<Slot>,
    start: u32,
    length: u32,
}

impl EpollChunk {
    /// The first view of a slot: its first `length` bytes.
    #[inline]
    pub(crate) fn filled(slot: Rc<Slot>, length: usize) -> EpollChunk {
        EpollChunk { slot, start: 0, length: length as u32 }
    }
}

impl Deref for EpollChunk {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.slot.bytes[self.start as usize..][..self.length as usize]
    }
}

impl Chunk for EpollChunk {
    #[inline]
    fn subset(&self, part: &[u8]) -> EpollChunk {
        let offset = (part.as_ptr() as usize).wrapping_sub(self.as_ptr() as usize);
        let fits = offset <= self.len() && part.len() <= self.len() - offset;
        assert!(fits, "not a part of this chunk");
        EpollChunk { slot: self.slot.clone(), start: self.start + offset as u32, length: part.len() as u32 }
    }
}

impl Clone for EpollChunk {
    #[inline]
    fn clone(&self) -> EpollChunk {
        EpollChunk { slot: self.slot.clone(), start: self.start, length: self.length }
    }
}

impl Drop for EpollChunk {
    #[inline]
    fn drop(&mut self) {
        if Rc::strong_count(&self.slot) == 1 && !self.slot.pool.closed.get() {
            self.slot.pool.free.borrow_mut().push(self.slot.clone());
        }
    }
}

impl std::fmt::Debug for EpollChunk {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "EpollChunk({}+{})", self.start, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(pool: &mut SlotPool, text: &[u8]) -> EpollChunk {
        let mut slot = pool.take().unwrap();
        writable(&mut slot)[..text.len()].copy_from_slice(text);
        EpollChunk::filled(slot, text.len())
    }

    #[test]
    fn a_slot_goes_home_once_with_its_last_view() {
        let mut pool = SlotPool::new(2, 4096);
        let whole = filled(&mut pool, b"head\r\n\r\nbody");
        let body = whole.subset(&whole[8..]);
        assert_eq!((&*body, pool.out(), pool.home()), (&b"body"[..], 1, 0));
        let tail = body.subset(&body[4..]);
        assert!(tail.is_empty());
        drop(whole);
        drop(tail);
        assert_eq!(&*body.clone(), b"body");
        assert_eq!(pool.home(), 0);
        drop(body);
        assert_eq!((pool.out(), pool.home()), (0, 1));
        // It is the same memory that is written again.
        let mut slot = pool.take().unwrap();
        assert_eq!(&writable(&mut slot)[..4], b"head");
    }

    #[test]
    fn the_pool_is_bounded_and_frees_what_is_home() {
        let mut pool = SlotPool::new(2, 64);
        let one = filled(&mut pool, b"one");
        let two = filled(&mut pool, b"two");
        assert!(pool.take().is_none());
        assert_eq!((pool.available(), pool.bytes()), (0, 128));
        drop(one);
        assert_eq!(pool.available(), 1);
        pool.free_oldest(5);
        assert_eq!((pool.available(), pool.bytes(), pool.home()), (1, 64, 0));
        drop(two);
        pool.free_oldest(1);
        assert_eq!((pool.available(), pool.bytes()), (2, 0));
    }

    #[test]
    #[should_panic(expected = "not a part of this chunk")]
    fn a_foreign_slice_is_no_subset() {
        let mut pool = SlotPool::new(2, 4096);
        let (one, other) = (filled(&mut pool, b"one"), filled(&mut pool, b"other"));
        let _ = one.subset(&other[..2]);
    }

    #[test]
    fn a_chunk_may_outlive_its_pool_and_keeps_nothing_alive_but_its_slot() {
        let mut pool = SlotPool::new(2, 4096);
        let chunk = filled(&mut pool, b"still here");
        drop(filled(&mut pool, b"home"));
        let home = Rc::downgrade(&pool.home);
        drop(pool);
        assert_eq!(&*chunk, b"still here");
        drop(chunk);
        assert!(home.upgrade().is_none(), "the pool's memory is lost");
    }

    #[test]
    fn a_chunk_is_two_words() {
        assert_eq!(size_of::<EpollChunk>(), 16);
    }
}
