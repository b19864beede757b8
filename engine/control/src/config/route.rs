//! Reads virtual hosts and their routes, and warns of routes that can never match.

use super::cluster::Clusters;
use super::filter::Chain;
use super::problem::{Place, Problems};
use super::section::{Section, list, text};
use super::tree::Tree;
use super::{filter, route_action, route_match, units};
use sidering_dataplane::config::{PathMatch, Route, RouteMatch, VirtualHost};
use std::collections::HashMap;

/// Reads all virtual hosts of a listener whose protocol is `protocol`.
pub(super) fn virtual_hosts(
    tree: &Tree,
    protocol: &'static str,
    clusters: &mut Clusters,
    chain: Chain<'_>,
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
        let routes: Vec<_> = routes
            .iter()
            .map(|tree| (route(tree, protocol, clusters, chain, problems), tree.place))
            .collect();
        let filters = filter::overrides(&mut section, chain);
        section.finish();
        warn_of_shadows(&routes, problems);
        let routes = routes.into_iter().map(|(route, _)| route).collect();
        hosts.push(VirtualHost { domains, routes, filters });
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

fn route(
    tree: &Tree,
    protocol: &'static str,
    clusters: &mut Clusters,
    chain: Chain<'_>,
    problems: &Problems,
) -> Route {
    let mut section = Section::open("a route", tree, problems);
    let matcher = section.require("match", "{ path: /x }, { prefix: /x }, { connect: true } or {}");
    let matcher = matcher.map_or_else(RouteMatch::default, |tree| route_match::read(tree, problems));
    // Of a tunnel nothing but bytes reaches the cluster.
    let protocol = if matcher.connect { "tcp" } else { protocol };
    let action = route_action::read(&mut section, &matcher, protocol, clusters);
    let filters = filter::overrides(&mut section, chain);
    section.finish();
    Route { matcher, action, filters, line: tree.place.line }
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
        match &route.matcher.path {
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
        let taken = if route.matcher.connect { &mut tunnels } else { &mut requests };
        if let Some(line) = taken.add(route) {
            let expected =
                format!("the more special route first; the one on line {line} takes all that this one would");
            problems.warning(*place, "this route can never match", expected);
        }
    }
}
