//! From a cluster to a connection: the endpoint, an idle connection of it, a new one, or a place in the queue.

use crate::cluster::{CoreCluster, Host, Outcome};
use crate::config::RetryOn;
use crate::io::{CloseMode, ConnId, Io, IoError, Time};
use crate::net::conn::{Conn, Phase, Role};
use crate::net::race::Racer;
use crate::observe::access_log::ResponseFlags;
use crate::proxy::attempts::Verdict;
use crate::stream::{OwnedHead, Progress, Stream, StreamKey, Upstream};
use crate::worker::Worker;
use sidering_codecs::rpc::RpcHead;
use sidering_codecs::{Edits, RequestHead};
use std::rc::Rc;

/// Why a request got no connection: status, flags, details.
pub(crate) type Refusal = (u16, ResponseFlags, &'static str);

/// At most this many endpoints are tried when connections cannot be established.
const CONNECT_ATTEMPTS: u8 = 3;
/// Heads kept for reuse.
const SPARE_HEADS: usize = 256;
/// A head that has grown beyond this is not kept: one of a call with all of its arguments, say.
const SPARE_HEAD_BYTES: usize = 64 * 1024;

impl<I: Io> Worker<I> {
    /// Sends the head of a routed request on if an idle connection is there; else keeps it and sees to a connection.
    pub(crate) fn dispatch_request(
        &mut self,
        io: &mut I,
        key: StreamKey,
        head: &RequestHead<'_>,
        is_connect: bool,
    ) -> Option<Refusal> {
        let is_gathered = self.is_gathered(key, head.body);
        let random = self.next_random();
        let stream = self.streams.get_mut(key)?;
        let cluster_key = stream.cluster;
        let Some(Some(cluster)) = self.clusters.get_mut(cluster_key as usize) else {
            return Some(NO_CLUSTER);
        };
        // One that was gathered has begun with its first bytes, so that its cluster is still there.
        let was_gathered = stream.attempt.upstream == Upstream::Gathering;
        stream.attempt.upstream = Upstream::Unrouted;
        let is_admitted = was_gathered || cluster.begin_gathering();
        if is_gathered && is_admitted {
            self.gather(key, head);
            return None;
        }
        cluster.counters.requests_total.add(1);
        if !is_admitted {
            cluster.counters.requests_overflow.add(1);
            return Some(OVERFLOW);
        }
        let Some(endpoint) = cluster.pick(&stream.pick_request(self.now, random, &[])) else {
            return Some(NO_HEALTHY_UPSTREAM);
        };
        stream.attempt.host = cluster.hosts.get(endpoint).cloned();
        stream.terminates_connect = cluster.protocol.is_none() && is_connect;
        let speaks = cluster.protocol.is_some_and(|protocol| stream.speaks(protocol));
        if !speaks && !stream.terminates_connect {
            return Some(OTHER_PROTOCOL);
        }
        let is_whole_call = stream.is_call
            && stream.body.is_none()
            && cluster.is_multiplexed()
            && head.rpc.as_ref().is_some_and(RpcHead::is_whole);
        let (is_raw, may_go_again) = (
            stream.terminates_connect,
            stream.is_idempotent && !stream.request_has_body || stream.retry.is_on(),
        );
        let idle = if is_raw { None } else { self.take_conn(cluster_key, endpoint, key) };
        if idle.is_none() || may_go_again {
            self.keep_head(key, head);
        }
        match idle {
            Some(conn) if is_whole_call => {
                self.send_whole_call(io, key, conn, head);
                None
            }
            Some(conn) => {
                self.attach(key, conn);
                self.encode_request(key, conn, head);
                self.send_collected(io, key, conn);
                None
            }
            None => self.ask_or_open(io, key, endpoint),
        }
    }

    /// A new connection to the endpoint, or a place in the queue where the cluster has no room for one.
    pub(crate) fn open_or_wait(&mut self, io: &mut I, key: StreamKey, endpoint: u32) -> Option<Refusal> {
        let stream = self.streams.get_mut(key)?;
        let cluster_key = stream.cluster;
        let Some(Some(cluster)) = self.clusters.get_mut(cluster_key as usize) else {
            return Some(NO_CLUSTER);
        };
        let before = std::mem::replace(&mut stream.attempt.host, cluster.hosts.get(endpoint).cloned());
        // Many share the connection that is being opened.
        if cluster.is_multiplexed()
            && cluster.is_connecting(endpoint)
            && !stream.needs_connection_alone()
            && cluster.wait(key)
        {
            stream.wait_behind(before);
            return None;
        }
        // No idle one is of use to the request, or it would have got it.
        if !cluster.has_room() && !self.make_room(io, cluster_key) {
            return self.wait_for_room(key, cluster_key, before);
        }
        self.open(io, key, cluster_key, endpoint)
    }

    fn wait_for_room(
        &mut self,
        key: StreamKey,
        cluster_key: u32,
        before: Option<Rc<Host>>,
    ) -> Option<Refusal> {
        let Some(Some(cluster)) = self.clusters.get_mut(cluster_key as usize) else {
            return Some(NO_CLUSTER);
        };
        if !cluster.wait(key) {
            cluster.counters.requests_overflow.add(1);
            return Some(OVERFLOW);
        }
        if let Some(stream) = self.streams.get_mut(key) {
            stream.wait_behind(before);
        }
        None
    }

    pub(super) fn open(
        &mut self,
        io: &mut I,
        key: StreamKey,
        cluster_key: u32,
        endpoint: u32,
    ) -> Option<Refusal> {
        let Some(Some(cluster)) = self.clusters.get_mut(cluster_key as usize) else {
            return Some(NO_CLUSTER);
        };
        let stream = self.streams.get_mut(key)?;
        let Some(host) = cluster.hosts.get(endpoint).cloned() else { return Some(NO_HEALTHY_UPSTREAM) };
        let id = match cluster.connect(io, endpoint) {
            Ok(id) => id,
            Err(refusal) => return Some(refusal),
        };
        let is_raw = stream.needs_raw_connection();
        let role = if is_raw {
            Role::TunnelUpstream { cluster: cluster_key, endpoint }
        } else {
            Role::Upstream { cluster: cluster_key, endpoint }
        };
        stream.attempt.connects += 1;
        let racer = Racer::first(&host, self.now);
        self.insert_connecting(id, role, key, racer);
        None
    }

    /// The connection carries the stream's request from now on.
    pub(crate) fn attach(&mut self, key: StreamKey, id: ConnId) {
        let (Some(conn), Some(stream)) = (self.conns.get_mut(id), self.streams.get_mut(key)) else { return };
        let is_first = conn.calls.as_ref().is_some_and(|calls| calls.is_empty());
        if is_first && let Role::Upstream { cluster, endpoint } = conn.role {
            // It takes others from now on.
            if let Some(Some(cluster)) = self.clusters.get_mut(cluster as usize) {
                cluster.share(endpoint, id);
            }
        }
        conn.stream =
            if conn.calls.is_some() { conn.stream.filter(|before| *before != key) } else { Some(key) };
        begin_attempt(conn, stream, id, self.now);
        if let Some(opened) = conn.codec.as_mut().and_then(|codec| codec.open()) {
            stream.attempt.stream = opened;
            if let Some(calls) = &mut conn.calls {
                calls.insert(opened, key);
                stream.attempt.sent = Some(self.now);
            }
        }
        if stream.retry.per_try_timeout_ms > 0 {
            self.arm_stream(key);
        }
    }

    /// Writes the head, as the edits at hand change it, for the connection; it goes out with the next flush.
    pub(crate) fn encode_request(&mut self, key: StreamKey, id: ConnId, head: &RequestHead<'_>) {
        let (Some(conn), Some(stream)) = (self.conns.get_mut(id), self.streams.get_mut(key)) else { return };
        if let Some(codec) = &mut conn.codec {
            stream.attempt.begins_at = conn.outbox.position();
            let staged = conn.outbox.stage_head(&mut self.buffers);
            let encoded = codec.encode_request(stream.attempt.stream, head, &self.edits, staged);
            if let Err(error) = encoded {
                self.fail_stream(key, error.status, ResponseFlags::NONE, error.reason);
                return;
            }
        }
        if let Some(calls) = &mut conn.calls {
            calls.sender = Some(key);
            self.touch(id);
        }
    }

    /// Sends the head that was kept: the stream has got a connection it did not have when its head came.
    pub(crate) fn send_kept_head(&mut self, io: &mut I, key: StreamKey, id: ConnId) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let Some(head) = stream.head.take() else { return };
        let mut edits = std::mem::take(&mut self.edits);
        let lent = head.lend(&mut edits);
        if let Some(timeout_ms) = lent.rpc.and_then(|rpc| rpc.timeout_ms()) {
            count_down(stream, timeout_ms, self.now, &mut edits);
        }
        self.edits = edits;
        self.encode_request(key, id, &lent);
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.head = Some(head);
        let (upstream_stream, body, is_whole) =
            (stream.attempt.stream, stream.body, stream.request == Progress::Ended);
        if let Some(body) = body {
            self.send_kept_body(io, id, upstream_stream, body);
        }
        let Some(conn) = self.conns.get_mut(id) else { return };
        // Sent again, its end was told long ago and will not be told once more.
        if is_whole && let Some(codec) = &mut conn.codec {
            codec.encode_end(upstream_stream, conn.outbox.stage(&mut self.buffers));
        }
        if conn.calls.is_none() {
            conn.outbox.flush_staged(io, id, &mut self.buffers);
            return;
        }
        if is_whole {
            self.end_call_request_on(io, id, key);
        }
        self.release_collected(key);
    }

    /// A connection to an endpoint could not be established: another endpoint, or the end of the request.
    pub(crate) fn handle_connect_failed(&mut self, io: &mut I, id: ConnId, timed_out: bool) {
        // Taking too long concerns all addresses that were tried.
        if !timed_out && self.goes_on_without(io, id) {
            return;
        }
        let Some(conn) = self.conns.get_mut(id) else { return };
        if let Some(shadow) = &mut conn.shadow {
            shadow.outcome = Outcome::ConnectFailure;
        }
        let (role, stream) = (conn.role, conn.stream);
        self.count_connect_failure(role, timed_out);
        self.close_conn(io, id, CloseMode::Graceful);
        if let Some(key) = stream {
            self.fail_connect(io, key, role, timed_out);
        }
    }

    pub(super) fn count_connect_failure(&self, role: Role, timed_out: bool) {
        let (Role::Upstream { cluster, endpoint } | Role::TunnelUpstream { cluster, endpoint }) = role else {
            return;
        };
        let Some(Some(cluster)) = self.clusters.get(cluster as usize) else { return };
        cluster.counters.connect_failures.add(1);
        if timed_out {
            cluster.counters.connect_timeouts.add(1);
        }
        if let Some(host) = cluster.hosts.get(endpoint) {
            host.counters.connect_failures.add(1);
        }
    }

    /// None of the endpoint's addresses took the connection.
    pub(super) fn fail_connect(&mut self, io: &mut I, key: StreamKey, role: Role, timed_out: bool) {
        if let Role::Upstream { cluster, endpoint } | Role::TunnelUpstream { cluster, endpoint } = role {
            self.record_connect(cluster, endpoint, Outcome::ConnectFailure);
            self.try_another_endpoint(io, key, endpoint, timed_out);
        }
    }

    fn try_another_endpoint(&mut self, io: &mut I, key: StreamKey, failed: u32, timed_out: bool) {
        let random = self.next_random();
        let verdict = self.retries_after(key, CONNECT_REASONS);
        if verdict == Verdict::Again {
            self.back_off(io, key, Outcome::ConnectFailure);
            return;
        }
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.attempt.upstream = Upstream::Unrouted;
        let tried = stream.tried();
        let other = match self.clusters.get_mut(stream.cluster as usize) {
            // One that was replaced serves to its end what it was chosen for.
            Some(Some(cluster)) if verdict == Verdict::No && stream.attempt.connects < CONNECT_ATTEMPTS => {
                cluster.pick(&stream.pick_request(self.now, random, &tried)).filter(|other| *other != failed)
            }
            _ => None,
        };
        let refusal = match other {
            Some(endpoint) => self.open_or_wait(io, key, endpoint),
            None if timed_out => Some(CONNECT_TIMEOUT),
            None => Some(CONNECT_FAILURE),
        };
        if let Some(refusal) = refusal {
            self.fail_attempt(io, key, refusal, Outcome::ConnectFailure);
        }
    }

    /// Serves requests that wait for a connection of the cluster, as far as there is one now.
    pub(crate) fn serve_waiting(&mut self, io: &mut I, cluster_key: u32) {
        let cluster = self.clusters.get(cluster_key as usize).and_then(Option::as_ref);
        if cluster.is_some_and(CoreCluster::is_multiplexed) {
            self.serve_waiting_calls(io, cluster_key);
            return;
        }
        loop {
            let random = self.next_random();
            let Some(Some(cluster)) = self.clusters.get_mut(cluster_key as usize) else { return };
            let Some(key) = cluster.first_waiting() else { return };
            let stream = self.streams.get(key);
            let is_raw = stream.is_some_and(Stream::needs_raw_connection);
            let tried = stream.map(Stream::unreached).unwrap_or_default();
            let request =
                stream.map(|stream| stream.pick_request(self.now, random, &tried)).unwrap_or_default();
            let mut picked = None;
            let idle = if is_raw {
                None
            } else if cluster.takes_any(&request) {
                cluster.take_any_idle()
            } else {
                picked = cluster.pick(&request);
                picked.and_then(|endpoint| Some((cluster.take_idle(endpoint)?, endpoint)))
            };
            if idle.is_none() && !cluster.has_room() {
                if !self.make_room(io, cluster_key) {
                    return;
                }
                continue;
            }
            let Some(key) = cluster.next_waiting() else { return };
            let endpoint = idle.map(|(_, endpoint)| endpoint).or(picked).or_else(|| cluster.pick(&request));
            let host = endpoint.and_then(|endpoint| cluster.hosts.get(endpoint)).cloned();
            let Some(stream) = self.streams.get_mut(key) else { continue };
            stream.attempt.host = host;
            if let Some((conn, _)) = idle {
                self.attach(key, conn);
                self.send_kept_head(io, key, conn);
                self.resume_after_attach(key);
                continue;
            }
            let refusal = match endpoint {
                Some(endpoint) => self.open(io, key, cluster_key, endpoint),
                None => Some(NO_HEALTHY_UPSTREAM),
            };
            if let Some(refusal) = refusal {
                if let Some(stream) = self.streams.get_mut(key) {
                    stream.attempt.upstream = Upstream::Unrouted;
                }
                self.fail_attempt(io, key, refusal, Outcome::Abandoned);
            }
        }
    }

    pub(super) fn keep_head(&mut self, key: StreamKey, head: &RequestHead<'_>) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let mut kept = stream.head.take().or_else(|| self.spare_heads.pop()).unwrap_or_default();
        kept.fill(head, &self.edits);
        stream.head = Some(kept);
    }

    pub(super) fn reclaim_head(&mut self, head: Box<OwnedHead>) {
        if self.spare_heads.len() < SPARE_HEADS && head.kept_bytes() <= SPARE_HEAD_BYTES {
            self.spare_heads.push(head);
        }
    }

    /// Takes the boxes of an ended stream back.
    pub(crate) fn reclaim(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let bodies = [
            stream.body.take(),
            stream.answer.take().map(|answer| answer.body),
            stream.bridge.take().and_then(|bridging| bridging.answer),
        ];
        let (heads, lines) =
            ([stream.head.take(), stream.mirror.take()], std::mem::take(&mut stream.captured));
        if let Some(log) = stream.log.take()
            && self.spare_logs.len() < SPARE_HEADS
        {
            self.spare_logs.push(log);
        }
        self.reclaim_lines(lines);
        heads.into_iter().flatten().for_each(|head| self.reclaim_head(head));
        bodies.into_iter().flatten().for_each(|body| self.bodies.release(body, &mut self.buffers));
    }
}

/// What begins with the attempt that the connection is to carry, on both.
#[inline]
pub(super) fn begin_attempt<C>(conn: &mut Conn<C>, stream: &mut Stream, id: ConnId, now: Time) {
    conn.phase = Phase::Busy;
    conn.sends_one_way = false;
    conn.answer_started = false;
    conn.exchanges = conn.exchanges.saturating_add(1);
    let attempt = &mut stream.attempt;
    attempt.upstream = Upstream::Attached(id);
    attempt.attached = now;
    // What was followed in vain and is sent again takes its time, as there is nothing to follow it with.
    attempt.is_overdue &= stream.retry.is_final;
    // The address that this connection really goes to.
    if let Some(racer) = &conn.racer {
        attempt.host = Some(Rc::clone(&racer.host));
    }
    if let Some(host) = &attempt.host {
        host.counters.requests_total.add(1);
        host.counters.requests_active.add(1);
        attempt.is_at_endpoint = true;
    }
}

/// Lets a call that has waited, for a connection or another attempt, say what is left of the time that its caller waits: no more
/// than is left of its deadline here. One that goes out at once stays as it came.
fn count_down(stream: &Stream, timeout_ms: u32, now: Time, edits: &mut Edits) {
    let waited_ms = now.micros_since(stream.request_ended) / 1000;
    if waited_ms > 0 && stream.request == Progress::Ended && stream.route_timeout_ms > 0 {
        let left_ms = stream.route_timeout_ms.saturating_sub(waited_ms).clamp(1, u64::from(timeout_ms));
        edits.set_timeout(left_ms as u32);
    }
}

/// The conditions that a connect meets which failed or took too long.
const CONNECT_REASONS: RetryOn = RetryOn(
    RetryOn::CONNECT_FAILURE.0 | RetryOn::RESET.0 | RetryOn::SERVER_ERROR.0 | RetryOn::GATEWAY_ERROR.0,
);

pub(super) const NO_CLUSTER: Refusal = (503, ResponseFlags::NO_CLUSTER_FOUND, "cluster_not_found");
const OTHER_PROTOCOL: Refusal = (503, ResponseFlags::NO_CLUSTER_FOUND, "cluster_speaks_another_protocol");
pub(super) const OVERFLOW: Refusal = (503, ResponseFlags::UPSTREAM_OVERFLOW, "overflow");
pub(crate) const NO_HEALTHY_UPSTREAM: Refusal =
    (503, ResponseFlags::NO_HEALTHY_UPSTREAM, "no_healthy_upstream");
const CONNECT_FAILURE: Refusal =
    (503, ResponseFlags::UPSTREAM_CONNECTION_FAILURE, "upstream_connect_failure");
const CONNECT_TIMEOUT: Refusal =
    (503, ResponseFlags::UPSTREAM_CONNECTION_FAILURE, "upstream_connect_timeout");

impl CoreCluster {
    /// Asks for a connection to the endpoint, and counts it.
    pub(super) fn connect<I: Io>(&mut self, io: &mut I, endpoint: u32) -> Result<ConnId, Refusal> {
        let host = self.hosts.get(endpoint).ok_or(NO_HEALTHY_UPSTREAM)?;
        match io.connect(&host.address, &self.config.connect_options) {
            Ok(id) => {
                self.on_opened(endpoint);
                Ok(id)
            }
            Err(error) => {
                self.counters.connect_failures.add(1);
                Err(cannot_open(error))
            }
        }
    }
}

fn cannot_open(error: IoError) -> Refusal {
    match error {
        IoError::DescriptorsExhausted | IoError::OutOfMemory | IoError::AddressNotAvailable => {
            (503, ResponseFlags::OVERLOAD, "no_descriptor_or_port_for_upstream")
        }
        _ => CONNECT_FAILURE,
    }
}
