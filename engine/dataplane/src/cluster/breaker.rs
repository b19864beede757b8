//! One core's share of a cluster's circuit breaker: whether one more request or retry may begin. It counts retries; the
//! requests are counted by the cluster.

use crate::config::{CircuitBreaker, RetryBudget};

/// The bounds of one core, and its retries under way.
#[derive(Debug)]
pub struct Breaker {
    max_requests: u32,
    max_retries: u32,
    budget: Option<RetryBudget>,
    retries: u32,
}

impl Breaker {
    /// The share of core number `core` of `cores`.
    pub fn new(config: &CircuitBreaker, core: u32, cores: u32) -> Self {
        Breaker {
            max_requests: share(config.max_requests, core, cores),
            max_retries: share(config.max_retries, core, cores),
            budget: config.retry_budget,
            retries: 0,
        }
    }

    /// Whether one more request may begin beside `active` ones.
    pub fn admits_request(&self, active: u32) -> bool {
        active < self.max_requests
    }

    /// Takes a place for a retry while `active` requests are under way; `false` if there is none.
    pub fn begin_retry(&mut self, active: u32) -> bool {
        let admits = self.admits_retry(active);
        self.retries += u32::from(admits);
        admits
    }

    /// A retry is over.
    pub fn end_retry(&mut self) {
        self.retries -= 1;
    }

    /// Whether one more retry may begin.
    pub fn admits_retry(&self, active: u32) -> bool {
        let max = match self.budget {
            Some(budget) => {
                let part = u64::from(active) * u64::from(budget.percent) / 100;
                (part as u32).max(budget.min_concurrency)
            }
            None => self.max_retries,
        };
        self.retries < max
    }
}

fn share(limit: u32, core: u32, cores: u32) -> u32 {
    if limit == u32::MAX || limit == 0 {
        return limit;
    }
    let cores = cores.max(1);
    (limit / cores + u32::from(core < limit % cores)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_the_limit_and_are_never_nothing() {
        for (limit, cores, expected) in
            [(10, 4, vec![3, 3, 2, 2]), (8, 4, vec![2; 4]), (3, 4, vec![1; 4]), (0, 2, vec![0; 2])]
        {
            let shares: Vec<u32> = (0..cores).map(|core| share(limit, core, cores)).collect();
            assert_eq!(shares, expected, "{limit} over {cores}");
        }
        assert_eq!(share(u32::MAX, 0, 4), u32::MAX, "no bound is no bound on any core");
        assert_eq!(share(5, 0, 0), 5, "a snapshot that does not say how many cores there are");
    }

    #[test]
    fn requests_up_to_the_bound() {
        let breaker = Breaker::new(&CircuitBreaker { max_requests: 3, ..CircuitBreaker::default() }, 0, 1);
        assert_eq!([1, 2, 3].map(|active| breaker.admits_request(active)), [true, true, false]);
    }

    #[test]
    fn retries_up_to_the_bound_and_again_when_one_is_over() {
        let mut breaker = Breaker::new(&CircuitBreaker { max_retries: 2, ..CircuitBreaker::default() }, 0, 1);
        assert_eq!([(); 3].map(|()| breaker.begin_retry(100)), [true, true, false]);
        breaker.end_retry();
        assert!(breaker.begin_retry(100), "one that was refused took no place");
        assert!(!breaker.begin_retry(100));
    }

    #[test]
    fn a_budget_goes_by_what_is_under_way() {
        let retry_budget = Some(RetryBudget { percent: 20, min_concurrency: 2 });
        let config = CircuitBreaker { max_retries: 0, retry_budget, ..CircuitBreaker::default() };
        for (active, places) in [(0, 2), (10, 2), (14, 2), (15, 3), (100, 20)] {
            let mut breaker = Breaker::new(&config, 0, 1);
            let taken = (0..50).filter(|_| breaker.begin_retry(active)).count();
            assert_eq!(taken, places, "{active} requests under way");
        }
    }
}
