//! The worker in front of HTTP clients and upstreams, completion by completion, where real sockets could not be made to
//! behave like that on purpose.

mod support;

use sidering_dataplane::io::{Completion, IoError, RelayEnd};
use support::{Bench, http};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

#[test]
fn a_request_goes_there_and_back_and_the_connections_are_kept() {
    let mut bench = Bench::new(http(1));
    let client = bench.client();
    for exchange in 0..3 {
        bench.receive(client, GET);
        let upstream = if exchange == 0 { bench.connected() } else { bench.io.connects[0] };
        assert_eq!(bench.flush(upstream), GET);
        bench.receive(upstream, OK);
        assert_eq!(bench.flush(client), OK);
        bench.assert_empty();
    }
    assert_eq!(bench.io.connects.len(), 1);
    assert_eq!(bench.cluster.connections_idle.get(), 1);
    assert_eq!(bench.counters.body_bytes_copied.get(), 0);
    bench.end(client, Ok(()));
    assert!(bench.is_closed(client));
    bench.advance_ms(10_001);
    assert!(bench.is_closed(bench.io.connects[0]), "idle for longer than the pool allows");
}

#[test]
fn only_a_short_tail_behind_a_head_is_copied() {
    for (length, copied) in [(2047, 2047), (2048, 2048), (2049, 0)] {
        let mut bench = Bench::new(http(1));
        let client = bench.client();
        bench.receive(client, GET);
        let upstream = bench.connected();
        let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", length + 10).into_bytes();
        answer.resize(answer.len() + length, b'a');
        bench.receive(upstream, &answer);
        bench.flush(client);
        assert_eq!(bench.counters.tail_bytes_copied.get(), copied, "{length}");
        bench.receive(upstream, b"0123456789");
        assert_eq!(bench.flush(client), b"0123456789");
        assert_eq!(bench.counters.tail_bytes_copied.get(), copied, "no head goes before it");
        assert_eq!(bench.counters.body_bytes_copied.get(), 0);
        bench.assert_empty();
    }
}

#[test]
fn pipelined_requests_are_answered_one_after_the_other() {
    let mut bench = Bench::new(http(1));
    let client = bench.client();
    bench.receive(client, &[GET, GET, GET].concat());
    let upstream = bench.connected();
    for _ in 0..3 {
        assert_eq!(bench.flush(upstream), GET);
        bench.receive(upstream, OK);
        assert_eq!(bench.flush(client), OK);
    }
    bench.assert_empty();
    assert_eq!(bench.flush(upstream), b"");
}

#[test]
fn a_request_body_waits_for_the_connection_and_follows_its_head() {
    let mut bench = Bench::new(http(1));
    let client = bench.client();
    bench.receive(client, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n01234");
    bench.receive(client, b"567");
    let upstream = bench.connected();
    bench.receive(client, b"89");
    assert!(bench.flush_text(upstream).ends_with("\r\n\r\n0123456789"));
    bench.receive(upstream, OK);
    assert_eq!(bench.flush(client), OK);
    bench.assert_empty();
}

#[test]
fn a_stale_pooled_connection_is_replaced_for_a_get_and_not_for_a_post() {
    let post: &[u8] = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
    for (request, again) in [(GET, true), (post, false)] {
        let mut bench = Bench::new(http(1));
        let client = bench.client();
        bench.receive(client, GET);
        let stale = bench.connected();
        bench.receive(stale, OK);
        bench.flush(client);
        bench.flush(stale);
        bench.receive(client, request);
        assert_eq!(bench.flush(stale), request);
        bench.end(stale, Err(IoError::Reset));
        assert!(bench.is_closed(stale));
        if again {
            let fresh = bench.connected();
            assert_eq!(bench.flush(fresh), request);
            bench.receive(fresh, OK);
            assert_eq!(bench.flush(client), OK);
        } else {
            assert_eq!(bench.io.connects.len(), 1);
            assert!(bench.flush_text(client).starts_with("HTTP/1.1 503 "));
        }
        bench.assert_empty();
    }
}

#[test]
fn a_fresh_connection_that_dies_is_not_retried() {
    let mut bench = Bench::new(http(1));
    let client = bench.client();
    bench.receive(client, GET);
    let upstream = bench.connected();
    bench.end(upstream, Ok(()));
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 503 "));
    assert_eq!(bench.io.connects.len(), 1);
    bench.assert_empty();
}

#[test]
fn another_endpoint_is_tried_when_one_cannot_be_connected_to() {
    let mut bench = Bench::new(http(2));
    let client = bench.client();
    bench.receive(client, GET);
    let refused = bench.connect_failed(IoError::Refused);
    let upstream = bench.connected();
    assert_ne!(refused, upstream);
    assert_eq!(bench.flush(upstream), GET);
    bench.receive(upstream, OK);
    assert_eq!(bench.flush(client), OK);
    bench.assert_empty();
}

#[test]
fn connect_failures_and_timeouts_and_no_descriptor_are_503() {
    let mut bench = Bench::new(http(1));
    let client = bench.client();
    bench.receive(client, GET);
    bench.connect_failed(IoError::Refused);
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 503 "));
    bench.receive(client, GET);
    bench.advance_ms(501);
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 503 "));
    assert_eq!(bench.cluster.connect_timeouts.get(), 1);
    bench.io.refuse_connect = Some(IoError::DescriptorsExhausted);
    bench.receive(client, GET);
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 503 "));
    bench.assert_empty();
}

#[test]
fn the_pool_bound_makes_requests_wait_and_then_fail() {
    let mut bench = Bench::new(http(1));
    let clients: Vec<_> = (0..4).map(|_| bench.client()).collect();
    for client in &clients {
        bench.receive(*client, GET);
    }
    assert_eq!(bench.io.connects.len(), 2, "two connections at most");
    assert!(bench.flush_text(clients[3]).starts_with("HTTP/1.1 503 "), "one may wait");
    assert_eq!(bench.cluster.requests_pending.get(), 1);
    bench.connected();
    let upstream = bench.io.connects[1];
    bench.flush(upstream);
    bench.receive(upstream, OK);
    assert_eq!(bench.flush(clients[1]), OK);
    assert_eq!(bench.flush(upstream), GET, "the waiting request got the connection");
    bench.receive(upstream, OK);
    assert_eq!(bench.flush(clients[2]), OK);
    bench.end(clients[0], Ok(()));
    bench.advance_ms(501);
    assert!(bench.flush_text(clients[0]).starts_with("HTTP/1.1 503 "));
    bench.assert_empty();
}

#[test]
fn a_client_that_goes_away_while_waiting_leaves_nothing() {
    let mut bench = Bench::new(http(1));
    let clients: Vec<_> = (0..3).map(|_| bench.client()).collect();
    for client in &clients {
        bench.receive(*client, GET);
    }
    for client in &clients {
        bench.end(*client, Err(IoError::Reset));
        assert!(bench.is_closed(*client));
    }
    bench.assert_empty();
    assert_eq!(bench.cluster.connections_active.get(), 0);
    assert_eq!(bench.counters.connections_active.get(), 0);
}

#[test]
fn timeouts_of_head_body_route_and_idling() {
    let mut bench = Bench::new(http(1));
    let idle = bench.client();
    let slow_head = bench.client();
    bench.receive(slow_head, b"GET / HT");
    let slow_body = bench.client();
    bench.receive(slow_body, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0");
    let upstream = bench.connected();
    bench.advance_ms(999);
    assert_eq!(bench.flush(slow_head), b"");
    bench.advance_ms(2);
    assert!(bench.flush_text(slow_head).starts_with("HTTP/1.1 408 "));
    bench.advance_ms(2_000);
    assert!(bench.flush_text(slow_body).starts_with("HTTP/1.1 408 "));
    assert!(bench.is_closed(upstream));
    let unanswered = bench.client();
    bench.receive(unanswered, GET);
    bench.connected();
    bench.advance_ms(5_001);
    assert!(bench.flush_text(unanswered).starts_with("HTTP/1.1 504 "));
    bench.advance_ms(60_000);
    assert!(bench.is_closed(idle));
    bench.assert_empty();
}

#[test]
fn an_answer_cut_short_is_never_made_whole() {
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n",
    ] {
        let mut bench = Bench::new(http(1));
        let client = bench.client();
        bench.receive(client, GET);
        let upstream = bench.connected();
        bench.receive(upstream, head.as_bytes());
        bench.end(upstream, Ok(()));
        let text = bench.flush_text(client);
        assert!(text.contains("1234") && !text.ends_with("0\r\n\r\n"), "what came is delivered");
        assert!(bench.io.socket(client).shut);
        bench.end(client, Ok(()));
        assert!(bench.is_closed(client));
        bench.assert_empty();
    }
}

#[test]
fn a_cut_answer_that_the_connection_delimits_is_reset() {
    let mut bench = Bench::new(http(1));
    let client = bench.client();
    bench.receive(client, b"GET / HTTP/1.0\r\nHost: h\r\n\r\n");
    let upstream = bench.connected();
    bench.receive(upstream, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n");
    bench.end(upstream, Err(IoError::Reset));
    assert_eq!(bench.io.socket(client).closed, Some(true));
}

#[test]
fn bytes_behind_an_answer_cost_the_upstream_its_connection() {
    let (mut bench, client, upstream) = Bench::asked(http(1), GET);
    bench.receive(upstream, &[OK, OK].concat());
    assert_eq!(bench.flush(client), OK);
    assert!(bench.is_closed(upstream));
    bench.receive(client, GET);
    let upstream = bench.connected();
    bench.receive(upstream, OK);
    bench.flush(client);
    bench.receive(upstream, OK);
    assert!(bench.is_closed(upstream), "an answer nobody asked for");
    bench.assert_empty();
}

#[test]
fn a_slow_client_pauses_the_upstream_until_it_has_caught_up() {
    let (mut bench, client, upstream) = Bench::asked(http(1), GET);
    bench.receive(upstream, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    let piece = [b"4000\r\n".as_slice(), &[7; 0x4000], b"\r\n"].concat();
    let mut pieces = 0;
    while bench.io.socket(upstream).receiving {
        bench.receive(upstream, &piece);
        pieces += 1;
    }
    assert_eq!(pieces, 16, "256 KiB with the chunks' framing");
    bench.paused(upstream);
    bench.flush(client);
    assert!(bench.io.socket(upstream).receiving);
    bench.receive(upstream, b"0\r\n\r\n");
    assert!(bench.flush(client).ends_with(b"0\r\n\r\n"));
    bench.assert_empty();
}

#[test]
fn a_large_body_goes_through_the_kernel_and_the_connections_are_kept() {
    let (mut bench, client, upstream) = Bench::asked(http(1), GET);
    bench.flush(upstream);
    let length = 1 << 20;
    bench.receive(upstream, format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nabc").as_bytes());
    bench.receive(upstream, b"defg");
    bench.paused(upstream);
    assert_eq!(bench.io.socket(upstream).relay, Some((client, length - 7)));
    assert!(bench.flush(client).ends_with(b"abcdefg"));
    bench.io.socket(upstream).relay = None;
    bench.complete(Completion::Relayed { from: upstream, to: client, bytes: length - 7 });
    bench.complete(Completion::RelayEnded { from: upstream, to: client, end: RelayEnd::Limit });
    bench.assert_empty();
    assert!(bench.io.socket(upstream).receiving);
    bench.receive(client, GET);
    assert_eq!(bench.flush(upstream), GET);
    bench.receive(upstream, OK);
    assert_eq!(bench.flush(client), OK);
    assert_eq!(bench.counters.body_bytes_copied.get(), 0);
}

#[test]
fn a_relay_whose_source_ends_early_cuts_the_client_off() {
    let (mut bench, client, upstream) = Bench::asked(http(1), GET);
    bench.receive(upstream, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    bench.flush(client);
    bench.paused(upstream);
    bench.io.socket(upstream).relay = None;
    bench.complete(Completion::Relayed { from: upstream, to: client, bytes: 999_999 });
    bench.complete(Completion::RelayEnded { from: upstream, to: client, end: RelayEnd::SourceEnded });
    assert!(bench.io.socket(client).shut && bench.is_closed(upstream));
    bench.assert_empty();
}

#[test]
fn local_answers_keep_the_connection_and_broken_requests_end_it() {
    let mut bench = Bench::new(http(1));
    let client = bench.client();
    bench.receive(client, b"GET /direct HTTP/1.1\r\nHost: h\r\n\r\nTRACE / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 204 "));
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 405 "));
    bench.receive(client, b"GET / HTTP/1.1\r\nHost : h\r\n\r\n");
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 400 "));
    assert!(bench.io.socket(client).shut && !bench.is_closed(client), "lingers for what may still come");
    bench.receive(client, &vec![0; 1024 * 1024]);
    assert!(!bench.is_closed(client));
    bench.receive(client, b"x");
    assert!(bench.is_closed(client));
    bench.assert_empty();
}

#[test]
fn a_broken_chunk_is_answered_and_never_passed_on() {
    let mut bench = Bench::new(http(1));
    let client = bench.client();
    bench.receive(client, b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    let upstream = bench.connected();
    bench.flush(upstream);
    bench.receive(client, b"3\nabc\r\n0\r\n\r\n");
    assert_eq!(bench.flush(upstream), b"");
    assert!(bench.is_closed(upstream));
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 400 "));
}

#[test]
fn an_upgrade_holds_what_comes_behind_it_and_then_carries_bytes() {
    let upgrade = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let (mut bench, client, upstream) = Bench::asked(http(1), &[upgrade.as_slice(), b"early"].concat());
    assert!(!bench.flush_text(upstream).contains("early"));
    bench.receive(
        upstream,
        b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello",
    );
    assert!(bench.flush_text(client).ends_with("\r\n\r\nhello"));
    assert_eq!(bench.flush(upstream), b"early");
    bench.receive(client, b"more");
    assert_eq!(bench.flush(upstream), b"more");
    bench.end(client, Ok(()));
    assert!(bench.io.socket(upstream).shut);
    bench.receive(upstream, b"last");
    assert_eq!(bench.flush(client), b"last");
    bench.end(upstream, Ok(()));
    assert!(bench.is_closed(client) && bench.is_closed(upstream));
    bench.assert_empty();
}

#[test]
fn a_refused_upgrade_goes_on_as_http() {
    let upgrade = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let (mut bench, client, upstream) = Bench::asked(http(1), &[upgrade.as_slice(), GET].concat());
    bench.flush(upstream);
    bench.receive(upstream, OK);
    assert_eq!(bench.flush(client), OK);
    assert_eq!(bench.flush(upstream), GET);
    bench.receive(upstream, OK);
    assert_eq!(bench.flush(client), OK);
    bench.assert_empty();
}

#[test]
fn an_early_answer_ends_both_connections() {
    let (mut bench, client, upstream) =
        Bench::asked(http(1), b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nabc");
    bench.receive(upstream, b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
    assert!(bench.flush_text(client).to_lowercase().contains("connection: close"));
    assert!(bench.is_closed(upstream));
    assert!(bench.io.socket(client).shut);
    bench.end(client, Ok(()));
    assert!(bench.is_closed(client));
    bench.assert_empty();
}

#[test]
fn an_upstream_that_refuses_the_body_may_still_answer() {
    let (mut bench, client, upstream) =
        Bench::asked(http(1), b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nabc");
    bench.complete(Completion::SendFailed { conn: upstream, error: IoError::BrokenPipe });
    bench.receive(client, &[7; 900]);
    bench.receive(upstream, b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 413 "));
    bench.assert_empty();
}
