//! Clusters that come, change and go, and their endpoints. What did not change of a cluster stays as it is: its pools, the turn
//! of its balancer, whoever waits.

use crate::cluster::{ClusterKeys, CoreCluster, LocalZones};
use crate::config::{AUTO, Cluster, Endpoint, ListenerKind, Snapshot};
use crate::io::{CloseMode, Io};
use crate::message::{ClusterUpdate, EndpointsUpdate, HealthUpdate, Update};
use crate::observe::counters::EndpointCounters;
use crate::worker::Worker;
use sidering_codecs::registry::{self, Protocol};
use std::collections::HashMap;
use std::rc::Rc;
use std::slice;
use std::sync::Arc;

impl<I: Io> Worker<I> {
    /// Takes the clusters of a configuration over. A cluster that changed in more than its endpoints is made anew, and its
    /// predecessor finishes what it has.
    pub(super) fn apply_clusters(&mut self, io: &mut I, update: &Update) -> ClusterKeys {
        let known = self.known_clusters();
        let mut free: Vec<usize> =
            (0..self.clusters.len()).filter(|at| self.clusters[*at].is_none()).collect();
        if self.clusters.is_empty() {
            self.clusters.reserve_exact(update.snapshot.clusters.len());
        }
        let protocols = protocols_of(&update.snapshot);
        let mut rows = vec![];
        for (config, counted) in update.snapshot.clusters.iter().zip(&update.clusters) {
            let dialects = dialects(config, &protocols);
            let cores = update.snapshot.cores;
            let key = |config: &Arc<Cluster>| {
                let same = known.get(&(config.name.clone(), config.protocol)).copied();
                let at = same.filter(|at| self.is_same(*at, config));
                match at {
                    Some(at) => self.keep_cluster(io, at, config, counted),
                    None => self.add_cluster(config, counted, cores, free.pop()),
                }
            };
            rows.push(dialects.iter().map(key).collect::<Vec<u32>>());
        }
        let mut is_gone = vec![true; self.clusters.len()];
        rows.iter().flatten().for_each(|key| is_gone[*key as usize] = false);
        for at in (0..is_gone.len()).filter(|at| is_gone[*at]) {
            self.retire_cluster(io, at);
        }
        let keys = ClusterKeys::new(&rows, &protocols);
        self.local_cluster = update.snapshot.local_cluster.and_then(|local| keys.first(local.0));
        self.tell_local_zones(self.local_cluster);
        keys
    }

    fn is_same(&self, at: usize, config: &Cluster) -> bool {
        self.clusters[at].as_ref().is_some_and(|cluster| cluster.config.differs_in_endpoints_only(config))
    }

    fn keep_cluster(&mut self, io: &mut I, at: usize, config: &Arc<Cluster>, counted: &ClusterUpdate) -> u32 {
        self.set_endpoints(io, at, &config.endpoints, &counted.endpoints);
        // It is the same by now, and shared with the snapshot again.
        self.clusters[at].iter_mut().for_each(|cluster| cluster.config = Arc::clone(config));
        at as u32
    }

    fn add_cluster(
        &mut self,
        config: &Arc<Cluster>,
        counted: &ClusterUpdate,
        cores: u32,
        free: Option<usize>,
    ) -> u32 {
        let mut cluster = CoreCluster::new(Arc::clone(config), counted, self.core, cores, self.now);
        cluster.share_idle(self.neighbours.as_deref(), self.core);
        let at = free.unwrap_or_else(|| {
            self.clusters.push(None);
            self.clusters.len() - 1
        });
        self.clusters[at] = Some(cluster);
        at as u32
    }

    fn known_clusters(&self) -> HashMap<(String, &'static str), usize> {
        let clusters =
            self.clusters.iter().enumerate().filter_map(|(at, cluster)| Some((at, cluster.as_ref()?)));
        let current = clusters.filter(|(_, cluster)| !cluster.retired);
        current.map(|(at, cluster)| ((cluster.config.name.clone(), cluster.config.protocol), at)).collect()
    }

    /// One cluster has other endpoints.
    pub(crate) fn apply_endpoints(&mut self, io: &mut I, update: &EndpointsUpdate) {
        for key in self.cluster_keys.all(update.cluster.0) {
            self.set_endpoints(io, key as usize, &update.endpoints, &update.counters);
            self.tell_local_zones(Some(key));
        }
    }

    /// Clusters that are aware of zones go by the local cluster; of a change of another one they need not know.
    fn tell_local_zones(&mut self, changed: Option<u32>) {
        let Some(key) = self.local_cluster.filter(|key| Some(*key) == changed) else { return };
        let Some(Some(local)) = self.clusters.get(key as usize) else { return };
        let zones = Rc::new(LocalZones::of(&local.hosts));
        self.clusters.iter_mut().flatten().for_each(|cluster| cluster.set_local_zones(&zones));
    }

    /// Some endpoints of one cluster are in better or worse health.
    pub(crate) fn apply_health(&mut self, update: &HealthUpdate) {
        for key in self.cluster_keys.all(update.cluster.0) {
            if let Some(Some(cluster)) = self.clusters.get_mut(key as usize) {
                cluster.change_health(&update.changes, self.now);
                self.tell_local_zones(Some(key));
            }
        }
    }

    /// Idle connections to endpoints that are gone are closed; others are when what they carry has come to its end.
    fn set_endpoints(
        &mut self,
        io: &mut I,
        at: usize,
        endpoints: &Arc<[Endpoint]>,
        counters: &[Arc<EndpointCounters>],
    ) {
        let now = self.now;
        let Some(cluster) = &mut self.clusters[at] else { return };
        for id in cluster.set_endpoints(endpoints, counters, now) {
            self.close_conn(io, id, CloseMode::Graceful);
        }
    }

    fn retire_cluster(&mut self, io: &mut I, at: usize) {
        let Some(cluster) = &mut self.clusters[at] else { return };
        cluster.retired = true;
        for id in cluster.idle_ids() {
            self.close_conn(io, id, CloseMode::Graceful);
        }
        self.forget_cluster_if_done(at as u32);
    }
}

/// What the listeners of a configuration speak, each once.
fn protocols_of(snapshot: &Snapshot) -> Vec<&'static str> {
    let mut protocols = vec![];
    for listener in &snapshot.listeners {
        let ListenerKind::Http(http) = &listener.kind else { continue };
        let spoken =
            http.detection.as_ref().map_or(slice::from_ref(&http.protocol), |found| &found.protocols);
        for protocol in spoken {
            if !protocols.contains(protocol) {
                protocols.push(*protocol);
            }
        }
    }
    protocols
}

/// The cluster in each protocol that it speaks. Its idle connections stay with their core if it speaks several.
fn dialects(config: &Arc<Cluster>, protocols: &[&'static str]) -> Vec<Arc<Cluster>> {
    if config.protocol != AUTO || protocols.is_empty() {
        return vec![Arc::clone(config)];
    }
    let dialect = |protocol: &&'static str| {
        let mut dialect = Cluster { protocol, ..Cluster::clone(config) };
        dialect.pool.shares_idle = false;
        dialect.heartbeat =
            dialect.heartbeat.filter(|_| registry::protocol(protocol).is_some_and(Protocol::has_heartbeats));
        Arc::new(dialect)
    };
    protocols.iter().map(dialect).collect()
}
