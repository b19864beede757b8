//! What is counted of calls by protocol, service and method. The names are one table for all cores, to which entries are only ever
//! added, up to a bound: who is there is found without a lock, and each core counts in places of its own. It knows no call.

use super::counters::Counter;
use super::histogram::Histogram;
use rustc_hash::FxHasher;
use std::hash::Hasher;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

/// Longer names of services or methods are not entered.
pub const NAME_BYTES: usize = 256;
/// Places that are looked at for one name.
const PROBES: usize = 32;

/// A method of a service.
#[derive(Debug)]
pub struct MethodName {
    hash: u64,
    pub protocol: &'static str,
    pub service: Box<[u8]>,
    pub method: Box<[u8]>,
}

impl MethodName {
    fn is(&self, hash: u64, protocol: &str, service: &[u8], method: &[u8]) -> bool {
        self.hash == hash && self.protocol == protocol && *self.service == *service && *self.method == *method
    }
}

/// The names known to all cores.
#[derive(Debug, Default)]
pub struct MethodNames {
    /// A hash table with twice the room, so that most names are found at once.
    places: Box<[OnceLock<MethodName>]>,
    taken: AtomicU32,
    most: u32,
}

impl MethodNames {
    /// Room for so many; with none, nothing is counted.
    pub fn new(most: u32) -> Self {
        let places = if most == 0 { 0 } else { (most as usize * 2).next_power_of_two() };
        MethodNames { places: (0..places).map(|_| OnceLock::new()).collect(), taken: AtomicU32::new(0), most }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.iter().filter(|place| place.get().is_some()).count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The place of a name; one that is not there is entered, if it may and there is room.
    fn place_of(
        &self,
        protocol: &'static str,
        service: &[u8],
        method: &[u8],
        may_enter: bool,
    ) -> Option<u32> {
        let hash = hash_of(protocol, service, method);
        let mask = self.places.len().wrapping_sub(1);
        for step in 0..PROBES.min(self.places.len()) {
            let at = (hash as usize).wrapping_add(step) & mask;
            let name = match self.places[at].get() {
                Some(name) => name,
                None if !may_enter || !self.reserve() => return None,
                None => {
                    let (service, method) = (service.into(), method.into());
                    let own = MethodName { hash, protocol, service, method };
                    if self.places[at].set(own).is_ok() {
                        return Some(at as u32);
                    }
                    // Another core was faster, be it with this name or with another one.
                    self.taken.fetch_sub(1, Ordering::Relaxed);
                    self.places[at].get()?
                }
            };
            if name.is(hash, protocol, service, method) {
                return Some(at as u32);
            }
        }
        None
    }

    fn reserve(&self) -> bool {
        let one_more = |taken: u32| (taken < self.most).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }
}

fn hash_of(protocol: &str, service: &[u8], method: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(service);
    hasher.write(method);
    hasher.write(protocol.as_bytes());
    hasher.finish()
}

/// What one core has counted of a method.
#[derive(Debug, Default)]
pub struct MethodCounters {
    pub requests: Counter,
    /// Answers by the first digit of their status in HTTP's vocabulary, 1..=5. Calls without any are not among them.
    pub responses: [Counter; 5],
    /// From a call's first byte to the last one of its answer.
    pub time: Histogram,
}

/// Which method a call is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MethodPlace(u32);

impl MethodPlace {
    /// Not of any: it is no call, or methods are not counted.
    pub const NONE: Self = MethodPlace(u32::MAX);
    const OTHER: Self = MethodPlace(u32::MAX - 1);
}

/// The counters of one core.
#[derive(Debug, Default)]
pub struct CallCounters {
    names: Arc<MethodNames>,
    /// By the place of the name. This core's only where it has seen such a call.
    methods: Box<[OnceLock<Box<MethodCounters>>]>,
    other: MethodCounters,
}

impl CallCounters {
    /// Of a core that shares the names with others.
    pub fn new(names: &Arc<MethodNames>) -> Self {
        let methods = names.places.iter().map(|_| OnceLock::new()).collect();
        CallCounters { names: Arc::clone(names), methods, other: MethodCounters::default() }
    }

    /// As [`begin`](Self::begin), of a method whose place is known.
    #[inline]
    pub fn begin_at(&self, place: MethodPlace) {
        if let Some(counters) = self.at(place) {
            counters.requests.add(1);
        }
    }

    /// A call begins. A name is entered with its first call that `is_forwarded`: what no route takes may be anything.
    pub fn begin(
        &self,
        protocol: &'static str,
        service: &[u8],
        method: &[u8],
        is_forwarded: bool,
    ) -> MethodPlace {
        if self.methods.is_empty() {
            return MethodPlace::NONE;
        }
        let is_short = service.len() <= NAME_BYTES && method.len() <= NAME_BYTES;
        let known =
            if is_short { self.names.place_of(protocol, service, method, is_forwarded) } else { None };
        let place = known.map_or(MethodPlace::OTHER, MethodPlace);
        if let Some(counters) = self.at(place) {
            counters.requests.add(1);
        }
        place
    }

    /// A call is over; `class` is its status's, if it was answered.
    #[inline]
    pub fn end(&self, place: MethodPlace, class: Option<usize>, micros: u64) {
        let Some(counters) = self.at(place) else { return };
        if let Some(class) = class {
            counters.responses[class].add(1);
        }
        counters.time.record(micros);
    }

    #[inline]
    fn at(&self, place: MethodPlace) -> Option<&MethodCounters> {
        match place {
            MethodPlace::OTHER => Some(&self.other),
            MethodPlace(at) => {
                self.methods.get(at as usize).map(|counters| &**counters.get_or_init(Box::default))
            }
        }
    }

    /// The names, which are all cores'.
    pub fn names(&self) -> &MethodNames {
        &self.names
    }

    /// What this core has counted of each, by place, and of all others.
    pub fn of_place(&self, place: usize) -> Option<&MethodCounters> {
        self.methods.get(place)?.get().map(|counters| &**counters)
    }

    /// What has no name, or no room for it.
    pub fn other(&self) -> &MethodCounters {
        &self.other
    }
}

impl MethodNames {
    /// All names, with their places.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &MethodName)> {
        self.places.iter().enumerate().filter_map(|(at, place)| Some((at, place.get()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn core(most: u32) -> CallCounters {
        CallCounters::new(&Arc::new(MethodNames::new(most)))
    }

    /// Counts a call of this method, and how many names there are then; and how many calls have none.
    fn count(core: &CallCounters, method: &str) -> (usize, u64) {
        let place = core.begin("bolt", b"com.a.Facade", method.as_bytes(), true);
        core.end(place, Some(1), 7);
        (core.names().len(), core.other().requests.get())
    }

    #[test]
    fn names_are_bounded_and_what_is_beyond_is_counted_as_other() {
        let core = core(3);
        assert_eq!(count(&core, "one"), (1, 0));
        assert_eq!(count(&core, "two"), (2, 0));
        assert_eq!(count(&core, "three"), (3, 0));
        assert_eq!(count(&core, "four"), (3, 1));
        assert_eq!(count(&core, "three"), (3, 1), "who is there stays");
        assert_eq!(core.other().responses[1].get(), 1);
        for at in 0..10_000 {
            assert_eq!(count(&core, &format!("random-{at}")), (3, 2 + at));
        }
    }

    #[test]
    fn a_full_table_finds_all_that_it_has() {
        let core = core(1000);
        for round in 0..2 {
            for at in 0..1000 {
                count(&core, &format!("method-{at}"));
            }
            let counted: Vec<u64> = core
                .names()
                .iter()
                .map(|(place, _)| core.of_place(place).map_or(0, |counters| counters.requests.get()))
                .collect();
            // A name may find all its places taken by others: hardly any does.
            assert!(counted.len() >= 990, "{}", counted.len());
            assert!(counted.iter().all(|count| *count == round + 1));
        }
    }

    #[test]
    fn cores_share_names_and_count_apart() {
        let names = Arc::new(MethodNames::new(8));
        let (one, two) = (CallCounters::new(&names), CallCounters::new(&names));
        let place = one.begin("bolt", b"a", b"b", true);
        assert_eq!(two.begin("bolt", b"a", b"b", true), place);
        assert_eq!((names.len(), names.taken.load(Ordering::Relaxed)), (1, 1));
        for (protocol, service, method) in [("dubbo", "a", "b"), ("bolt", "b", "b"), ("bolt", "a", "c")] {
            assert_ne!(one.begin(protocol, service.as_bytes(), method.as_bytes(), true), place);
        }
        let (at, name) = names.iter().find(|(at, _)| MethodPlace(*at as u32) == place).unwrap();
        assert_eq!((name.protocol, &*name.service, &*name.method), ("bolt", &b"a"[..], &b"b"[..]));
        assert_eq!(one.of_place(at).map(|counters| counters.requests.get()), Some(1));
        assert_eq!(two.of_place(at).map(|counters| counters.requests.get()), Some(1));
    }

    #[test]
    fn what_no_route_takes_and_what_is_too_long_gets_no_name() {
        let core = core(8);
        assert_eq!(core.begin("bolt", b"a", b"b", false), MethodPlace::OTHER);
        for (length, is_entered) in [(NAME_BYTES - 1, true), (NAME_BYTES, true), (NAME_BYTES + 1, false)] {
            let long = vec![b'x'; length];
            assert_eq!(core.begin("bolt", &long, b"b", true) != MethodPlace::OTHER, is_entered, "{length}");
            assert_eq!(core.begin("bolt", b"b", &long, true) != MethodPlace::OTHER, is_entered, "{length}");
        }
        assert_eq!(core.names().len(), 4);
        // Once its name is there, a call that is not forwarded is counted under it.
        core.begin("bolt", b"a", b"b", true);
        assert_ne!(core.begin("bolt", b"a", b"b", false), MethodPlace::OTHER);
    }

    #[test]
    fn without_room_nothing_is_counted() {
        let core = core(0);
        let place = core.begin("bolt", b"a", b"b", true);
        core.end(place, Some(1), 1);
        assert_eq!(
            (place, core.other().requests.get(), core.other().time.count()),
            (MethodPlace::NONE, 0, 0)
        );
    }
}
