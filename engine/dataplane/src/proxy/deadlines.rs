//! Timeouts. A connection has one timer, set at or before its earliest deadline; when it fires, the deadlines are
//! worked out anew, and only then something may have timed out.

use super::heartbeat::{Due, due};
use crate::cluster::{CoreCluster, Outcome};
use crate::config::ListenerLimits;
use crate::io::{CloseMode, ConnId, Io, Time};
use crate::net::conn::{Conn, Phase, Role};
use crate::net::listener::{CoreListener, CoreListenerKind};
use crate::net::race::{NEXT_ADDRESS_MS, Part};
use crate::observe::access_log::ResponseFlags;
use crate::proxy::attempts::Verdict;
use crate::proxy::upstream::RESET_REASONS;
use crate::stream::{Progress, Stream, StreamKey, Upstream};
use crate::worker::{TimerToken, Work, Worker};
use std::rc::Rc;

/// How long a client that was answered may go on sending before it is cut off.
const LINGER_MS: u64 = 5_000;

/// How long an upstream may take nothing of what nobody answers.
const UNSENT_MS: u64 = 5_000;

/// How long a connection whose listener is gone may wait for its last request.
const ORPHAN_MS: u64 = 15_000;

/// What has timed out, or would next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    Idle,
    RequestHead,
    Request,
    Route,
    PerTry,
    BackOff,
    Handover,
    Duration,
    StreamIdle,
    FilterDelay,
    Connect,
    NextAddress,
    Shadow,
    HeldUp,
    Heartbeat,
    HeartbeatAnswer,
    Detection,
    Linger,
}

impl<I: Io> Worker<I> {
    /// Makes sure that the connection's timer fires at or before its earliest deadline.
    pub(crate) fn arm_deadline(&mut self, id: ConnId) {
        if let Some((deadline, _)) = self.deadline(id) {
            self.arm(id, deadline);
        }
    }

    /// As [`arm_deadline`](Self::arm_deadline), of the stream's downstream connection, where only a deadline of this stream
    /// may have become an earlier one.
    pub(crate) fn arm_stream(&mut self, key: StreamKey) {
        if let Some(stream) = self.streams.get(key)
            && let Some((deadline, _)) = stream_deadline(stream)
        {
            self.arm(stream.downstream, deadline);
        }
    }

    pub(super) fn arm(&mut self, id: ConnId, deadline: Time) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        if let Some(entry) = conn.timer.entry {
            if conn.timer.set_for <= deadline {
                return;
            }
            self.timers.cancel(entry);
        }
        conn.timer.entry = Some(self.timers.insert(deadline, TimerToken::Conn(id)));
        conn.timer.set_for = deadline;
    }

    pub(crate) fn handle_timer(&mut self, io: &mut I, token: TimerToken) {
        match token {
            TimerToken::Conn(id) => {
                if let Some(conn) = self.conns.get_mut(id) {
                    conn.timer.entry = None;
                }
                match self.deadline(id) {
                    Some((deadline, _)) if deadline <= self.now && self.has_calls(id) => {
                        self.expire_calls(io, id);
                    }
                    Some((deadline, limit)) if deadline <= self.now => {
                        self.handle_expired(io, id, self.stream_of(id), limit);
                    }
                    _ => self.arm_deadline(id),
                }
            }
            TimerToken::ResumeAccept(listener) => self.retry_accept(io, listener),
            TimerToken::DrainBacklog => self.check_drained(),
            TimerToken::DrainDeadline => self.stop(io),
        }
    }

    fn deadline(&self, id: ConnId) -> Option<(Time, Limit)> {
        let conn = self.conns.get(id)?;
        match (conn.role, conn.phase) {
            (_, Phase::Lingering) => Some((conn.since.after_ms(LINGER_MS), Limit::Linger)),
            (Role::Upstream { cluster, .. } | Role::TunnelUpstream { cluster, .. }, phase) => {
                let cluster = self.clusters.get(cluster as usize)?.as_ref()?;
                match phase {
                    Phase::Connecting => connect_deadline(conn, cluster.config.connect_timeout_ms),
                    Phase::Idle => earliest([
                        after(conn.since, cluster.config.pool.idle_timeout_ms, Limit::Idle),
                        heartbeat(conn, cluster),
                    ]),
                    _ => match conn.shadow.as_ref() {
                        Some(shadow) => after(shadow.started, shadow.timeout_ms, Limit::Shadow),
                        None if conn.is_left() => Some((conn.since.after_ms(UNSENT_MS), Limit::Idle)),
                        None => {
                            let (key, since) = self.held_up_by(id)?;
                            let listener = &self.streams.get(key)?.listener;
                            after(since, listener.config.limits.held_up_timeout_ms, Limit::HeldUp)
                        }
                    },
                }
            }
            (Role::Detecting { listener }, _) => {
                let listener = self.listeners.get(listener.0 as usize)?.listener.as_ref();
                detection_deadline(conn, listener.map(Rc::as_ref))
            }
            (Role::Downstream { listener } | Role::TunnelDownstream { listener }, _) => {
                if let Some(calls) = conn.calls.as_ref().filter(|calls| !calls.is_empty()) {
                    let streams = calls.streams().filter_map(|key| self.streams.get(key));
                    let deadlines = streams.filter_map(|stream| call_deadline(stream, calls.taken));
                    return deadlines.min_by_key(|(deadline, _)| *deadline);
                }
                match conn.stream.and_then(|key| self.streams.get(key)) {
                    Some(stream) => stream_deadline(stream),
                    None => match &self.listeners.get(listener.0 as usize)?.listener {
                        Some(listener) => waiting_deadline(conn, &listener.config.limits),
                        None => after(conn.since, ORPHAN_MS, Limit::Idle),
                    },
                }
            }
        }
    }

    fn has_calls(&self, id: ConnId) -> bool {
        let calls = self.conns.get(id).and_then(|conn| conn.calls.as_ref());
        let is_downstream = matches!(self.role(id), Some(Role::Downstream { .. }));
        is_downstream && calls.is_some_and(|calls| !calls.is_empty())
    }

    /// One timer is for all exchanges of a connection: most often it was set for one that has ended long since.
    fn expire_calls(&mut self, io: &mut I, id: ConnId) {
        let Some(calls) = self.conns.get(id).and_then(|conn| conn.calls.as_ref()) else { return };
        let due = |key: StreamKey| {
            let (deadline, limit) = call_deadline(self.streams.get(key)?, calls.taken)?;
            (deadline <= self.now).then_some((key, limit))
        };
        let expired: Vec<(StreamKey, Limit)> = calls.streams().filter_map(due).collect();
        for (key, limit) in expired {
            if self.streams.get(key).is_some() {
                self.handle_expired(io, id, Some(key), limit);
            }
        }
        self.arm_deadline(id);
    }

    fn handle_expired(&mut self, io: &mut I, id: ConnId, stream: Option<StreamKey>, limit: Limit) {
        match (limit, stream) {
            (Limit::NextAddress, _) => self.try_next_address(io, id),
            (Limit::Shadow, _) => self.expire_shadow(io, id),
            (Limit::Heartbeat, _) => self.send_heartbeat(id),
            (Limit::HeartbeatAnswer, _) => self.expire_heartbeat(io, id),
            (Limit::HeldUp, _) => self.expire_held_up(io, id),
            (Limit::Detection, _) => self.expire_detection(io, id),
            (Limit::Connect, _) => self.handle_connect_failed(io, id, true),
            (Limit::RequestHead, None) => {
                self.count_timeout(id);
                if self.conns.get(id).is_some_and(|conn| conn.calls.is_some()) {
                    // There is no call yet that an answer could be for.
                    self.close_conn(io, id, CloseMode::Graceful);
                    return;
                }
                self.reject(id, 408, ResponseFlags::default(), "request_headers_timeout");
            }
            (Limit::Request, Some(stream)) => {
                self.count_timeout(id);
                self.fail_stream(stream, 408, ResponseFlags::default(), "request_overall_timeout");
            }
            (Limit::Route, Some(stream)) => {
                self.count_request_timeout(stream);
                let stalled = self.stalled_with(stream);
                self.fail_stream(stream, 504, ResponseFlags::UPSTREAM_REQUEST_TIMEOUT, "response_timeout");
                self.work.extend(stalled.map(Work::Break));
            }
            (Limit::FilterDelay, Some(stream)) => self.resume_filtered(io, id, stream),
            (Limit::PerTry, Some(stream)) => {
                let stalled = self.stalled_with(stream);
                self.expire_try(io, stream);
                self.work.extend(stalled.map(Work::Break));
            }
            (Limit::BackOff, Some(stream)) => self.try_again(io, stream),
            (Limit::Handover, Some(stream)) => self.expire_ask(io, stream),
            (Limit::Duration, Some(stream)) => self.expire_duration(io, stream),
            (Limit::StreamIdle, Some(stream)) => {
                self.count_timeout(id);
                self.expire_idle_stream(io, stream);
            }
            _ => self.close_conn(io, id, CloseMode::Graceful),
        }
    }

    /// A client has stopped to take its answer, and others wait behind it.
    fn expire_held_up(&mut self, io: &mut I, id: ConnId) {
        let Some((key, _)) = self.held_up_by(id) else { return };
        if let Some(stream) = self.streams.get(key) {
            stream.listener.counters.timeouts.add(1);
        }
        self.cut_off(io, key, ResponseFlags::STREAM_IDLE_TIMEOUT, "held_up_others");
    }

    fn expire_idle_stream(&mut self, io: &mut I, key: StreamKey) {
        let Some(stream) = self.streams.get(key) else { return };
        if stream.is_tunnel {
            self.abort_tunnel(io, key, ResponseFlags::STREAM_IDLE_TIMEOUT, "idle_timeout");
            return;
        }
        // Nobody takes the answer.
        if stream.response == Progress::Ended {
            self.cut_off(io, key, ResponseFlags::STREAM_IDLE_TIMEOUT, "stream_idle_timeout");
            return;
        }
        let status = if is_whole(stream) { 504 } else { 408 };
        self.fail_stream(key, status, ResponseFlags::STREAM_IDLE_TIMEOUT, "stream_idle_timeout");
    }

    /// The attempt under way takes too long, and the request may have another one.
    fn expire_try(&mut self, io: &mut I, key: StreamKey) {
        if self.may_hedge(key) {
            self.hedge(key);
            return;
        }
        let Some(stream) = self.streams.get(key) else { return };
        if let Some(Some(cluster)) = self.clusters.get(stream.cluster as usize) {
            cluster.counters.per_try_timeouts.add(1);
        }
        if self.retries_after(key, RESET_REASONS) == Verdict::Again {
            self.back_off(io, key, Outcome::Timeout);
        } else if let Some(stream) = self.streams.get(key) {
            let details = stream.details_of_failure("upstream_per_try_timeout");
            self.fail_stream(key, 504, ResponseFlags::UPSTREAM_REQUEST_TIMEOUT, details);
        }
    }

    fn expire_duration(&mut self, io: &mut I, key: StreamKey) {
        const DETAILS: &str = "max_duration_timeout";
        let Some(stream) = self.streams.get(key) else { return };
        stream.listener.counters.durations_reached.add(1);
        let none = ResponseFlags::default();
        if stream.is_tunnel {
            self.abort_tunnel(io, key, none, DETAILS);
        } else if stream.response == Progress::Ended {
            self.cut_off(io, key, none, DETAILS);
        } else {
            let status = if is_whole(stream) { 504 } else { 408 };
            self.fail_stream(key, status, none, DETAILS);
        }
    }

    fn count_timeout(&self, id: ConnId) {
        if let Some(Role::Downstream { listener } | Role::TunnelDownstream { listener }) = self.role(id)
            && let Some(Some(listener)) = self.listeners.get(listener.0 as usize).map(|slot| &slot.listener)
        {
            listener.counters.timeouts.add(1);
        }
    }

    fn count_request_timeout(&self, key: StreamKey) {
        if let Some(stream) = self.streams.get(key)
            && let Some(Some(cluster)) = self.clusters.get(stream.cluster as usize)
        {
            // Every attempt under way is counted, as Envoy does, and a request whose only one is to come.
            let has_latest = stream.attempt.upstream != Upstream::BackingOff;
            let under_way = stream.hedged.len() + usize::from(has_latest);
            cluster.counters.request_timeouts.add(under_way.max(1) as u64);
        }
    }
}

/// A connection that is not established. Of several to one host, the one that leads has the deadlines of all.
fn connect_deadline<C>(conn: &Conn<C>, timeout_ms: u64) -> Option<(Time, Limit)> {
    match conn.racer.as_ref().map_or(&Part::Settled, |racer| &racer.part) {
        Part::Settled => after(conn.since, timeout_ms, Limit::Connect),
        Part::Trailing => None,
        Part::Leading(race) => {
            let next = race.has_next().then(|| (conn.since.after_ms(NEXT_ADDRESS_MS), Limit::NextAddress));
            earliest([after(race.started, timeout_ms, Limit::Connect), next])
        }
    }
}

/// An idle connection whose endpoint is asked now and then whether it is still there.
fn heartbeat<C>(conn: &Conn<C>, cluster: &CoreCluster) -> Option<(Time, Limit)> {
    let heartbeat = cluster.config.heartbeat.as_ref().filter(|_| conn.calls.is_some())?;
    let Role::Upstream { endpoint, .. } = conn.role else { return None };
    Some(match due(conn, heartbeat, cluster.heartbeat_ms(endpoint, heartbeat)) {
        Due::Ping(at) => (at, Limit::Heartbeat),
        Due::Pong(at) => (at, Limit::HeartbeatAnswer),
    })
}

/// A connection that has not told what it speaks. Where nobody else would take it a silent one is as good as an idle one.
fn detection_deadline<C>(conn: &Conn<C>, listener: Option<&CoreListener>) -> Option<(Time, Limit)> {
    let Some(listener) = listener else { return after(conn.since, ORPHAN_MS, Limit::Idle) };
    match &listener.kind {
        CoreListenerKind::Auto { detection, .. } if conn.head_started || detection.fallback.is_some() => {
            after(conn.since, detection.timeout_ms, Limit::Detection)
        }
        _ => after(conn.since, listener.config.limits.idle_timeout_ms, Limit::Idle),
    }
}

/// A downstream connection without a stream: idle, or with a part of a head.
fn waiting_deadline<C>(conn: &Conn<C>, limits: &ListenerLimits) -> Option<(Time, Limit)> {
    if conn.head_started {
        after(conn.since, limits.request_headers_timeout_ms, Limit::RequestHead)
    } else {
        // The answers of calls that are over may still be on their way to a slow client.
        let taken = conn.calls.as_ref().map_or(conn.since, |calls| calls.taken);
        after(conn.since.max(taken), limits.idle_timeout_ms, Limit::Idle)
    }
}

/// The deadline of one of many on its connection, whose client took something last at `taken`. What waits for its turn is not idle
/// while the answer in front goes on, and a reply has nothing else to time out.
fn call_deadline(stream: &Stream, taken: Time) -> Option<(Time, Limit)> {
    let active = stream.last_activity.max(taken);
    if stream.reply.is_some() {
        after(active, stream.idle_timeout_ms, Limit::StreamIdle)
    } else if stream.answer.is_some() {
        deadline_of(stream, active)
    } else {
        stream_deadline(stream)
    }
}

fn stream_deadline(stream: &Stream) -> Option<(Time, Limit)> {
    deadline_of(stream, stream.last_activity)
}

/// The stream's earliest deadline, if something was last done for it at `active`.
fn deadline_of(stream: &Stream, active: Time) -> Option<(Time, Limit)> {
    let limits = &stream.listener.config.limits;
    let duration = after(stream.started, stream.max_duration_ms, Limit::Duration);
    if stream.is_tunnel {
        let plain = stream.downstream_stream.is_none();
        let idle_ms = if plain { limits.idle_timeout_ms } else { stream.idle_timeout_ms };
        return earliest([after(active, idle_ms, Limit::StreamIdle), duration]);
    }
    let idle = after(active, stream.idle_timeout_ms, Limit::StreamIdle);
    let other = if stream.response == Progress::Ended {
        None
    } else if !is_whole(stream) {
        after(stream.started, limits.request_timeout_ms, Limit::Request)
    } else if stream.attempt.upstream != Upstream::Unrouted {
        after(stream.request_ended, stream.route_timeout_ms, Limit::Route)
    } else {
        None
    };
    let delay = stream.filters.as_ref().and_then(|filters| filters.resumes_at);
    let delay = delay.map(|at| (at, Limit::FilterDelay));
    earliest([idle, other, duration, delay, attempt_deadline(stream)])
}

/// The one for the attempt under way, or for the next one.
fn attempt_deadline(stream: &Stream) -> Option<(Time, Limit)> {
    let retry = &stream.retry;
    match stream.attempt.upstream {
        Upstream::BackingOff => Some((retry.due, Limit::BackOff)),
        Upstream::Asking => Some((retry.due, Limit::Handover)),
        Upstream::Attached(_)
            if stream.response == Progress::Awaited && is_whole(stream) && !stream.attempt.is_overdue =>
        {
            let since = stream.attempt.attached.max(stream.request_ended);
            after(since, retry.per_try_timeout_ms, Limit::PerTry)
        }
        _ => None,
    }
}

/// The first of several; of those at the same time, the one named first.
fn earliest<const N: usize>(deadlines: [Option<(Time, Limit)>; N]) -> Option<(Time, Limit)> {
    let mut first: Option<(Time, Limit)> = None;
    for deadline in deadlines {
        if let Some((at, _)) = deadline
            && first.is_none_or(|(earliest, _)| at < earliest)
        {
            first = deadline;
        }
    }
    first
}

/// Whether nothing is awaited of the client: of a call without a body a checksum may be.
fn is_whole(stream: &Stream) -> bool {
    stream.request == Progress::Ended || !stream.request_has_body && !stream.is_call
}

fn after(since: Time, ms: u64, limit: Limit) -> Option<(Time, Limit)> {
    (ms > 0).then(|| (since.after_ms(ms), limit))
}
