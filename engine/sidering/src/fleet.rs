//! The cores' threads: starting them, each with its engine and its worker, and carrying control's orders to them.

use crate::engine::{Decision, Engine, Kind, Obstacle};
use crate::host;
use sidering_control::access_log::CoreSink;
use sidering_control::clock::Clock;
use sidering_control::stats::Ledger;
use sidering_control::{CoreEnd, CoreNotices, Cores, EngineInUse, Opened, Order, Reports, log};
use sidering_dataplane::io::Address;
use sidering_dataplane::message::Message;
use sidering_dataplane::neighbours::{IdleBoard, Neighbours};
use sidering_dataplane::observe::counters::{CoreCounters, EngineCounters};
use sidering_dataplane::worker::WorkerOptions;
use sidering_epoll::Epoll;
use sidering_ring::Ring;
use sidering_system::{Delivery, Mailbox, Receiver, Undelivered, mailbox, socket};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender, sync_channel};
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
/// A quarter of the receive slots of either size that an engine has by default.
const KEPT_SLOTS_MAX: u32 = 256;

/// All cores.
pub(crate) struct Fleet {
    mailboxes: Vec<Mailbox<Message>>,
}

/// What a core may tell control.
pub(crate) struct Outbox {
    pub(crate) end: CoreEnd,
    pub(crate) reports: Reports,
    pub(crate) notices: CoreNotices,
}

/// What one core's thread begins with.
struct Seat {
    core: usize,
    cpu: Option<usize>,
    clock: Clock,
    counters: Arc<CoreCounters>,
    engine: Arc<EngineCounters>,
    access_log: CoreSink,
    notices: CoreNotices,
    inbox: Receiver<Message>,
    /// `None` if it is the only core.
    others: Option<Others>,
    end: CoreEnd,
    reports: Reports,
}

impl Fleet {
    /// Starts a thread for each sink and waits until all have their engine. If one cannot have the one that was decided
    /// on, and another will do, all get that.
    pub(crate) fn start(
        decision: Decision,
        ledger: &Ledger,
        sinks: Vec<CoreSink>,
        clock: Clock,
        cpus: Option<&[usize]>,
        outbox: &Outbox,
    ) -> anyhow::Result<(Fleet, EngineInUse)> {
        let (mut mailboxes, mut seats) = (vec![], vec![]);
        for (core, access_log) in sinks.into_iter().enumerate() {
            let (mailbox, inbox) = mailbox(ORDERS)?;
            let counters = &ledger.cores()[core];
            seats.push(Seat {
                core,
                cpu: cpus.map(|cpus| cpus[core]),
                clock,
                counters: Arc::clone(&counters.core),
                engine: Arc::clone(&counters.engine),
                access_log,
                notices: outbox.notices.clone(),
                inbox,
                others: None,
                end: outbox.end.clone(),
                reports: outbox.reports.clone(),
            });
            mailboxes.push(mailbox);
        }
        if seats.len() > 1 {
            let board = Arc::new(IdleBoard::new(seats.len()));
            for seat in &mut seats {
                seat.others = Some(Others { mailboxes: mailboxes.clone(), board: Arc::clone(&board) });
            }
        }
        let in_use = seat_all(decision, seats)?;
        Ok((Fleet { mailboxes }, in_use))
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

/// Starts all cores on the engine decided on, or on the one it may fall back to.
fn seat_all(decision: Decision, seats: Vec<Seat>) -> anyhow::Result<EngineInUse> {
    let Decision { kind, reason, may_fall_back } = decision;
    let started = match kind {
        Kind::Uring => start_all::<Ring>(seats),
        Kind::Epoll => start_all::<Epoll>(seats),
    };
    match started {
        Ok(details) => Ok(EngineInUse { name: kind.name(), reason, details }),
        Err(Unseated { obstacle, seats }) if may_fall_back && !seats.is_empty() => {
            seat_all(Decision::fallen_back(&obstacle.brief), seats)
        }
        Err(Unseated { obstacle, .. }) => Err(anyhow::Error::msg(obstacle.advice)),
    }
}

/// Why no core runs, and the seats for another try; none if their threads are lost.
struct Unseated {
    obstacle: Obstacle,
    seats: Vec<Seat>,
}

/// A thread for each seat, all with the same engine or none. Gives what the system granted.
fn start_all<E: Engine>(seats: Vec<Seat>) -> Result<String, Unseated> {
    let count = seats.len();
    let (ready, opened) = sync_channel(count);
    let (mut threads, mut starts) = (vec![], vec![]);
    let mut result = Ok(String::new());
    for seat in seats {
        let (start, started) = mpsc::channel();
        let ready = ready.clone();
        let builder = Builder::new().name(format!("core-{}", seat.core));
        match builder.spawn(move || seat.run::<E>(&ready, &started)) {
            Ok(thread) => threads.push(thread),
            Err(error) => result = Err(Obstacle::from(format!("cannot start a thread: {error}"))),
        }
        starts.push(start);
    }
    drop(ready);
    for _ in 0..threads.len() {
        let opened =
            opened.recv().unwrap_or_else(|_| Err(Obstacle::from("a core's thread panicked".to_owned())));
        result = result.and(opened);
    }
    match result {
        Ok(granted) => {
            for start in starts {
                // A core that is gone by now has told so.
                let _ = start.send(());
            }
            Ok(granted)
        }
        Err(obstacle) => {
            drop(starts);
            let seats: Vec<_> =
                threads.into_iter().filter_map(|thread| thread.join().ok().flatten()).collect();
            Err(Unseated { obstacle, seats: if seats.len() == count { seats } else { vec![] } })
        }
    }
}

impl Seat {
    /// The whole life of a core's thread. Gives the seat back if the core is not to run after all.
    fn run<E: Engine>(
        self,
        ready: &SyncSender<Result<String, Obstacle>>,
        started: &mpsc::Receiver<()>,
    ) -> Option<Seat> {
        if let Some(cpu) = self.cpu {
            host::pin(cpu);
        }
        // Nobody listens any more if another core failed first.
        let engine = match E::open(Arc::clone(&self.engine)) {
            Ok((engine, granted)) => {
                let _ = ready.send(Ok(granted));
                engine
            }
            Err(obstacle) => {
                let _ = ready.send(Err(obstacle));
                return Some(self);
            }
        };
        if started.recv().is_err() {
            return Some(self);
        }
        let mut guard = Guard { core: self.core, end: self.end, told: false };
        let others = self.others.map(|others| Box::new(others) as Box<dyn Neighbours>);
        let worker = WorkerOptions {
            neighbours: others,
            core: self.core as u32,
            counters: self.counters,
            access_log: Some(Box::new(self.access_log)),
            reports: Some(Box::new(self.reports)),
            notices: Some(Box::new(self.notices)),
            seed: RandomState::new().build_hasher().finish(),
            kept_slots_max: KEPT_SLOTS_MAX,
        };
        guard.tell(engine.run(worker, self.inbox, self.clock.origin));
        None
    }
}

/// The way from one core to the others: that of control's orders.
struct Others {
    mailboxes: Vec<Mailbox<Message>>,
    board: Arc<IdleBoard>,
}

impl Neighbours for Others {
    fn try_tell(&mut self, core: u32, message: Message) -> bool {
        let mailbox = self.mailboxes.get(core as usize);
        mailbox.is_some_and(|mailbox| mailbox.send(Delivery::Message(message)).is_ok())
    }

    fn board(&self) -> &Arc<IdleBoard> {
        &self.board
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

#[cfg(test)]
mod tests {
    use super::*;
    use sidering_control::access_log::AccessLog;
    use sidering_control::{Events, HealthEvents};

    /// Opens everywhere but on core 1.
    struct Partial;

    impl Engine for Partial {
        fn open(_: Arc<EngineCounters>) -> Result<(Self, String), Obstacle> {
            match std::thread::current().name() {
                Some("core-1") => Err("not here".to_owned().into()),
                _ => Ok((Partial, "granted".to_owned())),
            }
        }

        fn run(self, _: WorkerOptions, _: Receiver<Message>, _: Instant) -> Result<(), String> {
            panic!("it runs although another core has none")
        }
    }

    /// Opens everywhere, and is finished at once.
    struct Brief;

    impl Engine for Brief {
        fn open(_: Arc<EngineCounters>) -> Result<(Self, String), Obstacle> {
            Ok((Brief, "all flags".to_owned()))
        }

        fn run(self, _: WorkerOptions, _: Receiver<Message>, _: Instant) -> Result<(), String> {
            Ok(())
        }
    }

    #[test]
    fn where_one_core_has_no_engine_none_runs_and_all_can_try_another() {
        let (ledger, clock) = (Ledger::new(3), Clock::start());
        let (_access_log, sinks) = AccessLog::new(3, clock);
        let events = Events::new(3).unwrap();
        let seats = sinks.into_iter().enumerate().map(|(core, access_log)| Seat {
            core,
            cpu: None,
            clock,
            counters: Arc::clone(&ledger.cores()[core].core),
            engine: Arc::clone(&ledger.cores()[core].engine),
            access_log,
            notices: HealthEvents::default().sink(),
            inbox: mailbox(1).unwrap().1,
            others: None,
            end: events.core_end(),
            reports: events.reports(),
        });
        let Err(Unseated { obstacle, seats }) = start_all::<Partial>(seats.collect()) else {
            panic!("core 1 has no engine")
        };
        assert_eq!(obstacle.brief, "not here");
        assert_eq!(seats.iter().map(|seat| seat.core).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(start_all::<Brief>(seats).ok().as_deref(), Some("all flags"));
    }
}
