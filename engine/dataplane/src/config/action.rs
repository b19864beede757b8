//! What goes with a route's action: weighted clusters, rewrites and redirects. Plain data, checked by the control side.

use super::ClusterIndex;

/// One of several clusters that share a route's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightedCluster {
    pub cluster: ClusterIndex,
    /// Its share, relative to the others; 0 gets nothing. At least one of a route's weights is above 0.
    pub weight: u32,
}

/// What is changed of a request's target before it is forwarded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rewrite {
    /// Stands in the place of what the route's `prefix` (or whole `path`) matched; the query stays. Begins with `/`.
    pub prefix: Option<String>,
    /// The Host that the upstream sees.
    pub host: Option<String>,
}

/// Where a client is sent instead. What is not named stays as the request has it (Envoy's RedirectAction).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Redirect {
    /// `http` or `https`.
    pub scheme: Option<&'static str>,
    pub host: Option<String>,
    pub port: Option<u16>,
    pub path: RedirectPath,
    /// The request's query goes; one that stands in the configured path stays.
    pub strip_query: bool,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// The path of a redirect.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RedirectPath {
    /// The request's own.
    #[default]
    Same,
    /// This one; if it has a query of its own the request's query goes.
    Whole(String),
    /// In the place of what the route matched.
    Prefix(String),
}
