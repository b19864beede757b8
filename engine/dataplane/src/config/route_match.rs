//! What a route asks of a request, as plain data; what each condition means is Envoy's `RouteMatch`, `HeaderMatcher`
//! and `QueryParameterMatcher`. It matches nothing itself: that is `crate::route`.

use super::{Cidr, HeaderMatch, Share, StringMatch};
use crate::route::{Pattern, Template};

/// Which requests a route takes: all that every condition here holds for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RouteMatch {
    pub path: PathMatch,
    /// Whether it takes CONNECT requests (and only those), which then become tunnels.
    pub connect: bool,
    /// What it asks beyond the path; most routes ask nothing, and pay for a pointer.
    pub conditions: Option<Box<Conditions>>,
}

impl RouteMatch {
    /// Whether it tells paths apart.
    #[must_use]
    pub fn looks_at_path(&self) -> bool {
        let of_path = match &self.path {
            PathMatch::Any => false,
            PathMatch::Prefix(prefix) => prefix != "/",
            PathMatch::Exact(_) | PathMatch::Regex(_) | PathMatch::Template(_) => true,
        };
        let mut headers = self.conditions.iter().flat_map(|conditions| &conditions.headers);
        of_path || headers.any(HeaderMatch::looks_at_path)
    }
}

/// Which paths a route takes. Matching is on the path without query, case-sensitive.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum PathMatch {
    /// `match: {}`.
    #[default]
    Any,
    Exact(String),
    Prefix(String),
    /// The whole path.
    Regex(Box<Pattern>),
    /// The whole path, segment by segment.
    Template(Box<Template>),
}

/// Everything that is asked of a request beyond its path. What is empty asks nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Conditions {
    /// Any of them, as written in the request.
    pub methods: Vec<String>,
    /// All of them.
    pub headers: Vec<HeaderMatch>,
    /// All of them.
    pub query: Vec<QueryMatch>,
    /// The client's address is in any of them.
    pub sources: Vec<Cidr>,
    /// `content-type` is `application/grpc`, alone or with a `+suffix`.
    pub grpc: bool,
    /// A share of the requests, by chance.
    pub runtime_fraction: Option<Share>,
    pub rpc: Option<Box<RpcMatch>>,
}

/// What is asked of a query parameter: of the first one with this name, as it stands in the request (not decoded).
#[derive(Debug, Clone, PartialEq)]
pub struct QueryMatch {
    pub name: String,
    /// `None`: that it is there.
    pub value: Option<StringMatch>,
}

/// What is asked of the neutral fields of an RPC request. A request that is none holds for none of them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RpcMatch {
    pub service: Option<StringMatch>,
    pub method: Option<StringMatch>,
    pub version: Option<StringMatch>,
    pub group: Option<StringMatch>,
}
