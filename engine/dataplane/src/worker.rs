//! One core's machine: its tables, the dispatch of completions, and the list of work that follows each of them.
//!
//! What a completion means is in [`crate::proxy`]; this file only knows whom it concerns.

use crate::buffers::BufferPool;
use crate::cluster::{ClusterKeys, CoreCluster};
use crate::filter::StreamFilters;
use crate::filter::coding::CodingPool;
use crate::filter::local_rate_limit::shares::{RateLimits, ReportSink};
use crate::io::{Completion, ConnId, Io, ListenerId, Machine, Time};
use crate::message::Message;
use crate::neighbours::Neighbours;
use crate::net::conn::{ConnTable, Role};
use crate::net::listener::CoreListener;
use crate::net::timer::TimerWheel;
use crate::observe::access_log::RecordSink;
use crate::observe::counters::CoreCounters;
use crate::observe::notice::NoticeSink;
use crate::proxy::drain::Drain;
use crate::route::SubstitutionCaches;
use crate::stream::{BodyTable, LogText, OwnedHead, Shadow, ShadowTotals, StreamKey, StreamTable};
use sidering_codecs::{Edits, Scratch};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

/// What a worker is given when it is made.
#[derive(Default)]
pub struct WorkerOptions {
    /// The number of this core, from 0.
    pub core: u32,
    pub counters: Arc<CoreCounters>,
    /// Where access-log records go, if a configuration asks for them.
    pub access_log: Option<Box<dyn RecordSink>>,
    /// Where reports on rate limits go, if there are other cores.
    pub reports: Option<Box<dyn ReportSink>>,
    /// Where it tells what control must hear of at once; nobody hears it otherwise.
    pub notices: Option<Box<dyn NoticeSink>>,
    /// The other cores, if pools may share with them.
    pub neighbours: Option<Box<dyn Neighbours>>,
    /// Decides request ids and, where chance has a part in it, which endpoints are picked and which requests get a fault.
    pub seed: u64,
    /// Receive slots that kept request bodies may hold; beyond, bodies are copied. Well below what the engine has.
    pub kept_slots_max: u32,
}

/// What is due once the completion under way has been dealt with and every codec is in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Answer the stream's request with its local reply.
    Reply(StreamKey),
    /// It may be known by now what the downstream speaks.
    Detect(ConnId),
    /// Look at what the downstream holds back.
    ResumeDownstream(ConnId),
    /// A connection of the cluster may be had: serve those that wait.
    ServeWaiting(u32),
    /// Answers that wait for the downstream connection have their turn, if it is free.
    Deliver(ConnId),
    /// The answer that has held the upstream connection up has its turn.
    ResumeAnswers(ConnId),
    /// An answer with this status is dropped for another attempt.
    DropAnswer(StreamKey, u16),
    /// An answer cannot be read.
    RefuseAnswer(StreamKey),
    /// A request that nobody waits for was sent.
    EndOneWay(StreamKey),
    /// The stream was answered before all of its request was sent on the connection.
    Part(StreamKey, ConnId),
    /// The upstream has stopped within a frame: nothing that the connection carries can be answered.
    Break(ConnId),
    /// The client may send the body of its request.
    Continue(StreamKey),
    /// Send the request again on a fresh connection.
    Retry(StreamKey),
    /// Everything of the tunnel may be over.
    CheckTunnel(StreamKey),
    /// The request is whole, and goes to the cluster that mirrors it, too.
    Mirror(StreamKey),
}

/// What a timer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimerToken {
    Conn(ConnId),
    /// Accepting paused for want of descriptors.
    ResumeAccept(ListenerId),
    /// Whoever waited in a backlog has been accepted.
    DrainBacklog,
    DrainDeadline,
}

/// A listener slot of this core.
#[derive(Default)]
pub(crate) struct ListenerSlot {
    pub(crate) listener: Option<Rc<CoreListener>>,
    /// What the listener was that was taken away while it had connections, for as long as it has: should it come back, they go on
    /// as what they are, or not at all.
    pub(crate) last: Option<Rc<CoreListener>>,
    pub(crate) connections: u32,
    pub(crate) is_accepting: bool,
    /// A timer is set to accept again.
    pub(crate) resumes_later: bool,
}

impl ListenerSlot {
    /// Puts another configuration in place. The gauge of connections goes along with those that are open.
    pub(crate) fn replace(&mut self, listener: Option<Rc<CoreListener>>) -> Option<Rc<CoreListener>> {
        let open = u64::from(self.connections);
        if let Some(listener) = &listener {
            listener.counters.connections_active.add(open);
        }
        let previous = std::mem::replace(&mut self.listener, listener);
        if let Some(previous) = &previous {
            previous.counters.connections_active.subtract(open);
        }
        previous
    }
}

/// The data plane of one core.
pub struct Worker<I: Io> {
    pub(crate) now: Time,
    pub(crate) conns: ConnTable<I::Chunk>,
    pub(crate) streams: StreamTable,
    pub(crate) timers: TimerWheel<TimerToken>,
    pub(crate) listeners: Vec<ListenerSlot>,
    pub(crate) clusters: Vec<Option<CoreCluster>>,
    /// The keys of the configuration in use, as its listeners have them.
    pub(crate) cluster_keys: ClusterKeys,
    /// The key of the cluster that this proxy belongs to.
    pub(crate) local_cluster: Option<u32>,
    pub(crate) buffers: BufferPool,
    pub(crate) scratch: Scratch,
    pub(crate) edits: Edits,
    pub(crate) path_scratch: Vec<u8>,
    pub(crate) substitutions: SubstitutionCaches,
    /// A path with what a regex has replaced in it.
    pub(crate) replaced_scratch: Vec<u8>,
    /// The boxes themselves are what is spared: a stream holds a pointer, and taking one allocates nothing.
    #[expect(clippy::vec_box)]
    pub(crate) spare_heads: Vec<Box<OwnedHead>>,
    #[expect(clippy::vec_box)]
    pub(crate) spare_logs: Vec<Box<LogText>>,
    #[expect(clippy::vec_box)]
    pub(crate) spare_filters: Vec<Box<StreamFilters>>,
    pub(crate) spare_lines: Vec<Vec<u8>>,
    pub(crate) joined_scratch: Vec<u8>,
    pub(crate) bodies: BodyTable<I::Chunk>,
    pub(crate) shadows: ShadowTotals,
    #[expect(clippy::vec_box)]
    pub(crate) spare_shadows: Vec<Box<Shadow>>,
    pub(crate) record: Vec<u8>,
    pub(crate) work: VecDeque<Work>,
    /// Connections that have staged something since the turn began, each once.
    pub(crate) touched: Vec<ConnId>,
    pub(crate) counters: Arc<CoreCounters>,
    pub(crate) access_log: Option<Box<dyn RecordSink>>,
    pub(crate) rate_limits: Rc<RateLimits>,
    pub(crate) codings: Rc<CodingPool>,
    /// What filters made of a part of a body, on its way out.
    pub(crate) transformed: Vec<u8>,
    reports: Option<Box<dyn ReportSink>>,
    pub(crate) notices: Option<Box<dyn NoticeSink>>,
    pub(crate) neighbours: Option<Box<dyn Neighbours>>,
    pub(crate) random: u64,
    pub(crate) core: u32,
    pub(crate) drain: Drain,
}

impl<I: Io> Worker<I> {
    /// A worker without a configuration: it does nothing before its first [`Message::Apply`].
    pub fn new(options: WorkerOptions) -> Self {
        Worker {
            now: Time::default(),
            conns: ConnTable::default(),
            streams: StreamTable::default(),
            timers: TimerWheel::default(),
            listeners: Vec::new(),
            clusters: Vec::new(),
            cluster_keys: ClusterKeys::default(),
            local_cluster: None,
            buffers: BufferPool::default(),
            scratch: Scratch::default(),
            edits: Edits::default(),
            path_scratch: Vec::new(),
            substitutions: SubstitutionCaches::default(),
            replaced_scratch: Vec::new(),
            spare_heads: Vec::new(),
            spare_logs: Vec::new(),
            spare_filters: Vec::new(),
            spare_lines: Vec::new(),
            joined_scratch: Vec::new(),
            bodies: BodyTable::new(options.kept_slots_max),
            shadows: ShadowTotals::default(),
            spare_shadows: Vec::new(),
            record: Vec::new(),
            work: VecDeque::new(),
            touched: Vec::new(),
            counters: options.counters,
            access_log: options.access_log,
            rate_limits: Rc::default(),
            codings: Rc::default(),
            transformed: Vec::new(),
            reports: options.reports,
            notices: options.notices,
            neighbours: options.neighbours,
            random: options.seed | 1,
            core: options.core,
            drain: Drain::No,
        }
    }

    fn dispatch(&mut self, io: &mut I, completion: Completion<I::Chunk>) {
        match completion {
            Completion::Accepted { listener, conn } => self.handle_accepted(io, listener, conn),
            Completion::AcceptFailed { listener, .. } => self.handle_accept_failed(listener),
            Completion::Connected { conn, result } => self.handle_connected(io, conn, result),
            Completion::Received { conn, chunk } => self.handle_received(io, conn, chunk),
            Completion::ReceiveEnded { conn, result } => match self.role(conn) {
                Some(Role::Downstream { .. }) => self.handle_downstream_ended(io, conn, result.is_ok()),
                Some(Role::Upstream { .. }) => self.handle_upstream_ended(io, conn, result.is_ok()),
                Some(Role::Detecting { .. }) => self.handle_detecting_ended(io, conn, result.is_ok()),
                Some(Role::TunnelDownstream { .. }) => self.handle_tunnel_ended(io, conn, result.is_ok()),
                _ => {}
            },
            Completion::Paused { conn } => self.handle_paused(io, conn),
            Completion::Sent { conn, bytes } => self.handle_sent(io, conn, bytes),
            Completion::SendFailed { conn, .. } => self.handle_send_failed(io, conn),
            Completion::Relayed { from, bytes, .. } => self.handle_relayed(from, bytes),
            Completion::RelayEnded { from, end, .. } => self.handle_relay_ended(io, from, end),
        }
    }

    fn handle_received(&mut self, io: &mut I, conn: ConnId, chunk: I::Chunk) {
        let bytes = chunk.len() as u64;
        match self.role(conn) {
            Some(Role::Downstream { listener }) => {
                if let Some(listener) = &self.listeners[listener.0 as usize].listener {
                    listener.counters.received_bytes.add(bytes);
                }
                self.handle_downstream_bytes(io, conn, chunk);
            }
            Some(Role::Upstream { cluster, .. }) => {
                if let Some(cluster) = &self.clusters[cluster as usize] {
                    cluster.counters.received_bytes.add(bytes);
                }
                self.handle_upstream_bytes(io, conn, chunk);
            }
            Some(Role::Detecting { listener }) => {
                if let Some(listener) = &self.listeners[listener.0 as usize].listener {
                    listener.counters.received_bytes.add(bytes);
                }
                self.handle_detecting_bytes(io, conn, chunk);
            }
            Some(Role::TunnelDownstream { .. }) => self.handle_tunnel_bytes(io, conn, chunk),
            _ => {}
        }
    }

    /// Does what the last completion left to be done. Each piece of work ends or moves a stream, so this ends.
    fn settle(&mut self, io: &mut I) {
        while let Some(work) = self.work.pop_front() {
            match work {
                Work::Reply(stream) => self.send_local_reply(io, stream),
                Work::Detect(conn) => self.detect(io, conn),
                Work::ResumeDownstream(conn) => self.resume_downstream(io, conn),
                Work::ServeWaiting(cluster) => self.serve_waiting(io, cluster),
                Work::Deliver(conn) => self.deliver(io, conn),
                Work::ResumeAnswers(conn) => self.resume_answers(io, conn),
                Work::DropAnswer(stream, status) => self.drop_call_answer(io, stream, status),
                Work::RefuseAnswer(stream) => self.refuse_answer(io, stream),
                Work::EndOneWay(stream) => self.end_one_way(io, stream),
                Work::Part(stream, conn) => self.part_answered(io, stream, conn),
                Work::Break(conn) => self.break_shared(io, conn, false),
                Work::Continue(stream) => self.send_continue(io, stream),
                Work::Retry(stream) => self.retry(io, stream),
                Work::CheckTunnel(stream) => self.check_tunnel(io, stream),
                Work::Mirror(stream) => self.mirror(io, stream),
            }
        }
    }

    /// What filters have for control goes there. What it has no room for is asked for again.
    fn send_reports(&mut self) {
        if self.rate_limits.is_silent() {
            return;
        }
        for report in self.rate_limits.take_reports() {
            if let Some(reports) = &mut self.reports {
                reports.try_report(report);
            }
        }
    }

    pub(crate) fn role(&self, conn: ConnId) -> Option<Role> {
        self.conns.get(conn).map(|conn| conn.role)
    }

    /// A random number: for ids, picks and shares, where nothing depends on its being hard to guess.
    pub(crate) fn next_random(&mut self) -> u64 {
        draw(&mut self.random)
    }
}

/// The first random number of a worker with this seed, for who explains what depends on it.
#[must_use]
pub fn first_random(seed: u64) -> u64 {
    draw(&mut (seed | 1))
}

/// xorshift64*.
fn draw(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_F491_4F6C_DD1D)
}

impl<I: Io> Machine<I> for Worker<I> {
    type Message = Message;

    fn handle_completion(&mut self, io: &mut I, now: Time, completion: Completion<I::Chunk>) {
        self.now = now;
        self.dispatch(io, completion);
        self.settle(io);
    }

    fn handle_message(&mut self, io: &mut I, now: Time, message: Message) {
        self.now = now;
        match message {
            Message::Apply(update) => self.apply(io, &update),
            Message::Endpoints(update) => self.apply_endpoints(io, &update),
            Message::Health(update) => self.apply_health(&update),
            Message::Ask(ask) => self.handle_ask(io, ask),
            Message::Answer(answer) => self.handle_answer(io, answer),
            Message::Share(order) => self.rate_limits.handle(&order, now),
            Message::Drain => self.begin_drain(io),
            Message::Stop => self.stop(io),
        }
        self.settle(io);
    }

    fn handle_turn(&mut self, io: &mut I, now: Time) {
        self.now = now;
        while let Some(token) = self.timers.pop_due(now) {
            self.handle_timer(io, token);
            self.settle(io);
        }
        self.flush_touched(io);
        self.send_reports();
        self.counters.timers.set(self.timers.len() as u64);
        self.counters.streams_active.set(self.streams.len() as u64);
        self.counters.connections_active.set(self.conns.len() as u64);
    }

    fn next_deadline(&self) -> Option<Time> {
        self.timers.next_deadline()
    }

    fn is_finished(&self) -> bool {
        self.drain == Drain::Finished
    }
}
