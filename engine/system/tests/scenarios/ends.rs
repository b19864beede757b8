//! The end of connections, of listeners and of the engine, with everything in flight.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::support::{Core, LISTENER, connect};
use crate::under_test::{CLOSES_LATE, Engine, EngineChunk, Options};
use rustix::io::Errno;
use sidering_dataplane::io::{
    Address, CloseMode, Completion, ConnId, ConnectOptions, Io, IoError, ListenerId, Segment, Time,
};
use sidering_system::{Delivery, socket};

#[derive(Default)]
struct Seen {
    conns: VecDeque<ConnId>,
    chunks: Vec<EngineChunk>,
    connected: Vec<Result<(), IoError>>,
    accept_failures: Vec<IoError>,
    ended: usize,
    /// Completions that name a connection which was closed.
    ghosts: usize,
    closed: Vec<ConnId>,
    keep_chunks: bool,
}

fn see(state: &mut Seen, engine: &mut Engine, _: Time, completion: Completion<EngineChunk>) {
    let named = match &completion {
        Completion::Accepted { conn, .. }
        | Completion::Connected { conn, .. }
        | Completion::Received { conn, .. }
        | Completion::ReceiveEnded { conn, .. }
        | Completion::Paused { conn }
        | Completion::Sent { conn, .. }
        | Completion::SendFailed { conn, .. } => Some(*conn),
        Completion::Relayed { from, .. } | Completion::RelayEnded { from, .. } => Some(*from),
        Completion::AcceptFailed { .. } => None,
    };
    state.ghosts += usize::from(named.is_some_and(|conn| state.closed.contains(&conn)));
    match completion {
        Completion::Accepted { conn, .. } => {
            state.conns.push_back(conn);
            engine.receive(conn);
        }
        Completion::Received { chunk, .. } if state.keep_chunks => state.chunks.push(chunk),
        Completion::Connected { result, .. } => state.connected.push(result),
        Completion::AcceptFailed { error, .. } => state.accept_failures.push(error),
        Completion::ReceiveEnded { .. } => state.ended += 1,
        _ => {}
    }
}

impl Seen {
    fn close(&mut self, engine: &mut Engine, conn: ConnId, mode: CloseMode) {
        self.closed.push(conn);
        engine.close(conn, mode);
    }
}

fn close_all(core: &Core<Seen>) {
    core.ask(|script, engine, _| {
        while let Some(conn) = script.state.conns.pop_front() {
            script.state.close(engine, conn, CloseMode::Graceful);
        }
        script.state.chunks.clear();
    });
    core.wait_until_empty();
    assert_eq!(core.ask(|script, _, _| script.state.ghosts), 0, "a closed connection was named");
}

#[test]
fn a_thousand_closes_with_everything_in_flight_lose_nothing() {
    let core = Core::start(Options::default(), see);
    let address = core.listen();
    core.ask(|script, _, _| script.state.keep_chunks = true);
    for round in 0..1000 {
        let mut peer = connect(address);
        peer.write_all(&[7; 3000]).unwrap();
        core.wait_until(|state, _| state.conns.len() == 1);
        core.ask(move |script, engine, _| {
            let conn = script.state.conns.pop_front().unwrap();
            if round % 2 == 0 {
                // More than the peer's socket takes: a send is in flight when the connection is closed.
                engine.send(conn, Segment::Bytes(Rc::new(vec![1; 20 << 20])));
                engine.send(conn, Segment::Static(b"and more"));
            }
            if round % 3 == 0 {
                engine.pause(conn);
            }
            for chunk in script.state.chunks.drain(..) {
                engine.send(conn, Segment::Chunk(chunk));
            }
            if round % 5 == 0 {
                let mode = if round % 10 == 0 { CloseMode::Reset } else { CloseMode::Graceful };
                script.state.close(engine, conn, mode);
            } else {
                script.state.conns.push_back(conn);
            }
        });
        if round % 7 == 0 {
            drop(peer);
        }
        core.ask(move |script, engine, _| {
            while let Some(conn) = script.state.conns.pop_front() {
                let mode = if round % 4 == 0 { CloseMode::Reset } else { CloseMode::Graceful };
                script.state.close(engine, conn, mode);
            }
        });
    }
    close_all(&core);
    assert_eq!(core.counters.late_completions.get() > 0, CLOSES_LATE);
    core.stop();
}

#[test]
fn a_reset_is_no_orderly_end() {
    let core = Core::start(Options::default(), see);
    let address = core.listen();
    for (mode, expected) in
        [(CloseMode::Graceful, None), (CloseMode::Reset, Some(ErrorKind::ConnectionReset))]
    {
        let mut peer = connect(address);
        core.wait_until(|state, _| state.conns.len() == 1);
        core.ask(move |script, engine, _| {
            let conn = script.state.conns.pop_front().unwrap();
            script.state.close(engine, conn, mode);
        });
        let result = peer.read(&mut [0]);
        assert_eq!(result.as_ref().err().map(std::io::Error::kind), expected, "{result:?}");
    }
    close_all(&core);
    core.stop();
}

#[test]
fn connects_succeed_fail_and_are_given_up() {
    let core = Core::start(Options::default(), see);
    let there = TcpListener::bind("127.0.0.1:0").unwrap();
    let six = TcpListener::bind("[::1]:0").unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let directory = std::env::temp_dir().join(format!("sidering-connect-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("there.sock");
    let _unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let addresses = [
        Address::Ip(there.local_addr().unwrap()),
        Address::Ip(six.local_addr().unwrap()),
        Address::Unix(path.into()),
        Address::Ip(gone),
        Address::Unix(directory.join("not there.sock").into()),
    ];
    let expected =
        [Ok(()), Ok(()), Ok(()), Err(IoError::Refused), Err(IoError::Other(Errno::NOENT.raw_os_error()))];
    for (address, expected) in addresses.into_iter().zip(expected) {
        core.ask(move |script, engine, _| {
            let conn = engine.connect(&address, &ConnectOptions::default()).unwrap();
            script.state.conns.push_back(conn);
            engine.receive(conn);
        });
        core.wait_until(move |state, _| state.connected == [expected]);
        core.ask(|script, _, _| script.state.connected.clear());
    }
    // Nobody answers there (TEST-NET-1), or the way is barred: closed before it is decided.
    core.ask(|script, engine, _| {
        let nowhere = Address::Ip(SocketAddr::from(([192, 0, 2, 1], 9)));
        if let Ok(conn) = engine.connect(&nowhere, &ConnectOptions::default()) {
            script.state.close(engine, conn, CloseMode::Graceful);
        }
    });
    close_all(&core);
    std::fs::remove_dir_all(&directory).unwrap();
    core.stop();
}

#[test]
fn names_of_an_index_used_again_are_told_apart() {
    let core = Core::start(Options::default(), see);
    let address = core.listen();
    let mut last: Option<ConnId> = None;
    for _ in 0..100 {
        let mut peer = connect(address);
        peer.write_all(b"late?").unwrap();
        core.wait_until(|state, _| state.conns.len() == 1);
        let conn = core.ask(|script, engine, _| {
            let conn = script.state.conns.pop_front().unwrap();
            script.state.close(engine, conn, CloseMode::Graceful);
            conn
        });
        core.wait_until(|_, engine| engine.connections() == 0);
        if let Some(last) = last {
            assert_eq!(conn.index, last.index);
            assert_ne!(conn.generation, last.generation);
            core.ask(move |_, engine, _| engine.send(last, Segment::Static(b"to nobody")));
        }
        last = Some(conn);
    }
    close_all(&core);
    core.stop();
}

#[test]
fn a_full_table_stops_accepting_until_it_is_told_to_go_on() {
    let options = Options { connections_max: 2, ..Options::default() };
    let core = Core::start(options, see);
    let address = core.listen();
    let _one = connect(address);
    let _two = connect(address);
    core.wait_until(|state, _| state.conns.len() == 2);
    let three = connect(address);
    core.wait_until(|state, _| state.accept_failures == [IoError::DescriptorsExhausted]);
    assert!(
        core.ask(move |_, engine, _| engine
            .connect(&Address::Ip(address), &ConnectOptions::default())
            .is_err())
    );
    drop(three);
    core.ask(|script, engine, _| {
        let conn = script.state.conns.pop_front().unwrap();
        script.state.close(engine, conn, CloseMode::Graceful);
    });
    core.wait_until(|_, engine| engine.connections() == 1);
    core.ask(|_, engine, _| engine.accept(LISTENER));
    let _four = connect(address);
    core.wait_until(|state, _| state.conns.len() == 2);
    close_all(&core);
    core.stop();
}

#[test]
fn a_closed_listener_leaves_nobody_in_its_backlog() {
    let core = Core::start(Options::default(), see);
    let any = Address::Ip(SocketAddr::from(([127, 0, 0, 1], 0)));
    let listener = socket::open_listener(&any, 256, true).unwrap();
    let address = socket::local_address(&listener).unwrap();
    core.mailbox.send(Delivery::Listen(LISTENER, listener)).ok().unwrap();
    // Never accepted by the engine: all are in the backlog when the listener is closed.
    let mut peers: Vec<TcpStream> = (0..100).map(|_| connect(address)).collect();
    core.ask(|_, engine, _| engine.close_listener(LISTENER));
    core.wait_until(|state, _| state.conns.len() == 100);
    core.ask(|script, engine, _| {
        for conn in &script.state.conns {
            engine.send(*conn, Segment::Static(b"!"));
        }
    });
    for peer in &mut peers {
        peer.read_exact(&mut [0]).unwrap();
    }
    // The port is free at once, and another listener of the same number can take its place.
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    let address = core.listen();
    let _peer = connect(address);
    core.wait_until(|state, _| state.conns.len() == 101);
    core.ask(|_, engine, _| {
        engine.close_listener(LISTENER);
        engine.close_listener(LISTENER);
        engine.accept(ListenerId(99));
    });
    core.wait_until(|state, _| state.accept_failures == [IoError::Other(Errno::BADF.raw_os_error())]);
    close_all(&core);
    core.stop();
}

#[test]
fn an_engine_ends_with_everything_in_flight() {
    for round in 0..20 {
        let core = Core::start(Options::default(), see);
        let address = core.listen();
        let mut peers: Vec<TcpStream> = (0..10).map(|_| connect(address)).collect();
        for peer in &mut peers {
            peer.write_all(&[1; 5000]).unwrap();
        }
        core.wait_until(|state, _| state.conns.len() == 10);
        core.ask(move |script, engine, _| {
            script.state.keep_chunks = round % 2 == 0;
            let conns: Vec<ConnId> = script.state.conns.iter().copied().collect();
            for pair in conns.chunks(2) {
                engine.send(pair[0], Segment::Bytes(Rc::new(vec![0; 10 << 20])));
                engine.pause(pair[1]);
            }
            let _ = engine
                .connect(&Address::Ip(SocketAddr::from(([192, 0, 2, 1], 9))), &ConnectOptions::default());
        });
        let counters = core.counters.clone();
        let started = Instant::now();
        core.stop();
        assert!(started.elapsed() < Duration::from_millis(900), "teardown waited in vain");
        assert_eq!(counters.connections.get(), 0);
        // Nobody is left in LISTEN.
        assert!(TcpStream::connect(address).is_err());
    }
}
