//! Mirrored requests: what the other cluster gets, and that the client's request never feels it.

mod support;

use sidering_dataplane::config::*;
use sidering_dataplane::io::*;
use sidering_dataplane::route::RouteTable;
use support::*;

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const SHADOWED: &str = "GET /a HTTP/1.1\r\nhost: h-shadow\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const TIMEOUT_MS: u64 = 5_000;

/// A route to a cluster on port 8000, mirrored to one on port 9000 which may have so many connections.
fn snapshot(share: Share, connections: u32, buffer_bytes: u32) -> Snapshot {
    let mut snapshot = http(1);
    snapshot.clusters.push(
        Cluster {
            name: "shadow".into(),
            endpoints: vec![Endpoint::new(address(9000))].into(),
            pool: PoolLimits { max_connections: connections, ..cluster(1, "http1").pool },
            ..cluster(1, "http1")
        }
        .into(),
    );
    let forward = Forward {
        timeout_ms: TIMEOUT_MS,
        buffer_bytes: Some(buffer_bytes),
        mirror: Some(Mirror { cluster: ClusterIndex(1), share }),
        ..Forward::default()
    };
    let ListenerKind::Http(http) = &mut snapshot.listeners[0].kind else { panic!("not http") };
    let mut hosts = http.routes.virtual_hosts().to_vec();
    hosts[0].routes = vec![route("/", RouteAction::Forward(forward))];
    http.routes = RouteTable::compile(hosts).into();
    snapshot
}

fn mirrored() -> Bench {
    Bench::new(snapshot(Share::ALL, 2, 1000))
}

fn connects(bench: &Bench) -> usize {
    bench.io.connects.len()
}

fn dropped(bench: &Bench) -> u64 {
    bench.cluster.shadows_dropped.get()
}

#[test]
fn both_get_it_and_one_answer_counts() {
    let mut bench = mirrored();
    let client = bench.client();
    bench.receive(client, GET);
    let upstream = bench.connected();
    assert_eq!(bench.flush(upstream), GET);
    let shadow = bench.connected();
    assert_ne!(shadow, upstream);
    assert_eq!(bench.flush_text(shadow), SHADOWED);
    bench.receive(shadow, b"HTTP/1.1 500 no\r\nContent-Length: 6\r\n\r\nshadow");
    assert_eq!(bench.flush(client), b"", "the shadow's answer is nobody's");
    assert_eq!(bench.endpoint(9000).requests_error.get(), 1);
    bench.receive(upstream, OK);
    assert_eq!(bench.flush(client), OK);
    // Both connections serve the next ones.
    bench.receive(client, GET);
    assert_eq!(bench.flush_text(shadow), SHADOWED);
    bench.receive(upstream, OK);
    assert_eq!(bench.flush(client), OK, "whatever the shadow does");
    bench.receive(shadow, OK);
    assert_eq!((connects(&bench), dropped(&bench)), (2, 0));
    assert_eq!(bench.endpoint(9000).requests_total.get(), 2);
    bench.assert_empty();
}

#[test]
fn bodies_are_mirrored_when_they_are_whole() {
    for (framing, parts, whole) in [
        ("Content-Length: 10\r\n", ["01234", "56789"], "0123456789"),
        (
            "Transfer-Encoding: chunked\r\n",
            ["5\r\n01234\r\n", "5\r\n56789\r\n0\r\n\r\n"],
            "a\r\n0123456789\r\n0\r\n\r\n",
        ),
    ] {
        let mut bench = mirrored();
        let client = bench.client();
        bench.receive(client, format!("POST / HTTP/1.1\r\nHost: h:80\r\n{framing}\r\n").as_bytes());
        let upstream = bench.connected();
        bench.receive(client, parts[0].as_bytes());
        assert_eq!(connects(&bench), 1, "it is not whole");
        bench.receive(client, parts[1].as_bytes());
        let shadow = bench.connected();
        let seen = bench.flush_text(shadow);
        assert!(
            seen.starts_with("POST / HTTP/1.1\r\n") && seen.contains("\r\nhost: h-shadow:80\r\n"),
            "{seen}"
        );
        assert!(seen.ends_with(&format!("\r\n\r\n{whole}")), "{seen}");
        bench.flush(upstream);
        bench.receive(upstream, OK);
        assert_eq!(bench.flush(client), OK);
        bench.receive(shadow, OK);
        bench.assert_empty();
    }
}

#[test]
fn what_is_too_long_or_has_trailers_is_not_mirrored() {
    for (length, expected) in [(9, 2), (10, 2), (11, 1)] {
        let mut bench = Bench::new(snapshot(Share::ALL, 2, 10));
        let client = bench.client();
        let body = "x".repeat(length);
        bench.receive(
            client,
            format!("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes(),
        );
        let upstream = bench.connected();
        assert!(bench.flush_text(upstream).ends_with(&body));
        assert_eq!(connects(&bench), expected, "{length}");
        assert_eq!(bench.cluster.retries_abandoned.get(), u64::from(expected == 1));
    }
    let mut bench = mirrored();
    let client = bench.client();
    bench
        .receive(client, b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n");
    let upstream = bench.connected();
    assert!(bench.flush_text(upstream).ends_with("\r\n\r\n"));
    assert_eq!(connects(&bench), 1);
}

#[test]
fn a_share_of_requests_is_mirrored() {
    for (share, expected) in [(Share::default(), 1), (Share::ALL, 2)] {
        let mut bench = Bench::new(snapshot(share, 2, 1000));
        let client = bench.client();
        bench.receive(client, GET);
        bench.connected();
        assert_eq!(connects(&bench), expected, "{share:?}");
    }
}

#[test]
fn a_slow_shadow_is_not_felt_and_later_ones_are_dropped() {
    let mut bench = Bench::new(snapshot(Share::ALL, 1, 1000));
    let client = bench.client();
    bench.receive(client, GET);
    let upstream = bench.connected();
    let shadow = bench.connected();
    for number in 0..3 {
        if number > 0 {
            bench.receive(client, GET);
        }
        bench.flush(upstream);
        bench.receive(upstream, OK);
        assert_eq!(bench.flush(client), OK);
        assert_eq!(dropped(&bench), number);
    }
    assert!(!bench.is_closed(shadow));
    bench.advance_ms(TIMEOUT_MS);
    assert!(bench.is_closed(shadow), "it has its route's timeout");
    assert_eq!(bench.endpoint(9000).requests_error.get(), 1);
    bench.assert_empty();
}

#[test]
fn a_shadow_that_fails_is_not_felt() {
    let failures: [fn(&mut Bench); 4] = [
        |bench| {
            bench.connect_failed(IoError::Refused);
        },
        |bench| bench.advance_ms(500),
        |bench| {
            let shadow = bench.connected();
            bench.end(shadow, Err(IoError::Reset));
        },
        |bench| {
            let shadow = bench.connected();
            bench.receive(shadow, b"nonsense\r\n\r\n");
        },
    ];
    for fail in failures {
        let mut bench = mirrored();
        let client = bench.client();
        bench.receive(client, GET);
        let upstream = bench.connected();
        bench.flush(upstream);
        fail(&mut bench);
        bench.receive(upstream, OK);
        assert_eq!(bench.flush(client), OK);
        assert_eq!(connects(&bench), 2, "nobody tries again");
        bench.assert_empty();
    }
}

#[test]
fn a_shadow_outlives_its_request_and_its_cluster() {
    let mut bench = mirrored();
    let client = bench.client();
    bench.receive(client, GET);
    let upstream = bench.connected();
    let shadow = bench.connected();
    bench.flush(shadow);
    bench.receive(upstream, OK);
    bench.flush(client);
    bench.apply(Snapshot { version: 2, ..http(1) });
    bench.receive(shadow, OK);
    assert!(bench.is_closed(shadow), "its cluster is gone, and nobody else wants the connection");
    bench.assert_empty();
}
