//! Reads what is changed of a request's target, and the hosts and paths that stand in the place of its own.

use super::problem::Problems;
use super::section::{Section, text};
use super::substitution;
use super::tree::Tree;
use super::units::is_token;
use sidering_dataplane::config::Rewrite;

/// As long as a DNS name with a port can be.
const HOST_BYTES: usize = 261;
/// With what is left of the request's own path it still is shorter than most servers take.
const PATH_BYTES: usize = 4096;
/// Each thing is rewritten in one way.
const EITHER: [[&str; 2]; 2] = [["prefix", "regex"], ["host", "host_header"]];

/// Reads a `rewrite`.
pub(super) fn read(tree: &Tree, connect: bool, problems: &Problems) -> Rewrite {
    let mut section = Section::open("a rewrite", tree, problems);
    let prefix = section.find("prefix").and_then(|tree| path(tree, false, problems));
    let host = section.find("host").and_then(|tree| host(tree, problems));
    let regex = section.find("regex").and_then(|tree| substitution::read(tree, problems)).map(Box::new);
    let host_header = section.find("host_header").and_then(|tree| field_name(tree, problems));
    for [one, other] in EITHER {
        if let (Some(_), Some(place)) = (section.place_of(one), section.place_of(other)) {
            problems.error(
                place,
                "a second way to rewrite the same",
                format!("one of `{one}` and `{other}`"),
            );
        }
    }
    for key in ["prefix", "regex"] {
        if let Some(place) = section.place_of(key).filter(|_| connect) {
            let expected = "`host` alone: CONNECT requests have no path";
            problems.error(place, format!("a {key} for CONNECT requests"), expected);
        }
    }
    section.finish();
    Rewrite { prefix, regex, host, host_header }
}

/// A path for a request's or a redirect's target; only bytes that may stand in one (RFC 3986 section 3.3).
pub(super) fn path(tree: &Tree, may_have_query: bool, problems: &Problems) -> Option<String> {
    let given = text(tree, "a path such as /v1", problems)?;
    let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%".contains(&byte);
    let expected = if !given.starts_with('/') {
        "a path that begins with /"
    } else if given.len() > PATH_BYTES {
        "at most 4096 bytes"
    } else if given.contains('?') && !may_have_query {
        "a path alone: the request's query stays"
    } else if !given.bytes().all(|byte| may_stand(byte) || byte == b'?') {
        "a path as a request writes it, percent-encoded"
    } else {
        return Some(given.to_owned());
    };
    problems.error(tree.place, format!("{} is not a path", tree.describe()), expected);
    None
}

/// A host with or without a port.
pub(super) fn host(tree: &Tree, problems: &Problems) -> Option<String> {
    let given = text(tree, "a host such as api.internal", problems)?;
    if given.len() <= HOST_BYTES && is_host(given) {
        return Some(given.to_owned());
    }
    let expected = "a host such as api.internal, 10.0.0.1:8080 or [::1]";
    problems.error(tree.place, format!("{} is not a host", tree.describe()), expected);
    None
}

fn field_name(tree: &Tree, problems: &Problems) -> Option<String> {
    let given = text(tree, "the name of a header", problems)?;
    if is_token(given) {
        return Some(given.to_ascii_lowercase());
    }
    let expected = "letters, digits, - . _ and the like";
    problems.error(tree.place, format!("{} is no name of a header", tree.describe()), expected);
    None
}

/// The host without its port.
pub(super) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((bare, port)) if !port.contains(']') => bare,
        _ => host,
    }
}

fn is_host(host: &str) -> bool {
    let bare = without_port(host);
    let port = host[bare.len()..].strip_prefix(':');
    let port_is_right = port.is_none_or(|port| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    let literal = bare.strip_prefix('[').and_then(|bare| bare.strip_suffix(']'));
    let name_is_right = match literal {
        Some(literal) => literal.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !bare.is_empty()
                && bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        }
    };
    port_is_right && name_is_right
}
