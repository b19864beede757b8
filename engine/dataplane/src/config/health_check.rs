//! How the endpoints of a cluster are checked. Plain data.

/// When an endpoint is checked and what its results mean (envoy.config.core.v3.HealthCheck).
#[derive(Debug, Clone, PartialEq)]
pub struct CheckPace {
    /// Of all intervals: never 0.
    pub interval_ms: u64,
    /// While the host is unhealthy.
    pub unhealthy_interval_ms: u64,
    /// While successes are still counted towards healthy.
    pub healthy_edge_interval_ms: u64,
    /// While failures are still counted towards unhealthy.
    pub unhealthy_edge_interval_ms: u64,
    /// While the cluster has never had traffic; it goes before the others.
    pub no_traffic_interval_ms: u64,
    /// The same, of healthy hosts.
    pub no_traffic_healthy_interval_ms: u64,
    /// Less than this, at random, is added to each interval; 0 adds nothing.
    pub interval_jitter_ms: u64,
    /// The same, in per cent of the interval.
    pub interval_jitter_percent: u32,
    /// Successes in a row that make a host healthy; never 0. The very first check needs one.
    pub healthy_threshold: u32,
    /// Failures in a row that make a host unhealthy; never 0.
    pub unhealthy_threshold: u32,
}

impl CheckPace {
    /// One interval for everything but clusters without traffic, as Envoy derives what is not given.
    #[must_use]
    pub fn every(interval_ms: u64, healthy_threshold: u32, unhealthy_threshold: u32) -> CheckPace {
        CheckPace {
            interval_ms,
            unhealthy_interval_ms: interval_ms,
            healthy_edge_interval_ms: interval_ms,
            unhealthy_edge_interval_ms: interval_ms,
            no_traffic_interval_ms: 60_000,
            no_traffic_healthy_interval_ms: 60_000,
            interval_jitter_ms: 0,
            interval_jitter_percent: 0,
            healthy_threshold,
            unhealthy_threshold,
        }
    }
}

/// Active health: how the endpoints of a cluster are checked. The control side does it; cores only hear of the results.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthCheck {
    pub probe: Probe,
    /// From the connect to the end of the answer; never 0.
    pub timeout_ms: u64,
    /// Up to this much, at random, before an endpoint's first check.
    pub initial_jitter_ms: u64,
    pub pace: CheckPace,
}

/// What is asked of an endpoint, each time on a connection of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    Http(HttpProbe),
    Tcp(TcpProbe),
    /// A heartbeat of the cluster's protocol, by its name in the codec registry.
    Heartbeat(&'static str),
}

/// One HTTP/1.1 request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpProbe {
    pub method: String,
    /// Path and query.
    pub path: String,
    /// `None`: the cluster's name.
    pub host: Option<String>,
    /// Statuses that say that the endpoint is healthy, from and to.
    pub expected: Vec<(u16, u16)>,
    /// Other statuses that count towards the threshold, while all else makes an endpoint unhealthy at once.
    pub retriable: Vec<(u16, u16)>,
}

/// A connection, and what may be said on it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TcpProbe {
    /// Empty: connecting is enough, unless something is to be received.
    pub send: Vec<u8>,
    /// All of them must come in this order, whatever else comes between them.
    pub receive: Vec<Vec<u8>>,
}
