//! What the control thread may tell a core, and what cores may tell each other.

use crate::config::{ClusterIndex, Endpoint, HealthFlags, Snapshot};
use crate::filter::local_rate_limit::shares::ShareOrder;
use crate::io::Address;
use crate::neighbours::{Answer, Ask};
use crate::observe::counters::{ClusterCounters, EndpointCounters, ListenerCounters};
use std::sync::Arc;

/// A message to one core's [`crate::worker::Worker`], dealt with between two turns.
#[derive(Debug)]
pub enum Message {
    /// Use this configuration from now on. Streams in flight keep the one they began with.
    Apply(Update),
    /// A cluster has other endpoints from now on, or other weights of them.
    Endpoints(EndpointsUpdate),
    /// Some endpoints of a cluster are in better or worse health.
    Health(HealthUpdate),
    /// A token bucket's share is asked for, or changed.
    Share(ShareOrder),
    /// Another core would take an idle connection.
    Ask(Ask),
    /// What another core says to an ask of this one.
    Answer(Answer),
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
    pub clusters: Vec<ClusterUpdate>,
}

/// The counters of a cluster on this core. Endpoints that live on in it under the same address keep theirs.
#[derive(Debug, Clone, Default)]
pub struct ClusterUpdate {
    pub counters: Arc<ClusterCounters>,
    /// One for each endpoint, in the cluster's order.
    pub endpoints: Vec<Arc<EndpointCounters>>,
}

/// The endpoints of one cluster.
#[derive(Debug, Clone)]
pub struct EndpointsUpdate {
    /// In the snapshot that was applied last.
    pub cluster: ClusterIndex,
    /// No address twice.
    pub endpoints: Arc<[Endpoint]>,
    /// One for each endpoint, in this order.
    pub counters: Vec<Arc<EndpointCounters>>,
}

/// The health of some endpoints of one cluster.
#[derive(Debug, Clone)]
pub struct HealthUpdate {
    /// In the snapshot that was applied last.
    pub cluster: ClusterIndex,
    /// Those that the cluster does not have are passed over.
    pub changes: Arc<[HealthChange]>,
}

/// What is known about an endpoint now. Flags that are in neither set stay as they are: each has an owner of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthChange {
    pub address: Address,
    pub set: HealthFlags,
    pub clear: HealthFlags,
}
