//! Least request: of two endpoints chosen at random the one with fewer requests in hand (Envoy's N_CHOICES with
//! `choice_count` 2). Where weights differ, a weighted schedule in which every request in hand makes an endpoint lighter:
//! weight / (active requests + 1), Envoy's formula with `active_request_bias` 1.

use super::candidates::{Candidates, scale};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// The state of one core: none where weights are equal.
#[derive(Debug)]
pub struct LeastRequest {
    /// Empty where weights are equal.
    schedule: BinaryHeap<Reverse<Turn>>,
}

/// An endpoint's next turn in virtual time.
#[derive(Debug)]
struct Turn {
    deadline: f64,
    index: u32,
}

impl LeastRequest {
    /// A schedule where there must be one.
    pub fn new(candidates: Candidates<'_>) -> Self {
        let first = |index| Reverse(Turn { deadline: pause(candidates, index), index: index as u32 });
        let scheduled = if candidates.weights_differ() { candidates.len() } else { 0 };
        LeastRequest { schedule: (0..scheduled).map(first).collect() }
    }

    /// An endpoint's index; `None` only if there is none at all.
    pub fn pick(&mut self, candidates: Candidates<'_>, random: u64) -> Option<usize> {
        if let Some(mut due) = self.schedule.peek_mut() {
            let index = due.0.index as usize;
            due.0.deadline += pause(candidates, index);
            return Some(index);
        }
        if candidates.is_empty() {
            return None;
        }
        let first = scale((random >> 32) as u32, candidates.len());
        let second = scale(random as u32, candidates.len());
        let is_less_busy = candidates.active_requests(second) < candidates.active_requests(first);
        Some(if is_less_busy { second } else { first })
    }
}

/// Virtual time between two turns of an endpoint as busy as it is now.
fn pause(candidates: Candidates<'_>, index: usize) -> f64 {
    (candidates.active_requests(index) + 1) as f64 / f64::from(candidates.weight(index))
}

impl Ord for Turn {
    fn cmp(&self, other: &Self) -> Ordering {
        self.deadline.total_cmp(&other.deadline).then(self.index.cmp(&other.index))
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
    use crate::cluster::HostTable;
    use crate::cluster::lb::testing::{Random, hosts, within_bounds};

    /// How often each is picked while it has so many requests in hand.
    fn counts(weights: &[u32], active: &[u64], picks: u32) -> Vec<u32> {
        let hosts = hosts(weights);
        for (host, active) in hosts.members().iter().zip(active) {
            hosts.get(*host).unwrap().counters.requests_active.set(*active);
        }
        let candidates = hosts.candidates();
        let (mut balancer, mut random) = (LeastRequest::new(candidates), Random::new(11));
        let mut counts = vec![0; weights.len()];
        for _ in 0..picks {
            counts[balancer.pick(candidates, random.next()).unwrap()] += 1;
        }
        counts
    }

    /// Two draws with replacement: the busiest of n comes only if it is drawn twice, 1 in n².
    #[test]
    fn the_busier_of_two_is_left_alone() {
        let counts = counts(&[1, 1, 1], &[0, 5, 9], 90_000);
        let shares = [5.0 / 9.0, 3.0 / 9.0, 1.0 / 9.0];
        let fits = counts.iter().zip(shares).all(|(count, share)| within_bounds(*count, 90_000, share));
        assert!(fits, "{counts:?}");
    }

    #[test]
    fn among_equally_busy_ones_chance_decides() {
        let counts = counts(&[1, 1, 1, 1], &[3, 3, 3, 3], 40_000);
        assert!(counts.iter().all(|count| within_bounds(*count, 40_000, 0.25)), "{counts:?}");
    }

    /// Envoy: 2 / (0 + 1) against 1 / (0 + 1), and 2 / (3 + 1) against 1 / (0 + 1).
    #[test]
    fn weights_count_by_how_busy_their_endpoint_is() {
        let idle = counts(&[2, 1], &[0, 0], 3000);
        assert!(idle[0].abs_diff(2000) <= 1, "{idle:?}");
        let busy = counts(&[2, 1], &[3, 0], 3000);
        assert!(busy[0].abs_diff(1000) <= 1, "{busy:?}");
    }

    #[test]
    fn nobody_there_is_nobody_picked() {
        let nobody = HostTable::default();
        let candidates = nobody.candidates();
        assert_eq!(LeastRequest::new(candidates).pick(candidates, 1), None);
    }
}
