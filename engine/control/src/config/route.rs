//! Reads virtual hosts and their routes, and warns of routes that can never match.

use super::cluster::Clusters;
use super::problem::{Place, Problems};
use super::section::{Section, list, text};
use super::tree::Tree;
use super::units;
use sidering_dataplane::config::{ClusterIndex, PathMatch, Route, RouteAction, VirtualHost};
use std::collections::HashMap;

/// The largest body of a direct response: what is larger belongs behind a server.
const BODY_BYTES: usize = 64 * 1024;
const LATER_ACTIONS: &[&str] = &["redirect", "weighted_clusters"];
const LATER_ROUTE_KEYS: &[&str] =
    &["retry", "rewrite", "request_headers", "response_headers", "mirror", "subset", "hash"];
const LATER_MATCHES: &[&str] = &["regex", "template", "methods", "headers", "query", "service", "method"];

/// Reads all virtual hosts of a listener whose protocol is `protocol`.
pub(super) fn virtual_hosts(
    tree: &Tree,
    protocol: &'static str,
    clusters: &mut Clusters,
    problems: &Problems,
) -> Vec<VirtualHost> {
    let mut taken = HashMap::new();
    let mut hosts = vec![];
    for item in list(tree, "virtual hosts", problems) {
        let mut section = Section::open("a virtual host", item, problems);
        let domains = section.require("domains", "a list such as [\"api.example.com\", \"*\"]");
        let domains = domains.map_or(vec![], |tree| self::domains(tree, &mut taken, problems));
        let routes = section.require("routes", "a list of routes, first match wins");
        let routes = routes.map_or(&[][..], |tree| list(tree, "routes", problems));
        let routes: Vec<_> =
            routes.iter().map(|tree| (route(tree, protocol, clusters, problems), tree.place)).collect();
        section.finish();
        warn_of_shadows(&routes, problems);
        hosts.push(VirtualHost { domains, routes: routes.into_iter().map(|(route, _)| route).collect() });
    }
    hosts
}

fn domains(tree: &Tree, taken: &mut HashMap<String, u32>, problems: &Problems) -> Vec<String> {
    let mut domains = vec![];
    for item in list(tree, "domains", problems) {
        let Some(given) = text(item, "a domain", problems) else { continue };
        match units::domain(given) {
            Err(expected) => {
                problems.error(item.place, format!("{} is not a domain", item.describe()), expected);
            }
            Ok(domain) => match taken.get(&domain) {
                Some(line) => {
                    let expected = format!("each domain once in a listener; it is on line {line} already");
                    problems.error(item.place, format!("the domain `{domain}` is taken"), expected);
                }
                None => {
                    taken.insert(domain.clone(), item.place.line);
                    domains.push(domain);
                }
            },
        }
    }
    domains
}

fn route(tree: &Tree, protocol: &'static str, clusters: &mut Clusters, problems: &Problems) -> Route {
    let mut section = Section::open("a route", tree, problems);
    let matcher = section.require("match", "{ path: /x }, { prefix: /x }, { connect: true } or {}");
    let (path, connect) = matcher.map_or((PathMatch::Any, false), |tree| path_match(tree, problems));
    section.later(LATER_ACTIONS);
    // Of a tunnel nothing but bytes reaches the cluster.
    let protocol = if connect { "tcp" } else { protocol };
    let cluster =
        section.find("cluster").map(|tree| RouteAction::Cluster(clusters.refer(tree, protocol, problems)));
    let direct = section.find("direct_response").map(|tree| direct_response(tree, problems));
    let has_later = LATER_ACTIONS.iter().any(|key| section.place_of(key).is_some());
    if let (Some(_), Some(place)) = (&cluster, section.place_of("direct_response")) {
        problems.error(place, "a route with two actions", "either `cluster` or `direct_response`");
    } else if cluster.is_none() && direct.is_none() && !has_later {
        problems.error(section.place, "a route without an action", "`cluster` or `direct_response`");
    }
    let timeout_ms = section.duration_ms("timeout", 0, 15_000);
    section.later(LATER_ROUTE_KEYS);
    section.finish();
    let action = cluster.or(direct).unwrap_or(RouteAction::Cluster(ClusterIndex(0)));
    Route { path, connect, action, timeout_ms, line: tree.place.line }
}

fn path_match(tree: &Tree, problems: &Problems) -> (PathMatch, bool) {
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
    (exact.or(prefix).unwrap_or(PathMatch::Any), connect)
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

/// What earlier routes of a virtual host take, by the line they stand on.
#[derive(Default)]
struct Taken<'r> {
    everything: Option<u32>,
    exact: HashMap<&'r str, u32>,
    prefixes: HashMap<&'r str, u32>,
}

impl<'r> Taken<'r> {
    /// The line of a route that takes all that `path` would.
    fn covering(&self, path: &str) -> Option<u32> {
        let ends = path.char_indices().map(|(index, character)| index + character.len_utf8());
        self.everything.or_else(|| ends.filter_map(|end| self.prefixes.get(&path[..end]).copied()).next())
    }

    fn add(&mut self, route: &'r Route) -> Option<u32> {
        match &route.path {
            PathMatch::Any => self.everything.replace(self.everything.unwrap_or(route.line)),
            PathMatch::Exact(path) => {
                let before = self.covering(path).or_else(|| self.exact.get(path.as_str()).copied());
                self.exact.entry(path).or_insert(route.line);
                before
            }
            PathMatch::Prefix(path) => {
                let before = self.covering(path);
                self.prefixes.entry(path).or_insert(route.line);
                // Every path begins with a slash.
                if path == "/" {
                    self.everything = self.everything.or(Some(route.line));
                }
                before
            }
        }
    }
}

fn warn_of_shadows(routes: &[(Route, Place)], problems: &Problems) {
    let mut requests = Taken::default();
    let mut tunnels = Taken::default();
    for (route, place) in routes {
        let taken = if route.connect { &mut tunnels } else { &mut requests };
        if let Some(line) = taken.add(route) {
            let expected =
                format!("the more special route first; the one on line {line} takes all that this one would");
            problems.warning(*place, "this route can never match", expected);
        }
    }
}
