//! Endpoints whose health changes, and requests that go around them.

mod support;

use sidering_dataplane::config::{Cluster, ClusterIndex, Endpoint, HealthFlags, ZoneAware};
use sidering_dataplane::io::ConnId;
use sidering_dataplane::message::{HealthChange, HealthUpdate, Message};
use support::{Bench, address, cluster_mut, http};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const NONE: HealthFlags = HealthFlags::NONE;

fn tell(bench: &mut Bench, port: u16, set: HealthFlags, clear: HealthFlags) {
    let changes = [HealthChange { address: address(port), set, clear }].into();
    bench.message(Message::Health(HealthUpdate { cluster: ClusterIndex(0), changes }));
}

fn fail(bench: &mut Bench, port: u16) {
    tell(bench, port, HealthFlags::FAILED_ACTIVE_CHECK, NONE);
}

/// An exchange on whatever connection it gets, new or not; tells the port.
fn exchange(bench: &mut Bench, client: ConnId, known: &mut Vec<ConnId>) -> String {
    let before: Vec<usize> = known.iter().map(|conn| bench.io.socket(*conn).sent.len()).collect();
    let connects = bench.io.connects.len();
    bench.receive(client, GET);
    let upstream = if bench.io.connects.len() > connects {
        let conn = bench.connected();
        known.push(conn);
        conn
    } else {
        let grown = (0..known.len()).find(|at| bench.io.socket(known[*at]).sent.len() > before[*at]);
        known[grown.expect("a connection that was asked")]
    };
    bench.receive(upstream, OK);
    assert_eq!(bench.flush(client), OK);
    bench.io.socket(upstream).address.clone().expect("an upstream").to_string()
}

fn ports(bench: &mut Bench, client: ConnId, known: &mut Vec<ConnId>) -> Vec<String> {
    let mut ports: Vec<String> = (0..4).map(|_| exchange(bench, client, known)).collect();
    ports.sort();
    ports.dedup();
    ports
}

#[test]
fn requests_go_around_an_unhealthy_endpoint_and_come_back() {
    let mut bench = Bench::new(http(2));
    let client = bench.client();
    let mut known = vec![];
    assert_eq!(ports(&mut bench, client, &mut known), ["127.0.0.1:8000", "127.0.0.1:8001"]);
    fail(&mut bench, 8000);
    assert_eq!(ports(&mut bench, client, &mut known), ["127.0.0.1:8001"]);
    assert!(!known.iter().any(|conn| bench.is_closed(*conn)), "its connection is kept");
    // Whoever else has something against it has not taken it back.
    tell(&mut bench, 8000, HealthFlags::FAILED_OUTLIER_CHECK, HealthFlags::FAILED_ACTIVE_CHECK);
    assert_eq!(ports(&mut bench, client, &mut known), ["127.0.0.1:8001"]);
    tell(&mut bench, 8000, NONE, HealthFlags::FAILED_OUTLIER_CHECK);
    assert_eq!(ports(&mut bench, client, &mut known), ["127.0.0.1:8000", "127.0.0.1:8001"]);
    assert_eq!(known.len(), 2);
    bench.assert_empty();
}

#[test]
fn a_panic_uses_all_and_is_counted() {
    let mut bench = Bench::new(http(2));
    let client = bench.client();
    fail(&mut bench, 8000);
    fail(&mut bench, 8001);
    let mut known = vec![];
    assert_eq!(ports(&mut bench, client, &mut known), ["127.0.0.1:8000", "127.0.0.1:8001"]);
    assert_eq!(bench.cluster.lb_healthy_panic.get(), 4);
    // A cluster that is not there, and an endpoint that is not.
    fail(&mut bench, 9000);
    let changes = [].into();
    bench.message(Message::Health(HealthUpdate { cluster: ClusterIndex(7), changes }));
    bench.assert_empty();
}

#[test]
fn without_panics_nobody_left_is_no_healthy_upstream() {
    let mut snapshot = http(2);
    cluster_mut(&mut snapshot, 0).priorities.panic_threshold_percent = 0;
    let mut bench = Bench::new(snapshot);
    fail(&mut bench, 8000);
    fail(&mut bench, 8001);
    let client = bench.client();
    bench.receive(client, GET);
    let refused = bench.flush_text(client);
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("no healthy upstream"), "{refused}");
    assert!(bench.io.connects.is_empty());
    bench.assert_empty();
}

/// It gets neither the connection that has become free nor a new one to the endpoint that it belongs to.
#[test]
fn whoever_waits_goes_around_an_endpoint_that_has_become_unhealthy() {
    let mut bench = Bench::new(http(2));
    let clients = [bench.client(), bench.client(), bench.client()];
    let busy = [0, 1].map(|at| {
        bench.receive(clients[at], GET);
        bench.connected()
    });
    bench.receive(clients[2], GET);
    let unwell = bench.io.socket(busy[0]).address.clone().expect("an upstream");
    let changes =
        [HealthChange { address: unwell.clone(), set: HealthFlags::FAILED_OUTLIER_CHECK, clear: NONE }]
            .into();
    bench.message(Message::Health(HealthUpdate { cluster: ClusterIndex(0), changes }));
    bench.receive(busy[0], OK);
    assert!(bench.is_closed(busy[0]), "to make room");
    let last = bench.connected();
    assert_ne!(bench.io.socket(last).address, Some(unwell));
    for (conn, client) in [(busy[1], clients[1]), (last, clients[2])] {
        bench.receive(conn, OK);
        assert_eq!(bench.flush(client), OK);
    }
    assert_eq!(bench.flush(clients[0]), OK);
    bench.assert_empty();
}

#[test]
fn a_stale_connection_to_an_endpoint_that_is_unwell_is_replaced_by_one_to_another() {
    let mut bench = Bench::new(http(2));
    let client = bench.client();
    let mut known = vec![];
    ports(&mut bench, client, &mut known);
    let asked: Vec<usize> = known.iter().map(|conn| bench.io.socket(*conn).sent.len()).collect();
    bench.receive(client, GET);
    let at = (0..2).find(|at| bench.io.socket(known[*at]).sent.len() > asked[*at]).expect("asked");
    let unwell = bench.io.socket(known[at]).address.clone().expect("an upstream");
    let changes = [HealthChange { address: unwell.clone(), set: HealthFlags::DRAINING, clear: NONE }].into();
    bench.message(Message::Health(HealthUpdate { cluster: ClusterIndex(0), changes }));
    bench.end(known[at], Ok(()));
    let fresh = bench.connected();
    assert_ne!(bench.io.socket(fresh).address, Some(unwell));
    bench.receive(fresh, OK);
    assert_eq!(bench.flush(client), OK);
    bench.assert_empty();
}

/// As many stay as the zone bears, beside the zones of those who send; a change of theirs is told to the cluster.
#[test]
fn a_cluster_that_is_aware_of_zones_goes_by_the_local_cluster() {
    let in_zone = |port, zone: &str| Endpoint { zone: Some(zone.into()), ..Endpoint::new(address(port)) };
    let mut snapshot = http(2);
    cluster_mut(&mut snapshot, 0).endpoints = [in_zone(8000, "b"), in_zone(8001, "a")].into();
    cluster_mut(&mut snapshot, 0).zone_aware = Some(ZoneAware {
        zone: "a".into(),
        routing_enabled_percent: 100,
        min_cluster_size: 2,
        fails_on_panic: false,
        is_forced: false,
    });
    let endpoints = [in_zone(9000, "a"), in_zone(9001, "b")].into();
    snapshot
        .clusters
        .push(Cluster { name: "local".into(), endpoints, ..Cluster::clone(&snapshot.clusters[0]) }.into());
    snapshot.local_cluster = Some(ClusterIndex(1));
    let mut bench = Bench::new(snapshot);
    let client = bench.client();
    let mut known = vec![];
    assert_eq!(ports(&mut bench, client, &mut known), ["127.0.0.1:8001"]);
    assert_eq!(bench.cluster.lb_zone_routing_all_directly.get(), 4);
    let changes =
        [HealthChange { address: address(9001), set: HealthFlags::FAILED_ACTIVE_CHECK, clear: NONE }].into();
    bench.message(Message::Health(HealthUpdate { cluster: ClusterIndex(1), changes }));
    (0..5).for_each(|_| drop(ports(&mut bench, client, &mut known)));
    let (sampled, cross) =
        (bench.cluster.lb_zone_routing_sampled.get(), bench.cluster.lb_zone_routing_cross_zone.get());
    assert_eq!((sampled + cross, bench.cluster.lb_zone_routing_all_directly.get()), (20, 4));
    assert!(sampled > 3 && cross > 3, "half of them: {sampled} {cross}");
    bench.assert_empty();
}
