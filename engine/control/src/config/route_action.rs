//! Reads what a route does with the requests that it takes.

use super::cluster::Clusters;
use super::problem::Problems;
use super::protocol::is_rpc;
use super::section::{Section, integer, list, name, scalar, text};
use super::tree::{Tree, Value};
use super::{bridge, hash, mirror, redirect, retry, rewrite};
use sidering_codecs::registry::protocol;
use sidering_dataplane::config::{
    BUFFER_BYTES, ClusterHeader, ClusterIndex, Forward, RouteAction, RouteMatch, TCP, WeightedCluster,
};

/// The largest body of a direct response: what is larger belongs behind a server.
const BODY_BYTES: usize = 64 * 1024;
/// A request's cluster is found by looking at all of them.
const MOST_CLUSTERS: usize = 64;
/// Names that endpoints are chosen by.
const MOST_METADATA: usize = 16;
const LARGEST_WEIGHT: u64 = 1_000_000;
/// A route has one of them.
const ACTIONS: [&str; 5] = ["cluster", "weighted_clusters", "cluster_header", "redirect", "direct_response"];
/// What may be kept of a request's body.
const MOST_BUFFER_BYTES: std::ops::RangeInclusive<u64> = 0..=16 * 1024 * 1024;
/// What only means something for requests of HTTP.
const HTTP_KEYS: &[&str] = &["redirect", "rewrite", "bridge"];
/// What only means something for requests that are sent on.
const FORWARD_KEYS: &[&str] =
    &["idle_timeout", "max_stream_duration", "retry", "buffer_bytes", "hash", "subset", "mirror", "bridge"];

/// Reads the action and what goes with it from a route's own section.
pub(super) fn read(
    section: &mut Section<'_>,
    matcher: &RouteMatch,
    protocol: &'static str,
    clusters: &mut Clusters,
) -> RouteAction {
    let problems = section.problems;
    let is_rpc = is_rpc(protocol);
    if is_rpc {
        section.misplaced(HTTP_KEYS, "HTTP: a call has no path and no host of its own");
    }
    let bridge = section.find("bridge").map(|tree| Box::new(bridge::read(tree, problems)));
    let protocol = match &bridge {
        Some(_) if !is_rpc => bridged_protocol(section, matcher, clusters),
        _ => protocol,
    };
    let cluster = section.find("cluster").map(|tree| clusters.refer(tree, protocol, problems));
    let weighted = section.find("weighted_clusters");
    let weighted_clusters = weighted.map_or(vec![], |tree| weights(tree, protocol, clusters, problems));
    let cluster_header = cluster_header(section, protocol, clusters);
    let redirect = section.find("redirect").map(|tree| redirect::read(tree, problems));
    let direct = section.find("direct_response").map(|tree| direct_response(tree, is_rpc, problems));
    let given: Vec<_> = ACTIONS.iter().filter_map(|key| section.place_of(key)).collect();
    match given[..] {
        [] => section.lacks(&ACTIONS, "a route without an action", one_of_the_actions()),
        [_] => {}
        [.., last] => problems.error(last, "a route with two actions", one_of_the_actions()),
    }
    if let Some(place) = section.place_of("redirect").filter(|_| matcher.connect) {
        problems.error(place, "a redirect of CONNECT requests", "a cluster or a direct response");
    }
    let timeout_ms = section.duration_ms("timeout", 0, 15_000);
    let rewrite =
        section.find("rewrite").map(|tree| Box::new(rewrite::read(tree, matcher.connect, problems)));
    if let Some(place) = section.place_of("rewrite").filter(|_| redirect.is_some() || direct.is_some()) {
        problems.error(place, "a rewrite of what is not forwarded", "it on a route to a cluster");
    }
    let idle_timeout_ms = section.find("idle_timeout").map(|_| section.duration_ms("idle_timeout", 0, 0));
    let max_stream_duration_ms = section.duration_ms("max_stream_duration", 0, 0);
    let buffer_bytes = buffer_bytes(section);
    let retry = section
        .find("retry")
        .map(|tree| Box::new(retry::read(tree, timeout_ms, is_rpc || bridge.is_some(), problems)));
    let hash = section.find("hash").map_or(vec![], |tree| hash::policies(tree, is_rpc, problems));
    let mirror = section.find("mirror").map(|tree| mirror::read(tree, matcher, protocol, clusters, problems));
    let subset = section.find("subset").map_or(vec![], |tree| subset(tree, problems));
    if redirect.is_some() || direct.is_some() {
        section.misplaced(FORWARD_KEYS, "routes with a cluster");
    }
    match (redirect, direct) {
        (Some(redirect), _) => RouteAction::Redirect(Box::new(redirect)),
        (None, Some(direct)) => direct,
        (None, None) => RouteAction::Forward(Forward {
            cluster: cluster.unwrap_or_default(),
            weighted_clusters,
            cluster_header,
            rewrite,
            timeout_ms,
            idle_timeout_ms,
            max_stream_duration_ms,
            retry,
            buffer_bytes,
            hash,
            mirror,
            subset,
            bridge,
        }),
    }
}

fn buffer_bytes(section: &mut Section<'_>) -> Option<u32> {
    section.find("buffer_bytes")?;
    Some(section.size_bytes("buffer_bytes", MOST_BUFFER_BYTES, u64::from(BUFFER_BYTES)) as u32)
}

/// What the clusters of a bridge speak, which is not what their listener does. They say it themselves.
fn bridged_protocol(section: &mut Section<'_>, matcher: &RouteMatch, clusters: &Clusters) -> &'static str {
    let problems = section.problems;
    let place = section.place_of("bridge").unwrap_or(section.place);
    if matcher.connect || section.place_of("cluster_header").is_some() {
        problems.error(
            place,
            "a bridge of tunnels or to whatever cluster",
            "`cluster` or `weighted_clusters`",
        );
    }
    if let Some(place) = section.place_of("rewrite") {
        problems.error(
            place,
            "a rewrite of what becomes a call",
            "none: a call has no path and no host of its own",
        );
    }
    let weighted = section.find("weighted_clusters").and_then(|tree| match &tree.value {
        Value::Sequence(items) => items.first(),
        _ => None,
    });
    let weighted = weighted.and_then(|first| match &first.value {
        Value::Mapping(entries) => entries.iter().find(|entry| entry.key == "name").map(|entry| &entry.value),
        _ => None,
    });
    let Some(named) = section.find("cluster").or(weighted) else { return TCP };
    let spoken = scalar(named).map(|name| (name, clusters.spoken_by(name)));
    match spoken {
        Some((_, Some(spoken))) if protocol(spoken).is_some_and(|protocol| protocol.bridge.is_some()) => {
            spoken
        }
        Some((name, spoken)) if clusters.has(name) => {
            let message = match spoken {
                Some(spoken) => format!("the cluster `{name}` speaks {spoken}, which JSON is not bridged to"),
                None => format!("the cluster `{name}` does not say what it speaks"),
            };
            problems.error(named.place, message, format!("a cluster with {}", bridge::protocols()));
            TCP
        }
        _ => TCP,
    }
}

fn one_of_the_actions() -> String {
    format!("one of `{}`", ACTIONS.join("`, `"))
}

/// What stands in a request decides: any cluster may be meant.
fn cluster_header(
    section: &mut Section<'_>,
    protocol: &'static str,
    clusters: &mut Clusters,
) -> Option<Box<ClusterHeader>> {
    let problems = section.problems;
    let source = section.find("cluster_header").map(|tree| hash::header(tree, problems));
    if source.is_none() {
        section.misplaced(&["cluster_not_found_response_code"], "routes with `cluster_header`");
        return None;
    }
    let statuses = [("404", 404), ("500", 500), ("503", 503)];
    let not_found_status = section.choice("cluster_not_found_response_code", &statuses, &[]).unwrap_or(503);
    clusters.refer_to_all(protocol);
    Some(Box::new(ClusterHeader { source: source??, not_found_status }))
}

/// Metadata that an endpoint must have, in the order of its names.
fn subset(tree: &Tree, problems: &Problems) -> Vec<(String, String)> {
    let Value::Mapping(entries) = &tree.value else {
        let message = format!("{} where metadata belong", tree.describe());
        problems.error(tree.place, message, "a mapping such as { version: v2 }");
        return vec![];
    };
    if !(1..=MOST_METADATA).contains(&entries.len()) {
        let expected = format!("1 to {MOST_METADATA}");
        problems.error(tree.place, format!("a subset by {} metadata", entries.len()), expected);
    }
    let mut subset: Vec<_> = entries
        .iter()
        .filter_map(|entry| Some((entry.key.clone().into_owned(), name(&entry.value, problems)?)))
        .collect();
    subset.sort();
    subset
}

fn weights(
    tree: &Tree,
    protocol: &'static str,
    clusters: &mut Clusters,
    problems: &Problems,
) -> Vec<WeightedCluster> {
    let items = list(tree, "{ name, weight }", problems);
    if items.len() > MOST_CLUSTERS {
        problems.error(
            tree.place,
            format!("{} weighted clusters", items.len()),
            format!("at most {MOST_CLUSTERS}"),
        );
    }
    let weighted: Vec<_> = items.iter().map(|item| weight(item, protocol, clusters, problems)).collect();
    if !weighted.is_empty() && weighted.iter().all(|(_, weight)| *weight == Some(0)) {
        problems.error(
            tree.place,
            "weights that add up to nothing",
            "a weight above 0 for at least one cluster",
        );
    }
    let weighted = weighted.into_iter();
    weighted
        .map(|(cluster, weight)| WeightedCluster { cluster, weight: weight.unwrap_or_default() })
        .collect()
}

/// The weight is `None` where it could not be read.
fn weight(
    tree: &Tree,
    protocol: &'static str,
    clusters: &mut Clusters,
    problems: &Problems,
) -> (ClusterIndex, Option<u32>) {
    let mut section = Section::open("a weighted cluster", tree, problems);
    let cluster = section.require("name", "the name of a cluster");
    let cluster = cluster.map(|tree| clusters.refer(tree, protocol, problems)).unwrap_or_default();
    let weight = section.require("weight", "its share, relative to the others");
    let weight = weight.and_then(|tree| integer(tree, 0..=LARGEST_WEIGHT, problems));
    section.finish();
    (cluster, weight.map(|weight| weight as u32))
}

fn direct_response(tree: &Tree, is_rpc: bool, problems: &Problems) -> RouteAction {
    let mut section = Section::open("a direct response", tree, problems);
    let status = section.require("status", "a status from 200 to 599");
    let status = status.and_then(|tree| integer(tree, 200..=599, problems)).unwrap_or(200) as u16;
    if is_rpc {
        section
            .misplaced(&["body"], "HTTP: what a call is answered with is its status in the protocol's terms");
    }
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
