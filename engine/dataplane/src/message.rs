//! What the control thread may tell a core.

use crate::config::Snapshot;
use crate::observe::counters::{ClusterCounters, ListenerCounters};
use std::sync::Arc;

/// A message to one core's [`crate::worker::Worker`], dealt with between two turns.
#[derive(Debug)]
pub enum Message {
    /// Use this configuration from now on. Streams in flight keep the one they began with.
    Apply(Update),
    /// Stop accepting, finish what is in flight within the snapshot's drain timeout, then be finished.
    Drain,
    /// Be finished at once.
    Stop,
}

/// A configuration with the counters that belong to it on this core, in the snapshot's order. Listeners and clusters
/// that live on under the same name keep their counters.
#[derive(Debug, Clone)]
pub struct Update {
    pub snapshot: Arc<Snapshot>,
    pub listeners: Vec<Arc<ListenerCounters>>,
    pub clusters: Vec<Arc<ClusterCounters>>,
}
