//! Configurations that come and go, and the end of the worker: draining and stopping. Of clusters, see `membership.rs`.

use crate::filter::local_rate_limit::shares::RateLimits;
use crate::io::{CloseMode, ConnId, Io, ListenerId, Time};
use crate::message::Update;
use crate::net::conn::{Conn, Phase, Role};
use crate::net::listener::{CoreListener, Speaker};
use crate::observe::access_log::ResponseFlags;
use crate::worker::{ListenerSlot, TimerToken, Work, Worker};
use std::rc::Rc;

/// How long a drain waits for connections that were established before it, and that the engine has yet to accept from the
/// backlogs of the listeners it closes: a few turns.
const BACKLOG_MS: u64 = 50;

/// Whether the worker is on its way out.
///
/// ```text
/// No -> Draining -> Finished
///   \________________^
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drain {
    No,
    /// Nothing new is accepted; what is in flight finishes. Until then connections come in that waited in a backlog.
    Draining {
        backlog_until: Time,
    },
    Finished,
}

impl<I: Io> Worker<I> {
    /// Swaps the configuration. Listeners that are gone stop accepting; clusters are dealt with first.
    pub(crate) fn apply(&mut self, io: &mut I, update: &Update) {
        self.cluster_keys = self.apply_clusters(io, update);
        self.substitutions.clear();
        let snapshot = &update.snapshot;
        self.rate_limits = Rc::new(RateLimits::new(self.core, snapshot.version));
        let mut wanted = vec![];
        for (index, config) in snapshot.listeners.iter().enumerate() {
            let Some(listener) = CoreListener::compile(
                snapshot,
                index,
                &update.listeners[index],
                &self.cluster_keys,
                &self.rate_limits,
                &self.codings,
            ) else {
                continue;
            };
            let at = config.id.0 as usize;
            wanted.push(at);
            if at >= self.listeners.len() {
                self.listeners.resize_with(at + 1, ListenerSlot::default);
            }
            let limits = listener.config.limits.clone();
            let previous = self.listeners[at].replace(Some(Rc::clone(&listener)));
            let last = self.listeners[at].last.take();
            let known = previous.as_ref().or(last.as_ref());
            if let Some(previous) = known.filter(|known| !known.speaks_as(&listener)) {
                self.change_protocols(io, at, previous, &listener);
            }
            if previous.as_ref().is_none_or(|previous| previous.config.limits != limits) {
                self.rearm_deadlines(at);
            }
            if previous.is_none() {
                self.resume_accept(io, config.id);
            }
        }
        for at in 0..self.listeners.len() {
            if self.listeners[at].listener.is_some() && !wanted.contains(&at) {
                self.remove_listener(io, at);
            }
        }
        self.counters.snapshot_version.set(snapshot.version);
    }

    fn remove_listener(&mut self, io: &mut I, at: usize) {
        self.listeners[at].is_accepting = false;
        // A drain has closed them all.
        if self.drain == Drain::No {
            io.close_listener(ListenerId(at as u32));
        }
        self.drain_conns(io, |conn| downstream_of(conn.role) == Some(at));
        let last = self.listeners[at].replace(None);
        let slot = &mut self.listeners[at];
        slot.last = last.filter(|_| slot.connections > 0);
        self.rearm_deadlines(at);
    }

    /// A listener speaks other protocols from now on. Connections go on as what they are, if it still speaks that; others are
    /// told to go, and what they still ask for is not routed.
    fn change_protocols(&mut self, io: &mut I, at: usize, previous: &Rc<CoreListener>, now: &CoreListener) {
        for id in self.conns.ids(|conn| downstream_of(conn.role) == Some(at)) {
            let Some(conn) = self.conns.get_mut(id) else { continue };
            match conn.role {
                Role::Detecting { .. } => self.work.push_back(Work::Detect(id)),
                Role::Downstream { .. } => {
                    let before = CoreListener::speaking(previous, conn.speaker);
                    let speaker = before.and_then(|before| now.speaker_of(before.protocol_name()));
                    conn.speaker = speaker.unwrap_or(Speaker::GONE);
                }
                _ => {}
            }
        }
        self.drain_conns(io, |conn| downstream_of(conn.role) == Some(at) && conn.speaker == Speaker::GONE);
    }

    /// Other limits than before may end the connections of a listener sooner than their timers know.
    fn rearm_deadlines(&mut self, at: usize) {
        for id in self.conns.ids(|conn| downstream_of(conn.role) == Some(at)) {
            self.arm_deadline(id);
        }
    }

    /// Stops accepting; what is in flight gets the drain timeout to finish.
    pub(crate) fn begin_drain(&mut self, io: &mut I) {
        if self.drain != Drain::No {
            return;
        }
        let backlog_until = self.now.after_ms(BACKLOG_MS);
        self.drain = Drain::Draining { backlog_until };
        let mut timeout_ms = 0;
        for at in 0..self.listeners.len() {
            if let Some(listener) = &self.listeners[at].listener {
                timeout_ms = listener.snapshot.drain_timeout_ms;
                self.listeners[at].is_accepting = false;
                io.close_listener(ListenerId(at as u32));
            }
        }
        self.timers.insert(self.now.after_ms(timeout_ms), TimerToken::DrainDeadline);
        self.timers.insert(backlog_until, TimerToken::DrainBacklog);
        self.drain_conns(io, |conn| downstream_of(conn.role).is_some());
    }

    /// Tells the clients of these connections that the next answer is the last; idle ones that were used are closed.
    /// A connection that never carried a request may have its first one under way: it is still answered.
    fn drain_conns(&mut self, io: &mut I, concerned: impl Fn(&Conn<I::Chunk>) -> bool) {
        for id in self.conns.ids(concerned) {
            let Some(conn) = self.conns.get_mut(id) else { continue };
            if let Some(codec) = &mut conn.codec {
                codec.close_after_current();
                conn.announces_end = true;
            }
            let ends = conn.phase == Phase::Idle && !conn.head_started && conn.exchanges > 0;
            self.write_control(id);
            if ends {
                self.close_behind_answer(io, id, true);
            }
        }
    }

    /// Finished once no client is left, nor anything that nobody waits for to be sent, and none can come any more.
    pub(crate) fn check_drained(&mut self) {
        if let Drain::Draining { backlog_until } = self.drain
            && self.now >= backlog_until
            && self.listeners.iter().all(|slot| slot.connections == 0)
            && self.conns.ids(|conn| conn.is_left() || conn.sends_one_way).is_empty()
        {
            self.drain = Drain::Finished;
        }
    }

    /// Ends everything at once.
    pub(crate) fn stop(&mut self, io: &mut I) {
        let everyone: Vec<ConnId> = self.conns.ids(|_| true);
        for id in &everyone {
            if let Some(key) = self.stream_of(*id) {
                self.give_up_stream(io, key, ResponseFlags::LOCAL_RESET, "stopped");
            }
            if matches!(self.role(*id), Some(Role::Downstream { .. })) {
                self.give_up_calls(io, *id, ResponseFlags::LOCAL_RESET, "stopped");
            }
        }
        // Waiting requests were given up as well: nobody is to be served any more.
        self.work.clear();
        for id in everyone {
            self.close_conn(io, id, CloseMode::Reset);
        }
        for at in 0..self.listeners.len() {
            if self.listeners[at].replace(None).is_some() && self.drain == Drain::No {
                io.close_listener(ListenerId(at as u32));
            }
        }
        self.drain = Drain::Finished;
    }
}

fn downstream_of(role: Role) -> Option<usize> {
    match role {
        Role::Detecting { listener }
        | Role::Downstream { listener }
        | Role::TunnelDownstream { listener } => Some(listener.0 as usize),
        Role::Upstream { .. } | Role::TunnelUpstream { .. } => None,
    }
}
