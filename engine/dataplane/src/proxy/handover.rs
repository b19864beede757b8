//! Idle connections that go from one core to another: a request that finds none asks a core that seems to have one
//! before it opens its own. It decides who gets what; sockets are taken out and put in by the engines.
//!
//! ```text
//! core A, a request                          core B, an idle connection
//!   Asking ──────────── Ask ──────────────────► Leaving (its receive comes to rest)
//!     │ HANDOVER_MS                                │ bytes or an end: closed, answered with none
//!   Attached ◄───────── Answer ──────────────── released
//! ```

use crate::cluster::CoreCluster;
use crate::config::ClusterIndex;
use crate::io::{CloseMode, ConnId, Io};
use crate::message::Message;
use crate::neighbours::{Answer, Ask, SharedConn};
use crate::net::conn::{Conn, Phase, Role};
use crate::proxy::drain::Drain;
use crate::proxy::pick::Refusal;
use crate::stream::{StreamKey, Upstream};
use crate::worker::{Work, Worker};
use sidering_codecs::registry::CodecOptions;

/// A request opens a connection of its own if it has none by then: a core that takes longer for a turn has other worries.
const HANDOVER_MS: u64 = 1;

/// Connections that were used a shorter time ago are kept: two cores that take turns would pass one to and fro.
const SPARE_AFTER_MS: u64 = 100;

impl<I: Io> Worker<I> {
    /// Asks another core if one seems to have an idle connection, else opens one or waits.
    pub(super) fn ask_or_open(&mut self, io: &mut I, key: StreamKey, endpoint: u32) -> Option<Refusal> {
        if self.neighbours.is_some() && self.ask(key, endpoint).is_some() {
            return None;
        }
        self.open_or_wait(io, key, endpoint)
    }

    fn ask(&mut self, key: StreamKey, endpoint: u32) -> Option<()> {
        let neighbours = self.neighbours.as_mut()?;
        let stream = self.streams.get_mut(key)?;
        let cluster = self.clusters.get_mut(stream.cluster as usize)?.as_mut()?;
        if stream.needs_raw_connection() || !cluster.has_room() {
            return None;
        }
        let core = neighbours.board().find(self.core, cluster.board_slot(endpoint)?)?;
        let ask = Ask {
            from: self.core,
            version: stream.listener.snapshot.version,
            cluster: ClusterIndex(stream.listener.cluster_index(stream.cluster)),
            address: cluster.hosts.get(endpoint)?.address.clone(),
            stream: key,
        };
        if !neighbours.try_tell(core, Message::Ask(ask)) {
            return None;
        }
        cluster.begin_ask();
        stream.attempt.upstream = Upstream::Asking;
        stream.retry.due = self.now.after_ms(HANDOVER_MS);
        let downstream = stream.downstream;
        self.arm_deadline(downstream);
        Some(())
    }

    /// The request waits for another core no longer. Its place among the connections of the cluster is free again.
    pub(super) fn end_ask(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get(key) else { return };
        let cluster_key = stream.cluster;
        let Some(Some(cluster)) = self.clusters.get_mut(cluster_key as usize) else { return };
        cluster.end_ask();
        if cluster.has_waiting() {
            self.work.push_back(Work::ServeWaiting(cluster_key));
        }
    }

    /// The other core takes too long.
    pub(super) fn expire_ask(&mut self, io: &mut I, key: StreamKey) {
        self.end_ask(key);
        self.open_instead(io, key);
    }

    /// Nothing came of the ask.
    fn open_instead(&mut self, io: &mut I, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.attempt.upstream = Upstream::Unrouted;
        if let Some(Some(cluster)) = self.clusters.get(stream.cluster as usize) {
            cluster.counters.handovers_declined.add(1);
        }
        let Some(endpoint) = stream.attempt.host.as_ref().map(|host| host.index) else { return };
        if let Some((status, flags, details)) = self.open_to(io, key, endpoint) {
            self.fail_stream(key, status, flags, details);
        }
    }

    /// Another core asks. What can be given is brought to rest first.
    pub(crate) fn handle_ask(&mut self, io: &mut I, ask: Ask) {
        let Some(id) = self.spare_conn(&ask) else {
            self.answer(ask, None);
            return;
        };
        self.unpark(id);
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.phase = Phase::Leaving;
        conn.leaves_for = Some(Box::new(ask));
        io.pause(id);
    }

    /// The idle connection that was not used for longest, if it can be spared.
    fn spare_conn(&self, ask: &Ask) -> Option<ConnId> {
        if self.drain != Drain::No {
            return None;
        }
        let cluster = self.clusters.get(self.cluster_of(ask)? as usize)?.as_ref()?;
        let endpoint = cluster.hosts.find(&ask.address)?;
        cluster.board_slot(endpoint)?;
        let id = cluster.oldest_idle(endpoint)?;
        let conn = self.conns.get(id)?;
        let is_spare = conn.since.after_ms(SPARE_AFTER_MS) <= self.now;
        (is_spare && !conn.input_ended && conn.outbox.is_empty()).then_some(id)
    }

    /// The key here of the cluster that is asked about, if both cores have the same configuration.
    fn cluster_of(&self, ask: &Ask) -> Option<u32> {
        let is_same = ask.version == self.counters.snapshot_version.get();
        self.cluster_keys.first(ask.cluster.0).filter(|_| is_same)
    }

    /// A receive is at rest: the connection goes, if it was to. `false`: it was not.
    pub(super) fn hand_over(&mut self, io: &mut I, id: ConnId) -> bool {
        let Some(conn) = self.conns.get_mut(id) else { return false };
        let Some(ask) = conn.leaves_for.take() else { return false };
        let exchanges = conn.exchanges;
        let conn = io.release(id).map(|socket| SharedConn { socket, exchanges });
        match conn.is_some() {
            true => self.forget_conn(io, id),
            false => self.close_conn(io, id, CloseMode::Graceful),
        }
        self.answer(*ask, conn);
        true
    }

    /// A connection that cannot be told of goes with the message, and is closed.
    pub(super) fn answer(&mut self, ask: Ask, conn: Option<SharedConn>) {
        if let Some(neighbours) = &mut self.neighbours {
            neighbours.try_tell(ask.from, Message::Answer(Answer { ask, conn }));
        }
    }

    /// What another core says to an ask of this one. A connection that comes when its request has opened its own, or is
    /// gone, serves the next one.
    pub(crate) fn handle_answer(&mut self, io: &mut I, answer: Answer) {
        let Answer { ask, conn } = answer;
        let key = ask.stream;
        let awaited = self.streams.get(key).filter(|stream| {
            let is_it = stream.attempt.host.as_ref().is_some_and(|host| host.address == ask.address);
            stream.attempt.upstream == Upstream::Asking && is_it
        });
        let is_awaited = awaited.is_some();
        if is_awaited {
            self.end_ask(key);
        }
        match conn.and_then(|conn| self.adopt(io, &ask, conn)) {
            Some(id) if is_awaited => {
                self.attach(key, id);
                self.send_kept_head(io, key, id);
                self.resume_after_attach(key);
            }
            Some(id) => self.park(io, id),
            None if is_awaited => self.open_instead(io, key),
            None => {}
        }
    }

    /// Enters a connection from another core; one that there is no room for, or that is no good any more, is closed.
    fn adopt(&mut self, io: &mut I, ask: &Ask, shared: SharedConn) -> Option<ConnId> {
        let key = self.cluster_of(ask)?;
        let cluster = self.clusters.get_mut(key as usize)?.as_mut()?;
        let endpoint = cluster.hosts.find(&ask.address).filter(|_| cluster.has_room())?;
        let protocol = cluster.protocol?;
        let id = io.adopt(shared.socket).ok()?;
        cluster.on_adopted(endpoint);
        let mut conn = Conn::new(id, Role::Upstream { cluster: key, endpoint }, Phase::Busy, self.now);
        conn.codec = Some((protocol.client)(CodecOptions::default()));
        conn.exchanges = shared.exchanges;
        self.conns.insert(conn);
        io.receive(id);
        Some(id)
    }
}

impl CoreCluster {
    /// Whether one endpoint's connections are shared, and where the board says how many are idle. Those of a logical one
    /// lead to different addresses.
    fn board_slot(&self, endpoint: u32) -> Option<u16> {
        self.shares_idle().then(|| self.hosts.board_slot(endpoint)).flatten()
    }
}
