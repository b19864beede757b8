//! One group of receive buffers: its pool, who waits for a slot, and when memory goes back to the system. It makes no
//! decision about connections: it only names those that may try again.

use std::collections::VecDeque;
use std::rc::Rc;

use sidering_dataplane::io::Time;

use crate::slot::{Slot, SlotPool};

/// Memory that was not needed for this long goes back to the system.
const WINDOW_MICROS: u64 = 1_000_000;

/// The next look when one pass was not enough.
const SHORT_WINDOW_MICROS: u64 = 20_000;

/// Slots freed in one turn at most: timers wait meanwhile.
const FREED_PER_TURN: usize = 128;

/// A pool of slots of one size, and the receives that wait for it.
pub(crate) struct SlotGroup {
    pool: SlotPool,
    slot_bytes: u32,
    /// Indices of connections whose receive found no slot, oldest first. Each connection is listed at most once, so
    /// the connection table bounds it.
    parked: VecDeque<u32>,
    /// When memory is looked at next, and the fewest slots that were home since the last look.
    window_ends: Time,
    least_home: usize,
}

impl SlotGroup {
    pub(crate) fn new(slots_max: u32, slot_bytes: u32) -> SlotGroup {
        SlotGroup {
            pool: SlotPool::new(slots_max, slot_bytes),
            slot_bytes,
            parked: VecDeque::new(),
            window_ends: Time::default(),
            least_home: 0,
        }
    }

    /// Bytes of each slot.
    #[inline]
    pub(crate) fn slot_bytes(&self) -> usize {
        self.slot_bytes as usize
    }

    #[inline]
    pub(crate) fn take(&mut self) -> Option<Rc<Slot>> {
        let slot = self.pool.take();
        self.least_home = self.least_home.min(self.pool.home());
        slot
    }

    #[inline]
    pub(crate) fn give_back(&mut self, slot: Rc<Slot>) {
        self.pool.give_back(slot);
    }

    /// Slots that chunks refer to.
    #[inline]
    pub(crate) fn slots_out(&self) -> u32 {
        self.pool.out()
    }

    /// Bytes of memory that slots have.
    #[inline]
    pub(crate) fn bytes(&self) -> u64 {
        self.pool.bytes()
    }

    /// A receive found no slot: lists the connection for its next try.
    pub(crate) fn park(&mut self, conn: u32) {
        self.parked.push_back(conn);
    }

    /// The longest parked connection.
    pub(crate) fn pop_parked(&mut self) -> Option<u32> {
        self.parked.pop_front()
    }

    /// Whether any connection is listed as parked.
    #[inline]
    pub(crate) fn has_parked(&self) -> bool {
        !self.parked.is_empty()
    }

    /// Slots that can be taken now.
    pub(crate) fn available(&self) -> u32 {
        self.pool.available()
    }

    /// When `trim` should be called even if nothing happens; `None` while there is no memory to give back.
    #[inline]
    pub(crate) fn next_trim(&self) -> Option<Time> {
        (self.pool.home() > 0).then_some(self.window_ends)
    }

    /// Gives memory back that a whole window of time did not need, a bounded part of it per call.
    #[inline]
    pub(crate) fn trim(&mut self, now: Time) {
        if now >= self.window_ends {
            self.close_window(now);
        }
    }

    #[cold]
    fn close_window(&mut self, now: Time) {
        let unneeded = self.least_home;
        self.pool.free_oldest(unneeded.min(FREED_PER_TURN));
        let length = if unneeded <= FREED_PER_TURN { WINDOW_MICROS } else { SHORT_WINDOW_MICROS };
        self.window_ends = Time { micros: now.micros + length };
        self.least_home = self.pool.home();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::EpollChunk;

    #[test]
    fn memory_goes_back_after_a_quiet_window_and_stays_while_it_is_used() {
        let mut group = SlotGroup::new(400, 1024);
        let held: Vec<_> = (0..300).map(|_| EpollChunk::filled(group.take().unwrap(), 1)).collect();
        assert_eq!((group.slots_out(), group.next_trim()), (300, None));
        drop(held);
        let mut now = Time { micros: 5 };
        group.trim(now);
        assert_eq!(group.bytes(), 300 * 1024, "they have only just come home");
        // One slot in use at a time keeps one of them warm.
        for _ in 0..10 {
            let slot = group.take().unwrap();
            group.give_back(slot);
            now = group.next_trim().unwrap();
            group.trim(now);
        }
        assert_eq!(group.bytes(), 1024);
        for _ in 0..2 {
            now = group.next_trim().unwrap_or(now);
            group.trim(now);
        }
        assert_eq!((group.bytes(), group.next_trim()), (0, None));
    }
}
