//! The cores' threads: starting them, each with its ring and its worker, and carrying control's orders to them.

use crate::host;
use sidering_control::clock::Clock;
use sidering_control::stats::Ledger;
use sidering_control::{CoreEnd, Cores, Opened, Order, access_log::CoreSink, log};
use sidering_dataplane::io::Address;
use sidering_dataplane::message::Message;
use sidering_dataplane::observe::counters::{CoreCounters, EngineCounters};
use sidering_dataplane::worker::{Worker, WorkerOptions};
use sidering_ring::{Ring, RingOptions};
use sidering_system::{Delivery, Mailbox, Receiver, Undelivered, mailbox, socket};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Orders that may wait for a core. A core takes them between two turns, so the queue is short but for a moment.
const ORDERS: usize = 1024;
/// A core whose queue is full has this long to take something.
const PATIENCE: Duration = Duration::from_secs(1);
/// The kernel takes an io_uring apart after its process is gone: the listening sockets of one that was killed live on
/// for some milliseconds. A process that takes its place waits for them this long.
const REBIND_PATIENCE: Duration = Duration::from_millis(500);
const REBIND_PAUSE: Duration = Duration::from_millis(5);
/// Connections the kernel may hold until they are accepted (it cuts this to net.core.somaxconn).
const BACKLOG: u32 = 4096;

/// All cores.
pub(crate) struct Fleet {
    mailboxes: Vec<Mailbox<Message>>,
}

/// What one core's thread begins with.
struct Seat {
    core: usize,
    cpu: Option<usize>,
    clock: Clock,
    counters: Arc<CoreCounters>,
    engine: Arc<EngineCounters>,
    access_log: CoreSink,
    inbox: Receiver<Message>,
}

impl Fleet {
    /// Starts a thread for each sink and waits until all have their ring. Returns what the system granted them.
    pub(crate) fn start(
        ledger: &Ledger,
        sinks: Vec<CoreSink>,
        clock: Clock,
        cpus: Option<&[usize]>,
        end: &CoreEnd,
    ) -> anyhow::Result<(Fleet, String)> {
        let mut mailboxes = vec![];
        let (ready, granted) = sync_channel(sinks.len());
        for (core, access_log) in sinks.into_iter().enumerate() {
            let (mailbox, inbox) = mailbox(ORDERS)?;
            let counters = &ledger.cores()[core];
            let seat = Seat {
                core,
                cpu: cpus.map(|cpus| cpus[core]),
                clock,
                counters: Arc::clone(&counters.core),
                engine: Arc::clone(&counters.engine),
                access_log,
                inbox,
            };
            let (ready, end) = (ready.clone(), Guard { core, end: end.clone(), told: false });
            Builder::new().name(format!("core-{core}")).spawn(move || seat.run(&ready, end))?;
            mailboxes.push(mailbox);
        }
        drop(ready);
        let mut report = String::new();
        for _ in 0..mailboxes.len() {
            report = granted.recv()?.map_err(anyhow::Error::msg)?;
        }
        Ok((Fleet { mailboxes }, report))
    }

    /// One socket for each core. Several share a TCP address by SO_REUSEPORT, and one unix socket by duplicates.
    fn open_all(&self, address: &Address) -> Result<Vec<OwnedFd>, socket::ListenError> {
        let shared = self.count() > 1;
        let share = |error| socket::ListenError::System { address: show(address), source: error };
        match address {
            Address::Unix(_) => {
                let first = socket::open_listener(address, BACKLOG, false)?;
                let mut sockets = vec![];
                for _ in 1..self.count() {
                    sockets.push(first.try_clone().map_err(share)?);
                }
                sockets.push(first);
                Ok(sockets)
            }
            Address::Ip(ip) => {
                if shared && ip.port() != 0 {
                    // Sharing would also succeed with another process that shares, and split the traffic with it.
                    drop(socket::open_listener(address, BACKLOG, false)?);
                }
                let first = socket::open_listener(address, BACKLOG, shared)?;
                let bound = socket::local_address(&first).unwrap_or(*ip);
                let mut sockets = vec![first];
                for _ in 1..self.count() {
                    sockets.push(socket::open_listener(&Address::Ip(bound), BACKLOG, true)?);
                }
                Ok(sockets)
            }
        }
    }
}

impl Cores for Fleet {
    fn count(&self) -> usize {
        self.mailboxes.len()
    }

    fn open(&mut self, address: &Address) -> Result<Opened, String> {
        let end = Instant::now() + REBIND_PATIENCE;
        let sockets = loop {
            match self.open_all(address) {
                Err(socket::ListenError::InUse { .. }) if Instant::now() < end => {
                    std::thread::sleep(REBIND_PAUSE);
                }
                outcome => break outcome.map_err(|error| error.to_string())?,
            }
        };
        let bound = sockets.first().and_then(socket::local_address).map(Address::Ip);
        Ok(Opened { address: bound.unwrap_or_else(|| address.clone()), sockets })
    }

    fn send(&mut self, core: usize, order: Order) -> bool {
        let mut delivery = match order {
            Order::Listen(id, socket) => Delivery::Listen(id, socket),
            Order::Message(message) => Delivery::Message(message),
        };
        let end = Instant::now() + PATIENCE;
        loop {
            match self.mailboxes[core].send(delivery) {
                Ok(()) => return true,
                Err(Undelivered::Closed(_)) => return false,
                Err(Undelivered::Full(_)) if Instant::now() >= end => {
                    log::error(format_args!(
                        "core {core} does not take its orders: it may serve an old configuration"
                    ));
                    return false;
                }
                Err(Undelivered::Full(back)) => {
                    delivery = back;
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
    }
}

impl Seat {
    /// The whole life of a core's thread.
    fn run(self, ready: &SyncSender<Result<String, String>>, mut end: Guard) {
        if let Some(cpu) = self.cpu {
            host::pin(cpu);
        }
        let ring = match Ring::new(RingOptions::default(), self.engine) {
            Ok(ring) => ring,
            Err(error) => {
                // Nobody listens any more if another core failed first.
                let _ = ready.send(Err(error.to_string()));
                end.tell(Err(error.to_string()));
                return;
            }
        };
        let _ = ready.send(Ok(ring.setup().to_string()));
        let worker = Worker::new(WorkerOptions {
            core: self.core as u32,
            counters: self.counters,
            access_log: Some(Box::new(self.access_log)),
            seed: RandomState::new().build_hasher().finish(),
        });
        let result = sidering_ring::run(ring, worker, self.inbox, self.clock.origin);
        end.tell(result.map_err(|error| error.to_string()));
    }
}

/// Tells the end of a core even if its thread panics.
struct Guard {
    core: usize,
    end: CoreEnd,
    told: bool,
}

impl Guard {
    fn tell(&mut self, result: Result<(), String>) {
        self.told = true;
        self.end.tell(self.core, result);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.told {
            self.tell(Err("its thread panicked".to_owned()));
        }
    }
}

fn show(address: &Address) -> String {
    match address {
        Address::Ip(address) => address.to_string(),
        Address::Unix(path) => path.display().to_string(),
    }
}
