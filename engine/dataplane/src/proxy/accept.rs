//! Connections that come in: their bound, and what to do when no descriptor is left.

use crate::io::{CloseMode, ConnId, Io, ListenerId};
use crate::net::conn::{Conn, Phase, Role};
use crate::net::listener::CoreListenerKind;
use crate::proxy::detection::give_codec;
use crate::proxy::drain::Drain;
use crate::worker::{TimerToken, Worker};
use std::rc::Rc;

/// How long accepting rests after an error: descriptors come free when connections end, of which nobody tells us.
const ACCEPT_RETRY_MS: u64 = 100;

impl<I: Io> Worker<I> {
    pub(crate) fn handle_accepted(&mut self, io: &mut I, id: ListenerId, conn: ConnId) {
        let slot = self.listeners.get_mut(id.0 as usize);
        let Some((slot, listener)) =
            slot.and_then(|slot| slot.listener.clone().map(|listener| (slot, listener)))
        else {
            io.close(conn, CloseMode::Graceful);
            return;
        };
        listener.counters.connections_total.add(1);
        if slot.connections >= listener.config.limits.max_connections {
            listener.counters.connections_overflow.add(1);
            io.close(conn, CloseMode::Graceful);
            return;
        }
        slot.connections += 1;
        listener.counters.connections_active.add(1);
        match &listener.kind {
            CoreListenerKind::Tcp { cluster } => {
                let cluster = listener.cluster_keys[cluster.0 as usize];
                self.begin_tunnel(io, conn, id, Rc::clone(&listener), cluster);
            }
            CoreListenerKind::Auto { .. } => self.begin_detection(io, conn, id),
            CoreListenerKind::Http { protocol, .. } => {
                let mut entry = Conn::new(conn, Role::Downstream { listener: id }, Phase::Idle, self.now);
                let options = listener.http().map(|http| http.codec).unwrap_or_default();
                give_codec(&mut entry, protocol, (protocol.server)(options), self.drain != Drain::No);
                self.conns.insert(entry);
                io.receive(conn);
                self.arm_deadline(conn);
            }
        }
    }

    pub(crate) fn handle_accept_failed(&mut self, id: ListenerId) {
        let Some(slot) = self.listeners.get_mut(id.0 as usize) else { return };
        if let Some(listener) = &slot.listener
            && slot.is_accepting
        {
            listener.counters.accept_paused.add(1);
            slot.is_accepting = false;
            // A new configuration may have begun to accept again before the timer of an earlier failure fired.
            if !std::mem::replace(&mut slot.resumes_later, true) {
                self.timers.insert(self.now.after_ms(ACCEPT_RETRY_MS), TimerToken::ResumeAccept(id));
            }
        }
    }

    /// Accepting has rested for long enough.
    pub(crate) fn retry_accept(&mut self, io: &mut I, id: ListenerId) {
        if let Some(slot) = self.listeners.get_mut(id.0 as usize) {
            slot.resumes_later = false;
        }
        self.resume_accept(io, id);
    }

    pub(crate) fn resume_accept(&mut self, io: &mut I, id: ListenerId) {
        if let Some(slot) = self.listeners.get_mut(id.0 as usize)
            && slot.listener.is_some()
            && !slot.is_accepting
            && self.drain == Drain::No
        {
            slot.is_accepting = true;
            io.accept(id);
        }
    }
}
