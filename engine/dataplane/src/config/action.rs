//! What goes with a route's action: weighted clusters, rewrites and redirects. Plain data, checked by the control side.

use super::{ClusterIndex, FieldSource};
use crate::route::Substitution;

/// One of several clusters that share a route's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightedCluster {
    pub cluster: ClusterIndex,
    /// Its share, relative to the others; 0 gets nothing. At least one of a route's weights is above 0.
    pub weight: u32,
}

/// The cluster that the request names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterHeader {
    pub source: FieldSource,
    /// Where it names none, or none that there is: 404, 500 or 503.
    pub not_found_status: u16,
}

/// What is changed of a request's target before it is forwarded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rewrite {
    /// Stands in the place of what the route's `prefix` (or whole `path`) matched; the query stays. Begins with `/`.
    pub prefix: Option<String>,
    /// Instead of `prefix`: what is replaced in the path, without its query.
    pub regex: Option<Box<Substitution>>,
    /// The Host that the upstream sees.
    pub host: Option<String>,
    /// Instead of `host`: the field that has it, lower-case. Without the field, or where its value can be no host, Host
    /// stays.
    pub host_header: Option<String>,
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
    /// The request's own, without its query, with what is replaced in it.
    Regex(Box<Substitution>),
}
