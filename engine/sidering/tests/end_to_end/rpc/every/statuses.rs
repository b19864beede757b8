//! What a call is told that cannot be carried out: in its protocol's own terms, and its connection goes on.

use super::super::dialects::{DIALECTS, Dialect, assert_answered};
use super::terms::{Why, status, status_of};
use super::{ask, listener, origin_of};
use crate::support::access_log::records;
use crate::support::{Config, Origin, Proxy, Wire, until};
use std::net::TcpListener;

/// A refusal, behind which the connection carries calls as before.
#[track_caller]
fn assert_refused(dialect: &Dialect, wire: &mut Wire, why: Why, case: &str) {
    let answer = ask(dialect, wire, &dialect.call(5));
    let case = format!("{}, {case}: {answer:x?}", dialect.name);
    assert_eq!(status(dialect, &answer), status_of(dialect, why), "{case}");
    assert!(answer != dialect.answer(5), "{case}");
}

/// Found out to be so before the first call.
const UNWELL: &str =
    "healthy_panic_threshold: 0, health_check: { tcp: {}, interval: 50ms, timeout: 1s, unhealthy: 1 }";

#[test]
fn of_calls_that_have_nowhere_to_go() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for dialect in &DIALECTS {
        let config = Config::new().rpc(
            "lost",
            dialect.protocol,
            "",
            "{ match: { service: nobody.has.it }, cluster: down }",
        );
        let config = listener(config, dialect, "down", "", "cluster: down");
        let config = listener(config, dialect, "unwell", "", "cluster: unwell");
        let config = config.cluster("down", closed, "").cluster("unwell", closed, UNWELL);
        let proxy = Proxy::start(&config);
        for (name, why) in [("lost", Why::NoRoute), ("down", Why::Busy), ("unwell", Why::Busy)] {
            let mut wire = proxy.connect(name);
            for _ in 0..3 {
                assert_refused(dialect, &mut wire, why, name);
            }
        }
        let of =
            |flag: &str| records(&proxy).iter().filter(|record| record["response_flags"] == flag).count();
        until("all records", || ([of("NR"), of("UF"), of("UH")] == [3, 3, 3]).then_some(()));
        proxy.assert_home();
    }
}

#[test]
fn of_calls_beyond_a_limit() {
    const LIMIT: &str =
        "filters: [{ name: local_rate_limit, token_bucket: { max_tokens: 2, fill_interval: 1h } }]";
    for dialect in &DIALECTS {
        let origin = origin_of(dialect);
        let config = listener(Config::new(), dialect, "calls", LIMIT, "cluster: api");
        let proxy = Proxy::start(&config.cluster("api", &origin, ""));
        let mut wire = proxy.connect("calls");
        for _ in 0..2 {
            assert_answered(dialect, &mut wire, dialect.name);
        }
        for _ in 0..3 {
            assert_refused(dialect, &mut wire, Why::Busy, "limited");
        }
        assert_eq!(origin.accepted(), 1, "{}", dialect.name);
        drop((wire, origin));
        proxy.assert_home();
    }
}

#[test]
fn of_calls_that_a_fault_ends_or_holds_up() {
    let fault = |what: &str| format!("filters: [{{ name: fault, {what} }}]");
    for dialect in &DIALECTS {
        let origin = origin_of(dialect);
        let config = [
            ("slow", "delay: { fixed_delay: 20ms, percentage: 100 }"),
            ("late", "abort: { http_status: 504, percentage: 100 }"),
            ("busy", "abort: { http_status: 503, percentage: 100 }"),
            ("lost", "abort: { http_status: 404, percentage: 100 }"),
        ]
        .into_iter()
        .fold(Config::new(), |config, (name, what)| {
            listener(config, dialect, name, &fault(what), "cluster: api")
        });
        let proxy = Proxy::start(&config.cluster("api", &origin, ""));
        for (name, why) in [("late", Why::TimedOut), ("busy", Why::Busy), ("lost", Why::NoRoute)] {
            let mut wire = proxy.connect(name);
            for _ in 0..2 {
                assert_refused(dialect, &mut wire, why, name);
            }
        }
        assert_eq!(origin.accepted(), 0, "{}", dialect.name);
        let mut wire = proxy.connect("slow");
        wire.send(&dialect.call(6).repeat(3)).unwrap();
        for _ in 0..3 {
            assert_eq!(dialect.read(&mut wire).unwrap(), dialect.answer(6), "{}", dialect.name);
        }
        let metrics = proxy.metrics();
        assert_eq!(metrics.sum("sidering_http_fault_delays_injected"), 3.0, "{}", dialect.name);
        drop((wire, origin));
        proxy.assert_home();
    }
}

#[test]
fn of_calls_that_are_too_many_at_once() {
    for dialect in &DIALECTS {
        let origin = Origin::start(move |wire, _| {
            // It stays under way.
            dialect.read(wire)?;
            dialect.serve(wire)
        });
        let breaker = "circuit_breaker: { max_requests: 1 }";
        let config = listener(Config::new(), dialect, "calls", "", "cluster: api");
        let proxy = Proxy::start(&config.cluster("api", &origin, breaker));
        let mut first = proxy.connect("calls");
        first.send(&dialect.call(5)).unwrap();
        until("the first call to be under way", || {
            (proxy.metrics().sum("sidering_cluster_upstream_rq_active") == 1.0).then_some(())
        });
        let mut second = proxy.connect("calls");
        for _ in 0..3 {
            assert_refused(dialect, &mut second, Why::Busy, "too many");
        }
        assert_eq!(
            proxy.metrics().sum("sidering_cluster_upstream_rq_pending_overflow"),
            3.0,
            "{}",
            dialect.name
        );
        drop((first, second, origin));
        proxy.assert_home();
    }
}
