//! What control knows of the search for endpoints: which searches are in use, what they found, and so which endpoints
//! each cluster has now. It searches nothing itself, and tells no core.

use super::supervisor::Discoverer;
use super::{Discovery, EndpointSource, Found, Outcome};
use crate::log;
use sidering_dataplane::config::{Cluster, ClusterIndex, Endpoint, Snapshot};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// A search that goes on failing says so this often.
const REMINDER: Duration = Duration::from_secs(60);

/// Different reasons that are told in that time.
const MOST_COMPLAINTS: usize = 8;

/// The searches in use, and the endpoints of all clusters.
#[derive(Debug)]
pub struct EndpointSearch {
    discoverer: Discoverer,
    /// By the cluster's name.
    searches: HashMap<String, Search>,
    /// Those of a configuration that is to be in use and is not yet.
    warming: HashMap<String, Search>,
    /// In the order of the configuration in use.
    endpoints: Vec<Arc<[Endpoint]>>,
    /// Of the configuration in use.
    indices: HashMap<String, ClusterIndex>,
}

#[derive(Debug)]
struct Search {
    discovery: Arc<Discovery>,
    found: Option<Arc<[Endpoint]>>,
    is_complete: bool,
    counters: SearchCounters,
    /// What was said lately.
    complaints: Vec<(Instant, String)>,
}

/// How the search for a cluster's endpoints goes, in Envoy's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SearchCounters {
    pub(crate) update_attempt: u64,
    pub(crate) update_success: u64,
    pub(crate) update_failure: u64,
    pub(crate) update_empty: u64,
    pub(crate) update_no_rebuild: u64,
}

/// A cluster whose endpoints are others than before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) cluster: ClusterIndex,
    pub(crate) before: Arc<[Endpoint]>,
    pub(crate) now: Arc<[Endpoint]>,
}

impl Default for EndpointSearch {
    fn default() -> Self {
        EndpointSearch {
            discoverer: Discoverer::new(),
            searches: HashMap::new(),
            warming: HashMap::new(),
            endpoints: vec![],
            indices: HashMap::new(),
        }
    }
}

impl EndpointSearch {
    /// For the supervisor.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Vec<Arc<Discovery>>> {
        self.discoverer.subscribe()
    }

    /// Begins the searches of a configuration that is to be in use, but for those that are in use already. Those that were begun for
    /// another one end.
    pub(crate) fn warm(&mut self, discoveries: &[Discovery]) {
        if self.warming.is_empty() && discoveries.is_empty() {
            return;
        }
        let mut before = std::mem::take(&mut self.warming);
        for discovery in discoveries.iter().filter(|discovery| !is_same(&self.searches, discovery)) {
            let known = before.remove(&discovery.cluster).filter(|search| *search.discovery == *discovery);
            let search = known.unwrap_or_else(|| Search::new(discovery));
            self.warming.insert(discovery.cluster.clone(), search);
        }
        self.tell_discoverer();
    }

    /// From now on these searches are in use. One that was already, or has been begun, goes on undisturbed, with what it found; the
    /// others are forgotten, but for their counters where the cluster is still searched for.
    fn follow(&mut self, discoveries: &[Discovery]) {
        let mut before = std::mem::take(&mut self.searches);
        for discovery in discoveries {
            let known = before.remove(&discovery.cluster);
            let counters = known.as_ref().map(|search| search.counters).unwrap_or_default();
            let is_it = |search: &Search| *search.discovery == *discovery;
            let search = known.filter(is_it).unwrap_or_else(|| {
                let warmed = self.warming.remove(&discovery.cluster).filter(is_it);
                let mut search = warmed.unwrap_or_else(|| Search::new(discovery));
                search.counters.add(counters);
                search
            });
            self.searches.insert(discovery.cluster.clone(), search);
        }
        self.tell_discoverer();
    }

    fn tell_discoverer(&self) {
        let all = self.searches.values().chain(self.warming.values());
        self.discoverer.follow(all.map(|search| Arc::clone(&search.discovery)).collect());
    }

    /// Gives the clusters of a configuration the endpoints that are known of them: where nothing was found yet, those
    /// that the cluster has so far.
    pub(crate) fn fill(&self, snapshot: &mut Snapshot, discoveries: &[Discovery]) {
        let by_name: HashMap<_, _> =
            discoveries.iter().map(|discovery| (discovery.cluster.as_str(), discovery)).collect();
        for cluster in &mut snapshot.clusters {
            if let Some(discovery) = by_name.get(cluster.name.as_str()) {
                self.fill_cluster(cluster, discovery);
            }
        }
    }

    /// The same of one cluster.
    pub(crate) fn fill_cluster(&self, cluster: &mut Arc<Cluster>, discovery: &Discovery) {
        let begun = [&self.searches, &self.warming].into_iter().filter_map(|begun| begun.get(&cluster.name));
        let mut same = begun.filter(|search| *search.discovery == *discovery);
        let found = same.find_map(|search| search.found.as_ref());
        if let Some(endpoints) = found.or_else(|| self.of(&cluster.name)) {
            Arc::make_mut(cluster).endpoints = Arc::clone(endpoints);
        }
    }

    /// From now on this configuration is in use, with these endpoints of its clusters.
    pub(crate) fn adopt(
        &mut self,
        snapshot: &Snapshot,
        endpoints: Vec<Arc<[Endpoint]>>,
        discoveries: &[Discovery],
    ) {
        self.follow(discoveries);
        self.endpoints = endpoints;
        let named = snapshot.clusters.iter().enumerate();
        self.indices = named.map(|(at, cluster)| (cluster.name.clone(), ClusterIndex(at as u32))).collect();
    }

    /// Takes note of what was found; tells the cluster whose endpoints are others than before, and these.
    pub(crate) fn take(&mut self, found: Found) -> Option<Taken> {
        let name = &found.discovery.cluster;
        let is_it = |search: &Search| Arc::ptr_eq(&search.discovery, &found.discovery);
        let is_used = self.searches.get(name).is_some_and(is_it);
        let begun = if is_used { &mut self.searches } else { &mut self.warming };
        // One whose search is not in use any more had its last word in the queue.
        let search = begun.get_mut(name).filter(|search| is_it(search))?;
        search.is_complete |= found.is_complete;
        search.counters.update_attempt += 1;
        let endpoints = match found.outcome {
            Outcome::Failed(reason) => {
                search.counters.update_failure += 1;
                search.complain(name, &reason);
                return None;
            }
            Outcome::Endpoints(endpoints) => endpoints,
        };
        search.counters.update_success += 1;
        if let EndpointSource::File(_) = search.discovery.source {
            // The same mistake made again is told again.
            search.complaints.clear();
        }
        search.counters.update_empty += u64::from(endpoints.is_empty());
        if endpoints.is_empty() && !search.found.as_ref().is_some_and(|found| found.is_empty()) {
            log::warning(format_args!("endpoints cluster={name} now=0: {}", search.discovery.source.none()));
        }
        search.found = Some(Arc::clone(&endpoints));
        if !is_used {
            return None;
        }
        let index = *self.indices.get(name)?;
        let current = self.endpoints.get_mut(index.0 as usize)?;
        if *current == endpoints {
            search.counters.update_no_rebuild += 1;
            return None;
        }
        log::info(format_args!("endpoints cluster={name} before={} now={}", current.len(), endpoints.len()));
        let before = std::mem::replace(current, Arc::clone(&endpoints));
        Some(Taken { cluster: index, before, now: endpoints })
    }

    /// Whether all of these are in use.
    pub(crate) fn knows(&self, discoveries: &[Discovery]) -> bool {
        discoveries.iter().all(|discovery| is_same(&self.searches, discovery))
    }

    /// Whether all that is to be in use was tried once.
    pub(crate) fn is_warm(&self) -> bool {
        self.warming.values().all(|search| search.is_complete)
    }

    /// The clusters of which something was not tried yet.
    pub(crate) fn cold(&self) -> Vec<&str> {
        let cold = self.warming.iter().filter(|(_, search)| !search.is_complete);
        let mut names: Vec<_> = cold.map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// The endpoints that a cluster has now.
    pub(crate) fn of(&self, cluster: &str) -> Option<&Arc<[Endpoint]>> {
        self.endpoints.get(self.indices.get(cluster)?.0 as usize)
    }

    /// How a cluster's endpoints are found, and how that goes; `None` if the configuration lists them.
    pub(crate) fn search(&self, cluster: &str) -> Option<(&Discovery, SearchCounters)> {
        self.searches.get(cluster).map(|search| (&*search.discovery, search.counters))
    }
}

fn is_same(searches: &HashMap<String, Search>, discovery: &Discovery) -> bool {
    searches.get(&discovery.cluster).is_some_and(|search| *search.discovery == *discovery)
}

impl SearchCounters {
    fn add(&mut self, other: SearchCounters) {
        self.update_attempt += other.update_attempt;
        self.update_success += other.update_success;
        self.update_failure += other.update_failure;
        self.update_empty += other.update_empty;
        self.update_no_rebuild += other.update_no_rebuild;
    }
}

impl Search {
    fn new(discovery: &Discovery) -> Search {
        Search {
            discovery: Arc::new(discovery.clone()),
            found: None,
            is_complete: false,
            counters: SearchCounters::default(),
            complaints: vec![],
        }
    }

    fn complain(&mut self, cluster: &str, reason: &str) {
        let now = Instant::now();
        self.complaints.retain(|(said, _)| now.duration_since(*said) < REMINDER);
        if self.complaints.len() >= MOST_COMPLAINTS || self.complaints.iter().any(|(_, said)| said == reason)
        {
            return;
        }
        self.complaints.push((now, reason.to_owned()));
        let kept = self.found.as_ref().map_or(0, |found| found.len());
        log::warning(format_args!("endpoints cluster={cluster} kept={kept}: {reason}"));
    }
}

#[cfg(test)]
mod tests;
