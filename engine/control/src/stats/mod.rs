//! Metrics: the counters of all cores, added up and named as Envoy names them. Cores only count; whatever is said
//! about it is said here.

mod filter_names;
mod gather;
mod ledger;
mod metric;
mod names;
mod plain;
mod process;
mod prometheus;

pub use ledger::{CoreLedger, Ledger};
pub use process::ProcessFacts;

use sidering_dataplane::config::Snapshot;

/// Prometheus's text format.
#[must_use]
pub fn prometheus(ledger: &Ledger, snapshot: &Snapshot, facts: &ProcessFacts) -> String {
    prometheus::write(&gather::gather(ledger, snapshot, facts))
}

/// Envoy's `name: value` lines: those whose name contains `filter`; `used_only` leaves out what is zero.
#[must_use]
pub fn plain(
    ledger: &Ledger,
    snapshot: &Snapshot,
    facts: &ProcessFacts,
    filter: &str,
    used_only: bool,
) -> String {
    plain::write(&gather::gather(ledger, snapshot, facts), filter, used_only)
}

#[cfg(test)]
mod tests;
