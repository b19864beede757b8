//! Many connections that make one request each and then stay open, idle.

use std::cell::{Cell, RefCell};
use std::io::Read;
use std::rc::Rc;
use std::time::Instant;

use tokio_uring::net::TcpStream;

use super::LoadOptions;
use super::connect::Connector;
use super::http::Exchanger;
use super::recorder::{Failure, Recorder};
use super::report::Report;
use super::target::Target;

/// Connections being opened at the same time.
const OPENING: u32 = 64;

/// What the opening tasks share.
struct Held {
    left: Cell<u32>,
    conns: RefCell<Vec<TcpStream>>,
}

/// Opens `count` connections. They are never closed: they end with the process.
pub(crate) async fn open(
    count: u32,
    options: &LoadOptions,
    target: &Target,
    recorder: &Rc<Recorder>,
) -> Report {
    let held = Rc::new(Held { left: Cell::new(count), conns: RefCell::new(Vec::new()) });
    let request = target.request(&options.method, options.body_bytes, false);
    let connector = Rc::new(Connector::new(target.address, options.source_addresses));
    recorder.begin();
    let tasks: Vec<_> = (0..OPENING)
        .map(|_| {
            let (held, connector) = (Rc::clone(&held), Rc::clone(&connector));
            tokio_uring::spawn(open_some(held, connector, Rc::clone(recorder), request))
        })
        .collect();
    for task in tasks {
        // A task only ends early by a panic, which the runtime has printed.
        let _ = task.await;
    }
    recorder.end();
    let report = Report::of(recorder);
    std::mem::forget(held);
    report
}

/// Blocks until standard input is closed. Nothing else has to run meanwhile.
pub(crate) fn until_input_ends() {
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

async fn open_some(held: Rc<Held>, connector: Rc<Connector>, recorder: Rc<Recorder>, request: &'static [u8]) {
    while held.left.get() > 0 {
        held.left.set(held.left.get() - 1);
        let began = Instant::now();
        let Ok(conn) = connector.connect().await else {
            recorder.failed(Failure::Connect);
            continue;
        };
        let mut exchanger = Exchanger::new(conn, &recorder);
        match exchanger.exchange(request).await {
            Ok(answer) if answer.close => recorder.failed(Failure::Read),
            Ok(answer) => recorder.answered(answer, began.elapsed()),
            Err(_) => recorder.failed(Failure::Read),
        }
        held.conns.borrow_mut().push(exchanger.into_conn());
    }
}
