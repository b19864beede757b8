//! What must hold, at every step and at the end of a run. Each file is one checker; each failure is a panic that says what
//! was expected of whom.

mod counters;
mod ending;
mod limits;
mod membership;
mod outliers;
mod pace;
mod records;
mod timers;

use crate::shape::{ENDPOINTS, Shape};
use outliers::Notices;
use records::{Records, Sink};
use sidering_dataplane::message::ClusterUpdate;
use sidering_dataplane::observe::access_log::RecordSink;
use sidering_dataplane::observe::counters::{
    ClusterCounters, CoreCounters, EndpointCounters, ListenerCounters,
};
use std::collections::HashMap;
use std::sync::Arc;

/// Listeners of a run.
const LISTENERS: usize = 3;

/// The machine's own books, and what was seen of them.
pub(crate) struct Oracle {
    pub(crate) core: Arc<CoreCounters>,
    /// By id, and by number: the same whatever the configuration.
    pub(crate) listeners: Vec<Arc<ListenerCounters>>,
    pub(crate) clusters: Vec<Arc<ClusterCounters>>,
    /// Of each cluster, by the number of the address: the same whatever the configuration.
    pub(crate) endpoints: Vec<Vec<Arc<EndpointCounters>>>,
    pub(crate) records: Records,
    pub(crate) notices: Notices,
    /// When the request ended that was logged last of each connection, by its number.
    last_ends: HashMap<u32, u64>,
    /// Of each cluster, until when requests to it found nobody.
    pub(crate) unserved_until: Vec<u64>,
    /// Listeners of the configuration that the machine has.
    pub(crate) applied: Vec<u32>,
    pub(crate) drained_at: Option<u64>,
    /// Since when a draining machine has had no client.
    pub(crate) empty_since: Option<u64>,
    /// The most connections that a configuration of this run lets a listener have.
    pub(crate) connections_max: u64,
    seen: limits::Seen,
}

impl Oracle {
    pub(crate) fn new(clusters: usize) -> Self {
        let endpoints = |_| (0..ENDPOINTS).map(|_| Arc::default()).collect();
        Oracle {
            core: Arc::default(),
            listeners: (0..LISTENERS).map(|_| Arc::default()).collect(),
            clusters: (0..clusters).map(|_| Arc::default()).collect(),
            endpoints: (0..clusters).map(endpoints).collect(),
            records: Records::default(),
            notices: Notices::default(),
            last_ends: HashMap::new(),
            unserved_until: vec![0; clusters],
            applied: vec![],
            drained_at: None,
            empty_since: None,
            connections_max: 0,
            seen: limits::Seen::new(clusters),
        }
    }

    /// Where the machine writes its access log.
    pub(crate) fn sink(&self) -> Box<dyn RecordSink> {
        Box::new(Sink::new(&self.records))
    }

    /// The counters that go with a configuration, in its order.
    pub(crate) fn counters_for(&self, shape: &Shape) -> (Vec<Arc<ListenerCounters>>, Vec<ClusterUpdate>) {
        let listeners = shape.listeners().into_iter().map(|id| Arc::clone(&self.listeners[id as usize]));
        let cluster = |number| ClusterUpdate {
            counters: Arc::clone(&self.clusters[number]),
            endpoints: self.endpoint_counters_for(shape, number),
        };
        (listeners.collect(), (0..self.clusters.len()).map(cluster).collect())
    }

    /// The counters of a cluster's endpoints, in their order.
    pub(crate) fn endpoint_counters_for(&self, shape: &Shape, number: usize) -> Vec<Arc<EndpointCounters>> {
        shape.clusters[number].members().map(|at| Arc::clone(&self.endpoints[number][at])).collect()
    }
}
