//! Reads the bounds of what may go on with a cluster at once.

use super::problem::{Place, Problems};
use super::section::Section;
use super::tree::Tree;
use sidering_dataplane::config::{CircuitBreaker, PoolLimits, RetryBudget};

const COUNTS: std::ops::RangeInclusive<u64> = 0..=10_000_000;
const LATER_KEYS: &[&str] = &["max_connections", "per_host", "priorities"];

/// Reads `circuit_breaker`. `max_pending` may stand here or in the pool, where it is on `pool_pending`.
pub(super) fn read(
    tree: &Tree,
    pool: &mut PoolLimits,
    pool_pending: Option<Place>,
    problems: &Problems,
) -> CircuitBreaker {
    let default = CircuitBreaker::default();
    let mut section = Section::open("a circuit breaker", tree, problems);
    let max_pending = section.integer("max_pending", COUNTS, u64::from(pool.max_pending));
    match (pool_pending, section.place_of("max_pending")) {
        (Some(first), Some(second)) => {
            let expected = format!("it once; `pool` has it on line {}", first.line);
            problems.error(second, "`max_pending` is given in `pool` and here", expected);
        }
        _ => pool.max_pending = max_pending as u32,
    }
    let max_requests = section.integer("max_requests", COUNTS, u64::from(default.max_requests)) as u32;
    let max_retries = section.integer("max_retries", COUNTS, u64::from(default.max_retries)) as u32;
    let retry_budget = section.find("retry_budget").map(|tree| budget(tree, problems));
    if let (Some(place), Some(_)) = (section.place_of("max_retries"), retry_budget) {
        problems.error(place, "`max_retries` beside `retry_budget`", "one of them");
    }
    section.later(LATER_KEYS);
    section.finish();
    CircuitBreaker { max_requests, max_retries, retry_budget }
}

fn budget(tree: &Tree, problems: &Problems) -> RetryBudget {
    let default = RetryBudget::default();
    let mut section = Section::open("a retry budget", tree, problems);
    let percent = section.integer("percent", 0..=100, u64::from(default.percent)) as u32;
    let min_concurrency =
        section.integer("min_concurrency", COUNTS, u64::from(default.min_concurrency)) as u32;
    section.finish();
    RetryBudget { percent, min_concurrency }
}
