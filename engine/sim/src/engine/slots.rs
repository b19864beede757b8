//! Receive slots: a bounded pool, and the chunks that view them. A slot is at home, filled but not yet told, or held by
//! chunks; the last chunk that is dropped sends it home.

use sidering_dataplane::io::Chunk;
use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;

#[derive(Debug, Default)]
struct Home {
    /// The memory of slots at home.
    free: Vec<Vec<u8>>,
    /// Slots that are somewhere else.
    out: usize,
    /// The same, by the link whose bytes they have.
    by_link: Vec<u32>,
}

/// The slots of one engine.
#[derive(Debug)]
pub(crate) struct SlotPool {
    home: Rc<RefCell<Home>>,
    slots: usize,
    pub(crate) slot_bytes: usize,
}

/// A slot that has left its home.
#[derive(Debug)]
struct Slot {
    bytes: Vec<u8>,
    link: u32,
    home: Rc<RefCell<Home>>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut home = self.home.borrow_mut();
        assert!(home.out > 0, "a slot came home twice");
        home.out -= 1;
        home.by_link[self.link as usize] -= 1;
        home.free.push(std::mem::take(&mut self.bytes));
    }
}

/// Received bytes: a view of a slot.
#[derive(Clone, Debug)]
pub(crate) struct SimChunk {
    slot: Rc<Slot>,
    start: u32,
    end: u32,
}

impl SlotPool {
    pub(crate) fn new(slots: usize, slot_bytes: usize) -> Self {
        SlotPool { home: Rc::default(), slots, slot_bytes }
    }

    /// The kernel fills a slot with these bytes; `None` if none is at home.
    pub(crate) fn fill(&mut self, link: u32, bytes: &[u8]) -> Option<SimChunk> {
        assert!(!bytes.is_empty() && bytes.len() <= self.slot_bytes, "the kernel overruns a slot");
        let mut home = self.home.borrow_mut();
        if home.out == self.slots {
            return None;
        }
        home.out += 1;
        if home.by_link.len() <= link as usize {
            home.by_link.resize(link as usize + 1, 0);
        }
        home.by_link[link as usize] += 1;
        let mut memory = home.free.pop().unwrap_or_default();
        memory.clear();
        memory.extend_from_slice(bytes);
        let slot = Rc::new(Slot { bytes: memory, link, home: Rc::clone(&self.home) });
        Some(SimChunk { slot, start: 0, end: bytes.len() as u32 })
    }

    /// Slots that are not at home.
    pub(crate) fn out(&self) -> usize {
        self.home.borrow().out
    }

    /// Slots that have bytes of one link.
    pub(crate) fn out_of(&self, link: u32) -> usize {
        self.home.borrow().by_link.get(link as usize).map_or(0, |out| *out as usize)
    }

    /// Slots that the kernel can fill.
    pub(crate) fn at_home(&self) -> usize {
        self.slots - self.out()
    }
}

impl Deref for SimChunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.slot.bytes[self.start as usize..self.end as usize]
    }
}

impl Chunk for SimChunk {
    fn subset(&self, part: &[u8]) -> Self {
        let offset = part.as_ptr().addr().wrapping_sub(self.as_ptr().addr());
        assert!(offset <= self.len() && part.len() <= self.len() - offset, "not a part of this chunk");
        let start = self.start + offset as u32;
        SimChunk { slot: Rc::clone(&self.slot), start, end: start + part.len() as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_goes_home_with_its_last_view() {
        let mut pool = SlotPool::new(1, 16);
        let whole = pool.fill(0, b"head body").unwrap();
        let body = whole.subset(&whole[5..]);
        drop(whole);
        assert_eq!((&*body, pool.out(), pool.at_home()), (&b"body"[..], 1, 0));
        assert!(pool.fill(0, b"x").is_none());
        drop(body);
        assert_eq!(pool.at_home(), 1);
        assert_eq!(&*pool.fill(0, b"y").unwrap(), b"y");
    }
}
