//! Peers that take their time: each timeout of a listener and a route, and what the other side sees of it.

use crate::support::access_log::{flags_of, records};
use crate::support::web::{self, reply};
use crate::support::{Config, End, Origin, Proxy, let_pass, until};
use std::io::ErrorKind;
use std::time::{Duration, Instant};

fn with_limits(limits: &str, origin: &Origin) -> Config {
    Config::new()
        .http("web", &format!("limits: {{ {limits} }}"), "{ match: {}, cluster: api }")
        .cluster("api", origin, "")
}

#[test]
fn a_head_that_comes_byte_by_byte_is_a_408() {
    let origin = Origin::recording(|wire, _| web::serve(wire));
    let proxy = Proxy::start(&with_limits("request_headers_timeout: 1s", &origin));
    let mut wire = proxy.connect("web");
    let started = Instant::now();
    // A byte at a time for as long as the proxy takes them: progress must not put the timeout off.
    let mut head = b"GET / HTTP/1.1\r\nHost: a\r\nx: ".iter().chain(std::iter::repeat(&b'y'));
    wire.stream().set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    loop {
        let _ = wire.send(&[*head.next().unwrap()]);
        match wire.fill() {
            Ok(length) => {
                assert!(length > 0, "closed without an answer");
                break;
            }
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
            }
        }
        assert!(started.elapsed() < Duration::from_secs(15), "the timeout does not come");
    }
    assert!(started.elapsed() >= Duration::from_millis(900), "too early: {:?}", started.elapsed());
    wire.stream().set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(wire.response().unwrap().status(), 408);
    wire.assert_ended();
    assert_eq!(origin.seen_text(), "");
}

#[test]
fn a_body_that_does_not_come_is_a_408() {
    let origin = Origin::start(|wire, _| web::serve(wire));
    let proxy = Proxy::start(&with_limits("request_timeout: 1s", &origin));
    let mut wire = proxy.connect("web");
    wire.send(b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc").unwrap();
    let answer = wire.response().unwrap();
    assert_eq!((answer.status(), answer.head.value("connection")), (408, Some("close")));
    assert_eq!(wire.assert_ended(), End::Closed);
    until("the upstream's connection to end with it", || (origin.ended() == 1).then_some(()));
    proxy.assert_home();
}

#[test]
fn a_client_that_sends_nothing_is_closed_without_an_answer() {
    let origin = Origin::start(|wire, _| web::serve(wire));
    let proxy = Proxy::start(&with_limits("idle_timeout: 500ms", &origin));
    let mut fresh = proxy.connect("web");
    assert_eq!(fresh.assert_ended(), End::Closed);
    let mut used = proxy.connect("web");
    used.get("/").unwrap();
    used.response().unwrap();
    assert_eq!(used.assert_ended(), End::Closed);
}

#[test]
fn a_reader_that_stops_reading_is_cut_off() {
    let origin = Origin::start(|wire, _| web::serve(wire));
    let proxy = Proxy::start(&with_limits("stream_idle_timeout: 1s", &origin));
    let mut wire = proxy.connect("web");
    wire.get(&format!("/sized/{}", 100 * 1024 * 1024)).unwrap();
    until("the upstream's connection to be given up", || (origin.ended() == 1).then_some(()));
    let record = until("its record", || records(&proxy).pop());
    assert!(crate::support::access_log::flags(&record).contains("SI"), "{record}");
    let head = wire.head().unwrap();
    assert!(wire.body(&head, |_| {}).is_err(), "an answer cut short must not look whole");
    proxy.assert_home();
}

#[test]
fn an_upstream_that_does_not_answer_in_time_is_a_504() {
    let origin = Origin::start(|wire, _| {
        wire.head()?;
        wire.rest().map(|_| ())
    });
    let routes = "{ match: {}, cluster: api, timeout: 500ms }";
    let config = Config::new().http("web", "", routes).cluster("api", &origin, "");
    let proxy = Proxy::start(&config);
    let mut wire = proxy.connect("web");
    wire.get("/late").unwrap();
    assert_eq!(wire.response().unwrap().status(), 504);
    assert_eq!(flags_of(&proxy, "/late"), "UT");
    until("the upstream's connection to be given up", || (origin.ended() == 1).then_some(()));
    wire.get("/late-again").unwrap();
    assert_eq!(wire.response().unwrap().status(), 504, "the client's connection goes on");
    assert_eq!(proxy.metrics().sum_where("sidering_cluster_upstream_rq_timeout", "\"api\""), 2.0);
}

#[test]
fn an_upstream_that_stops_within_its_answer_is_cut_off_at_the_route_timeout() {
    let origin = Origin::start(|wire, _| {
        wire.head()?;
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")?;
        wire.rest().map(|_| ())
    });
    let routes = "{ match: {}, cluster: api, timeout: 700ms }";
    let config = Config::new().http("web", "", routes).cluster("api", &origin, "");
    let proxy = Proxy::start(&config);
    let mut wire = proxy.connect("web");
    wire.get("/stops").unwrap();
    assert_eq!(wire.head().unwrap().status(), 200);
    let (body, _) = wire.rest().unwrap();
    assert_eq!(body, b"abc");
    assert!(flags_of(&proxy, "/stops").contains("UT"));
}

#[test]
fn a_slow_answer_is_no_fault_where_no_timeout_says_so() {
    let origin = Origin::start(|wire, _| {
        wire.head()?;
        let_pass(Duration::from_millis(1500));
        reply(wire, 200, "in the end")
    });
    let limits = "limits: { stream_idle_timeout: 0s, request_headers_timeout: 500ms, idle_timeout: 500ms, \
                  request_timeout: 500ms }";
    let routes = "{ match: {}, cluster: api, timeout: 0s }";
    let proxy = Proxy::start(&Config::new().http("web", limits, routes).cluster("api", &origin, ""));
    let mut wire = proxy.connect("web");
    wire.get("/").unwrap();
    assert_eq!(wire.response().unwrap().text(), "in the end");
}

#[test]
fn a_client_that_leaves_mid_body_cancels_the_upstream_request() {
    let origin = Origin::start(|wire, _| {
        let head = wire.head()?;
        wire.body(&head, |_| {}).map(|_| ())
    });
    let proxy = Proxy::start(&Config::http_to(&origin));
    for how in ["reset", "close"] {
        let before = origin.ended();
        let mut wire = proxy.connect("web");
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc").unwrap();
        until("the request to reach the upstream", || (origin.accepted() == before + 1).then_some(()));
        if how == "reset" {
            wire.reset().unwrap();
        } else {
            drop(wire);
        }
        until("the upstream to be told", || (origin.ended() == before + 1).then_some(()));
    }
    let gone = until("both records", || Some(records(&proxy)).filter(|records| records.len() == 2));
    for record in gone {
        assert!(crate::support::access_log::flags(&record).contains("DC"), "{record}");
    }
    proxy.assert_home();
}

#[test]
fn a_client_that_leaves_before_the_answer_cancels_the_upstream_request() {
    let origin = Origin::start(|wire, _| {
        wire.head()?;
        wire.rest().map(|_| ())
    });
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    wire.get("/").unwrap();
    until("the request to reach the upstream", || (origin.accepted() == 1).then_some(()));
    wire.reset().unwrap();
    until("the upstream to be told", || (origin.ended() == 1).then_some(()));
    proxy.assert_home();
}
