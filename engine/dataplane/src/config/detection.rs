//! Listeners that find out what each of their connections speaks.

use super::ClusterIndex;

/// Stands where a protocol's name does: for bytes that are carried unseen.
pub const TCP: &str = "tcp";

/// Stands where a protocol's name does: on a listener for whatever a connection's first bytes speak, on a cluster for whatever
/// the client speaks whose request it gets.
pub const AUTO: &str = "auto";

/// Which protocols a connection may speak, and what becomes of one that speaks none of them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Detection {
    /// Names of the codec registry, each once, in the order in which they are asked.
    pub protocols: Vec<&'static str>,
    /// How long a client may take until it is known what it speaks; never 0.
    pub timeout_ms: u64,
    /// Takes the bytes of whatever speaks none of them, or nothing in time (its server may be the one that speaks first). `None`:
    /// it is closed, and a client that is silent has as long as one that is idle.
    pub fallback: Option<ClusterIndex>,
}
