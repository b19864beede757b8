//! Requests that fall through a chain of route tables because of what their clusters can do.

mod support;

use sidering_dataplane::config::*;
use sidering_dataplane::io::Address;
use sidering_dataplane::message::{HealthChange, HealthUpdate, Message};
use sidering_dataplane::route::RouteTable;
use support::*;

/// A chain of a table whose cluster has no endpoint, and one whose cluster has one.
fn chained(pass_on: PassOn) -> Snapshot {
    let mut snapshot = http(1);
    snapshot.clusters.push(Cluster { name: "away".into(), ..cluster(0, "http1") }.into());
    let ListenerKind::Http(http) = &mut snapshot.listeners[0].kind else { panic!("not http") };
    let table = |name: &str, forward: Forward| {
        let routes = vec![route("/", RouteAction::Forward(forward))];
        let host = VirtualHost { domains: vec!["*".into()], routes, ..VirtualHost::default() };
        NamedTable { name: name.into(), virtual_hosts: vec![host] }
    };
    let of = |cluster| WeightedCluster { cluster: ClusterIndex(cluster), weight: 1 };
    // Of its clusters, the one with an endpoint never gets a request.
    let weighted_clusters = vec![of(1), WeightedCluster { weight: 0, ..of(0) }];
    let tables = vec![
        table("zone", Forward { cluster: ClusterIndex(1), ..Forward::default() }),
        table("city", Forward { weighted_clusters, ..Forward::default() }),
        table("region", Forward { weighted_clusters: vec![of(1), of(0)], ..Forward::default() }),
    ];
    let links = (0..tables.len()).map(|table| ChainLink { tables: LinkTables::Table(table), pass_on });
    http.routes = RouteTable::chained(tables, links.collect()).into();
    snapshot
}

#[test]
fn a_table_without_a_healthy_endpoint_passes_a_request_on() {
    let mut bench = Bench::new(chained(PassOn { no_healthy_endpoint: true, ..PassOn::default() }));
    let client = bench.client();
    // The weighted clusters of the last table have their turns: the first of them is the one that is away.
    bench.receive(client, b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 503"));
    bench.receive(client, b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    let upstream = bench.connected();
    assert!(bench.flush_text(upstream).starts_with("GET /a HTTP/1.1\r\n"));
    bench.receive(upstream, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 200"));
    bench.assert_empty();
}

#[test]
fn health_decides_for_each_request_anew() {
    let mut snapshot = chained(PassOn { no_healthy_endpoint: true, ..PassOn::default() });
    cluster_mut(&mut snapshot, 1).endpoints =
        vec![Endpoint::new(address(9000)), Endpoint::new(address(9001))].into();
    // All endpoints of a cluster that is in a panic are used, but it is no healthy cluster.
    cluster_mut(&mut snapshot, 1).priorities.panic_threshold_percent = 50;
    let mut bench = Bench::new(snapshot);
    let failed = HealthFlags::FAILED_ACTIVE_CHECK;
    let tell = |bench: &mut Bench, port, set, clear| {
        let changes = [HealthChange { address: address(port), set, clear }].into();
        bench.message(Message::Health(HealthUpdate { cluster: ClusterIndex(1), changes }));
    };
    let went_to = |bench: &mut Bench| {
        let client = bench.client();
        bench.receive(client, b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        let upstream = bench.connected();
        let Some(Address::Ip(to)) = bench.io.socket(upstream).address.clone() else { panic!("no address") };
        bench.receive(upstream, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        assert!(bench.flush_text(client).starts_with("HTTP/1.1 200"));
        to.port()
    };
    assert!(went_to(&mut bench) >= 9000);
    tell(&mut bench, 9000, failed, HealthFlags::NONE);
    assert_eq!(went_to(&mut bench), 9001);
    tell(&mut bench, 9001, failed, HealthFlags::NONE);
    // The last table's own turns: the cluster that is away, and the one that is there.
    let last = [went_to(&mut bench), went_to(&mut bench)];
    assert!(last.contains(&8000), "{last:?}");
    tell(&mut bench, 9001, HealthFlags::NONE, failed);
    assert_eq!(went_to(&mut bench), 9001);
}

#[test]
fn a_table_that_may_not_pass_it_on_fails_it() {
    let mut bench = Bench::new(chained(PassOn { no_match: true, ..PassOn::default() }));
    let client = bench.client();
    bench.receive(client, b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    let answer = bench.flush_text(client);
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("no healthy upstream"), "{answer}");
    bench.assert_empty();
}
