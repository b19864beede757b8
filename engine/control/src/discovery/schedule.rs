//! When a name is resolved again. Pure arithmetic: it knows no clock, no resolver and no source of randomness.

/// How often a name is resolved, after Envoy's `DnsCluster`. Milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshOptions {
    /// `dns_refresh_rate`: after an answer whose TTL does not count; at least 1.
    pub refresh_ms: u64,
    /// `dns_min_refresh_rate`: no wait is shorter, whatever a TTL or the jitter says; at least 1.
    pub min_refresh_ms: u64,
    /// `respect_dns_ttl`: an answer's TTL is the wait, unless it is 0.
    pub respect_ttl: bool,
    /// `dns_failure_refresh_rate`: the wait after a failure; without it, `refresh_ms`.
    pub failure: Option<FailureRefresh>,
    /// `dns_jitter`: the wait after an answer grows by a random part of this.
    pub jitter_ms: u64,
}

/// The waits after failures. Milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureRefresh {
    /// `base_interval`: the bound of the wait after the first failure; it doubles with each further one.
    pub base_ms: u64,
    /// `max_interval`: the bound of that bound.
    pub max_ms: u64,
}

impl Default for RefreshOptions {
    fn default() -> Self {
        RefreshOptions {
            refresh_ms: 5000,
            min_refresh_ms: 1000,
            respect_ttl: false,
            failure: None,
            jitter_ms: 0,
        }
    }
}

/// The waits for one name.
#[derive(Debug)]
pub struct Schedule {
    options: RefreshOptions,
    failures: u32,
}

impl Schedule {
    /// Nothing has been resolved yet.
    #[must_use]
    pub fn new(options: RefreshOptions) -> Schedule {
        Schedule { options, failures: 0 }
    }

    /// Milliseconds until the next resolution after an answer; `random` may be any number.
    pub fn after_answer(&mut self, ttl_ms: Option<u64>, random: u64) -> u64 {
        self.failures = 0;
        let options = &self.options;
        let ttl_ms = ttl_ms.filter(|ttl_ms| options.respect_ttl && *ttl_ms > 0);
        let jitter_ms = random.checked_rem(options.jitter_ms).unwrap_or(0);
        ttl_ms.unwrap_or(options.refresh_ms).saturating_add(jitter_ms).max(options.min_refresh_ms)
    }

    /// Milliseconds until the next resolution after a failure: a random part of a bound that doubles, so that proxies
    /// that lost their name server together do not come back to it together.
    pub fn after_failure(&mut self, random: u64) -> u64 {
        let options = &self.options;
        let Some(failure) = &options.failure else { return options.refresh_ms.max(options.min_refresh_ms) };
        let factor = 1u64.checked_shl(self.failures).unwrap_or(u64::MAX);
        let bound_ms = failure.base_ms.saturating_mul(factor).clamp(1, failure.max_ms.max(1));
        self.failures = self.failures.saturating_add(1);
        (random % bound_ms).max(options.min_refresh_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> RefreshOptions {
        RefreshOptions {
            min_refresh_ms: 100,
            failure: Some(FailureRefresh { base_ms: 1000, max_ms: 8000 }),
            ..Default::default()
        }
    }

    #[test]
    fn a_ttl_counts_only_where_it_is_respected_and_not_zero() {
        let mut plain = Schedule::new(options());
        assert_eq!(plain.after_answer(Some(30_000), 7), 5000);
        let mut respecting = Schedule::new(RefreshOptions { respect_ttl: true, ..options() });
        assert_eq!(respecting.after_answer(Some(30_000), 7), 30_000);
        assert_eq!(respecting.after_answer(Some(0), 7), 5000);
        assert_eq!(respecting.after_answer(None, 7), 5000);
    }

    #[test]
    fn no_wait_is_below_the_bound() {
        let mut schedule = Schedule::new(RefreshOptions { respect_ttl: true, ..options() });
        let waits = [99, 100, 101].map(|ttl_ms| schedule.after_answer(Some(ttl_ms), 0));
        assert_eq!(waits, [100, 100, 101]);
        assert_eq!(
            [99, 100, 101].map(|random| Schedule::new(options()).after_failure(random)),
            [100, 100, 101]
        );
    }

    #[test]
    fn without_rates_of_their_own_failures_wait_like_answers() {
        let mut schedule = Schedule::new(RefreshOptions { failure: None, ..options() });
        assert_eq!([7, 8, 9].map(|random| schedule.after_failure(random)), [5000; 3]);
    }

    #[test]
    fn jitter_only_delays_and_stays_below_its_bound() {
        let mut schedule = Schedule::new(RefreshOptions { jitter_ms: 50, ..options() });
        assert_eq!(
            [0, 49, 50, 51].map(|random| schedule.after_answer(None, random)),
            [5000, 5049, 5000, 5001]
        );
    }

    #[test]
    fn failures_double_the_bound_up_to_the_largest_and_an_answer_forgets_them() {
        let mut schedule = Schedule::new(options());
        // One below the bound of each failure is the longest wait there is.
        let longest = [999, 1999, 3999, 7999, 7999].map(|random| schedule.after_failure(random));
        assert_eq!(longest, [999, 1999, 3999, 7999, 7999]);
        assert_eq!(schedule.after_failure(8000), 100, "the bound itself is not reached");
        schedule.after_answer(None, 0);
        assert_eq!(schedule.after_failure(1000), 100);
    }

    #[test]
    fn no_number_of_failures_overflows() {
        let mut schedule = Schedule::new(RefreshOptions {
            failure: Some(FailureRefresh { base_ms: 1000, max_ms: u64::MAX }),
            ..options()
        });
        for _ in 0..200 {
            schedule.after_failure(u64::MAX);
        }
        assert!(schedule.after_failure(u64::MAX - 1) > 1 << 40);
    }
}
