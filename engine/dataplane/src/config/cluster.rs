//! Clusters: their endpoints, and the bounds of what is sent to them.

use super::{
    CircuitBreaker, HealthCheck, HealthFlags, Heartbeat, LoadBalancing, Metadata, OutlierDetection,
    SlowStart, SubsetPolicy, ZoneAware,
};
use crate::io::{Address, ConnectOptions};
use std::sync::Arc;

/// An index into [`super::Snapshot::clusters`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ClusterIndex(pub u32);

/// A group of endpoints that serve the same thing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cluster {
    pub name: String,
    /// A name of the codec registry, [`TCP`](super::TCP), or [`AUTO`](super::AUTO).
    pub protocol: &'static str,
    /// No address twice.
    pub endpoints: Arc<[Endpoint]>,
    pub lb: LoadBalancing,
    pub priorities: PriorityPolicy,
    /// For round robin and least request.
    pub slow_start: Option<SlowStart>,
    pub zone_aware: Option<ZoneAware>,
    pub subsets: Option<SubsetPolicy>,
    /// From the socket to the established connection; never 0.
    pub connect_timeout_ms: u64,
    pub connect_options: ConnectOptions,
    pub pool: PoolLimits,
    pub circuit_breaker: CircuitBreaker,
    /// `None`: an endpoint is healthy until it is known otherwise.
    pub health_check: Option<Arc<HealthCheck>>,
    /// `None`: idle connections are not asked. Without a meaning where the protocol has no heartbeats.
    pub heartbeat: Option<Heartbeat>,
    /// Without a meaning where the protocol has one exchange on a connection at a time.
    pub shared: SharedLimits,
    /// `None`: nobody is ejected.
    pub outlier_detection: Option<Arc<OutlierDetection>>,
}

impl Cluster {
    /// Whether the two differ in nothing but their endpoints.
    pub fn differs_in_endpoints_only(&self, other: &Cluster) -> bool {
        // Names first: they tell nearly all clusters apart. The copies share their lists of endpoints.
        self.name == other.name
            && Cluster { endpoints: Arc::clone(&other.endpoints), ..self.clone() } == *other
    }
}

/// When priorities and unhealthy endpoints get a share of the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriorityPolicy {
    /// With fewer healthy and degraded endpoints than this all are used (Envoy's `healthy_panic_threshold`); at most 100,
    /// 0 is never.
    pub panic_threshold_percent: u32,
    /// How much of the traffic 100 % of a priority's endpoints could bear (Envoy's `overprovisioning_factor`), 1 to 10,000.
    pub overprovisioning_percent: u32,
}

impl Default for PriorityPolicy {
    /// Envoy's.
    fn default() -> Self {
        PriorityPolicy { panic_threshold_percent: 50, overprovisioning_percent: 140 }
    }
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
    /// A core that has no idle connection may get one of another core. For HTTP/1 only.
    pub shares_idle: bool,
}

/// How the exchanges of one core share connections to one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedLimits {
    /// With so many on it, another connection is opened; never 0.
    pub max_calls_per_connection: u32,
    /// So many connections are opened for load, and those exchanges that are too many for them share them all the same; never 0.
    pub max_connections_per_endpoint: u32,
}

impl Default for SharedLimits {
    fn default() -> Self {
        SharedLimits { max_calls_per_connection: 128, max_connections_per_endpoint: 8 }
    }
}

/// One address of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub address: Address,
    /// Share of the traffic relative to the others, 1..=128.
    pub weight: u32,
    /// From 0, the first to be used, to [`Endpoint::LAST_PRIORITY`].
    pub priority: u32,
    /// Where it stands, if that is known.
    pub zone: Option<Arc<str>>,
    /// What subsets go by.
    pub metadata: Metadata,
    /// What is known against it when the cluster gets it, or gets it back. From then on [`crate::message::Message::Health`] tells.
    pub health: HealthFlags,
    /// The name under which the address was found.
    pub hostname: Option<Arc<str>>,
    /// It stands for its name, whatever address that has now (Envoy's logical DNS clusters): connections to addresses that it
    /// had before are as good as others. At most one of a cluster.
    pub is_logical: bool,
    /// Of a logical one: addresses to try in turn where `address` does not answer in time.
    pub alternates: Option<Arc<[Address]>>,
}

/// What makes an endpoint the one it is, in its cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndpointIdentity {
    Address(Address),
    /// Of a logical one: whatever its address is.
    Hostname(Option<Arc<str>>),
}

impl Endpoint {
    /// Envoy's bound.
    pub const LAST_PRIORITY: u32 = 127;

    /// An endpoint like any other.
    pub fn new(address: Address) -> Self {
        Endpoint {
            address,
            weight: 1,
            priority: 0,
            zone: None,
            metadata: Metadata::default(),
            health: HealthFlags::default(),
            hostname: None,
            is_logical: false,
            alternates: None,
        }
    }

    /// Two endpoints with the same one are the same endpoint, and have one history.
    pub fn identity(&self) -> EndpointIdentity {
        match self.is_logical {
            true => EndpointIdentity::Hostname(self.hostname.clone()),
            false => EndpointIdentity::Address(self.address.clone()),
        }
    }
}
