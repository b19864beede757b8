//! What control does about the health of endpoints: it keeps checks in step with the configuration, counts and logs their
//! results, and tells the cores whose flags changed.

use super::Control;
use crate::health::active::CheckResult;
use crate::health::{Judged, Outcome, TargetId};
use crate::log;
use sidering_dataplane::config::{
    Cluster, ClusterIndex, Endpoint, HealthFlags, HostHealth, OutlierDetection, Snapshot,
};
use sidering_dataplane::io::Address;
use sidering_dataplane::message::{HealthChange, HealthUpdate, Message};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Whose flags the cores do not know yet, by the cluster's name.
pub(crate) type Untold = HashMap<String, HashSet<Address>>;

/// The flags that are set and cleared here.
const OWNED: HealthFlags = HealthFlags::FAILED_ACTIVE_CHECK
    .with(HealthFlags::PENDING_ACTIVE_CHECK)
    .with(HealthFlags::FAILED_OUTLIER_CHECK);

impl Control {
    pub(crate) fn now_ms(&self) -> u64 {
        self.setup.clock.micros() / 1000
    }

    /// Checks what a configuration has from now on, and writes down what is known about its endpoints, so that the cores know it
    /// from the start.
    pub(super) fn prepare_health(&mut self, new: &mut Snapshot) {
        let names: HashSet<&str> = new.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
        self.checks.retain(&|name| names.contains(name));
        self.watch.retain(&|name| names.contains(name));
        for cluster in &mut new.clusters {
            let before = self.search.of(&cluster.name).cloned().unwrap_or_default();
            let endpoints = Arc::clone(&cluster.endpoints);
            let endpoints = self.judge_endpoints(cluster, endpoints, &before);
            Arc::make_mut(cluster).endpoints = endpoints;
        }
    }

    /// The same of one cluster, which has had other endpoints: these, with what is known about them.
    pub(super) fn judge_endpoints(
        &mut self,
        cluster: &Cluster,
        endpoints: Arc<[Endpoint]>,
        before: &[Endpoint],
    ) -> Arc<[Endpoint]> {
        let now_ms = self.now_ms();
        let random = &mut self.random;
        let (name, check) = (&cluster.name, cluster.health_check.as_ref());
        self.checks.set_cluster(name, check, &endpoints, before, now_ms, &mut || random.next());
        let ejection = ejection_of(cluster);
        self.watch.set_cluster(name, ejection.as_ref(), &endpoints, now_ms);
        if cluster.health_check.is_none() && ejection.is_none() {
            return endpoints;
        }
        self.setup.health_events.wake();
        let judged =
            |endpoint: &Endpoint| Endpoint { health: self.health_flags(name, endpoint), ..endpoint.clone() };
        endpoints.iter().map(judged).collect()
    }

    /// What is known about an endpoint's health.
    pub(crate) fn health_flags(&self, cluster: &str, endpoint: &Endpoint) -> HealthFlags {
        endpoint.health.without(OWNED).with(self.found(cluster, &endpoint.address))
    }

    /// The flags that are owned here.
    fn found(&self, cluster: &str, address: &Address) -> HealthFlags {
        self.checks.flags(cluster, address).with(self.watch.flags(cluster, address))
    }

    /// The flags of an endpoint are not what the cores know.
    pub(super) fn changed(&mut self, cluster: &str, endpoint: &Address) {
        self.untold.entry(cluster.to_owned()).or_default().insert(endpoint.clone());
    }

    /// Once the cluster has its counters.
    pub(super) fn count_members(&self, cluster: &str) {
        let Some(counters) = self.setup.ledger.health(cluster) else { return };
        let (mut checked, mut usable) = (0, 0);
        for endpoint in self.search.of(cluster).into_iter().flat_map(|endpoints| endpoints.iter()) {
            let flags = self.health_flags(cluster, endpoint);
            checked += u64::from(!flags.has_any(HealthFlags::FAILED_ACTIVE_CHECK));
            usable += u64::from(flags.health() == HostHealth::Healthy);
        }
        counters.healthy.set(checked);
        counters.members_healthy.set(usable);
    }

    /// A check has ended.
    pub(crate) fn on_checked(&mut self, id: TargetId, outcome: &Outcome) {
        let now_ms = self.now_ms();
        let ledger = &self.setup.ledger;
        let has_traffic =
            |cluster: &str| ledger.cluster(cluster).any(|counters| counters.connections_total.get() > 0);
        let random = &mut self.random;
        let judged = self.checks.on_result(id, outcome.result, &has_traffic, now_ms, &mut || random.next());
        let Some(judged) = judged else { return };
        self.count_check(&judged.cluster, outcome.result);
        log_judged(&judged, outcome);
        if judged.is_warming {
            return;
        }
        if judged.has_changed || judged.is_first {
            self.changed(&judged.cluster, &judged.address);
        }
        if judged.is_healthy && outcome.result == CheckResult::Success {
            self.on_active_success(&judged.cluster, &judged.address);
        }
    }

    fn count_check(&self, cluster: &str, result: CheckResult) {
        let Some(counters) = self.setup.ledger.health(cluster) else { return };
        counters.attempt.add(1);
        match result {
            CheckResult::Success => counters.success.add(1),
            CheckResult::Network => {
                counters.failure.add(1);
                counters.network_failure.add(1);
            }
            CheckResult::Unexpected | CheckResult::Retriable => counters.failure.add(1),
        }
    }

    /// Tells the cores what changed, in one message for each cluster.
    pub(crate) fn tell_health(&mut self) {
        if self.untold.is_empty() {
            return;
        }
        let untold = std::mem::take(&mut self.untold);
        let snapshot = Arc::clone(&self.snapshot);
        for (index, cluster) in snapshot.clusters.iter().enumerate() {
            let Some(addresses) = untold.get(&cluster.name) else { continue };
            self.count_members(&cluster.name);
            let change = |address: &Address| {
                let set = self.found(&cluster.name, address);
                HealthChange { address: address.clone(), set, clear: OWNED.without(set) }
            };
            let changes = addresses.iter().map(change).collect();
            let update = HealthUpdate { cluster: ClusterIndex(index as u32), changes };
            self.tell_all(|| Message::Health(update.clone()));
        }
    }
}

/// Who is ejected, and when: missed heartbeats do that by themselves.
fn ejection_of(cluster: &Cluster) -> Option<Arc<OutlierDetection>> {
    let by_heartbeats = || cluster.heartbeat.map(|_| Arc::new(OutlierDetection::by_heartbeats()));
    cluster.outlier_detection.clone().or_else(by_heartbeats)
}

fn log_judged(judged: &Judged, outcome: &Outcome) {
    let Judged { cluster, address, is_healthy, has_changed, is_first, .. } = judged;
    let state = if *is_healthy { "healthy" } else { "unhealthy" };
    let line = format_args!(
        "health check cluster={cluster} endpoint={address} state={state} reason=\"{}\"",
        outcome.reason
    );
    match (is_healthy, *has_changed, *is_first) {
        (true, true, false) => log::info(line),
        (false, true, _) | (false, false, true) => log::warning(line),
        // Nothing new; or all is well where nobody knew yet.
        (_, false, false) | (true, _, true) => log::debug(line),
    }
}

#[cfg(test)]
mod tests;
