//! The relay inside the kernel: every byte, the exact limit, order behind the queue, and each way it ends.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::support::{Core, Hash, Pattern, connect};
use crate::under_test::{Engine, EngineChunk, Options};
use sidering_dataplane::io::{
    Address, CloseMode, Completion, ConnId, ConnectOptions, Io, IoError, RelayEnd, Segment, Time,
};

/// Joins each accepted connection with an upstream one, relays as told, and notes what is said.
#[derive(Default)]
struct Tunnel {
    upstream: Option<SocketAddr>,
    /// Bytes to relay each way, and what to send before and after.
    limit: u64,
    before: &'static [u8],
    after: &'static [u8],
    pairs: Vec<(ConnId, ConnId)>,
    relayed: u64,
    ends: Vec<RelayEnd>,
    received: Vec<u8>,
    one_way: bool,
    /// Asks to receive what the relay leaves while it still runs.
    receives_early: bool,
}

fn tunnel(state: &mut Tunnel, engine: &mut Engine, _: Time, completion: Completion<EngineChunk>) {
    match completion {
        Completion::Accepted { conn, .. } => {
            let upstream =
                engine.connect(&Address::Ip(state.upstream.unwrap()), &ConnectOptions::default()).unwrap();
            state.pairs.push((conn, upstream));
        }
        Completion::Connected { conn, result } => {
            result.unwrap();
            let (down, up) = *state.pairs.iter().find(|(_, up)| *up == conn).unwrap();
            if !state.before.is_empty() {
                engine.send(up, Segment::Static(state.before));
            }
            engine.relay(down, up, state.limit);
            if state.receives_early {
                engine.receive(down);
            }
            if !state.after.is_empty() {
                engine.send(up, Segment::Static(state.after));
            }
            if !state.one_way {
                engine.relay(up, down, state.limit);
            }
        }
        Completion::Relayed { bytes, .. } => state.relayed += bytes,
        Completion::RelayEnded { from, to, end } => {
            state.ends.push(end);
            match end {
                RelayEnd::SourceEnded => engine.shutdown(to),
                RelayEnd::Limit if state.receives_early => {}
                RelayEnd::Limit => engine.receive(from),
                RelayEnd::SourceFailed(_) | RelayEnd::DestinationFailed(_) => {}
            }
        }
        Completion::Received { chunk, .. } => state.received.extend_from_slice(&chunk),
        Completion::Sent { .. } | Completion::ReceiveEnded { .. } => {}
        other => panic!("unexpected {other:?}"),
    }
}

/// A core that tunnels to a listener of ours.
fn start(prepare: impl FnOnce(&mut Tunnel) + Send + 'static) -> (Core<Tunnel>, SocketAddr, TcpListener) {
    start_with(Options::default(), prepare)
}

fn start_with(
    options: Options,
    prepare: impl FnOnce(&mut Tunnel) + Send + 'static,
) -> (Core<Tunnel>, SocketAddr, TcpListener) {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = upstream.local_addr().unwrap();
    let core = Core::start(options, tunnel);
    core.ask(move |script, _, _| {
        script.state.upstream = Some(address);
        script.state.limit = u64::MAX;
        prepare(&mut script.state);
    });
    let listen = core.listen();
    (core, listen, upstream)
}

fn accept(listener: &TcpListener) -> TcpStream {
    let stream = listener.accept().unwrap().0;
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

fn close_all(core: &Core<Tunnel>) {
    core.ask(|script, engine, _| {
        for (down, up) in script.state.pairs.drain(..) {
            engine.close(down, CloseMode::Graceful);
            engine.close(up, CloseMode::Graceful);
        }
    });
    core.wait_until_empty();
}

fn send_pattern(mut stream: TcpStream, seed: u64, bytes: usize) -> Hash {
    let (mut pattern, mut hash, mut buffer, mut left) =
        (Pattern::new(seed), Hash::default(), vec![0; 100_000], bytes);
    while left > 0 {
        let part = &mut buffer[..left.min(100_000)];
        pattern.fill(part);
        hash.add(part);
        stream.write_all(part).unwrap();
        left -= part.len();
    }
    stream.shutdown(Shutdown::Write).unwrap();
    hash
}

fn receive_all(mut stream: TcpStream) -> (usize, Hash) {
    let (mut total, mut hash, mut buffer) = (0, Hash::default(), vec![0; 100_000]);
    loop {
        let read = stream.read(&mut buffer).unwrap();
        if read == 0 {
            return (total, hash);
        }
        hash.add(&buffer[..read]);
        total += read;
    }
}

#[test]
fn a_hundred_mebibytes_pass_both_ways_at_once() {
    const BYTES: usize = 100 << 20;
    let (core, listen, upstream) = start(|_| {});
    let down = connect(listen);
    let up = accept(&upstream);
    let ends = [(down.try_clone().unwrap(), 1), (up.try_clone().unwrap(), 2)];
    let senders = ends.map(|(stream, seed)| thread::spawn(move || send_pattern(stream, seed, BYTES)));
    let receivers = [up, down].map(|stream| thread::spawn(move || receive_all(stream)));
    let sent = senders.map(|sender| sender.join().unwrap());
    let received = receivers.map(|receiver| receiver.join().unwrap());
    assert_eq!(received, sent.map(|hash| (BYTES, hash)));
    core.wait_until(|state, _| state.ends == [RelayEnd::SourceEnded, RelayEnd::SourceEnded]);
    assert_eq!(core.ask(|script, _, _| script.state.relayed), 2 * BYTES as u64);
    assert_eq!(core.counters.relayed_bytes.get(), 2 * BYTES as u64);
    close_all(&core);
    assert!(core.ask(|_, engine, _| engine.pipes_open()) <= 16);
    core.stop();
}

#[test]
fn a_half_close_passes_and_the_other_way_goes_on() {
    let (core, listen, upstream) = start(|_| {});
    let mut down = connect(listen);
    let mut up = accept(&upstream);
    down.write_all(b"question").unwrap();
    down.shutdown(Shutdown::Write).unwrap();
    let mut question = String::new();
    up.read_to_string(&mut question).unwrap();
    assert_eq!(question, "question");
    // The relay down is idle: it holds no pipe, and still works.
    core.wait_until(|_, engine| engine.pipes_open() <= 16);
    up.write_all(b"answer").unwrap();
    drop(up);
    let mut answer = String::new();
    down.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "answer");
    close_all(&core);
    core.stop();
}

#[test]
fn the_limit_is_exact() {
    const PIPE: usize = 1 << 20;
    for limit in [1, 2, 4095, 65_536, PIPE - 1, PIPE, PIPE + 1, 3 * PIPE + 7] {
        let (core, listen, upstream) = start(move |state| {
            state.limit = limit as u64;
            state.one_way = true;
            state.before = b"before:";
            state.after = b":after";
        });
        let down = connect(listen);
        let mut up = accept(&upstream);
        let sender = thread::spawn(move || send_pattern(down, 3, limit + 5));
        let mut got = vec![0; 7 + limit + 6];
        up.read_exact(&mut got).unwrap();
        sender.join().unwrap();
        assert_eq!((&got[..7], &got[7 + limit..]), (&b"before:"[..], &b":after"[..]));
        let mut expected = vec![0; limit + 5];
        Pattern::new(3).fill(&mut expected);
        assert!(got[7..7 + limit] == expected[..limit], "bytes differ at limit {limit}");
        // What came after the limit is still there for an ordinary receive.
        let rest = expected[limit..].to_vec();
        core.wait_until(move |state, _| state.received == rest);
        core.wait_until(|state, _| state.ends == [RelayEnd::Limit]);
        assert_eq!(core.ask(|script, _, _| script.state.relayed), limit as u64);
        close_all(&core);
        core.stop();
    }
}

#[test]
fn a_receive_asked_for_during_a_relay_waits_for_its_end() {
    let (core, listen, upstream) = start(|state| {
        state.limit = 5;
        state.one_way = true;
        state.receives_early = true;
    });
    let mut down = connect(listen);
    let mut up = accept(&upstream);
    down.write_all(b"first").unwrap();
    let mut got = [0; 5];
    up.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"first");
    core.wait_until(|state, _| state.ends == [RelayEnd::Limit]);
    down.write_all(b"second").unwrap();
    core.wait_until(|state, _| state.received == b"second");
    close_all(&core);

    // The same with all bytes there before the relay starts.
    core.ask(|script, _, _| script.state.received.clear());
    let mut down = TcpStream::connect(listen).unwrap();
    down.write_all(b"firstsecond").unwrap();
    let mut up = accept(&upstream);
    up.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"first");
    core.wait_until(|state, _| state.received == b"second");
    close_all(&core);
    core.stop();
}

#[test]
fn an_empty_relay_ends_at_once() {
    let (core, listen, upstream) = start(|state| state.limit = 0);
    let _down = connect(listen);
    let _up = accept(&upstream);
    core.wait_until(|state, _| state.ends == [RelayEnd::Limit, RelayEnd::Limit]);
    close_all(&core);
    core.stop();
}

#[test]
fn bytes_inside_reach_the_destination_before_the_sources_end_is_told() {
    let (core, listen, upstream) = start(|state| state.one_way = true);
    let mut down = connect(listen);
    let up = accept(&upstream);
    // More than sockets and pipe hold, so that the end waits behind it.
    let sender = thread::spawn(move || {
        down.write_all(&vec![7; 20 << 20]).unwrap();
    });
    core.wait_until(|state, _| state.relayed > 0);
    assert!(core.ask(|script, _, _| script.state.ends.is_empty()));
    let (total, _) = receive_all(up);
    sender.join().unwrap();
    assert_eq!(total, 20 << 20);
    core.wait_until(|state, _| state.ends == [RelayEnd::SourceEnded]);
    assert_eq!(core.ask(|script, _, _| script.state.relayed), 20 << 20);
    close_all(&core);
    core.stop();
}

#[test]
fn relays_share_one_pipe() {
    const BYTES: usize = 10 << 20;
    let (core, listen, upstream) = start_with(Options { pipes_max: 1, ..Options::default() }, |state| {
        state.one_way = true;
    });
    let ends: Vec<_> = (0..4).map(|_| (connect(listen), accept(&upstream))).collect();
    let peers: Vec<_> = ends
        .into_iter()
        .zip(1..)
        .map(|((down, up), seed)| {
            (thread::spawn(move || send_pattern(down, seed, BYTES)), thread::spawn(move || receive_all(up)))
        })
        .collect();
    let (mut sent, mut received) = (vec![], vec![]);
    for (sender, receiver) in peers {
        sent.push((BYTES, sender.join().unwrap().0));
        received.push(receiver.join().map(|(bytes, hash)| (bytes, hash.0)).unwrap());
    }
    sent.sort_unstable();
    received.sort_unstable();
    assert_eq!(received, sent);
    core.wait_until(|state, _| state.ends == [RelayEnd::SourceEnded; 4]);
    assert!(core.ask(|_, engine, _| engine.pipes_open()) <= 1);
    close_all(&core);
    core.stop();
}

fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

#[test]
fn a_reset_of_the_source_is_told() {
    let (core, listen, upstream) = start(|state| state.one_way = true);
    let mut down = connect(listen);
    let mut up = accept(&upstream);
    down.write_all(b"x").unwrap();
    up.read_exact(&mut [0]).unwrap();
    reset(down);
    core.wait_until(|state, _| state.ends == [RelayEnd::SourceFailed(IoError::Reset)]);
    close_all(&core);
    core.stop();
}

#[test]
fn a_reset_of_the_destination_is_told_while_the_source_is_silent() {
    let (core, listen, upstream) = start(|state| state.one_way = true);
    let mut down = connect(listen);
    let mut up = accept(&upstream);
    down.write_all(b"x").unwrap();
    up.read_exact(&mut [0]).unwrap();
    reset(up);
    core.wait_until(|state, _| state.ends == [RelayEnd::DestinationFailed(IoError::Reset)]);
    close_all(&core);
    core.stop();
}

#[test]
fn relays_are_closed_in_any_state() {
    let (core, listen, upstream) = start(|_| {});
    for round in 0..50 {
        let mut down = connect(listen);
        let mut up = accept(&upstream);
        if round % 3 != 0 {
            down.set_nonblocking(true).unwrap();
            let _ = down.write(&vec![1; 8 << 20]);
            let _ = up.write(b"x");
        }
        core.wait_until(|state, _| state.pairs.len() == 1);
        core.ask(move |script, engine, _| {
            let (down, up) = script.state.pairs.pop().unwrap();
            let mode = if round % 2 == 0 { CloseMode::Graceful } else { CloseMode::Reset };
            engine.close(if round % 4 < 2 { down } else { up }, mode);
            engine.close(if round % 4 < 2 { up } else { down }, mode);
        });
    }
    core.wait_until_empty();
    assert!(core.ask(|_, engine, _| engine.pipes_open()) <= 16);
    core.stop();
}
