//! The exchanges under way on one connection, by small dense numbers. It knows nothing of what is kept of each.

use crate::codec::StreamId;

/// At most this many exchanges are under way on one connection: as many as the slot bits of a wire id can name.
pub const MAX_STREAMS: usize = 1 << SLOT_BITS;
/// The low bits of a wire id that name the slot; those above it tell exchanges of one slot apart.
pub(super) const SLOT_BITS: u32 = 12;
/// A table that has grown beyond this many gives its memory back once it is empty.
const KEPT_SLOTS: usize = 64;
const NONE: u32 = u32::MAX;

/// A table of exchanges, each with a `T` that is used again together with its slot.
#[derive(Debug)]
pub(super) struct Slots<T> {
    entries: Vec<Entry<T>>,
    first_free: u32,
    used: usize,
    bound: usize,
    /// Of the exchange opened last. One count serves all slots, so that the table may forget them.
    generation: u32,
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    is_used: bool,
    next_free: u32,
    value: T,
}

impl<T: Default> Slots<T> {
    /// A table of at most `bound` exchanges.
    pub(super) fn new(bound: usize) -> Self {
        Slots { entries: Vec::new(), first_free: NONE, used: 0, bound, generation: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.used == 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.used >= self.bound
    }

    /// Opens an exchange, unless the bound is reached. Its value is as the last one of the slot left it.
    #[inline]
    pub(super) fn open(&mut self) -> Option<(StreamId, &mut T)> {
        if self.is_full() {
            return None;
        }
        if self.first_free == NONE {
            self.first_free = self.entries.len() as u32;
            let value = T::default();
            self.entries.push(Entry { generation: 0, is_used: false, next_free: NONE, value });
        }
        let slot = self.first_free;
        let entry = &mut self.entries[slot as usize];
        self.first_free = entry.next_free;
        self.used += 1;
        self.generation = self.generation.wrapping_add(1);
        entry.is_used = true;
        entry.generation = self.generation;
        Some((StreamId::of_slot(slot, self.generation), &mut entry.value))
    }

    #[inline]
    pub(super) fn get(&self, stream: StreamId) -> Option<&T> {
        let entry = self.entries.get(stream.slot() as usize)?;
        (entry.is_used && entry.generation == stream.generation()).then_some(&entry.value)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, stream: StreamId) -> Option<&mut T> {
        let entry = self.entries.get_mut(stream.slot() as usize)?;
        (entry.is_used && entry.generation == stream.generation()).then_some(&mut entry.value)
    }

    /// The exchange that uses this slot now.
    #[inline]
    pub(super) fn of_slot(&mut self, slot: u32) -> Option<(StreamId, &mut T)> {
        let entry = self.entries.get_mut(slot as usize).filter(|entry| entry.is_used)?;
        Some((StreamId::of_slot(slot, entry.generation), &mut entry.value))
    }

    /// Ends an exchange, if it is still under way.
    #[inline]
    pub(super) fn close(&mut self, stream: StreamId) {
        if self.get(stream).is_none() {
            return;
        }
        let entry = &mut self.entries[stream.slot() as usize];
        entry.is_used = false;
        entry.next_free = self.first_free;
        self.first_free = stream.slot();
        self.used -= 1;
        if self.used == 0 && self.entries.len() > KEPT_SLOTS {
            self.entries = Vec::new();
            self.first_free = NONE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT_SLOTS, Slots};
    use crate::codec::StreamId;

    #[test]
    fn a_table_holds_its_bound_and_no_more() {
        let mut slots = Slots::<u8>::new(3);
        for (opened, fits) in [(1, true), (2, true), (3, true), (4, false)] {
            assert_eq!(slots.open().is_some(), fits, "{opened}");
        }
        assert!(slots.is_full());
        let (second, _) = slots.of_slot(1).unwrap();
        slots.close(second);
        let (stream, _) = slots.open().unwrap();
        assert_eq!(stream.slot(), 1, "a free slot is used again");
        assert!(slots.open().is_none());
    }

    #[test]
    fn an_old_name_finds_nothing_even_after_the_table_has_shrunk() {
        let mut slots = Slots::<u8>::new(1000);
        let streams: Vec<StreamId> = (0..=KEPT_SLOTS).map(|_| slots.open().unwrap().0).collect();
        for stream in &streams {
            slots.close(*stream);
            slots.close(*stream);
        }
        assert!(slots.is_empty());
        assert_eq!(slots.entries.capacity(), 0);
        let (stream, _) = slots.open().unwrap();
        assert!(!streams.contains(&stream));
        assert!(streams.iter().all(|&stream| slots.get(stream).is_none()));
        assert!(slots.get(StreamId::default()).is_none());
    }
}
