//! A side that does not read costs bounded memory, and gets everything once it reads again.

use crate::support::pattern::{self, Checker};
use crate::support::web;
use crate::support::{Config, Origin, Proxy, let_pass, turns, until};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const LENGTH: u64 = 200 * 1024 * 1024;
/// For one reader that stopped.
const ALLOWED_BYTES: u64 = 8 * 1024 * 1024;
/// With the receive buffers that a fast transfer leaves published until the pool gives them back.
const ALLOWED_WITH_POOL_BYTES: u64 = 16 * 1024 * 1024;
/// What both pools of receive buffers of one core may hold, and some more for what is not a buffer.
const POOLS_BYTES: u64 = 144 * 1024 * 1024;

/// Watches the proxy's memory for `duration`; tells the most that it grew by.
fn most_growth(proxy: &Proxy, before: u64, duration: Duration) -> u64 {
    let deadline = Instant::now() + duration;
    let mut most = 0;
    while Instant::now() < deadline {
        most = most.max(proxy.memory_bytes().saturating_sub(before));
        let_pass(Duration::from_millis(100));
    }
    most
}

/// Memory once every path was used, so that what is allocated once does not count.
fn warm_memory(proxy: &Proxy) -> u64 {
    let mut wire = proxy.connect("web");
    wire.get("/sized/1000").unwrap();
    wire.response().unwrap();
    drop(wire);
    proxy.memory_bytes()
}

#[track_caller]
fn assert_bounded_for_a_stopped_reader(framing: &str) {
    let _turn = turns::heavy();
    let origin = Origin::start(|wire, _| web::serve(wire));
    let proxy = Proxy::start(&Config::http_to(&origin));
    let before = warm_memory(&proxy);
    let mut wire = proxy.connect("web");
    wire.get(&format!("/{framing}/{LENGTH}")).unwrap();
    let growth = most_growth(&proxy, before, Duration::from_secs(10));
    assert!(growth < ALLOWED_BYTES, "{growth} bytes more for a reader that stopped");
    let head = wire.head().unwrap();
    let mut checker = Checker::default();
    wire.body(&head, |bytes| checker.feed(bytes)).unwrap();
    assert_eq!(checker.verdict(LENGTH), Ok(()));
    drop((wire, origin));
    proxy.assert_home();
    until("the memory of the burst to go back to the system", || {
        (proxy.memory_bytes().saturating_sub(before) < ALLOWED_BYTES / 2).then_some(())
    });
}

#[test]
fn a_reader_that_stops_for_ten_seconds_costs_bounded_memory() {
    assert_bounded_for_a_stopped_reader("sized");
}

#[test]
fn a_reader_that_stops_within_chunks_costs_bounded_memory() {
    assert_bounded_for_a_stopped_reader("chunked");
}

#[test]
fn an_upstream_that_does_not_read_costs_bounded_memory() {
    let _turn = turns::heavy();
    let origin = Origin::start(|wire, _| {
        loop {
            let head = wire.head()?;
            if head.length().or(head.is_chunked().then_some(LENGTH)).is_some() {
                let_pass(Duration::from_secs(3));
            }
            let mut checker = Checker::default();
            wire.body(&head, |bytes| checker.feed(bytes))?;
            let verdict = checker.verdict(LENGTH).err().unwrap_or("equal".to_owned());
            web::reply(wire, 200, &verdict)?;
        }
    });
    let proxy = Proxy::start(&Config::http_to(&origin));
    let before = warm_memory(&proxy);
    for framing in ["Content-Length: 209715200", "Transfer-Encoding: chunked"] {
        let mut wire = proxy.connect("web");
        let mut out = wire.try_clone().unwrap();
        wire.send(format!("PUT / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n").as_bytes()).unwrap();
        let sent = std::thread::spawn(move || {
            if framing.starts_with('C') {
                pattern::write(&mut out.stream(), LENGTH)
            } else {
                web::send_chunks(&mut out, LENGTH)
            }
        });
        let growth = most_growth(&proxy, before, Duration::from_secs(3));
        assert!(
            growth < ALLOWED_WITH_POOL_BYTES,
            "{framing}: {growth} bytes more for an upstream that stopped"
        );
        assert_eq!(wire.response().unwrap().text(), "equal", "{framing}");
        sent.join().unwrap().unwrap();
    }
    drop(origin);
    proxy.assert_home();
}

#[test]
fn a_hundred_stopped_readers_cost_bounded_memory_and_disturb_nobody() {
    let _turn = turns::heavy();
    let sent = Arc::new(AtomicU64::new(0));
    let ours = Arc::clone(&sent);
    let origin = Origin::start(move |wire, _| {
        loop {
            let head = wire.head()?;
            if head.target() != "/endless" {
                web::reply(wire, 200, "hello")?;
                continue;
            }
            wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            loop {
                wire.send(b"1000\r\n")?;
                wire.send(pattern::piece(0, 4096))?;
                wire.send(b"\r\n")?;
                ours.fetch_add(4096, Ordering::Relaxed);
            }
        }
    });
    let proxy = Proxy::start(&Config::http_to(&origin));
    let before = warm_memory(&proxy);
    let mut stopped: Vec<_> = (0..100).map(|_| proxy.connect("web")).collect();
    for wire in &mut stopped {
        wire.get("/endless").unwrap();
    }
    // All upstreams are stuck once nothing more is sent.
    let mut last = (0, Instant::now());
    until("all upstreams to be held up", || {
        let now = sent.load(Ordering::Relaxed);
        if now != last.0 {
            last = (now, Instant::now());
        }
        (now > 0 && last.1.elapsed() > Duration::from_millis(500)).then_some(())
    });
    let growth = proxy.memory_bytes().saturating_sub(before);
    assert!(growth < POOLS_BYTES, "{growth} bytes more for 100 stopped readers");
    let mut other = proxy.connect("web");
    for _ in 0..50 {
        other.get("/").unwrap();
        assert_eq!(other.response().unwrap().text(), "hello");
    }
    drop((stopped, other, origin));
    proxy.assert_home();
}
