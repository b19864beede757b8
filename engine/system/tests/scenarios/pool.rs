//! Memory of receive buffers: what happens when there are few, and that it goes back when it is no longer needed.

use std::io::Write;
use std::sync::Barrier;
use std::thread;

use crate::support::{Core, Hash, Pattern, connect};
use crate::under_test::{Engine, EngineChunk, Options, resident_bytes};
use sidering_dataplane::io::{CloseMode, Completion, ConnId, Io, Time};

/// Holds chunks until told otherwise, and hashes each connection's bytes.
#[derive(Default)]
struct Holder {
    held: Vec<EngineChunk>,
    hold: bool,
    streams: std::collections::HashMap<ConnId, (usize, Hash)>,
    ended: Vec<(usize, Hash)>,
}

fn hold(state: &mut Holder, engine: &mut Engine, _: Time, completion: Completion<EngineChunk>) {
    match completion {
        Completion::Accepted { conn, .. } => engine.receive(conn),
        Completion::Received { conn, chunk } => {
            let (bytes, hash) = state.streams.entry(conn).or_default();
            *bytes += chunk.len();
            hash.add(&chunk);
            // At least until the turn ends, so that others find a slot less.
            state.held.push(chunk);
        }
        Completion::ReceiveEnded { conn, result } => {
            result.unwrap();
            state.ended.extend(state.streams.remove(&conn));
            engine.close(conn, CloseMode::Graceful);
        }
        other => panic!("unexpected {other:?}"),
    }
}

fn let_go(state: &mut Holder, _: &mut Engine, _: Time) {
    if !state.hold {
        state.held.clear();
    }
}

/// A core that holds chunks for a turn, or longer.
fn start(options: Options) -> Core<Holder> {
    let core = Core::start(options, hold);
    core.ask(|script, _, _| script.on_turn = Some(let_go));
    core
}

/// Sends from many peers at once and gives the hashes of what they sent.
fn send_from(address: std::net::SocketAddr, peers: u64, bytes: usize) -> Vec<(usize, Hash)> {
    let threads: Vec<_> = (0..peers)
        .map(|seed| {
            thread::spawn(move || {
                let mut peer = connect(address);
                let (mut buffer, mut hash) = (vec![0; bytes], Hash::default());
                Pattern::new(seed).fill(&mut buffer);
                hash.add(&buffer);
                peer.write_all(&buffer).unwrap();
                (bytes, hash)
            })
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

fn assert_same(core: &Core<Holder>, mut sent: Vec<(usize, Hash)>) {
    let count = sent.len();
    core.wait_until(move |state, _| state.ended.len() == count);
    let mut received = core.ask(|script, _, _| std::mem::take(&mut script.state.ended));
    received.sort_by_key(|(_, hash)| hash.0);
    sent.sort_by_key(|(_, hash)| hash.0);
    assert_eq!(received, sent);
}

#[test]
fn few_slots_serve_many_senders_one_after_the_other() {
    for slots_max in [1, 2, 3, 4] {
        let options = Options { slots_max, bulk_slots_max: 0, ..Options::default() };
        let core = start(options);
        let address = core.listen();
        let sent = send_from(address, 30, 300_000);
        assert_same(&core, sent);
        assert!(core.counters.receives_parked_total.get() > 0);
        core.wait_until_empty();
        core.stop();
    }
}

#[test]
fn a_dry_pool_parks_without_spinning_and_goes_on_when_slots_come_home() {
    let options = Options { slots_max: 4, bulk_slots_max: 0, ..Options::default() };
    let core = start(options);
    let address = core.listen();
    core.ask(|script, _, _| script.state.hold = true);
    let barrier = std::sync::Arc::new(Barrier::new(2));
    let sender = {
        let barrier = barrier.clone();
        thread::spawn(move || {
            let mut peers: Vec<_> = (0..8).map(|_| connect(address)).collect();
            for peer in &mut peers {
                peer.write_all(&[5; 1000]).unwrap();
            }
            barrier.wait();
            drop(peers);
        })
    };
    core.wait_until(|state, _| state.held.len() == 4);
    let counters = core.counters.clone();
    core.wait_until(move |_, _| counters.receives_parked_total.get() >= 4);
    core.let_turns_end();
    assert_eq!(core.counters.slots_in_use.get(), 4);
    assert_eq!(core.counters.receives_parked.get(), 4);
    // Nothing moves while nothing comes home: a turn for each question, and hardly any completion.
    let before = core.counters.turns.get();
    for _ in 0..10 {
        core.ask(|_, _, _| ());
    }
    let turns = core.counters.turns.get() - before;
    assert!(turns <= 20, "{turns} turns for 10 questions");
    core.ask(|script, _, _| {
        script.state.hold = false;
        script.state.held.clear();
    });
    barrier.wait();
    sender.join().unwrap();
    core.wait_until(|state, _| state.ended.len() == 8);
    core.wait_until_empty();
    assert!(core.ask(|script, _, _| script.state.ended.iter().all(|(bytes, _)| *bytes == 1000)));
    assert_eq!(core.counters.receives_parked.get(), 0);
    core.stop();
}

#[test]
fn bulky_connections_use_large_slots_and_come_back() {
    let core = start(Options::default());
    let address = core.listen();
    let sent = send_from(address, 4, 20 << 20);
    assert_same(&core, sent);
    core.wait_until_empty();
    core.stop();
}

#[test]
fn memory_of_a_burst_goes_back_to_the_system() {
    let core = start(Options::default());
    let address = core.listen();
    core.ask(|script, _, _| script.state.hold = true);
    let mut peers: Vec<_> = (0..400).map(|_| connect(address)).collect();
    for peer in &mut peers {
        peer.write_all(&[9; 12_000]).unwrap();
    }
    core.wait_until(|state, _| state.held.iter().map(|chunk| chunk.len()).sum::<usize>() == 400 * 12_000);
    // Gauges follow at the end of the turn, which may be the one that answers us.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while core.counters.slot_bytes.get() < 400 * 16_384 {
        assert!(std::time::Instant::now() < until, "{} slot bytes", core.counters.slot_bytes.get());
        thread::yield_now();
    }
    assert!(core.ask(|_, engine, _| resident_bytes(engine)) >= 400 * 12_000);
    core.ask(|script, _, _| {
        script.state.hold = false;
        script.state.held.clear();
    });
    // No question is asked meanwhile that could wake it: the engine wakes by itself.
    let counters = core.counters.clone();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while counters.slot_bytes.get() > 0 {
        assert!(std::time::Instant::now() < until, "{} bytes are kept", counters.slot_bytes.get());
        thread::yield_now();
    }
    assert_eq!(core.ask(|_, engine, _| resident_bytes(engine)), 0);
    // Everything still works.
    for peer in &mut peers {
        peer.write_all(b"more").unwrap();
    }
    drop(peers);
    core.wait_until(|state, _| state.ended.len() == 400);
    assert!(core.ask(|script, _, _| script.state.ended.iter().all(|(bytes, _)| *bytes == 12_004)));
    core.wait_until_empty();
    core.stop();
}
