//! A thousand connections that end at random moments, from either side, in every way: nothing is left behind.

use crate::support::pattern;
use crate::support::web;
use crate::support::{Config, Origin, Proxy, Wire, turns};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

const CONNECTIONS: u64 = 1000;
const CLIENTS: u64 = 16;
const ALLOWED_BYTES: u64 = 24 * 1024 * 1024;

/// Random numbers that are the same in every run, as far as threads allow.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) % sides
    }
}

/// Ends a connection with a reset or without.
fn kill(wire: Wire, dice: &mut Dice) {
    if dice.roll(2) == 0 {
        let _ = wire.reset();
    }
}

/// An upstream that sometimes dies: before its answer, within its head, within its body.
fn dying() -> Origin {
    static SEEDS: AtomicU64 = AtomicU64::new(1);
    Origin::start(|wire, _| {
        let mut dice = Dice::new(SEEDS.fetch_add(1, Ordering::Relaxed));
        loop {
            let head = wire.head()?;
            match dice.roll(12) {
                0 => return wire.try_clone()?.reset(),
                1 => return wire.send(b"HTTP/1.1 200 OK\r\nContent-Le"),
                2 => {
                    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n")?;
                    pattern::write(&mut wire.stream(), dice.roll(500_000))?;
                    return if dice.roll(2) == 0 { wire.try_clone()?.reset() } else { Ok(()) };
                }
                3 => {
                    // Answers without reading the body, and goes.
                    return web::reply(wire, 413, "too much");
                }
                _ => {
                    wire.body(&head, |_| {})?;
                    respond(wire, &mut dice)?;
                }
            }
        }
    })
}

fn respond(wire: &mut Wire, dice: &mut Dice) -> io::Result<()> {
    let length = [0, 10, 3000, 20_000, 400_000][dice.roll(5) as usize];
    if dice.roll(2) == 0 {
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        web::send_chunks(wire, length)
    } else {
        wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes())?;
        pattern::write(&mut wire.stream(), length)
    }
}

/// One client's connection, ended at a random moment of a random exchange. Errors are what this is about.
fn http_client(proxy: &Proxy, dice: &mut Dice) -> io::Result<()> {
    let mut wire = proxy.connect("web");
    for _ in 0..=dice.roll(3) {
        let mut request = match dice.roll(3) {
            0 => b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
            1 => {
                let mut request = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n".to_vec();
                request.extend_from_slice(&pattern::bytes(300_000));
                request
            }
            _ => b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n".repeat(5),
        };
        let is_cut = dice.roll(3) == 0;
        if is_cut {
            request.truncate(dice.roll(request.len() as u64) as usize);
        }
        wire.send(&request)?;
        if is_cut || dice.roll(3) == 0 {
            break;
        }
        wire.fill()?;
    }
    kill(wire, dice);
    Ok(())
}

fn raw_client(proxy: &Proxy, dice: &mut Dice) -> io::Result<()> {
    let mut wire = proxy.connect("raw");
    wire.send(b"GET /x HTTP/1.1\r\n\r\n")?;
    wire.send(pattern::piece(0, dice.roll(60_000)))?;
    if dice.roll(2) == 0 {
        wire.fill()?;
    }
    kill(wire, dice);
    Ok(())
}

/// All connections, from several threads at once.
fn storm(proxy: &Proxy, seed: u64) {
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || {
                let mut dice = Dice::new(1000 * seed + client);
                for _ in 0..CONNECTIONS / CLIENTS {
                    let _ = if dice.roll(4) == 0 {
                        raw_client(proxy, &mut dice)
                    } else {
                        http_client(proxy, &mut dice)
                    };
                }
            });
        }
    });
}

#[test]
fn connections_killed_at_random_moments_leave_nothing_behind() {
    let _turn = turns::heavy();
    let origin = dying();
    let config = Config::http_to(&origin).tcp("raw", "").set("workers: 2");
    let mut proxy = Proxy::start(&config);
    // The first storm shows what memory a storm needs; those that follow must not need more and more.
    storm(&proxy, 1);
    let first = proxy.memory_bytes();
    for seed in 2..=6 {
        storm(&proxy, seed);
        proxy.assert_alive();
    }
    let last = proxy.memory_bytes();
    assert!(last.saturating_sub(first) < ALLOWED_BYTES, "{first} bytes, then {last}");
    let metrics = proxy.metrics();
    for happened in [
        "sidering_body_bytes_relayed",
        "sidering_cluster_upstream_rq_rx_reset",
        "sidering_cluster_upstream_rq_retry_stale",
    ] {
        assert!(metrics.sum(happened) > 0.0, "a storm without {happened} shows nothing");
    }
    // Only a ring has operations under way when a connection is closed.
    let late = metrics.sum("sidering_late_completions") > 0.0;
    assert_eq!(late, crate::ENGINE == "uring", "late completions");
    drop(origin);
    proxy.assert_home();
    let metrics = proxy.metrics();
    for gauge in [
        "sidering_listener_downstream_cx_active",
        "sidering_cluster_upstream_cx_active",
        "sidering_cluster_upstream_rq_active",
        "sidering_cluster_upstream_rq_pending_active",
        "sidering_http_downstream_rq_active",
    ] {
        assert_eq!(metrics.sum(gauge), 0.0, "{gauge}");
    }
    assert_eq!(metrics.sum("sidering_completion_queue_overflows"), 0.0);
}
