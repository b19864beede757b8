//! What must hold, at every step and at the end of a run. Each file is one checker; each failure is a panic that says what
//! was expected of whom.

mod counters;
mod ending;
mod limits;
mod pace;
mod records;
mod timers;

use crate::shape::Shape;
use records::{Records, Sink};
use sidering_dataplane::observe::access_log::RecordSink;
use sidering_dataplane::observe::counters::{
    ClusterCounters, CoreCounters, EndpointCounters, ListenerCounters,
};
use std::sync::Arc;

/// Endpoints of a cluster at most.
const ENDPOINTS: usize = 3;
/// Listeners of a run.
const LISTENERS: usize = 3;

/// The machine's own books, and what was seen of them.
pub(crate) struct Oracle {
    pub(crate) core: Arc<CoreCounters>,
    /// By id, and by number: the same whatever the configuration.
    pub(crate) listeners: Vec<Arc<ListenerCounters>>,
    pub(crate) clusters: Vec<Arc<ClusterCounters>>,
    pub(crate) records: Records,
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
        let cluster = |_| {
            let endpoints = (0..ENDPOINTS).map(|_| EndpointCounters::default()).collect();
            Arc::new(ClusterCounters { endpoints, ..Default::default() })
        };
        Oracle {
            core: Arc::default(),
            listeners: (0..LISTENERS).map(|_| Arc::default()).collect(),
            clusters: (0..clusters).map(cluster).collect(),
            records: Records::default(),
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
    pub(crate) fn counters_for(
        &self,
        shape: &Shape,
    ) -> (Vec<Arc<ListenerCounters>>, Vec<Arc<ClusterCounters>>) {
        let listeners = shape.listeners().into_iter().map(|id| Arc::clone(&self.listeners[id as usize]));
        (listeners.collect(), self.clusters.clone())
    }
}
