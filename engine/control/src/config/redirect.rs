//! Reads where a client is sent instead.

use super::problem::Problems;
use super::rewrite::{host, path, without_port};
use super::section::{Section, choice, integer};
use super::tree::Tree;
use sidering_dataplane::config::{Redirect, RedirectPath};

const STATUSES: [(&str, u16); 5] = [("301", 301), ("302", 302), ("303", 303), ("307", 307), ("308", 308)];
/// What a redirect changes; without any it would lead to itself.
const CHANGES: [&str; 6] = ["scheme", "host", "port", "path", "prefix", "strip_query"];

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
    section.later(&["regex"]);
    if let (Some(_), Some(place)) = (section.place_of("path"), section.place_of("prefix")) {
        problems.error(place, "a redirect with two paths", "one of `path` and `prefix`");
    }
    if let (Some(host), Some(place)) = (&host, section.place_of("port"))
        && without_port(host) != host
    {
        problems.error(place, "a second port", format!("it once; `host` is `{host}`"));
    }
    let changes = CHANGES.iter().any(|key| section.place_of(key).is_some());
    if !changes && section.place_of("regex").is_none() {
        problems.error(tree.place, "a redirect to itself", format!("one of `{}`", CHANGES.join("`, `")));
    }
    section.finish();
    let path = match (whole, prefix) {
        (Some(whole), _) => RedirectPath::Whole(whole),
        (None, Some(prefix)) => RedirectPath::Prefix(prefix),
        (None, None) => RedirectPath::Same,
    };
    let port = port.map(|port| port as u16);
    Redirect { scheme, host, port, path, strip_query, status: status.unwrap_or(301) }
}
