//! How one attempt at an endpoint went: the one place that is told, whoever wants to know.

use super::CoreCluster;
use super::outlier::Reached;

/// How one attempt ended, or that it has got through to its endpoint.
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
    /// A tunnel has begun; what comes of its bytes is not looked at.
    TunnelBegun,
    /// A tunnel is over, by an error or in order.
    TunnelEnded { broken: bool },
}

impl CoreCluster {
    /// An attempt at `endpoint` is over. Every attempt is told of once, those that are followed by a retry included; one that
    /// becomes a tunnel is told of when that begins, too. Tells which failures in a row are to be told to control.
    pub fn on_result(&mut self, endpoint: u32, outcome: Outcome) -> Reached {
        self.count_error(endpoint, outcome);
        self.judge(endpoint, outcome)
    }

    /// Counts an attempt that failed in the endpoint's hands.
    pub fn count_error(&self, endpoint: u32, outcome: Outcome) {
        let failed = match outcome {
            Outcome::Status(status) => status >= 500,
            Outcome::Reset | Outcome::Timeout => true,
            Outcome::TunnelEnded { broken } => broken,
            // Not in the endpoint's hands; connects are counted as such.
            Outcome::ConnectFailure | Outcome::Abandoned | Outcome::TunnelBegun => false,
        };
        if failed && let Some(host) = self.hosts.get(endpoint) {
            host.counters.requests_error.add(1);
        }
    }

    /// Lets outlier detection know.
    pub fn judge(&mut self, endpoint: u32, outcome: Outcome) -> Reached {
        match &self.config.outlier_detection {
            Some(config) => self.hosts.count_result(endpoint, outcome, config),
            None => Reached::default(),
        }
    }
}
