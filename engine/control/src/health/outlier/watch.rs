//! Outlier detection of all clusters: when each interval ends, what its traffic was, and who is ejected. It counts no answers and
//! reads no clock.

use super::{Decision, Detection, Detector, Sweep, Traffic, Volume};
use sidering_dataplane::config::{Endpoint, HealthFlags, OutlierDetection};
use sidering_dataplane::io::Address;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The clusters with outlier detection.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    clusters: HashMap<Arc<str>, Watched>,
    /// When the interval of each cluster ends.
    intervals: BTreeSet<(u64, Arc<str>)>,
}

#[derive(Debug)]
struct Watched {
    config: Arc<OutlierDetection>,
    detector: Detector,
    ends_at_ms: u64,
    /// Up to the end of the last interval.
    counted: HashMap<Address, Traffic>,
}

/// What an interval's end has led to.
#[derive(Debug)]
pub(crate) struct Swept {
    pub(crate) cluster: Arc<str>,
    pub(crate) sweep: Sweep,
}

impl Watch {
    /// A cluster has these endpoints and this outlier detection from now on. Who stays keeps its past; without detection
    /// nobody is ejected.
    pub(crate) fn set_cluster(
        &mut self,
        name: &str,
        config: Option<&Arc<OutlierDetection>>,
        endpoints: &[Endpoint],
        now_ms: u64,
    ) {
        let known = self.clusters.remove_entry(name);
        if let Some((name, watched)) = &known {
            self.intervals.remove(&(watched.ends_at_ms, Arc::clone(name)));
        }
        let Some(config) = config else { return };
        let (name, mut watched) = known.unwrap_or_else(|| (name.into(), Watched::new(config)));
        // An interval under way goes on, unless it is another one.
        if watched.ends_at_ms == 0 || watched.config.interval_ms != config.interval_ms {
            watched.ends_at_ms = now_ms.saturating_add(config.interval_ms);
        }
        watched.config = Arc::clone(config);
        watched.detector.set_hosts(endpoints.iter().map(|endpoint| endpoint.address.clone()));
        watched.counted.retain(|address, _| watched.detector.has(address));
        self.intervals.insert((watched.ends_at_ms, Arc::clone(&name)));
        self.clusters.insert(name, watched);
    }

    /// Forgets clusters that there are no more.
    pub(crate) fn retain(&mut self, is_there: &dyn Fn(&str) -> bool) {
        self.clusters.retain(|name, _| is_there(name));
        self.intervals.retain(|(_, name)| is_there(name));
    }

    /// What outlier detection knows against an endpoint.
    pub(crate) fn flags(&self, cluster: &str, address: &Address) -> HealthFlags {
        let is_ejected =
            self.clusters.get(cluster).is_some_and(|watched| watched.detector.is_ejected(address));
        if is_ejected { HealthFlags::FAILED_OUTLIER_CHECK } else { HealthFlags::default() }
    }

    /// How many of a cluster are ejected.
    pub(crate) fn ejected(&self, cluster: &str) -> usize {
        self.clusters.get(cluster).map_or(0, |watched| watched.detector.ejected())
    }

    /// When the next interval ends.
    pub(crate) fn next_end_ms(&self) -> Option<u64> {
        self.intervals.first().map(|(ends_at_ms, _)| *ends_at_ms)
    }

    /// A core has seen so many errors in a row.
    pub(crate) fn on_row(
        &mut self,
        cluster: &str,
        address: &Address,
        detection: Detection,
        now_ms: u64,
        random: &mut dyn FnMut() -> u64,
    ) -> Decision {
        let Some(watched) = self.clusters.get_mut(cluster) else { return Decision::Ignored };
        watched.detector.on_outlier(address, detection, &watched.config, now_ms, random)
    }

    /// An active check of the host succeeded, and it is healthy by its checks. True: this ended an ejection.
    pub(crate) fn on_active_success(&mut self, cluster: &str, address: &Address, now_ms: u64) -> bool {
        let Some(watched) = self.clusters.get_mut(cluster) else { return false };
        watched.detector.on_active_success(address, &watched.config, now_ms)
    }

    /// Ends one interval that is over. `counted` tells what has been counted of an endpoint since it is there.
    pub(crate) fn sweep_next(
        &mut self,
        counted: &dyn Fn(&str, &Address) -> Traffic,
        now_ms: u64,
        random: &mut dyn FnMut() -> u64,
    ) -> Option<Swept> {
        let (ends_at_ms, _) = self.intervals.first()?;
        if *ends_at_ms > now_ms {
            return None;
        }
        let (_, cluster) = self.intervals.pop_first()?;
        let watched = self.clusters.get_mut(&cluster)?;
        let sweep = watched.sweep(&|address| counted(&cluster, address), now_ms, random);
        watched.ends_at_ms = now_ms.saturating_add(watched.config.interval_ms);
        self.intervals.insert((watched.ends_at_ms, Arc::clone(&cluster)));
        Some(Swept { cluster, sweep })
    }
}

impl Watched {
    fn new(config: &Arc<OutlierDetection>) -> Watched {
        Watched {
            config: Arc::clone(config),
            detector: Detector::default(),
            ends_at_ms: 0,
            counted: HashMap::new(),
        }
    }

    fn sweep(
        &mut self,
        counted: &dyn Fn(&Address) -> Traffic,
        now_ms: u64,
        random: &mut dyn FnMut() -> u64,
    ) -> Sweep {
        let before = std::mem::take(&mut self.counted);
        let after: HashMap<Address, Traffic> =
            self.detector.addresses().map(|address| (address.clone(), counted(address))).collect();
        let since = |address: &Address| {
            let (Some(after), before) = (after.get(address), before.get(address)) else {
                return Traffic::default();
            };
            let before = before.copied().unwrap_or_default();
            Traffic {
                external: since(after.external, before.external),
                local: since(after.local, before.local),
            }
        };
        let sweep = self.detector.sweep(&since, &self.config, now_ms, random);
        self.counted = after;
        sweep
    }
}

/// Counters that began anew meanwhile are those of an endpoint that has begun anew.
fn since(after: Volume, before: Volume) -> Volume {
    match after.total.checked_sub(before.total) {
        Some(total) => {
            Volume { total, successes: after.successes.saturating_sub(before.successes).min(total) }
        }
        None => after,
    }
}
