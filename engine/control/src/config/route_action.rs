//! Reads what a route does with the requests that it takes.

use super::cluster::Clusters;
use super::problem::Problems;
use super::section::{Section, text};
use super::tree::Tree;
use sidering_dataplane::config::{Forward, RouteAction};

/// The largest body of a direct response: what is larger belongs behind a server.
const BODY_BYTES: usize = 64 * 1024;
const LATER_ACTIONS: &[&str] = &["redirect", "weighted_clusters"];
const LATER_ROUTE_KEYS: &[&str] =
    &["retry", "rewrite", "request_headers", "response_headers", "mirror", "subset", "hash"];

/// Reads the action and what goes with it from a route's own section.
pub(super) fn read(
    section: &mut Section<'_>,
    protocol: &'static str,
    clusters: &mut Clusters,
) -> RouteAction {
    let problems = section.problems;
    section.later(LATER_ACTIONS);
    let cluster = section.find("cluster").map(|tree| clusters.refer(tree, protocol, problems));
    let direct = section.find("direct_response").map(|tree| direct_response(tree, problems));
    let has_later = LATER_ACTIONS.iter().any(|key| section.place_of(key).is_some());
    if let (Some(_), Some(place)) = (&cluster, section.place_of("direct_response")) {
        problems.error(place, "a route with two actions", "either `cluster` or `direct_response`");
    } else if cluster.is_none() && direct.is_none() && !has_later {
        problems.error(section.place, "a route without an action", "`cluster` or `direct_response`");
    }
    let timeout_ms = section.duration_ms("timeout", 0, 15_000);
    section.later(LATER_ROUTE_KEYS);
    match (cluster, direct) {
        (None, Some(direct)) => direct,
        (cluster, _) => RouteAction::Forward(Forward { cluster: cluster.unwrap_or_default(), timeout_ms }),
    }
}

fn direct_response(tree: &Tree, problems: &Problems) -> RouteAction {
    let mut section = Section::open("a direct response", tree, problems);
    let status = section.require("status", "a status from 200 to 599");
    let status =
        status.and_then(|tree| super::section::integer(tree, 200..=599, problems)).unwrap_or(200) as u16;
    let body_tree = section.find("body");
    let body = body_tree.and_then(|tree| text(tree, "a text", problems)).unwrap_or("").as_bytes().to_vec();
    section.finish();
    if let Some(tree) = body_tree {
        if body.len() > BODY_BYTES {
            problems.error(tree.place, format!("a body of {} bytes", body.len()), "at most 64KiB");
        } else if matches!(status, 204 | 205 | 304) && !body.is_empty() {
            problems.error(
                tree.place,
                format!("a body with status {status}"),
                "no body: that status never has one",
            );
        }
    }
    RouteAction::DirectResponse { status, body }
}
