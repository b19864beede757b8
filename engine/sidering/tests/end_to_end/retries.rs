//! Retries by policy and the circuit breaker, with real sockets: what upstreams get twice, and what clients see of it.

use crate::failures::refused_address;
use crate::support::access_log::{flags_of, record_of};
use crate::support::{Config, Origin, Proxy, Wire, pattern, until, web};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

const HEDGES: &str = "{ on: [5xx], per_try_timeout: 300ms, hedge_on_per_try_timeout: true }";

/// A proxy whose only route has this policy, in front of `address`, which may name several.
fn proxy(policy: &str, address: impl std::fmt::Display) -> Proxy {
    let route = format!("{{ match: {{}}, cluster: api, retry: {policy} }}");
    Proxy::start(&Config::new().http("web", "", &route).cluster("api", address, ""))
}

/// An upstream whose first connection is served by `first`, and all others well.
fn origin(first: impl Fn(&mut Wire) -> io::Result<()> + Send + Sync + 'static) -> Origin {
    Origin::start(move |wire, number| if number == 0 { first(wire) } else { web::serve(wire) })
}

#[track_caller]
fn post(wire: &mut Wire, path: &str, length: u64) -> (u16, String) {
    wire.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n").as_bytes())
        .unwrap();
    pattern::write(&mut wire.stream(), length).unwrap();
    let answer = wire.response().unwrap();
    (answer.status(), answer.text())
}

fn retries(proxy: &Proxy) -> f64 {
    proxy.metrics().sum("sidering_cluster_upstream_rq_retry")
}

#[test]
fn a_body_is_sent_again_whole() {
    for length in [1, 20_000, 65_536, 1_048_576] {
        let origin = origin(|wire| wire.message().map(drop));
        let proxy = proxy("{ on: [reset] }", &origin);
        let mut wire = proxy.connect("web");
        let (status, text) = post(&mut wire, &format!("/check/{length}"), length);
        assert_eq!((status, text.as_str()), (200, "equal\n"), "{length}");
        assert_eq!(retries(&proxy), 1.0);
        assert_eq!(proxy.metrics().sum("sidering_cluster_upstream_rq_retry_success"), 1.0);
        drop((wire, origin));
        proxy.assert_home();
    }
}

#[test]
fn a_body_beyond_the_bound_is_not_and_the_log_says_so() {
    let origin = origin(|wire| wire.message().map(drop));
    let proxy = proxy("{ on: [reset] }", &origin);
    let mut wire = proxy.connect("web");
    assert_eq!(post(&mut wire, "/check/1048577", 1_048_577).0, 503);
    let record = record_of(&proxy, "/check/1048577");
    assert!(record.to_string().contains("request_payload_exceeded_retry_buffer_limit"), "{record}");
    assert_eq!(retries(&proxy), 0.0);
    assert_eq!(proxy.metrics().sum("sidering_cluster_retry_or_shadow_abandoned"), 1.0);
    drop((wire, origin));
    proxy.assert_home();
}

#[test]
fn the_last_answer_is_the_clients_and_flagged() {
    let origin = Origin::recording(|wire, _| {
        loop {
            wire.message()?;
            web::reply(wire, 503, "busy\n")?;
        }
    });
    let proxy = proxy("{ on: [5xx], attempts: 2 }", &origin);
    let mut wire = proxy.connect("web");
    wire.get("/busy").unwrap();
    let answer = wire.response().unwrap();
    assert_eq!((answer.status(), answer.text().as_str()), (503, "busy\n"));
    assert_eq!(origin.seen_text().matches("GET /busy").count(), 3);
    assert_eq!(flags_of(&proxy, "/busy"), "URX");
    assert_eq!(proxy.metrics().sum("sidering_cluster_upstream_rq_retry_limit_exceeded"), 1.0);
    drop((wire, origin));
    proxy.assert_home();
}

#[test]
fn an_upstream_that_says_nothing_is_left_for_another_try() {
    // It reads on until the proxy is tired of it.
    let origin = origin(|wire| wire.rest().map(drop));
    let proxy = proxy("{ on: [reset], per_try_timeout: 300ms }", &origin);
    let mut wire = proxy.connect("web");
    wire.get("/").unwrap();
    assert_eq!(wire.response().unwrap().text(), "hello\n");
    assert_eq!(proxy.metrics().sum("sidering_cluster_upstream_rq_per_try_timeout"), 1.0);
    drop((wire, origin));
    proxy.assert_home();
}

#[test]
fn a_hedged_request_gets_the_answer_of_the_second_attempt_and_the_first_is_cancelled() {
    let origin = origin(|wire| wire.rest().map(drop));
    let proxy = proxy(HEDGES, &origin);
    let mut wire = proxy.connect("web");
    let (status, text) = post(&mut wire, "/check/20000", 20_000);
    assert_eq!((status, text.as_str()), (200, "equal\n"));
    until("the first attempt to be cancelled", || (origin.ended() == 1).then_some(()));
    assert_eq!(retries(&proxy), 1.0);
    assert_eq!(proxy.metrics().sum("sidering_cluster_upstream_rq_per_try_timeout"), 0.0);
    assert_eq!(flags_of(&proxy, "/check/20000"), "-");
    // Both connections are fit for use: the client's, and the second upstream's.
    wire.get("/again").unwrap();
    assert_eq!(wire.response().unwrap().text(), "hello\n");
    assert_eq!(origin.accepted(), 2);
    drop((wire, origin));
    proxy.assert_home();
}

#[test]
fn a_hedged_request_gets_the_answer_of_the_first_attempt_if_it_comes_first() {
    let has_second = AtomicBool::new(false);
    let origin = Origin::start(move |wire, number| {
        wire.message()?;
        if number > 0 {
            has_second.store(true, Ordering::SeqCst);
            return wire.rest().map(drop);
        }
        until("the second attempt", || has_second.load(Ordering::SeqCst).then_some(()));
        web::reply(wire, 200, "first\n")?;
        wire.rest().map(drop)
    });
    let proxy = proxy(HEDGES, &origin);
    let mut wire = proxy.connect("web");
    wire.get("/").unwrap();
    assert_eq!(wire.response().unwrap().text(), "first\n");
    until("the second attempt to be cancelled", || (origin.ended() == 1).then_some(()));
    assert_eq!(proxy.metrics().sum("sidering_cluster_upstream_rq_retry_success"), 0.0);
    drop((wire, origin));
    proxy.assert_home();
}

#[test]
fn an_endpoint_that_refuses_costs_a_retry_and_no_request() {
    let origin = Origin::start(|wire, _| web::serve(wire));
    let proxy = proxy("{ on: [connect-failure] }", format!("{}\", \"{origin}", refused_address()));
    for number in 0..6 {
        let mut wire = proxy.connect("web");
        let (status, text) = post(&mut wire, &format!("/check/{number}"), number);
        assert_eq!((status, text.as_str()), (200, "equal\n"), "{number}");
    }
    assert!(retries(&proxy) >= 1.0);
    drop(origin);
    proxy.assert_home();
}

#[test]
fn an_answer_that_has_begun_is_never_begun_again() {
    let origin = Origin::recording(|wire, _| {
        wire.message()?;
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234")
    });
    let proxy = proxy("{ on: [5xx, reset], attempts: 3 }", &origin);
    let mut wire = proxy.connect("web");
    wire.get("/cut").unwrap();
    let (seen, _) = wire.rest().unwrap();
    assert!(seen.ends_with(b"\r\n\r\n01234"), "{}", String::from_utf8_lossy(&seen));
    assert_eq!(origin.accepted(), 1);
    assert_eq!(retries(&proxy), 0.0);
    drop(wire);
    proxy.assert_home();
}

#[test]
fn a_request_sets_its_own_retries_where_that_is_wanted() {
    let request =
        b"GET /own HTTP/1.1\r\nHost: a\r\nx-envoy-retry-on: reset\r\nx-envoy-max-retries: 1\r\n\r\n";
    for (mode, status) in [("obey", 200), ("strip", 503), ("ignore", 503)] {
        let origin = origin(|wire| wire.message().map(drop));
        let keys = format!("envoy_headers: {mode}");
        let config = Config::new().http("web", &keys, "{ match: {}, cluster: api }");
        let proxy = Proxy::start(&config.cluster("api", &origin, ""));
        let mut wire = proxy.connect("web");
        wire.send(request).unwrap();
        assert_eq!(wire.response().unwrap().status(), status, "{mode}");
        drop((wire, origin));
        proxy.assert_home();
    }
}

#[test]
fn one_request_too_many_is_refused_and_marked() {
    let origin = Origin::start(|wire, _| wire.rest().map(drop));
    let config = Config::new().http("web", "", "{ match: {}, cluster: api }");
    let proxy = Proxy::start(&config.cluster("api", &origin, "circuit_breaker: { max_requests: 1 }"));
    let mut first = proxy.connect("web");
    first.get("/first").unwrap();
    until("the first request is under way", || {
        (proxy.metrics().sum("sidering_cluster_upstream_rq_active") == 1.0).then_some(())
    });
    let mut second = proxy.connect("web");
    second.get("/second").unwrap();
    let answer = second.response().unwrap();
    assert_eq!((answer.status(), answer.head.value("x-envoy-overloaded")), (503, Some("true")));
    assert_eq!(flags_of(&proxy, "/second"), "UO");
    // One that only ends its own side would still be waited for.
    first.reset().unwrap();
    drop((second, origin));
    proxy.assert_home();
}
