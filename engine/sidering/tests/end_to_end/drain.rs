//! The end: SIGTERM lets requests finish, SIGINT does not, and nothing takes longer than it may.

use crate::support::web::{self, reply};
use crate::support::{Config, End, Origin, Proxy, Wire, until};
use rustix::process::Signal;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Answers `/slow` only when told to.
fn holding_back() -> (Origin, impl Fn()) {
    let (release, released) = channel::<()>();
    let released: Arc<Mutex<Receiver<()>>> = Arc::new(Mutex::new(released));
    let origin = Origin::start(move |wire, _| {
        loop {
            let head = wire.head()?;
            if head.target() == "/slow" {
                let _ = released.lock().expect("one at a time").recv_timeout(Duration::from_secs(20));
            }
            reply(wire, 200, "done")?;
        }
    });
    (origin, move || release.send(()).expect("the origin listens"))
}

/// A request that is on its way to an upstream which holds its answer back.
fn slow_request(proxy: &Proxy, origin: &Origin) -> Wire {
    let before = origin.accepted();
    let mut wire = proxy.connect("web");
    wire.get("/slow").unwrap();
    until("the request to reach the upstream", || (origin.accepted() > before).then_some(()));
    wire
}

/// Waits until nobody accepts there any more.
fn assert_refused(address: SocketAddr) {
    until("connections to be refused", || match Wire::connect(address) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Some(()),
        _ => None,
    });
}

#[test]
fn requests_in_flight_finish_and_everything_else_ends() {
    let (origin, release) = holding_back();
    let mut proxy = Proxy::start(&Config::http_to(&origin).set("drain_timeout: 15s"));
    let mut idle = proxy.connect("web");
    idle.get("/").unwrap();
    assert_eq!(idle.response().unwrap().head.value("connection"), None);
    // The idle connection's upstream is taken: this request opens another one or takes it over.
    let mut busy = proxy.connect("web");
    busy.get("/slow").unwrap();
    until("the request to be under way", || {
        let active = proxy.metrics().sum_where("sidering_cluster_upstream_rq_active", "\"api\"");
        (active == 1.0).then_some(())
    });
    let address = proxy.address("web");
    proxy.signal(Signal::TERM);
    assert_eq!(idle.assert_ended(), End::Closed);
    assert_refused(address);
    release();
    let answer = busy.response().unwrap();
    assert_eq!(answer.text(), "done");
    assert_eq!(answer.head.value("connection"), Some("close"));
    assert_eq!(busy.assert_ended(), End::Closed);
    let status = proxy.end_within(Duration::from_secs(10)).expect("nothing is left to wait for");
    assert_eq!(status.code(), Some(0), "{}", proxy.said());
}

#[test]
fn a_request_that_does_not_finish_is_cut_at_the_drain_timeout() {
    let (origin, _release) = holding_back();
    let mut proxy = Proxy::start(&Config::http_to(&origin).set("drain_timeout: 1s"));
    let mut busy = slow_request(&proxy, &origin);
    let started = Instant::now();
    proxy.signal(Signal::TERM);
    let status = proxy.end_within(Duration::from_secs(8)).expect("the drain has a timeout");
    assert!(started.elapsed() >= Duration::from_millis(900), "cut too early: {:?}", started.elapsed());
    assert_eq!(status.code(), Some(0), "{}", proxy.said());
    assert!(busy.rest().unwrap().0.is_empty(), "no answer is made up");
}

#[test]
fn a_second_term_ends_it_at_once() {
    let (origin, _release) = holding_back();
    let mut proxy = Proxy::start(&Config::http_to(&origin).set("drain_timeout: 60s"));
    let _busy = slow_request(&proxy, &origin);
    let address = proxy.address("web");
    proxy.signal(Signal::TERM);
    assert_refused(address);
    proxy.assert_alive();
    proxy.signal(Signal::TERM);
    assert!(proxy.end_within(Duration::from_secs(8)).is_some(), "the second TERM is not heard");
}

#[test]
fn int_ends_it_at_once() {
    let (origin, _release) = holding_back();
    let mut proxy = Proxy::start(&Config::http_to(&origin).set("drain_timeout: 60s"));
    let mut busy = slow_request(&proxy, &origin);
    proxy.signal(Signal::INT);
    assert!(proxy.end_within(Duration::from_secs(8)).is_some(), "INT is not heard");
    assert!(busy.rest().unwrap().0.is_empty(), "no answer is made up");
}

#[test]
fn a_body_under_way_is_finished() {
    let length = 30 * 1024 * 1024;
    let origin = Origin::start(|wire, _| web::serve(wire));
    let mut proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    wire.get(&format!("/sized/{length}")).unwrap();
    let head = wire.head().unwrap();
    proxy.signal(Signal::TERM);
    assert_refused(proxy.address("web"));
    let mut checker = crate::support::pattern::Checker::default();
    wire.body(&head, |bytes| checker.feed(bytes)).unwrap();
    assert_eq!(checker.verdict(length), Ok(()));
    assert_eq!(proxy.end_within(Duration::from_secs(10)).expect("it ends").code(), Some(0));
}

#[test]
fn a_tunnel_lasts_until_the_drain_timeout() {
    let origin = Origin::start(|wire, _| {
        loop {
            wire.fill()?;
            let bytes = wire.left_over().len();
            wire.send(format!("{bytes}\n").as_bytes())?;
        }
    });
    let mut proxy = Proxy::start(&Config::tcp_to(&origin).set("drain_timeout: 2s"));
    let mut wire = proxy.connect("raw");
    wire.send(b"a").unwrap();
    wire.fill().unwrap();
    let address = proxy.address("raw");
    proxy.signal(Signal::TERM);
    assert_refused(address);
    wire.send(b"b").unwrap();
    wire.fill().unwrap();
    assert_eq!(wire.left_over(), b"1\n2\n", "the tunnel still works");
    assert_eq!(proxy.end_within(Duration::from_secs(8)).expect("it ends").code(), Some(0));
    wire.rest().unwrap();
}

#[test]
fn an_idle_proxy_ends_at_once() {
    let origin = Origin::start(|wire, _| web::serve(wire));
    let mut proxy = Proxy::start(&Config::http_to(&origin).set("drain_timeout: 60s"));
    proxy.signal(Signal::TERM);
    let status = proxy.end_within(Duration::from_secs(8)).expect("there is nothing to wait for");
    assert_eq!(status.code(), Some(0), "{}", proxy.said());
}
