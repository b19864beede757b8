//! Backpressure: pausing and resuming, queues that a slow peer leaves long, and bytes that must all arrive.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Core, Hash, Pattern, connect};
use crate::under_test::{Engine, EngineChunk, Options};
use sidering_dataplane::io::{CloseMode, Completion, ConnId, Io, Segment, Time};

/// Passes bytes from the first connection to the second, and stops receiving while too much is queued.
#[derive(Default)]
struct Valve {
    conns: Vec<ConnId>,
    queued: usize,
    most_queued: usize,
    paused: bool,
    pauses: usize,
    at_rest: bool,
    ended: bool,
}

const HIGH_WATER: usize = 1 << 20;
const LOW_WATER: usize = 1 << 18;

fn valve(state: &mut Valve, engine: &mut Engine, _: Time, completion: Completion<EngineChunk>) {
    match completion {
        Completion::Accepted { conn, .. } => {
            state.conns.push(conn);
            if let [first, _] = state.conns[..] {
                engine.receive(first);
            }
        }
        Completion::Received { chunk, .. } => {
            assert!(!state.at_rest, "bytes came after Paused");
            state.queued += chunk.len();
            state.most_queued = state.most_queued.max(state.queued);
            engine.send(state.conns[1], Segment::Chunk(chunk));
            if state.queued > HIGH_WATER && !state.paused {
                state.paused = true;
                engine.pause(state.conns[0]);
            }
        }
        Completion::Paused { .. } => {
            state.pauses += 1;
            state.at_rest = true;
        }
        Completion::Sent { bytes, .. } => {
            state.queued -= bytes;
            if state.queued < LOW_WATER && state.paused {
                state.paused = false;
                state.at_rest = false;
                engine.receive(state.conns[0]);
            }
        }
        Completion::ReceiveEnded { result, .. } => {
            result.unwrap();
            state.ended = true;
            engine.shutdown(state.conns[1]);
        }
        other => panic!("unexpected {other:?}"),
    }
}

#[test]
fn a_hundred_mebibytes_pass_a_slow_reader_in_bounded_memory() {
    const BYTES: usize = 100 << 20;
    let core = Core::start(Options::default(), valve);
    let address = core.listen();
    let mut source = connect(address);
    core.wait_until(|state, _| state.conns.len() == 1);
    let mut sink = connect(address);
    let sender = thread::spawn(move || {
        let (mut pattern, mut hash, mut buffer) = (Pattern::new(9), Hash::default(), vec![0; 1 << 20]);
        for _ in 0..BYTES >> 20 {
            pattern.fill(&mut buffer);
            hash.add(&buffer);
            source.write_all(&buffer).unwrap();
        }
        source.shutdown(Shutdown::Write).unwrap();
        hash
    });
    core.wait_until(|state, _| state.pauses > 0);
    let (mut hash, mut buffer, mut total) = (Hash::default(), vec![0; 200_000], 0);
    loop {
        let read = sink.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        hash.add(&buffer[..read]);
        total += read;
    }
    assert_eq!((total, hash), (BYTES, sender.join().unwrap()));
    let most = core.ask(|script, _, _| script.state.most_queued);
    // A turn may bring a burst before the pause takes hold.
    assert!(most < HIGH_WATER + (8 << 20), "{most} bytes were queued");
    core.ask(|script, engine, _| {
        for conn in script.state.conns.drain(..) {
            engine.close(conn, CloseMode::Graceful);
        }
    });
    core.wait_until_empty();
    core.stop();
}

/// Notes what comes, in order.
#[derive(Default)]
struct Log {
    conn: Option<ConnId>,
    lines: Vec<String>,
}

fn log(state: &mut Log, _: &mut Engine, _: Time, completion: Completion<EngineChunk>) {
    match completion {
        Completion::Accepted { conn, .. } => state.conn = Some(conn),
        Completion::Received { chunk, .. } => {
            // Bytes may come in any cut.
            let text = String::from_utf8_lossy(&chunk).into_owned();
            match state.lines.last_mut() {
                Some(line) if line.starts_with("bytes:") => line.push_str(&text),
                _ => state.lines.push(format!("bytes:{text}")),
            }
        }
        Completion::Paused { .. } => state.lines.push("paused".into()),
        Completion::ReceiveEnded { result, .. } => state.lines.push(format!("ended {}", result.is_ok())),
        Completion::SendFailed { .. } => state.lines.push("send failed".into()),
        Completion::Sent { bytes, .. } => state.lines.push(format!("sent {bytes}")),
        other => panic!("unexpected {other:?}"),
    }
}

fn expect(core: &Core<Log>, lines: &[&str]) {
    let expected: Vec<String> = lines.iter().map(ToString::to_string).collect();
    core.wait_until(move |state, _| state.lines == expected);
}

fn conn_of(core: &Core<Log>) -> ConnId {
    core.wait_until(|state, _| state.conn.is_some());
    core.ask(|script, _, _| script.state.conn.unwrap())
}

#[test]
fn a_paused_connection_takes_no_byte_until_it_is_resumed() {
    let core = Core::start(Options::default(), log);
    let mut peer = connect(core.listen());
    let conn = conn_of(&core);
    peer.write_all(b"one").unwrap();
    core.ask(move |_, engine, _| engine.receive(conn));
    expect(&core, &["bytes:one"]);
    core.ask(move |_, engine, _| engine.pause(conn));
    expect(&core, &["bytes:one", "paused"]);
    peer.write_all(b"two").unwrap();
    // The kernel has it (the peer's write is done), and it stays there.
    core.ask(|_, _, _| ());
    expect(&core, &["bytes:one", "paused"]);
    // At rest: told once more, in the next turn.
    core.ask(move |_, engine, _| {
        engine.pause(conn);
        engine.pause(conn);
    });
    expect(&core, &["bytes:one", "paused", "paused"]);
    core.ask(move |_, engine, _| engine.receive(conn));
    expect(&core, &["bytes:one", "paused", "paused", "bytes:two"]);
    peer.shutdown(Shutdown::Write).unwrap();
    expect(&core, &["bytes:one", "paused", "paused", "bytes:two", "ended true"]);
    core.ask(move |_, engine, _| {
        engine.receive(conn);
        engine.close(conn, CloseMode::Graceful);
    });
    core.wait_until_empty();
    core.stop();
}

#[test]
fn a_pause_is_taken_back() {
    let core = Core::start(Options::default(), log);
    let mut peer = connect(core.listen());
    let conn = conn_of(&core);
    // While starting, while armed, and at rest; many times over.
    for _ in 0..200 {
        core.ask(move |_, engine, _| {
            engine.receive(conn);
            engine.pause(conn);
            engine.receive(conn);
        });
        core.ask(move |_, engine, _| {
            engine.pause(conn);
            engine.receive(conn);
        });
        core.ask(move |_, engine, _| {
            engine.pause(conn);
            engine.receive(conn);
            engine.pause(conn);
            engine.receive(conn);
        });
    }
    peer.write_all(b"still here").unwrap();
    expect(&core, &["bytes:still here"]);
    core.ask(move |_, engine, _| engine.close(conn, CloseMode::Graceful));
    core.wait_until_empty();
    core.stop();
}

#[test]
fn a_paused_is_not_told_of_a_closed_connection() {
    let core = Core::start(Options::default(), log);
    let _peer = connect(core.listen());
    let conn = conn_of(&core);
    core.ask(move |_, engine, _| {
        engine.pause(conn);
        engine.close(conn, CloseMode::Graceful);
        // Calls that name it do nothing.
        engine.receive(conn);
        engine.pause(conn);
        engine.send(conn, Segment::Static(b"x"));
        engine.shutdown(conn);
        engine.relay(conn, conn, 1);
        assert_eq!(engine.peer_address(conn), None);
    });
    core.wait_until_empty();
    expect(&core, &[]);
    core.stop();
}

#[test]
fn the_half_close_waits_for_the_queue() {
    let core = Core::start(Options::default(), log);
    let mut peer = connect(core.listen());
    let conn = conn_of(&core);
    core.ask(move |_, engine, _| {
        assert!(engine.peer_address(conn).is_some());
        engine.send(conn, Segment::Static(b"last "));
        engine.send(conn, Segment::Static(b""));
        engine.send(conn, Segment::Bytes(std::rc::Rc::new(b"words".to_vec())));
        engine.shutdown(conn);
        engine.send(conn, Segment::Static(b"never"));
    });
    let mut text = String::new();
    peer.read_to_string(&mut text).unwrap();
    assert_eq!(text, "last words");
    core.ask(move |_, engine, _| engine.receive(conn));
    peer.write_all(b"heard").unwrap();
    expect(&core, &["sent 10", "bytes:heard"]);
    core.ask(move |_, engine, _| engine.close(conn, CloseMode::Graceful));
    core.wait_until_empty();
    core.stop();
}

#[test]
fn a_core_sleeps_while_a_peer_does_not_read_and_goes_on_when_it_does() {
    const BYTES: usize = 20 << 20;
    let core = Core::start(Options::default(), log);
    let mut peer = connect(core.listen());
    let conn = conn_of(&core);
    core.ask(move |_, engine, _| engine.send(conn, Segment::Bytes(std::rc::Rc::new(vec![7; BYTES]))));
    // The peer's socket fills up: nothing more goes on then, and nothing is to be done.
    let (mut quiet_since, mut turns) = (Instant::now(), core.counters.turns.get());
    let until = Instant::now() + Duration::from_secs(30);
    while quiet_since.elapsed() < Duration::from_millis(200) {
        assert!(Instant::now() < until, "a core whose peer does not read takes turns");
        if core.counters.turns.get() != turns {
            (quiet_since, turns) = (Instant::now(), core.counters.turns.get());
        }
        thread::yield_now();
    }
    let sent: usize = core.ask(|script, _, _| {
        let lines = script.state.lines.iter().filter_map(|line| line.strip_prefix("sent "));
        lines.map(|bytes| bytes.parse::<usize>().unwrap()).sum()
    });
    assert!(sent < BYTES, "the peer's socket took all of it");
    let mut got = vec![0; BYTES];
    peer.read_exact(&mut got).unwrap();
    assert!(got.iter().all(|byte| *byte == 7));
    core.ask(move |_, engine, _| engine.close(conn, CloseMode::Graceful));
    core.wait_until_empty();
    core.stop();
}

#[test]
fn a_queue_longer_than_a_turn_sends_arrives_whole_and_in_order() {
    const SEGMENTS: usize = 5000;
    let core = Core::start(Options::default(), log);
    let mut peer = connect(core.listen());
    let conn = conn_of(&core);
    core.ask(move |_, engine, _| {
        for number in 0..SEGMENTS {
            engine.send(conn, Segment::Bytes(std::rc::Rc::new(format!("{number:06}").into_bytes())));
        }
        engine.shutdown(conn);
    });
    let mut text = String::new();
    peer.read_to_string(&mut text).unwrap();
    let expected: String = (0..SEGMENTS).map(|number| format!("{number:06}")).collect();
    assert!(text == expected, "{} bytes came, or in another order", text.len());
    core.ask(move |_, engine, _| engine.close(conn, CloseMode::Graceful));
    core.wait_until_empty();
    core.stop();
}

#[test]
fn sending_to_a_peer_that_reset_fails_once() {
    let core = Core::start(Options::default(), log);
    let peer = connect(core.listen());
    let conn = conn_of(&core);
    socket2::SockRef::from(&peer).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(peer);
    core.ask(move |_, engine, _| engine.send(conn, Segment::Static(b"anybody there?")));
    expect(&core, &["send failed"]);
    core.ask(move |_, engine, _| {
        engine.send(conn, Segment::Static(b"hello?"));
        engine.shutdown(conn);
    });
    core.ask(|_, _, _| ());
    expect(&core, &["send failed"]);
    core.ask(move |_, engine, _| engine.close(conn, CloseMode::Graceful));
    core.wait_until_empty();
    core.stop();
}
