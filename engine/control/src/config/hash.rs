//! Reads what a route hashes of its requests.

use super::header_value::source;
use super::problem::Problems;
use super::section::{Section, list, name, text};
use super::tree::Tree;
use super::units::is_token;
use sidering_dataplane::config::{FieldSource, HashCookie, HashPolicy, HashSource};

/// Each looks through the head once more.
const MOST_POLICIES: usize = 16;
const PATH_BYTES: usize = 256;
const SOURCES: [&str; 4] = ["header", "cookie", "query", "source"];

/// Reads a list of policies.
pub(super) fn policies(tree: &Tree, is_rpc: bool, problems: &Problems) -> Vec<HashPolicy> {
    let items =
        list(tree, "{ header: x-user }, { cookie: {} }, { query: user } or { source: true }", problems);
    if items.len() > MOST_POLICIES {
        problems.error(
            tree.place,
            format!("{} hash policies", items.len()),
            format!("at most {MOST_POLICIES}"),
        );
    }
    items.iter().filter_map(|item| policy(item, is_rpc, problems)).collect()
}

fn policy(tree: &Tree, is_rpc: bool, problems: &Problems) -> Option<HashPolicy> {
    let mut section = Section::open("a hash policy", tree, problems);
    if is_rpc {
        section.misplaced(&["cookie", "query"], "HTTP; a call has headers, and :authority is its service");
    }
    let header = section.find("header").map(|tree| header(tree, problems).map(HashSource::Header));
    let cookie = section.find("cookie").map(|tree| cookie(tree, problems).map(HashSource::Cookie));
    let query = section.find("query").map(|tree| name(tree, problems).map(HashSource::Query));
    let source = section.find("source").map(|tree| {
        let is_asked = section.boolean("source", true);
        if !is_asked {
            problems.error(
                tree.place,
                "a hash policy that hashes nothing",
                "`source: true`, or no such policy",
            );
        }
        is_asked.then_some(HashSource::Source)
    });
    let terminal = section.boolean("terminal", false);
    let given: Vec<_> = SOURCES.iter().filter_map(|key| section.place_of(key)).collect();
    let expected = || format!("one of `{}`", SOURCES.join("`, `"));
    match given[..] {
        [] => section.lacks(&SOURCES, "a hash policy that hashes nothing", expected()),
        [_, second, ..] => problems.error(second, "a hash policy with two sources", expected()),
        _ => {}
    }
    section.finish();
    let source = header.or(cookie).or(query).or(source)??;
    Some(HashPolicy { source, terminal })
}

/// The name of a header, or of a part of the request.
pub(super) fn header(tree: &Tree, problems: &Problems) -> Option<FieldSource> {
    let given = text(tree, "the name of a header, or :method, :path, :authority", problems)?;
    let found = source(given, true);
    if found.is_err() {
        let expected = "the name of a header, or :method, :path, :authority";
        problems.error(tree.place, format!("{} is no name of a header", tree.describe()), expected);
    }
    found.ok()
}

fn cookie(tree: &Tree, problems: &Problems) -> Option<HashCookie> {
    let mut section = Section::open("a cookie", tree, problems);
    let name = section.require("name", "the cookie's name").and_then(|tree| {
        let given = text(tree, "the cookie's name", problems)?;
        if !is_token(given) || given.len() > PATH_BYTES {
            let expected = "1 to 256 letters, digits, - . _ and the like";
            problems.error(tree.place, format!("{} is no name of a cookie", tree.describe()), expected);
        }
        Some(given.to_owned())
    });
    let has_ttl = section.find("ttl").is_some();
    let ttl_ms = section.duration_ms("ttl", 0, 0);
    if let Some(place) = section.place_of("ttl").filter(|_| !ttl_ms.is_multiple_of(1000)) {
        problems.error(place, "a cookie's lifetime with a part of a second", "whole seconds");
    }
    let path = section.find("path").and_then(|tree| path(tree, problems)).unwrap_or_default();
    if let Some(place) = section.place_of("path").filter(|_| !has_ttl) {
        problems.error(
            place,
            "a path of a cookie that is never set",
            "`ttl`, too: without it none is made up",
        );
    }
    section.finish();
    Some(HashCookie { name: name?, ttl_seconds: has_ttl.then_some(ttl_ms / 1000), path })
}

/// RFC 6265 section 4.1.1: no control characters and no semicolon.
fn path(tree: &Tree, problems: &Problems) -> Option<String> {
    let given = text(tree, "a path such as /", problems)?;
    let may_stand = |byte: u8| byte.is_ascii_graphic() && byte != b';';
    if given.starts_with('/') && given.len() <= PATH_BYTES && given.bytes().all(may_stand) {
        return Some(given.to_owned());
    }
    let expected = "a path that begins with /, without blanks and semicolons, of at most 256 bytes";
    problems.error(tree.place, format!("{} is no path of a cookie", tree.describe()), expected);
    None
}
