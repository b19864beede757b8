//! Hedging on the timeout of one try: an attempt that takes too long goes on beside the next one, and exactly one answer reaches
//! the client, held against what Envoy documents of `hedge_on_per_try_timeout`.

mod support;

use sidering_dataplane::config::*;
use sidering_dataplane::io::{ConnId, IoError};
use sidering_dataplane::observe::counters::Counter;
use sidering_dataplane::route::RouteTable;
use std::sync::Arc;
use support::{Bench, cluster_mut, http};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const BAD: &[u8] = b"HTTP/1.1 503 no\r\nContent-Length: 3\r\n\r\nbad";
const PER_TRY_MS: u64 = 1_000;
/// Back-offs are at random below this.
const BACK_OFF_MS: u64 = 2;

fn policy(attempts: u32) -> RetryPolicy {
    RetryPolicy {
        on: RetryOn::SERVER_ERROR,
        attempts,
        per_try_timeout_ms: PER_TRY_MS,
        hedge_on_per_try_timeout: true,
        back_off: BackOff { base_ms: 1, max_ms: BACK_OFF_MS },
        ..RetryPolicy::default()
    }
}

fn snapshot(endpoints: u16, policy: RetryPolicy) -> Snapshot {
    let (retry, buffer_bytes) = (Some(Box::new(policy)), Some(10));
    let forward = Forward { timeout_ms: 10_000, retry, buffer_bytes, ..Forward::default() };
    let mut snapshot = http(endpoints);
    cluster_mut(&mut snapshot, 0).pool.max_connections = 10;
    let ListenerKind::Http(http) = &mut snapshot.listeners[0].kind else { unreachable!() };
    let mut hosts = http.routes.virtual_hosts().to_vec();
    hosts[0].routes = vec![support::route("/", RouteAction::Forward(forward))];
    http.routes = RouteTable::compile(hosts).into();
    snapshot
}

/// A request whose first attempt has taken too long, and whose next one is under way: client, first and second upstream.
fn hedged(bench: &mut Bench) -> (ConnId, ConnId, ConnId) {
    let client = bench.client();
    bench.receive(client, GET);
    let first = bench.connected();
    assert_eq!(bench.flush(first), GET);
    let second = next(bench);
    assert_eq!(bench.flush(second), GET);
    (client, first, second)
}

/// The attempt under way takes too long; the connection of the next one.
fn next(bench: &mut Bench) -> ConnId {
    let before = bench.io.connects.len();
    bench.advance_ms(PER_TRY_MS);
    bench.advance_ms(BACK_OFF_MS);
    assert_eq!(bench.io.connects.len(), before + 1, "no other attempt has begun");
    bench.connected()
}

fn count(counter: &Counter) -> u64 {
    counter.get()
}

/// Nothing is left of the request, nor of its places with the circuit breaker.
fn assert_over(bench: &Bench) {
    bench.assert_empty();
    assert_eq!(count(&bench.cluster.retries_active), 0);
}

#[test]
fn the_second_attempt_answers_and_the_first_is_cancelled() {
    let mut bench = Bench::new(snapshot(2, policy(1)));
    let (client, first, second) = hedged(&mut bench);
    let addresses = [first, second].map(|conn| bench.io.socket(conn).address.clone());
    assert_ne!(addresses[0], addresses[1], "it goes to another endpoint");
    assert!(!bench.is_closed(first), "the first one goes on");
    assert_eq!(count(&bench.cluster.requests_active), 2);
    assert_eq!(count(&bench.cluster.retries_active), 1);
    bench.receive(second, OK);
    assert!(bench.is_closed(first) && !bench.is_closed(second));
    assert_eq!(bench.flush(client), OK);
    assert_eq!(count(&bench.cluster.retries), 1);
    assert_eq!(count(&bench.cluster.retries_succeeded), 1);
    assert_eq!(count(&bench.cluster.requests_total), 2);
    assert_eq!(count(&bench.cluster.per_try_timeouts), 0, "Envoy does not count those that hedge");
    assert_over(&bench);
    // The client's connection, and the second upstream's, serve the next request.
    bench.receive(client, GET);
    bench.connected();
    bench.advance_ms(BACK_OFF_MS);
    assert_eq!(bench.flush(client), b"");
}

#[test]
fn the_first_attempt_may_still_answer() {
    let mut bench = Bench::new(snapshot(2, policy(1)));
    let (client, first, second) = hedged(&mut bench);
    bench.receive(first, &OK[..20]);
    assert!(!bench.is_closed(second), "a part of a head is no answer");
    bench.receive(first, &OK[20..]);
    assert!(bench.is_closed(second) && !bench.is_closed(first));
    assert_eq!(bench.flush(client), OK);
    assert_eq!(count(&bench.cluster.retries_succeeded), 0, "it was not the retry that succeeded");
    assert_over(&bench);
}

#[test]
fn the_first_attempt_may_answer_wherever_the_second_stands() {
    // During the back-off, while it connects, and while it waits for a connection.
    for (most, stage) in [(10, "back-off"), (10, "connecting"), (1, "waiting")] {
        let mut config =
            snapshot(1, RetryPolicy { back_off: BackOff { base_ms: 100, max_ms: 100 }, ..policy(1) });
        cluster_mut(&mut config, 0).pool.max_connections = most;
        let mut bench = Bench::new(config);
        let client = bench.client();
        bench.receive(client, GET);
        let first = bench.connected();
        bench.flush(first);
        bench.advance_ms(PER_TRY_MS);
        if stage != "back-off" {
            bench.advance_ms(100);
        }
        assert_eq!(bench.io.connects.len(), 1 + usize::from(stage == "connecting"), "{stage}");
        assert_eq!(count(&bench.cluster.requests_pending), u64::from(stage == "waiting"), "{stage}");
        // What is sent ahead waits, and is served.
        bench.receive(client, GET);
        bench.receive(first, OK);
        assert_eq!(bench.flush(client), OK, "{stage}");
        assert_eq!(count(&bench.cluster.requests_pending), 0, "{stage}");
        assert_eq!(bench.flush(first), GET, "{stage}: the next request takes the connection");
        if stage == "connecting" {
            let second = *bench.io.connects.last().unwrap();
            assert!(bench.is_closed(second));
        }
        bench.advance_ms(200);
        bench.receive(first, OK);
        assert_eq!(bench.flush(client), OK, "{stage}");
        assert_over(&bench);
    }
}

#[test]
fn a_failed_attempt_is_dropped_while_another_one_runs() {
    type Failure = fn(&mut Bench, ConnId);
    let failures: [(&str, Failure); 4] = [
        ("reset", |bench, conn| bench.end(conn, Err(IoError::Reset))),
        ("end", |bench, conn| bench.end(conn, Ok(()))),
        ("no answer", |bench, conn| bench.receive(conn, b"nonsense\r\n\r\n")),
        ("503", |bench, conn| bench.receive(conn, BAD)),
    ];
    for (what, fail) in failures {
        for first_fails in [true, false] {
            let mut bench = Bench::new(snapshot(2, policy(1)));
            let (client, first, second) = hedged(&mut bench);
            let (failing, other) = if first_fails { (first, second) } else { (second, first) };
            fail(&mut bench, failing);
            assert_eq!(bench.flush(client), b"", "{what}");
            assert!(!bench.is_closed(other), "{what}");
            assert_eq!(count(&bench.cluster.requests_active), 1, "{what}");
            bench.advance_ms(BACK_OFF_MS);
            assert_eq!(bench.io.connects.len(), 2, "{what}: nothing is retried for it");
            // The one that is left takes its time: all of what the route gives.
            bench.advance_ms(PER_TRY_MS);
            bench.receive(other, OK);
            assert_eq!(bench.flush(client), OK, "{what}");
            assert_over(&bench);
        }
    }
}

#[test]
fn the_last_one_to_fail_is_the_clients() {
    for first_fails_first in [true, false] {
        let mut bench = Bench::new(snapshot(2, policy(1)));
        let (client, first, second) = hedged(&mut bench);
        let (one, other) = if first_fails_first { (first, second) } else { (second, first) };
        bench.receive(one, BAD);
        assert_eq!(bench.flush(client), b"");
        bench.receive(other, BAD);
        assert_eq!(bench.flush(client), BAD);
        assert_eq!(bench.io.connects.len(), 2);
        assert_eq!(count(&bench.cluster.retries_succeeded), 0);
        let errors: u64 = [8000, 8001].map(|port| count(&bench.endpoint(port).requests_error)).iter().sum();
        assert_eq!(errors, 2);
        assert_over(&bench);
    }
}

#[test]
fn the_attempt_begun_last_is_retried_if_there_are_retries_left() {
    let mut bench = Bench::new(snapshot(3, policy(2)));
    let (client, first, second) = hedged(&mut bench);
    bench.receive(second, BAD);
    bench.advance_ms(BACK_OFF_MS + 2);
    let third = bench.connected();
    let addresses = [first, second, third].map(|conn| bench.io.socket(conn).address.clone());
    assert!(addresses[2] != addresses[0] && addresses[2] != addresses[1], "{addresses:?}");
    bench.end(third, Err(IoError::Reset));
    assert_eq!(bench.flush(client), b"", "the first one is under way");
    bench.end(first, Err(IoError::Reset));
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 503"));
    assert_eq!(count(&bench.cluster.retries), 2);
    assert_over(&bench);
}

#[test]
fn as_many_attempts_go_beside_each_other_as_may() {
    for (attempts, under_way) in [(0, 1), (2, 3), (3, 4), (4, 4)] {
        let mut bench = Bench::new(snapshot(5, policy(attempts)));
        let client = bench.client();
        bench.receive(client, GET);
        let mut upstreams = vec![bench.connected()];
        for _ in 1..under_way {
            upstreams.push(next(&mut bench));
        }
        bench.advance_ms(PER_TRY_MS);
        bench.advance_ms(BACK_OFF_MS);
        assert_eq!(bench.io.connects.len(), under_way, "{attempts}");
        assert_eq!(count(&bench.cluster.requests_active), under_way as u64, "{attempts}");
        assert_eq!(count(&bench.cluster.retries_active), under_way as u64 - 1, "{attempts}");
        assert_eq!(count(&bench.cluster.retries_exhausted), u64::from(attempts < 4), "{attempts}");
        assert_eq!(count(&bench.cluster.retries_overflow), u64::from(attempts == 4), "{attempts}");
        let middle = upstreams[under_way / 2];
        bench.receive(middle, OK);
        assert_eq!(bench.flush(client), OK, "{attempts}");
        let open: Vec<ConnId> = upstreams.into_iter().filter(|conn| !bench.is_closed(*conn)).collect();
        assert_eq!(open, [middle], "{attempts}");
        assert_over(&bench);
    }
}

#[test]
fn circuit_breakers_bound_what_goes_beside() {
    let no_requests = CircuitBreaker { max_requests: 1, ..CircuitBreaker::default() };
    let no_retries = CircuitBreaker { max_retries: 0, ..CircuitBreaker::default() };
    let no_budget = Some(RetryBudget { percent: 0, min_concurrency: 0 });
    let no_budget = CircuitBreaker { retry_budget: no_budget, ..CircuitBreaker::default() };
    for breaker in [no_requests, no_retries, no_budget] {
        let mut config = snapshot(2, policy(1));
        cluster_mut(&mut config, 0).circuit_breaker = breaker;
        let mut bench = Bench::new(config);
        let client = bench.client();
        bench.receive(client, GET);
        let first = bench.connected();
        bench.flush(first);
        bench.advance_ms(3 * PER_TRY_MS);
        assert_eq!(bench.io.connects.len(), 1, "{breaker:?}");
        assert_eq!(count(&bench.cluster.retries_overflow), 1, "{breaker:?}");
        assert!(!bench.is_closed(first), "{breaker:?}: it goes on");
        bench.receive(first, OK);
        assert_eq!(bench.flush(client), OK, "{breaker:?}");
        assert_over(&bench);
    }
}

#[test]
fn an_attempt_that_gets_no_connection_leaves_the_first_one() {
    // Its connect fails; and there is neither a connection nor a place to wait for one.
    for has_room in [true, false] {
        let mut config = snapshot(1, policy(1));
        if !has_room {
            cluster_mut(&mut config, 0).pool = PoolLimits {
                max_connections: 1,
                max_pending: 0,
                idle_timeout_ms: 10_000,
                shares_idle: false,
            };
        }
        let mut bench = Bench::new(config);
        let client = bench.client();
        bench.receive(client, GET);
        let first = bench.connected();
        bench.flush(first);
        bench.advance_ms(PER_TRY_MS);
        bench.advance_ms(BACK_OFF_MS);
        if has_room {
            bench.connect_failed(IoError::Refused);
        }
        assert_eq!(count(&bench.cluster.requests_overflow), u64::from(!has_room));
        assert_eq!((bench.flush(client), bench.is_closed(first)), (vec![], false));
        bench.receive(first, OK);
        assert_eq!(bench.flush(client), OK);
        assert_over(&bench);
    }
}

/// A request on a connection that another one had used, which takes too long: client, and that connection.
fn overdue_on_a_used_connection(bench: &mut Bench, request: &[u8]) -> (ConnId, ConnId) {
    let client = bench.client();
    bench.receive(client, GET);
    let used = bench.connected();
    bench.flush(used);
    bench.receive(used, OK);
    assert_eq!(bench.flush(client), OK);
    bench.receive(client, request);
    assert_eq!(bench.flush(used), request);
    bench.advance_ms(PER_TRY_MS);
    bench.advance_ms(BACK_OFF_MS);
    assert_eq!(bench.io.connects.len(), 2, "no other attempt has begun");
    (client, used)
}

#[test]
fn a_stale_connection_is_no_answer_to_a_request_that_was_followed_in_vain() {
    let mut bench = Bench::new(snapshot(1, policy(1)));
    let (client, used) = overdue_on_a_used_connection(&mut bench, GET);
    bench.connect_failed(IoError::Refused);
    bench.end(used, Ok(()));
    assert_eq!(bench.flush(client), b"");
    assert_eq!(count(&bench.cluster.requests_retried_stale), 1);
    let fresh = bench.connected();
    assert_eq!(bench.flush(fresh), GET);
    bench.advance_ms(2 * PER_TRY_MS);
    assert_eq!(bench.flush(client), b"", "nothing may follow it, so that it takes its time");
    bench.receive(fresh, OK);
    assert_eq!(bench.flush(client), OK);
    assert_eq!(count(&bench.cluster.retries), 1, "no policy was asked again");
    assert_over(&bench);
}

#[test]
fn a_stale_connection_is_the_clients_to_hear_of_where_the_request_must_not_be_sent_twice() {
    for request in [
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody",
    ] {
        let mut bench = Bench::new(snapshot(1, policy(1)));
        let (client, used) = overdue_on_a_used_connection(&mut bench, request.as_bytes());
        bench.connect_failed(IoError::Refused);
        bench.end(used, Ok(()));
        let seen = bench.flush_text(client);
        assert!(seen.starts_with("HTTP/1.1 503"), "{request}: {seen}");
        assert_eq!(bench.io.connects.len(), 2, "{request}");
        assert_eq!(count(&bench.cluster.requests_retried_stale), 0, "{request}");
        assert_over(&bench);
    }
}

#[test]
fn a_stale_connection_beside_another_attempt_leaves_it_to_that_one() {
    let mut bench = Bench::new(snapshot(1, policy(1)));
    let (client, used) = overdue_on_a_used_connection(&mut bench, GET);
    bench.end(used, Ok(()));
    assert_eq!(bench.flush(client), b"");
    assert_eq!(bench.io.connects.len(), 2, "the other one is under way");
    bench.connect_failed(IoError::Refused);
    let seen = bench.flush_text(client);
    assert!(seen.starts_with("HTTP/1.1 503"), "{seen}");
    assert_over(&bench);
}

#[test]
fn bodies_that_are_kept_are_sent_beside_and_others_are_not() {
    let head = |length: usize| format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
    for (length, hedges) in [(9, true), (10, true), (11, false)] {
        let mut bench = Bench::new(snapshot(2, policy(1)));
        let client = bench.client();
        let request = head(length) + &"x".repeat(length);
        bench.receive(client, request.as_bytes());
        let first = bench.connected();
        assert_eq!(bench.flush_text(first), request);
        if hedges {
            let second = next(&mut bench);
            assert_eq!(bench.flush_text(second), request, "{length}");
            bench.receive(second, OK);
            assert_eq!(bench.flush(client), OK);
        } else {
            bench.advance_ms(PER_TRY_MS);
            let seen = bench.flush_text(client);
            assert!(seen.starts_with("HTTP/1.1 504"), "{seen}");
            let details = "upstream per try timeout,request payload exceeded retry buffer limit";
            assert!(seen.contains(details), "{seen}");
            assert_eq!(count(&bench.cluster.per_try_timeouts), 1);
        }
        assert!(bench.is_closed(first));
        assert_over(&bench);
    }
}

#[test]
fn a_body_that_is_still_coming_is_not_hedged() {
    let mut bench = Bench::new(snapshot(2, policy(1)));
    let client = bench.client();
    bench.receive(client, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc");
    let first = bench.connected();
    bench.flush(first);
    bench.advance_ms(2 * PER_TRY_MS);
    assert_eq!(bench.io.connects.len(), 1);
    bench.receive(client, b"def");
    let second = next(&mut bench);
    assert!(bench.flush_text(second).ends_with("\r\n\r\nabcdef"));
}

#[test]
fn a_client_that_goes_takes_both_along() {
    let mut bench = Bench::new(snapshot(2, policy(1)));
    let (client, first, second) = hedged(&mut bench);
    bench.end(client, Err(IoError::Reset));
    assert!(bench.is_closed(first) && bench.is_closed(second));
    let errors: u64 = [8000, 8001].map(|port| count(&bench.endpoint(port).requests_error)).iter().sum();
    assert_eq!(errors, 0);
    assert_over(&bench);
}

#[test]
fn the_routes_timeout_ends_both() {
    let mut bench = Bench::new(snapshot(2, policy(1)));
    let (client, first, second) = hedged(&mut bench);
    bench.advance_ms(10_000 - PER_TRY_MS - BACK_OFF_MS - 1);
    assert_eq!(bench.flush(client), b"");
    bench.advance_ms(1);
    assert!(bench.flush_text(client).contains("response timeout"));
    assert!(bench.is_closed(first) && bench.is_closed(second));
    assert_eq!(count(&bench.cluster.request_timeouts), 2, "of each attempt");
    for port in [8000, 8001] {
        assert_eq!(count(&bench.endpoint(port).requests_error), 1);
    }
    assert_over(&bench);
}

#[test]
fn an_interim_answer_decides_too() {
    for first_answers in [true, false] {
        let mut bench = Bench::new(snapshot(2, policy(2)));
        let (client, first, second) = hedged(&mut bench);
        let (one, other) = if first_answers { (first, second) } else { (second, first) };
        bench.receive(one, b"HTTP/1.1 103 Early Hints\r\n\r\n");
        assert!(bench.is_closed(other));
        bench.receive(one, BAD);
        let seen = bench.flush_text(client);
        assert!(seen.starts_with("HTTP/1.1 103") && seen.ends_with("bad"), "{seen}");
        assert_over(&bench);
    }
}

#[test]
fn an_answer_that_has_begun_goes_on_and_its_cut_is_the_clients() {
    let mut bench = Bench::new(snapshot(2, policy(3)));
    let (client, first, second) = hedged(&mut bench);
    bench.receive(first, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234");
    assert!(bench.is_closed(second));
    bench.flush(client);
    bench.advance_ms(2 * PER_TRY_MS);
    bench.end(first, Err(IoError::Reset));
    assert!(bench.io.socket(client).shut, "the client sees that the answer is cut");
    assert_eq!(bench.io.connects.len(), 2);
    assert_over(&bench);
}

#[test]
fn outlier_detection_hears_of_the_timeout_and_of_what_comes_then() {
    let mut config = snapshot(1, policy(1));
    cluster_mut(&mut config, 0).outlier_detection = Some(Arc::new(OutlierDetection::default()));
    let results = |bench: &Bench| {
        let endpoint = bench.endpoint(8000);
        [count(&endpoint.results), count(&endpoint.results_failed), count(&endpoint.requests_error)]
    };
    // The first one is told of when it takes too long, and of its answer.
    let mut bench = Bench::new(config.clone());
    let (client, first, second) = hedged(&mut bench);
    assert_eq!(results(&bench), [1, 1, 0]);
    bench.receive(first, OK);
    bench.flush(client);
    assert_eq!(results(&bench), [2, 1, 0], "and nothing of the other one");
    assert!(bench.is_closed(second));
    // One that is not needed any more is not told of again.
    let mut bench = Bench::new(config.clone());
    let (client, _, second) = hedged(&mut bench);
    bench.receive(second, OK);
    bench.flush(client);
    assert_eq!(results(&bench), [2, 1, 0]);
    // Nor is its timeout, when the route's comes.
    let mut bench = Bench::new(config);
    hedged(&mut bench);
    bench.advance_ms(10_000);
    assert_eq!(results(&bench), [2, 2, 2], "the second one's has come, too");
}

#[test]
fn a_request_may_ask_for_it_or_against_it() {
    for (field, configured, hedges) in [("true", false, true), ("false", true, false), ("maybe", true, true)]
    {
        let policy = RetryPolicy { hedge_on_per_try_timeout: configured, ..policy(1) };
        let mut config = snapshot(2, policy);
        let ListenerKind::Http(http) = &mut config.listeners[0].kind else { unreachable!() };
        http.options.envoy_headers = EnvoyHeaders::Obey;
        let mut bench = Bench::new(config);
        let client = bench.client();
        let request =
            format!("GET /a HTTP/1.1\r\nHost: h\r\nX-Envoy-Hedge-On-Per-Try-Timeout: {field}\r\n\r\n");
        bench.receive(client, request.as_bytes());
        let first = bench.connected();
        assert_eq!(bench.flush(first), GET);
        next(&mut bench);
        assert_eq!(bench.is_closed(first), !hedges, "{field}");
    }
}

#[test]
fn nothing_is_hedged_without_a_reason_to_retry_at_all() {
    let mut bench = Bench::new(snapshot(2, RetryPolicy { on: RetryOn::default(), ..policy(1) }));
    let client = bench.client();
    bench.receive(client, GET);
    let first = bench.connected();
    bench.flush(first);
    bench.advance_ms(PER_TRY_MS);
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 504"));
    assert!(bench.is_closed(first));
    assert_over(&bench);
}
