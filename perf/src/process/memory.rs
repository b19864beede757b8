//! The memory that is a process's own: anonymous pages that are resident.

use std::fs;

use super::stat::parse_status_bytes;

/// The sum of RssAnon over `processes`, in bytes.
pub(crate) fn anonymous_bytes(processes: &[u32]) -> u64 {
    processes
        .iter()
        .filter_map(|process| fs::read_to_string(format!("/proc/{process}/status")).ok())
        .filter_map(|status| parse_status_bytes(&status, "RssAnon"))
        .sum()
}
