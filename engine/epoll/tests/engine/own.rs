//! What only readiness has to get right: turns that are shared, bytes that come without an edge, and options.

use crate::echo::{echo, exchange_with};
use crate::support::{Core, LISTENER, connect};
use crate::under_test::{Engine as Epoll, EngineChunk, Options};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use sidering_dataplane::io::{Address, CloseMode, Completion, ConnId, ConnectOptions, Io, IoError, Time};
use sidering_dataplane::observe::counters::EngineCounters;
use sidering_epoll::EpollError;
use std::io::{IoSlice, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Counts receives, and ends what the peer ended.
#[derive(Default)]
struct Count {
    conns: Vec<ConnId>,
    text: String,
    bytes: usize,
    ended: usize,
    this_turn: usize,
    most_in_a_turn: usize,
}

fn count(state: &mut Count, epoll: &mut Epoll, _: Time, completion: Completion<EngineChunk>) {
    match completion {
        Completion::Accepted { conn, .. } => state.conns.push(conn),
        Completion::Received { chunk, .. } => {
            state.bytes += chunk.len();
            state.this_turn += 1;
            state.most_in_a_turn = state.most_in_a_turn.max(state.this_turn);
            if state.text.len() < 100 {
                state.text.push_str(&String::from_utf8_lossy(&chunk));
            }
        }
        Completion::ReceiveEnded { conn, result } => {
            result.unwrap();
            state.ended += 1;
            epoll.close(conn, CloseMode::Graceful);
        }
        other => panic!("unexpected {other:?}"),
    }
}

fn next_turn(state: &mut Count, _: &mut Epoll, _: Time) {
    state.this_turn = 0;
}

fn receive_all(core: &Core<Count>) {
    core.ask(|script, epoll, _| {
        script.on_turn = Some(next_turn);
        for conn in script.state.conns.drain(..) {
            epoll.receive(conn);
        }
    });
}

#[test]
fn a_connection_with_much_to_say_gets_few_receives_a_turn() {
    const BYTES: usize = 2 << 20;
    let core = Core::start(Options { bulk_slots_max: 0, ..Options::default() }, count);
    let mut peer = connect(core.listen());
    core.wait_until(|state, _| state.conns.len() == 1);
    let sender = std::thread::spawn(move || peer.write_all(&vec![b'x'; BYTES]).unwrap());
    receive_all(&core);
    sender.join().unwrap();
    core.wait_until(|state, _| state.ended == 1);
    let (bytes, most) = core.ask(|script, _, _| (script.state.bytes, script.state.most_in_a_turn));
    assert_eq!(bytes, BYTES);
    assert!((2..=4).contains(&most), "{most} receives in one turn");
    core.wait_until_empty();
    core.stop();
}

#[test]
fn bytes_and_end_that_came_in_one_edge_are_both_told() {
    let core = Core::start(Options::default(), count);
    let mut peer = connect(core.listen());
    core.wait_until(|state, _| state.conns.len() == 1);
    peer.write_all(b"all of it").unwrap();
    drop(peer);
    // Its edge is told before anybody wants to receive.
    core.ask(|_, _, _| ());
    receive_all(&core);
    core.wait_until(|state, _| state.ended == 1);
    assert_eq!(core.ask(|script, _, _| script.state.text.clone()), "all of it");
    core.wait_until_empty();
    core.stop();
}

#[test]
fn bytes_behind_an_urgent_one_are_not_left_behind() {
    let core = Core::start(Options::default(), count);
    let mut peer = connect(core.listen());
    core.wait_until(|state, _| state.conns.len() == 1);
    // A receive stops before the urgent byte, although there is more.
    peer.write_all(b"before").unwrap();
    socket2::SockRef::from(&peer).send_out_of_band(b"!").unwrap();
    peer.write_all(b"behind").unwrap();
    core.ask(|_, _, _| ());
    receive_all(&core);
    core.wait_until(|state, _| state.text == "beforebehind");
    drop(peer);
    core.wait_until(|state, _| state.ended == 1);
    core.wait_until_empty();
    core.stop();
}

#[test]
fn descriptors_passed_along_on_a_unix_socket_hold_no_bytes_up() {
    let core = Core::start(Options::default(), count);
    let folder = std::env::temp_dir().join(format!("sidering-passed-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("passed.sock");
    let address = Address::Unix(path.clone().into());
    let listener = sidering_system::socket::open_listener(&address, 16, false).unwrap();
    core.mailbox.send(sidering_system::Delivery::Listen(LISTENER, listener)).ok().unwrap();
    core.ask(|_, epoll, _| epoll.accept(LISTENER));
    let mut peer = std::os::unix::net::UnixStream::connect(&path).unwrap();
    core.wait_until(|state, _| state.conns.len() == 1);
    // A receive stops behind bytes that a descriptor came along with, although there are more.
    peer.write_all(b"one ").unwrap();
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut passed = SendAncillaryBuffer::new(&mut space);
    let descriptors = [peer.as_fd()];
    assert!(passed.push(SendAncillaryMessage::ScmRights(&descriptors)));
    sendmsg(&peer, &[IoSlice::new(b"two ")], &mut passed, SendFlags::empty()).unwrap();
    peer.write_all(b"three").unwrap();
    receive_all(&core);
    core.wait_until(|state, _| state.text == "one two three");
    drop(peer);
    core.wait_until_empty();
    std::fs::remove_dir_all(&folder).unwrap();
    core.stop();
}

/// A receive that fills its slot may have left something: one more is made, and finds nothing.
#[test]
fn a_core_sleeps_once_a_full_slot_turned_out_to_be_all() {
    const SLOT: u32 = 1024;
    let core = Core::start(Options { slot_bytes: SLOT, ..Options::default() }, count);
    let mut peer = connect(core.listen());
    core.wait_until(|state, _| state.conns.len() == 1);
    receive_all(&core);
    peer.write_all(&[b'x'; SLOT as usize]).unwrap();
    core.wait_until(|state, _| state.bytes == SLOT as usize);
    core.ask(|_, _, _| ());
    let turns = core.counters.turns.get();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(200) {
        // The answer's own turn, and one to look for what a turn left.
        assert!(core.counters.turns.get() <= turns + 2, "a core with nothing to receive took turns");
        std::thread::yield_now();
    }
    drop(peer);
    core.wait_until(|state, _| state.ended == 1);
    core.stop();
}

#[test]
fn a_single_arrival_and_a_crowd_are_both_accepted() {
    let core = Core::start(Options::default(), count);
    let address = core.listen();
    let mut peers = vec![];
    for crowd in [1, 1, 200, 1] {
        peers.extend((0..crowd).map(|_| connect(address)));
        let expected = peers.len();
        core.wait_until(move |state, _| state.conns.len() == expected);
    }
    receive_all(&core);
    drop(peers);
    core.wait_until(|state, _| state.ended == 203);
    core.wait_until_empty();
    core.stop();
}

#[test]
fn a_listener_shared_by_two_cores_loses_nobody() {
    let cores = [Core::start(Options::default(), count), Core::start(Options::default(), count)];
    let folder = std::env::temp_dir().join(format!("sidering-shared-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("shared.sock");
    let address = Address::Unix(path.clone().into());
    let listener = sidering_system::socket::open_listener(&address, 256, false).unwrap();
    for core in &cores {
        let listener = listener.try_clone().unwrap();
        core.mailbox.send(sidering_system::Delivery::Listen(LISTENER, listener)).ok().unwrap();
        core.ask(|_, epoll, _| epoll.accept(LISTENER));
    }
    drop(listener);
    let connect = || std::os::unix::net::UnixStream::connect(&path).unwrap();
    let accepted = |core: &Core<Count>| core.ask(|script, _, _| script.state.conns.len());
    let wait_for = |count: usize| {
        while accepted(&cores[0]) + accepted(&cores[1]) < count {
            std::thread::yield_now();
        }
    };
    let mut peers: Vec<_> = (0..100).map(|_| connect()).collect();
    wait_for(100);
    // One of them stops, and takes no more than what waits in that moment; the socket lives on at the other.
    cores[0].ask(|_, epoll, _| epoll.close_listener(LISTENER));
    peers.extend((0..50).map(|_| connect()));
    wait_for(150);
    peers.extend((0..50).map(|_| connect()));
    wait_for(200);
    drop(peers);
    for core in cores {
        receive_all(&core);
        core.wait_until_empty();
        core.stop();
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_closed_listener_whose_socket_lives_on_elsewhere_wakes_nobody() {
    let core = Core::start(Options::default(), count);
    let any = Address::Ip(std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
    let listener = sidering_system::socket::open_listener(&any, 16, false).unwrap();
    let address = sidering_system::socket::local_address(&listener).unwrap();
    let duplicate = listener.try_clone().unwrap();
    core.mailbox.send(sidering_system::Delivery::Listen(LISTENER, duplicate)).ok().unwrap();
    core.ask(|_, epoll, _| epoll.accept(LISTENER));
    let _accepted = connect(address);
    core.wait_until(|state, _| state.conns.len() == 1);
    core.ask(|_, epoll, _| epoll.close_listener(LISTENER));
    // The turn of the call is over when the next one answers.
    let over = core.counters.turns.get() + 2;
    while core.counters.turns.get() < over {
        core.ask(|_, _, _| ());
    }
    let _waits = connect(address);
    let before = core.counters.turns.get();
    for _ in 0..10 {
        core.ask(|_, _, _| ());
    }
    let turns = core.counters.turns.get() - before;
    assert!(turns <= 20, "{turns} turns for 10 questions");
    assert_eq!(core.ask(|script, _, _| script.state.conns.len()), 1);
    core.stop();
}

#[test]
fn turns_of_one_event_and_one_slot_lose_nothing() {
    let options = Options { events_per_turn: 1, slots_max: 1, bulk_slots_max: 0, ..Options::default() };
    let core = Core::start(options, echo);
    exchange_with(&core, 20, 100_000);
    core.stop();
}

fn note_connects(
    state: &mut Vec<Result<(), IoError>>,
    _: &mut Epoll,
    _: Time,
    completion: Completion<EngineChunk>,
) {
    if let Completion::Connected { result, .. } = completion {
        state.push(result);
    }
}

#[test]
fn a_unix_socket_with_a_full_backlog_refuses() {
    let folder = std::env::temp_dir().join(format!("sidering-backlog-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("full.sock");
    let address = Address::Unix(path.into());
    let _listener = sidering_system::socket::open_listener(&address, 1, false).unwrap();
    let core = Core::start(Options::default(), note_connects);
    // Nobody accepts: the backlog takes one more than it is told, and the third is too many.
    core.ask(move |_, epoll, _| {
        for _ in 0..3 {
            epoll.connect(&address, &ConnectOptions::default()).unwrap();
        }
    });
    core.wait_until(|state, _| *state == [Ok(()), Ok(()), Err(IoError::Refused)]);
    std::fs::remove_dir_all(&folder).unwrap();
    core.stop();
}

#[test]
fn options_out_of_bounds_are_refused_by_name() {
    let counters = Arc::new(EngineCounters::default());
    let defaults = Options::default;
    for (options, expected) in [
        (Options { slot_bytes: 63, ..defaults() }, "slot_bytes"),
        (Options { slots_max: 0, ..defaults() }, "slots_max"),
        (Options { slots_max: (1 << 16) + 1, ..defaults() }, "slots_max"),
        (Options { bulk_slot_bytes: (1 << 20) + 1, ..defaults() }, "bulk_slot_bytes"),
        (Options { bulk_slots_max: (1 << 16) + 1, ..defaults() }, "bulk_slots_max"),
        (Options { connections_max: 0, ..defaults() }, "connections_max"),
        (Options { connections_max: (1 << 24) + 1, ..defaults() }, "connections_max"),
        (Options { pipes_max: 0, ..defaults() }, "pipes_max"),
        (Options { events_per_turn: 0, ..defaults() }, "events_per_turn"),
        (Options { events_per_turn: (1 << 16) + 1, ..defaults() }, "events_per_turn"),
    ] {
        let Err(EpollError::Option { option, .. }) = Epoll::new(options, counters.clone()) else {
            panic!("{expected} was taken");
        };
        assert_eq!(option, expected);
    }
}
