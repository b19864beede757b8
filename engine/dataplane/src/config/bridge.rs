//! What a route makes calls of that clients ask for in HTTP and JSON. Plain data, checked by the control side.

use sidering_codecs::bridge::BridgedService;

/// How a route's requests become calls of its cluster's protocol, which can be bridged to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeRule {
    pub service: BridgedService,
    /// The method that all requests call; `None`: the last segment of the path names it.
    pub method: Option<String>,
    /// The largest body of a request. 413 beyond.
    pub max_request_bytes: u32,
    /// The largest answer of a provider, and the largest JSON that is made of one. 502 beyond.
    pub max_response_bytes: u32,
}
