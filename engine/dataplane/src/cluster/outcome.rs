//! How one attempt at an endpoint went: the one place that is told, whoever wants to know.

use super::CoreCluster;

/// How one attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The endpoint answered with this status, whole.
    Status(u16),
    /// No connection was established, or not in time.
    ConnectFailure,
    /// The answer did not come, or not whole.
    Reset,
    /// The answer took too long.
    Timeout,
    /// It was given up for reasons that are not the endpoint's.
    Abandoned,
}

impl CoreCluster {
    /// An attempt at `endpoint` is over. Every attempt is told of once, those that are followed by a retry included.
    pub fn on_result(&mut self, endpoint: u32, outcome: Outcome) {
        let failed = match outcome {
            Outcome::Status(status) => status >= 500,
            Outcome::Reset | Outcome::Timeout => true,
            // Not in the endpoint's hands; connects are counted as such.
            Outcome::ConnectFailure | Outcome::Abandoned => false,
        };
        if failed && let Some(host) = self.hosts.get(endpoint) {
            host.counters.requests_error.add(1);
        }
    }
}
