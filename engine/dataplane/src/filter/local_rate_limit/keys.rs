//! The buckets of a descriptor that has one for every value, on one core: a table with a bound.
//!
//! At the bound a value's bucket makes room if it says nothing a new one would not: full, and of the size that it began
//! with. If none of those looked at can go, values that have no bucket share one.

use super::bucket::{Bucket, Kind, Share};
use super::config::Limit;
use crate::io::Time;
use std::collections::HashMap;
use std::rc::Rc;
use twox_hash::XxHash64;

/// Buckets looked at to make room for one.
const LOOKS: usize = 8;

/// Buckets by value.
#[derive(Debug, Default)]
pub(super) struct Keys {
    places: HashMap<Rc<[u8]>, u32>,
    entries: Vec<Entry>,
    /// Where the next search for one that may go begins.
    hand: usize,
}

#[derive(Debug)]
struct Entry {
    key: Rc<[u8]>,
    initial: Share,
    bucket: Bucket,
}

/// What varies which core has what of a value's bucket cannot be divided: the same on all cores.
pub fn salt(key: &[u8]) -> u64 {
    if key.is_empty() { 0 } else { XxHash64::oneshot(0, key) }
}

impl Keys {
    /// The place of a value's bucket, which is made if it is not there; `None`: there is no room.
    pub(super) fn place(&mut self, key: &[u8], limit: &Limit, on: &Core, now: Time) -> Option<u32> {
        if let Some(place) = self.places.get(key) {
            return Some(*place);
        }
        let at = if self.entries.len() < on.most_keys as usize {
            self.entries.len()
        } else {
            self.make_room(now)?
        };
        let initial = Share::initial(limit, on.core, on.cores, salt(key));
        let key: Rc<[u8]> = Rc::from(key);
        let entry =
            Entry { key: Rc::clone(&key), initial, bucket: Bucket::new(limit, Kind::Tokens, initial, now) };
        match self.entries.get_mut(at) {
            Some(place) => *place = entry,
            None => self.entries.push(entry),
        }
        self.places.insert(key, at as u32);
        Some(at as u32)
    }

    fn make_room(&mut self, now: Time) -> Option<usize> {
        for _ in 0..LOOKS.min(self.entries.len()) {
            let at = self.hand;
            self.hand = (self.hand + 1) % self.entries.len();
            let Entry { key, initial, bucket } = &mut self.entries[at];
            if bucket.share == *initial && bucket.tokens(now) == initial.max_tokens && bucket.demand(now) == 0
            {
                self.places.remove(key);
                return Some(at);
            }
        }
        None
    }

    pub(super) fn find(&self, key: &[u8]) -> Option<u32> {
        self.places.get(key).copied()
    }

    pub(super) fn bucket(&mut self, place: u32) -> Option<&mut Bucket> {
        self.entries.get_mut(place as usize).map(|entry| &mut entry.bucket)
    }

    pub(super) fn key(&self, place: u32) -> &[u8] {
        self.entries.get(place as usize).map(|entry| &*entry.key).unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// Where a table is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Core {
    pub(super) core: u32,
    pub(super) cores: u32,
    pub(super) most_keys: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { max_tokens: 4, tokens_per_fill: 4, fill_interval_ms: 100 };

    fn place(keys: &mut Keys, key: u32, now: Time) -> Option<u32> {
        let on = Core { core: 0, cores: 1, most_keys: 3 };
        let place = keys.place(&key.to_be_bytes(), &LIMIT, &on, now)?;
        keys.bucket(place)?.note_asked(now);
        keys.bucket(place)?.take();
        Some(place)
    }

    #[test]
    fn at_the_bound_only_those_make_room_that_nothing_is_known_of() {
        let (mut keys, now) = (Keys::default(), Time::default());
        // Bound - 1, bound, and beyond it.
        let places: Vec<_> = (0..4).map(|key| place(&mut keys, key, now)).collect();
        assert_eq!(places, [Some(0), Some(1), Some(2), None]);
        assert_eq!(place(&mut keys, 1, now), Some(1));
        // Full again, but used a moment ago; then not used either.
        assert_eq!(place(&mut keys, 3, now.after_ms(100)), None);
        let later = now.after_ms(300);
        assert_eq!(place(&mut keys, 3, later), Some(0));
        assert_eq!(keys.find(&0_u32.to_be_bytes()), None);
        // One whose share is not what it began with stays.
        keys.bucket(1).unwrap().change(Share::default(), 0, later);
        assert_eq!(place(&mut keys, 4, later), Some(2));
        assert_eq!(place(&mut keys, 5, later), None);
        assert_eq!(keys.len(), 3);
    }
}
