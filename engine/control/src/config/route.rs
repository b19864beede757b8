//! Reads virtual hosts and their routes.

use super::cluster::Clusters;
use super::filter::Chain;
use super::problem::Problems;
use super::protocol::is_rpc;
use super::section::{Section, list, text};
use super::tree::Tree;
use super::{filter, header, route_action, route_match, shadow, units};
use sidering_dataplane::config::{AUTO, Route, RouteMatch, TCP, VirtualHost};
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
        let headers = header::rules(&mut section, protocol);
        section.finish();
        shadow::warn(&routes, problems);
        let routes = routes.into_iter().map(|(route, _)| route).collect();
        hosts.push(VirtualHost { domains, routes, filters, headers });
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
    let expected = match is_rpc(protocol) {
        true => "{ service: x }, { method: x } or {}",
        false if protocol == AUTO => "{ service: x }, { prefix: /x } or {}, which takes whatever comes",
        false => "{ path: /x }, { prefix: /x }, { connect: true } or {}",
    };
    let matcher = section.require("match", expected);
    let matcher =
        matcher.map_or_else(RouteMatch::default, |tree| route_match::read(tree, protocol, problems));
    // Of a tunnel nothing but bytes reaches the cluster.
    let sent = if matcher.connect { TCP } else { protocol };
    let action = route_action::read(&mut section, &matcher, sent, clusters);
    let filters = filter::overrides(&mut section, chain);
    let headers = header::rules(&mut section, protocol);
    section.finish();
    Route { matcher, action, filters, headers, line: tree.place.line }
}
