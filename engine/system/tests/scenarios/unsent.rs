//! What a connection had yet to send when it was lost: the engine tells of no byte that the peer may have.

use std::io::Read;
use std::net::TcpStream;
use std::rc::Rc;
use std::time::Duration;

use crate::support::{Core, Pattern, connect};
use crate::under_test::{Engine, EngineChunk, Options};
use sidering_dataplane::io::{CloseMode, Completion, ConnId, Io, Segment, Time};
use sidering_system::queue::BYTES_PER_SEND;

/// More than sockets take, in pieces that no send ends with.
const PIECE: usize = 100_000;
const PIECES: usize = 200;

#[derive(Default)]
struct Sender {
    conn: Option<ConnId>,
    sent: usize,
    /// What was unsent when the connection was first told to be lost, and whether a send was told so.
    lost_with: Option<Vec<u8>>,
    has_failed: bool,
}

fn send(state: &mut Sender, engine: &mut Engine, _: Time, completion: Completion<EngineChunk>) {
    match completion {
        Completion::Accepted { conn, .. } => state.conn = Some(conn),
        Completion::Sent { bytes, .. } => state.sent += bytes,
        Completion::SendFailed { conn, .. } | Completion::ReceiveEnded { conn, result: Err(_) } => {
            state.has_failed |= matches!(completion, Completion::SendFailed { .. });
            state.lost_with.get_or_insert_with(|| unsent(engine, conn));
        }
        // The kernel tells an error once: whoever asks behind the send that was told of a reset is told of an end.
        Completion::ReceiveEnded { result: Ok(()), .. } if state.has_failed => {}
        other => panic!("unexpected {other:?}"),
    }
}

fn unsent(engine: &mut Engine, conn: ConnId) -> Vec<u8> {
    let mut bytes = vec![];
    engine.unsent(conn, &mut bytes);
    bytes
}

fn all_bytes() -> Vec<u8> {
    let mut bytes = vec![0; PIECE * PIECES];
    Pattern::new(3).fill(&mut bytes);
    bytes
}

/// A peer that is sent everything, and takes nothing of it.
fn stuffed() -> (Core<Sender>, TcpStream) {
    let core = Core::start(Options::default(), send);
    let peer = connect(core.listen());
    core.wait_until(|state, _| state.conn.is_some());
    core.ask(|script, engine, _| {
        let conn = script.state.conn.unwrap();
        for piece in all_bytes().chunks(PIECE) {
            engine.send(conn, Segment::Bytes(Rc::new(piece.to_vec())));
        }
        assert_eq!(unsent(engine, conn).len(), PIECE * PIECES, "nothing was sent before the turn's end");
    });
    core.wait_until(|state, _| state.sent > 0);
    (core, peer)
}

#[test]
fn a_peer_gets_nothing_of_what_is_unsent_when_its_connection_is_closed() {
    let (core, mut peer) = stuffed();
    let (left, after) = core.ask(|script, engine, _| {
        let conn = script.state.conn.unwrap();
        let left = unsent(engine, conn);
        engine.close(conn, CloseMode::Graceful);
        (left, unsent(engine, conn))
    });
    assert!(after.is_empty(), "a closed connection has nothing to send");
    let mut got = vec![];
    peer.read_to_end(&mut got).unwrap();
    let all = all_bytes();
    assert!(!left.is_empty() && !got.is_empty(), "{} unsent, {} read", left.len(), got.len());
    assert!(all.starts_with(&got) && all.ends_with(&left));
    let between = all.len().checked_sub(got.len() + left.len()).expect("bytes are unsent that the peer has");
    // A send that is under way may have left, or not.
    assert!(between <= BYTES_PER_SEND, "{between} bytes are nowhere");
    core.wait_until_empty();
    core.stop();
}

#[test]
fn a_send_that_fails_leaves_exactly_what_no_send_took() {
    let (core, peer) = stuffed();
    // With bytes that were not read it is reset.
    drop(peer);
    core.wait_until(|state, _| state.has_failed);
    core.let_turns_end();
    let (sent, left, later) = core.ask(|script, engine, _| {
        let conn = script.state.conn.unwrap();
        let later = unsent(engine, conn);
        engine.close(conn, CloseMode::Graceful);
        (script.state.sent, script.state.lost_with.take().unwrap(), later)
    });
    let all = all_bytes();
    assert_eq!(sent + left.len(), all.len());
    assert!(!left.is_empty() && all.ends_with(&left));
    assert!(later.is_empty(), "it is kept for no longer than the failure is told");
    core.wait_until_empty();
    core.stop();
}

#[test]
fn a_reset_leaves_no_byte_unsent_that_the_peer_may_have() {
    let (core, mut peer) = stuffed();
    core.ask(|script, engine, _| engine.receive(script.state.conn.unwrap()));
    let mut got = vec![0; 300_000];
    peer.read_exact(&mut got).unwrap();
    socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
    core.wait_until(|state, _| state.lost_with.is_some());
    core.ask(move |script, engine, _| {
        let (all, left) = (all_bytes(), script.state.lost_with.take().unwrap());
        assert!(!left.is_empty() && all.ends_with(&left) && all.starts_with(&got));
        let taken = all.len() - left.len();
        assert!(taken >= got.len(), "bytes are unsent that the peer has");
        assert!(taken >= script.state.sent && taken - script.state.sent <= BYTES_PER_SEND);
        engine.close(script.state.conn.unwrap(), CloseMode::Graceful);
    });
    core.wait_until_empty();
    core.stop();
}
