//! When the process has no descriptor left. A binary of its own: the limit is the whole process's.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use common::{Core, LISTENER, connect};
use sidering_dataplane::io::{Address, CloseMode, Completion, ConnId, Io, IoError, Segment, Time};
use sidering_ring::{Ring, RingChunk, RingOptions};
use sidering_system::{Delivery, socket};

#[derive(Default)]
struct Seen {
    conns: Vec<ConnId>,
    failures: Vec<IoError>,
}

fn see(state: &mut Seen, ring: &mut Ring, _: Time, completion: Completion<RingChunk>) {
    match completion {
        Completion::Accepted { conn, .. } => {
            state.conns.push(conn);
            ring.send(conn, Segment::Static(b"!"));
        }
        Completion::AcceptFailed { error, .. } => state.failures.push(error),
        _ => {}
    }
}

fn limit_descriptors(limit: u64) {
    let limits = libc::rlimit { rlim_cur: limit, rlim_max: 4096 };
    // SAFETY: the structure lives across the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limits) }, 0);
}

#[test]
fn accepting_stops_without_descriptors_and_goes_on_when_told() {
    let core = Core::start(RingOptions::default(), see);
    let any = Address::Ip(SocketAddr::from(([127, 0, 0, 1], 0)));
    let listener = socket::open_listener(&any, 16, true).unwrap();
    let address = socket::local_address(&listener).unwrap();
    core.mailbox.send(Delivery::Listen(LISTENER, listener)).ok().unwrap();
    core.ask(|_, _, _| ());
    // They wait in the backlog, and there is room for two or three of them (the limit is on numbers, which have holes).
    let mut peers: Vec<TcpStream> = (0..5).map(|_| connect(address)).collect();
    let used = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    limit_descriptors(used + 1);
    core.ask(|_, ring, _| ring.accept(LISTENER));
    core.wait_until(|state, _| state.failures == [IoError::DescriptorsExhausted]);
    assert!(core.ask(|script, _, _| script.state.conns.len()) < 5);
    assert_eq!(
        core.ask(move |_, ring, _| ring.connect(&Address::Ip(address)).unwrap_err()),
        IoError::DescriptorsExhausted
    );
    // No storm: it is told once, and accepting rests.
    let told = core.ask(|script, _, _| script.state.failures.len());
    for _ in 0..10 {
        core.ask(|_, _, _| ());
    }
    assert_eq!(core.ask(|script, _, _| script.state.failures.len()), told);

    limit_descriptors(4096);
    core.ask(|_, ring, _| ring.accept(LISTENER));
    for peer in &mut peers {
        peer.read_exact(&mut [0]).unwrap();
    }
    let mut late = connect(address);
    late.read_exact(&mut [0]).unwrap();
    late.write_all(b"x").unwrap();
    core.ask(|script, ring, _| {
        for conn in script.state.conns.drain(..) {
            ring.close(conn, CloseMode::Graceful);
        }
    });
    core.wait_until_empty();
    core.stop();
}
