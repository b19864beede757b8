//! An upstream that does what a test says, right or wrong, one thread per connection.

use super::wire::Wire;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A connection's number from 0, and what came on it.
type Records = Mutex<Vec<Arc<Mutex<Vec<u8>>>>>;

#[derive(Default)]
struct Shared {
    accepted: AtomicUsize,
    ended: AtomicUsize,
    stopping: AtomicBool,
    records: Records,
    /// Of the connections that are not over, by number, so that they can be ended from outside.
    open: Mutex<HashMap<usize, TcpStream>>,
}

pub(crate) struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Origin {
    /// Serves each connection with `handler`, which is also given the connection's number. An error of the handler ends
    /// its connection: peers come and go.
    pub(crate) fn start(
        handler: impl Fn(&mut Wire, usize) -> io::Result<()> + Send + Sync + 'static,
    ) -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Origin::listen(listener, false, handler)
    }

    /// As `start`, on a certain address; `None` if that is taken.
    pub(crate) fn start_on(
        address: SocketAddr,
        handler: impl Fn(&mut Wire, usize) -> io::Result<()> + Send + Sync + 'static,
    ) -> Option<Origin> {
        Some(Origin::listen(TcpListener::bind(address).ok()?, false, handler))
    }

    /// As `start`, and keeps all bytes that come.
    pub(crate) fn recording(
        handler: impl Fn(&mut Wire, usize) -> io::Result<()> + Send + Sync + 'static,
    ) -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Origin::listen(listener, true, handler)
    }

    fn listen(
        listener: TcpListener,
        records: bool,
        handler: impl Fn(&mut Wire, usize) -> io::Result<()> + Send + Sync + 'static,
    ) -> Origin {
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared::default());
        let (ours, handler) = (Arc::clone(&shared), Arc::new(handler));
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if ours.stopping.load(Ordering::SeqCst) {
                    return;
                }
                let number = ours.accepted.fetch_add(1, Ordering::SeqCst);
                let record = records.then(|| ours.new_record());
                ours.keep(number, &stream);
                let (ours, handler) = (Arc::clone(&ours), Arc::clone(&handler));
                std::thread::spawn(move || {
                    let _ = serve(stream, record, |wire| {
                        let outcome = handler(wire, number);
                        // Before the last descriptor goes: a reset must not wait for this one.
                        ours.open.lock().expect("no thread panics with it").remove(&number);
                        outcome
                    });
                    ours.ended.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Origin { address, shared }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections up to now.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Connections that are over.
    pub(crate) fn ended(&self) -> usize {
        self.shared.ended.load(Ordering::SeqCst)
    }

    /// What came on each connection.
    pub(crate) fn seen(&self) -> Vec<String> {
        let records = self.shared.records.lock().expect("no thread panics with it");
        let text = |record: &Arc<Mutex<Vec<u8>>>| {
            String::from_utf8_lossy(&record.lock().expect("no thread panics with it")).into_owned()
        };
        records.iter().map(text).collect()
    }

    /// What came on all connections.
    pub(crate) fn seen_text(&self) -> String {
        self.seen().concat()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(out)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts, which then closes the listener.
        let _ = TcpStream::connect(self.address);
        for stream in self.shared.open.lock().expect("no thread panics with it").values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn keep(&self, number: usize, stream: &TcpStream) {
        let stream = stream.try_clone().expect("a descriptor is left");
        self.open.lock().expect("no thread panics with it").insert(number, stream);
    }

    fn new_record(&self) -> Arc<Mutex<Vec<u8>>> {
        let record = Arc::new(Mutex::new(vec![]));
        self.records.lock().expect("no thread panics with it").push(Arc::clone(&record));
        record
    }
}

fn serve(
    stream: TcpStream,
    record: Option<Arc<Mutex<Vec<u8>>>>,
    handler: impl FnOnce(&mut Wire) -> io::Result<()>,
) -> io::Result<()> {
    let mut wire = Wire::new(stream)?;
    if let Some(record) = record {
        wire.record_to(record);
    }
    handler(&mut wire)
}
