//! Calls that go wrong, in bolt's own terms: the one that fails is told so, and its connection goes on.

use super::bolt::{self, Frame, call};
use super::calls_to;
use crate::support::{Config, Origin, Proxy, Wire, until};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const SERVICE: &str = "com.alipay.test.TestService:1.0";

/// Asks, and takes the answer to it.
#[track_caller]
fn ask(wire: &mut Wire, asked: &Frame) -> Frame {
    wire.send(&asked.bytes()).unwrap();
    let answer = bolt::read(wire).unwrap();
    assert_eq!(answer.id, asked.id);
    answer
}

/// The connection still carries calls.
#[track_caller]
fn assert_usable(wire: &mut Wire) {
    assert_eq!(ask(wire, &call(99, SERVICE, "works", b"still")).content, b"still");
}

#[test]
fn heartbeats_are_answered_here() {
    let origin = Origin::start(|wire, _| bolt::echo(wire));
    let proxy = Proxy::start(&calls_to("bolt", &origin));
    let mut wire = proxy.connect("calls");
    for id in [7, 0, u32::MAX] {
        let pong = ask(&mut wire, &bolt::heartbeat(id));
        assert!(pong.is_pong() && pong.status == bolt::SUCCESS, "{pong:?}");
    }
    assert_eq!(origin.accepted(), 0, "they are no business of the upstream's");
}

#[test]
fn an_upstream_that_dies_fails_its_own_calls_alone() {
    let dies = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&dies);
    let doomed = Origin::start(move |wire, _| {
        for _ in 0..10 {
            bolt::read(wire)?;
        }
        until("the word", || told.load(Ordering::SeqCst).then_some(()));
        Ok(())
    });
    let origin = Origin::start(|wire, _| {
        let held: Vec<_> = (0..10).map(|_| bolt::read(wire)).collect::<Result<_, _>>()?;
        // Until the other one is gone, and the client has been told so.
        bolt::read(wire)?;
        for frame in held.iter().rev() {
            wire.send(&frame.answer(bolt::SUCCESS, &frame.content).bytes())?;
        }
        bolt::echo(wire)
    });
    let routes = "{ match: { method: doomed }, cluster: doomed }, { match: {}, cluster: api }";
    let config = Config::new().rpc("calls", "bolt", "", routes).cluster("api", &origin, "");
    let proxy = Proxy::start(&config.cluster("doomed", &doomed, ""));
    let mut wire = proxy.connect("calls");
    for id in 0..20 {
        let method = if id % 2 == 0 { "doomed" } else { "works" };
        wire.send(&call(id, SERVICE, method, &id.to_be_bytes()).bytes()).unwrap();
    }
    until("all to be under way", || {
        let active = proxy.metrics().sum("sidering_cluster_upstream_rq_active");
        (active == 20.0).then_some(())
    });
    dies.store(true, Ordering::SeqCst);
    for _ in 0..10 {
        let answer = bolt::read(&mut wire).unwrap();
        assert_eq!((answer.id % 2, answer.status), (0, bolt::THREADPOOL_BUSY), "{answer:?}");
    }
    wire.send(&Frame { kind: bolt::ONE_WAY, ..call(77, SERVICE, "go", b"") }.bytes()).unwrap();
    for _ in 0..10 {
        let answer = bolt::read(&mut wire).unwrap();
        assert_eq!((answer.id % 2, answer.status), (1, bolt::SUCCESS), "{answer:?}");
        assert_eq!(answer.content, answer.id.to_be_bytes());
    }
    assert_usable(&mut wire);
}

#[test]
fn bytes_of_no_frame_end_the_connection_and_nothing_else() {
    let origin = Origin::start(|wire, _| bolt::echo(wire));
    let proxy = Proxy::start(&calls_to("bolt", &origin));
    let mut other = proxy.connect("calls");
    assert_usable(&mut other);
    let mut wire = proxy.connect("calls");
    assert_usable(&mut wire);
    wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    wire.assert_ended();
    assert_usable(&mut other);
    assert_eq!(proxy.metrics().sum_where("sidering_http_downstream_cx_protocol_error", "calls"), 1.0);
}
