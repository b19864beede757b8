//! Maglev: a table of fixed size in which every endpoint has entries by its weight, and a request's hash is an index.
//! Filled as Envoy fills it, so that both send a request to the same endpoint.
//!
//! Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4.

use super::hash_key::{hash, hash_key};
use crate::config::Endpoint;

/// Entries of a table: a prime, and Envoy's default. With two bytes each a table takes 128 KiB.
pub const TABLE_SIZE: usize = 65_537;
/// Endpoints beyond these would find no entry anyway, and get none.
pub const LARGEST_COUNT: usize = 65_536;

/// A table; it never changes.
#[derive(Debug)]
pub struct Maglev {
    /// Empty if there is no endpoint.
    entries: Vec<u16>,
}

/// An endpoint while the table is being filled.
struct Claimant {
    index: u16,
    /// The entry it would like next; it goes on by `skip`.
    wish: usize,
    skip: usize,
    share: f64,
    /// Its share of all rounds up to now must come to this before it is its turn again.
    due: f64,
}

impl Maglev {
    /// Endpoints claim entries in turn, in the order of their addresses as text; the heaviest in every round.
    pub fn new(endpoints: &[Endpoint]) -> Self {
        let mut claimants = claimants(endpoints);
        if claimants.is_empty() {
            return Maglev { entries: vec![] };
        }
        let heaviest = claimants.iter().map(|claimant| claimant.share).fold(0.0, f64::max);
        let mut entries = vec![0; TABLE_SIZE];
        let mut is_taken = vec![false; TABLE_SIZE];
        let mut left = TABLE_SIZE;
        let mut round = 0.0;
        while left > 0 {
            round += 1.0;
            for claimant in &mut claimants {
                if round * claimant.share < claimant.due || left == 0 {
                    continue;
                }
                claimant.due += heaviest;
                let entry = claimant.claim(&mut is_taken);
                entries[entry] = claimant.index;
                left -= 1;
            }
        }
        Maglev { entries }
    }

    /// The endpoint for a request's hash; `None` only if there is none at all. Attempts after the first (0) look elsewhere,
    /// and may come to the same endpoint again.
    pub fn pick(&self, hash: u64, attempt: u32) -> Option<usize> {
        let hash = if attempt == 0 { hash } else { hash ^ u64::from(attempt).wrapping_neg() };
        let entry = hash.checked_rem(self.entries.len() as u64)?;
        Some(usize::from(self.entries[entry as usize]))
    }
}

fn claimants(endpoints: &[Endpoint]) -> Vec<Claimant> {
    let endpoints = &endpoints[..endpoints.len().min(LARGEST_COUNT)];
    let total: u64 = endpoints.iter().map(|endpoint| u64::from(endpoint.weight)).sum();
    let keyed = endpoints.iter().enumerate().map(|(index, endpoint)| (hash_key(&endpoint.address), index));
    let mut keyed: Vec<(String, usize)> = keyed.collect();
    keyed.sort_unstable();
    let claimant = |(key, index): (String, usize)| Claimant {
        index: index as u16,
        wish: (hash(key.as_bytes(), 0) % TABLE_SIZE as u64) as usize,
        skip: (hash(key.as_bytes(), 1) % (TABLE_SIZE as u64 - 1)) as usize + 1,
        share: f64::from(endpoints[index].weight) / total as f64,
        due: 0.0,
    };
    keyed.into_iter().map(claimant).collect()
}

impl Claimant {
    /// Takes the next free entry of its own order. The size is a prime, so its order comes by all of them.
    fn claim(&mut self, is_taken: &mut [bool]) -> usize {
        loop {
            let entry = self.wish;
            self.wish = (self.wish + self.skip) % TABLE_SIZE;
            if !std::mem::replace(&mut is_taken[entry], true) {
                return entry;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::lb::testing::endpoints;

    fn entries_of(weights: &[u32]) -> Vec<usize> {
        let table = Maglev::new(&endpoints(weights));
        let mut counts = vec![0; weights.len()];
        for index in table.entries {
            counts[usize::from(index)] += 1;
        }
        counts
    }

    #[test]
    fn entries_follow_weights() {
        assert_eq!(entries_of(&[1]), [65_537]);
        // Ports 1, 2, 3: the first in order has one more turn than there are whole rounds.
        assert_eq!(entries_of(&[1, 1, 1]), [21_846, 21_846, 21_845]);
        let counts = entries_of(&[1, 2, 5]);
        let expected = [8192, 16_384, 40_960];
        assert!(
            counts.iter().zip(expected).all(|(count, expected)| count.abs_diff(expected) <= 3),
            "{counts:?}"
        );
        assert_eq!(Maglev::new(&[]).pick(1, 0), None);
    }

    #[test]
    fn as_many_endpoints_as_there_is_room_for() {
        for count in [LARGEST_COUNT - 1, LARGEST_COUNT, LARGEST_COUNT + 1] {
            let endpoints: Vec<Endpoint> = (0..count)
                .map(|at| {
                    let [_, a, b, c] = (at as u32).to_be_bytes();
                    Endpoint::new(crate::io::Address::Ip(([10, a, b, c], 80).into()))
                })
                .collect();
            let mut picked: Vec<u16> = Maglev::new(&endpoints).entries;
            picked.sort_unstable();
            picked.dedup();
            assert_eq!(picked.len(), count.min(LARGEST_COUNT));
        }
    }

    #[test]
    fn the_order_of_endpoints_does_not_matter() {
        let forward = endpoints(&[3, 1, 2, 7]);
        let backward: Vec<Endpoint> = forward.iter().rev().cloned().collect();
        let (one, other) = (Maglev::new(&forward), Maglev::new(&backward));
        assert!((0..TABLE_SIZE as u64).all(|hash| one.pick(hash, 0) == other.pick(hash, 0).map(|at| 3 - at)));
    }

    #[test]
    fn other_attempts_look_elsewhere() {
        let table = Maglev::new(&endpoints(&[1; 8]));
        let differs = (0..1000).filter(|hash| table.pick(*hash, 0) != table.pick(*hash, 1)).count();
        assert!(differs > 800, "{differs}");
    }
}
