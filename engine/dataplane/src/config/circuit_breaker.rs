//! How much may go on with a cluster at once (envoy.config.cluster.v3.CircuitBreakers). Plain data.

/// Bounds of the whole process: each core has its share of them, the remainder going to the first ones. A bound that is
/// not 0 gives every core at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitBreaker {
    /// Requests under way, waiting ones included; `u32::MAX` is no bound beyond the pool's. 503, flag UO.
    pub max_requests: u32,
    /// Retries under way, those that back off included. Not asked for where there is a budget.
    pub max_retries: u32,
    pub retry_budget: Option<RetryBudget>,
}

/// Retries as a part of what is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryBudget {
    /// Of the requests under way on a core, 0..=100.
    pub percent: u32,
    /// Retries that a core may have in any case.
    pub min_concurrency: u32,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        CircuitBreaker { max_requests: u32::MAX, max_retries: 3, retry_budget: None }
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        RetryBudget { percent: 20, min_concurrency: 3 }
    }
}
