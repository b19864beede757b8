//! Connections to a logical host of several addresses (RFC 8305).

mod support;

use sidering_dataplane::config::{ClusterIndex, Endpoint};
use sidering_dataplane::io::{Completion, ConnId, IoError};
use sidering_dataplane::message::{EndpointsUpdate, Message};
use std::sync::Arc;
use support::{Bench, address, cluster_mut, http};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

const TIMEOUT_MS: u64 = 2000;

/// A worker whose cluster is a logical host with addresses on these ports, and may have as many connections.
fn logical(ports: &[u16]) -> Bench {
    let mut snapshot = http(1);
    cluster_mut(&mut snapshot, 0).pool.max_connections = ports.len() as u32;
    cluster_mut(&mut snapshot, 0).connect_timeout_ms = TIMEOUT_MS;
    let mut bench = Bench::new(snapshot);
    let endpoint = Endpoint {
        hostname: Some("api".into()),
        is_logical: true,
        alternates: Some(ports[1..].iter().map(|port| address(*port)).collect()),
        ..Endpoint::new(address(ports[0]))
    };
    let endpoints: Arc<[Endpoint]> = [endpoint].into();
    let counters = bench.counters_of(&endpoints).endpoints;
    bench.message(Message::Endpoints(EndpointsUpdate { cluster: ClusterIndex(0), endpoints, counters }));
    bench
}

fn finish(bench: &mut Bench, conn: ConnId, result: Result<(), IoError>) {
    bench.io.socket(conn).connected = result.is_ok();
    bench.complete(Completion::Connected { conn, result });
}

/// The ports that were connected to, in order.
fn ports(bench: &mut Bench) -> Vec<u16> {
    let connects = bench.io.connects.clone();
    let port = |conn: &ConnId| {
        let address = bench.io.socket(*conn).address.clone().expect("an upstream").to_string();
        address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
    };
    connects.iter().map(port).collect()
}

/// The request is answered on this connection, and nothing of the others is left.
fn answer(bench: &mut Bench, client: ConnId, winner: ConnId) {
    bench.receive(winner, OK);
    assert_eq!(bench.flush(client), OK);
    let others: Vec<_> = bench.io.connects.iter().copied().filter(|conn| *conn != winner).collect();
    for other in others {
        assert!(bench.is_closed(other), "{other:?}");
    }
    assert_eq!(bench.cluster.connections_active.get(), 1);
    assert_eq!(bench.cluster.connections_idle.get(), 1);
    bench.assert_empty();
}

#[test]
fn who_answers_in_time_is_the_only_one() {
    let mut bench = logical(&[8000, 8001]);
    let client = bench.client();
    bench.receive(client, GET);
    bench.advance_ms(299);
    let winner = bench.connected();
    bench.advance_ms(1000);
    assert_eq!(ports(&mut bench), [8000]);
    answer(&mut bench, client, winner);
}

#[test]
fn the_next_address_has_its_turn_after_300_ms_and_the_first_to_answer_is_used() {
    for winner in 0..3 {
        let mut bench = logical(&[8000, 8001, 8002]);
        let client = bench.client();
        bench.receive(client, GET);
        bench.advance_ms(299);
        assert_eq!(ports(&mut bench), [8000]);
        bench.advance_ms(1);
        assert_eq!(ports(&mut bench), [8000, 8001]);
        bench.advance_ms(299);
        assert_eq!(bench.io.connects.len(), 2);
        bench.advance_ms(1);
        bench.advance_ms(1000);
        assert_eq!(ports(&mut bench), [8000, 8001, 8002]);
        let winner = bench.io.connects[winner];
        finish(&mut bench, winner, Ok(()));
        answer(&mut bench, client, winner);
        bench.receive(client, GET);
        assert_eq!(bench.io.connects.len(), 3, "it is pooled");
        answer(&mut bench, client, winner);
    }
}

#[test]
fn a_failure_gives_the_turn_to_the_next_at_once() {
    let mut bench = logical(&[8000, 8001, 8002]);
    let client = bench.client();
    bench.receive(client, GET);
    bench.connect_failed(IoError::Refused);
    assert_eq!(ports(&mut bench), [8000, 8001]);
    bench.connect_failed(IoError::Unreachable);
    let winner = bench.connected();
    assert_eq!(ports(&mut bench), [8000, 8001, 8002]);
    assert_eq!(bench.cluster.connect_failures.get(), 2);
    answer(&mut bench, client, winner);
}

/// Whether the one that leads fails or one that trails.
#[test]
fn who_is_left_goes_on() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut bench = logical(&[8000, 8001, 8002]);
        let client = bench.client();
        bench.receive(client, GET);
        bench.advance_ms(300);
        bench.advance_ms(300);
        let conns = bench.io.connects.clone();
        finish(&mut bench, conns[order[0]], Err(IoError::Refused));
        finish(&mut bench, conns[order[1]], Err(IoError::Refused));
        assert_eq!(bench.flush(client), b"", "{order:?}: there is one left");
        finish(&mut bench, conns[order[2]], Ok(()));
        answer(&mut bench, client, conns[order[2]]);
    }
}

#[test]
fn one_that_trails_and_fails_gives_its_turn_to_the_next() {
    let mut bench = logical(&[8000, 8001, 8002]);
    let client = bench.client();
    bench.receive(client, GET);
    bench.advance_ms(300);
    let conns = bench.io.connects.clone();
    finish(&mut bench, conns[0], Err(IoError::Refused));
    assert_eq!(ports(&mut bench), [8000, 8001, 8002], "at once");
    finish(&mut bench, conns[1], Ok(()));
    answer(&mut bench, client, conns[1]);
}

#[test]
fn when_all_fail_the_request_fails_once() {
    let mut bench = logical(&[8000, 8001]);
    let client = bench.client();
    bench.receive(client, GET);
    bench.connect_failed(IoError::Refused);
    bench.connect_failed(IoError::Refused);
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 503 "));
    assert_eq!(bench.cluster.connect_failures.get(), 2);
    assert_eq!(bench.cluster.connections_active.get(), 0);
    bench.assert_empty();
}

#[test]
fn the_connect_timeout_is_that_of_all_addresses_together() {
    let mut bench = logical(&[8000, 8001]);
    let client = bench.client();
    bench.receive(client, GET);
    bench.advance_ms(300);
    bench.advance_ms(TIMEOUT_MS - 301);
    assert_eq!(bench.flush(client), b"");
    bench.advance_ms(1);
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 503 "));
    assert_eq!((bench.cluster.connect_timeouts.get(), bench.cluster.connections_active.get()), (1, 0));
    for conn in bench.io.connects.clone() {
        assert!(bench.is_closed(conn));
    }
    bench.assert_empty();
}

#[test]
fn a_client_that_goes_takes_all_attempts_with_it() {
    let mut bench = logical(&[8000, 8001]);
    let client = bench.client();
    bench.receive(client, GET);
    bench.advance_ms(300);
    bench.end(client, Err(IoError::Reset));
    for conn in bench.io.connects.clone() {
        assert!(bench.is_closed(conn));
    }
    assert_eq!(bench.cluster.connections_active.get(), 0);
    bench.assert_empty();
}

/// The bound of connections holds for attempts, too.
#[test]
fn without_room_the_next_address_waits() {
    let mut bench = logical(&[8000, 8001]);
    let clients = [bench.client(), bench.client()];
    bench.receive(clients[0], GET);
    bench.receive(clients[1], GET);
    let conns = bench.io.connects.clone();
    bench.advance_ms(300);
    bench.advance_ms(300);
    assert_eq!(ports(&mut bench), [8000, 8000]);
    finish(&mut bench, conns[1], Err(IoError::Refused));
    assert_eq!(ports(&mut bench), [8000, 8000, 8001], "its own room is free again");
    finish(&mut bench, conns[0], Ok(()));
    bench.receive(conns[0], OK);
    assert_eq!(bench.flush(clients[0]), OK);
    let second = bench.connected();
    bench.receive(second, OK);
    assert_eq!(bench.flush(clients[1]), OK);
    assert_eq!(bench.cluster.connections_active.get(), 2);
    bench.assert_empty();
}
