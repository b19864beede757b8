//! Connections that go from one core's engine to another's.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::{Core, connect};
use crate::under_test::{Engine, EngineChunk, Options};
use sidering_dataplane::io::{CloseMode, Completion, ConnId, Detached, Io, Segment, Time};

#[derive(Default)]
struct Lines {
    conns: Vec<ConnId>,
    paused: usize,
}

/// Sends back what comes in.
fn echo(state: &mut Lines, engine: &mut Engine, _: Time, completion: Completion<EngineChunk>) {
    match completion {
        Completion::Accepted { conn, .. } => {
            state.conns.push(conn);
            engine.receive(conn);
        }
        Completion::Received { conn, chunk } => engine.send(conn, Segment::Chunk(chunk)),
        Completion::ReceiveEnded { conn, .. } => engine.close(conn, CloseMode::Graceful),
        Completion::Paused { .. } => state.paused += 1,
        Completion::Sent { .. } => {}
        other => panic!("unexpected {other:?}"),
    }
}

fn exchange(peer: &mut TcpStream) {
    peer.write_all(b"and again").unwrap();
    let mut back = [0; 9];
    peer.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"and again");
}

/// Takes the only connection of a core out of it.
fn release(core: &Core<Lines>) -> Detached {
    let conn = core.ask(|script, engine, _| {
        let conn = script.state.conns.pop().unwrap();
        engine.pause(conn);
        conn
    });
    core.wait_until(|state, _| std::mem::take(&mut state.paused) == 1);
    core.ask(move |_, engine, _| engine.release(conn)).expect("it is at rest")
}

fn adopt(core: &Core<Lines>, socket: Detached) {
    core.ask(move |script, engine, _| {
        let conn = engine.adopt(socket).unwrap();
        engine.receive(conn);
        script.state.conns.push(conn);
    });
}

#[test]
fn a_connection_goes_on_at_another_core_and_comes_back() {
    let [one, other] = [0; 2].map(|_| Core::start(Options::default(), echo));
    let mut peer = connect(one.listen());
    exchange(&mut peer);
    let still_receives = one.ask(|script, engine, _| engine.release(script.state.conns[0]).is_none());
    assert!(still_receives, "it is not at rest");
    exchange(&mut peer);
    for _ in 0..3 {
        let socket = release(&one);
        one.wait_until_empty();
        adopt(&other, socket);
        exchange(&mut peer);
        let socket = release(&other);
        other.wait_until_empty();
        adopt(&one, socket);
        exchange(&mut peer);
    }
    // What is dropped on its way is closed.
    drop(release(&one));
    assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
    one.stop();
    other.stop();
}
