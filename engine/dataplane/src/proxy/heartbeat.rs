//! Heartbeats on idle upstream connections that carry calls. What middle boxes allow is learned for each endpoint: intervals
//! grow while they are answered, and shrink when a silent connection is cut.

use crate::config::Heartbeat;
use crate::io::{CloseMode, ConnId, Io, Time};
use crate::net::conn::{Conn, Phase, Role};
use crate::worker::Worker;

impl<I: Io> Worker<I> {
    /// The connection has been silent for long.
    pub(super) fn send_heartbeat(&mut self, id: ConnId) {
        let now = self.now;
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Some(codec) = &mut conn.codec else { return };
        conn.heard = now;
        if codec.may_begin() && codec.encode_ping(conn.outbox.stage(&mut self.buffers)) {
            conn.pinged = Some(now);
            if let Role::Upstream { cluster, .. } = conn.role
                && let Some(Some(cluster)) = self.clusters.get(cluster as usize)
            {
                cluster.counters.heartbeats.add(1);
            }
            self.touch(id);
        }
        self.arm_deadline(id);
    }

    /// The endpoint is still there.
    pub(super) fn handle_heartbeat_answered(&mut self, id: ConnId) {
        let now = self.now;
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.pinged.take().is_none() {
            return;
        }
        conn.heard = now;
        let Role::Upstream { cluster, endpoint } = conn.role else { return };
        if let Some(Some(cluster)) = self.clusters.get_mut(cluster as usize)
            && let Some(heartbeat) = cluster.config.heartbeat
        {
            let interval_ms = cluster.heartbeat_ms(endpoint, &heartbeat);
            cluster.set_heartbeat_ms(endpoint, heartbeat.longer(interval_ms));
            cluster.note_heartbeat_answered(endpoint);
        }
        self.arm_deadline(id);
    }

    /// The endpoint has not answered in time. Whoever never has may know no heartbeats: nothing is thought of that.
    pub(super) fn expire_heartbeat(&mut self, io: &mut I, id: ConnId) {
        let Some(Role::Upstream { cluster, endpoint }) = self.role(id) else { return };
        let Some(Some(known)) = self.clusters.get(cluster as usize) else { return };
        known.counters.heartbeats_missed.add(1);
        let has_answered = known.answers_heartbeats(endpoint);
        self.learn_from_cut(id);
        self.close_conn(io, id, CloseMode::Reset);
        if has_answered {
            self.record_missed_heartbeat(cluster, endpoint);
        }
    }

    /// A connection that carries nothing has come to its end: if it had been silent, something between here and its endpoint
    /// may not like that.
    pub(super) fn learn_from_cut(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id).filter(|conn| conn.phase == Phase::Idle) else { return };
        let silent_ms = self.now.micros_since(conn.heard) / 1_000;
        let Role::Upstream { cluster, endpoint } = conn.role else { return };
        if let Some(Some(cluster)) = self.clusters.get_mut(cluster as usize)
            && let Some(heartbeat) = cluster.config.heartbeat
        {
            let interval_ms = cluster.heartbeat_ms(endpoint, &heartbeat);
            // One that was used just now was not cut for its silence.
            if silent_ms >= interval_ms / 4 {
                cluster.set_heartbeat_ms(endpoint, heartbeat.shorter(interval_ms, silent_ms));
            }
        }
    }
}

/// When the idle connection's next heartbeat is due, or the answer to the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Ping(Time),
    Pong(Time),
}

/// What an idle connection awaits, if its cluster has heartbeats. `interval_ms` is the endpoint's. The answer may come behind the
/// rest of a long frame that nobody waits for any more: while that comes, the endpoint is there.
pub(super) fn due<C>(conn: &Conn<C>, heartbeat: &Heartbeat, interval_ms: u64) -> Due {
    match conn.pinged {
        Some(pinged) => Due::Pong(pinged.max(conn.heard).after_ms(heartbeat.timeout_ms)),
        None => Due::Ping(conn.heard.after_ms(interval_ms)),
    }
}
