//! What listeners and clusters speak, by the names of the codec registry. No protocol is named here but those whose names are
//! not the registry's.

use sidering_codecs::registry::{Protocol, protocol, protocols};
use sidering_dataplane::config::{AUTO, TCP};

/// Protocols of the format that this version does not speak.
pub(super) const LATER: &[&str] = &["http2", "grpc"];
/// What `http` is while there is one version of it.
const HTTP: &str = "http1";

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy)]
pub(super) enum Spoken {
    /// Bytes, unseen.
    Bytes,
    Messages(&'static Protocol),
    /// Whatever the first bytes say.
    Detected,
}

impl Spoken {
    /// Whatever a listener may say, by name.
    pub(super) fn of_listeners() -> Vec<(&'static str, Spoken)> {
        let known = detectable().into_iter().map(|(name, protocol)| (name, Spoken::Messages(protocol)));
        [(TCP, Spoken::Bytes)].into_iter().chain(known).chain([(AUTO, Spoken::Detected)]).collect()
    }

    /// HTTP.
    pub(super) fn http() -> Option<Spoken> {
        protocol(HTTP).map(Spoken::Messages)
    }

    /// Whether it is calls, and nothing else.
    pub(super) fn is_rpc(self) -> bool {
        matches!(self, Spoken::Messages(protocol) if protocol.is_rpc)
    }

    /// Whether calls may come, be it beside other messages.
    pub(super) fn has_calls(self) -> bool {
        self.is_rpc() || matches!(self, Spoken::Detected)
    }
}

/// What a connection may turn out to speak, by name.
pub(super) fn detectable() -> Vec<(&'static str, &'static Protocol)> {
    let http = protocol(HTTP).map(|http| ("http", http));
    http.into_iter().chain(protocols().map(|protocol| (protocol.name, protocol))).collect()
}

/// Whatever a cluster may say, by name.
pub(super) fn of_clusters() -> Vec<(&'static str, &'static str)> {
    protocols().map(|protocol| protocol.name).chain([TCP, AUTO]).map(|name| (name, name)).collect()
}

/// Whether the messages of the protocol of this name are calls: with a service and a method, without a path.
pub(super) fn is_rpc(name: &str) -> bool {
    protocol(name).is_some_and(|protocol| protocol.is_rpc)
}

/// Whether calls come to a listener that speaks this, be it beside other messages.
pub(super) fn has_calls(name: &str) -> bool {
    name == AUTO || is_rpc(name)
}
