//! Endpoints that come and go while their cluster stays.

mod support;

use sidering_dataplane::config::{ClusterIndex, Endpoint};
use sidering_dataplane::io::{ConnId, IoError};
use sidering_dataplane::message::{EndpointsUpdate, Message};
use std::sync::Arc;
use support::{Bench, address, cluster, cluster_mut, http};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

/// Tells the worker that the cluster has endpoints on these ports.
fn tell(bench: &mut Bench, ports: &[u16]) {
    let endpoints: Arc<[Endpoint]> = ports.iter().map(|port| Endpoint::new(address(*port))).collect();
    let counters = bench.counters_of(&endpoints).endpoints;
    bench.message(Message::Endpoints(EndpointsUpdate { cluster: ClusterIndex(0), endpoints, counters }));
}

fn port_of(bench: &mut Bench, conn: ConnId) -> String {
    format!("{}", bench.io.socket(conn).address.clone().expect("an upstream"))
}

/// One exchange that needs a new connection; tells the connection.
fn exchange(bench: &mut Bench, client: ConnId) -> ConnId {
    let before = bench.io.connects.len();
    bench.receive(client, GET);
    assert_eq!(bench.io.connects.len(), before + 1, "a new connection");
    let upstream = bench.connected();
    bench.receive(upstream, OK);
    assert_eq!(bench.flush(client), OK);
    upstream
}

#[test]
fn what_did_not_change_stays_with_its_connections_and_its_turn() {
    let mut bench = Bench::new(http(2));
    let client = bench.client();
    let upstreams = [exchange(&mut bench, client), exchange(&mut bench, client)];
    tell(&mut bench, &[8001, 8002]);
    assert!(bench.is_closed(upstreams[0]), "idle, and its endpoint is gone");
    assert!(!bench.is_closed(upstreams[1]));
    assert_eq!(bench.cluster.connections_idle.get(), 1);
    let ends: Vec<bool> = (0..2)
        .map(|_| {
            let before = bench.io.connects.len();
            bench.receive(client, GET);
            let is_new = bench.io.connects.len() > before;
            let upstream = if is_new { bench.connected() } else { upstreams[1] };
            bench.receive(upstream, OK);
            assert_eq!(bench.flush(client), OK);
            is_new
        })
        .collect();
    assert!(ends.contains(&true) && ends.contains(&false), "one each: {ends:?}");
    assert_eq!(bench.endpoint(8001).requests_total.get(), 2);
    assert_eq!(bench.endpoint(8002).requests_total.get(), 1);
    bench.assert_empty();
}

#[test]
fn an_exchange_with_an_endpoint_that_goes_comes_to_its_end() {
    let mut bench = Bench::new(http(1));
    let client = bench.client();
    bench.receive(client, GET);
    let upstream = bench.connected();
    tell(&mut bench, &[8001]);
    bench.receive(upstream, OK);
    assert_eq!(bench.flush(client), OK);
    assert!(bench.is_closed(upstream), "nobody needs it any more");
    assert_eq!(bench.endpoint(8000).connections_active.get(), 0);
    let next = exchange(&mut bench, client);
    assert!(port_of(&mut bench, next).ends_with(":8001"));
    bench.assert_empty();
}

/// Its place in the table, its connections, its counters.
#[test]
fn an_endpoint_that_comes_back_has_what_it_had() {
    let (mut bench, client, upstream) = Bench::asked(http(1), GET);
    tell(&mut bench, &[]);
    tell(&mut bench, &[8001, 8000]);
    bench.receive(upstream, OK);
    assert_eq!(bench.flush(client), OK);
    assert!(!bench.is_closed(upstream));
    assert_eq!(bench.endpoint(8000).connections_active.get(), 1);
    assert_eq!(bench.cluster.connections_idle.get(), 1);
    bench.assert_empty();
}

#[test]
fn whoever_waits_when_the_last_endpoint_goes_is_answered() {
    let mut bench = Bench::new(http(1));
    let clients = [bench.client(), bench.client(), bench.client()];
    for client in clients {
        bench.receive(client, GET);
    }
    let busy = [bench.io.connects[0], bench.io.connects[1]];
    assert_eq!(bench.cluster.requests_pending.get(), 1);
    tell(&mut bench, &[]);
    assert_eq!(bench.cluster.requests_pending.get(), 1, "until there is room");
    bench.connected();
    bench.receive(busy[1], OK);
    assert_eq!(bench.flush(clients[1]), OK);
    let refused = bench.flush_text(clients[2]);
    assert!(refused.contains("no healthy upstream"), "{refused}");
    bench.connect_failed(IoError::Refused);
    bench.end(clients[0], Err(IoError::Reset));
    bench.assert_empty();
    let client = bench.client();
    bench.receive(client, GET);
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 503 "));
    bench.assert_empty();
}

#[test]
fn a_connect_that_fails_goes_to_an_endpoint_that_came_meanwhile() {
    let mut bench = Bench::new(http(1));
    let client = bench.client();
    bench.receive(client, GET);
    tell(&mut bench, &[8000, 8001]);
    bench.connect_failed(IoError::Refused);
    let second = bench.connected();
    assert!(port_of(&mut bench, second).ends_with(":8001"));
}

#[test]
fn a_stale_connection_to_an_endpoint_that_is_gone_is_replaced_by_one_to_another() {
    let mut bench = Bench::new(http(1));
    let client = bench.client();
    let stale = exchange(&mut bench, client);
    bench.receive(client, GET);
    tell(&mut bench, &[8001]);
    bench.end(stale, Ok(()));
    let fresh = bench.connected();
    assert!(port_of(&mut bench, fresh).ends_with(":8001"));
    bench.receive(fresh, OK);
    assert_eq!(bench.flush(client), OK);
    bench.assert_empty();
}

/// Tells the worker that the cluster is a logical host whose name means this port now.
fn tell_logical(bench: &mut Bench, port: u16) {
    let endpoint =
        Endpoint { hostname: Some("api".into()), is_logical: true, ..Endpoint::new(address(port)) };
    let endpoints: Arc<[Endpoint]> = [endpoint].into();
    let counters = bench.counters_of(&[Endpoint::new(address(8000))]).endpoints;
    bench.message(Message::Endpoints(EndpointsUpdate { cluster: ClusterIndex(0), endpoints, counters }));
}

#[test]
fn a_logical_host_keeps_its_connections_when_its_address_changes() {
    let mut bench = Bench::new(http(1));
    let clients = [bench.client(), bench.client()];
    tell_logical(&mut bench, 8000);
    let pooled = exchange(&mut bench, clients[0]);
    tell_logical(&mut bench, 8001);
    bench.receive(clients[0], GET);
    assert_eq!(bench.io.connects.len(), 1, "as good as a new one");
    bench.receive(clients[1], GET);
    let second = bench.connected();
    assert!(port_of(&mut bench, second).ends_with(":8001"));
    bench.receive(pooled, OK);
    bench.receive(second, OK);
    assert_eq!((bench.flush(clients[0]), bench.flush(clients[1])), (OK.to_vec(), OK.to_vec()));
    assert_eq!(bench.cluster.connections_idle.get(), 2);
    bench.assert_empty();
}

/// Who holds the host as it was before its last addresses keeps its place from others.
#[test]
fn a_logical_host_that_goes_while_a_request_waits_for_an_old_address_is_not_confused_with_another() {
    let mut bench = Bench::new(http(1));
    let client = bench.client();
    tell_logical(&mut bench, 8000);
    bench.receive(client, GET);
    tell_logical(&mut bench, 8001);
    tell(&mut bench, &[8002]);
    tell(&mut bench, &[8002, 8003]);
    let upstream = bench.connected();
    assert!(port_of(&mut bench, upstream).ends_with(":8000"));
    bench.receive(upstream, OK);
    assert_eq!(bench.flush(client), OK);
    assert!(bench.is_closed(upstream), "nobody needs it any more");
    assert_eq!(
        bench.endpoint(8002).connections_active.get() + bench.endpoint(8003).connections_active.get(),
        0
    );
    bench.assert_empty();
}

/// A configuration in which only endpoints changed is the same to the cluster as a message about them.
#[test]
fn a_configuration_keeps_clusters_that_only_have_other_endpoints() {
    let mut bench = Bench::new(http(1));
    let client = bench.client();
    let upstream = exchange(&mut bench, client);
    let mut snapshot = http(1);
    cluster_mut(&mut snapshot, 0).endpoints = cluster(3, "http1").endpoints;
    bench.apply(snapshot);
    assert!(!bench.is_closed(upstream));
    snapshot = http(1);
    cluster_mut(&mut snapshot, 0).pool.max_pending += 1;
    bench.apply(snapshot);
    assert!(bench.is_closed(upstream), "another pool");
}
