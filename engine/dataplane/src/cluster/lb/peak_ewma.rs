//! Peak EWMA: of two hosts chosen at random the one that is expected to answer sooner, by a moving average of what its answers
//! took and by what it has in hand. The average follows a slower answer at once and a faster one in the course of seconds, so
//! that a host that stalls is left alone early (Finagle's balancer, which MOSN has, too).

use super::candidates::{Candidates, scale};
use crate::io::Time;

/// In so long all but 1 / e of an observation is forgotten.
const DECAY_MICROS: f64 = 10_000_000.0;
/// What a failure counts as at least, and a host that nothing is known of as long as it has a request in hand: who fails fast
/// is to attract nobody.
pub(in crate::cluster) const PENALTY_MICROS: u64 = 1_000_000;

/// What a host's answers took on this core.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ewma {
    /// 0: nothing is known.
    micros: f64,
    at: Time,
}

impl Ewma {
    /// An answer took so long.
    pub fn observe(&mut self, now: Time, micros: u64) {
        let micros = micros.max(1) as f64;
        let keeps = self.keeps(now);
        self.micros =
            if micros > self.micros { micros } else { self.micros * keeps + micros * (1.0 - keeps) };
        self.at = now;
    }

    /// What to expect: the longer ago the last answer is, the less a slow one counts.
    fn estimate(&self, now: Time) -> f64 {
        self.micros * self.keeps(now)
    }

    fn keeps(&self, now: Time) -> f64 {
        (-(now.micros_since(self.at) as f64) / DECAY_MICROS).exp()
    }
}

/// A host; `None` only if there is none at all.
pub(super) fn pick(candidates: Candidates<'_>, random: u64) -> Option<u32> {
    let one = |random: u32| candidates.hosts().get(scale(random, candidates.len())).copied();
    let (first, second) = (one((random >> 32) as u32)?, one(random as u32)?);
    let is_cheaper = first != second && cost(candidates, second) < cost(candidates, first);
    Some(if is_cheaper { second } else { first })
}

fn cost(candidates: Candidates<'_>, host: u32) -> f64 {
    let (ewma, active) = (candidates.ewma(host), candidates.active_requests(host));
    let expected = if ewma.micros == 0.0 && active > 0 {
        PENALTY_MICROS as f64
    } else {
        ewma.estimate(candidates.now())
    };
    expected * (active + 1) as f64 / f64::from(candidates.weight(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::lb::testing::{Random, hosts, within_bounds};

    fn at_ms(ms: u64) -> Time {
        Time { micros: ms * 1000 }
    }

    #[test]
    fn a_slower_answer_counts_at_once_and_a_faster_one_little_by_little() {
        let mut ewma = Ewma::default();
        ewma.observe(at_ms(0), 1000);
        assert_eq!(ewma.estimate(at_ms(0)), 1000.0);
        ewma.observe(at_ms(0), 50_000);
        assert_eq!(ewma.estimate(at_ms(0)), 50_000.0);
        ewma.observe(at_ms(0), 1000);
        assert_eq!(ewma.estimate(at_ms(0)), 50_000.0, "no time has passed");
        ewma.observe(at_ms(10_000), 1000);
        let expected = 50_000.0 / std::f64::consts::E + 1000.0 * (1.0 - 1.0 / std::f64::consts::E);
        assert!((ewma.estimate(at_ms(10_000)) - expected).abs() < 1.0);
        assert!(ewma.estimate(at_ms(60_000)) < 200.0, "it is tried again");
    }

    /// How often each is picked with such answers and so many requests in hand.
    fn counts(weights: &[u32], took_micros: &[u64], active: &[u64]) -> Vec<u32> {
        let mut hosts = hosts(weights);
        for host in 0..weights.len() {
            if took_micros[host] > 0 {
                hosts.observe(host as u32, at_ms(1), took_micros[host]);
            }
            hosts.get(host as u32).unwrap().counters.requests_active.set(active[host]);
        }
        let (mut random, mut counts) = (Random::new(9), vec![0; weights.len()]);
        for _ in 0..40_000 {
            counts[pick(hosts.candidates().at(at_ms(1)), random.next()).unwrap() as usize] += 1;
        }
        counts
    }

    /// Of two draws with replacement the worse one only comes if it is drawn twice.
    #[test]
    fn the_one_that_is_expected_to_answer_sooner_is_picked() {
        for (weights, took, active) in [
            ([1, 1], [1000, 2000], [0, 0]),
            ([1, 1], [1000, 2000], [1, 1]),
            ([1, 1], [1000, 1500], [3, 3]),
            ([1, 1], [1000, 1000], [0, 1]),
            ([3, 1], [2000, 1000], [0, 0]),
            // Unknown ones are tried, but not twice at once.
            ([1, 1], [0, 1000], [0, 0]),
            ([1, 1], [1000, 0], [0, 1]),
        ] {
            let counts = counts(&weights, &took, &active);
            assert!(within_bounds(counts[0], 40_000, 0.75), "{weights:?} {took:?} {active:?}: {counts:?}");
        }
    }
}
