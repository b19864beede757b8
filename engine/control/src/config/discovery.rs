//! Reads where a cluster's endpoints come from, and the names that are to be resolved. It resolves none.

use super::endpoint;
use super::problem::{Place, Problems};
use super::section::{Section, list, text};
use super::tree::{Tree, Value};
use super::units;
use crate::discovery::resolver::LookupFamily;
use crate::discovery::schedule::{FailureRefresh, RefreshOptions};
use crate::discovery::{DnsSource, EndpointSource, Target};
use sidering_dataplane::config::Endpoint;
use sidering_dataplane::io::Address;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Static,
    StrictDns,
    LogicalDns,
}

const KINDS: &[(&str, Kind)] =
    &[("static", Kind::Static), ("strict_dns", Kind::StrictDns), ("logical_dns", Kind::LogicalDns)];
const DNS_KEYS: &[&str] = &[
    "dns_lookup_family",
    "dns_refresh_rate",
    "dns_min_refresh_rate",
    "dns_failure_refresh_rate",
    "dns_jitter",
    "respect_dns_ttl",
    "dns_resolvers",
];
const NAMES: &str = "`endpoints`: a list of host:port";
const ADDRESSES: &str = "`endpoints`: a list of addresses, or `endpoints_file`: the path of a file with one";
/// Name servers of a cluster.
const MOST_SERVERS: usize = 16;

/// The endpoints that a cluster lists, or where they are found.
pub(super) fn read(section: &mut Section<'_>) -> (Vec<Endpoint>, Option<EndpointSource>) {
    let problems = section.problems;
    let kind = section.choice("discovery", KINDS, &["eds"]);
    if let Some(tree) = section.find("endpoints_file") {
        let path = file(tree, problems);
        section.misplaced(&["endpoints", "discovery"], "a cluster without `endpoints_file`");
        section.misplaced(DNS_KEYS, "a cluster with `discovery: strict_dns` or `logical_dns`");
        return (vec![], path.map(EndpointSource::File));
    }
    if kind.is_none() && section.place_of("discovery").is_some() {
        // What endpoints look like is not known then.
        section.settle(&["endpoints"]);
        section.settle(DNS_KEYS);
        return (vec![], None);
    }
    let kind = kind.unwrap_or(Kind::Static);
    let trees = section.find("endpoints");
    if trees.is_none() {
        let expected = if kind == Kind::Static { ADDRESSES } else { NAMES };
        section.lacks(&["endpoints", "endpoints_file"], "a cluster without `endpoints`", expected);
    }
    let trees = trees.map_or(&[][..], |tree| list(tree, "endpoints", problems));
    if kind == Kind::Static {
        section.misplaced(DNS_KEYS, "a cluster with `discovery: strict_dns` or `logical_dns`");
        return (endpoint::read_all(trees, problems), None);
    }
    let is_logical = kind == Kind::LogicalDns;
    let targets = targets(trees, is_logical, problems);
    if is_logical && let [_, second, ..] = trees {
        let message = "a second endpoint of a cluster with `discovery: logical_dns`";
        problems.error(second.place, message, "one name; `strict_dns` takes several");
    }
    let family = section.choice("dns_lookup_family", &LookupFamily::NAMED, &[]).unwrap_or_default();
    let refresh = refresh(section);
    let servers = section.find("dns_resolvers").map_or(vec![], |tree| servers(tree, problems));
    (vec![], Some(EndpointSource::Dns(DnsSource { is_logical, targets, family, refresh, servers })))
}

fn file(tree: &Tree, problems: &Problems) -> Option<PathBuf> {
    let given = text(tree, "a path", problems)?;
    if given.is_empty() || given.contains('\0') {
        problems.error(
            tree.place,
            format!("{} is no path", tree.describe()),
            "the path of a file with a list of endpoints",
        );
        return None;
    }
    Some(PathBuf::from(given))
}

/// The endpoints in a file of their own: a list as in `endpoints`, but it may be empty.
pub(super) fn read_file(tree: &Tree, problems: &Problems) -> Vec<Endpoint> {
    match &tree.value {
        Value::Sequence(items) => endpoint::read_all(items, problems),
        _ => {
            let expected = "a list of endpoints; [] if there are none";
            problems.error(tree.place, format!("{} is not a list", tree.describe()), expected);
            vec![]
        }
    }
}

fn refresh(section: &mut Section<'_>) -> RefreshOptions {
    let default = RefreshOptions::default();
    let refresh_ms = section.duration_ms("dns_refresh_rate", 1, default.refresh_ms);
    let min_refresh_ms = section.duration_ms("dns_min_refresh_rate", 1, default.min_refresh_ms);
    let failure = section.find("dns_failure_refresh_rate");
    let failure = failure.map(|tree| failure_refresh(tree, section.problems));
    let jitter_ms = section.duration_ms("dns_jitter", 0, default.jitter_ms);
    let respect_ttl = section.boolean("respect_dns_ttl", default.respect_ttl);
    RefreshOptions { refresh_ms, min_refresh_ms, respect_ttl, failure, jitter_ms }
}

fn failure_refresh(tree: &Tree, problems: &Problems) -> FailureRefresh {
    let mut section = Section::open("a failure refresh rate", tree, problems);
    section.require("base_interval", "a duration such as 2s");
    let base_ms = section.duration_ms("base_interval", 1, 1);
    // As Envoy has it: ten times the base.
    let max_ms = section.duration_ms("max_interval", 1, base_ms.saturating_mul(10));
    if let Some(place) = section.place_of("max_interval").filter(|_| max_ms < base_ms) {
        let expected = format!("at least the base_interval of {}", units::show_ms(base_ms));
        problems.error(place, "`max_interval` is shorter than `base_interval`", expected);
    }
    section.finish();
    FailureRefresh { base_ms, max_ms }
}

fn servers(tree: &Tree, problems: &Problems) -> Vec<SocketAddr> {
    let items = list(tree, "name servers", problems);
    if let Some(extra) = items.get(MOST_SERVERS) {
        problems.error(extra.place, "too many name servers", format!("at most {MOST_SERVERS}"));
    }
    items.iter().filter_map(|item| server(item, problems)).collect()
}

fn server(tree: &Tree, problems: &Problems) -> Option<SocketAddr> {
    match endpoint::reachable_address(tree, units::ADDRESS, problems)? {
        Address::Ip(address) => Some(address),
        Address::Unix(_) => {
            problems.error(tree.place, "a name server on a unix socket", "ip:port or [v6]:port");
            None
        }
    }
}

/// Names with their ports, none twice.
fn targets(trees: &[Tree], is_logical: bool, problems: &Problems) -> Vec<Target> {
    let mut lines: HashMap<(String, u16), u32> = HashMap::new();
    let mut targets = vec![];
    for tree in trees {
        let Some(((host, port), template)) = endpoint::read(tree, problems, host_port) else { continue };
        let template = Endpoint { hostname: Some(host.as_str().into()), is_logical, ..template };
        if let Some(line) = lines.insert((host.to_ascii_lowercase(), port), tree.place.line) {
            note_twice(problems, tree.place, &format!("{host}:{port}"), line);
        }
        targets.push(Target { host, port, template });
    }
    targets
}

fn note_twice(problems: &Problems, place: Place, what: &str, line: u32) {
    let message = format!("{what} is an endpoint of this cluster already");
    problems.error(
        place,
        message,
        format!("each name once; it is on line {line}, where it may have a weight"),
    );
}

fn host_port(tree: &Tree, problems: &Problems) -> Option<(String, u16)> {
    let given = text(tree, units::HOST_PORT, problems)?;
    match units::host_port(given) {
        Ok((_, 0)) => {
            problems.error(tree.place, "nothing can be reached on port 0", "a port from 1 to 65535");
            None
        }
        Ok(parsed) => Some(parsed),
        Err(expected) => {
            problems.error(tree.place, format!("{} is not a host with a port", tree.describe()), expected);
            None
        }
    }
}
