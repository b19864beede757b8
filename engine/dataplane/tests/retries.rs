//! Retries by policy, timeouts of one try, and the circuit breaker, held against what Envoy documents of them.

mod support;

use sidering_dataplane::config::*;
use sidering_dataplane::io::{ConnId, IoError};
use sidering_dataplane::observe::counters::Counter;
use sidering_dataplane::route::RouteTable;
use support::{Bench, cluster_mut, http};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const BAD: &[u8] = b"HTTP/1.1 503 no\r\nContent-Length: 3\r\n\r\nbad";
/// Longer than any back-off.
const BACK_OFF_MS: u64 = 251;

fn on(conditions: &[RetryOn]) -> RetryPolicy {
    let on = conditions.iter().fold(RetryOn::default(), |all, one| all.with(*one));
    RetryPolicy { on, attempts: 1, ..RetryPolicy::default() }
}

fn snapshot(endpoints: u16, policy: RetryPolicy) -> Snapshot {
    let forward = Forward { timeout_ms: 5_000, retry: Some(Box::new(policy)), ..Forward::default() };
    with_forward(endpoints, forward)
}

fn with_forward(endpoints: u16, forward: Forward) -> Snapshot {
    let mut snapshot = http(endpoints);
    let ListenerKind::Http(http) = &mut snapshot.listeners[0].kind else { unreachable!() };
    let mut hosts = http.routes.virtual_hosts().to_vec();
    hosts[0].routes = vec![support::route("/", RouteAction::Forward(forward))];
    http.routes = RouteTable::compile(hosts).into();
    snapshot
}

fn keeping(buffer_bytes: u32) -> Snapshot {
    let retry = Some(Box::new(on(&[RetryOn::RESET])));
    let buffer_bytes = Some(buffer_bytes);
    with_forward(1, Forward { timeout_ms: 5_000, retry, buffer_bytes, ..Forward::default() })
}

fn obeying(mut snapshot: Snapshot, envoy_headers: EnvoyHeaders) -> Snapshot {
    let ListenerKind::Http(http) = &mut snapshot.listeners[0].kind else { unreachable!() };
    http.options.envoy_headers = envoy_headers;
    snapshot
}

/// The attempt is answered so; what the client gets, after any back-off, and how many retries there were.
fn answered(policy: RetryPolicy, answer: &[u8]) -> (String, u64) {
    let (mut bench, client, upstream) = Bench::asked(snapshot(1, policy), GET);
    bench.receive(upstream, answer);
    let retries = bench.cluster.retries.get();
    (bench.flush_text(client), retries)
}

fn count(counter: &Counter) -> u64 {
    counter.get()
}

/// The request that is on its way upstream, whether on a new connection or on one that was there.
fn next_attempt(bench: &mut Bench, connects: usize, pooled: ConnId) -> ConnId {
    bench.advance_ms(BACK_OFF_MS);
    if bench.io.connects.len() > connects { bench.connected() } else { pooled }
}

#[test]
fn an_answer_is_retried_by_the_conditions_it_meets() {
    type Row = (RetryOn, &'static str, bool);
    let rows: &[Row] = &[
        (RetryOn::SERVER_ERROR, "500 x\r\n", true),
        (RetryOn::SERVER_ERROR, "599 x\r\n", true),
        (RetryOn::SERVER_ERROR, "499 x\r\n", false),
        (RetryOn::SERVER_ERROR, "503 x\r\nx-envoy-overloaded: true\r\n", false),
        (RetryOn::SERVER_ERROR, "503 x\r\nx-envoy-ratelimited: true\r\n", false),
        (RetryOn::ENVOY_RATELIMITED, "429 x\r\nx-envoy-ratelimited: true\r\n", true),
        (RetryOn::ENVOY_RATELIMITED, "429 x\r\n", false),
        (RetryOn::GATEWAY_ERROR, "501 x\r\n", false),
        (RetryOn::GATEWAY_ERROR, "502 x\r\n", true),
        (RetryOn::GATEWAY_ERROR, "504 x\r\n", true),
        (RetryOn::GATEWAY_ERROR, "505 x\r\n", false),
        (RetryOn::RETRIABLE_4XX, "409 x\r\n", true),
        (RetryOn::RETRIABLE_4XX, "408 x\r\n", false),
        (RetryOn::RETRIABLE_STATUS_CODES, "418 x\r\n", true),
        (RetryOn::RETRIABLE_STATUS_CODES, "503 x\r\n", false),
        (RetryOn::RETRIABLE_HEADERS, "200 x\r\nX-Try-Again: 1\r\n", true),
        (RetryOn::RETRIABLE_HEADERS, "200 x\r\n", false),
        (RetryOn::GRPC_CANCELLED, "200 x\r\ngrpc-status: 1\r\n", true),
        (RetryOn::GRPC_DEADLINE_EXCEEDED, "200 x\r\ngrpc-status: 4\r\n", true),
        (RetryOn::GRPC_RESOURCE_EXHAUSTED, "200 x\r\ngrpc-status: 8\r\n", true),
        (RetryOn::GRPC_INTERNAL, "200 x\r\ngrpc-status: 13\r\n", true),
        (RetryOn::GRPC_UNAVAILABLE, "200 x\r\ngrpc-status: 14\r\n", true),
        (RetryOn::GRPC_UNAVAILABLE, "200 x\r\ngrpc-status: 13\r\n", false),
        (RetryOn::GRPC_UNAVAILABLE, "200 x\r\n", false),
        (RetryOn::RESET, "503 x\r\n", false),
        (RetryOn::CONNECT_FAILURE, "503 x\r\n", false),
    ];
    for (condition, head, expected) in rows {
        let policy =
            RetryPolicy { status_codes: vec![418], headers: vec!["x-try-again".into()], ..on(&[*condition]) };
        let answer = format!("HTTP/1.1 {head}Content-Length: 0\r\n\r\n");
        let (seen, retries) = answered(policy, answer.as_bytes());
        assert_eq!(retries, u64::from(*expected), "{condition:?}: {head}");
        assert_eq!(seen.is_empty(), *expected, "{condition:?}: {head}: the client got {seen:?}");
    }
}

#[test]
fn the_answer_of_the_last_attempt_is_the_clients() {
    let (mut bench, client, upstream) =
        Bench::asked(snapshot(1, RetryPolicy { attempts: 2, ..on(&[RetryOn::SERVER_ERROR]) }), GET);
    for attempt in 0..3 {
        assert_eq!(bench.flush(upstream), GET, "attempt {attempt}");
        assert_eq!(bench.flush(client), b"", "nothing before the last one");
        bench.receive(upstream, BAD);
        bench.advance_ms(BACK_OFF_MS);
    }
    assert_eq!(bench.flush(client), BAD);
    assert_eq!(bench.flush(upstream), b"", "2 retries, and no third");
    assert_eq!(bench.io.connects.len(), 1, "an answer that is whole leaves its connection fit for use");
    assert_eq!(count(&bench.cluster.retries), 2);
    assert_eq!(count(&bench.cluster.retries_exhausted), 1);
    assert_eq!(count(&bench.cluster.retries_succeeded), 0);
    assert_eq!(count(&bench.cluster.requests_total), 3);
    assert_eq!(count(&bench.endpoint(8000).requests_error), 3);
    assert_eq!(count(&bench.cluster.retries_active), 0);
    bench.assert_empty();
}

#[test]
fn a_retry_that_succeeds_is_counted_and_gives_its_place_back() {
    let (mut bench, client, upstream) = Bench::asked(snapshot(1, on(&[RetryOn::SERVER_ERROR])), GET);
    bench.flush(upstream);
    bench.receive(upstream, BAD);
    assert_eq!(count(&bench.cluster.retries_active), 1, "it backs off");
    bench.advance_ms(BACK_OFF_MS);
    assert_eq!(count(&bench.cluster.retries_active), 1, "it is under way");
    assert_eq!(bench.flush(upstream), GET);
    bench.receive(upstream, OK);
    assert_eq!(bench.flush(client), OK);
    assert_eq!(count(&bench.cluster.retries_active), 0);
    assert_eq!(count(&bench.cluster.retries_succeeded), 1);
    bench.assert_empty();
}

#[test]
fn a_reset_is_retried_by_the_conditions_that_mean_it() {
    for (condition, expected) in [
        (RetryOn::RESET, true),
        (RetryOn::SERVER_ERROR, true),
        (RetryOn::GATEWAY_ERROR, true),
        (RetryOn::CONNECT_FAILURE, false),
        (RetryOn::RESET_BEFORE_REQUEST, false),
        (RetryOn::RETRIABLE_4XX, false),
    ] {
        let (mut bench, client, upstream) = Bench::asked(snapshot(1, on(&[condition])), GET);
        bench.flush(upstream);
        bench.end(upstream, Err(IoError::Reset));
        assert_eq!(count(&bench.cluster.retries) == 1, expected, "{condition:?}");
        assert_eq!(bench.flush_text(client).starts_with("HTTP/1.1 503"), !expected, "{condition:?}");
        assert!(bench.is_closed(upstream));
    }
}

#[test]
fn a_reset_before_anything_was_sent_is_a_condition_of_its_own() {
    let (mut bench, _, upstream) = Bench::asked(snapshot(1, on(&[RetryOn::RESET_BEFORE_REQUEST])), GET);
    // What is queued was never reported as sent.
    bench.end(upstream, Err(IoError::Reset));
    assert_eq!(count(&bench.cluster.retries), 1);
}

#[test]
fn a_failed_connect_is_retried_at_another_endpoint() {
    for condition in [RetryOn::CONNECT_FAILURE, RetryOn::SERVER_ERROR, RetryOn::GATEWAY_ERROR] {
        let mut bench = Bench::new(snapshot(2, on(&[condition])));
        let client = bench.client();
        bench.receive(client, GET);
        let failed = bench.connect_failed(IoError::Refused);
        bench.advance_ms(BACK_OFF_MS);
        let upstream = bench.connected();
        assert_ne!(bench.io.socket(failed).address.clone(), bench.io.socket(upstream).address.clone());
        assert_eq!(bench.flush(upstream), GET);
        bench.receive(upstream, OK);
        assert_eq!(bench.flush(client), OK, "{condition:?}");
        assert_eq!(count(&bench.cluster.retries), 1);
        bench.assert_empty();
    }
}

#[test]
fn nothing_is_retried_after_the_first_byte_downstream() {
    let mut bench = Bench::new(snapshot(1, on(&[RetryOn::SERVER_ERROR, RetryOn::RESET])));
    let client = bench.client();
    bench.receive(client, GET);
    let upstream = bench.connected();
    bench.receive(upstream, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234");
    bench.flush(client);
    bench.end(upstream, Err(IoError::Reset));
    bench.advance_ms(BACK_OFF_MS);
    assert_eq!(bench.io.connects.len(), 1);
    assert_eq!(count(&bench.cluster.retries), 0);
    assert!(bench.io.socket(client).shut, "the client sees that the answer is cut");
}

#[test]
fn an_interim_answer_is_a_first_byte_too() {
    let mut bench = Bench::new(snapshot(1, on(&[RetryOn::SERVER_ERROR])));
    let client = bench.client();
    bench.receive(client, GET);
    let upstream = bench.connected();
    bench.receive(upstream, b"HTTP/1.1 103 Early Hints\r\n\r\n");
    bench.receive(upstream, BAD);
    let seen = bench.flush_text(client);
    assert!(seen.starts_with("HTTP/1.1 103") && seen.ends_with("bad"), "{seen}");
    assert_eq!(count(&bench.cluster.retries), 0);
}

#[test]
fn a_body_is_sent_again_up_to_the_bound() {
    let head = |length: usize| format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
    for (length, retried) in [(9, true), (10, true), (11, false)] {
        let mut bench = Bench::new(keeping(10));
        let client = bench.client();
        let body = "x".repeat(length);
        bench.receive(client, (head(length) + &body).as_bytes());
        let upstream = bench.connected();
        assert_eq!(bench.flush_text(upstream), head(length) + &body);
        bench.end(upstream, Err(IoError::Reset));
        bench.advance_ms(BACK_OFF_MS);
        if retried {
            let again = bench.connected();
            assert_eq!(bench.flush_text(again), head(length) + &body, "{length}");
            bench.receive(again, OK);
            assert_eq!(bench.flush(client), OK);
            bench.assert_empty();
        } else {
            let seen = bench.flush_text(client);
            assert!(seen.contains("request payload exceeded retry buffer limit"), "{seen}");
        }
        assert_eq!(count(&bench.cluster.retries_abandoned), u64::from(!retried), "{length}");
        assert_eq!(count(&bench.counters.body_bytes_copied), 0);
    }
}

#[test]
fn a_chunked_body_is_kept_until_it_is_too_long() {
    let head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (rest, retried) in [("5\r\n56789\r\n", true), ("6\r\n56789a\r\n", false)] {
        let mut bench = Bench::new(keeping(10));
        let client = bench.client();
        bench.receive(client, head.as_bytes());
        let upstream = bench.connected();
        bench.receive(client, b"5\r\n01234\r\n");
        bench.receive(client, rest.as_bytes());
        bench.flush(upstream);
        bench.end(upstream, Err(IoError::Reset));
        bench.advance_ms(BACK_OFF_MS);
        assert_eq!(bench.io.connects.len(), 1 + usize::from(retried));
        if retried {
            let again = bench.connected();
            // What comes later follows what is sent again, and is kept as well.
            bench.receive(client, b"0\r\n\r\n");
            let seen = bench.flush_text(again);
            assert!(seen.ends_with("a\r\n0123456789\r\n0\r\n\r\n"), "{seen}");
            bench.receive(again, OK);
            assert_eq!(bench.flush(client), OK);
            bench.assert_empty();
        }
    }
}

#[test]
fn a_body_that_comes_during_the_back_off_follows_the_one_kept() {
    let (mut bench, client, upstream) = Bench::asked(
        snapshot(1, on(&[RetryOn::RESET])),
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n01234",
    );
    bench.flush(upstream);
    bench.end(upstream, Err(IoError::Reset));
    bench.receive(client, b"56789");
    bench.advance_ms(BACK_OFF_MS);
    let again = bench.connected();
    assert!(bench.flush_text(again).ends_with("\r\n\r\n0123456789"));
    bench.receive(again, OK);
    assert_eq!(bench.flush(client), OK);
    bench.assert_empty();
}

#[test]
fn a_request_with_trailers_is_not_sent_again() {
    let mut bench = Bench::new(snapshot(1, on(&[RetryOn::RESET])));
    let client = bench.client();
    let request =
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\na: b\r\n\r\n";
    bench.receive(client, request.as_bytes());
    let upstream = bench.connected();
    bench.flush(upstream);
    bench.end(upstream, Err(IoError::Reset));
    assert_eq!(count(&bench.cluster.retries), 0);
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 503"));
}

#[test]
fn a_try_that_takes_too_long_is_followed_by_another() {
    let policy = RetryPolicy { per_try_timeout_ms: 1_000, ..on(&[RetryOn::RESET]) };
    let mut bench = Bench::new(snapshot(1, policy));
    let client = bench.client();
    bench.receive(client, GET);
    let upstream = bench.connected();
    bench.flush(upstream);
    bench.advance_ms(999);
    assert!(!bench.is_closed(upstream));
    bench.advance_ms(1);
    assert!(bench.is_closed(upstream));
    assert_eq!(count(&bench.cluster.per_try_timeouts), 1);
    bench.advance_ms(BACK_OFF_MS);
    let again = bench.connected();
    assert_eq!(bench.flush(again), GET);
    bench.advance_ms(1_001);
    let seen = bench.flush_text(client);
    assert!(seen.starts_with("HTTP/1.1 504") && seen.contains("upstream per try timeout"), "{seen}");
    assert_eq!(count(&bench.cluster.retries_exhausted), 1);
    bench.assert_empty();
}

#[test]
fn a_try_with_an_interim_answer_goes_on() {
    for on in [on(&[RetryOn::RESET]), on(&[])] {
        let mut bench = Bench::new(snapshot(1, RetryPolicy { per_try_timeout_ms: 1_000, ..on }));
        let client = bench.client();
        bench.receive(client, GET);
        let upstream = bench.connected();
        bench.receive(upstream, b"HTTP/1.1 103 Early Hints\r\n\r\n");
        bench.flush(client);
        bench.advance_ms(2_000);
        bench.receive(upstream, OK);
        assert_eq!(bench.flush(client), OK);
        bench.assert_empty();
    }
}

#[test]
fn a_try_whose_answer_has_begun_goes_on() {
    let policy = RetryPolicy { per_try_timeout_ms: 1_000, ..on(&[RetryOn::RESET]) };
    let (mut bench, client, upstream) = Bench::asked(snapshot(1, policy), GET);
    bench.receive(upstream, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    bench.flush(client);
    bench.advance_ms(2_000);
    bench.receive(upstream, b"hi");
    assert_eq!(bench.flush(client), b"hi");
    bench.assert_empty();
}

#[test]
fn the_routes_timeout_holds_for_all_attempts_and_the_back_off() {
    let back_off = BackOff { base_ms: 60_000, max_ms: 600_000 };
    let (mut bench, client, upstream) =
        Bench::asked(snapshot(1, RetryPolicy { back_off, ..on(&[RetryOn::SERVER_ERROR]) }), GET);
    bench.receive(upstream, BAD);
    bench.advance_ms(5_001);
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 504"));
    assert_eq!(count(&bench.cluster.retries_active), 0);
    assert_eq!(count(&bench.cluster.request_timeouts), 1);
    bench.advance_ms(600_000);
    bench.assert_empty();
}

#[test]
fn the_routes_timeout_holds_for_the_attempt_behind_a_back_off() {
    let (mut bench, client, upstream) = Bench::asked(snapshot(1, on(&[RetryOn::SERVER_ERROR])), GET);
    bench.receive(upstream, BAD);
    bench.advance_ms(BACK_OFF_MS);
    bench.flush(upstream);
    bench.advance_ms(5_000 - BACK_OFF_MS - 1);
    assert_eq!(bench.flush_text(client), "");
    bench.advance_ms(1);
    assert!(bench.flush_text(client).contains("response timeout"));
    bench.assert_empty();
}

#[test]
fn a_client_that_goes_during_the_back_off_takes_its_retry_along() {
    let (mut bench, client, upstream) = Bench::asked(snapshot(1, on(&[RetryOn::SERVER_ERROR])), GET);
    bench.flush(upstream);
    bench.receive(upstream, BAD);
    bench.end(client, Err(IoError::Reset));
    bench.advance_ms(BACK_OFF_MS);
    assert_eq!(bench.flush(upstream), b"");
    assert_eq!(count(&bench.cluster.retries_active), 0);
    bench.assert_empty();
}

#[test]
fn retries_are_bounded_by_the_circuit_breaker() {
    for (max_retries, admitted) in [(1, 1), (2, 2), (3, 2)] {
        let mut snapshot = snapshot(1, on(&[RetryOn::SERVER_ERROR]));
        cluster_mut(&mut snapshot, 0).circuit_breaker.max_retries = max_retries;
        let mut bench = Bench::new(snapshot);
        let clients: Vec<ConnId> = (0..2).map(|_| bench.client()).collect();
        let mut upstreams = vec![];
        for &client in &clients {
            bench.receive(client, GET);
            upstreams.push(bench.connected());
        }
        for &upstream in &upstreams {
            bench.receive(upstream, BAD);
        }
        assert_eq!(count(&bench.cluster.retries_active), admitted, "{max_retries}");
        assert_eq!(count(&bench.cluster.retries_overflow), 2 - admitted, "{max_retries}");
        if admitted == 1 {
            assert_eq!(bench.flush(clients[1]), BAD, "who may not retry gets what came");
        }
    }
}

#[test]
fn requests_are_bounded_by_the_circuit_breaker() {
    let mut snapshot = http(1);
    cluster_mut(&mut snapshot, 0).circuit_breaker.max_requests = 2;
    let mut bench = Bench::new(snapshot);
    let clients: Vec<ConnId> = (0..3).map(|_| bench.client()).collect();
    for round in 1..4 {
        for &client in &clients[..2] {
            bench.receive(client, GET);
            assert_eq!(bench.flush_text(client), "", "round {round}: a place was not given back");
            if round == 1 {
                bench.connected();
            }
        }
        bench.receive(clients[2], GET);
        let refused = bench.flush_text(clients[2]);
        assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
        assert!(refused.contains("x-envoy-overloaded: true\r\n"), "{refused}");
        assert_eq!(count(&bench.cluster.requests_overflow), round);
        for upstream in bench.io.connects.clone() {
            bench.flush(upstream);
            bench.receive(upstream, OK);
        }
        for &client in &clients[..2] {
            assert_eq!(bench.flush(client), OK);
        }
        bench.assert_empty();
    }
}

#[test]
fn fields_of_a_request_are_obeyed_where_clients_are_trusted() {
    let fields = "x-envoy-retry-on: 5xx, nonsense\r\nX-Envoy-Max-Retries: 2\r\n";
    let request = format!("GET /a HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
    for (mode, retries) in [(EnvoyHeaders::Obey, 2), (EnvoyHeaders::Strip, 0), (EnvoyHeaders::Ignore, 0)] {
        let mut bench = Bench::new(obeying(http(1), mode));
        let client = bench.client();
        bench.receive(client, request.as_bytes());
        let mut upstream = bench.connected();
        let seen = bench.flush_text(upstream);
        assert_eq!(seen.to_ascii_lowercase().contains("x-envoy"), mode == EnvoyHeaders::Ignore, "{seen}");
        for _ in 0..4 {
            if bench.io.socket(client).sent.is_empty() {
                let connects = bench.io.connects.len();
                bench.receive(upstream, BAD);
                upstream = next_attempt(&mut bench, connects, upstream);
            }
        }
        assert_eq!(bench.flush(client), BAD);
        assert_eq!(count(&bench.cluster.retries), retries, "{mode:?}");
    }
}

#[test]
fn timeouts_and_statuses_come_from_fields() {
    let fields = "x-envoy-retry-on: retriable-status-codes,reset\r\nx-envoy-retriable-status-codes: 418, 404\r\n\
        x-envoy-upstream-rq-timeout-ms: 2000\r\nx-envoy-upstream-rq-per-try-timeout-ms: 500\r\n";
    let request = format!("GET /a HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
    let mut bench = Bench::new(obeying(http(1), EnvoyHeaders::Obey));
    let client = bench.client();
    bench.receive(client, request.as_bytes());
    let upstream = bench.connected();
    bench.receive(upstream, b"HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(count(&bench.cluster.retries), 1);
    bench.advance_ms(BACK_OFF_MS);
    bench.advance_ms(501);
    assert_eq!(count(&bench.cluster.per_try_timeouts), 1);
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 504"), "by default there is one retry");
    let request = b"GET /b HTTP/1.1\r\nHost: h\r\nx-envoy-upstream-rq-timeout-ms: 2000\r\n\r\n";
    bench.receive(client, request);
    bench.connected();
    bench.advance_ms(1_999);
    assert_eq!(bench.flush_text(client), "");
    bench.advance_ms(1);
    assert!(bench.flush_text(client).contains("response timeout"));
}

#[test]
fn a_routes_idle_timeout_goes_before_the_listeners() {
    for (idle_timeout_ms, after_ms) in [(Some(1_000), 1_000), (None, 20_000)] {
        let forward = Forward { timeout_ms: 0, idle_timeout_ms, ..Forward::default() };
        let mut bench = Bench::new(with_forward(1, forward));
        let client = bench.client();
        bench.receive(client, GET);
        bench.connected();
        bench.advance_ms(after_ms - 1);
        assert_eq!(bench.flush_text(client), "");
        bench.advance_ms(1);
        assert!(bench.flush_text(client).starts_with("HTTP/1.1 504"), "{idle_timeout_ms:?}");
    }
}

#[test]
fn a_stream_has_its_longest_duration() {
    let forward = || Forward { timeout_ms: 0, max_stream_duration_ms: 1_000, ..Forward::default() };
    let mut bench = Bench::new(with_forward(1, forward()));
    let client = bench.client();
    bench.receive(client, GET);
    let upstream = bench.connected();
    bench.flush(upstream);
    bench.advance_ms(999);
    assert_eq!(bench.flush_text(client), "");
    bench.advance_ms(1);
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 504"));
    assert_eq!(count(&bench.listener.durations_reached), 1);
    // An answer that has begun is cut.
    let (mut bench, client, upstream) = Bench::asked(with_forward(1, forward()), GET);
    bench.receive(upstream, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234");
    bench.flush(client);
    bench.advance_ms(1_000);
    assert!(bench.io.socket(client).shut && bench.is_closed(upstream));
}

#[test]
fn a_stale_connection_costs_no_retry() {
    let (mut bench, client, upstream) =
        Bench::asked(snapshot(1, RetryPolicy { attempts: 0, ..on(&[RetryOn::RESET]) }), GET);
    bench.receive(upstream, OK);
    bench.flush(client);
    bench.receive(client, GET);
    bench.end(upstream, Ok(()));
    let again = bench.connected();
    bench.receive(again, OK);
    assert_eq!(bench.flush(client), OK);
    assert_eq!(count(&bench.cluster.retries), 0);
}
