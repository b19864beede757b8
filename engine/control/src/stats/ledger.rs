//! Who counts where: the counters of every core, handed out by name so that they outlive a configuration. It adds
//! nothing up.

use super::health_names::HealthCounters;
use sidering_dataplane::config::{Endpoint, EndpointIdentity, Listener, Snapshot};
use sidering_dataplane::message::{ClusterUpdate, Update};
use sidering_dataplane::observe::counters::{
    ClusterCounters, CoreCounters, EndpointCounters, EngineCounters, ListenerCounters,
};
use sidering_dataplane::observe::methods::{CallCounters, MethodNames};
use std::collections::HashMap;
use std::sync::Arc;

/// The counters of all cores, and what control itself counts about clusters.
#[derive(Debug)]
pub struct Ledger {
    cores: Vec<CoreLedger>,
    /// Of each core.
    listeners: HashMap<String, Vec<Arc<ListenerCounters>>>,
    /// Boxed, because a map has room for twice as many.
    clusters: HashMap<String, Box<ClusterEntry>>,
}

/// What one core counts, whatever listener or cluster it is for.
#[derive(Debug, Default)]
pub struct CoreLedger {
    pub core: Arc<CoreCounters>,
    pub engine: Arc<EngineCounters>,
}

/// The counters of a cluster, and of its endpoints.
#[derive(Debug)]
struct ClusterEntry {
    health: HealthCounters,
    /// Of each core.
    counters: Box<[Arc<ClusterCounters>]>,
    /// In the order of what makes them the same: most clusters have few, for which a map would be large.
    endpoints: Vec<EndpointEntry>,
}

#[derive(Debug)]
struct EndpointEntry {
    identity: EndpointIdentity,
    /// Of each core.
    counters: Box<[Arc<EndpointCounters>]>,
}

impl Ledger {
    /// Counters for this many cores; none for listeners and clusters yet.
    #[must_use]
    pub fn new(cores: usize) -> Ledger {
        Ledger::counting_methods(cores, 0)
    }

    /// The same, and counters for up to so many methods of calls.
    #[must_use]
    pub fn counting_methods(cores: usize, most: u32) -> Ledger {
        let names = Arc::new(MethodNames::new(most));
        let core = |_| {
            let core = CoreCounters { calls: CallCounters::new(&names), ..CoreCounters::default() };
            CoreLedger { core: Arc::new(core), engine: Arc::default() }
        };
        Ledger { cores: (0..cores).map(core).collect(), listeners: HashMap::new(), clusters: HashMap::new() }
    }

    /// Each core's counters.
    #[must_use]
    pub fn cores(&self) -> &[CoreLedger] {
        &self.cores
    }

    /// What each core is to be told so that it uses a configuration: names that live on keep their counters, names
    /// that are gone lose them.
    pub fn apply(&mut self, snapshot: &Arc<Snapshot>) -> Vec<Update> {
        let cores = self.cores.len();
        let mut known = std::mem::take(&mut self.listeners);
        for Listener { name, .. } in &snapshot.listeners {
            let counters = known.remove(name).unwrap_or_else(|| of_each(cores));
            self.listeners.insert(name.clone(), counters);
        }
        let mut known = std::mem::take(&mut self.clusters);
        self.clusters.reserve(snapshot.clusters.len());
        for cluster in &snapshot.clusters {
            let mut entry = known.remove(&cluster.name).unwrap_or_else(|| Box::new(ClusterEntry::new(cores)));
            entry.set_endpoints(&cluster.endpoints);
            self.clusters.insert(cluster.name.clone(), entry);
        }
        (0..cores).map(|core| self.update(core, snapshot)).collect()
    }

    /// What a core is to be told.
    fn update(&self, core: usize, snapshot: &Arc<Snapshot>) -> Update {
        let listeners = snapshot.listeners.iter().map(|listener| &self.listeners[&listener.name]);
        let clusters = snapshot.clusters.iter().map(|cluster| {
            let entry = &self.clusters[&cluster.name];
            ClusterUpdate {
                counters: Arc::clone(&entry.counters[core]),
                endpoints: entry.of_core(core, &cluster.endpoints),
            }
        });
        Update {
            snapshot: Arc::clone(snapshot),
            listeners: listeners.map(|counters| Arc::clone(&counters[core])).collect(),
            clusters: clusters.collect(),
        }
    }

    /// A cluster that is not in use yet is being checked; what is counted of it goes on when it is.
    pub(crate) fn warm(&mut self, cluster: &str) {
        if !self.clusters.contains_key(cluster) {
            self.clusters.insert(cluster.to_owned(), Box::new(ClusterEntry::new(self.cores.len())));
        }
    }

    /// What is counted about the health of a cluster's endpoints.
    pub(crate) fn health(&self, cluster: &str) -> Option<&HealthCounters> {
        self.clusters.get(cluster).map(|entry| &entry.health)
    }

    /// A listener's counters, of all cores.
    pub(super) fn listener<'l>(&'l self, name: &str) -> impl Iterator<Item = &'l ListenerCounters> + use<'l> {
        self.listeners.get(name).into_iter().flatten().map(|counters| &**counters)
    }

    /// What each core is to be told of a cluster that has these endpoints from now on, which is a cluster of the configuration.
    pub fn endpoints(&mut self, cluster: &str, endpoints: &[Endpoint]) -> Vec<Vec<Arc<EndpointCounters>>> {
        let Some(entry) = self.clusters.get_mut(cluster) else { return vec![] };
        entry.set_endpoints(endpoints);
        (0..self.cores.len()).map(|core| entry.of_core(core, endpoints)).collect()
    }

    /// A cluster's counters, of all cores.
    pub(crate) fn cluster<'l>(&'l self, name: &str) -> impl Iterator<Item = &'l ClusterCounters> + use<'l> {
        let counters = self.clusters.get(name).map(|entry| &entry.counters[..]);
        counters.unwrap_or_default().iter().map(|counters| &**counters)
    }

    /// An endpoint's counters, of all cores.
    pub(crate) fn endpoint<'l>(
        &'l self,
        cluster: &str,
        endpoint: &EndpointIdentity,
    ) -> impl Iterator<Item = &'l EndpointCounters> + use<'l> {
        let found = self.clusters.get(cluster).and_then(|entry| entry.endpoint(endpoint));
        found.map(|entry| &entry.counters[..]).unwrap_or_default().iter().map(|counters| &**counters)
    }
}

impl ClusterEntry {
    fn new(cores: usize) -> ClusterEntry {
        let counters = of_each(cores);
        ClusterEntry { health: HealthCounters::default(), counters, endpoints: vec![] }
    }

    fn place_of(&self, endpoint: &EndpointIdentity) -> Result<usize, usize> {
        self.endpoints.binary_search_by(|entry| entry.identity.cmp(endpoint))
    }

    fn endpoint(&self, endpoint: &EndpointIdentity) -> Option<&EndpointEntry> {
        self.place_of(endpoint).ok().map(|at| &self.endpoints[at])
    }

    /// Makes counters for those that have none. Those of others are forgotten once no core has anything to do with them any more:
    /// one that comes back before that goes on counting where it was.
    fn set_endpoints(&mut self, endpoints: &[Endpoint]) {
        self.health.members_healthy.set(endpoints.len() as u64);
        let is_in_use = |counters: &Arc<EndpointCounters>| Arc::strong_count(counters) > 1;
        self.endpoints.retain(|entry| entry.counters.iter().any(is_in_use));
        let unknown = endpoints.iter().map(Endpoint::identity);
        let unknown: Vec<_> = unknown.filter(|identity| self.place_of(identity).is_err()).collect();
        let cores = self.counters.len();
        self.endpoints.reserve_exact(unknown.len());
        let entries =
            unknown.into_iter().map(|identity| EndpointEntry { identity, counters: of_each(cores) });
        self.endpoints.extend(entries);
        self.endpoints.sort_unstable_by(|one, other| one.identity.cmp(&other.identity));
        self.endpoints.dedup_by(|one, other| one.identity == other.identity);
    }

    /// The counters of these endpoints, which are known, on one core.
    fn of_core(&self, core: usize, endpoints: &[Endpoint]) -> Vec<Arc<EndpointCounters>> {
        let counters = |endpoint: &Endpoint| {
            self.endpoint(&endpoint.identity())
                .map(|entry| Arc::clone(&entry.counters[core]))
                .unwrap_or_default()
        };
        endpoints.iter().map(counters).collect()
    }
}

/// New counters for each core.
fn of_each<T: Default, C: FromIterator<Arc<T>>>(cores: usize) -> C {
    (0..cores).map(|_| Arc::default()).collect()
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
