//! Ring hash: endpoints stand on a circle of hashes as often as their weight says, and a request goes to the next one
//! after its own hash. The ring is Envoy's, so that both send a request to the same endpoint.

use super::hash_key::{hash, hash_key};
use crate::config::{Endpoint, RingSizes};

/// A ring; it never changes.
#[derive(Debug)]
pub struct RingHash {
    /// By hash.
    places: Vec<(u64, u32)>,
}

impl RingHash {
    /// Every endpoint gets places in proportion to its weight, the lightest a whole number of them if there is room.
    /// Remainders are carried on to the next endpoint, so the order of endpoints matters, as it does in Envoy.
    pub fn new(endpoints: &[Endpoint], sizes: RingSizes) -> Self {
        let total: u64 = endpoints.iter().map(|endpoint| u64::from(endpoint.weight)).sum();
        let share = |endpoint: &Endpoint| f64::from(endpoint.weight) / total as f64;
        let smallest = endpoints.iter().map(share).fold(1.0, f64::min);
        let wanted = (smallest * sizes.minimum as f64).ceil() / smallest;
        let size = wanted.min(sizes.maximum as f64);
        let mut places = Vec::with_capacity(if endpoints.is_empty() { 0 } else { size.ceil() as usize });
        let (mut placed, mut target) = (0.0, 0.0);
        for (index, endpoint) in endpoints.iter().enumerate() {
            let mut key = hash_key(&endpoint.address) + "_";
            let stem = key.len();
            target += size * share(endpoint);
            let mut number: u64 = 0;
            while placed < target {
                key.truncate(stem);
                key.push_str(&number.to_string());
                places.push((hash(key.as_bytes(), 0), index as u32));
                number += 1;
                placed += 1.0;
            }
        }
        places.sort_unstable();
        RingHash { places }
    }

    /// The endpoint for a request's hash; `None` only if there is none at all. Attempts after the first (0) walk on along
    /// the ring, and may come to the same endpoint again.
    pub fn pick(&self, hash: u64, attempt: u32) -> Option<usize> {
        let next = self.places.partition_point(|(place, _)| *place < hash);
        let at = next.checked_rem(self.places.len())?;
        let at = (at + attempt as usize) % self.places.len();
        Some(self.places[at].1 as usize)
    }

    /// How many places there are.
    pub fn size(&self) -> usize {
        self.places.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::lb::testing::endpoints;

    fn places_of(weights: &[u32], sizes: RingSizes) -> Vec<usize> {
        let ring = RingHash::new(&endpoints(weights), sizes);
        let places = |at| ring.places.iter().filter(|(_, index)| *index as usize == at).count();
        (0..weights.len()).map(places).collect()
    }

    /// Envoy's documents: the lightest host gets a whole number of places, and the ring grows beyond its minimum for it.
    #[test]
    fn places_follow_weights() {
        let sizes = |minimum, maximum| RingSizes { minimum, maximum };
        assert_eq!(places_of(&[1, 1], sizes(1024, 8192)), [512, 512]);
        assert_eq!(places_of(&[1, 1, 1], sizes(1024, 8192)), [342, 342, 342]);
        assert_eq!(places_of(&[1, 2, 3], sizes(6, 6)), [1, 2, 3]);
        // One and a half each: what one has too much, the next one lacks.
        assert_eq!(places_of(&[1, 1, 1, 1], sizes(6, 6)), [2, 1, 2, 1]);
        assert_eq!(places_of(&[], sizes(1024, 8192)), [0; 0]);
    }

    #[test]
    fn the_ring_is_as_large_as_it_may_be() {
        for (maximum, size) in [(1025, 1025), (1026, 1026), (1027, 1026)] {
            let ring = RingHash::new(&endpoints(&[1, 1, 1]), RingSizes { minimum: 1024, maximum });
            assert_eq!(ring.size(), size, "at most {maximum}");
        }
    }

    #[test]
    fn a_hash_goes_to_the_next_place_and_round() {
        let ring = RingHash { places: vec![(10, 0), (20, 1), (30, 2)] };
        let picks = [0, 10, 11, 20, 30, 31, u64::MAX].map(|hash| ring.pick(hash, 0).unwrap());
        assert_eq!(picks, [0, 0, 1, 1, 2, 0, 0]);
        assert_eq!([0, 1, 2, 3].map(|attempt| ring.pick(15, attempt).unwrap()), [1, 2, 0, 1]);
        assert_eq!(RingHash { places: vec![] }.pick(1, 0), None);
    }

    /// What consistent hashing is for.
    #[test]
    fn only_requests_of_an_endpoint_that_goes_move() {
        let all = endpoints(&[1; 10]);
        let (before, after) =
            (RingHash::new(&all, RingSizes::default()), RingHash::new(&all[..9], RingSizes::default()));
        let keys = (0..10_000_u64).map(|key| hash(&key.to_le_bytes(), 0));
        let kept = keys.filter(|key| before.pick(*key, 0) != Some(9));
        let moved = kept.filter(|key| before.pick(*key, 0) != after.pick(*key, 0)).count();
        // A ring of nine is a little larger: 114 places each instead of 103.
        assert!(moved < 1500, "{moved} moved");
    }
}
