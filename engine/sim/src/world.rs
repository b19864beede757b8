//! One run: the machine, its engine, the peers, and the time that passes between them.

use crate::agenda::Event;
use crate::choices::Choices;
use crate::control::Control;
use crate::coverage::Situation;
use crate::engine::truth::Membership;
use crate::engine::{Engine, Side, SimChunk};
use crate::journal::{Journal, Who};
use crate::ledger::{Ledger, Outcome};
use crate::oracle::Oracle;
use crate::peers::exchange::Kind;
use crate::peers::{Peer, model};
use crate::plan::Plan;
use crate::shape::{HTTP, RAW, SECOND, Shape};
use crate::stage::Stage;
use sidering_dataplane::io::{Completion, Machine, Time};
use sidering_dataplane::message::{Message, Update};
use sidering_dataplane::worker::{Worker, WorkerOptions};
use std::sync::Arc;

/// A run that has not come to its end by then will not.
const STEPS_MAX: u64 = 400_000;
const MICROS_MAX: u64 = 900_000_000;
/// Rounds of direct sends in one turn, as in the ring.
const DIRECT_ROUNDS: usize = 4;

/// What the control thread has sent.
pub(crate) enum Mail {
    /// The socket of a listener.
    Listen(u32),
    Message(Message),
    /// A configuration, endpoints or health, and what it makes endpoints.
    Members(Message, Vec<Membership>),
}

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) worker: Worker<Engine>,
    pub(crate) ledger: Ledger,
    pub(crate) plan: Plan,
    pub(crate) shape: Shape,
    pub(crate) oracle: Oracle,
    peers: Vec<Option<Box<dyn Peer>>>,
    left_over: Vec<Vec<u32>>,
    clients_to_come: usize,
    pub(crate) controls: Vec<(u64, Control)>,
    pub(crate) mail: Vec<Mail>,
    steps: u64,
    pub(crate) is_draining: bool,
    pub(crate) was_stopped: bool,
    pub(crate) reloads: usize,
}

impl World {
    pub(crate) fn new(mut choices: Choices, journal: Journal) -> Self {
        let plan = Plan::new(&mut choices);
        let shape = Shape::new(&plan, &mut choices);
        let seed = choices.below(1 << 20) as u64;
        journal.say(|| format!("{plan:#?}\n{shape:#?}"));
        let engine = Engine::new(choices, plan.temper.clone(), journal);
        let oracle = Oracle::new(plan.http_clusters + 1);
        let sink = oracle.sink();
        let counters = Arc::clone(&oracle.core);
        let worker = Worker::new(WorkerOptions {
            core: 0,
            counters,
            access_log: Some(sink),
            reports: None,
            notices: Some(oracle.notices.sink()),
            seed,
            neighbours: None,
            kept_slots_max: plan.kept_slots() as u32,
        });
        let clients_to_come = plan.clients;
        let mut world = World {
            engine,
            worker,
            ledger: Ledger::default(),
            plan,
            shape,
            oracle,
            peers: vec![],
            left_over: vec![],
            clients_to_come,
            controls: vec![],
            mail: vec![],
            steps: 0,
            is_draining: false,
            was_stopped: false,
            reloads: 0,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        let start = self.engine.now;
        let choices = &mut self.engine.choices;
        let span = self.plan.arrival_micros + 30_000;
        let mut controls: Vec<(u64, Control)> = vec![];
        for _ in 0..self.plan.reloads {
            controls.push((start + choices.below(span) as u64, Control::Reload));
        }
        if self.plan.drains {
            // Just when the first client comes, who may wait in the backlog then, or at any time.
            let within = if choices.chance(25) { 100 } else { 2 * span };
            controls.push((start + choices.below(within) as u64, Control::Drain));
        }
        if self.plan.stops {
            controls.push((start + choices.below(2 * span) as u64, Control::Stop));
        }
        controls.sort_unstable();
        controls.reverse();
        for (time, _) in &controls {
            self.engine.agenda.add(*time, Event::Control);
        }
        self.controls = controls;
        self.engine.agenda.add(start, Event::Client);
        self.apply();
        self.turn();
    }

    /// Hands the configuration as it is now to the machine, with the sockets that it needs.
    pub(crate) fn apply(&mut self) {
        self.shape.enter(&mut self.engine.truth);
        // Whoever drains is given no new sockets.
        let listeners = if self.is_draining { vec![] } else { self.shape.listeners() };
        for id in listeners {
            self.mail.push(Mail::Listen(id));
        }
        let most = u64::from(self.shape.limits.max_connections);
        self.oracle.connections_max = self.oracle.connections_max.max(most);
        let snapshot = self.shape.snapshot();
        let (listeners, clusters) = self.oracle.counters_for(&self.shape);
        let update = Update { snapshot: Arc::new(snapshot), listeners, clusters };
        let members = self.shape.memberships(&self.engine.truth);
        self.mail.push(Mail::Members(Message::Apply(update), members));
        self.engine.is_ready = true;
    }

    /// Until nothing happens any more, or the machine is finished.
    pub(crate) fn run(&mut self) {
        while !self.worker.is_finished() {
            self.steps += 1;
            assert!(self.steps < STEPS_MAX, "the run goes on for ever: {} steps", self.steps);
            let passed = self.engine.now;
            assert!(
                passed < MICROS_MAX,
                "the run goes on for ever: {} s of virtual time",
                passed / 1_000_000
            );
            self.handle_events();
            if self.engine.wants_turn() || !self.mail.is_empty() {
                self.pass_time_before_turn();
                self.turn();
                continue;
            }
            let deadline = self.worker.next_deadline().map(|time| time.micros);
            let event = self.engine.agenda.next_time();
            let Some(next) = [deadline, event].into_iter().flatten().min() else { break };
            self.engine.now = next.max(self.engine.now);
            if deadline.is_some_and(|deadline| deadline <= self.engine.now) {
                self.handle_events();
                self.turn();
            }
        }
    }

    /// The loop's own latency, which is a few microseconds, and now and then much more.
    fn pass_time_before_turn(&mut self) {
        let choices = &mut self.engine.choices;
        let micros = if choices.one_in(self.plan.temper.stalls) {
            self.engine.coverage.meet(Situation::LongStall);
            choices.between(1_000, 20_000)
        } else {
            choices.below(40)
        };
        self.engine.now += micros as u64;
        self.handle_events();
    }

    fn handle_events(&mut self) {
        while let Some(event) = self.engine.agenda.pop_due(self.engine.now) {
            match event {
                Event::Peer(link) => self.wake(link),
                Event::Arrive(link) => self.engine.handle_arrival(link),
                Event::Connect(link) => self.connect(link),
                Event::Break(link) => self.engine.break_link(link),
                Event::Kick => self.engine.is_ready = true,
                Event::Client => self.next_client(),
                Event::Control => self.control(),
            }
        }
    }

    fn time(&self) -> Time {
        Time { micros: self.engine.now }
    }

    /// One turn, as a driver does it.
    pub(crate) fn turn(&mut self) {
        self.engine.enter();
        let now = self.time();
        let mut hand = self.engine.take_hand();
        while let Some(completion) = self.engine.next_completion(&mut hand) {
            self.tell(now, completion);
        }
        self.read_mail(now);
        self.worker.handle_turn(&mut self.engine, now);
        self.watch();
        self.engine.end_turn();
        for _ in 0..DIRECT_ROUNDS {
            let mut sent = self.engine.take_sent();
            let mut is_any = false;
            while let Some(completion) = self.engine.next_completion(&mut sent) {
                is_any = true;
                self.tell(now, completion);
            }
            if !is_any {
                break;
            }
            self.engine.flush();
        }
        self.engine.defer_sent();
        if let Some(deadline) = self.worker.next_deadline() {
            assert!(deadline > now, "the machine's deadline is past after its turn: it would spin");
        }
        self.after_turn();
        self.hear_notices();
    }

    /// Whether a message waits that the machine has not seen.
    pub(crate) fn has_mail(&self) -> bool {
        !self.mail.is_empty()
    }

    fn read_mail(&mut self, now: Time) {
        for mail in std::mem::take(&mut self.mail) {
            let message = match mail {
                Mail::Listen(id) => {
                    self.engine.add_listener(id);
                    continue;
                }
                Mail::Message(message) => message,
                Mail::Members(message, members) => {
                    self.note_unserved();
                    for Membership { at, is_member, is_unwell } in members {
                        let known = &mut self.engine.truth.clusters[at];
                        (known.is_member, known.is_unwell) = (is_member, is_unwell);
                    }
                    self.note_unserved();
                    message
                }
            };
            match &message {
                Message::Apply(update) => {
                    let listeners = update.snapshot.listeners.iter().map(|listener| listener.id.0);
                    self.oracle.applied = listeners.collect();
                }
                Message::Endpoints(_) | Message::Health(_) => {}
                Message::Stop => self.oracle.applied.clear(),
                Message::Drain => self.ledger.drained_at = Some(self.engine.now),
                Message::Share(_) | Message::Ask(_) | Message::Answer(_) => {}
            }
            let kept = self.kept_by(&message);
            self.worker.handle_message(&mut self.engine, now, message);
            self.check_kept(&kept);
            self.watch();
        }
    }

    fn tell(&mut self, now: Time, completion: Completion<SimChunk>) {
        self.worker.handle_completion(&mut self.engine, now, completion);
        self.watch();
    }

    /// Tells the peer of a link to look at it.
    fn wake(&mut self, link: u32) {
        let entry = &mut self.engine.links[link as usize];
        // A later wake that an earlier one overtook finds nothing to do.
        if entry.peer_wakes_at <= self.engine.now {
            entry.peer_wakes_at = u64::MAX;
        }
        let peer = entry.peer;
        self.with_peer(peer, |peer, stage| peer.wake(stage));
        self.reconnect();
    }

    fn with_peer(&mut self, number: u32, act: impl FnOnce(&mut dyn Peer, &mut Stage<'_>)) {
        let Some(mut peer) = self.peers.get_mut(number as usize).and_then(Option::take) else { return };
        act(peer.as_mut(), &mut self.stage());
        self.peers[number as usize] = Some(peer);
    }

    fn stage(&mut self) -> Stage<'_> {
        Stage {
            engine: &mut self.engine,
            ledger: &mut self.ledger,
            plan: &self.plan,
            left_over: &mut self.left_over,
        }
    }

    /// An upstream is reached, or not.
    fn connect(&mut self, link: u32) {
        if !self.engine.connect_done(link) {
            return;
        }
        let side = self.engine.open_conns().find(|conn| conn.link == link).map(|conn| conn.side);
        let Some(Side::Upstream(cluster, _)) = side else { return };
        let number = self.engine.truth.clusters[cluster].cluster;
        let protocol = if number == self.plan.raw_cluster() { "tcp" } else { self.plan.protocol };
        let peer = (model(protocol).origin)(link, &mut self.stage());
        self.add_peer(link, peer);
    }

    fn add_peer(&mut self, link: u32, peer: Box<dyn Peer>) {
        self.engine.links[link as usize].peer = self.peers.len() as u32;
        self.peers.push(Some(peer));
        self.engine.wake_peer_in(link, 0);
    }

    /// The next client comes with a script of its own.
    fn next_client(&mut self) {
        self.clients_to_come -= 1;
        if self.clients_to_come > 0 {
            let micros = self.engine.choices.below(self.plan.arrival_micros / self.plan.clients + 1) as u64;
            self.engine.agenda.add(self.engine.now + micros, Event::Client);
        }
        let is_raw = self.engine.choices.chance(15);
        let count = if is_raw { 1 } else { self.engine.choices.between(1, self.plan.requests_max) };
        let protocol = if is_raw { "tcp" } else { self.plan.protocol };
        let tags = (0..count).map(|at| self.new_request(protocol, at + 1 == count)).collect();
        let is_second = self.engine.choices.chance(if self.shape.has_second { 40 } else { 2 });
        let listener = if is_raw {
            RAW
        } else if is_second {
            SECOND
        } else {
            HTTP
        };
        self.client_comes(listener, tags);
    }

    fn new_request(&mut self, protocol: &str, is_last: bool) -> u32 {
        let cluster = self.engine.choices.below(self.plan.http_clusters);
        let exchange = (model(protocol).exchange)(cluster, is_last, &mut self.stage());
        self.ledger.enter(exchange)
    }

    fn client_comes(&mut self, listener: u32, tags: Vec<u32>) {
        let link = self.engine.open_link(u32::MAX);
        if !self.engine.client_connects(listener, link) {
            for tag in tags {
                self.stage().conclude(tag, Outcome::Unanswered);
                self.ledger.get_mut(tag).may_go_unanswered = true;
            }
            return;
        }
        self.engine.mark(Who::Client, "connects to listener", link, u64::from(listener));
        let is_raw = self.ledger.get(tags[0]).exchange.kind == Kind::Raw;
        let protocol = if is_raw { "tcp" } else { self.plan.protocol };
        let peer = (model(protocol).client)(link, tags, &mut self.stage());
        self.add_peer(link, peer);
    }

    /// What clients could not send on a connection that was closed they send on another one.
    fn reconnect(&mut self) {
        for tags in std::mem::take(&mut self.left_over) {
            self.client_comes(HTTP, tags);
        }
    }

    /// The peers have had their time: what they have not settled is a failure.
    pub(crate) fn finish_peers(&mut self) {
        for number in 0..self.peers.len() {
            self.with_peer(number as u32, |peer, stage| peer.finish(stage));
        }
        self.abandon_left_over();
    }

    /// The machine is gone: lets the peers see the ends of their connections.
    pub(crate) fn let_peers_see(&mut self) {
        for _ in 0..STEPS_MAX {
            let Some(next) = self.engine.agenda.next_time() else { return };
            self.engine.now = self.engine.now.max(next);
            while let Some(event) = self.engine.agenda.pop_due(self.engine.now) {
                match event {
                    Event::Peer(link) => {
                        let entry = &mut self.engine.links[link as usize];
                        entry.peer_wakes_at = u64::MAX;
                        let peer = entry.peer;
                        self.with_peer(peer, |peer, stage| peer.wake(stage));
                        self.abandon_left_over();
                    }
                    Event::Arrive(link) => self.engine.handle_arrival(link),
                    _ => {}
                }
            }
        }
        panic!("peers go on for ever");
    }

    fn abandon_left_over(&mut self) {
        for tag in std::mem::take(&mut self.left_over).into_iter().flatten() {
            self.stage().conclude(tag, Outcome::Unanswered);
            self.ledger.get_mut(tag).may_go_unanswered = true;
        }
    }
}
