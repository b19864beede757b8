//! Weighted round robin: the endpoint whose next turn is due earliest (earliest deadline first, as Envoy does it), in
//! O(log n) a pick, with exact proportions.
//!
//! In a unit of virtual time an endpoint of weight w has w turns, evenly spaced. Those of the same weight are shifted
//! against each other, so that they fall into each other's gaps instead of all into the middle. Deadlines are fractions
//! of whole numbers: nothing is rounded, and after a unit everybody has had exactly its weight.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};

/// The schedule of one core.
#[derive(Debug)]
pub struct WeightedRoundRobin {
    schedule: BinaryHeap<Reverse<Turn>>,
}

/// An endpoint's next turn, at `numerator / denominator`. With weights up to 128 and as many endpoints as there is
/// memory for, the numerator has room for more turns than any process sees.
#[derive(Debug)]
struct Turn {
    numerator: u64,
    denominator: u64,
    /// What the numerator grows by from turn to turn.
    step: u64,
    index: u32,
}

impl WeightedRoundRobin {
    /// `start` picks are taken ahead, so that cores differ.
    pub fn new(weights: &[u32], start: usize) -> Self {
        let mut sharing: HashMap<u32, u64> = HashMap::new();
        for weight in weights {
            *sharing.entry(*weight).or_default() += 1;
        }
        let mut ranks: HashMap<u32, u64> = HashMap::new();
        let turns = weights.iter().enumerate().map(|(index, weight)| {
            let rank = ranks.entry(*weight).or_default();
            let numerator = 2 * *rank + 1;
            *rank += 1;
            let step = 2 * sharing[weight];
            Reverse(Turn { numerator, denominator: step * u64::from(*weight), step, index: index as u32 })
        });
        let mut balancer = WeightedRoundRobin { schedule: turns.collect() };
        for _ in 0..start {
            balancer.pick();
        }
        balancer
    }

    /// The next endpoint's index; `None` only if there is none at all.
    pub fn pick(&mut self) -> Option<usize> {
        let mut due = self.schedule.peek_mut()?;
        let index = due.0.index as usize;
        due.0.numerator += due.0.step;
        Some(index)
    }
}

impl Ord for Turn {
    fn cmp(&self, other: &Self) -> Ordering {
        let ours = u128::from(self.numerator) * u128::from(other.denominator);
        let theirs = u128::from(other.numerator) * u128::from(self.denominator);
        ours.cmp(&theirs).then(self.index.cmp(&other.index))
    }
}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Turn {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Turn {}

#[cfg(test)]
mod tests {
    use super::*;

    fn picks(weights: &[u32], start: usize, count: usize) -> Vec<usize> {
        let mut balancer = WeightedRoundRobin::new(weights, start);
        (0..count).filter_map(|_| balancer.pick()).collect()
    }

    #[test]
    fn turns_are_spread_out() {
        assert_eq!(picks(&[5, 1, 1], 0, 7), [0, 1, 0, 0, 0, 2, 0]);
        assert_eq!(picks(&[4, 1, 1, 1, 1], 0, 8), [0, 1, 0, 2, 0, 3, 0, 4]);
        assert_eq!(picks(&[2, 1], 1, 6), [1, 0, 0, 1, 0, 0]);
        assert_eq!(picks(&[], 3, 2), [0; 0]);
    }

    /// From wherever a core starts, over as many picks as all weights together.
    #[test]
    fn shares_are_exact() {
        for weights in [&[90, 10][..], &[128, 1], &[3, 7, 11, 1, 1], &[1, 2, 3, 4, 5, 6, 7, 8, 128, 127]] {
            let total = weights.iter().sum::<u32>() as usize;
            for start in [0, 1, 5, total] {
                let picked = picks(weights, start, total * 3);
                for round in picked.chunks(total) {
                    let shares =
                        (0..weights.len()).map(|at| round.iter().filter(|p| **p == at).count() as u32);
                    assert_eq!(shares.collect::<Vec<_>>(), weights, "from {start}");
                }
            }
        }
    }

    #[test]
    fn ten_thousand_endpoints_have_exact_shares() {
        let weights: Vec<u32> = (0..10_000).map(|at| at % 128 + 1).collect();
        let total = weights.iter().sum::<u32>() as usize;
        let mut counts = vec![0; weights.len()];
        for index in picks(&weights, 0, total) {
            counts[index] += 1;
        }
        assert_eq!(counts, weights);
    }
}
