//! The native configuration file: from YAML to a checked [`Snapshot`] and the process's [`Settings`]. It opens no
//! socket and starts nothing; all mistakes of a file are told in one go.

mod bridge;
mod chain;
mod circuit_breaker;
mod cluster;
mod detection;
mod discovery;
mod endpoint;
mod expectations;
mod filter;
mod hash;
mod header;
mod header_value;
mod health;
mod heartbeat;
mod keepalive;
mod late_fields;
mod listener;
mod load_balancing;
mod matcher;
mod mirror;
mod named;
mod node;
mod outlier_detection;
mod problem;
mod protocol;
mod redirect;
mod retry;
mod rewrite;
mod route;
mod route_action;
mod route_match;
mod section;
mod settings;
mod shadow;
mod spoken;
mod subsets;
mod substitution;
mod suggest;
mod tree;
mod units;
mod zone;

pub use expectations::expectations;
pub(crate) use listener::is_port_zero;
pub(crate) use matcher::show_share;
pub use problem::{Place, Problem, Report, Severity};
pub use settings::{AccessLogSettings, EngineChoice, MOST_WORKERS, Overrides, Settings, usable_cpus};
pub(crate) use suggest::nearest;
pub use units::address as parse_address;
pub(crate) use units::{show_address, show_bytes, show_ms};

use crate::discovery::Discovery;
use crate::garbage;
use problem::Problems;
use section::Section;
use sidering_dataplane::config::{Endpoint, Snapshot};
use std::path::Path;

/// A file that was understood.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub settings: Settings,
    /// With version 0, and listener ids that are places in the list: whoever applies it gives it its own.
    pub snapshot: Snapshot,
    /// How the endpoints of clusters are found that do not list them: in the snapshot they have none.
    pub discoveries: Vec<Discovery>,
    /// Warnings only.
    pub report: Report,
}

/// Why a file gave no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{path}: cannot be read: {source}; give a readable file with -c")]
    Unreadable { path: String, source: std::io::Error },
    #[error("{path}: {bytes} bytes are too many for a configuration: at most {LARGEST_FILE_BYTES}")]
    TooLarge { path: String, bytes: u64 },
    #[error("{0}")]
    Invalid(Report),
}

/// Files larger than this aren't read.
const LARGEST_FILE_BYTES: u64 = 64 << 20;
const DRAIN_TIMEOUT_MS: u64 = 10_000;

/// Reads and checks a file.
pub fn load(path: &Path, overrides: &Overrides) -> Result<Loaded, LoadError> {
    let name = path.display().to_string();
    let unreadable = |source| LoadError::Unreadable { path: name.clone(), source };
    let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if bytes > LARGEST_FILE_BYTES {
        return Err(LoadError::TooLarge { path: name, bytes });
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => parse(&name, text, overrides).map_err(LoadError::Invalid),
        Err(error) => Err(LoadError::Invalid(not_text(&name, &bytes, error.valid_up_to()))),
    }
}

/// Checks a configuration that is at hand as text; `name` stands in its messages.
pub fn parse(name: &str, text: &str, overrides: &Overrides) -> Result<Loaded, Report> {
    garbage::apart(|| parse_here(name, text, overrides))
}

fn parse_here(name: &str, text: &str, overrides: &Overrides) -> Result<Loaded, Report> {
    let problems = Problems::default();
    let read = tree::parse(text, &problems).map(|tree| read(&tree, overrides, &problems));
    let report = Report::new(name, text, problems.into_sorted());
    match read {
        Some((settings, snapshot, discoveries)) if report.errors() == 0 => {
            Ok(Loaded { settings, snapshot, discoveries, report })
        }
        _ => Err(report),
    }
}

/// Checks a file with a list of endpoints; `name` stands in its messages.
pub(crate) fn parse_endpoints(name: &str, content: &[u8]) -> Result<Vec<Endpoint>, Report> {
    let text = std::str::from_utf8(content).map_err(|error| not_text(name, content, error.valid_up_to()))?;
    let problems = Problems::default();
    let endpoints = tree::parse(text, &problems).map(|tree| discovery::read_file(&tree, &problems));
    let report = Report::new(name, text, problems.into_sorted());
    endpoints.filter(|_| report.errors() == 0).ok_or(report)
}

fn read(
    tree: &tree::Tree,
    overrides: &Overrides,
    problems: &Problems,
) -> (Settings, Snapshot, Vec<Discovery>) {
    let mut root = Section::open("the configuration", tree, problems);
    let settings = settings::read(&mut root, overrides);
    let drain_timeout_ms = root.duration_ms("drain_timeout", 0, DRAIN_TIMEOUT_MS);
    let listeners = root.require("listeners", "a list of at least one");
    let node = node::Node::read(&mut root, problems);
    let mut clusters = cluster::Clusters::read(root.find("clusters"), &node, problems);
    let local_cluster = node.local_cluster(&mut clusters, problems);
    let parts = chain::Parts::read(&mut root);
    let mut listeners = listener::listeners(listeners, &settings, &mut clusters, &parts, problems);
    parts.warn_of_unused(problems);
    root.finish();
    let access_log = settings.access_log.as_ref().map(|log| log.format.fields.clone());
    late_fields::settle(&mut listeners, access_log.as_ref());
    let (clusters, discoveries) = clusters.into_parts(problems);
    let cores = settings.workers;
    let snapshot =
        Snapshot { version: 0, listeners, clusters, local_cluster, drain_timeout_ms, access_log, cores };
    (settings, snapshot, discoveries)
}

fn not_text(name: &str, bytes: &[u8], valid: usize) -> Report {
    let before = String::from_utf8_lossy(&bytes[..valid]);
    let line = before.matches('\n').count() as u32 + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() as u32 + 1;
    let problems = Problems::default();
    problems.error(Place { line, column, width: 1 }, "bytes that are not UTF-8", "a text file in UTF-8");
    Report::new(name, &String::from_utf8_lossy(bytes), problems.into_sorted())
}

#[cfg(test)]
mod action_tests;
#[cfg(test)]
mod bridge_tests;
#[cfg(test)]
mod chain_tests;
#[cfg(test)]
mod cluster_tests;
#[cfg(test)]
mod detection_tests;
#[cfg(test)]
mod discovery_tests;
#[cfg(test)]
mod hash_tests;
#[cfg(test)]
mod header_tests;
#[cfg(test)]
mod mistake_tests;
#[cfg(test)]
mod resilience_tests;
#[cfg(test)]
mod route_tests;
#[cfg(test)]
mod rpc_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod zone_tests;
