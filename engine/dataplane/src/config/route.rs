//! Virtual hosts and routes: which requests they take, and what is done with those.

use super::{
    BridgeRule, ClusterHeader, ClusterIndex, FilterOverride, HashPolicy, HeaderRules, Redirect, RetryPolicy,
    Rewrite, RouteMatch, Share, WeightedCluster,
};

/// A set of domains and their routes, first match wins.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VirtualHost {
    /// `api.example.com`, `*.example.com`, `prefix.*`, `*`; lower-case.
    pub domains: Vec<String>,
    pub routes: Vec<Route>,
    /// For all of its routes that say nothing else.
    pub filters: Vec<FilterOverride>,
    /// `None` if it changes nothing.
    pub headers: Option<Box<HeaderRules>>,
}

/// One route.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Route {
    pub matcher: RouteMatch,
    pub action: RouteAction,
    pub filters: Vec<FilterOverride>,
    /// `None` if it changes nothing.
    pub headers: Option<Box<HeaderRules>>,
    /// Where it stands in the file, for `explain` and logs; 0 if it has no place.
    pub line: u32,
}

/// What a route does.
#[derive(Debug, Clone, PartialEq)]
pub enum RouteAction {
    Forward(Forward),
    DirectResponse { status: u16, body: Vec<u8> },
    Redirect(Box<Redirect>),
}

impl Default for RouteAction {
    fn default() -> Self {
        RouteAction::DirectResponse { status: 404, body: vec![] }
    }
}

impl RouteAction {
    /// Whether it sends requests to a cluster.
    pub fn forwards(&self) -> bool {
        matches!(self, RouteAction::Forward(_))
    }

    /// To this cluster, without anything special.
    pub fn cluster(cluster: ClusterIndex) -> Self {
        RouteAction::Forward(Forward { cluster, ..Forward::default() })
    }
}

/// Which requests go to a second cluster as well, whose answers are dropped.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mirror {
    pub cluster: ClusterIndex,
    pub share: Share,
}

/// What Envoy keeps of a request's body, without a word of the configuration.
pub const BUFFER_BYTES: u32 = 1024 * 1024;

/// How a request is sent on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Forward {
    /// Unused where there are weighted clusters.
    pub cluster: ClusterIndex,
    /// Empty if all goes to `cluster`.
    pub weighted_clusters: Vec<WeightedCluster>,
    /// Instead of `cluster`.
    pub cluster_header: Option<Box<ClusterHeader>>,
    /// `None` if nothing of the target is changed.
    pub rewrite: Option<Box<Rewrite>>,
    /// From the end of the request to the end of the response; 0 is off. 504.
    pub timeout_ms: u64,
    /// No byte in either direction: instead of the listener's `stream_idle_timeout_ms`; 0 is off.
    pub idle_timeout_ms: Option<u64>,
    /// From the request's first byte to the end of everything; 0 is off. 504, or 408 while the request is awaited.
    pub max_stream_duration_ms: u64,
    pub retry: Option<Box<RetryPolicy>>,
    /// The most that is kept of a request's body, to be sent once more; `None` is [`BUFFER_BYTES`].
    pub buffer_bytes: Option<u32>,
    /// In this order; at most 16.
    pub hash: Vec<HashPolicy>,
    pub mirror: Option<Mirror>,
    /// Metadata that an endpoint must have to be chosen; names in order, each once.
    pub subset: Vec<(String, String)>,
    /// Requests of HTTP become calls of the cluster's protocol.
    pub bridge: Option<Box<BridgeRule>>,
}
