//! Reads how idle connections of a cluster are asked whether they are still there: `heartbeat`.

use super::problem::Problems;
use super::section::Section;
use super::tree::Tree;
use sidering_dataplane::config::Heartbeat;

/// `None`: they are not.
pub(super) fn heartbeat(tree: &Tree, problems: &Problems) -> Option<Heartbeat> {
    let default = Heartbeat::default();
    let mut section = Section::open("a heartbeat", tree, problems);
    let interval_ms = section.duration_ms("interval", 0, default.interval_ms);
    let longest_ms = default.max_interval_ms.max(interval_ms);
    let max_interval_ms = section.duration_ms("max_interval", interval_ms.max(1), longest_ms);
    let timeout_ms = section.duration_ms("timeout", 1, default.timeout_ms);
    section.finish();
    (interval_ms > 0).then_some(Heartbeat { interval_ms, max_interval_ms, timeout_ms })
}
