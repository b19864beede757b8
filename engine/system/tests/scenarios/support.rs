//! A core under test: an engine and a scripted machine on a thread of their own, and peers on ordinary blocking sockets.
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::under_test::{Engine, EngineChunk, Options, adapt, run};
use sidering_dataplane::io::{Address, Completion, Io, ListenerId, Machine, Time};
use sidering_dataplane::observe::counters::EngineCounters;
use sidering_system::{Delivery, Mailbox, mailbox, socket};

/// What a test makes of a completion.
pub(crate) type Handler<S> = fn(&mut S, &mut Engine, Time, Completion<EngineChunk>);

/// Something to be done on the core's thread.
pub(crate) type Order<S> = Box<dyn FnOnce(&mut Script<S>, &mut Engine, Time) + Send>;

/// A machine whose behaviour is one function of its state.
pub(crate) struct Script<S> {
    pub(crate) state: S,
    pub(crate) handle: Handler<S>,
    pub(crate) deadline: Option<Time>,
    pub(crate) on_turn: Option<fn(&mut S, &mut Engine, Time)>,
    pub(crate) finished: bool,
}

impl<S> Machine<Engine> for Script<S> {
    type Message = Order<S>;

    fn handle_completion(&mut self, io: &mut Engine, now: Time, completion: Completion<EngineChunk>) {
        (self.handle)(&mut self.state, io, now, completion);
    }

    fn handle_message(&mut self, io: &mut Engine, now: Time, order: Order<S>) {
        order(self, io, now);
    }

    fn handle_turn(&mut self, io: &mut Engine, now: Time) {
        if let Some(on_turn) = self.on_turn {
            on_turn(&mut self.state, io, now);
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline = None;
        }
    }

    fn next_deadline(&self) -> Option<Time> {
        self.deadline
    }

    fn is_finished(&self) -> bool {
        self.finished
    }
}

/// A running core.
pub(crate) struct Core<S: 'static> {
    pub(crate) mailbox: Mailbox<Order<S>>,
    pub(crate) counters: Arc<EngineCounters>,
    thread: Option<JoinHandle<()>>,
}

/// More than a turn takes.
pub(crate) const MAILBOX: usize = 256;

pub(crate) const LISTENER: ListenerId = ListenerId(7);

impl<S: Default + 'static> Core<S> {
    /// Starts a core with default state.
    pub(crate) fn start(options: Options, handle: Handler<S>) -> Core<S> {
        let (mailbox, receiver) = mailbox(MAILBOX).unwrap();
        let counters = Arc::new(EngineCounters::default());
        let thread = {
            let counters = counters.clone();
            std::thread::spawn(move || {
                let engine = Engine::new(adapt(options), counters).unwrap();
                let script =
                    Script { state: S::default(), handle, deadline: None, on_turn: None, finished: false };
                run(engine, script, receiver, Instant::now()).unwrap();
            })
        };
        Core { mailbox, counters, thread: Some(thread) }
    }

    /// Does something on the core's thread and brings its result back.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        order: impl FnOnce(&mut Script<S>, &mut Engine, Time) -> T + Send + 'static,
    ) -> T {
        let (sender, receiver) = mpsc::channel();
        let order: Order<S> = Box::new(move |script, engine, now| {
            let _ = sender.send(order(script, engine, now));
        });
        self.mailbox.send(Delivery::Message(order)).ok().expect("the core's queue is full or closed");
        receiver.recv_timeout(Duration::from_secs(30)).expect("the core does not answer")
    }

    /// Listens on a free port of the loopback.
    pub(crate) fn listen(&self) -> SocketAddr {
        let any = Address::Ip(SocketAddr::from(([127, 0, 0, 1], 0)));
        let listener = socket::open_listener(&any, 1024, true).unwrap();
        let address = socket::local_address(&listener).unwrap();
        self.mailbox.send(Delivery::Listen(LISTENER, listener)).ok().unwrap();
        self.ask(|_, engine, _| engine.accept(LISTENER));
        address
    }

    /// Asks until it is so.
    pub(crate) fn wait_until(&self, is_so: impl Fn(&mut S, &mut Engine) -> bool + Send + Clone + 'static) {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let test = is_so.clone();
            if self.ask(move |script, engine, _| test(&mut script.state, engine)) {
                return;
            }
            assert!(Instant::now() < until, "it did not come to be");
        }
    }

    /// Gauges follow at the end of a turn. Two, because one may be ending right now; a question alone may be answered in
    /// the same turn as the one before.
    pub(crate) fn let_turns_end(&self) {
        let (counters, before) = (self.counters.clone(), self.counters.turns.get());
        self.wait_until(move |_, _| counters.turns.get() >= before + 2);
    }

    /// Ends the core and checks that nothing was lost.
    pub(crate) fn stop(mut self) {
        self.ask(|script, _, _| script.finished = true);
        self.thread.take().unwrap().join().expect("the core panicked");
    }

    /// Waits until every connection is gone and every slot is home.
    pub(crate) fn wait_until_empty(&self) {
        self.wait_until(|_, engine| engine.connections() == 0);
        self.let_turns_end();
        assert_eq!(self.counters.slots_in_use.get(), 0, "slots are lost");
        assert_eq!(self.counters.connections.get(), 0);
    }
}

/// A peer with patience.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// Bytes that look random and can be made anywhere: byte `n` of a stream with a seed.
pub(crate) struct Pattern(u64);

impl Pattern {
    pub(crate) fn new(seed: u64) -> Pattern {
        Pattern(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            *byte = self.0 as u8;
        }
    }
}

/// A running hash of a stream (FNV-1a on bytes).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Hash(pub(crate) u64);

impl Default for Hash {
    fn default() -> Hash {
        Hash(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}
