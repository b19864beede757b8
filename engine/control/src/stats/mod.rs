//! Metrics: the counters of all cores, added up and named as Envoy names them. Cores only count; whatever is said
//! about it is said here.

mod filter_names;
mod gather;
mod health_names;
mod ledger;
mod metric;
mod names;
mod plain;
mod process;
mod prometheus;

pub use health_names::HealthCounters;
pub use ledger::{CoreLedger, Ledger};
pub use process::ProcessFacts;

use crate::discovery::EndpointSearch;
use sidering_dataplane::config::Snapshot;

/// Who counts what.
#[derive(Clone, Copy)]
pub struct Counted<'c> {
    pub ledger: &'c Ledger,
    pub snapshot: &'c Snapshot,
    pub search: &'c EndpointSearch,
}

/// Prometheus's text format.
#[must_use]
pub fn prometheus(counted: &Counted<'_>, facts: &ProcessFacts) -> String {
    prometheus::write(&gather::gather(counted, facts))
}

/// Envoy's `name: value` lines: those whose name contains `filter`; `used_only` leaves out what is zero.
#[must_use]
pub fn plain(counted: &Counted<'_>, facts: &ProcessFacts, filter: &str, used_only: bool) -> String {
    plain::write(&gather::gather(counted, facts), filter, used_only)
}

#[cfg(test)]
mod tests;
