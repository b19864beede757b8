//! The active checks of all clusters: whom to check next, and what a result makes of an endpoint. It opens no connection and
//! reads no clock.
//!
//! ```text
//! due (in the heap) -> running (at most RUNNING_MOST at once) -> due later
//! ```

use super::active::{CheckResult, Session};
use sidering_dataplane::config::{Endpoint, HealthCheck, HealthFlags};
use sidering_dataplane::io::Address;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::Arc;

/// Checks under way at once; the next ones wait until one of them ends.
pub(crate) const RUNNING_MOST: usize = 256;

/// Names one endpoint under checks; never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TargetId(u64);

/// One check to be made now.
#[derive(Debug, Clone)]
pub(crate) struct Due {
    pub(crate) id: TargetId,
    pub(crate) cluster: Arc<str>,
    pub(crate) address: Address,
    pub(crate) check: Arc<HealthCheck>,
}

/// What to do next.
#[derive(Debug, Clone)]
pub(crate) enum Next {
    Check(Due),
    /// Nothing before this time, unless something else happens.
    Wait(u64),
    /// Nothing until something else happens: nobody is to be checked, or as many as may be are being checked.
    Idle,
}

/// What a result was for an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) cluster: Arc<str>,
    pub(crate) address: Address,
    pub(crate) is_healthy: bool,
    pub(crate) has_changed: bool,
    pub(crate) is_first: bool,
    /// Its cluster is not in use yet.
    pub(crate) is_warming: bool,
}

#[derive(Debug)]
struct Target {
    cluster: Arc<str>,
    address: Address,
    check: Arc<HealthCheck>,
    session: Session,
    /// It waits for its configuration to be in use.
    is_warming: bool,
}

#[derive(Debug, Default)]
struct CheckedCluster {
    /// Of those that are checked; empty without checks.
    ids: HashMap<Address, TargetId>,
}

/// All endpoints, checked or not, at most as many as are configured.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    targets: HashMap<TargetId, Target>,
    clusters: HashMap<Arc<str>, CheckedCluster>,
    /// Those of which nothing is known in `clusters`, of a configuration that is to be in use and is not yet.
    warming: HashMap<Arc<str>, CheckedCluster>,
    /// Of those, the ones without a result.
    cold: usize,
    /// One entry for each target that is not being checked.
    queue: BinaryHeap<Reverse<(u64, TargetId)>>,
    /// It may have entries of targets that are gone.
    is_stale: bool,
    running: usize,
    last_id: u64,
}

impl Target {
    fn is_cold(&self) -> bool {
        self.is_warming && self.session.is_first()
    }
}

impl Checks {
    /// A cluster has these endpoints and this check from now on. Who stays keeps what is known of it; who is new in a cluster that
    /// was checked before is unhealthy until its first result; where checks are new, those that traffic went to are healthy
    /// until they are found not to be, or a reload would be an outage.
    pub(crate) fn set_cluster(
        &mut self,
        name: &str,
        check: Option<&Arc<HealthCheck>>,
        endpoints: &[Endpoint],
        before: &[Endpoint],
        now_ms: u64,
        random: &mut dyn FnMut() -> u64,
    ) {
        let ids = |known: Option<CheckedCluster>| known.map(|cluster| cluster.ids).unwrap_or_default();
        let (mut old, mut warmed) = (ids(self.clusters.remove(name)), ids(self.warming.remove(name)));
        let Some(check) = check else {
            old.values().chain(warmed.values()).for_each(|id| self.remove(*id));
            self.forget_stale();
            return;
        };
        let used: HashSet<&Address> = match old.is_empty() {
            true => before.iter().map(|endpoint| &endpoint.address).collect(),
            false => HashSet::new(),
        };
        let name: Arc<str> = name.into();
        let mut ids = HashMap::with_capacity(endpoints.len());
        for endpoint in endpoints {
            let address = &endpoint.address;
            let has_check = |id: &TargetId| self.targets.get(id).is_some_and(|target| target.check == *check);
            let warm = warmed.remove(address).filter(has_check);
            let id = match (warm, old.remove(address)) {
                (Some(warm), unknown) => {
                    unknown.into_iter().for_each(|id| self.remove(id));
                    self.take_over(warm);
                    warm
                }
                (None, Some(id)) if has_check(&id) => id,
                (None, Some(id)) => {
                    let session = self.targets.get(&id).map(|target| target.session.begun_anew());
                    self.remove(id);
                    let session = session.unwrap_or_default();
                    self.insert(&name, address, check, session, now_ms, random)
                }
                (None, None) => {
                    let session =
                        if used.contains(address) { Session::presumed_healthy() } else { Session::default() };
                    self.insert(&name, address, check, session, now_ms, random)
                }
            };
            ids.insert(address.clone(), id);
        }
        old.values().chain(warmed.values()).for_each(|id| self.remove(*id));
        self.clusters.insert(name, CheckedCluster { ids });
        self.forget_stale();
    }

    /// Whether a configuration has endpoints of a cluster that must be checked before anybody may use them: those that
    /// were neither checked before nor will be without it.
    pub(crate) fn has_news(&self, name: &str, check: &Arc<HealthCheck>, endpoints: &[Endpoint]) -> bool {
        endpoints.iter().any(|endpoint| self.is_news(name, check, &endpoint.address))
    }

    fn is_news(&self, name: &str, check: &Arc<HealthCheck>, address: &Address) -> bool {
        let id = self.clusters.get(name).and_then(|cluster| cluster.ids.get(address));
        let known = id.and_then(|id| self.targets.get(id));
        !known.is_some_and(|target| !target.session.is_first() || target.check == *check)
    }

    /// Begins the checks of a cluster that is to have these endpoints and this check; of those that are news.
    pub(crate) fn warm(
        &mut self,
        name: &str,
        check: &Arc<HealthCheck>,
        endpoints: &[Endpoint],
        now_ms: u64,
        random: &mut dyn FnMut() -> u64,
    ) {
        let mut begun = self.warming.remove(name).map(|cluster| cluster.ids).unwrap_or_default();
        let name: Arc<str> = name.into();
        let mut ids = HashMap::new();
        for address in endpoints.iter().map(|endpoint| &endpoint.address) {
            if !self.is_news(&name, check, address) {
                continue;
            }
            let has_check = |id: &TargetId| self.targets.get(id).is_some_and(|target| target.check == *check);
            let id = match begun.get(address).copied().filter(has_check) {
                Some(id) => {
                    begun.remove(address);
                    id
                }
                None => {
                    let id = self.insert(&name, address, check, Session::default(), now_ms, random);
                    self.targets.entry(id).and_modify(|target| target.is_warming = true);
                    self.cold += 1;
                    id
                }
            };
            ids.insert(address.clone(), id);
        }
        begun.values().for_each(|id| self.remove(*id));
        self.warming.insert(name, CheckedCluster { ids });
        self.forget_stale();
    }

    /// Forgets what waits, but for these clusters.
    pub(crate) fn retain_warming(&mut self, is_there: &dyn Fn(&str) -> bool) {
        let gone: Vec<_> = self.warming.extract_if(|name, _| !is_there(name)).collect();
        if gone.is_empty() {
            return;
        }
        gone.iter().flat_map(|(_, cluster)| cluster.ids.values()).for_each(|id| self.remove(*id));
        self.forget_stale();
    }

    /// Whether all that wait have had their first result.
    pub(crate) fn is_warm(&self) -> bool {
        self.cold == 0
    }

    /// How many of which clusters wait for it.
    pub(crate) fn cold(&self) -> Vec<(&str, usize)> {
        let is_cold = |id: &&TargetId| self.targets.get(id).is_some_and(Target::is_cold);
        let counts = self
            .warming
            .iter()
            .map(|(name, cluster)| (&**name, cluster.ids.values().filter(is_cold).count()));
        let mut cold: Vec<_> = counts.filter(|(_, count)| *count > 0).collect();
        cold.sort_unstable();
        cold
    }

    /// One that waited is in use.
    fn take_over(&mut self, id: TargetId) {
        let Some(target) = self.targets.get_mut(&id) else { return };
        self.cold -= usize::from(target.is_cold());
        target.is_warming = false;
    }

    fn remove(&mut self, id: TargetId) {
        if let Some(target) = self.targets.remove(&id) {
            self.cold -= usize::from(target.is_cold());
            self.is_stale = true;
        }
    }

    fn insert(
        &mut self,
        cluster: &Arc<str>,
        address: &Address,
        check: &Arc<HealthCheck>,
        session: Session,
        now_ms: u64,
        random: &mut dyn FnMut() -> u64,
    ) -> TargetId {
        self.last_id += 1;
        let id = TargetId(self.last_id);
        let jitter_ms = match check.initial_jitter_ms {
            0 => 0,
            most_ms => random() % most_ms.saturating_add(1),
        };
        let target = Target {
            cluster: Arc::clone(cluster),
            address: address.clone(),
            check: Arc::clone(check),
            session,
            is_warming: false,
        };
        self.targets.insert(id, target);
        self.queue.push(Reverse((now_ms.saturating_add(jitter_ms), id)));
        id
    }

    fn forget_stale(&mut self) {
        if !std::mem::take(&mut self.is_stale) {
            return;
        }
        let targets = &self.targets;
        self.queue.retain(|Reverse((_, id))| targets.contains_key(id));
    }

    /// Forgets clusters that there are no more.
    pub(crate) fn retain(&mut self, is_there: &dyn Fn(&str) -> bool) {
        let gone = self.clusters.extract_if(|name, _| !is_there(name));
        let gone: Vec<_> = gone.flat_map(|(_, cluster)| cluster.ids.into_values()).collect();
        gone.into_iter().for_each(|id| self.remove(id));
        self.forget_stale();
    }

    /// What checks know against an endpoint: nothing of one that is not checked.
    pub(crate) fn flags(&self, cluster: &str, address: &Address) -> HealthFlags {
        let id = self.clusters.get(cluster).and_then(|cluster| cluster.ids.get(address));
        match id.and_then(|id| self.targets.get(id)).map(|target| &target.session) {
            Some(session) if session.is_healthy() => HealthFlags::default(),
            Some(session) if session.is_first() => {
                HealthFlags::FAILED_ACTIVE_CHECK.with(HealthFlags::PENDING_ACTIVE_CHECK)
            }
            Some(_) => HealthFlags::FAILED_ACTIVE_CHECK,
            None => HealthFlags::default(),
        }
    }

    /// The next check to be made. What is given is counted as under way, until [`on_result`](Self::on_result).
    pub(crate) fn next(&mut self, now_ms: u64) -> Next {
        if self.running >= RUNNING_MOST {
            return Next::Idle;
        }
        match self.queue.peek() {
            None => Next::Idle,
            Some(Reverse((due_ms, _))) if *due_ms > now_ms => Next::Wait(*due_ms),
            Some(Reverse((_, id))) => {
                let id = *id;
                self.queue.pop();
                let Some(target) = self.targets.get(&id) else { return Next::Wait(now_ms) };
                self.running += 1;
                Next::Check(Due {
                    id,
                    cluster: Arc::clone(&target.cluster),
                    address: target.address.clone(),
                    check: Arc::clone(&target.check),
                })
            }
        }
    }

    /// A check has ended; `has_traffic` tells whether a cluster has ever been sent anything. `None` if its endpoint has gone meanwhile.
    pub(crate) fn on_result(
        &mut self,
        id: TargetId,
        result: CheckResult,
        has_traffic: &dyn Fn(&str) -> bool,
        now_ms: u64,
        random: &mut dyn FnMut() -> u64,
    ) -> Option<Judged> {
        self.running = self.running.saturating_sub(1);
        let target = self.targets.get_mut(&id)?;
        let (is_first, is_warming) = (target.session.is_first(), target.is_warming);
        self.cold -= usize::from(target.is_cold());
        let has_traffic = has_traffic(&target.cluster);
        let verdict = target.session.on_result(result, &target.check.pace, has_traffic, random);
        self.queue.push(Reverse((now_ms.saturating_add(verdict.wait_ms), id)));
        Some(Judged {
            cluster: Arc::clone(&target.cluster),
            address: target.address.clone(),
            is_healthy: target.session.is_healthy(),
            has_changed: verdict.changed,
            is_first,
            is_warming,
        })
    }
}

#[cfg(test)]
mod tests;
