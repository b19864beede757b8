//! The configuration as the data plane sees it: checked, resolved, immutable plain data. It parses nothing.
//!
//! The control side builds a [`Snapshot`] from a file (later: xDS) and hands the same one to every core. All references
//! are indices that have been checked; all durations are milliseconds.

use crate::io::{Address, ListenerId};
use sidering_codecs::registry::CodecOptions;

/// One whole configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Counts up with every configuration that was applied.
    pub version: u64,
    pub listeners: Vec<Listener>,
    pub clusters: Vec<Cluster>,
    /// SIGTERM: at most this long until what is still in flight is cut.
    pub drain_timeout_ms: u64,
    /// `None`: no access log is written.
    pub access_log: Option<AccessLogFields>,
}

/// What access-log records must carry beyond the fixed part: the fields named by `%REQ(..)%` and `%RESP(..)%`.
/// Lower-case names; their values stand in the records in this order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AccessLogFields {
    pub request_fields: Vec<String>,
    pub response_fields: Vec<String>,
}

/// One address that is listened on, on every core.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    /// Stays the same for the same address across configurations.
    pub id: ListenerId,
    pub name: String,
    pub address: Address,
    pub limits: ListenerLimits,
    pub kind: ListenerKind,
}

/// Bounds of a listener. A timeout of 0 is off.
#[derive(Debug, Clone, PartialEq)]
pub struct ListenerLimits {
    /// Connections per core at most (the configured number divided by the cores, rounded up). Beyond it a connection
    /// is accepted and closed at once.
    pub max_connections: u32,
    /// From a request's first byte to the end of its head: 408 and close.
    pub request_headers_timeout_ms: u64,
    /// From a request's first byte to the end of its body: 408 and close.
    pub request_timeout_ms: u64,
    /// No byte in either direction on a request that is under way: 408 while the request is awaited, 504 while
    /// the response is, else the connection is closed.
    pub stream_idle_timeout_ms: u64,
    /// A connection without a request (HTTP), or without a byte in either direction (TCP): closed.
    pub idle_timeout_ms: u64,
}

/// What a listener does with its connections.
#[derive(Debug, Clone, PartialEq)]
pub enum ListenerKind {
    /// Bytes, unseen.
    Tcp { cluster: ClusterIndex },
    /// Requests. `protocol` is a name of the codec registry ("http1").
    Http(Box<HttpListener>),
}

/// An index into [`Snapshot::clusters`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClusterIndex(pub u32);

/// A listener whose requests are routed.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpListener {
    pub protocol: &'static str,
    pub codec: CodecOptions,
    pub options: HttpOptions,
    pub virtual_hosts: Vec<VirtualHost>,
}

/// Per-listener HTTP behaviour, named as Envoy names it.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpOptions {
    /// Append the peer's address to X-Forwarded-For and set X-Forwarded-Proto.
    pub use_remote_address: bool,
    /// Give each request without an X-Request-Id a new one (UUID version 4).
    pub generate_request_id: bool,
    /// Append `1.1 <name>` to Via, in both directions.
    pub via: Option<String>,
    /// Protocols that may be upgraded to, lower-case; default: websocket.
    pub upgrades: Vec<String>,
    /// What happens to field names with an underscore.
    pub underscores: Underscores,
    /// Dot segments and percent-encoded unreserved characters are normalised before routing, and the normalised path
    /// is forwarded (RFC 3986 section 6.2.2).
    pub normalize_path: bool,
    /// Runs of slashes become one.
    pub merge_slashes: bool,
}

/// What happens to request field names with an underscore (some servers take `a_b` and `a-b` for the same).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Underscores {
    Allow,
    /// 400.
    Reject,
    /// The field is not forwarded.
    Drop,
}

/// A set of domains and their routes, first match wins.
#[derive(Debug, Clone, PartialEq)]
pub struct VirtualHost {
    /// `api.example.com`, `*.example.com`, `prefix.*`, `*`; lower-case.
    pub domains: Vec<String>,
    pub routes: Vec<Route>,
}

/// One route.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    pub path: PathMatch,
    /// Whether it takes CONNECT requests (and only those), which then become tunnels.
    pub connect: bool,
    pub action: RouteAction,
    /// From the end of the request to the end of the response; 0 is off. 504.
    pub timeout_ms: u64,
    /// Where it stands in the file, for `explain` and logs; 0 if it has no place.
    pub line: u32,
}

/// Which paths a route takes. Matching is on the path without query, case-sensitive.
#[derive(Debug, Clone, PartialEq)]
pub enum PathMatch {
    /// `match: {}`.
    Any,
    Exact(String),
    Prefix(String),
}

/// What a route does.
#[derive(Debug, Clone, PartialEq)]
pub enum RouteAction {
    Cluster(ClusterIndex),
    DirectResponse { status: u16, body: Vec<u8> },
}

/// A group of endpoints that serve the same thing.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    pub name: String,
    /// A name of the codec registry, or "tcp".
    pub protocol: &'static str,
    pub endpoints: Vec<Endpoint>,
    /// From the socket to the established connection; never 0.
    pub connect_timeout_ms: u64,
    pub pool: PoolLimits,
}

/// Bounds of the connections to a cluster, per core.
#[derive(Debug, Clone, PartialEq)]
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
