//! Listeners: their addresses, bounds, and what they do with their connections.

use super::{ChainedFilter, ClusterIndex, Detection, HeaderRules, TCP};
use crate::io::{Address, ListenerId};
use crate::route::RouteTable;
use sidering_codecs::registry::CodecOptions;
use std::sync::Arc;

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

impl Listener {
    /// What it speaks: [`TCP`], [`AUTO`](super::AUTO), or a name of the codec registry, which for a file's `http` is `http1`.
    pub fn protocol(&self) -> &'static str {
        match &self.kind {
            ListenerKind::Tcp { .. } => TCP,
            ListenerKind::Http(http) => http.protocol,
        }
    }
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
    /// How long a client may take nothing of an answer while answers to other clients wait behind it on one upstream connection: it
    /// is cut off. Frames cannot be interleaved, and what is held of them is bounded, so that one who reads no more stops all.
    pub held_up_timeout_ms: u64,
}

/// What a listener does with its connections.
#[derive(Debug, Clone, PartialEq)]
pub enum ListenerKind {
    /// Bytes, unseen.
    Tcp { cluster: ClusterIndex },
    /// Requests.
    Http(Box<HttpListener>),
}

/// A listener whose requests are routed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HttpListener {
    /// A name of the codec registry ("http1"), or [`AUTO`](super::AUTO) with `detection`.
    pub protocol: &'static str,
    /// How its connections' protocols are found out; `None` if there is one.
    pub detection: Option<Box<Detection>>,
    pub codec: CodecOptions,
    /// Of HTTP alone.
    pub options: HttpOptions,
    /// In the order in which requests meet them; responses meet them in the other.
    pub filters: Vec<ChainedFilter>,
    /// `None` if it changes nothing.
    pub headers: Option<Box<HeaderRules>>,
    /// Compiled once and shared by the cores.
    pub routes: Arc<RouteTable>,
}

/// Per-listener HTTP behaviour, named as Envoy names it.
#[derive(Debug, Clone, PartialEq, Default)]
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
    /// What becomes of the fields with which a request sets its own retries and timeouts.
    pub envoy_headers: EnvoyHeaders,
}

/// What becomes of `x-envoy-retry-on` and its like in requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EnvoyHeaders {
    /// They mean nothing, and are forwarded like any other field.
    #[default]
    Ignore,
    /// They are obeyed and not forwarded: right where clients are trusted.
    Obey,
    /// They mean nothing and are not forwarded: right at the edge.
    Strip,
}

/// What happens to request field names with an underscore (some servers take `a_b` and `a-b` for the same).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Underscores {
    #[default]
    Allow,
    /// 400.
    Reject,
    /// The field is not forwarded.
    Drop,
}
