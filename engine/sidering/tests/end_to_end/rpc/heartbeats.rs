//! Whether the other side is still there: heartbeats on idle connections and as health checks, and announcements of the end.

use super::bolt::{self, call};
use super::calls_to;
use super::others::{golden, read_dubbo};
use crate::support::{Config, Origin, Proxy, Wire, until};
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const SERVICE: &str = "com.alipay.test.TestService:1.0";

/// An origin that says its number, and may be frozen: then it takes connections, and answers nothing.
struct Freezable {
    origin: Origin,
    is_frozen: Arc<AtomicBool>,
    /// Heartbeats that it has answered.
    pongs: Arc<AtomicUsize>,
}

impl Freezable {
    fn start(number: u8) -> Freezable {
        let (is_frozen, pongs) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (frozen, count) = (Arc::clone(&is_frozen), Arc::clone(&pongs));
        let origin = Origin::start(move |wire, _| {
            loop {
                let frame = bolt::read(wire)?;
                while frozen.load(Ordering::SeqCst) {
                    std::thread::park_timeout(Duration::from_millis(5));
                }
                if frame.is_ping() {
                    wire.send(&frame.pong().bytes())?;
                    count.fetch_add(1, Ordering::SeqCst);
                } else {
                    wire.send(&frame.answer(bolt::SUCCESS, &[number]).bytes())?;
                }
            }
        });
        Freezable { origin, is_frozen, pongs }
    }

    fn freeze(&self, is_frozen: bool) {
        self.is_frozen.store(is_frozen, Ordering::SeqCst);
    }

    fn pongs(&self) -> usize {
        self.pongs.load(Ordering::SeqCst)
    }
}

impl Drop for Freezable {
    fn drop(&mut self) {
        self.freeze(false);
    }
}

/// One worker in front of both.
fn in_front_of(both: &[Freezable; 2], keys: &str) -> Proxy {
    let addresses = both.each_ref().map(|it| format!("\"{}\"", it.origin));
    let config = Config::new().rpc("calls", "bolt", "", "{ match: {}, cluster: api }");
    Proxy::start(&config.cluster_of("api", &addresses, keys))
}

/// Who answers.
fn ask(wire: &mut Wire) -> u8 {
    wire.send(&call(1, SERVICE, "hello", b"").bytes()).unwrap();
    let answer = bolt::read(wire).unwrap();
    assert_eq!(answer.status, bolt::SUCCESS, "{answer:?}");
    answer.content[0]
}

fn has_flags(proxy: &Proxy, origin: &Origin, flags: &str) -> bool {
    proxy.admin("/clusters").1.contains(&format!("api::{origin}::health_flags::{flags}\n"))
}

#[test]
fn an_endpoint_that_freezes_is_ejected_and_calls_go_to_the_other() {
    let both = [0, 1].map(Freezable::start);
    let proxy = in_front_of(&both, "heartbeat: { interval: 50ms, max_interval: 50ms, timeout: 300ms }");
    let mut wire = proxy.connect("calls");
    assert_ne!(ask(&mut wire), ask(&mut wire));
    until("heartbeats of both", || (both[0].pongs() > 0 && both[1].pongs() > 0).then_some(()));
    both[0].freeze(true);
    until("the ejection", || has_flags(&proxy, &both[0].origin, "/failed_outlier_check").then_some(()));
    for _ in 0..10 {
        assert_eq!(ask(&mut wire), 1);
    }
    assert!(!has_flags(&proxy, &both[1].origin, "/failed_outlier_check"));
    let metrics = proxy.metrics();
    assert_eq!(metrics.sum("sidering_cluster_outlier_detection_ejections_enforced_heartbeat"), 1.0);
    assert!(metrics.sum("sidering_cluster_upstream_heartbeat_missed") >= 1.0);
}

#[test]
fn a_check_by_heartbeat_finds_whoever_only_takes_connections() {
    let both = [0, 1].map(Freezable::start);
    both[0].freeze(true);
    let check = "health_check: { heartbeat: {}, interval: 50ms, no_traffic_interval: 50ms, timeout: 300ms, unhealthy: 1 }";
    let proxy = in_front_of(&both, check);
    let mut wire = proxy.connect("calls");
    assert!(has_flags(&proxy, &both[0].origin, "/failed_active_hc"), "{}", proxy.admin("/clusters").1);
    for _ in 0..10 {
        assert_eq!(ask(&mut wire), 1);
    }
    both[0].freeze(false);
    until("the other one to be back", || (ask(&mut wire) == 0).then_some(()));
    both[0].freeze(true);
    until("its failure", || has_flags(&proxy, &both[0].origin, "/failed_active_hc").then_some(()));
    for _ in 0..10 {
        assert_eq!(ask(&mut wire), 1);
    }
}

#[test]
fn the_end_is_announced_in_bolt_where_that_is_asked_for() {
    for (keys, is_announced) in [("go_away: true", true), ("", false)] {
        let origin = Origin::start(|wire, _| bolt::echo(wire));
        let config = Config::new().rpc("calls", "bolt", keys, "{ match: {}, cluster: api }");
        let mut proxy = Proxy::start(&config.cluster("api", &origin, ""));
        let mut wire = proxy.connect("calls");
        wire.send(&call(1, SERVICE, "hello", b"").bytes()).unwrap();
        bolt::read(&mut wire).unwrap();
        proxy.signal(Signal::TERM);
        if is_announced {
            let last = bolt::read(&mut wire).unwrap();
            assert!(last.is_go_away(), "{last:?}");
        }
        wire.assert_ended();
        drop(wire);
        assert!(proxy.end_within(Duration::from_secs(10)).is_some());
    }
}

#[test]
fn an_upstream_that_announces_its_end_gets_its_next_call_on_another_connection() {
    let origin = Origin::start(|wire, number| {
        loop {
            let frame = bolt::read(wire)?;
            let answer = frame.answer(bolt::SUCCESS, &[number as u8]);
            // In front of the answer: the call that is under way must not be lost by it.
            wire.send(&[bolt::go_away().bytes(), answer.bytes()].concat())?;
        }
    });
    let proxy = Proxy::start(&calls_to("bolt", &origin));
    let mut wire = proxy.connect("calls");
    for number in 0..5 {
        assert_eq!(ask(&mut wire), number);
    }
}

#[test]
fn a_read_only_event_of_dubbo_is_obeyed() {
    // An event, one-way, of hessian2: `R`.
    let read_only = [0xda, 0xbb, 0xa2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 1, b'R'];
    let origin = Origin::start(move |wire, number| {
        loop {
            let asked = read_dubbo(wire)?;
            let mut answer = golden("dubbo response");
            answer[4..12].copy_from_slice(&asked[4..12]);
            // Kept apart from all others: what it is answered by.
            answer[3] = 20 + number as u8;
            wire.send(&[&read_only[..], &answer].concat())?;
        }
    });
    let proxy = Proxy::start(&calls_to("dubbo", &origin));
    let mut wire = proxy.connect("calls");
    for number in 0..3 {
        wire.send(&golden("dubbo request")).unwrap();
        assert_eq!(read_dubbo(&mut wire).unwrap()[3], 20 + number);
    }
    assert_eq!(origin.accepted(), 3);
}
