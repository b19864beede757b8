//! A hierarchical timer wheel: insert and cancel in constant time, expiry in order of ticks of one millisecond. It reads
//! no clock: the time is an argument.
//!
//! Six bits of the deadline choose a slot on each of five levels, so the farthest deadline is 64^5 ms (12 days) away;
//! later ones fire then, and their owner sets them again. Deadlines are rounded up: a timer never fires early.

use crate::io::Time;

const LEVELS: usize = 5;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const NONE: u32 = u32::MAX;
const FARTHEST_TICKS: u64 = (1 << (SLOT_BITS * LEVELS as u32)) - 1;
const MICROS_PER_TICK: u64 = 1000;

/// Names a pending timer; void once it fired or was cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimerId {
    index: u32,
    generation: u32,
}

#[derive(Debug)]
struct Entry<T> {
    tick: u64,
    token: T,
    generation: u32,
    previous: u32,
    next: u32,
    /// `level * SLOTS + slot`, `DUE` while waiting to be popped, `FREE` otherwise.
    place: u16,
}

const DUE: u16 = u16::MAX;
const FREE: u16 = u16::MAX - 1;

/// Timers with a small token each.
#[derive(Debug)]
pub struct TimerWheel<T> {
    entries: Vec<Entry<T>>,
    free: u32,
    heads: [[u32; SLOTS]; LEVELS],
    occupied: [u64; LEVELS],
    due: u32,
    tick: u64,
    pending: usize,
}

impl<T: Copy> Default for TimerWheel<T> {
    fn default() -> Self {
        TimerWheel {
            entries: Vec::new(),
            free: NONE,
            heads: [[NONE; SLOTS]; LEVELS],
            occupied: [0; LEVELS],
            due: NONE,
            tick: 0,
            pending: 0,
        }
    }
}

impl<T: Copy> TimerWheel<T> {
    /// Sets a timer. A deadline that is past fires at the next [`pop_due`](Self::pop_due) with a later tick.
    pub fn insert(&mut self, deadline: Time, token: T) -> TimerId {
        let tick = deadline.micros.div_ceil(MICROS_PER_TICK).clamp(self.tick + 1, self.tick + FARTHEST_TICKS);
        let index = self.allocate(tick, token);
        self.place(index);
        self.pending += 1;
        TimerId { index, generation: self.entries[index as usize].generation }
    }

    /// Takes a timer back; `false` if it has fired or was cancelled before.
    pub fn cancel(&mut self, id: TimerId) -> bool {
        let Some(entry) = self.entries.get(id.index as usize) else { return false };
        if entry.generation != id.generation || entry.place == FREE {
            return false;
        }
        self.unlink(id.index);
        self.release(id.index);
        true
    }

    /// The token of one timer whose deadline is not after `now`, removed. Call until it tells `None`.
    pub fn pop_due(&mut self, now: Time) -> Option<T> {
        if self.due == NONE {
            self.advance(now.micros / MICROS_PER_TICK);
        }
        let index = self.due;
        if index == NONE {
            return None;
        }
        let token = self.entries[index as usize].token;
        self.unlink(index);
        self.release(index);
        Some(token)
    }

    /// When [`pop_due`](Self::pop_due) should be called next. May be earlier than the earliest deadline (when timers
    /// move down a level), never later.
    pub fn next_deadline(&self) -> Option<Time> {
        if self.due != NONE {
            return Some(Time { micros: self.tick * MICROS_PER_TICK });
        }
        self.next_slot().map(|(_, _, tick)| Time { micros: tick * MICROS_PER_TICK })
    }

    /// How many timers are pending.
    pub fn len(&self) -> usize {
        self.pending
    }

    /// Whether no timer is pending.
    pub fn is_empty(&self) -> bool {
        self.pending == 0
    }

    fn advance(&mut self, target: u64) {
        while self.due == NONE {
            match self.next_slot() {
                Some((level, slot, tick)) if tick <= target => {
                    self.tick = tick;
                    self.empty_slot(level, slot);
                }
                _ => break,
            }
        }
        if self.due == NONE {
            self.tick = self.tick.max(target);
        }
    }

    /// The next slot to be emptied: its level, its number, and the tick at which it is.
    fn next_slot(&self) -> Option<(usize, usize, u64)> {
        for level in 0..LEVELS {
            let occupied = self.occupied[level];
            if occupied == 0 {
                continue;
            }
            let shift = SLOT_BITS * level as u32;
            let current = (self.tick >> shift) as u32 & (SLOTS as u32 - 1);
            // The slot of the present itself is empty, or a whole lap away (on the topmost level).
            let distance = occupied.rotate_right(current + 1).trailing_zeros() + 1;
            let slot = (current + distance) % SLOTS as u32;
            let round = (self.tick >> shift) & !(SLOTS as u64 - 1);
            let mut tick = (round + u64::from(slot)) << shift;
            if slot <= current {
                tick += (SLOTS as u64) << shift;
            }
            return Some((level, slot as usize, tick));
        }
        None
    }

    /// Moves the timers of a slot whose time has come down a level, or among the due ones.
    fn empty_slot(&mut self, level: usize, slot: usize) {
        let mut index = std::mem::replace(&mut self.heads[level][slot], NONE);
        self.occupied[level] &= !(1 << slot);
        while index != NONE {
            let next = self.entries[index as usize].next;
            self.place(index);
            index = next;
        }
    }

    fn place(&mut self, index: u32) {
        let tick = self.entries[index as usize].tick;
        let (place, head) = if tick <= self.tick {
            (DUE, &mut self.due)
        } else {
            let differing = (self.tick ^ tick) | (SLOTS as u64 - 1);
            let level = ((63 - differing.leading_zeros()) / SLOT_BITS).min(LEVELS as u32 - 1) as usize;
            let slot = (tick >> (SLOT_BITS * level as u32)) as usize & (SLOTS - 1);
            self.occupied[level] |= 1 << slot;
            ((level * SLOTS + slot) as u16, &mut self.heads[level][slot])
        };
        let next = std::mem::replace(head, index);
        if next != NONE {
            self.entries[next as usize].previous = index;
        }
        let entry = &mut self.entries[index as usize];
        entry.place = place;
        entry.previous = NONE;
        entry.next = next;
    }

    fn unlink(&mut self, index: u32) {
        let Entry { previous, next, place, .. } = self.entries[index as usize];
        if next != NONE {
            self.entries[next as usize].previous = previous;
        }
        if previous != NONE {
            self.entries[previous as usize].next = next;
        } else if place == DUE {
            self.due = next;
        } else {
            let (level, slot) = (place as usize / SLOTS, place as usize % SLOTS);
            self.heads[level][slot] = next;
            if next == NONE {
                self.occupied[level] &= !(1 << slot);
            }
        }
    }

    fn allocate(&mut self, tick: u64, token: T) -> u32 {
        if self.free != NONE {
            let index = self.free;
            let entry = &mut self.entries[index as usize];
            self.free = entry.next;
            entry.tick = tick;
            entry.token = token;
            return index;
        }
        let index = self.entries.len() as u32;
        self.entries.push(Entry { tick, token, generation: 0, previous: NONE, next: NONE, place: FREE });
        index
    }

    fn release(&mut self, index: u32) {
        let entry = &mut self.entries[index as usize];
        entry.place = FREE;
        entry.generation = entry.generation.wrapping_add(1);
        entry.next = self.free;
        self.free = index;
        self.pending -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_ms(ms: u64) -> Time {
        Time { micros: ms * 1000 }
    }

    fn drain(wheel: &mut TimerWheel<u64>, now_ms: u64) -> Vec<u64> {
        let mut due: Vec<u64> = std::iter::from_fn(|| wheel.pop_due(at_ms(now_ms))).collect();
        due.sort_unstable();
        due
    }

    #[test]
    fn fires_at_its_tick_and_not_before() {
        for delay in [1, 2, 63, 64, 65, 4095, 4096, 4097, 262_143, 262_144, 262_145, 3_600_000] {
            for start in [0, 1, 63, 64, 1000, 123_456] {
                let mut wheel = TimerWheel::default();
                assert_eq!(drain(&mut wheel, start), [0; 0]);
                wheel.insert(at_ms(start + delay), 7);
                assert_eq!(drain(&mut wheel, start + delay - 1), [0; 0], "{start}+{delay}");
                assert!(wheel.next_deadline().unwrap() <= at_ms(start + delay));
                assert_eq!(drain(&mut wheel, start + delay), [7], "{start}+{delay}");
                assert!(wheel.is_empty());
            }
        }
    }

    #[test]
    fn never_fires_early_within_a_tick() {
        let mut wheel = TimerWheel::default();
        wheel.insert(Time { micros: 1500 }, 1u64);
        assert_eq!(wheel.pop_due(Time { micros: 1999 }), None);
        assert_eq!(wheel.pop_due(Time { micros: 2000 }), Some(1));
    }

    #[test]
    fn a_cancelled_timer_is_gone_and_its_name_is_void() {
        let mut wheel = TimerWheel::default();
        let first = wheel.insert(at_ms(5), 1u64);
        let second = wheel.insert(at_ms(5), 2);
        assert!(wheel.cancel(first));
        assert!(!wheel.cancel(first));
        let third = wheel.insert(at_ms(5), 3);
        assert!(!wheel.cancel(first), "the reused place has another generation");
        assert_eq!(drain(&mut wheel, 5), [2, 3]);
        assert!(!wheel.cancel(second) && !wheel.cancel(third));
    }

    #[test]
    fn agrees_with_a_sorted_list_under_random_use() {
        let mut random = 88_172_645_463_325_252u64;
        let mut step = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        let mut wheel = TimerWheel::default();
        let mut model: Vec<(u64, u64, TimerId)> = vec![];
        let mut now = 0;
        for number in 0..20_000u64 {
            match step() % 4 {
                0 | 1 => {
                    let deadline = now + 1 + step() % (1 << (step() % 24));
                    model.push((deadline, number, wheel.insert(at_ms(deadline), number)));
                }
                2 if !model.is_empty() => {
                    let (_, _, id) = model.swap_remove(step() as usize % model.len());
                    assert!(wheel.cancel(id));
                }
                _ => {
                    now += step() % (1 << (step() % 18));
                    let mut expected: Vec<u64> =
                        model.iter().filter(|(deadline, ..)| *deadline <= now).map(|(_, n, _)| *n).collect();
                    expected.sort_unstable();
                    model.retain(|(deadline, ..)| *deadline > now);
                    assert_eq!(drain(&mut wheel, now), expected);
                    if let Some(earliest) = model.iter().map(|(deadline, ..)| *deadline).min() {
                        let next = wheel.next_deadline().unwrap();
                        assert!(next <= at_ms(earliest) && next > at_ms(now));
                    }
                }
            }
            assert_eq!(wheel.len(), model.len());
        }
    }
}
