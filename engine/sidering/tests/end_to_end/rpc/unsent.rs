//! An upstream that takes nothing more and dies: the calls of which it cannot have a byte go to another one, without a retry policy,
//! those that it may have fail, and nobody gets one twice.

use super::bolt::{self, Frame, call};
use crate::support::{Config, Origin, Proxy, Wire, until};
use rustix::process::Signal;
use socket2::SockRef;
use std::io::ErrorKind;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

const SERVICE: &str = "com.alipay.test.TestService:1.0";
/// Sent when it is whole, and more than any buffer by the time that there are many.
const CONTENT_BYTES: usize = 48 * 1024;

/// An upstream that reads nothing until it is told to die; then it notes what has come by then.
fn deaf(dies: &Arc<AtomicBool>, got: &Arc<Mutex<Vec<u8>>>) -> Origin {
    let (dies, got) = (Arc::clone(dies), Arc::clone(got));
    Origin::start(move |wire, _| {
        until("the word", || dies.load(Ordering::SeqCst).then_some(()));
        let mut stream = wire.stream();
        stream.set_nonblocking(true)?;
        // Less than would let the window open again: nothing more comes for that.
        let mut bytes = vec![0; 16 * 1024];
        match stream.read(&mut bytes) {
            Ok(length) => got.lock().unwrap().extend_from_slice(&bytes[..length]),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        // With a reset.
        SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO))
    })
}

/// An upstream that answers, and notes the calls.
fn lively(seen: &Arc<Mutex<Vec<u32>>>) -> Origin {
    let seen = Arc::clone(seen);
    Origin::start(move |wire, _| {
        loop {
            let frame = bolt::read(wire)?;
            seen.lock().unwrap().push(number(&frame.content));
            if frame.kind == bolt::REQUEST {
                wire.send(&frame.answer(bolt::SUCCESS, &frame.content[..4]).bytes())?;
            }
        }
    })
}

fn number(content: &[u8]) -> u32 {
    u32::from_be_bytes(content[..4].try_into().unwrap())
}

fn large_call(id: u32, kind: u8) -> Frame {
    let mut content = vec![b'x'; CONTENT_BYTES];
    content[..4].copy_from_slice(&id.to_be_bytes());
    Frame { kind, timeout_ms: 30_000, ..call(id, SERVICE, "m", &content) }
}

fn config(origin: &Origin) -> Config {
    Config::new().rpc("calls", "bolt", "", "{ match: {}, cluster: api }").cluster(
        "api",
        origin,
        "pool: { max_connections: 1 }",
    )
}

/// Sends calls until one of them waits for the connection, whose queue is full then; tells how many were sent.
fn stuff(proxy: &Proxy, wire: &mut Wire) -> u32 {
    let mut sent = 0;
    until("the upstream's queue to be full", || {
        wire.send(&large_call(sent, bolt::REQUEST).bytes()).unwrap();
        sent += 1;
        until("the call to be taken", || {
            let metrics = proxy.metrics();
            (metrics.sum("sidering_cluster_upstream_rq_active") == f64::from(sent)).then_some(())
        });
        (proxy.metrics().sum("sidering_cluster_upstream_rq_pending_active") > 0.0).then_some(())
    });
    sent
}

#[test]
fn what_never_left_goes_elsewhere_and_what_may_have_fails() {
    let (dies, got, seen) = (Arc::default(), Arc::default(), Arc::default());
    let (deaf, lively) = (deaf(&dies, &got), lively(&seen));
    let proxy = Proxy::start(&config(&deaf));
    let mut wire = proxy.connect("calls");
    let sent = stuff(&proxy, &mut wire);
    proxy.write_config(&config(&lively).text(proxy.folder()));
    proxy.signal(Signal::HUP);
    until("the other endpoint to be there", || {
        let (_, clusters) = proxy.admin("/clusters");
        clusters.contains(&lively.to_string()).then_some(())
    });
    dies.store(true, Ordering::SeqCst);
    let mut answered = vec![];
    for _ in 0..sent {
        let answer = bolt::read(&mut wire).unwrap();
        answered.push((answer.id, answer.status == bolt::SUCCESS));
    }
    answered.sort_unstable();
    let ids: Vec<u32> = answered.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, (0..sent).collect::<Vec<_>>(), "each is answered once");
    // Calls leave in their order.
    let first = answered.iter().position(|(_, is_well)| *is_well).expect("some had not left") as u32;
    assert!(first > 0 && answered[first as usize..].iter().all(|(_, is_well)| *is_well), "{answered:?}");
    let mut carried_out = seen.lock().unwrap().clone();
    carried_out.sort_unstable();
    assert_eq!(
        carried_out,
        (first..sent).collect::<Vec<_>>(),
        "none that may have left comes here, and none twice"
    );
    assert!(!got.lock().unwrap().is_empty(), "the first one had begun to arrive");
    let again = proxy.metrics().sum("sidering_cluster_upstream_rq_retry_stale");
    assert!(again >= 1.0 && again <= f64::from(sent - first), "{again} of {}", sent - first);
    drop((wire, deaf, lively));
    proxy.assert_home();
}
