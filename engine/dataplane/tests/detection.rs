//! A listener that finds out what its connections speak: the first bytes, whatever way they are cut, who takes them, and what
//! becomes of clients that say nothing, too little or something else.

use sidering_codecs::registry::place_of;
use sidering_dataplane::config::*;
use sidering_dataplane::io::{Completion, ConnId, IoError, RelayEnd};
use sidering_dataplane::message::Message;
use sidering_dataplane::route::RouteTable;
use support::{Bench, address, cluster, forward, http, route};

mod bolt;
mod support;

use bolt::{frames, request, response};

/// Of the clusters: whatever is routed, and whatever is not known.
const FALLBACK: ClusterIndex = ClusterIndex(1);
const TIMEOUT_MS: u64 = 300;
const GET: &[u8] = b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn snapshot(fallback: Option<ClusterIndex>) -> Snapshot {
    let mut snapshot = http(1);
    let protocols = vec!["http1", "bolt", "dubbo", "dubbo_thrift", "tars", "thrift"];
    let ListenerKind::Http(http) = &mut snapshot.listeners[0].kind else { panic!("not http") };
    http.protocol = AUTO;
    http.options.via = Some("sidering".into());
    http.detection = Some(Box::new(Detection { protocols, timeout_ms: TIMEOUT_MS, fallback }));
    let mut raw = cluster(0, "tcp");
    (raw.name, raw.endpoints) = ("raw".into(), [Endpoint::new(address(9000))].into());
    snapshot.clusters = vec![cluster(1, AUTO).into(), raw.into()];
    snapshot
}

fn bench(fallback: Option<ClusterIndex>) -> Bench {
    Bench::new(snapshot(fallback))
}

fn port_of(bench: &mut Bench, upstream: ConnId) -> u16 {
    let to = bench.io.socket(upstream).address.clone();
    (8000..=9000).find(|port| to == Some(address(*port))).unwrap()
}

fn detected(bench: &Bench, protocol: &str) -> u64 {
    bench.listener.connections_detected[place_of(protocol).unwrap()].get()
}

#[test]
fn each_client_is_spoken_to_in_its_protocol_and_so_is_its_upstream() {
    let mut bench = bench(Some(FALLBACK));
    let (web, calls) = (bench.client(), bench.client());
    bench.receive(web, GET);
    let upstream = bench.connected();
    let sent = bench.flush_text(upstream);
    assert!(sent.starts_with("GET /a HTTP/1.1\r\n") && sent.contains("\r\nvia: 1.1 sidering\r\n"), "{sent}");
    bench.receive(upstream, OK);
    assert!(bench.flush_text(web).starts_with("HTTP/1.1 200 OK\r\n"));
    bench.receive(calls, &request(7, b"hello"));
    let upstream = bench.connected();
    let sent = frames(&bench.flush(upstream));
    assert_eq!(sent[0].2, b"hello");
    bench.receive(upstream, &response(sent[0].0, b"hi"));
    assert_eq!(frames(&bench.flush(calls)), [(7, 0, b"hi".to_vec())]);
    // Both go on as what they are, and to the connections that they had.
    bench.receive(web, GET);
    bench.receive(calls, &request(8, b"again"));
    assert_eq!(bench.io.connects.len(), 2);
    assert_eq!((detected(&bench, "http1"), detected(&bench, "bolt"), detected(&bench, "tars")), (1, 1, 0));
    assert_eq!((bench.listener.connections_unknown.get(), bench.listener.detection_timeouts.get()), (0, 0));
    assert_eq!(bench.counters.body_bytes_copied.get(), 0);
}

#[test]
fn every_cut_and_any_number_of_pieces_come_to_the_same() {
    let call = request(7, b"hello");
    for cut in 1..GET.len() {
        let mut bench = bench(Some(FALLBACK));
        let client = bench.client();
        bench.receive(client, &GET[..cut]);
        bench.receive(client, &GET[cut..]);
        let upstream = bench.connected();
        assert!(bench.flush_text(upstream).starts_with("GET /a HTTP/1.1\r\n"), "{cut}");
    }
    for cut in 1..call.len() {
        let mut bench = bench(Some(FALLBACK));
        let client = bench.client();
        bench.receive(client, &call[..cut]);
        bench.receive(client, &call[cut..]);
        let upstream = bench.connected();
        assert_eq!(frames(&bench.flush(upstream))[0].2, b"hello", "{cut}");
    }
    for bytes in [GET, &call] {
        let mut bench = bench(Some(FALLBACK));
        let client = bench.client();
        bytes.iter().for_each(|byte| bench.receive(client, &[*byte]));
        let upstream = bench.connected();
        assert!(bench.flush(upstream).ends_with(if bytes == GET { b"\r\n\r\n" } else { b"hello" }));
    }
}

#[test]
fn what_nobody_knows_goes_to_the_tcp_cluster_whole() {
    // A TLS ClientHello.
    let hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc];
    let mut bench = bench(Some(FALLBACK));
    let client = bench.client();
    bench.receive(client, &hello);
    // Sent before the pause takes effect, and before there is a connection.
    bench.receive(client, b"more");
    let upstream = bench.connected();
    assert_eq!(port_of(&mut bench, upstream), 9000);
    assert_eq!(bench.flush(upstream), [&hello[..], b"more"].concat());
    assert_eq!(bench.io.socket(upstream).relay, Some((client, u64::MAX)));
    bench.receive(client, b"and more");
    bench.paused(client);
    assert_eq!(bench.flush(upstream), b"and more");
    assert_eq!(bench.io.socket(client).relay, Some((upstream, u64::MAX)));
    assert_eq!(bench.listener.connections_unknown.get(), 1);
    assert_eq!(bench.listener.received_bytes.get(), 21);
    for from in [client, upstream] {
        let (to, _) = bench.io.socket(from).relay.take().unwrap();
        bench.complete(Completion::RelayEnded { from, to, end: RelayEnd::SourceEnded });
    }
    assert!(bench.is_closed(client) && bench.is_closed(upstream));
    bench.assert_empty();
    assert_eq!(bench.counters.body_bytes_copied.get(), 0);
}

#[test]
fn the_receive_may_be_at_rest_before_there_is_a_connection() {
    let mut bench = bench(Some(FALLBACK));
    let client = bench.client();
    bench.receive(client, b"\xff\xff");
    bench.paused(client);
    let upstream = bench.connected();
    assert_eq!(bench.flush(upstream), b"\xff\xff");
    bench.paused(client);
    assert_eq!(bench.io.socket(client).relay, Some((upstream, u64::MAX)));
}

#[test]
fn a_server_that_speaks_first_is_connected_to_when_the_time_is_over() {
    let mut bench = bench(Some(FALLBACK));
    let client = bench.client();
    bench.advance_ms(TIMEOUT_MS - 1);
    assert!(bench.io.connects.is_empty());
    bench.advance_ms(2);
    let upstream = bench.connected();
    assert_eq!(port_of(&mut bench, upstream), 9000);
    assert_eq!(bench.io.socket(upstream).relay, Some((client, u64::MAX)));
    bench.paused(client);
    assert_eq!(bench.io.socket(client).relay, Some((upstream, u64::MAX)));
    assert_eq!((bench.listener.detection_timeouts.get(), bench.listener.connections_unknown.get()), (1, 0));
}

#[test]
fn a_client_that_stalls_within_its_first_bytes_is_not_waited_for() {
    for (fallback, bytes) in [(Some(FALLBACK), b"G"), (None, b"G"), (Some(FALLBACK), b"\0"), (None, b"\x01")]
    {
        let mut bench = bench(fallback);
        let client = bench.client();
        bench.receive(client, bytes);
        bench.advance_ms(TIMEOUT_MS + 1);
        assert_eq!(bench.listener.detection_timeouts.get(), 1);
        if fallback.is_some() {
            let upstream = bench.connected();
            assert_eq!(bench.flush(upstream), bytes);
        } else {
            assert!(bench.is_closed(client));
            assert_eq!(bench.listener.requests_total.get(), 1, "it is logged");
        }
    }
}

#[test]
fn without_a_fallback_the_unknown_is_closed_and_the_silent_is_idle() {
    let mut bench = bench(None);
    let (wrong, silent) = (bench.client(), bench.client());
    bench.receive(wrong, b"\xff");
    assert!(bench.is_closed(wrong));
    assert_eq!(bench.listener.connections_unknown.get(), 1);
    bench.advance_ms(50_000);
    assert!(!bench.is_closed(silent));
    bench.receive(silent, GET);
    assert_eq!(bench.io.connects.len(), 1);
    let silent = bench.client();
    bench.advance_ms(60_001);
    assert!(bench.is_closed(silent));
    assert_eq!(bench.listener.detection_timeouts.get(), 0);
}

#[test]
fn bytes_and_pieces_that_are_looked_at_are_bounded() {
    // Nobody is sure of a name that goes on; more than 64 bytes of it are no method.
    for (length, is_known) in [(63, None), (64, None), (65, Some(false))] {
        let mut bench = bench(Some(FALLBACK));
        let client = bench.client();
        bench.receive(client, &vec![b'A'; length]);
        assert_eq!(bench.io.connects.len() == 1, is_known.is_some(), "{length}");
    }
    for pieces in [14, 15, 16, 17] {
        let mut bench = bench(Some(FALLBACK));
        let client = bench.client();
        (0..pieces).for_each(|_| bench.receive(client, b"A"));
        assert_eq!(bench.io.connects.len() == 1, pieces >= 16, "{pieces}");
        if pieces >= 16 {
            let upstream = bench.connected();
            assert_eq!(bench.flush(upstream), vec![b'A'; pieces]);
        }
    }
}

#[test]
fn the_end_of_what_a_client_sends_decides() {
    // Not enough for any protocol, and yet all that comes: its server may know what to do.
    let mut bench = bench(Some(FALLBACK));
    let client = bench.client();
    bench.receive(client, b"GET");
    bench.end(client, Ok(()));
    let upstream = bench.connected();
    assert_eq!(bench.flush(upstream), b"GET");
    assert!(bench.io.socket(upstream).shut && !bench.is_closed(client));
    assert_eq!(bench.io.socket(upstream).relay, Some((client, u64::MAX)));
    // A request and the end at once.
    let client = bench.client();
    bench.receive(client, GET);
    bench.end(client, Ok(()));
    let upstream = bench.connected();
    bench.flush(upstream);
    bench.receive(upstream, OK);
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 200 OK\r\n"));
    // A client that is gone needs nobody.
    let client = bench.client();
    bench.receive(client, b"GE");
    let before = bench.io.connects.len();
    bench.end(client, Err(IoError::Reset));
    assert!(bench.is_closed(client));
    assert_eq!(bench.io.connects.len(), before);
}

#[test]
fn the_end_may_come_while_the_tcp_cluster_is_connected_to() {
    for ends_before in [true, false] {
        let mut bench = bench(Some(FALLBACK));
        let client = bench.client();
        bench.receive(client, b"\xff");
        if ends_before {
            bench.end(client, Ok(()));
        }
        let upstream = bench.connected();
        if !ends_before {
            bench.end(client, Ok(()));
        }
        assert_eq!(bench.flush(upstream), b"\xff");
        assert!(bench.io.socket(upstream).shut, "{ends_before}");
        let (to, _) = bench.io.socket(upstream).relay.take().unwrap();
        let end = RelayEnd::SourceEnded;
        bench.complete(Completion::RelayEnded { from: upstream, to, end });
        assert!(bench.is_closed(client));
        bench.assert_empty();
    }
    let mut bench = bench(Some(FALLBACK));
    let client = bench.client();
    bench.receive(client, b"\xff");
    bench.end(client, Err(IoError::Reset));
    assert!(bench.is_closed(client));
    bench.assert_empty();
    let client = bench.client();
    bench.receive(client, b"\xff");
    bench.connect_failed(IoError::Refused);
    assert!(bench.is_closed(client));
    bench.assert_empty();
}

#[test]
fn connections_count_from_the_first_moment() {
    let mut bench = bench(Some(FALLBACK));
    let clients: Vec<ConnId> = (0..100).map(|_| bench.client()).collect();
    let beyond = bench.client();
    assert!(bench.is_closed(beyond));
    assert_eq!(
        (bench.listener.connections_active.get(), bench.listener.connections_overflow.get()),
        (100, 1)
    );
    bench.receive(clients[0], GET);
    bench.end(clients[1], Err(IoError::Reset));
    assert_eq!(bench.listener.connections_active.get(), 99);
    let next = bench.client();
    assert!(!bench.is_closed(next));
}

#[test]
fn what_is_not_told_yet_is_still_served_in_a_drain() {
    let mut bench = bench(None);
    let client = bench.client();
    bench.receive(client, b"GET");
    bench.message(Message::Drain);
    bench.receive(client, &GET[3..]);
    let upstream = bench.connected();
    bench.flush(upstream);
    bench.receive(upstream, OK);
    let answer = bench.flush_text(client);
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
}

#[test]
fn a_cluster_that_speaks_something_else_is_no_way_out() {
    let mut config = snapshot(None);
    config.clusters[0] = cluster(1, "bolt").into();
    let mut bench = Bench::new(config);
    let (web, calls) = (bench.client(), bench.client());
    bench.receive(web, GET);
    let answer = bench.flush_text(web);
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("another protocol"), "{answer}");
    bench.receive(calls, &request(7, b"hello"));
    let upstream = bench.connected();
    assert_eq!(frames(&bench.flush(upstream)).len(), 1);
}

#[test]
fn header_options_and_filters_for_http_leave_calls_alone() {
    let mut config = snapshot(None);
    let ListenerKind::Http(http) = &mut config.listeners[0].kind else { panic!("not http") };
    http.options.underscores = Underscores::Reject;
    let mut matched = route("/", RouteAction::DirectResponse { status: 204, body: vec![] });
    matched.matcher.path = PathMatch::Prefix("/web".into());
    let routes = vec![matched, route("/", forward())];
    let host = VirtualHost { domains: vec!["*".into()], routes, ..VirtualHost::default() };
    http.routes = RouteTable::compile(vec![host]).into();
    let mut bench = Bench::new(config);
    let (web, calls) = (bench.client(), bench.client());
    bench.receive(web, b"GET /a HTTP/1.1\r\nhost: a\r\na_b: c\r\n\r\n");
    assert!(bench.flush_text(web).starts_with("HTTP/1.1 400 "));
    let web = bench.client();
    bench.receive(web, b"GET /web HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(bench.flush_text(web).starts_with("HTTP/1.1 204 "));
    bench.receive(calls, &request(7, b"hello"));
    let upstream = bench.connected();
    assert_eq!(frames(&bench.flush(upstream)).len(), 1);
}

#[test]
fn another_configuration_finds_connections_as_what_they_are() {
    let mut bench = bench(None);
    let (web, calls, undecided) = (bench.client(), bench.client(), bench.client());
    bench.receive(web, GET);
    let upstream = bench.connected();
    bench.flush(upstream);
    bench.receive(upstream, OK);
    bench.flush(web);
    bench.receive(calls, &request(7, b"hello"));
    let upstream = bench.connected();
    let sent = frames(&bench.flush(upstream));
    bench.receive(upstream, &response(sent[0].0, b"hi"));
    bench.flush(calls);
    bench.receive(undecided, b"GET");
    // Another order, and without HTTP.
    let mut config = snapshot(Some(FALLBACK));
    let ListenerKind::Http(http) = &mut config.listeners[0].kind else { panic!("not http") };
    http.detection.as_mut().unwrap().protocols = vec!["dubbo", "bolt"];
    config.version = 2;
    bench.apply(config);
    assert!(bench.io.socket(web).shut, "nobody speaks its protocol any more");
    let raw = bench.connected();
    assert_eq!(port_of(&mut bench, raw), 9000);
    assert_eq!(bench.flush(raw), b"GET");
    bench.receive(calls, &request(8, b"again"));
    let sent = frames(&bench.flush(upstream));
    assert_eq!(sent[0].2, b"again", "the cluster is what it was, with its connections");
    bench.receive(upstream, &response(sent[0].0, b"hi"));
    // One protocol alone.
    let silent = bench.client();
    let mut config = snapshot(None);
    let ListenerKind::Http(http) = &mut config.listeners[0].kind else { panic!("not http") };
    (http.detection, http.protocol) = (None, "bolt");
    config.version = 3;
    bench.apply(config);
    for client in [calls, silent] {
        bench.receive(client, &request(9, b"once more"));
        let sent = frames(&bench.flush(upstream));
        assert_eq!(sent[0].2, b"once more");
        bench.receive(upstream, &response(sent[0].0, b"hi"));
    }
}

#[test]
fn a_listener_that_comes_back_finds_connections_as_what_they_are() {
    for (protocols, is_served) in
        [(Some(["tars", "http1"]), true), (None, true), (Some(["bolt", "dubbo"]), false)]
    {
        let mut bench = bench(None);
        let client = bench.client();
        bench.receive(client, GET);
        let upstream = bench.connected();
        bench.flush(upstream);
        bench.receive(upstream, OK);
        bench.flush(client);
        bench.receive(client, &GET[..10]);
        let (mut gone, mut back) = (snapshot(None), snapshot(None));
        gone.listeners.clear();
        gone.version = 2;
        bench.apply(gone);
        let ListenerKind::Http(http) = &mut back.listeners[0].kind else { panic!("not http") };
        match protocols {
            Some(protocols) => http.detection.as_mut().unwrap().protocols = protocols.to_vec(),
            None => (http.detection, http.protocol) = (None, "http1"),
        }
        back.version = 3;
        bench.apply(back);
        bench.receive(client, &GET[10..]);
        if is_served {
            let upstream = bench.connected();
            assert!(bench.flush_text(upstream).starts_with("GET /a "), "{protocols:?}");
            bench.receive(upstream, OK);
            assert!(bench.flush_text(client).starts_with("HTTP/1.1 200 OK"), "{protocols:?}");
        } else {
            assert!(bench.flush_text(client).starts_with("HTTP/1.1 404 "), "{protocols:?}");
        }
        assert!(bench.io.socket(client).shut, "it was told to go");
    }
}
