//! Cases that an adversarial reading of the data plane found wrong, each with what should happen instead.

mod support;

use sidering_dataplane::config::*;
use sidering_dataplane::io::{Completion, IoError, ListenerId, RelayEnd};
use sidering_dataplane::message::Message;
use std::sync::Arc;
use support::{Bench, cluster, http, tcp};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\n\r\n";

#[test]
fn held_chunks_of_equal_length_are_all_passed_on() {
    let mut bench = Bench::new(http(1));
    let client = bench.client();
    bench.receive(client, POST);
    for _ in 0..4 {
        bench.receive(client, b"0123456789");
    }
    assert!(!bench.io.socket(client).receiving, "four chunks are held");
    let upstream = bench.connected();
    assert!(bench.flush_text(upstream).ends_with(&"0123456789".repeat(4)));
    assert!(bench.io.socket(client).receiving);
}

#[test]
fn a_connection_that_served_a_retry_carries_the_next_request() {
    let mut bench = Bench::new(http(1));
    let client = bench.client();
    bench.receive(client, GET);
    let stale = bench.connected();
    bench.receive(stale, OK);
    bench.flush(client);
    bench.receive(client, GET);
    bench.end(stale, Err(IoError::Reset));
    let fresh = bench.connected();
    for _ in 0..2 {
        assert_eq!(bench.flush(fresh), GET);
        bench.receive(fresh, OK);
        assert_eq!(bench.flush(client), OK);
        bench.receive(client, GET);
    }
}

#[test]
fn a_client_that_half_closes_before_the_connect_leaves_a_usable_connection() {
    let mut bench = Bench::new(http(1));
    let half_closed = bench.client();
    bench.receive(half_closed, GET);
    bench.end(half_closed, Ok(()));
    let upstream = bench.connected();
    assert_eq!(bench.flush(upstream), GET);
    bench.receive(upstream, OK);
    assert!(bench.flush_text(half_closed).ends_with("hi"));
    assert!(bench.is_closed(half_closed));
    let next = bench.client();
    bench.receive(next, GET);
    assert_eq!(bench.flush(upstream), GET);
    bench.receive(upstream, OK);
    assert_eq!(bench.flush(next), OK);
    bench.assert_empty();
}

#[test]
fn an_answer_that_comes_before_the_request_is_reported_sent_is_counted_out() {
    let mut bench = Bench::new(http(1));
    let client = bench.client();
    bench.receive(client, GET);
    let upstream = bench.connected();
    bench.receive(upstream, OK);
    assert_eq!(bench.flush(client), OK);
    assert_eq!(bench.endpoint(8000).requests_active.get(), 0);
}

#[test]
fn the_route_timeout_runs_from_the_end_of_the_request_whatever_was_armed_before() {
    let mut snapshot = http(1);
    snapshot.listeners[0].limits.request_timeout_ms = 0;
    let mut bench = Bench::new(snapshot);
    let client = bench.client();
    bench.receive(client, POST);
    bench.connected();
    bench.receive(client, &[b'x'; 40]);
    bench.advance_ms(5_001);
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 504 "));
}

#[test]
fn a_client_that_does_not_take_its_answer_is_closed_when_idle() {
    let mut bench = Bench::new(http(1));
    let (answered, refused) = (bench.client(), bench.client());
    bench.receive(answered, GET);
    let upstream = bench.connected();
    bench.receive(upstream, OK);
    bench.receive(refused, b"TRACE / HTTP/1.1\r\nHost: h\r\n\r\n");
    for _ in 0..4 {
        bench.advance_ms(20_001);
    }
    assert!(bench.is_closed(answered) && bench.is_closed(refused));
    bench.assert_empty();
}

#[test]
fn a_timed_out_client_that_does_not_take_its_answer_is_closed_when_idle() {
    let mut bench = Bench::new(http(1));
    let clients = [bench.client(), bench.client(), bench.client()];
    bench.receive(clients[0], GET);
    bench.connected();
    bench.receive(clients[1], b"GET / HT");
    bench.receive(clients[2], POST);
    bench.connected();
    bench.advance_ms(6_000);
    for client in clients {
        assert!(!bench.is_closed(client), "the answer gets its time");
    }
    for _ in 0..4 {
        bench.advance_ms(20_001);
    }
    for client in clients {
        assert!(bench.is_closed(client));
    }
    bench.assert_empty();
}

#[test]
fn the_answer_to_an_idle_stream_gets_its_time() {
    let mut snapshot = http(1);
    snapshot.listeners[0].limits.stream_idle_timeout_ms = 2_000;
    let mut bench = Bench::new(snapshot);
    let client = bench.client();
    bench.receive(client, GET);
    bench.advance_ms(2_001);
    bench.advance_ms(5);
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 503 "), "the connect timed out first");
    bench.receive(client, GET);
    bench.connected();
    bench.advance_ms(2_001);
    bench.advance_ms(5);
    assert!(!bench.is_closed(client));
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 504 "));
}

#[test]
fn an_idle_deadline_is_armed_when_the_client_is_resumed_after_its_exchange() {
    let mut snapshot = http(1);
    snapshot.listeners[0].limits = ListenerLimits {
        max_connections: 100,
        request_headers_timeout_ms: 0,
        request_timeout_ms: 0,
        stream_idle_timeout_ms: 0,
        idle_timeout_ms: 1_000,
        held_up_timeout_ms: 0,
    };
    let mut bench = Bench::new(snapshot);
    let client = bench.client();
    bench.receive(client, b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    bench.connected();
    bench.advance_ms(1_001);
    bench.receive(client, &[b"60000\r\n".as_slice(), &[b'x'; 0x60000], b"\r\n0\r\n\r\n"].concat());
    assert!(!bench.io.socket(client).receiving);
    bench.advance_ms(5_001);
    bench.flush(client);
    assert!(bench.io.socket(client).receiving);
    bench.advance_ms(1_001);
    assert!(bench.is_closed(client));
}

#[test]
fn a_tunnel_never_gets_a_pooled_http_connection() {
    let mut snapshot = http(1);
    let mut raw = snapshot.listeners[0].clone();
    raw.id = ListenerId(1);
    raw.kind = ListenerKind::Tcp { cluster: ClusterIndex(0) };
    snapshot.listeners.push(raw);
    let mut bench = Bench::new(snapshot);
    let clients = [bench.client(), bench.client()];
    let mut upstreams = vec![];
    for client in clients {
        bench.receive(client, GET);
        upstreams.push(bench.connected());
    }
    let tunnel = bench.client_of(ListenerId(1));
    bench.receive(upstreams[0], OK);
    bench.flush(clients[0]);
    assert!(bench.is_closed(upstreams[0]), "it made room");
    let upstream = bench.connected();
    assert_eq!(bench.io.socket(tunnel).relay, Some((upstream, u64::MAX)));
    // And when the only idle connections are those of the same endpoint.
    bench.receive(upstreams[1], OK);
    bench.flush(clients[1]);
    let second = bench.client_of(ListenerId(1));
    assert!(bench.is_closed(upstreams[1]));
    let upstream = bench.connected();
    assert_eq!(bench.io.socket(second).relay, Some((upstream, u64::MAX)));
}

/// The cluster differs in more than its endpoints.
fn replaced() -> Snapshot {
    let mut snapshot = http(2);
    support::cluster_mut(&mut snapshot, 0).connect_timeout_ms += 1;
    snapshot
}

#[test]
fn a_connect_that_fails_after_a_reload_is_answered_at_once() {
    let mut bench = Bench::new(http(1));
    let client = bench.client();
    bench.receive(client, GET);
    bench.apply(replaced());
    bench.connect_failed(IoError::Refused);
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 503 "));
    bench.assert_empty();
}

#[test]
fn limits_that_a_reload_makes_shorter_hold_for_connections_that_are_there() {
    let mut bench = Bench::new(http(1));
    let clients = [bench.client(), bench.client()];
    bench.receive(clients[0], b"GET");
    let mut snapshot = http(1);
    snapshot.listeners[0].limits.idle_timeout_ms = 700;
    snapshot.listeners[0].limits.request_headers_timeout_ms = 700;
    bench.apply(snapshot);
    bench.advance_ms(701);
    assert!(bench.flush_text(clients[0]).starts_with("HTTP/1.1 408 "));
    assert!(bench.is_closed(clients[1]));
}

#[test]
fn limits_of_a_listener_that_comes_back_hold_for_connections_that_are_there() {
    let mut bench = Bench::new(http(1));
    let client = bench.client();
    bench.receive(client, b"GET");
    bench.apply(Snapshot { listeners: vec![], ..http(1) });
    bench.apply(http(1));
    bench.advance_ms(1_001);
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 408 "));
}

#[test]
fn a_request_whose_cluster_was_replaced_is_counted_out() {
    for gives_up in [true, false] {
        let mut bench = Bench::new(http(1));
        let client = bench.client();
        bench.receive(client, GET);
        let upstream = bench.connected();
        bench.apply(replaced());
        if gives_up {
            bench.end(client, Err(IoError::Reset));
        } else {
            bench.receive(upstream, OK);
            assert_eq!(bench.flush(client), OK);
        }
        assert!(bench.is_closed(upstream));
        bench.assert_empty();
        assert_eq!(bench.cluster.connections_active.get(), 0);
    }
}

#[test]
fn a_stale_connection_of_a_replaced_cluster_is_still_replaced() {
    let mut bench = Bench::new(http(1));
    let client = bench.client();
    bench.receive(client, GET);
    let stale = bench.connected();
    bench.receive(stale, OK);
    bench.flush(client);
    bench.receive(client, GET);
    bench.apply(replaced());
    bench.end(stale, Ok(()));
    let fresh = bench.connected();
    bench.receive(fresh, OK);
    assert_eq!(bench.flush(client), OK);
    assert!(bench.is_closed(fresh), "of a cluster that is gone");
    bench.assert_empty();
}

#[test]
fn gauges_of_listeners_survive_removal_and_renaming() {
    let mut bench = Bench::new(http(1));
    let client = bench.client();
    bench.receive(client, b"GET");
    let old = Arc::clone(&bench.listener);
    bench.listener = Arc::default();
    bench.apply(http(1));
    assert_eq!((old.connections_active.get(), bench.listener.connections_active.get()), (0, 1));
    let snapshot = Snapshot { listeners: vec![], ..http(1) };
    bench.apply(snapshot);
    assert_eq!(bench.listener.connections_active.get(), 0);
    bench.apply(http(1));
    assert_eq!(bench.listener.connections_active.get(), 1);
    bench.end(client, Err(IoError::Reset));
    assert_eq!(bench.listener.connections_active.get(), 0);
}

#[test]
fn connections_of_a_removed_listener_time_out() {
    let mut bench = Bench::new(http(1));
    let clients = [bench.client(), bench.client()];
    bench.receive(clients[1], b"GET");
    let snapshot = Snapshot { listeners: vec![], ..http(1) };
    bench.apply(snapshot);
    for _ in 0..3 {
        bench.advance_ms(10_000);
        bench.flush(clients[1]);
    }
    assert!(bench.is_closed(clients[0]) && bench.is_closed(clients[1]));
}

#[test]
fn connect_ends_here_when_the_cluster_takes_bytes_only() {
    let mut snapshot = http(1);
    snapshot.clusters[0] = cluster(1, "tcp").into();
    let mut bench = Bench::new(snapshot);
    let client = bench.client();
    bench.receive(client, b"CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\nearly");
    let upstream = bench.connected();
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 200 "));
    assert_eq!(bench.flush(upstream), b"early");
    assert_eq!(bench.io.socket(upstream).relay, Some((client, u64::MAX)));
    bench.receive(client, b"more");
    assert_eq!(bench.flush(upstream), b"more");
    bench.paused(client);
    assert_eq!(bench.io.socket(client).relay, Some((upstream, u64::MAX)));
    bench.io.socket(client).relay = None;
    bench.complete(Completion::Relayed { from: client, to: upstream, bytes: 3 });
    bench.complete(Completion::RelayEnded { from: client, to: upstream, end: RelayEnd::SourceEnded });
    assert!(bench.io.socket(upstream).shut && !bench.is_closed(client));
    bench.io.socket(upstream).relay = None;
    bench.complete(Completion::RelayEnded { from: upstream, to: client, end: RelayEnd::SourceEnded });
    assert!(bench.is_closed(client) && bench.is_closed(upstream));
    bench.assert_empty();
}

#[test]
fn a_body_nobody_takes_any_more_is_read_to_its_end() {
    let (mut bench, client, upstream) =
        Bench::asked(http(1), b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    bench.flush(upstream);
    bench.complete(Completion::SendFailed { conn: upstream, error: IoError::BrokenPipe });
    for _ in 0..200 {
        bench.receive(client, &[b"1000\r\n".as_slice(), &[b'x'; 4096], b"\r\n"].concat());
        assert!(bench.io.socket(client).receiving);
    }
}

#[test]
fn a_reset_that_a_send_has_met_is_no_orderly_end() {
    let upgrade = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let switching = b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let old = b"POST / HTTP/1.0\r\nHost: h\r\nContent-Length: 9\r\n\r\n1234";
    let delimited = b"HTTP/1.1 200 OK\r\n\r\n1234";
    for (request, answer) in [(&upgrade[..], &switching[..]), (old, delimited)] {
        let (mut bench, client, upstream) = Bench::asked(http(1), request);
        bench.flush(upstream);
        bench.receive(upstream, answer);
        bench.flush(client);
        // The kernel tells an error once, and an end of the stream to whoever asks after that.
        bench.complete(Completion::SendFailed { conn: upstream, error: IoError::Reset });
        bench.end(upstream, Ok(()));
        assert_eq!(bench.io.socket(client).closed, Some(true), "cut, so that the client can see it");
        bench.assert_empty();
    }
}

#[test]
fn an_idle_connection_that_cannot_send_is_not_used() {
    let (mut bench, client, upstream) = Bench::asked(http(1), GET);
    bench.receive(upstream, OK);
    bench.flush(client);
    bench.complete(Completion::SendFailed { conn: upstream, error: IoError::BrokenPipe });
    assert!(bench.is_closed(upstream));
    assert_eq!(bench.cluster.connections_idle.get(), 0);
}

#[test]
fn an_upstream_that_has_not_taken_the_request_is_not_kept() {
    let (mut bench, client, upstream) = Bench::asked(http(1), POST);
    bench.flush(upstream);
    bench.receive(client, &[b'x'; 40]);
    bench.receive(upstream, OK);
    assert!(bench.is_closed(upstream), "a part of the request's body is not with the kernel");
    assert_eq!(bench.flush(client), OK);
    bench.assert_empty();
}

#[test]
fn bytes_received_are_counted() {
    let (mut bench, client, upstream) = Bench::asked(http(1), GET);
    bench.flush(upstream);
    bench.receive(upstream, OK);
    bench.flush(client);
    assert_eq!(bench.listener.received_bytes.get(), GET.len() as u64);
    assert_eq!(bench.listener.sent_bytes.get(), OK.len() as u64);
    assert_eq!(bench.cluster.received_bytes.get(), OK.len() as u64);
    assert_eq!(bench.cluster.sent_bytes.get(), GET.len() as u64);
}

#[test]
fn stopping_ends_every_stream_and_opens_nothing() {
    let mut bench = Bench::new(http(1));
    let clients = [bench.client(), bench.client(), bench.client()];
    for client in clients {
        bench.receive(client, GET);
    }
    bench.connected();
    assert_eq!(bench.cluster.requests_pending.get(), 1);
    bench.message(Message::Stop);
    assert_eq!(bench.io.connects.len(), 2);
    assert!(clients.iter().all(|client| bench.io.socket(*client).closed == Some(true)));
    bench.assert_empty();
}

#[test]
fn an_early_answer_ends_a_running_request_relay() {
    let mut bench = Bench::new(http(1));
    let client = bench.client();
    bench.receive(client, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nabc");
    let upstream = bench.connected();
    bench.flush(upstream);
    bench.paused(client);
    assert_eq!(bench.io.socket(client).relay, Some((upstream, 999_997)));
    bench.receive(upstream, b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
    assert!(bench.is_closed(upstream));
    assert!(bench.io.socket(client).receiving, "the rest is read and dropped even before the answer is out");
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 413 "));
    assert!(bench.io.socket(client).shut && bench.io.socket(client).receiving);
    bench.end(client, Ok(()));
    assert!(bench.is_closed(client));
    bench.assert_empty();
}

#[test]
fn an_early_answer_goes_out_whole_to_a_client_whose_last_bytes_went_down_with_a_relay() {
    let (mut bench, client, upstream) =
        Bench::asked(http(1), b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nabc");
    bench.flush(upstream);
    bench.paused(client);
    bench.receive(upstream, OK);
    // The client has sent everything; what the relay had in its pipe nobody has seen.
    bench.end(client, Ok(()));
    assert!(!bench.is_closed(client), "the answer is still queued");
    assert!(bench.flush_text(client).ends_with("hi"));
    assert!(bench.is_closed(client));
    bench.assert_empty();
}

#[test]
fn a_half_closed_client_sees_a_cut_answer_that_the_connection_delimits() {
    let (mut bench, client, upstream) =
        Bench::asked(http(1), b"POST / HTTP/1.0\r\nHost: h\r\nContent-Length: 9\r\n\r\n1234");
    bench.receive(upstream, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n");
    bench.end(client, Ok(()));
    assert_eq!(bench.io.socket(client).closed, Some(true));
}

#[test]
fn a_tcp_tunnel_that_waits_is_served() {
    let mut bench = Bench::new(tcp());
    let clients = [bench.client(), bench.client(), bench.client()];
    let upstreams = bench.io.connects.clone();
    assert_eq!(upstreams.len(), 2);
    bench.connected();
    bench.io.socket(clients[1]).relay = None;
    let (from, to) = (clients[1], upstreams[1]);
    bench.complete(Completion::RelayEnded { from, to, end: RelayEnd::SourceFailed(IoError::Reset) });
    let upstream = bench.connected();
    assert_eq!(bench.io.socket(clients[2]).relay, Some((upstream, u64::MAX)));
}

#[test]
fn a_request_that_comes_before_the_last_answer_is_out_waits_for_it() {
    let mut bench = Bench::new(http(1));
    let client = bench.client();
    bench.receive(client, GET);
    let upstream = bench.connected();
    bench.flush(upstream);
    bench.receive(upstream, OK);
    bench.receive(client, GET);
    assert_eq!(bench.flush(client), OK);
    assert_eq!(bench.flush(upstream), GET);
    bench.receive(upstream, OK);
    assert_eq!(bench.flush(client), OK);
    assert_eq!(bench.listener.responses[1].get(), 2);
    bench.assert_empty();
}

#[test]
fn the_end_that_a_relay_met_is_not_received_again() {
    let upgrade = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let (mut bench, client, upstream) = Bench::asked(http(1), upgrade);
    bench.receive(upstream, b"HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    bench.paused(upstream);
    bench.io.socket(upstream).relay = None;
    bench.complete(Completion::RelayEnded { from: upstream, to: client, end: RelayEnd::SourceEnded });
    bench.flush(client);
    assert!(!bench.io.socket(upstream).receiving);
    assert!(bench.io.socket(client).shut && !bench.is_closed(client));
}

#[test]
fn a_request_that_comes_while_the_last_answer_drains_is_not_begun() {
    let (mut bench, client, upstream) = Bench::asked(http(1), GET);
    bench.flush(upstream);
    bench.receive(upstream, OK);
    bench.message(Message::Drain);
    bench.receive(client, GET);
    assert_eq!(bench.flush(client), OK);
    assert!(bench.io.socket(client).shut, "the last one it gets");
    assert_eq!(bench.flush(upstream), b"");
    bench.assert_empty();
}
