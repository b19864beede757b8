//! The configuration as the data plane sees it: checked, resolved, immutable plain data. It parses nothing.
//!
//! The control side builds a [`Snapshot`] from a file (later: xDS) and hands the same one to every core. All references
//! are indices that have been checked; all durations are milliseconds.

mod action;
mod bridge;
mod chain;
mod circuit_breaker;
mod cluster;
mod detection;
mod filter;
mod hash;
mod header;
mod health;
mod health_check;
mod heartbeat;
mod listener;
mod load_balancing;
mod matcher;
mod outlier_detection;
mod retry;
mod route;
mod route_match;
mod subset;
mod zone;

pub use action::{ClusterHeader, Redirect, RedirectPath, Rewrite, WeightedCluster};
pub use bridge::BridgeRule;
pub use chain::{ChainLink, LinkTables, NamedTable, PassOn};
pub use circuit_breaker::{CircuitBreaker, RetryBudget};
pub use cluster::{
    Cluster, ClusterIndex, Endpoint, EndpointIdentity, PoolLimits, PriorityPolicy, SharedLimits,
};
pub use detection::{AUTO, Detection, TCP};
pub use filter::{ChainedFilter, FilterOverride};
pub use hash::{HashCookie, HashPolicy, HashSource};
pub use header::{
    FieldSource, FieldValue, HeaderOperations, HeaderOperator, HeaderPiece, HeaderRules, HeaderTemplate,
    HeaderValue,
};
pub use health::{HealthFlags, HostHealth};
pub use health_check::{CheckPace, HealthCheck, HttpProbe, Probe, TcpProbe};
pub use heartbeat::Heartbeat;
pub use listener::{
    EnvoyHeaders, HttpListener, HttpOptions, Listener, ListenerKind, ListenerLimits, Underscores,
};
pub use load_balancing::{LoadBalancing, RingSizes, SlowStart, ZoneAware};
pub use matcher::{Cidr, HeaderMatch, HeaderTest, Share, StringMatch, StringPattern, is_part};
pub use outlier_detection::{Enforcing, FailurePercentage, OutlierDetection, SuccessRate};
pub use retry::{BackOff, RetryOn, RetryPolicy};
pub use route::{BUFFER_BYTES, Forward, Mirror, Route, RouteAction, VirtualHost};
pub use route_match::{Conditions, PathMatch, QueryMatch, RouteMatch, RpcMatch};
pub use subset::{Metadata, SubsetFallback, SubsetPolicy, SubsetSelector, has_keys, metadata, restrict};
pub use zone::{City, KeyDigits, KeyRange, WeightedZone, Zone, ZoneKey, ZoneMap};

use std::sync::Arc;

/// One whole configuration.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot {
    /// Counts up with every configuration that was applied.
    pub version: u64,
    pub listeners: Vec<Listener>,
    pub clusters: Vec<Arc<Cluster>>,
    /// The one that this proxy belongs to, by which clusters that are aware of zones know who else sends requests.
    pub local_cluster: Option<ClusterIndex>,
    /// SIGTERM: at most this long until what is still in flight is cut.
    pub drain_timeout_ms: u64,
    /// `None`: no access log is written.
    pub access_log: Option<AccessLogFields>,
    /// How many cores there are to share what is bounded for all of them; 0 is 1.
    pub cores: u32,
}

/// What access-log records must carry beyond the fixed part: the fields named by `%REQ(..)%` and `%RESP(..)%`.
/// Lower-case names; their values stand in the records in this order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AccessLogFields {
    pub request_fields: Vec<String>,
    /// The groups of calls, which some protocols have behind the payload.
    pub rpc_group: bool,
    pub response_fields: Vec<String>,
}
