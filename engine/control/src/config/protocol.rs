//! What listeners and clusters speak, by the names of the codec registry. No protocol is named here but those whose names are
//! not the registry's.

use sidering_codecs::registry::{PROTOCOLS, Protocol, protocol};

/// Protocols of the format that this version does not speak.
pub(super) const LATER: &[&str] = &["http2", "auto", "grpc"];
/// What `http` is while there is one version of it.
const HTTP: &str = "http1";
/// What has no messages.
pub(super) const TCP: &str = "tcp";

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy)]
pub(super) enum Spoken {
    /// Bytes, unseen.
    Bytes,
    Messages(&'static Protocol),
}

impl Spoken {
    /// Whatever a listener may say, by name.
    pub(super) fn of_listeners() -> Vec<(&'static str, Spoken)> {
        let http = Spoken::http().map(|http| ("http", http));
        let known = PROTOCOLS.iter().map(|protocol| (protocol.name, Spoken::Messages(protocol)));
        [(TCP, Spoken::Bytes)].into_iter().chain(http).chain(known).collect()
    }

    /// HTTP.
    pub(super) fn http() -> Option<Spoken> {
        protocol(HTTP).map(Spoken::Messages)
    }

    /// Whether it is calls.
    pub(super) fn is_rpc(self) -> bool {
        matches!(self, Spoken::Messages(protocol) if protocol.is_rpc)
    }
}

/// Whatever a cluster may say, by name.
pub(super) fn of_clusters() -> Vec<(&'static str, &'static str)> {
    let known = PROTOCOLS.iter().map(|protocol| protocol.name);
    known.chain([TCP]).map(|name| (name, name)).collect()
}

/// Whether the messages of the protocol of this name are calls: with a service and a method, without a path.
pub(super) fn is_rpc(name: &str) -> bool {
    protocol(name).is_some_and(|protocol| protocol.is_rpc)
}
