//! What a route makes a request's hash of, for balancers that go by it. Plain data, checked by the control side.

use super::FieldSource;

/// One thing that goes into the hash (Envoy's `HashPolicy`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashPolicy {
    pub source: HashSource,
    /// Whether what follows is left out if there is a hash by then.
    pub terminal: bool,
}

/// Where its text comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashSource {
    /// All fields of a name, in whatever order they came.
    Header(FieldSource),
    Cookie(HashCookie),
    /// The first query parameter of this name.
    Query(String),
    /// The client's address, without its port.
    Source,
}

/// A cookie, which is made up for clients that have none if it has a lifetime.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HashCookie {
    pub name: String,
    /// 0 for as long as the client's session lasts; `None`: never made up.
    pub ttl_seconds: Option<u64>,
    /// Empty if it is not said.
    pub path: String,
}
