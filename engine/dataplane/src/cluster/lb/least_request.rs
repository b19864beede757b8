//! Least request: of two endpoints chosen at random the one with fewer requests in hand (Envoy's N_CHOICES with
//! `choice_count` 2). Where weights differ, a weighted schedule in which every request in hand makes an endpoint lighter:
//! weight / (active requests + 1), Envoy's formula with `active_request_bias` 1.

use super::candidates::{Candidates, scale};
use super::schedule::Schedule;

/// The state of one core: none where weights are equal.
#[derive(Debug)]
pub struct LeastRequest {
    /// Where weights differ.
    schedule: Option<Schedule>,
}

impl LeastRequest {
    /// With a schedule if weights differ.
    pub fn new(candidates: Candidates<'_>, is_weighted: bool) -> Self {
        LeastRequest { schedule: is_weighted.then(|| Schedule::new(candidates, true)) }
    }

    /// A host; `None` only if there is none at all.
    pub fn pick(&mut self, candidates: Candidates<'_>, random: u64) -> Option<u32> {
        if let Some(schedule) = &mut self.schedule {
            return schedule.pick(candidates);
        }
        let one = |random: u32| candidates.hosts().get(scale(random, candidates.len())).copied();
        let (first, second) = (one((random >> 32) as u32)?, one(random as u32)?);
        let is_less_busy = candidates.active_requests(second) < candidates.active_requests(first);
        Some(if is_less_busy { second } else { first })
    }

    /// One more candidate.
    pub(super) fn insert(&mut self, candidates: Candidates<'_>, host: u32) {
        if let Some(schedule) = &mut self.schedule {
            schedule.insert(candidates, host);
        }
    }

    /// One candidate less.
    pub(super) fn remove(&mut self, host: u32) {
        if let Some(schedule) = &mut self.schedule {
            schedule.remove(host);
        }
    }
}

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
        let (mut balancer, mut random) =
            (LeastRequest::new(candidates, candidates.weights_differ()), Random::new(11));
        let mut counts = vec![0; weights.len()];
        for _ in 0..picks {
            counts[balancer.pick(candidates, random.next()).unwrap() as usize] += 1;
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
    fn whoever_goes_gets_no_turn_and_comes_back_to_its_share() {
        let hosts = hosts(&[2, 1, 1]);
        let candidates = hosts.candidates();
        let mut balancer = LeastRequest::new(candidates, true);
        let picks = |balancer: &mut LeastRequest| {
            let mut counts = [0_u32; 3];
            (0..400).for_each(|_| counts[balancer.pick(candidates, 0).unwrap() as usize] += 1);
            counts
        };
        balancer.remove(0);
        assert_eq!(picks(&mut balancer), [0, 200, 200]);
        balancer.insert(candidates, 0);
        let counts = picks(&mut balancer);
        assert!(counts[0].abs_diff(200) <= 1, "{counts:?}");
    }

    #[test]
    fn nobody_there_is_nobody_picked() {
        let nobody = HostTable::default();
        let candidates = nobody.candidates();
        assert_eq!(LeastRequest::new(candidates, false).pick(candidates, 1), None);
        assert_eq!(LeastRequest::new(candidates, true).pick(candidates, 1), None);
    }
}
