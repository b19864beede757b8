//! One cluster's connections on one core: the idle ones of each endpoint, the bound on all of them, and the requests that
//! wait for one. It opens and closes nothing itself.

use crate::cluster::host::Entry;
use crate::cluster::subsets::Subsets;
use crate::cluster::{Breaker, HostTable, PrioritySet};
use crate::config::{Cluster, Endpoint, Heartbeat};
use crate::io::{ConnId, Time};
use crate::message::ClusterUpdate;
use crate::neighbours::{IdleBoard, Neighbours};
use crate::observe::counters::{ClusterCounters, Counter, EndpointCounters};
use crate::stream::StreamKey;
use sidering_codecs::registry::{Protocol, protocol};
use sidering_codecs::rpc::PoolMode;
use std::collections::VecDeque;
use std::sync::Arc;

/// A cluster under one configuration.
pub struct CoreCluster {
    /// The snapshot's, unless its endpoints were found since.
    pub config: Arc<Cluster>,
    pub counters: Arc<ClusterCounters>,
    /// `None` for clusters whose bytes are carried unseen.
    pub protocol: Option<&'static Protocol>,
    pub hosts: HostTable,
    pub(super) priorities: PrioritySet,
    pub(super) subsets: Option<Box<Subsets>>,
    /// Spreads the first picks of the cores.
    start: usize,
    connections: u32,
    /// Requests that wait for a connection of another core, and have room for it.
    asks: u32,
    idle_connections: u32,
    /// Requests that have not come to their end with it: until then it is not forgotten.
    requests: u32,
    /// Where other cores see what is idle here, with the number of this one.
    board: Option<(Arc<IdleBoard>, u32)>,
    waiting: VecDeque<StreamKey>,
    pub(super) breaker: Breaker,
    /// A newer configuration has replaced it: it only finishes what it has.
    pub retired: bool,
}

/// Another idle connection moved to a new place of the list, because lists have no holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evicted {
    pub moved: Option<(ConnId, u32)>,
}

impl CoreCluster {
    /// For core number `core` of `cores`, whose number also spreads the first picks.
    pub fn new(config: Arc<Cluster>, update: &ClusterUpdate, core: u32, cores: u32, now: Time) -> Self {
        let start = core as usize;
        let mut hosts = HostTable::new(config.slow_start);
        hosts.update(&config.endpoints, &update.endpoints, now);
        CoreCluster {
            priorities: PrioritySet::new(&config, &hosts, start),
            subsets: Subsets::new(&config, &hosts, start).map(Box::new),
            start,
            protocol: protocol(config.protocol),
            hosts,
            connections: 0,
            asks: 0,
            idle_connections: 0,
            requests: 0,
            board: None,
            waiting: VecDeque::new(),
            breaker: Breaker::new(&config.circuit_breaker, core, cores),
            retired: false,
            config,
            counters: Arc::clone(&update.counters),
        }
    }

    /// Other endpoints than before, or other weights, with their counters at the same index: what did not change stays as it
    /// is. Tells the idle connections that are of no use any more, which are to be closed.
    pub fn set_endpoints(
        &mut self,
        endpoints: &Arc<[Endpoint]>,
        counters: &[Arc<EndpointCounters>],
        now: Time,
    ) -> Vec<ConnId> {
        if self.config.endpoints == *endpoints {
            return vec![];
        }
        Arc::make_mut(&mut self.config).endpoints = Arc::clone(endpoints);
        self.hosts.update(endpoints, counters, now);
        self.priorities.update(&self.hosts, self.hosts.members());
        if let Some(subsets) = &mut self.subsets {
            subsets.update(&self.config, &self.hosts, self.start);
        }
        self.hosts.idle_of_leaving()
    }

    /// Whether connections to the endpoint are kept for other requests.
    pub fn keeps(&self, endpoint: u32) -> bool {
        !self.retired && self.hosts.is_member(endpoint)
    }

    /// A request comes to the cluster; `false` if its circuit breaker is open. It is to be ended in any case.
    #[must_use]
    pub fn begin_request(&mut self) -> bool {
        self.counters.requests_total.add(1);
        self.begin_gathering()
    }

    /// As [`begin_request`](Self::begin_request), of one that is a request only when it has come whole: it is counted then.
    #[must_use]
    pub fn begin_gathering(&mut self) -> bool {
        let admitted = self.breaker.admits_request(self.requests);
        self.requests += 1;
        self.counters.requests_active.add(1);
        admitted
    }

    /// Takes a place among the retries under way; `false` if there is none. One that goes beside what it follows is one more
    /// request, to be ended as such.
    pub fn begin_retry(&mut self, is_beside: bool) -> bool {
        let has_room = !is_beside || self.breaker.admits_request(self.requests);
        let admitted = has_room && self.breaker.begin_retry(self.requests);
        if admitted && is_beside {
            self.requests += 1;
            self.counters.requests_active.add(1);
        }
        self.counters.retries_active.add(u64::from(admitted));
        admitted
    }

    /// A retry is over.
    pub fn end_retry(&mut self) {
        self.breaker.end_retry();
        self.counters.retries_active.subtract(1);
    }

    /// A request has come to its end with the cluster.
    pub fn end_request(&mut self) {
        self.requests -= 1;
        self.counters.requests_active.subtract(1);
    }

    /// Takes the idle connection of `endpoint` that was used last.
    pub fn take_idle(&mut self, endpoint: u32) -> Option<ConnId> {
        let entry = self.hosts.entry_mut(endpoint)?;
        let conn = entry.idle.pop()?;
        let slot = entry.board_slot;
        self.on_idle_taken(slot);
        Some(conn)
    }

    /// Whether its connections carry many exchanges at a time.
    pub fn is_multiplexed(&self) -> bool {
        self.protocol.is_some_and(|protocol| protocol.pool == PoolMode::Multiplex)
    }

    /// The connections to `endpoint` that carry exchanges, where they may carry more.
    pub fn shared(&self, endpoint: u32) -> &[ConnId] {
        self.hosts.entry(endpoint).map_or(&[], |entry| &entry.shared)
    }

    /// The connection has got its first exchange.
    pub fn share(&mut self, endpoint: u32, conn: ConnId) {
        if let Some(entry) = self.hosts.entry_mut(endpoint) {
            entry.shared.push(conn);
        }
    }

    /// The connection has no exchange any more, or is gone.
    pub fn unshare(&mut self, endpoint: u32, conn: ConnId) {
        if let Some(entry) = self.hosts.entry_mut(endpoint) {
            entry.shared.retain(|shared| *shared != conn);
        }
    }

    /// Whether a connection to the endpoint is being opened.
    pub fn is_connecting(&self, endpoint: u32) -> bool {
        self.hosts.entry(endpoint).is_some_and(|entry| entry.connecting > 0)
    }

    /// A connection that was being opened is established.
    pub fn on_established(&mut self, endpoint: u32) {
        if let Some(entry) = self.hosts.entry_mut(endpoint) {
            entry.connecting = entry.connecting.saturating_sub(1);
        }
    }

    /// How long idle connections to the endpoint may be silent.
    pub fn heartbeat_ms(&self, endpoint: u32, heartbeat: &Heartbeat) -> u64 {
        let learned = self.hosts.entry(endpoint).map_or(0, |entry| entry.heartbeat_ms);
        // What was learned under another configuration is held against its bound.
        if learned == 0 { heartbeat.interval_ms } else { u64::from(learned).min(heartbeat.max_interval_ms) }
    }

    /// Something was learned of it.
    pub fn set_heartbeat_ms(&mut self, endpoint: u32, interval_ms: u64) {
        if let Some(entry) = self.hosts.entry_mut(endpoint) {
            entry.heartbeat_ms = u32::try_from(interval_ms).unwrap_or(u32::MAX);
        }
    }

    /// The endpoint has answered a heartbeat.
    pub fn note_heartbeat_answered(&mut self, endpoint: u32) {
        if let Some(entry) = self.hosts.entry_mut(endpoint) {
            entry.answers_heartbeats = true;
        }
    }

    /// Whether it ever has.
    pub fn answers_heartbeats(&self, endpoint: u32) -> bool {
        self.hosts.entry(endpoint).is_some_and(|entry| entry.answers_heartbeats)
    }

    /// Takes any idle connection to an endpoint that requests may go to, with the endpoint.
    pub fn take_any_idle(&mut self) -> Option<(ConnId, u32)> {
        let is_admitted = |entry: &&Entry| self.priorities.admits(&self.hosts, entry.host.index);
        let endpoint = self.idle_hosts().find(is_admitted)?.host.index;
        self.take_idle(endpoint).map(|conn| (conn, endpoint))
    }

    /// An idle connection, the one of its endpoint unused for longest, to make room.
    pub fn victim(&self) -> Option<ConnId> {
        self.idle_hosts().next()?.idle.first().copied()
    }

    /// Those that have idle connections. Where none has, none is looked at.
    fn idle_hosts(&self) -> impl Iterator<Item = &Entry> {
        let entries = self.hosts.entries().filter(|entry| !entry.idle.is_empty());
        entries.take(if self.idle_connections > 0 { usize::MAX } else { 0 })
    }

    fn on_idle_taken(&mut self, slot: u16) {
        if let Some(count) = self.board_count(slot) {
            count.subtract(1);
        }
        self.idle_connections -= 1;
        self.counters.connections_idle.subtract(1);
    }

    /// Puts a connection back; tells its position, to be given to [`remove_idle`](Self::remove_idle).
    pub fn park(&mut self, endpoint: u32, conn: ConnId) -> u32 {
        let Some(entry) = self.hosts.entry_mut(endpoint) else { return u32::MAX };
        entry.idle.push(conn);
        let (position, slot) = (entry.idle.len() as u32 - 1, entry.board_slot);
        if let Some(count) = self.board_count(slot) {
            count.add(1);
        }
        self.idle_connections += 1;
        self.counters.connections_idle.add(1);
        position
    }

    /// Takes a certain connection out of the idle ones.
    pub fn remove_idle(&mut self, endpoint: u32, position: u32) -> Evicted {
        let Some(entry) = self.hosts.entry_mut(endpoint) else { return Evicted { moved: None } };
        entry.idle.swap_remove(position as usize);
        let moved = entry.idle.get(position as usize).map(|conn| (*conn, position));
        let slot = entry.board_slot;
        self.on_idle_taken(slot);
        Evicted { moved }
    }

    /// The idle connections.
    pub fn idle_ids(&self) -> Vec<ConnId> {
        self.hosts.entries().flat_map(|entry| &entry.idle).copied().collect()
    }

    /// Lets other cores see what is idle, if that is configured, there are any, and connections carry one exchange at a time.
    pub fn share_idle(&mut self, neighbours: Option<&dyn Neighbours>, core: u32) {
        let is_alike = self.protocol.is_some_and(|protocol| protocol.pool == PoolMode::PingPong);
        if self.config.pool.shares_idle && is_alike {
            self.board = neighbours.map(|neighbours| (Arc::clone(neighbours.board()), core));
        }
    }

    /// Whether idle connections may go to other cores, and come from them.
    pub fn shares_idle(&self) -> bool {
        self.board.is_some()
    }

    fn board_count(&self, slot: u16) -> Option<&Counter> {
        let (board, core) = self.board.as_ref()?;
        board.count(*core, slot)
    }

    /// A request asks another core; its connection has its place.
    pub fn begin_ask(&mut self) {
        self.asks += 1;
    }

    /// A request does not wait for another core any more.
    pub fn end_ask(&mut self) {
        self.asks -= 1;
    }

    /// The idle connection of `endpoint` that was used least of late.
    pub fn oldest_idle(&self, endpoint: u32) -> Option<ConnId> {
        self.hosts.entry(endpoint)?.idle.first().copied()
    }

    /// Whether one more connection may be opened.
    pub fn has_room(&self) -> bool {
        self.connections + self.asks < self.config.pool.max_connections
    }

    /// A connection is being opened.
    pub fn on_opened(&mut self, endpoint: u32) {
        self.counters.connections_total.add(1);
        if let Some(entry) = self.hosts.entry_mut(endpoint) {
            entry.connecting += 1;
            entry.host.counters.connections_total.add(1);
        }
        self.on_connection(endpoint);
    }

    /// A connection has come from another core.
    pub fn on_adopted(&mut self, endpoint: u32) {
        self.counters.handovers.add(1);
        self.on_connection(endpoint);
    }

    fn on_connection(&mut self, endpoint: u32) {
        self.connections += 1;
        self.counters.connections_active.add(1);
        if let Some(entry) = self.hosts.entry_mut(endpoint) {
            entry.connections += 1;
            entry.host.counters.connections_active.add(1);
        }
    }

    /// A connection is gone.
    pub fn on_closed(&mut self, endpoint: u32) {
        self.connections -= 1;
        self.counters.connections_active.subtract(1);
        if let Some(entry) = self.hosts.entry_mut(endpoint) {
            entry.connections -= 1;
            entry.host.counters.connections_active.subtract(1);
        }
    }

    /// Lets a request wait for a connection; `false` if too many do.
    pub fn wait(&mut self, stream: StreamKey) -> bool {
        if self.waiting.len() >= self.config.pool.max_pending as usize {
            return false;
        }
        self.waiting.push_back(stream);
        self.counters.requests_pending.add(1);
        true
    }

    /// The request that has waited longest, still in the queue.
    pub fn first_waiting(&self) -> Option<StreamKey> {
        self.waiting.front().copied()
    }

    /// Takes the request that has waited longest out of the queue.
    pub fn next_waiting(&mut self) -> Option<StreamKey> {
        let stream = self.waiting.pop_front()?;
        self.counters.requests_pending.subtract(1);
        Some(stream)
    }

    /// Whether any request waits.
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// A waiting request gave up.
    pub fn stop_waiting(&mut self, stream: StreamKey) {
        if let Some(position) = self.waiting.iter().position(|waiting| *waiting == stream) {
            self.waiting.remove(position);
            self.counters.requests_pending.subtract(1);
        }
    }

    /// Whether nothing is left to finish.
    pub fn is_empty(&self) -> bool {
        self.connections == 0 && self.requests == 0
    }
}
