//! Upstream connections that carry many exchanges at a time: which one takes the next, and what becomes of the others when
//! one of them or the connection itself comes to its end. It reads and writes no message.

use super::pick::{NO_HEALTHY_UPSTREAM, Refusal};
use crate::cluster::CoreCluster;
use crate::io::{Chunk, CloseMode, ConnId, Io};
use crate::net::conn::{Conn, ConnTable, Phase, Role};
use crate::stream::{Stream, StreamKey, Upstream};
use crate::worker::{Work, Worker};
use sidering_codecs::BodyLength;
use sidering_codecs::rpc::MAX_UPSTREAM_CALLS;

/// A request up to this long is sent when it is whole, so that a client that stops within it keeps no connection from
/// others. A longer one gets a connection without others.
pub(crate) const GATHERED_BYTES: u64 = 64 * 1024;

impl<I: Io> Worker<I> {
    /// A connection to the endpoint that can take the stream's request at once.
    pub(super) fn take_conn(&mut self, cluster_key: u32, endpoint: u32, key: StreamKey) -> Option<ConnId> {
        let is_alone = self.streams.get(key).is_some_and(Stream::needs_connection_alone);
        let cluster = self.clusters.get_mut(cluster_key as usize)?.as_mut()?;
        if !cluster.is_multiplexed() || is_alone {
            return cluster.take_idle(endpoint);
        }
        shared_conn(&self.conns, cluster, endpoint)
    }

    /// Parts the stream from the connection that carries its request or is being opened for it.
    pub(super) fn part_from(&mut self, io: &mut I, key: StreamKey, id: ConnId, mode: CloseMode) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let exchange = self.streams.get(key).map(|stream| stream.attempt.stream);
        if conn.stream == Some(key) {
            conn.stream = None;
        }
        let (Some(calls), Some(exchange)) = (&mut conn.calls, exchange) else {
            self.close_conn(io, id, mode);
            return;
        };
        if calls.get(exchange) != Some(key) {
            // It was being opened for the stream.
            self.close_conn(io, id, mode);
            return;
        }
        calls.remove(exchange);
        let goes_on = conn.codec.as_mut().is_some_and(|codec| codec.abandon(exchange));
        if goes_on {
            // It may have been this one's answer that held the others up.
            if conn.paused || !conn.held.is_empty() {
                self.work.push_back(Work::ResumeAnswers(id));
            }
            self.after_call(io, id);
        } else {
            self.break_shared(io, id, false);
        }
    }

    /// An exchange on the connection is over; its codec is in its place.
    pub(super) fn after_call(&mut self, io: &mut I, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Role::Upstream { cluster: key, endpoint } = conn.role else { return };
        let Some(calls) = &conn.calls else { return };
        let Some(Some(cluster)) = self.clusters.get_mut(key as usize) else { return };
        if conn.phase == Phase::Idle {
            // Something came that concerns the connection alone.
            if conn.codec.as_ref().is_none_or(|codec| !codec.is_reusable()) {
                self.close_conn(io, id, CloseMode::Graceful);
            }
            return;
        }
        // What nobody answers may not be sent yet.
        let is_unsent = !conn.outbox.is_empty() && !conn.outbox.has_failed() && !conn.input_ended;
        if !calls.is_empty() || is_unsent {
            if cluster.has_waiting() {
                self.work.push_back(Work::ServeWaiting(key));
            }
            if calls.is_empty() {
                conn.since = self.now;
                self.arm_deadline(id);
            }
            return;
        }
        cluster.unshare(endpoint, id);
        let is_reusable = conn.codec.as_ref().is_some_and(|codec| codec.is_reusable() && codec.may_begin());
        if !is_reusable || conn.input_ended || conn.outbox.has_failed() {
            self.close_conn(io, id, CloseMode::Graceful);
            return;
        }
        if conn.paused && conn.held.is_empty() {
            conn.paused = false;
            io.receive(id);
        }
        self.park(io, id);
    }

    /// The connection is over, and with it all that it carries.
    pub(crate) fn break_shared(&mut self, io: &mut I, id: ConnId, clean: bool) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Some(calls) = &conn.calls else { return };
        let streams: Vec<StreamKey> = calls.streams().collect();
        let unsent = conn.outbox.take_unsent(io, id);
        let unanswered = calls.unanswered_from(unsent.0);
        let Role::Upstream { cluster, .. } = conn.role else { return };
        let mode = if clean { CloseMode::Graceful } else { CloseMode::Reset };
        self.close_conn(io, id, mode);
        for key in streams {
            if !self.send_unsent(io, key, id, &unsent) {
                self.handle_upstream_failed(io, key, id, clean);
            }
        }
        for begin in unanswered {
            self.send_unanswered(io, cluster, begin, &unsent);
        }
    }

    /// The connection of a call that has got no answer in time, if it has stopped within a frame and was silent ever since the
    /// call was sent: whoever else is on it would wait in vain, too.
    pub(super) fn stalled_with(&self, key: StreamKey) -> Option<ConnId> {
        let stream = self.streams.get(key)?;
        let (id, sent) = (stream.attached()?, stream.attempt.sent?);
        let conn = self.conns.get(id).filter(|conn| conn.calls.is_some())?;
        let is_silent = conn.heard < sent && !conn.paused && conn.held.is_empty();
        (is_silent && conn.codec.as_ref().is_some_and(|codec| codec.is_within_frame())).then_some(id)
    }

    /// Nothing can be sent on the connection any more.
    pub(super) fn break_shared_unless_shadow(&mut self, io: &mut I, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        if conn.shadow.is_some() || conn.calls.as_ref().is_none_or(|calls| calls.is_empty()) {
            self.close_conn(io, id, CloseMode::Graceful);
        } else {
            self.break_shared(io, id, false);
        }
    }

    /// The upstream's bytes are no protocol of ours: whatever the connection carries has failed.
    pub(super) fn break_shared_protocol(&mut self, io: &mut I, id: ConnId, reason: &'static str) {
        let Some(conn) = self.conns.get(id) else { return };
        let Some(calls) = &conn.calls else { return };
        let streams: Vec<StreamKey> = calls.streams().collect();
        self.close_conn(io, id, CloseMode::Reset);
        for key in streams {
            self.handle_answer_broken(io, key, id, reason);
        }
    }

    /// A connection was established: whoever waited for it is served.
    pub(super) fn serve_behind(&mut self, id: ConnId) {
        if let Some(Role::Upstream { cluster, .. }) = self.role(id)
            && let Some(Some(known)) = self.clusters.get(cluster as usize)
            && known.is_multiplexed()
            && known.has_waiting()
        {
            self.work.push_back(Work::ServeWaiting(cluster));
        }
    }

    /// Serves requests that wait for a multiplexed connection of the cluster, as far as there is one now.
    pub(super) fn serve_waiting_calls(&mut self, io: &mut I, cluster_key: u32) {
        loop {
            let random = self.next_random();
            let Some(Some(cluster)) = self.clusters.get_mut(cluster_key as usize) else { return };
            let Some(key) = cluster.first_waiting() else { return };
            let Some(stream) = self.streams.get(key) else {
                cluster.next_waiting();
                continue;
            };
            let picked = cluster.pick(&stream.pick_request(self.now, random, &stream.unreached()));
            let Some(endpoint) = picked else {
                cluster.next_waiting();
                self.refuse_waiting(key, NO_HEALTHY_UPSTREAM);
                continue;
            };
            // Whoever it is being opened for, it will do for others.
            if cluster.is_connecting(endpoint) && !stream.needs_connection_alone() {
                return;
            }
            let taken = self.take_conn(cluster_key, endpoint, key);
            let Some(Some(cluster)) = self.clusters.get_mut(cluster_key as usize) else { return };
            if taken.is_none() && !cluster.has_room() {
                if !self.make_room(io, cluster_key) {
                    return;
                }
                continue;
            }
            cluster.next_waiting();
            let host = cluster.hosts.get(endpoint).cloned();
            if let Some(stream) = self.streams.get_mut(key) {
                stream.attempt.host = host;
            }
            if let Some(conn) = taken {
                self.attach(key, conn);
                self.send_kept_head(io, key, conn);
                self.resume_after_attach(key);
            } else if let Some(refusal) = self.open(io, key, cluster_key, endpoint) {
                self.refuse_waiting(key, refusal);
            }
        }
    }

    fn refuse_waiting(&mut self, key: StreamKey, (status, flags, details): Refusal) {
        if let Some(stream) = self.streams.get_mut(key) {
            stream.attempt.upstream = Upstream::Unrouted;
        }
        self.fail_stream(key, status, flags, details);
    }

    /// Whether the request is to come whole before it is sent; then its head and what comes of its body are kept.
    pub(super) fn is_gathered(&self, key: StreamKey, body: BodyLength) -> bool {
        let Some(stream) = self.streams.get(key) else { return false };
        let cluster = self.clusters.get(stream.cluster as usize).and_then(Option::as_ref);
        let is_short = matches!(body, BodyLength::Sized(length) if length <= GATHERED_BYTES);
        is_short && !stream.is_body_here && cluster.is_some_and(CoreCluster::is_multiplexed)
    }

    /// The connection has something to say before the turn ends.
    pub(crate) fn touch(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id)
            && !std::mem::replace(&mut conn.is_touched, true)
        {
            self.touched.push(id);
        }
    }

    /// What was staged within the turn goes out, one buffer for all that a connection has to say.
    pub(crate) fn flush_touched(&mut self, io: &mut I) {
        while let Some(id) = self.touched.pop() {
            if let Some(conn) = self.conns.get_mut(id) {
                conn.is_touched = false;
                conn.outbox.flush_staged(io, id, &mut self.buffers);
            }
        }
    }

    /// Heartbeats of the peer's are answered, as soon as nothing else is under way and the peer takes what it is sent.
    pub(super) fn write_control(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.outbox.is_high() || conn.is_shut {
            return;
        }
        if let Some(codec) = &mut conn.codec
            && codec.has_control()
            && codec.may_begin()
        {
            codec.encode_control(conn.outbox.stage(&mut self.buffers));
            self.touch(id);
        }
    }
}

/// A connection of many calls to the endpoint that can take one that is there whole.
pub(super) fn shared_conn<C: Chunk>(
    conns: &ConnTable<C>,
    cluster: &mut CoreCluster,
    endpoint: u32,
) -> Option<ConnId> {
    let limits = cluster.config.shared;
    let shared = cluster.shared(endpoint);
    let mut fewest: Option<(usize, ConnId)> = None;
    for id in shared {
        let Some(calls) = conns.get(*id).and_then(calls_if_takes) else { continue };
        if calls < limits.max_calls_per_connection as usize {
            return Some(*id);
        }
        if fewest.is_none_or(|(least, _)| calls < least) {
            fewest = Some((calls, *id));
        }
    }
    let may_open = shared.len() < limits.max_connections_per_endpoint as usize
        && cluster.has_room()
        && !cluster.is_connecting(endpoint);
    cluster.take_idle(endpoint).or_else(|| fewest.filter(|_| !may_open).map(|(_, id)| id))
}

/// How many exchanges it carries, if it takes another one.
fn calls_if_takes<C: Chunk>(conn: &Conn<C>) -> Option<usize> {
    let (codec, calls) = (conn.codec.as_ref()?, conn.calls.as_ref()?);
    let takes = calls.len() < MAX_UPSTREAM_CALLS
        && calls.sender.is_none()
        && codec.may_begin()
        && codec.is_reusable()
        && !conn.paused
        && !conn.input_ended
        && !conn.outbox.is_high()
        && !conn.outbox.has_failed();
    takes.then(|| calls.len())
}
