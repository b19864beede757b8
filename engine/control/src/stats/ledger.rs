//! Who counts where: the counters of every core, handed out by name so that they outlive a configuration. It adds
//! nothing up.

use sidering_dataplane::config::{Cluster, Endpoint, Snapshot};
use sidering_dataplane::message::Update;
use sidering_dataplane::observe::counters::{
    ClusterCounters, CoreCounters, EndpointCounters, EngineCounters, ListenerCounters,
};
use std::collections::HashMap;
use std::sync::Arc;

/// A cluster's counters have one place for each endpoint, so a cluster whose endpoints change gets new ones and keeps
/// the old ones for its sums. Of more changes than this the oldest are forgotten, which a reader of the metrics sees
/// like a restart.
const RETIRED: usize = 32;

/// The counters of all cores.
#[derive(Debug)]
pub struct Ledger {
    cores: Vec<CoreLedger>,
}

/// The counters of one core.
#[derive(Debug, Default)]
pub struct CoreLedger {
    pub core: Arc<CoreCounters>,
    pub engine: Arc<EngineCounters>,
    listeners: HashMap<String, Arc<ListenerCounters>>,
    clusters: HashMap<String, ClusterEntry>,
}

#[derive(Debug)]
struct ClusterEntry {
    endpoints: Vec<Endpoint>,
    current: Arc<ClusterCounters>,
    retired: Vec<Arc<ClusterCounters>>,
}

impl Ledger {
    /// Counters for this many cores; none for listeners and clusters yet.
    #[must_use]
    pub fn new(cores: usize) -> Ledger {
        Ledger { cores: (0..cores).map(|_| CoreLedger::default()).collect() }
    }

    /// Each core's counters.
    #[must_use]
    pub fn cores(&self) -> &[CoreLedger] {
        &self.cores
    }

    /// What each core is to be told so that it uses a configuration: names that live on keep their counters, names
    /// that are gone lose them.
    pub fn apply(&mut self, snapshot: &Arc<Snapshot>) -> Vec<Update> {
        self.cores.iter_mut().map(|core| core.apply(snapshot)).collect()
    }

    /// A listener's counters, of all cores.
    pub(super) fn listener<'l>(&'l self, name: &'l str) -> impl Iterator<Item = &'l ListenerCounters> {
        self.cores.iter().filter_map(move |core| core.listeners.get(name)).map(|counters| &**counters)
    }

    /// A cluster's counters, of all cores, those of its former endpoints included.
    pub(super) fn cluster<'l>(&'l self, name: &'l str) -> impl Iterator<Item = &'l ClusterCounters> {
        let entries = self.cores.iter().filter_map(move |core| core.clusters.get(name));
        entries.flat_map(|entry| entry.retired.iter().chain([&entry.current])).map(|counters| &**counters)
    }

    /// An endpoint's counters, of all cores.
    pub(crate) fn endpoint<'l>(
        &'l self,
        cluster: &'l str,
        endpoint: usize,
    ) -> impl Iterator<Item = &'l EndpointCounters> {
        let entries = self.cores.iter().filter_map(move |core| core.clusters.get(cluster));
        entries.filter_map(move |entry| entry.current.endpoints.get(endpoint))
    }
}

impl CoreLedger {
    fn apply(&mut self, snapshot: &Arc<Snapshot>) -> Update {
        let mut listeners = HashMap::with_capacity(snapshot.listeners.len());
        for listener in &snapshot.listeners {
            let counters = self.listeners.remove(&listener.name).unwrap_or_default();
            listeners.insert(listener.name.clone(), counters);
        }
        let mut clusters = HashMap::with_capacity(snapshot.clusters.len());
        for cluster in &snapshot.clusters {
            let entry = ClusterEntry::next(self.clusters.remove(&cluster.name), cluster);
            clusters.insert(cluster.name.clone(), entry);
        }
        self.listeners = listeners;
        self.clusters = clusters;
        Update {
            snapshot: Arc::clone(snapshot),
            listeners: snapshot
                .listeners
                .iter()
                .map(|listener| Arc::clone(&self.listeners[&listener.name]))
                .collect(),
            clusters: snapshot
                .clusters
                .iter()
                .map(|cluster| Arc::clone(&self.clusters[&cluster.name].current))
                .collect(),
        }
    }
}

impl ClusterEntry {
    fn next(before: Option<ClusterEntry>, cluster: &Cluster) -> ClusterEntry {
        let mut retired = match before {
            Some(entry) if entry.endpoints == cluster.endpoints => return entry,
            Some(mut entry) => {
                entry.retired.push(entry.current);
                entry.retired
            }
            None => vec![],
        };
        if retired.len() > RETIRED {
            retired.remove(0);
        }
        let endpoints = cluster.endpoints.iter().map(|_| EndpointCounters::default()).collect();
        let current = Arc::new(ClusterCounters { endpoints, ..Default::default() });
        ClusterEntry { endpoints: cluster.endpoints.clone(), current, retired }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, parse};

    fn snapshot(listener: &str, endpoints: &str) -> Arc<Snapshot> {
        let text = format!(
            "listeners: [{{ name: {listener}, address: 127.0.0.1:0, protocol: tcp, cluster: c }}]\n\
             clusters: [{{ name: c, endpoints: [{endpoints}] }}]"
        );
        Arc::new(parse("test", &text, &Overrides::default()).unwrap().snapshot)
    }

    #[test]
    fn names_that_live_on_keep_their_counters() {
        let mut ledger = Ledger::new(2);
        let first = ledger.apply(&snapshot("a", "127.0.0.1:1"));
        assert_eq!(first.len(), 2);
        first[1].listeners[0].connections_total.add(3);
        first[0].clusters[0].requests_total.add(5);
        let second = ledger.apply(&snapshot("a", "127.0.0.1:1"));
        assert!(Arc::ptr_eq(&first[1].listeners[0], &second[1].listeners[0]));
        assert!(Arc::ptr_eq(&first[0].clusters[0], &second[0].clusters[0]));
        assert!(!Arc::ptr_eq(&first[0].listeners[0], &first[1].listeners[0]));
    }

    #[test]
    fn changed_endpoints_get_new_counters_and_the_sums_stay() {
        let mut ledger = Ledger::new(1);
        for endpoint in 1..=RETIRED as u64 + 3 {
            let update = ledger.apply(&snapshot("a", &format!("127.0.0.1:{endpoint}"))).remove(0);
            assert_eq!(update.clusters[0].endpoints.len(), 1);
            update.clusters[0].requests_total.add(1);
            let total: u64 = ledger.cluster("c").map(|counters| counters.requests_total.get()).sum();
            assert_eq!(total, endpoint.min(RETIRED as u64 + 1));
        }
        ledger.apply(&snapshot("b", "127.0.0.1:1"));
        assert_eq!(ledger.listener("a").count(), 0);
        assert_eq!(ledger.listener("b").count(), 1);
    }
}
