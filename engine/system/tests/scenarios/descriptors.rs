//! When the process has no descriptor left. A binary of its own: the limit is the whole process's.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::support::{Core, LISTENER, connect};
use crate::under_test::{Engine, EngineChunk, Options};
use rustix::process::{Resource, Rlimit, setrlimit};
use sidering_dataplane::io::{
    Address, CloseMode, Completion, ConnId, ConnectOptions, Io, IoError, Segment, Time,
};
use sidering_system::{Delivery, socket};

#[derive(Default)]
struct Seen {
    conns: Vec<ConnId>,
    failures: Vec<IoError>,
}

fn see(state: &mut Seen, engine: &mut Engine, _: Time, completion: Completion<EngineChunk>) {
    match completion {
        Completion::Accepted { conn, .. } => {
            state.conns.push(conn);
            engine.send(conn, Segment::Static(b"!"));
        }
        Completion::AcceptFailed { error, .. } => state.failures.push(error),
        _ => {}
    }
}

fn limit_descriptors(limit: u64) {
    setrlimit(Resource::Nofile, Rlimit { current: Some(limit), maximum: Some(4096) }).unwrap();
}

#[test]
fn accepting_stops_without_descriptors_and_goes_on_when_told() {
    let core = Core::start(Options::default(), see);
    let any = Address::Ip(SocketAddr::from(([127, 0, 0, 1], 0)));
    let listener = socket::open_listener(&any, 16, true).unwrap();
    let address = socket::local_address(&listener).unwrap();
    core.mailbox.send(Delivery::Listen(LISTENER, listener)).ok().unwrap();
    core.ask(|_, _, _| ());
    // They wait in the backlog, and there is room for two or three of them (the limit is on numbers, which have holes).
    let mut peers: Vec<TcpStream> = (0..5).map(|_| connect(address)).collect();
    let used = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    limit_descriptors(used + 1);
    core.ask(|_, engine, _| engine.accept(LISTENER));
    core.wait_until(|state, _| state.failures == [IoError::DescriptorsExhausted]);
    assert!(core.ask(|script, _, _| script.state.conns.len()) < 5);
    assert_eq!(
        core.ask(move |_, engine, _| engine
            .connect(&Address::Ip(address), &ConnectOptions::default())
            .unwrap_err()),
        IoError::DescriptorsExhausted
    );
    // No storm: it is told once, and accepting rests.
    let told = core.ask(|script, _, _| script.state.failures.len());
    for _ in 0..10 {
        core.ask(|_, _, _| ());
    }
    assert_eq!(core.ask(|script, _, _| script.state.failures.len()), told);

    limit_descriptors(4096);
    core.ask(|_, engine, _| engine.accept(LISTENER));
    for peer in &mut peers {
        peer.read_exact(&mut [0]).unwrap();
    }
    let mut late = connect(address);
    late.read_exact(&mut [0]).unwrap();
    late.write_all(b"x").unwrap();
    core.ask(|script, engine, _| {
        for conn in script.state.conns.drain(..) {
            engine.close(conn, CloseMode::Graceful);
        }
    });
    core.wait_until_empty();
    core.stop();
}
