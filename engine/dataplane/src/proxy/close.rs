//! The end of connections: at once, or lingering so that the last answer is not overtaken by a reset.

use crate::io::{CloseMode, ConnId, Io};
use crate::net::conn::{Conn, Phase, Role};
use crate::net::race::Part;
use crate::worker::{Work, Worker};

/// Bytes that are read and discarded from a client that was already answered, before it is cut off.
pub(crate) const LINGER_BYTES: u32 = 1024 * 1024;

impl<I: Io> Worker<I> {
    /// Ends a connection now and takes it out of every table. Its stream must have been dealt with before.
    pub(crate) fn close_conn(&mut self, io: &mut I, id: ConnId, mode: CloseMode) {
        if self.conns.get(id).is_some() && !(mode == CloseMode::Graceful && self.leaves_when_sent(id)) {
            io.close(id, mode);
            self.forget_conn(io, id);
        }
    }

    /// Whether a connection that has yet to send what nobody answers goes only then. It takes nothing else any more.
    fn leaves_when_sent(&mut self, id: ConnId) -> bool {
        let Some(conn) = self.conns.get_mut(id) else { return false };
        if !std::mem::take(&mut conn.sends_one_way) || conn.input_ended || conn.outbox.has_failed() {
            return false;
        }
        if conn.phase == Phase::Idle {
            self.unpark(id);
        }
        if let Some(conn) = self.conns.get_mut(id) {
            conn.phase = Phase::Busy;
            conn.since = self.now;
        }
        self.arm_deadline(id);
        true
    }

    /// Makes room for a connection to the cluster: those that were idle for longest go. `false` if there is none for now.
    pub(super) fn make_room(&mut self, io: &mut I, key: u32) -> bool {
        loop {
            let Some(Some(cluster)) = self.clusters.get(key as usize) else { return false };
            if cluster.has_room() {
                return true;
            }
            let Some(victim) = cluster.victim() else { return false };
            self.close_conn(io, victim, CloseMode::Graceful);
        }
    }

    /// Takes a connection out of every table that the engine has no more.
    pub(super) fn forget_conn(&mut self, io: &mut I, id: ConnId) {
        let Some(mut conn) = self.conns.remove(id) else { return };
        if let Some(shadow) = conn.shadow.take() {
            self.end_shadow(shadow);
        }
        if let Some(entry) = conn.timer.entry {
            self.timers.cancel(entry);
        }
        if let Some(ask) = conn.leaves_for.take() {
            self.answer(*ask, None);
        }
        // Whoever ends the attempt that leads ends them all.
        if let Some(racer) = &conn.racer
            && let Part::Leading(race) = &racer.part
        {
            self.close_racers(io, &race.older);
        }
        match conn.role {
            Role::Detecting { listener }
            | Role::Downstream { listener }
            | Role::TunnelDownstream { listener } => {
                debug_assert!(
                    conn.stream.is_none_or(|key| self.streams.get(key).is_none()),
                    "a stream is orphaned"
                );
                self.on_downstream_gone(listener.0 as usize);
            }
            Role::Upstream { cluster, endpoint } | Role::TunnelUpstream { cluster, endpoint } => {
                self.on_upstream_gone(&conn, cluster, endpoint);
            }
        }
    }

    fn on_downstream_gone(&mut self, listener: usize) {
        if let Some(slot) = self.listeners.get_mut(listener) {
            slot.connections = slot.connections.saturating_sub(1);
            slot.last.take_if(|_| slot.connections == 0);
            if let Some(listener) = &slot.listener {
                listener.counters.connections_active.subtract(1);
            }
        }
        self.check_drained();
    }

    fn on_upstream_gone(&mut self, conn: &Conn<I::Chunk>, key: u32, endpoint: u32) {
        if conn.phase == Phase::Idle {
            self.remove_idle(key, endpoint, conn.idle_position);
        }
        let Some(Some(cluster)) = self.clusters.get_mut(key as usize) else { return };
        if conn.calls.is_some() {
            cluster.unshare(endpoint, conn.id);
        }
        if conn.phase == Phase::Connecting {
            cluster.on_established(endpoint);
        }
        cluster.on_closed(endpoint);
        if cluster.has_waiting() {
            self.work.push_back(Work::ServeWaiting(key));
        }
        self.forget_cluster_if_done(key);
    }

    fn remove_idle(&mut self, key: u32, endpoint: u32, position: u32) {
        let Some(Some(cluster)) = self.clusters.get_mut(key as usize) else { return };
        let evicted = cluster.remove_idle(endpoint, position);
        if let Some((moved, position)) = evicted.moved
            && let Some(moved) = self.conns.get_mut(moved)
        {
            moved.idle_position = position;
        }
    }

    /// Takes an idle connection out of its pool.
    pub(super) fn unpark(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        if let Role::Upstream { cluster, endpoint } = conn.role {
            self.remove_idle(cluster, endpoint, conn.idle_position);
        }
    }

    /// A cluster that was replaced is dropped with the last of what it had; its key may be given out again then.
    pub(crate) fn forget_cluster_if_done(&mut self, key: u32) {
        if let Some(slot) = self.clusters.get_mut(key as usize) {
            slot.take_if(|cluster| cluster.retired && cluster.is_empty());
        }
    }

    /// Ends a downstream connection behind the answer that is queued. If the client may still be sending, what comes is
    /// discarded for a while: closing with unread bytes would send a reset that can destroy the answer in its buffers.
    pub(crate) fn close_behind_answer(&mut self, io: &mut I, id: ConnId, client_may_send: bool) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.calls.is_some() {
            conn.outbox.flush_staged(io, id, &mut self.buffers);
        }
        let nothing_to_come = !client_may_send || conn.input_ended;
        if conn.outbox.has_failed() || (nothing_to_come && conn.outbox.is_empty()) {
            self.close_conn(io, id, CloseMode::Graceful);
            return;
        }
        conn.phase = Phase::Lingering;
        conn.since = self.now;
        conn.held.clear();
        if !std::mem::replace(&mut conn.is_shut, true) {
            io.shutdown(id);
        }
        if !conn.input_ended {
            conn.paused = false;
            io.receive(id);
        }
        self.arm_deadline(id);
    }

    /// Ends the sending side behind an answer that is whole, if it is the last one: asked for together with the answer,
    /// the engine can let the FIN ride in its last segment.
    pub(crate) fn end_behind_last_answer(&mut self, io: &mut I, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let is_last = conn.is_poisoned || conn.codec.as_ref().is_some_and(|codec| !codec.is_reusable());
        if is_last && !conn.is_shut && !conn.outbox.has_failed() {
            conn.is_shut = true;
            io.shutdown(id);
        }
    }

    /// Bytes of a client that was already answered.
    pub(crate) fn discard(&mut self, io: &mut I, id: ConnId, bytes: usize) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.lingered_bytes = conn.lingered_bytes.saturating_add(bytes as u32);
        if conn.lingered_bytes > LINGER_BYTES {
            self.close_conn(io, id, CloseMode::Graceful);
        }
    }
}
