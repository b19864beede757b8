//! Accept, receive, send and close with many peers at once.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;

use crate::support::{Core, LISTENER, Pattern, connect};
use crate::under_test::{Engine, EngineChunk, Options};
use sidering_dataplane::io::{Address, CloseMode, Completion, ConnId, Io, IoError, Segment, Time};
use sidering_system::{Delivery, socket};

/// What the echo knows of its connections.
#[derive(Default)]
pub(crate) struct Echo {
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
pub(crate) fn echo(state: &mut Echo, engine: &mut Engine, _: Time, completion: Completion<EngineChunk>) {
    match completion {
        Completion::Accepted { conn, .. } => {
            state.conns.insert(conn, Line::default());
            engine.receive(conn);
        }
        Completion::Received { conn, chunk } => {
            let third = chunk.len() / 3;
            for part in [&chunk[..third], &chunk[third..2 * third], &chunk[2 * third..]] {
                engine.send(conn, Segment::Chunk(sidering_dataplane::io::Chunk::subset(&chunk, part)));
            }
            state.conns.get_mut(&conn).unwrap().unsent += chunk.len();
        }
        Completion::Sent { conn, bytes } => {
            let line = state.conns.get_mut(&conn).unwrap();
            line.unsent -= bytes;
            close_if_done(state, engine, conn);
        }
        Completion::ReceiveEnded { conn, result } => {
            state.failures.extend(result.err());
            let line = state.conns.get_mut(&conn).unwrap();
            line.ended = true;
            if result.is_err() {
                line.unsent = 0;
            }
            close_if_done(state, engine, conn);
        }
        Completion::SendFailed { conn, error } => {
            state.failures.push(error);
            state.conns.remove(&conn);
            engine.close(conn, CloseMode::Graceful);
        }
        other => panic!("unexpected {other:?}"),
    }
}

fn close_if_done(state: &mut Echo, engine: &mut Engine, conn: ConnId) {
    let line = &state.conns[&conn];
    if line.ended && line.unsent == 0 {
        state.conns.remove(&conn);
        engine.close(conn, CloseMode::Graceful);
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

pub(crate) fn exchange_with(core: &Core<Echo>, peers: u64, bytes: usize) {
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
    let core = Core::start(Options::default(), echo);
    exchange_with(&core, 1, 10_000_000);
    core.stop();
}

#[test]
fn two_hundred_peers_get_their_bytes_back() {
    let core = Core::start(Options::default(), echo);
    exchange_with(&core, 200, 200_000);
    core.stop();
}

#[test]
fn two_slots_serve_twenty_peers() {
    for bulk_slots_max in [0, 2] {
        let options = Options { slots_max: 2, bulk_slots_max, ..Options::default() };
        let core = Core::start(options, echo);
        exchange_with(&core, 20, 1_000_000);
        assert!(core.counters.receives_parked_total.get() > 0);
        core.stop();
    }
}

#[test]
fn peers_on_a_unix_socket_get_their_bytes_back() {
    let core = Core::start(Options::default(), echo);
    let folder = std::env::temp_dir().join(format!("sidering-echo-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("echo.sock");
    let listener = socket::open_listener(&Address::Unix(path.clone().into()), 16, false).unwrap();
    core.mailbox.send(Delivery::Listen(LISTENER, listener)).ok().unwrap();
    core.ask(|_, engine, _| engine.accept(LISTENER));
    for bytes in [1, 16_384, 3_000_000] {
        let mut peer = UnixStream::connect(&path).unwrap();
        let mut writer = peer.try_clone().unwrap();
        let mut sent = vec![0; bytes];
        Pattern::new(4).fill(&mut sent);
        let sender = thread::spawn(move || {
            writer.write_all(&sent).unwrap();
            writer.shutdown(std::net::Shutdown::Write).unwrap();
            sent
        });
        let mut got = Vec::new();
        peer.read_to_end(&mut got).unwrap();
        assert!(got == sender.join().unwrap(), "bytes differ");
    }
    core.wait_until_empty();
    std::fs::remove_dir_all(&folder).unwrap();
    core.stop();
}

#[test]
fn a_reset_by_the_peer_is_told() {
    let core = Core::start(Options::default(), echo);
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
