//! What a stream knows of its request's being a call to its cluster. Plain state; what follows is in `proxy/bridge.rs`.

use super::BodyKey;
use sidering_codecs::registry::Protocol;

/// A request of HTTP that becomes a call.
#[derive(Debug)]
pub struct Bridging {
    /// What it calls.
    pub method: String,
    /// What the call is in; `None` as long as it is none.
    pub protocol: Option<&'static Protocol>,
    /// The first bytes of the answer's frame.
    pub answer_head: Vec<u8>,
    /// What has come behind them.
    pub answer: Option<BodyKey>,
    /// The answer is not taken: there is too much of it.
    pub is_refused: bool,
}
