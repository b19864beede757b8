//! Which table of a chain a request ends up in.

use super::*;
use crate::config::*;

/// A table of one domain whose routes forward to clusters, by their prefixes.
fn table(name: &str, domain: &str, routes: &[(&str, u32)]) -> NamedTable {
    let route = |(prefix, cluster): &(&str, u32)| Route {
        matcher: RouteMatch { path: PathMatch::Prefix((*prefix).into()), ..RouteMatch::default() },
        action: RouteAction::cluster(ClusterIndex(*cluster)),
        ..Route::default()
    };
    let host = VirtualHost {
        domains: vec![domain.into()],
        routes: routes.iter().map(route).collect(),
        ..VirtualHost::default()
    };
    NamedTable { name: name.into(), virtual_hosts: vec![host] }
}

fn chain(pass_on: [PassOn; 3]) -> RouteTable {
    let tables = vec![
        table("zone", "*", &[("/a", 0), ("/b", 1)]),
        table("region", "h", &[("/a", 2), ("/c", 3)]),
        table("global", "*", &[("/", 4)]),
    ];
    let links = pass_on
        .into_iter()
        .enumerate()
        .map(|(table, pass_on)| ChainLink { tables: LinkTables::Table(table), pass_on });
    RouteTable::chained(tables, links.collect())
}

const NEVER: PassOn = PassOn { no_match: false, no_healthy_endpoint: false };
const NO_MATCH: PassOn = PassOn { no_match: true, no_healthy_endpoint: false };
const UNHEALTHY: PassOn = PassOn { no_match: false, no_healthy_endpoint: true };
const BOTH: PassOn = PassOn { no_match: true, no_healthy_endpoint: true };

/// The cluster that a request is sent to while some of them are down.
fn cluster(table: &RouteTable, host: &str, path: &str, down: &[u32]) -> Option<u32> {
    let of = |route: &Route| match &route.action {
        RouteAction::Forward(forward) => forward.cluster.0,
        _ => u32::MAX,
    };
    let view = RequestView::get(host.as_bytes(), path.as_bytes());
    let found = table.find_serving(&view, |route| !down.contains(&of(route)))?;
    let there = table.route(found.virtual_host, found.index).map(of);
    assert_eq!(there, Some(of(found.route)), "its place leads to it");
    there
}

#[test]
fn a_table_passes_on_what_it_is_told_to() {
    for (pass_on, host, path, down, expected) in [
        ([BOTH; 3], "h", "/a", &[][..], Some(0)),
        ([BOTH; 3], "h", "/a", &[0], Some(2)),
        ([BOTH; 3], "h", "/a", &[0, 2], Some(4)),
        // Nobody can serve it: it fails where it fell last.
        ([BOTH; 3], "h", "/a", &[0, 2, 4], Some(4)),
        ([BOTH; 3], "h", "/c", &[], Some(3)),
        // The domain is not the second table's.
        ([BOTH; 3], "x", "/a", &[0], Some(4)),
        ([BOTH; 3], "x", "/c", &[], Some(4)),
        ([BOTH; 3], "h", "relative", &[], None),
        ([NO_MATCH; 3], "h", "/a", &[0], Some(0)),
        ([NO_MATCH; 3], "h", "/c", &[3], Some(3)),
        ([UNHEALTHY; 3], "h", "/b", &[], Some(1)),
        ([UNHEALTHY; 3], "h", "/c", &[], None),
        // Passed on by the first, not taken by the second: it stays with the first.
        ([UNHEALTHY; 3], "h", "/b", &[1], Some(1)),
        ([BOTH, NEVER, BOTH], "h", "/b", &[1], Some(1)),
        ([BOTH, UNHEALTHY, BOTH], "h", "/a", &[0, 2], Some(4)),
        ([NEVER, BOTH, BOTH], "h", "/c", &[], None),
    ] {
        assert_eq!(cluster(&chain(pass_on), host, path, down), expected, "{pass_on:?} {host}{path} {down:?}");
    }
}

#[test]
fn a_request_without_a_cluster_is_always_served() {
    let mut tables = vec![table("direct", "*", &[("/", 0)]), table("other", "*", &[("/", 1)])];
    tables[0].virtual_hosts[0].routes[0].action = RouteAction::default();
    let links = vec![
        ChainLink { tables: LinkTables::Table(0), pass_on: BOTH },
        ChainLink { tables: LinkTables::Table(1), pass_on: BOTH },
    ];
    let found = RouteTable::chained(tables, links);
    assert_eq!(cluster(&found, "h", "/", &[]), Some(u32::MAX));
}

#[test]
fn an_explanation_goes_through_the_chain() {
    let table = chain([BOTH, NO_MATCH, NEVER]);
    let told = table.explain(&RequestView::get(b"h", b"/c"));
    assert_eq!(told.tables, ["zone", "region"]);
    let refused: Vec<_> = told.refused.iter().map(|refused| (refused.virtual_host, refused.index)).collect();
    assert_eq!(refused, [(0, 0), (0, 1), (1, 0)]);
    assert_eq!(told.found.map(|found| (found.virtual_host, found.index)), Some((1, 1)));
    let told = table.explain(&RequestView::get(b"x", b"relative"));
    assert_eq!((told.tables.len(), told.virtual_host, told.found.is_none()), (3, Some(2), true));
}

#[test]
fn an_explanation_finds_what_the_lookup_finds() {
    let combinations = [NEVER, NO_MATCH, UNHEALTHY, BOTH];
    for number in 0..64 {
        let pass_on = [0, 2, 4].map(|shift| combinations[number >> shift & 3]);
        let table = chain(pass_on);
        for path in ["/a", "/b", "/c", "relative"] {
            for down in [&[][..], &[0], &[0, 2], &[1], &[0, 1, 2, 3, 4]] {
                let serves = |route: &Route| match &route.action {
                    RouteAction::Forward(forward) => !down.contains(&forward.cluster.0),
                    _ => true,
                };
                let view = RequestView::get(b"h", path.as_bytes());
                let found = table.find_serving(&view, serves).map(|found| (found.virtual_host, found.index));
                let told = table.explain_serving(&view, serves);
                let said = told.found.map(|found| (found.virtual_host, found.index));
                assert_eq!(said, found, "{pass_on:?} {path} {down:?}");
            }
        }
    }
}

#[test]
fn a_table_without_links_takes_nothing() {
    assert!(RouteTable::default().find(&RequestView::get(b"h", b"/")).is_none());
}
