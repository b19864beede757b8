//! One group of receive buffers: how many slots are shown to the kernel, who waits for one, and when memory goes back
//! to the system. It makes no decision about connections: it only names those that may try again.
//!
//! ```text
//!   cold ──► published ──► out (chunks) ──► home ──► published ...
//!    ▲                                       │
//!    └──── not needed for a whole window ◄───┘     (memory given back)
//! ```
//!
//! The kernel takes published buffers in FIFO order, so a large published set would walk through the whole pool and
//! through the cache with it. Therefore few slots are published, the ones that came home last first, and the number
//! follows the demand of single turns.

use std::collections::VecDeque;
use std::io;

use io_uring::IoUring;
use sidering_dataplane::io::Time;

use crate::buffer_ring::BufferRing;
use crate::slot::{RingChunk, SlotPool};

/// Memory that was not needed for this long goes back to the system.
const WINDOW_MICROS: u64 = 1_000_000;

/// The next look when one pass was not enough.
const SHORT_WINDOW_MICROS: u64 = 20_000;

/// Slots given back in one turn at most: each costs a system call, and timers wait meanwhile.
const RETURNED_PER_TURN: usize = 128;

/// Where a slot is, as far as the group has to tell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Cold, home or out.
    Elsewhere,
    /// Published, and backed by memory.
    Published,
    /// Published, not yet touched.
    PublishedCold,
}

/// What was seen since the last look at memory.
struct Window {
    ends: Time,
    least_home: usize,
    most_taken: u32,
}

/// The size and bounds of a group.
#[derive(Clone, Copy)]
pub(crate) struct GroupOptions {
    /// The group's number in the kernel.
    pub(crate) id: u16,
    pub(crate) slot_bytes: u32,
    pub(crate) slots_max: u32,
    /// Slots published while there is little to do; 0 publishes none before `wake`.
    pub(crate) published_initially: u32,
    pub(crate) published_least: u32,
    /// Never more than this.
    pub(crate) published_max: u32,
    /// Whether memory of published slots may be given back: only if the kernel fills buffers during enter alone
    /// (DEFER_TASKRUN), because a buffer filled but not yet reported would be wiped otherwise.
    pub(crate) returns_published: bool,
}

/// A group of slots of one size, its buffer ring, and the receives that wait for it.
pub(crate) struct SlotGroup {
    ring: BufferRing,
    pool: SlotPool,
    options: GroupOptions,
    published: u32,
    published_max: u32,
    target: u32,
    places: Vec<Place>,
    cold: Vec<u16>,
    /// Slots backed by memory: home, out, or published and touched.
    warm: u32,
    /// Indices of connections whose receive found no slot, oldest first. Each connection is listed at most once, so
    /// the connection table bounds it.
    parked: VecDeque<u32>,
    taken: u32,
    window: Window,
}

impl SlotGroup {
    pub(crate) fn new(ring: &IoUring, options: GroupOptions) -> io::Result<SlotGroup> {
        let published_max = options.slots_max.min(options.published_max);
        let entries = published_max.next_power_of_two() as u16;
        let mut group = SlotGroup {
            ring: BufferRing::new(ring, options.id, entries)?,
            pool: SlotPool::new(options.slots_max, options.slot_bytes)?,
            options,
            published: 0,
            published_max,
            target: options.published_initially.min(published_max),
            places: vec![Place::Elsewhere; options.slots_max as usize],
            cold: (0..options.slots_max).rev().map(|slot| slot as u16).collect(),
            warm: 0,
            parked: VecDeque::new(),
            taken: 0,
            window: Window { ends: Time::default(), least_home: 0, most_taken: 0 },
        };
        group.refill();
        Ok(group)
    }

    pub(crate) fn id(&self) -> u16 {
        self.options.id
    }

    /// Slots that chunks refer to.
    #[inline]
    pub(crate) fn slots_out(&self) -> u32 {
        self.pool.out()
    }

    /// Bytes backed by memory, by the group's own account.
    #[inline]
    pub(crate) fn warm_bytes(&self) -> u64 {
        u64::from(self.warm) * u64::from(self.options.slot_bytes)
    }

    /// Bytes backed by memory, as the system sees it.
    pub(crate) fn resident_bytes(&self) -> usize {
        self.pool.resident_bytes()
    }

    /// The chunk of a buffer that the kernel reports as filled.
    #[inline]
    pub(crate) fn take(&mut self, id: u16, length: u32) -> RingChunk {
        let place = &mut self.places[usize::from(id)];
        assert!(*place != Place::Elsewhere, "the kernel filled a buffer that was not published");
        if *place == Place::PublishedCold {
            self.warm += 1;
        }
        *place = Place::Elsewhere;
        self.published -= 1;
        self.taken += 1;
        // SAFETY: the slot was published (checked above), the kernel reports it as filled, and `refill` publishes it
        // again only after it went home.
        unsafe { self.pool.filled(id, length) }
    }

    /// Makes ready for the first receive of a group that publishes nothing while it is unused.
    pub(crate) fn wake(&mut self) {
        self.target = self.target.max(self.options.published_least.min(self.published_max));
    }

    /// A receive found no buffer: shows more of them, and lists the connection for its next try.
    pub(crate) fn park(&mut self, conn: u32) {
        self.grow();
        self.parked.push_back(conn);
    }

    /// The longest parked connection, to be called at most `slots_published` times a turn: what is parked longer than
    /// there are slots would only find none again.
    pub(crate) fn pop_parked(&mut self) -> Option<u32> {
        self.parked.pop_front()
    }

    /// Buffers the kernel can take now.
    #[inline]
    pub(crate) fn slots_published(&self) -> u32 {
        self.published
    }

    /// Whether any connection is listed as parked.
    #[inline]
    pub(crate) fn has_parked(&self) -> bool {
        !self.parked.is_empty()
    }

    fn grow(&mut self) {
        let doubled = (self.target * 2).max(self.options.published_least);
        self.target = doubled.min(self.published_max);
    }

    /// The end of a turn: publishes slots up to the target, all at once.
    #[inline]
    pub(crate) fn refill(&mut self) {
        if self.taken > 0 {
            if self.published < self.target / 4 {
                self.grow();
            }
            self.window.most_taken = self.window.most_taken.max(self.taken);
            self.taken = 0;
        }
        if self.published < self.target {
            self.publish();
        }
        self.window.least_home = self.window.least_home.min(self.pool.home());
    }

    fn publish(&mut self) {
        let before = self.published;
        while self.published < self.target {
            let (slot, place) = match self.pool.pop_home() {
                Some(slot) => (slot, Place::Published),
                None => match self.cold.pop() {
                    Some(slot) => (slot, Place::PublishedCold),
                    None => break,
                },
            };
            // SAFETY: the slot is home or was never out, so no chunk refers to it, and its memory is mapped as long as
            // the pool exists, which outlives the kernel's ring. `published_max` does not exceed the ring's entries.
            unsafe { self.ring.put(slot, self.pool.address(slot), self.options.slot_bytes) };
            self.places[usize::from(slot)] = place;
            self.published += 1;
        }
        if self.published != before {
            self.ring.publish();
        }
    }

    /// When `trim` should be called even if nothing happens; `None` while there is no memory to return.
    #[inline]
    pub(crate) fn next_trim(&self) -> Option<Time> {
        let home = self.pool.home() as u32;
        let published_warm = self.warm - home - self.pool.out();
        let returnable = home > 0 || (self.options.returns_published && published_warm > 0);
        returnable.then_some(self.window.ends)
    }

    /// Gives memory back that a whole window of time did not need, a bounded part of it per call.
    #[inline]
    pub(crate) fn trim(&mut self, now: Time) {
        if now >= self.window.ends {
            self.close_window(now);
        }
    }

    fn close_window(&mut self, now: Time) {
        let unneeded = self.window.least_home;
        for slot in self.pool.take_oldest_home(unneeded.min(RETURNED_PER_TURN)) {
            self.pool.give_back(slot);
            self.cold.push(slot);
            self.warm -= 1;
        }
        if self.window.most_taken * 4 <= self.target {
            self.target = (self.target / 2).max(self.options.published_initially.min(self.published_max));
        }
        let mut complete = unneeded <= RETURNED_PER_TURN;
        if self.window.most_taken == 0 && self.options.returns_published {
            complete &= self.return_published();
        }
        let length = if complete { WINDOW_MICROS } else { SHORT_WINDOW_MICROS };
        self.window = Window {
            ends: Time { micros: now.micros + length },
            least_home: self.pool.home(),
            most_taken: 0,
        };
    }

    /// Returns memory of published slots: they stay published and are backed anew when the kernel fills them. False if
    /// some is left for the next call.
    fn return_published(&mut self) -> bool {
        let mut returned = 0;
        for slot in 0..self.places.len() {
            if self.places[slot] == Place::Published {
                if returned == RETURNED_PER_TURN {
                    return false;
                }
                self.pool.give_back(slot as u16);
                self.places[slot] = Place::PublishedCold;
                self.warm -= 1;
                returned += 1;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(slots_max: u32) -> (IoUring, SlotGroup) {
        let ring = IoUring::new(8).unwrap();
        let options = GroupOptions {
            id: 0,
            slot_bytes: 4096,
            slots_max,
            published_initially: 4,
            published_least: 4,
            published_max: 1024,
            returns_published: true,
        };
        let group = SlotGroup::new(&ring, options).unwrap();
        (ring, group)
    }

    /// Stands for the kernel, which takes buffers in the order they were published.
    fn fill(group: &mut SlotGroup, slot: u16) -> RingChunk {
        group.pool.write_as_the_kernel(slot, &[7]);
        group.take(slot, 1)
    }

    #[test]
    fn the_published_set_grows_with_demand_up_to_the_bound() {
        let (_ring, mut group) = group(10);
        assert_eq!(group.slots_published(), 4);
        let held: Vec<_> = (0..4).map(|slot| fill(&mut group, slot)).collect();
        group.refill();
        assert_eq!((group.target, group.slots_published()), (8, 6));
        group.park(3);
        group.refill();
        assert_eq!((group.target, group.slots_published(), group.slots_out()), (10, 6, 4));
        drop(held);
        group.refill();
        assert_eq!((group.slots_published(), group.slots_out()), (10, 0));
    }

    #[test]
    fn memory_goes_back_after_a_quiet_window() {
        let (_ring, mut group) = group(64);
        let mut held = Vec::new();
        for slot in 0..32 {
            if group.slots_published() == 0 {
                group.refill();
            }
            held.push(fill(&mut group, slot));
            group.refill();
        }
        assert_eq!(group.warm_bytes(), 32 * 4096);
        drop(held);
        group.refill();
        assert!(group.next_trim().is_some());
        for second in 1..8 {
            group.trim(Time { micros: second * 1_000_000 });
            group.refill();
        }
        assert_eq!((group.warm_bytes(), group.resident_bytes()), (0, 0));
        assert!(group.next_trim().is_none());
    }

    #[test]
    #[should_panic(expected = "not published")]
    fn a_buffer_is_not_taken_twice() {
        let (_ring, mut group) = group(8);
        let _first = fill(&mut group, 0);
        group.take(0, 1);
    }
}
