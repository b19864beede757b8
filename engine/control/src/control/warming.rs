//! Warming, as in Envoy: a configuration takes effect once the endpoints of its new clusters were looked for and those that
//! are to be checked have been, so that no request meets a cluster that nobody knows anything of. Until then what was in
//! use stays, or at the start nothing is.

use super::{Control, Next};
use crate::config::Loaded;
use crate::lifecycle::Phase;
use crate::log;
use crate::zone_switch::ZoneSwitch;
use sidering_dataplane::config::Cluster;
use sidering_dataplane::message::Message;
use std::sync::Arc;

/// A configuration waits at most this long: a name server that is silent must not hold it up for ever.
const WARMING_MOST_MS: u64 = 10_000;

/// A configuration that waits until its clusters are warm.
pub(super) struct Staged {
    loaded: Loaded,
    switches: Vec<ZoneSwitch>,
    ends_at_ms: u64,
    /// The loop has been told that the wait is over.
    is_told: bool,
}

impl Control {
    /// Whether anything in a configuration, which has the endpoints that are known, must be waited for.
    pub(super) fn needs_warming(&self, loaded: &Loaded) -> bool {
        let is_news = |cluster: &Arc<Cluster>| {
            let check = cluster.health_check.as_ref();
            check.is_some_and(|check| self.checks.has_news(&cluster.name, check, &cluster.endpoints))
        };
        !self.search.knows(&loaded.discoveries) || loaded.snapshot.clusters.iter().any(is_news)
    }

    /// Makes a configuration wait, in place of one that does already.
    pub(super) fn stage(&mut self, loaded: Loaded, switches: Vec<ZoneSwitch>) {
        let clusters = &loaded.snapshot.clusters;
        self.search.warm(&loaded.discoveries);
        self.checks.retain_warming(&|name| clusters.iter().any(|cluster| cluster.name == name));
        clusters.iter().for_each(|cluster| self.warm_cluster(cluster));
        let ends_at_ms = self.now_ms() + WARMING_MOST_MS;
        let waits_for = self.cold();
        log::info(format_args!(
            "configuration waits, for at most {} s, until it is warm: {waits_for}",
            WARMING_MOST_MS / 1000
        ));
        self.staged = Some(Staged { loaded, switches, ends_at_ms, is_told: false });
        self.setup.health_events.wake();
    }

    /// No configuration waits any more.
    pub(super) fn unstage(&mut self) {
        self.staged = None;
        self.search.warm(&[]);
        self.checks.retain_warming(&|_| false);
    }

    /// The switches that the configuration in use has, or the one that comes.
    pub(crate) fn zone_switches(&self) -> &[ZoneSwitch] {
        self.staged.as_ref().map_or(&self.zone_switches, |staged| &staged.switches)
    }

    /// Something was found of a cluster, which may be one that waits.
    pub(super) fn warm_found(&mut self, name: &str) {
        let Some(mut staged) = self.staged.take() else { return };
        let Loaded { snapshot, discoveries, .. } = &mut staged.loaded;
        let discovery = discoveries.iter().find(|discovery| discovery.cluster == name);
        let cluster = snapshot.clusters.iter_mut().find(|cluster| cluster.name == name);
        if let (Some(discovery), Some(cluster)) = (discovery, cluster) {
            self.search.fill_cluster(cluster, discovery);
            self.warm_cluster(cluster);
        }
        self.staged = Some(staged);
        self.setup.health_events.wake();
    }

    fn warm_cluster(&mut self, cluster: &Cluster) {
        let Some(check) = &cluster.health_check else { return };
        let (now_ms, random) = (self.now_ms(), &mut self.random);
        self.checks.warm(&cluster.name, check, &cluster.endpoints, now_ms, &mut || random.next());
        self.setup.ledger.warm(&cluster.name);
    }

    fn is_warm(&self) -> bool {
        self.search.is_warm() && self.checks.is_warm()
    }

    /// When the wait ends in any case.
    pub(crate) fn warming_ends_ms(&self) -> Option<u64> {
        self.staged.as_ref().filter(|staged| !staged.is_told).map(|staged| staged.ends_at_ms)
    }

    /// Whether the wait is over; told once.
    pub(crate) fn poll_warmed(&mut self, now_ms: u64) -> bool {
        let is_over = self.warming_ends_ms().is_some_and(|ends_at_ms| self.is_warm() || now_ms >= ends_at_ms);
        if let Some(staged) = self.staged.as_mut().filter(|_| is_over) {
            staged.is_told = true;
        }
        is_over
    }

    /// The wait is over, unless another one has begun.
    pub(super) fn install_staged(&mut self) -> Next {
        let Some(staged) = self.staged.take_if(|staged| staged.is_told) else { return Next::GoOn };
        if !self.is_warm() {
            let missing = self.cold();
            log::warning(format_args!(
                "the configuration takes effect although not all of it is warm: {missing}"
            ));
        }
        let Err(errors) = self.apply(staged.loaded, staged.switches) else { return Next::GoOn };
        self.unstage();
        if self.life.phase() != Phase::Initializing {
            self.refuse(errors);
            return Next::GoOn;
        }
        errors.iter().for_each(|error| log::error(format_args!("{error}")));
        self.life.stop();
        self.tell_all(|| Message::Stop);
        Next::Leave(1)
    }

    /// What is waited for, in words.
    fn cold(&self) -> String {
        let endpoints = self.search.cold().into_iter().map(|name| format!("endpoints of {name}"));
        let checks = self.checks.cold().into_iter();
        let checks = checks.map(|(name, count)| format!("first checks of {name} ({count})"));
        let all: Vec<String> = endpoints.chain(checks).collect();
        match all.len() {
            0..=TOLD_MOST => all.join(", "),
            count => format!("{}, and {} more", all[..TOLD_MOST].join(", "), count - TOLD_MOST),
        }
    }
}

/// Clusters that are named in one line of the log.
const TOLD_MOST: usize = 8;

#[cfg(test)]
mod tests;
