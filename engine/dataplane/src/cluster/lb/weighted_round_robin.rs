//! Weighted round robin: the host whose next turn is due earliest (earliest deadline first, as Envoy does it), in
//! O(log n) a pick, with exact proportions.
//!
//! In a unit of virtual time a host of weight w has w turns, evenly spaced. Those of the same weight are shifted
//! against each other, so that they fall into each other's gaps instead of all into the middle. Deadlines are fractions
//! of whole numbers: nothing is rounded, and after a unit everybody has had exactly its weight. Only a host that comes
//! later, or whose weight changes, begins at a fraction rounded to one of its own.

use super::Candidates;
use super::turns::{Turns, offset};
use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};

/// Into how many parts the way to its first turn is cut for a host that comes later.
const PHASES: u64 = 32;

/// The schedule of one core.
#[derive(Debug)]
pub struct WeightedRoundRobin {
    schedule: BinaryHeap<Reverse<Turn>>,
    turns: Turns,
    /// When the last turn was due.
    now: (u64, u64),
}

/// A host's next turn, at `numerator / denominator`. With weights up to 128 and as many hosts as there is memory for, the
/// numerator has room for more turns than any process sees.
#[derive(Debug)]
struct Turn {
    numerator: u64,
    /// `step` times the weight.
    denominator: u64,
    /// What the numerator grows by from turn to turn.
    step: u64,
    host: u32,
}

impl WeightedRoundRobin {
    /// `start` picks are taken ahead, so that cores differ.
    pub fn new(candidates: Candidates<'_>, start: usize) -> Self {
        let mut sharing: HashMap<u32, u64> = HashMap::new();
        for host in candidates.hosts() {
            *sharing.entry(candidates.weight(*host)).or_default() += 1;
        }
        let mut ranks: HashMap<u32, u64> = HashMap::new();
        let mut turns = Turns::default();
        let schedule = candidates.hosts().iter().map(|host| {
            let weight = candidates.weight(*host);
            let rank = ranks.entry(weight).or_default();
            let numerator = 2 * *rank + 1;
            *rank += 1;
            turns.insert(*host);
            let step = 2 * sharing[&weight];
            Reverse(Turn { numerator, denominator: step * u64::from(weight), step, host: *host })
        });
        let mut balancer = WeightedRoundRobin { schedule: schedule.collect(), turns, now: (0, 1) };
        for _ in 0..start {
            balancer.pick(candidates);
        }
        balancer
    }

    /// The next host; `None` only if there is none at all.
    pub fn pick(&mut self, candidates: Candidates<'_>) -> Option<u32> {
        loop {
            let mut due = self.schedule.peek_mut()?;
            let turn = &mut due.0;
            if !self.turns.come_up(turn.host) {
                std::collections::binary_heap::PeekMut::pop(due);
                continue;
            }
            self.now = (turn.numerator, turn.denominator);
            turn.weigh(candidates.weight(turn.host));
            turn.numerator += turn.step;
            return Some(turn.host);
        }
    }

    /// One more candidate: it has its first turn within the time that one of its weight takes from turn to turn.
    pub(super) fn insert(&mut self, candidates: Candidates<'_>, host: u32) {
        if !self.turns.insert(host) {
            return;
        }
        let step = 2 * PHASES;
        let denominator = step * u64::from(candidates.weight(host));
        let numerator = convert(self.now, denominator) + 1 + offset(host, step);
        self.schedule.push(Reverse(Turn { numerator, denominator, step, host }));
    }

    /// One candidate less.
    pub(super) fn remove(&mut self, host: u32) {
        self.turns.remove(host);
    }
}

impl Turn {
    /// What the host weighs now, which is nearly always what it weighed before.
    fn weigh(&mut self, weight: u32) {
        let denominator = self.step * u64::from(weight);
        if denominator != self.denominator {
            self.numerator = convert((self.numerator, self.denominator), denominator);
            self.denominator = denominator;
        }
    }
}

/// The numerator of a fraction with another denominator, rounded down.
fn convert((numerator, denominator): (u64, u64), wanted: u64) -> u64 {
    (u128::from(numerator) * u128::from(wanted) / u128::from(denominator)) as u64
}

impl Ord for Turn {
    fn cmp(&self, other: &Self) -> Ordering {
        let ours = u128::from(self.numerator) * u128::from(other.denominator);
        let theirs = u128::from(other.numerator) * u128::from(self.denominator);
        ours.cmp(&theirs).then(self.host.cmp(&other.host))
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
    use crate::cluster::lb::testing::hosts;

    fn picks(weights: &[u32], start: usize, count: usize) -> Vec<u32> {
        let hosts = hosts(weights);
        let mut balancer = WeightedRoundRobin::new(hosts.candidates(), start);
        (0..count).filter_map(|_| balancer.pick(hosts.candidates())).collect()
    }

    /// How often each is among so many picks.
    fn shares(balancer: &mut WeightedRoundRobin, candidates: Candidates<'_>, picks: u32) -> Vec<u32> {
        let mut shares = vec![0; candidates.len()];
        for _ in 0..picks {
            shares[balancer.pick(candidates).unwrap() as usize] += 1;
        }
        shares
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
                    let shares = (0..weights.len() as u32)
                        .map(|at| round.iter().filter(|picked| **picked == at).count() as u32);
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
        for host in picks(&weights, 0, total) {
            counts[host as usize] += 1;
        }
        assert_eq!(counts, weights);
    }

    #[test]
    fn whoever_goes_gets_no_turn_and_comes_back_to_its_share() {
        let hosts = hosts(&[3, 7, 1]);
        let candidates = hosts.candidates();
        let mut balancer = WeightedRoundRobin::new(candidates, 0);
        for _ in 0..3 {
            balancer.remove(1);
            assert_eq!(shares(&mut balancer, candidates, 40), [30, 0, 10]);
            balancer.insert(candidates, 1);
            balancer.remove(1);
            balancer.insert(candidates, 1);
            let shares = shares(&mut balancer, candidates, 110);
            assert!(shares.iter().zip([30, 70, 10]).all(|(is, want)| is.abs_diff(want) <= 1), "{shares:?}");
        }
        for host in 0..3 {
            balancer.remove(host);
        }
        assert_eq!(balancer.pick(candidates), None);
    }

    #[test]
    fn another_weight_counts_from_the_next_turn_on() {
        let mut hosts = hosts(&[1, 1, 2]);
        let mut balancer = WeightedRoundRobin::new(hosts.candidates(), 0);
        shares(&mut balancer, hosts.candidates(), 5);
        hosts.entry_mut(0).unwrap().weight = 5;
        shares(&mut balancer, hosts.candidates(), 5);
        let shares = shares(&mut balancer, hosts.candidates(), 80);
        assert!(shares.iter().zip([50, 10, 20]).all(|(is, want)| is.abs_diff(want) <= 1), "{shares:?}");
    }

    /// A zone that is back: its hosts do not all have their first turn at once.
    #[test]
    fn those_that_come_together_are_spread_among_the_others() {
        let hosts = hosts(&[2, 2, 2, 2, 2, 2, 2, 2, 1, 1]);
        let candidates = hosts.candidates();
        let mut balancer = WeightedRoundRobin::new(candidates, 0);
        (0..4).for_each(|host| balancer.remove(host));
        shares(&mut balancer, candidates, 100);
        (0..4).for_each(|host| balancer.insert(candidates, host));
        let first: Vec<u32> = (0..9).filter_map(|_| balancer.pick(candidates)).collect();
        assert!(first.iter().filter(|host| **host < 4).count() <= 6, "{first:?}");
    }
}
