//! Accept, receive, send and close with many peers at once.

mod common;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::thread;

use common::{Core, Pattern, connect};
use sidering_dataplane::io::{CloseMode, Completion, ConnId, Io, IoError, Segment, Time};
use sidering_ring::{Ring, RingChunk, RingOptions};

/// What the echo knows of its connections.
#[derive(Default)]
struct Echo {
    conns: HashMap<ConnId, Line>,
    failures: Vec<IoError>,
}

#[derive(Default)]
struct Line {
    unsent: usize,
    ended: bool,
}

/// Sends back what comes in, and closes when the peer has ended and has everything. Chunks of more than three bytes go
/// out in three segments, so that gathering is exercised.
fn echo(state: &mut Echo, ring: &mut Ring, _: Time, completion: Completion<RingChunk>) {
    match completion {
        Completion::Accepted { conn, .. } => {
            state.conns.insert(conn, Line::default());
            ring.receive(conn);
        }
        Completion::Received { conn, chunk } => {
            let third = chunk.len() / 3;
            for part in [&chunk[..third], &chunk[third..2 * third], &chunk[2 * third..]] {
                ring.send(conn, Segment::Chunk(sidering_dataplane::io::Chunk::subset(&chunk, part)));
            }
            state.conns.get_mut(&conn).unwrap().unsent += chunk.len();
        }
        Completion::Sent { conn, bytes } => {
            let line = state.conns.get_mut(&conn).unwrap();
            line.unsent -= bytes;
            close_if_done(state, ring, conn);
        }
        Completion::ReceiveEnded { conn, result } => {
            state.failures.extend(result.err());
            let line = state.conns.get_mut(&conn).unwrap();
            line.ended = true;
            if result.is_err() {
                line.unsent = 0;
            }
            close_if_done(state, ring, conn);
        }
        Completion::SendFailed { conn, error } => {
            state.failures.push(error);
            state.conns.remove(&conn);
            ring.close(conn, CloseMode::Graceful);
        }
        other => panic!("unexpected {other:?}"),
    }
}

fn close_if_done(state: &mut Echo, ring: &mut Ring, conn: ConnId) {
    let line = &state.conns[&conn];
    if line.ended && line.unsent == 0 {
        state.conns.remove(&conn);
        ring.close(conn, CloseMode::Graceful);
    }
}

/// Sends `bytes` of a pattern and expects them back.
fn exchange(address: std::net::SocketAddr, seed: u64, bytes: usize) {
    let mut stream = connect(address);
    let mut writer = stream.try_clone().unwrap();
    let sender = thread::spawn(move || {
        let (mut pattern, mut buffer, mut left) = (Pattern::new(seed), vec![0; 50_000], bytes);
        while left > 0 {
            let part = &mut buffer[..left.min(50_000)];
            pattern.fill(part);
            writer.write_all(part).unwrap();
            left -= part.len();
        }
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let (mut pattern, mut expected, mut got) = (Pattern::new(seed), vec![0; 65_536], vec![0; 65_536]);
    let mut total = 0;
    loop {
        let read = stream.read(&mut got).unwrap();
        if read == 0 {
            break;
        }
        pattern.fill(&mut expected[..read]);
        assert!(got[..read] == expected[..read], "bytes differ after {total}");
        total += read;
    }
    sender.join().unwrap();
    assert_eq!(total, bytes);
}

fn exchange_with(core: &Core<Echo>, peers: u64, bytes: usize) {
    let address = core.listen();
    let threads: Vec<_> =
        (0..peers).map(|seed| thread::spawn(move || exchange(address, seed, bytes))).collect();
    for thread in threads {
        thread.join().unwrap();
    }
    core.wait_until_empty();
}

#[test]
fn one_peer_gets_its_bytes_back() {
    let core = Core::start(RingOptions::default(), echo);
    exchange_with(&core, 1, 10_000_000);
    core.stop();
}

#[test]
fn two_hundred_peers_get_their_bytes_back() {
    let core = Core::start(RingOptions::default(), echo);
    exchange_with(&core, 200, 200_000);
    core.stop();
}

#[test]
fn two_slots_serve_twenty_peers() {
    for bulk_slots_max in [0, 2] {
        let options = RingOptions { slots_max: 2, bulk_slots_max, ..RingOptions::default() };
        let core = Core::start(options, echo);
        exchange_with(&core, 20, 1_000_000);
        assert!(core.counters.receives_parked_total.get() > 0);
        core.wait_until(|_, _| true);
        core.stop();
    }
}

#[test]
fn tiny_queues_lose_nothing() {
    let options = RingOptions { entries: 8, completion_entries: 8, ..RingOptions::default() };
    let core = Core::start(options, echo);
    exchange_with(&core, 60, 300_000);
    assert!(core.counters.completion_queue_overflows.get() > 0, "the completion queue did not overflow");
    core.stop();
}

#[test]
fn a_reset_by_the_peer_is_told() {
    let core = Core::start(RingOptions::default(), echo);
    let address = core.listen();
    let mut stream = connect(address);
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(stream);
    core.wait_until(|state, _| state.failures == [IoError::Reset]);
    core.wait_until_empty();
    core.stop();
}
