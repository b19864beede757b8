//! Reads where a client is sent instead.

use super::problem::Problems;
use super::rewrite::{host, path, without_port};
use super::section::{Section, choice, integer};
use super::substitution;
use super::tree::Tree;
use sidering_dataplane::config::{Redirect, RedirectPath};

const STATUSES: [(&str, u16); 5] = [("301", 301), ("302", 302), ("303", 303), ("307", 307), ("308", 308)];
/// What a redirect changes; without any it would lead to itself.
const CHANGES: [&str; 7] = ["scheme", "host", "port", "path", "prefix", "regex", "strip_query"];
const PATHS: [&str; 3] = ["path", "prefix", "regex"];

/// Reads a `redirect`.
pub(super) fn read(tree: &Tree, problems: &Problems) -> Redirect {
    let mut section = Section::open("a redirect", tree, problems);
    let schemes = [("http", "http"), ("https", "https")];
    let scheme = section.choice("scheme", &schemes, &[]);
    let host = section.find("host").and_then(|tree| host(tree, problems));
    let port = section.find("port").and_then(|tree| integer(tree, 1..=65_535, problems));
    let whole = section.find("path").and_then(|tree| path(tree, true, problems));
    let prefix = section.find("prefix").and_then(|tree| path(tree, false, problems));
    let strip_query = section.boolean("strip_query", false);
    let status = section.find("status").and_then(|tree| choice(tree, &STATUSES, &[], problems));
    let regex = section.find("regex").and_then(|tree| substitution::read(tree, problems));
    let paths: Vec<_> = PATHS.iter().filter_map(|key| section.place_of(key)).collect();
    if let [_, second, ..] = paths[..] {
        problems.error(second, "a redirect with two paths", "one of `path`, `prefix` and `regex`");
    }
    if let (Some(host), Some(place)) = (&host, section.place_of("port"))
        && without_port(host) != host
    {
        problems.error(place, "a second port", format!("it once; `host` is `{host}`"));
    }
    let changes = CHANGES.iter().any(|key| section.place_of(key).is_some());
    if !changes {
        section.lacks(&CHANGES, "a redirect to itself", format!("one of `{}`", CHANGES.join("`, `")));
    }
    section.finish();
    let path = match (whole, prefix, regex) {
        (Some(whole), ..) => RedirectPath::Whole(whole),
        (None, Some(prefix), _) => RedirectPath::Prefix(prefix),
        (None, None, Some(regex)) => RedirectPath::Regex(Box::new(regex)),
        (None, None, None) => RedirectPath::Same,
    };
    let port = port.map(|port| port as u16);
    Redirect { scheme, host, port, path, strip_query, status: status.unwrap_or(301) }
}
