//! Clusters: their endpoints, and the bounds of what is sent to them.

use crate::io::Address;

/// An index into [`super::Snapshot::clusters`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ClusterIndex(pub u32);

/// A group of endpoints that serve the same thing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cluster {
    pub name: String,
    /// A name of the codec registry, or "tcp".
    pub protocol: &'static str,
    pub endpoints: Vec<Endpoint>,
    pub lb: LoadBalancing,
    /// From the socket to the established connection; never 0.
    pub connect_timeout_ms: u64,
    pub pool: PoolLimits,
}

/// How a cluster's requests are spread over its endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoadBalancing {
    /// In turn; where weights differ, in proportion to them.
    #[default]
    RoundRobin,
    /// The less busy of two.
    LeastRequest,
    /// Any, whatever its weight.
    Random,
}

/// Bounds of the connections to a cluster, per core.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PoolLimits {
    /// Open connections, idle ones included.
    pub max_connections: u32,
    /// Requests that wait for a connection; the next one is answered 503 (flag UO).
    pub max_pending: u32,
    /// An idle connection is closed after this long; 0 is never.
    pub idle_timeout_ms: u64,
}

/// One address of a cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    pub address: Address,
    /// Share of the traffic relative to the others, 1..=128.
    pub weight: u32,
}

impl Endpoint {
    /// An endpoint like any other.
    pub fn new(address: Address) -> Self {
        Endpoint { address, weight: 1 }
    }
}
