//! What control does about outliers: it ejects whom cores and intervals show to be one, counts and logs that.

use super::Control;
use crate::health::outlier::{Decision, Detection, Swept, Traffic, Volume};
use crate::log;
use crate::stats::HealthCounters;
use sidering_dataplane::config::EndpointIdentity;
use sidering_dataplane::io::Address;
use sidering_dataplane::observe::counters::EndpointCounters;
use sidering_dataplane::observe::notice::{Notice, RowKind};

impl Control {
    /// A core has something to tell.
    pub(crate) fn on_notice(&mut self, notice: &Notice) {
        let Notice::FailuresInRow { cluster, endpoint, kind } = notice;
        let detection = match kind {
            RowKind::ServerErrors => Detection::Consecutive5xx,
            RowKind::GatewayFailures => Detection::ConsecutiveGatewayFailure,
            RowKind::LocalOriginFailures => Detection::ConsecutiveLocalOriginFailure,
            RowKind::Heartbeats => Detection::Heartbeat,
        };
        let now_ms = self.now_ms();
        let random = &mut self.random;
        let decision = self.watch.on_row(cluster, endpoint, detection, now_ms, &mut || random.next());
        self.on_outlier(cluster, endpoint, detection, decision);
        self.count_ejected(cluster);
    }

    /// Ends the intervals that are over.
    pub(crate) fn end_intervals(&mut self) {
        let now_ms = self.now_ms();
        let (ledger, search) = (&self.setup.ledger, &self.search);
        let counted = |cluster: &str, address: &Address| {
            // A logical one is the only one of its cluster.
            let identity = match search.of(cluster).map(|endpoints| &endpoints[..]) {
                Some([only]) => only.identity(),
                _ => EndpointIdentity::Address(address.clone()),
            };
            ledger.endpoint(cluster, &identity).map(traffic).fold(Traffic::default(), added)
        };
        let mut all = vec![];
        let random = &mut self.random;
        while let Some(swept) = self.watch.sweep_next(&counted, now_ms, &mut || random.next()) {
            all.push(swept);
        }
        for Swept { cluster, sweep } in all {
            for endpoint in &sweep.back {
                self.on_back(&cluster, endpoint);
            }
            for (endpoint, detection, decision) in &sweep.outliers {
                self.on_outlier(&cluster, endpoint, *detection, *decision);
            }
            self.count_ejected(&cluster);
        }
    }

    /// An active check of a healthy endpoint has succeeded.
    pub(super) fn on_active_success(&mut self, cluster: &str, endpoint: &Address) {
        let now_ms = self.now_ms();
        if self.watch.on_active_success(cluster, endpoint, now_ms) {
            self.on_back(cluster, endpoint);
            self.count_ejected(cluster);
        }
    }

    fn on_outlier(&mut self, cluster: &str, endpoint: &Address, detection: Detection, decision: Decision) {
        if decision == Decision::Ignored {
            return;
        }
        let counters = self.setup.ledger.health(cluster);
        let count = |counter: fn(&HealthCounters, Detection)| {
            if let Some(counters) = counters {
                counter(counters, detection);
            }
        };
        count(|counters, detection| counters.ejections_detected[detection as usize].add(1));
        let what = match decision {
            Decision::Ejected => {
                count(|counters, detection| {
                    counters.ejections_enforced_total.add(1);
                    counters.ejections_enforced[detection as usize].add(1);
                });
                "ejected"
            }
            Decision::Overflow => {
                count(|counters, _| counters.ejections_overflow.add(1));
                "not ejected: max_ejected_percent"
            }
            Decision::NotEnforced | Decision::Ignored => "not ejected: not enforced",
        };
        let line =
            format_args!("outlier detection cluster={cluster} endpoint={endpoint} {what} ({detection})");
        if decision == Decision::Ejected {
            log::warning(line);
            self.changed(cluster, endpoint);
        } else {
            // Every so many errors anew.
            log::debug(line);
        }
    }

    fn on_back(&mut self, cluster: &str, endpoint: &Address) {
        log::info(format_args!("outlier detection cluster={cluster} endpoint={endpoint} back"));
        self.changed(cluster, endpoint);
    }

    fn count_ejected(&self, cluster: &str) {
        if let Some(counters) = self.setup.ledger.health(cluster) {
            counters.ejections_active.set(self.watch.ejected(cluster) as u64);
        }
    }
}

/// What one core has counted.
fn traffic(counters: &EndpointCounters) -> Traffic {
    let volume = |total: u64, failures: u64| Volume { total, successes: total.saturating_sub(failures) };
    Traffic {
        external: volume(counters.results.get(), counters.results_failed.get()),
        local: volume(counters.local_origin.get(), counters.local_origin_failed.get()),
    }
}

fn added(one: Traffic, other: Traffic) -> Traffic {
    let sum = |one: Volume, other: Volume| Volume {
        total: one.total.wrapping_add(other.total),
        successes: one.successes.wrapping_add(other.successes),
    };
    Traffic { external: sum(one.external, other.external), local: sum(one.local, other.local) }
}

#[cfg(test)]
mod tests;
