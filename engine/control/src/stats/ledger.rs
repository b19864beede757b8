//! Who counts where: the counters of every core, handed out by name so that they outlive a configuration. It adds
//! nothing up.

use super::health_names::HealthCounters;
use sidering_dataplane::config::{Endpoint, EndpointIdentity, Snapshot};
use sidering_dataplane::message::{ClusterUpdate, Update};
use sidering_dataplane::observe::counters::{
    ClusterCounters, CoreCounters, EndpointCounters, EngineCounters, ListenerCounters,
};
use std::collections::HashMap;
use std::sync::Arc;

/// The counters of all cores, and what control itself counts about clusters.
#[derive(Debug)]
pub struct Ledger {
    cores: Vec<CoreLedger>,
    health: HashMap<String, HealthCounters>,
}

/// The counters of one core.
#[derive(Debug, Default)]
pub struct CoreLedger {
    pub core: Arc<CoreCounters>,
    pub engine: Arc<EngineCounters>,
    listeners: HashMap<String, Arc<ListenerCounters>>,
    clusters: HashMap<String, ClusterEntry>,
}

/// The counters of a cluster, and of its endpoints by what makes them the same.
#[derive(Debug, Default)]
struct ClusterEntry {
    counters: Arc<ClusterCounters>,
    endpoints: HashMap<EndpointIdentity, Arc<EndpointCounters>>,
}

impl Ledger {
    /// Counters for this many cores; none for listeners and clusters yet.
    #[must_use]
    pub fn new(cores: usize) -> Ledger {
        Ledger { cores: (0..cores).map(|_| CoreLedger::default()).collect(), health: HashMap::new() }
    }

    /// Each core's counters.
    #[must_use]
    pub fn cores(&self) -> &[CoreLedger] {
        &self.cores
    }

    /// What each core is to be told so that it uses a configuration: names that live on keep their counters, names
    /// that are gone lose them.
    pub fn apply(&mut self, snapshot: &Arc<Snapshot>) -> Vec<Update> {
        let mut known = std::mem::take(&mut self.health);
        for cluster in &snapshot.clusters {
            let counters = known.remove(&cluster.name).unwrap_or_default();
            counters.members_healthy.set(cluster.endpoints.len() as u64);
            self.health.insert(cluster.name.clone(), counters);
        }
        self.cores.iter_mut().map(|core| core.apply(snapshot)).collect()
    }

    /// What is counted about the health of a cluster's endpoints.
    pub(crate) fn health(&self, cluster: &str) -> Option<&HealthCounters> {
        self.health.get(cluster)
    }

    /// A listener's counters, of all cores.
    pub(super) fn listener<'l>(&'l self, name: &'l str) -> impl Iterator<Item = &'l ListenerCounters> {
        self.cores.iter().filter_map(move |core| core.listeners.get(name)).map(|counters| &**counters)
    }

    /// What each core is to be told of a cluster that has these endpoints from now on, which is a cluster of the configuration.
    pub fn endpoints(&mut self, cluster: &str, endpoints: &[Endpoint]) -> Vec<Vec<Arc<EndpointCounters>>> {
        if let Some(counters) = self.health.get(cluster) {
            counters.members_healthy.set(endpoints.len() as u64);
        }
        let entries = self.cores.iter_mut().filter_map(|core| core.clusters.get_mut(cluster));
        entries.map(|entry| entry.update(endpoints).endpoints).collect()
    }

    /// A cluster's counters, of all cores.
    pub(crate) fn cluster<'l>(&'l self, name: &'l str) -> impl Iterator<Item = &'l ClusterCounters> {
        let entries = self.cores.iter().filter_map(move |core| core.clusters.get(name));
        entries.map(|entry| &*entry.counters)
    }

    /// An endpoint's counters, of all cores.
    pub(crate) fn endpoint<'l>(
        &'l self,
        cluster: &'l str,
        endpoint: &'l EndpointIdentity,
    ) -> impl Iterator<Item = &'l EndpointCounters> {
        let entries = self.cores.iter().filter_map(move |core| core.clusters.get(cluster));
        entries.filter_map(move |entry| entry.endpoints.get(endpoint)).map(|counters| &**counters)
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
        let mut updates = Vec::with_capacity(snapshot.clusters.len());
        for cluster in &snapshot.clusters {
            let mut entry = self.clusters.remove(&cluster.name).unwrap_or_default();
            updates.push(entry.update(&cluster.endpoints));
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
            clusters: updates,
        }
    }
}

impl ClusterEntry {
    /// The counters of these endpoints. Those of others are forgotten once the core has nothing to do with them any more: one that
    /// comes back before that goes on counting where it was.
    fn update(&mut self, endpoints: &[Endpoint]) -> ClusterUpdate {
        self.endpoints.retain(|_, counters| Arc::strong_count(counters) > 1);
        let counters =
            |endpoint: &Endpoint| Arc::clone(self.endpoints.entry(endpoint.identity()).or_default());
        ClusterUpdate {
            endpoints: endpoints.iter().map(counters).collect(),
            counters: Arc::clone(&self.counters),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, parse};
    use sidering_dataplane::io::Address;

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
        first[0].clusters[0].counters.requests_total.add(5);
        let second = ledger.apply(&snapshot("a", "127.0.0.1:1"));
        assert!(Arc::ptr_eq(&first[1].listeners[0], &second[1].listeners[0]));
        assert!(Arc::ptr_eq(&first[0].clusters[0].counters, &second[0].clusters[0].counters));
        assert!(!Arc::ptr_eq(&first[0].listeners[0], &first[1].listeners[0]));
    }

    #[test]
    fn clusters_and_endpoints_keep_their_counters_whatever_else_comes_and_goes() {
        let mut ledger = Ledger::new(1);
        let first = ledger.apply(&snapshot("a", "127.0.0.1:1, 127.0.0.1:2")).remove(0);
        first.clusters[0].counters.requests_total.add(1);
        let second = ledger.apply(&snapshot("a", "127.0.0.1:3, 127.0.0.1:2")).remove(0);
        assert!(Arc::ptr_eq(&first.clusters[0].counters, &second.clusters[0].counters));
        assert!(Arc::ptr_eq(&first.clusters[0].endpoints[1], &second.clusters[0].endpoints[1]));
        assert!(!Arc::ptr_eq(&first.clusters[0].endpoints[0], &second.clusters[0].endpoints[0]));
        ledger.apply(&snapshot("b", "127.0.0.1:1"));
        assert_eq!(ledger.listener("a").count(), 0);
        assert_eq!(ledger.listener("b").count(), 1);
    }

    #[test]
    fn what_a_core_still_counts_of_an_endpoint_that_was_gone_is_not_lost() {
        let mut ledger = Ledger::new(1);
        let endpoint = |port| Endpoint::new(Address::Ip(([127, 0, 0, 1], port).into()));
        let of_first = |ledger: &Ledger| {
            ledger.endpoint("c", &endpoint(1).identity()).map(|at| at.requests_total.get()).sum::<u64>()
        };
        let update = ledger.apply(&snapshot("a", "127.0.0.1:1")).remove(0);
        update.clusters[0].endpoints[0].requests_total.add(1);
        ledger.endpoints("c", &[endpoint(2)]);
        ledger.endpoints("c", &[endpoint(1)]);
        assert_eq!(of_first(&ledger), 1, "the core still has it");
        drop(update);
        ledger.endpoints("c", &[endpoint(2)]);
        ledger.endpoints("c", &[endpoint(1)]);
        assert_eq!(of_first(&ledger), 0, "nobody had it any more");
    }
}
