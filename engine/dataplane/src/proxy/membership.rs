//! Clusters that come, change and go, and their endpoints. What did not change of a cluster stays as it is: its pools, the turn
//! of its balancer, whoever waits.

use crate::cluster::{CoreCluster, LocalZones};
use crate::config::Endpoint;
use crate::io::{CloseMode, Io};
use crate::message::{EndpointsUpdate, HealthUpdate, Update};
use crate::observe::counters::EndpointCounters;
use crate::worker::Worker;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

impl<I: Io> Worker<I> {
    /// Takes the clusters of a configuration over; tells their keys, in the snapshot's order. A cluster that changed in more
    /// than its endpoints is made anew, and its predecessor finishes what it has.
    pub(super) fn apply_clusters(&mut self, io: &mut I, update: &Update) -> Vec<u32> {
        let known = self.clusters_by_name();
        let mut free: Vec<usize> =
            (0..self.clusters.len()).filter(|at| self.clusters[*at].is_none()).collect();
        let mut keys = vec![];
        if self.clusters.is_empty() {
            self.clusters.reserve_exact(update.snapshot.clusters.len());
        }
        for (config, counted) in update.snapshot.clusters.iter().zip(&update.clusters) {
            let is_same = |cluster: &CoreCluster| cluster.config.differs_in_endpoints_only(config);
            let same = known.get(&config.name).copied();
            let same = same.filter(|at| self.clusters[*at].as_ref().is_some_and(is_same));
            let at = same.or_else(|| free.pop()).unwrap_or_else(|| {
                self.clusters.push(None);
                self.clusters.len() - 1
            });
            if same.is_some() {
                self.set_endpoints(io, at, &config.endpoints, &counted.endpoints);
                // It is the same by now, and shared with the snapshot again.
                self.clusters[at].iter_mut().for_each(|cluster| cluster.config = Arc::clone(config));
            } else {
                let cores = update.snapshot.cores;
                let mut cluster = CoreCluster::new(Arc::clone(config), counted, self.core, cores, self.now);
                cluster.share_idle(self.neighbours.as_deref(), self.core);
                self.clusters[at] = Some(cluster);
            }
            keys.push(at as u32);
        }
        let mut is_gone = vec![true; self.clusters.len()];
        keys.iter().for_each(|key| is_gone[*key as usize] = false);
        for at in (0..is_gone.len()).filter(|at| is_gone[*at]) {
            self.retire_cluster(io, at);
        }
        let local = update.snapshot.local_cluster;
        self.local_cluster = local.and_then(|local| keys.get(local.0 as usize).copied());
        self.tell_local_zones(self.local_cluster);
        keys
    }

    fn clusters_by_name(&self) -> HashMap<String, usize> {
        let clusters =
            self.clusters.iter().enumerate().filter_map(|(at, cluster)| Some((at, cluster.as_ref()?)));
        let current = clusters.filter(|(_, cluster)| !cluster.retired);
        current.map(|(at, cluster)| (cluster.config.name.clone(), at)).collect()
    }

    /// One cluster has other endpoints.
    pub(crate) fn apply_endpoints(&mut self, io: &mut I, update: &EndpointsUpdate) {
        if let Some(key) = self.cluster_keys.get(update.cluster.0 as usize).copied() {
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
        let key = self.cluster_keys.get(update.cluster.0 as usize).copied();
        if let Some(Some(cluster)) = key.and_then(|key| self.clusters.get_mut(key as usize)) {
            cluster.change_health(&update.changes, self.now);
            self.tell_local_zones(key);
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
