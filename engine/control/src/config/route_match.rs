//! Reads which requests a route takes.

use super::problem::Problems;
use super::section::{Section, text};
use super::tree::Tree;
use sidering_dataplane::config::{PathMatch, RouteMatch};

const LATER_MATCHES: &[&str] = &["regex", "template", "methods", "headers", "query", "service", "method"];

/// Reads a `match`.
pub(super) fn read(tree: &Tree, problems: &Problems) -> RouteMatch {
    let mut section = Section::open("a match", tree, problems);
    let exact = section.find("path").and_then(|tree| path(tree, problems)).map(PathMatch::Exact);
    let prefix = section.find("prefix").and_then(|tree| path(tree, problems)).map(PathMatch::Prefix);
    let connect = section.boolean("connect", false);
    section.later(LATER_MATCHES);
    if let (Some(_), Some(place)) = (section.place_of("path"), section.place_of("prefix")) {
        problems.error(place, "a match with two paths", "one of `path` and `prefix`");
    } else if connect && let Some(place) = section.place_of("path").or(section.place_of("prefix")) {
        problems.error(
            place,
            "a path in a match for CONNECT",
            "{ connect: true } alone: CONNECT requests have no path",
        );
    }
    section.finish();
    RouteMatch { path: exact.or(prefix).unwrap_or_default(), connect }
}

fn path(tree: &Tree, problems: &Problems) -> Option<String> {
    let given = text(tree, "a path such as /v1", problems)?;
    let bad = |character: char| character.is_whitespace() || character.is_control();
    let expected = if !given.starts_with('/') {
        "a path that begins with /"
    } else if given.contains(['?', '#']) {
        "a path alone: the query is not part of what is matched"
    } else if given.contains(bad) {
        "a path without spaces, percent-encoded as in a request"
    } else {
        return Some(given.to_owned());
    };
    problems.error(tree.place, format!("{} is not a path", tree.describe()), expected);
    None
}
