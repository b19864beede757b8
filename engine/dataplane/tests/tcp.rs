//! The worker between TCP peers, and its end: tunnels, CONNECT, drain.

mod support;

use sidering_dataplane::io::{Completion, IoError, RelayEnd};
use sidering_dataplane::message::Message;
use std::sync::Arc;
use support::{Bench, cluster_mut, http, tcp};

fn relay_end(bench: &mut Bench, from: sidering_dataplane::io::ConnId, end: RelayEnd) {
    let (to, _) = bench.io.socket(from).relay.take().expect("no relay runs");
    bench.complete(Completion::RelayEnded { from, to, end });
}

#[test]
fn a_tunnel_runs_in_the_kernel_and_ends_one_direction_at_a_time() {
    let mut bench = Bench::new(tcp());
    let client = bench.client();
    assert!(!bench.io.socket(client).receiving, "nothing is read before there is an upstream");
    let upstream = bench.connected();
    assert_eq!(bench.io.socket(client).relay, Some((upstream, u64::MAX)));
    assert_eq!(bench.io.socket(upstream).relay, Some((client, u64::MAX)));
    bench.complete(Completion::Relayed { from: client, to: upstream, bytes: 10 });
    relay_end(&mut bench, client, RelayEnd::SourceEnded);
    assert!(bench.io.socket(upstream).shut && !bench.is_closed(upstream));
    relay_end(&mut bench, upstream, RelayEnd::SourceEnded);
    assert_eq!(bench.io.socket(client).closed, Some(false));
    assert_eq!(bench.io.socket(upstream).closed, Some(false));
    assert_eq!(bench.cluster.connections_active.get(), 0);
    bench.assert_empty();
}

#[test]
fn a_reset_on_one_side_is_a_reset_on_the_other() {
    for source_fails in [true, false] {
        let mut bench = Bench::new(tcp());
        let client = bench.client();
        let upstream = bench.connected();
        let end = if source_fails {
            RelayEnd::SourceFailed(IoError::Reset)
        } else {
            RelayEnd::DestinationFailed(IoError::BrokenPipe)
        };
        relay_end(&mut bench, client, end);
        assert_eq!(bench.io.socket(client).closed, Some(true));
        assert_eq!(bench.io.socket(upstream).closed, Some(true));
        bench.assert_empty();
    }
}

#[test]
fn no_upstream_resets_the_client_and_idling_ends_a_tunnel() {
    let mut bench = Bench::new(tcp());
    let client = bench.client();
    bench.connect_failed(IoError::Refused);
    assert_eq!(bench.io.socket(client).closed, Some(true));
    let client = bench.client();
    let upstream = bench.connected();
    bench.advance_ms(59_000);
    bench.complete(Completion::Relayed { from: upstream, to: client, bytes: 1 });
    bench.advance_ms(59_000);
    assert!(!bench.is_closed(client));
    bench.advance_ms(1_001);
    assert!(bench.is_closed(client) && bench.is_closed(upstream));
    bench.assert_empty();
}

#[test]
fn connections_beyond_the_bound_are_closed_at_once() {
    let mut bench = Bench::new(http(1));
    let clients: Vec<_> = (0..100).map(|_| bench.client()).collect();
    assert!(!bench.is_closed(clients[99]));
    let beyond = bench.client();
    assert!(bench.is_closed(beyond));
    bench.end(clients[0], Ok(()));
    let next = bench.client();
    assert!(!bench.is_closed(next));
}

#[test]
fn accepting_rests_after_an_error_and_resumes() {
    let mut bench = Bench::new(http(1));
    let listener = bench.io.accepting.pop().unwrap();
    bench.complete(Completion::AcceptFailed { listener, error: IoError::DescriptorsExhausted });
    bench.advance_ms(99);
    assert!(bench.io.accepting.is_empty());
    bench.advance_ms(2);
    assert_eq!(bench.io.accepting, [listener]);
}

#[test]
fn connect_becomes_a_tunnel_through_an_upstream_that_agrees() {
    let mut bench = Bench::new(http(1));
    let client = bench.client();
    bench.receive(client, b"CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\nearly");
    let upstream = bench.connected();
    let head = bench.flush_text(upstream);
    assert!(head.starts_with("CONNECT db:5432 HTTP/1.1\r\n") && !head.contains("early"), "{head}");
    bench.receive(upstream, b"HTTP/1.1 200 OK\r\n\r\n");
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 200 "));
    assert_eq!(bench.flush(upstream), b"early");
    bench.end(upstream, Err(IoError::Reset));
    assert_eq!(bench.io.socket(client).closed, Some(true));
    bench.assert_empty();
}

#[test]
fn draining_finishes_what_is_in_flight_and_closes_what_is_idle() {
    let get: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let ok: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let mut bench = Bench::new(http(1));
    let (idle, busy, fresh) = (bench.client(), bench.client(), bench.client());
    bench.receive(idle, get);
    let upstream = bench.connected();
    bench.receive(upstream, ok);
    bench.flush(idle);
    bench.receive(busy, get);
    bench.message(Message::Drain);
    assert!(bench.io.accepting.is_empty());
    assert!(bench.io.socket(idle).shut);
    bench.end(idle, Ok(()));
    assert!(bench.is_closed(idle));
    bench.receive(upstream, ok);
    for (client, has_asked) in [(busy, true), (fresh, false)] {
        if !has_asked {
            bench.receive(client, get);
            bench.receive(upstream, ok);
        }
        assert!(bench.flush_text(client).to_lowercase().contains("connection: close"));
        assert!(bench.io.socket(client).shut, "its FIN is behind the answer");
        // Its next request may be on its way: unread, that would make a reset, which could destroy the answer.
        assert!(!bench.is_closed(client));
        bench.receive(client, get);
        bench.end(client, Ok(()));
        assert!(bench.is_closed(client));
    }
    bench.advance_ms(51);
    assert!(sidering_dataplane::io::Machine::is_finished(&bench.worker));
}

#[test]
fn a_client_that_announced_its_last_request_is_not_waited_for() {
    let mut bench = Bench::new(http(1));
    let client = bench.client();
    bench.receive(client, b"GET /direct HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    bench.flush(client);
    assert!(bench.is_closed(client));
}

#[test]
fn a_drain_of_an_idle_worker_still_serves_who_waits_in_a_backlog() {
    let mut bench = Bench::new(http(1));
    bench.message(Message::Drain);
    assert!(!sidering_dataplane::io::Machine::is_finished(&bench.worker), "it could not accept any more");
    let client = bench.client();
    bench.receive(client, b"GET /direct HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 204 "));
    bench.end(client, Ok(()));
    bench.advance_ms(51);
    assert!(sidering_dataplane::io::Machine::is_finished(&bench.worker));
}

#[test]
fn what_does_not_finish_is_cut_at_the_drain_timeout() {
    let mut bench = Bench::new(http(1));
    let client = bench.client();
    bench.receive(client, b"GET / HTTP/1.1\r\n");
    bench.message(Message::Drain);
    bench.advance_ms(900);
    assert!(!bench.is_closed(client));
    let client = bench.client();
    assert!(!bench.is_closed(client), "from the backlog");
    bench.advance_ms(9_101);
    assert!(bench.is_closed(client));
    assert!(sidering_dataplane::io::Machine::is_finished(&bench.worker));
}

#[test]
fn a_request_whose_connect_fails_goes_to_another_endpoint_whatever_the_weights() {
    let mut snapshot = http(2);
    Arc::make_mut(&mut cluster_mut(&mut snapshot, 0).endpoints)[0].weight = 100;
    let mut bench = Bench::new(snapshot);
    let client = bench.client();
    bench.receive(client, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let first = bench.connect_failed(IoError::Refused);
    let second = bench.connected();
    let (first, other) = (bench.io.socket(first).address.clone(), bench.io.socket(second).address.clone());
    assert_ne!(first, other);
}

#[test]
fn a_replaced_cluster_still_tries_its_other_endpoint() {
    let mut bench = Bench::new(http(2));
    let client = bench.client();
    bench.receive(client, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let mut snapshot = http(2);
    cluster_mut(&mut snapshot, 0).connect_timeout_ms += 1;
    bench.apply(snapshot);
    let first = bench.connect_failed(IoError::Refused);
    let second = bench.connected();
    let (first, other) = (bench.io.socket(first).address.clone(), bench.io.socket(second).address.clone());
    assert_ne!(first, other);
    assert!(bench.flush_text(second).starts_with("GET / HTTP/1.1\r\n"));
}
