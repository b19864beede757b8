//! Thousands of short lives of a worker, each from a seed: clients and upstreams that do what peers do at any moment, in
//! an engine that lets things happen in any order the contract allows. What must hold always is checked at the end.
//!
//! `RANDOM_SEED=7 cargo test -p sidering-dataplane --test random` repeats one run; `RANDOM_SEEDS=100000` makes more.

mod client;
mod net;
mod origin;
mod rng;
#[path = "../support/mod.rs"]
mod support;
mod wire;

use client::{Client, Faults};
use net::{Net, Step};
use origin::{Origin, Seen};
use rng::Rng;
use sidering_dataplane::config::*;
use sidering_dataplane::io::*;
use sidering_dataplane::message::{Message, Update};
use sidering_dataplane::observe::counters::*;
use sidering_dataplane::worker::{Worker, WorkerOptions};
use std::panic::catch_unwind;
use std::sync::Arc;
use wire::Kind;

const RAW_PORT: u16 = 9000;
const DEFAULT_SEEDS: u64 = 2000;

/// What kind of run a seed makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    /// Nothing goes wrong: everything is answered, and no time need pass for it.
    Calm,
    /// Upstreams close idle connections, configurations come and go.
    Stale,
    Faults,
    /// Faults, reloads, a drain in the middle.
    Drain,
}

struct Run {
    mode: Mode,
    random: Rng,
    net: Net,
    worker: Worker<Net>,
    now: Time,
    clients: Vec<Client>,
    origins: Vec<Origin>,
    seen: Seen,
    faults: Faults,
    core: Arc<CoreCounters>,
    clusters: [Arc<ClusterCounters>; 2],
    listeners: [Arc<ListenerCounters>; 2],
    next_tag: u32,
    clients_to_come: usize,
    reloads: u32,
    is_draining: bool,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = Rng::new(seed);
        let mode = [Mode::Calm, Mode::Stale, Mode::Faults, Mode::Drain][(seed % 4) as usize];
        let faults = match mode {
            Mode::Calm => Faults::default(),
            Mode::Stale => Faults { stale: 3, ..Faults::default() },
            Mode::Faults | Mode::Drain => Faults { client: 40, origin: 6, stale: 10, connect: 6 },
        };
        let core = Arc::new(CoreCounters::default());
        let options =
            WorkerOptions { core: 0, counters: Arc::clone(&core), access_log: None, seed: seed | 1 };
        let endpoints = || (0..2).map(|_| EndpointCounters::default()).collect();
        let cluster = || Arc::new(ClusterCounters { endpoints: endpoints(), ..Default::default() });
        let mut run = Run {
            mode,
            net: Net::default(),
            worker: Worker::new(options),
            now: Time { micros: 1_000_000 },
            clients: vec![],
            origins: vec![],
            seen: Seen::new(),
            faults,
            core,
            clusters: [cluster(), cluster()],
            listeners: Default::default(),
            next_tag: if random.chance(2) { wire::BULKY_TAGS } else { 1 },
            clients_to_come: 1 + random.below(6),
            reloads: 0,
            is_draining: false,
            random,
        };
        run.apply();
        run
    }

    /// A configuration that differs from the one before, so that every cluster is replaced.
    fn apply(&mut self) {
        self.reloads += 1;
        let mut snapshot = support::http(2);
        let mut raw = support::tcp();
        for cluster in [&mut snapshot.clusters[0], &mut raw.clusters[0]] {
            cluster.pool.max_connections = 2 + self.reloads % 2;
            cluster.pool.max_pending = 100;
        }
        raw.clusters[0].endpoints[0].address = Address::Ip(([127, 0, 0, 1], RAW_PORT).into());
        snapshot.clusters.push(raw.clusters.remove(0));
        if let ListenerKind::Http(http) = &mut snapshot.listeners[0].kind {
            http.virtual_hosts[0].routes[0].action = RouteAction::Cluster(ClusterIndex(1));
        }
        let mut listener = raw.listeners.remove(0);
        listener.id = ListenerId(1);
        listener.kind = ListenerKind::Tcp { cluster: ClusterIndex(1) };
        snapshot.listeners.push(listener);
        let update = Update {
            snapshot: Arc::new(snapshot),
            listeners: self.listeners.to_vec(),
            clusters: self.clusters.to_vec(),
        };
        self.worker.handle_message(&mut self.net, self.now, Message::Apply(update));
    }

    fn tell(&mut self, completion: Completion<support::TestChunk>) {
        if self.net.may_tell(&completion) {
            self.worker.handle_completion(&mut self.net, self.now, completion);
        }
        if self.random.chance(50) {
            self.now.micros += 10;
            self.worker.handle_turn(&mut self.net, self.now);
        }
    }

    fn step(&mut self, serial: usize, step: Step) {
        if step != Step::Connect {
            for completion in self.net.carry_out(serial, step, &mut self.random) {
                self.tell(completion);
            }
            return;
        }
        let refused = self.random.rarely(self.faults.connect);
        let is_raw = self.net.sockets[serial].port == RAW_PORT;
        if !refused {
            self.origins.push(Origin::new(serial, is_raw));
        }
        let result = if refused { Err(IoError::Refused) } else { Ok(()) };
        let completion = self.net.connect_done(serial, result);
        self.tell(completion);
    }

    fn accept(&mut self) {
        self.clients_to_come -= 1;
        let listener = ListenerId(u32::from(self.random.chance(25)));
        if !self.net.now_accepting.contains(&listener) {
            return;
        }
        let conn = self.net.open(Some(listener.0), 0);
        let serial = conn.generation as usize;
        let requests = 1 + self.random.below(if listener.0 == 0 { 5 } else { 1 });
        let tags: Vec<u32> = (0..requests as u32).map(|at| self.next_tag + at).collect();
        self.next_tag += requests as u32;
        let client = if listener.0 == 0 {
            Client::new(serial, tags, &mut self.random)
        } else {
            Client::raw(serial, tags[0], &mut self.random)
        };
        self.clients.push(client);
        self.tell(Completion::Accepted { listener, conn });
    }

    fn has_faults(&self) -> bool {
        matches!(self.mode, Mode::Faults | Mode::Drain)
    }

    /// Some client goes on reading.
    fn restart_stalled(&mut self) {
        if let Some(socket) = self.net.sockets.iter_mut().find(|socket| socket.stalled) {
            socket.stalled = false;
        }
    }

    /// One thing of the peers or of the control thread; `false` if that one had nothing to do.
    fn peer_step(&mut self, at: usize) -> bool {
        if at == 0 {
            let may_reload = matches!(self.mode, Mode::Stale | Mode::Drain) && self.reloads < 4;
            if may_reload && self.random.chance(10) {
                self.apply();
            }
            if self.mode == Mode::Drain && !self.is_draining && self.random.chance(5) {
                self.is_draining = true;
                self.worker.handle_message(&mut self.net, self.now, Message::Drain);
            }
            if self.has_faults() && self.random.chance(5) {
                self.now = self.now.after_ms(self.random.below(4_000) as u64);
                self.worker.handle_turn(&mut self.net, self.now);
                self.restart_stalled();
            }
            if self.clients_to_come == 0 {
                return false;
            }
            self.accept();
            return true;
        }
        let (net, random) = (&mut self.net, &mut self.random);
        if let Some(client) = self.clients.get_mut(at - 1) {
            return client.step(net, self.faults, random);
        }
        self.origins[at - 1 - self.clients.len()].step(net, self.faults, &mut self.seen, random)
    }

    /// Until nothing happens any more unless time passes.
    fn settle(&mut self) {
        let mut steps = vec![];
        for _ in 0..200_000 {
            steps.clear();
            self.net.steps(&mut steps);
            if !steps.is_empty() && self.random.chance(60) {
                let (serial, step) = steps[self.random.below(steps.len())];
                self.step(serial, step);
                continue;
            }
            let peers = 1 + self.clients.len() + self.origins.len();
            let at = self.random.below(peers);
            if !self.peer_step(at) && steps.is_empty() && !(0..peers).any(|at| self.peer_step(at)) {
                return;
            }
            self.check_pools();
        }
        panic!("it goes on for ever");
    }

    fn open_sockets(&self, is_accepted: bool) -> u64 {
        let sockets = self.net.sockets.iter();
        sockets.filter(|socket| !socket.closed && socket.listener.is_some() == is_accepted).count() as u64
    }

    fn check_pools(&self) {
        let active: u64 = self.clusters.iter().map(|cluster| cluster.connections_active.get()).sum();
        assert_eq!(active, self.open_sockets(false), "upstream connections");
        let active: u64 = self.listeners.iter().map(|listener| listener.connections_active.get()).sum();
        assert_eq!(active, self.open_sockets(true), "clients");
    }

    /// Nothing went wrong, so everything was answered, without any timeout.
    fn check_answered(&self) {
        assert_eq!(self.core.streams_active.get(), 0, "streams are stuck");
        for client in &self.clients {
            for (status, kind) in &client.local {
                let may_fail = self.mode == Mode::Stale && matches!(kind, Kind::Post | Kind::PostChunked);
                assert!(may_fail && *status == 503, "{status} to {kind:?} of client {}", client.serial);
            }
            let is_complete = client.is_complete() || !client.local.is_empty();
            let socket = &self.net.sockets[client.serial];
            let (end, taken) = (socket.taken_end, String::from_utf8_lossy(&socket.taken));
            let script = &client.script;
            assert!(is_complete, "client {} of {script:?} was answered {taken}, {end:?}", client.serial);
        }
    }

    /// Timeouts end what is left.
    fn let_time_pass(&mut self) {
        for _ in 0..25 {
            self.now = self.now.after_ms(6_000);
            self.worker.handle_turn(&mut self.net, self.now);
            self.settle();
        }
    }

    fn check_empty(&mut self) {
        self.worker.handle_turn(&mut self.net, self.now);
        for gauge in [&self.core.streams_active, &self.core.connections_active] {
            assert_eq!(gauge.get(), 0, "of the core");
        }
        assert_eq!(self.open_sockets(true) + self.open_sockets(false), 0, "sockets");
        for listener in &self.listeners {
            assert_eq!((listener.requests_active.get(), listener.connections_active.get()), (0, 0));
        }
        for cluster in &self.clusters {
            let gauges = [&cluster.requests_active, &cluster.requests_pending, &cluster.connections_idle];
            assert_eq!(gauges.map(Counter::get), [0; 3], "requests active, pending; connections idle");
            for endpoint in &cluster.endpoints {
                assert_eq!((endpoint.requests_active.get(), endpoint.connections_active.get()), (0, 0));
            }
        }
        assert_eq!(self.core.body_bytes_copied.get(), 0);
    }
}

fn live(seed: u64) {
    let mut run = Run::new(seed);
    run.settle();
    run.worker.handle_turn(&mut run.net, run.now);
    let is_calm = !run.has_faults();
    if is_calm {
        run.check_answered();
    }
    run.let_time_pass();
    for client in &mut run.clients {
        client.check_rest(&run.net, is_calm);
    }
    for origin in &run.origins {
        origin.check_rest(&run.net, is_calm);
    }
    run.check_empty();
    if run.is_draining {
        assert!(run.worker.is_finished());
    }
}

#[test]
fn random_lives_leave_nothing_behind_and_mix_nothing_up() {
    if let Some(seed) = std::env::var("RANDOM_SEED").ok().and_then(|seed| seed.parse().ok()) {
        return live(seed);
    }
    let seeds = std::env::var("RANDOM_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    for seed in 0..seeds.unwrap_or(DEFAULT_SEEDS) {
        let outcome = catch_unwind(|| live(seed));
        assert!(outcome.is_ok(), "what was told above is repeated by RANDOM_SEED={seed}");
    }
}
