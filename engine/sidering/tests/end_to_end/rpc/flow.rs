//! Calls that are large, clients that are slow, and the end of the process: what one connection does is not felt on another.

use super::bolt::{self, call};
use super::calls_to;
use crate::support::pattern::{self, Checker};
use crate::support::{Config, Origin, Proxy, Wire, until};
use rustix::process::Signal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SERVICE: &str = "com.alipay.test.TestService:1.0";
const LARGE: usize = 8 * 1024 * 1024;

#[test]
fn large_calls_and_answers_stream_through() {
    let origin = Origin::start(|wire, _| {
        loop {
            let (frame, length) = bolt::read_head(wire)?;
            let mut checker = Checker::default();
            wire.sized(length as u64, |bytes| checker.feed(bytes))?;
            let status = if checker.verdict(length as u64).is_ok() { bolt::SUCCESS } else { 1 };
            let head = frame.answer(status, b"").head(length);
            wire.send(&head)?;
            pattern::write(&mut wire.stream(), length as u64)?;
        }
    });
    let proxy = Proxy::start(&calls_to("bolt", &origin));
    let mut wire = proxy.connect("calls");
    for id in 0..3 {
        let mut sender = wire.try_clone().unwrap();
        let sending = std::thread::spawn(move || {
            sender.send(&call(id, SERVICE, "large", b"").head(LARGE)).unwrap();
            pattern::write(&mut sender.stream(), LARGE as u64).unwrap();
        });
        let (answer, length) = bolt::read_head(&mut wire).unwrap();
        assert_eq!((answer.id, answer.status, length), (id, bolt::SUCCESS, LARGE));
        let mut checker = Checker::default();
        wire.sized(length as u64, |bytes| checker.feed(bytes)).unwrap();
        assert_eq!(checker.verdict(LARGE as u64), Ok(()));
        sending.join().unwrap();
    }
    let metrics = proxy.metrics();
    assert_eq!(metrics.sum("sidering_body_bytes_copied"), 0.0);
    drop(wire);
    drop(origin);
    proxy.assert_home();
}

#[test]
fn a_client_that_never_reads_stops_no_other() {
    let origin = Origin::start(|wire, _| {
        loop {
            let frame = bolt::read(wire)?;
            let large = frame.header("sofa_head_method_name") == Some("large");
            let content = if large { vec![b'x'; 256 * 1024] } else { frame.content.clone() };
            wire.send(&frame.answer(bolt::SUCCESS, &content).bytes())?;
        }
    });
    let proxy = Proxy::start(&calls_to("bolt", &origin));
    let mut deaf = proxy.connect("calls");
    // Far more than sockets and the proxy hold.
    let calls: Vec<u8> = (0..200).flat_map(|id| call(id, SERVICE, "large", b"").bytes()).collect();
    deaf.send(&calls).unwrap();
    let mut wire = proxy.connect("calls");
    for id in 0..200u32 {
        wire.send(&call(id, SERVICE, "small", &id.to_be_bytes()).bytes()).unwrap();
        let answer = bolt::read(&mut wire).unwrap();
        assert_eq!((answer.id, answer.content.as_slice()), (id, id.to_be_bytes().as_slice()));
    }
    assert!(proxy.memory_bytes() < 64 * 1024 * 1024, "{} bytes", proxy.memory_bytes());
    drop((deaf, wire, origin));
    proxy.assert_home();
}

/// Answers only once it may.
fn holding() -> (Origin, Arc<AtomicBool>) {
    let open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&open);
    let origin = Origin::start(move |wire, _| {
        loop {
            let frame = bolt::read(wire)?;
            until("the gate to open", || gate.load(Ordering::SeqCst).then_some(()));
            wire.send(&frame.answer(bolt::SUCCESS, &frame.content).bytes())?;
        }
    });
    (origin, open)
}

/// Ten calls that are under way.
fn calls_under_way(proxy: &Proxy) -> Wire {
    let mut wire = proxy.connect("calls");
    for id in 0..10 {
        wire.send(&call(id, SERVICE, "hello", b"there").bytes()).unwrap();
    }
    until("the calls to be under way", || {
        (proxy.metrics().sum("sidering_cluster_upstream_rq_active") == 10.0).then_some(())
    });
    wire
}

#[track_caller]
fn assert_ten_answers(wire: &mut Wire) {
    let mut ids: Vec<u32> = (0..10)
        .map(|_| {
            let answer = bolt::read(wire).unwrap();
            assert_eq!((answer.status, answer.content.as_slice()), (bolt::SUCCESS, b"there".as_slice()));
            answer.id
        })
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..10).collect::<Vec<_>>());
}

#[test]
fn a_drain_lets_calls_in_flight_finish() {
    let (origin, open) = holding();
    let mut proxy = Proxy::start(&calls_to("bolt", &origin).set("drain_timeout: 15s"));
    let mut idle = proxy.connect("calls");
    idle.send(&bolt::heartbeat(1).bytes()).unwrap();
    assert!(bolt::read(&mut idle).unwrap().is_pong());
    let mut wire = calls_under_way(&proxy);
    proxy.signal(Signal::TERM);
    idle.assert_ended();
    open.store(true, Ordering::SeqCst);
    assert_ten_answers(&mut wire);
    wire.assert_ended();
    let status = proxy.end_within(Duration::from_secs(10)).expect("nothing is left to wait for");
    assert_eq!(status.code(), Some(0), "{}", proxy.said());
}

#[test]
fn a_reload_leaves_calls_in_flight_where_they_are() {
    let (origin, open) = holding();
    let names: Arc<Mutex<Vec<String>>> = Arc::default();
    let sink = Arc::clone(&names);
    let fresh = Origin::start(move |wire, _| {
        loop {
            let frame = bolt::read(wire)?;
            sink.lock().unwrap().push(frame.header("service").unwrap_or_default().to_owned());
            wire.send(&frame.answer(bolt::SUCCESS, b"fresh").bytes())?;
        }
    });
    let proxy = Proxy::start(&calls_to("bolt", &origin));
    let mut wire = calls_under_way(&proxy);
    let routes = "{ match: {}, cluster: fresh }";
    let after = Config::new().rpc("calls", "bolt", "", routes);
    let after = after.cluster("api", &origin, "").cluster("fresh", &fresh, "");
    proxy.write_config(&after.text(proxy.folder()));
    proxy.signal(Signal::HUP);
    until("the new route", || {
        let mut wire = proxy.connect("calls");
        wire.send(&bolt::Frame { timeout_ms: 100, ..call(1, SERVICE, "hello", b"") }.bytes()).ok()?;
        (bolt::read(&mut wire).ok()?.content == b"fresh").then_some(())
    });
    wire.send(&call(11, SERVICE, "hello", b"").bytes()).unwrap();
    let answer = bolt::read(&mut wire).unwrap();
    assert_eq!((answer.id, answer.content.as_slice()), (11, b"fresh".as_slice()), "the same connection");
    open.store(true, Ordering::SeqCst);
    assert_ten_answers(&mut wire);
    assert!(names.lock().unwrap().iter().all(|name| name == SERVICE));
}
