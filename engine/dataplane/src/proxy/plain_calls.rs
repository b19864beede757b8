//! The short way of most calls: those that come whole, with a route that is known and does nothing but send them on, and whose
//! answers come whole, too. It leaves out what has nothing to say about them and looks everything up once; it may neither send,
//! count nor log anything else than the long way does.

use super::answers::is_free;
use super::finish::{count_end, count_upstream_end};
use super::pick::{NO_HEALTHY_UPSTREAM, OVERFLOW, Refusal, begin_attempt};
use super::shared::shared_conn;
use super::upstream::note_response;
use crate::cluster::PickRequest;
use crate::io::{ConnId, Io};
use crate::net::conn::{Phase, Role};
use crate::net::known_routes::PlainRoute;
use crate::net::listener::CoreListener;
use crate::observe::access_log::ResponseFlags;
use crate::observe::methods::MethodPlace;
use crate::stream::{LocalReply, Progress, StreamKey, Upstream};
use crate::worker::{Work, Worker};
use sidering_codecs::rpc::RpcHead;
use sidering_codecs::{RequestHead, ResponseHead, StreamId, Version};
use std::rc::Rc;

impl<I: Io> Worker<I> {
    /// Sends a call on, or sees to a connection for it; `false` if it does not go the short way: then nothing has happened.
    pub(super) fn begin_plain_call(
        &mut self,
        io: &mut I,
        id: ConnId,
        exchange: StreamId,
        listener: &Rc<CoreListener>,
        head: &RequestHead<'_>,
    ) -> bool {
        let Some(rpc) = head.rpc.as_ref().filter(|rpc| rpc.is_whole()) else { return false };
        let known = listener.known_routes().and_then(|known| known.of(rpc.service(), rpc.method()));
        let Some((method, route)) = known else { return false };
        let Some(Some(cluster)) = self.clusters.get(route.cluster as usize) else { return false };
        if !cluster.protocol.is_some_and(|protocol| listener.speaks(protocol)) {
            return false;
        }
        let key = self.open_plain_stream(id, exchange, listener, (method, route), rpc);
        if let Some(fields) = &listener.snapshot.access_log {
            self.note_for_log(key, head, &fields.request_fields);
        }
        self.edits.clear();
        if let Some((status, flags, details)) = self.dispatch_plain_call(io, key, route.has_subset, head) {
            self.reply_locally(key, LocalReply::new(status, flags, details));
        }
        true
    }

    fn open_plain_stream(
        &mut self,
        id: ConnId,
        exchange: StreamId,
        listener: &Rc<CoreListener>,
        (method, route): (MethodPlace, PlainRoute),
        rpc: &RpcHead<'_>,
    ) -> StreamKey {
        listener.counters.requests_total.add(1);
        listener.counters.requests_active.add(1);
        self.counters.calls.begin_at(method);
        let timeout_ms = sooner(route.timeout_ms, rpc.timeout_ms().map_or(0, u64::from));
        let soonest_ms = sooner(sooner(timeout_ms, route.idle_timeout_ms), route.max_duration_ms);
        let conn = self.conns.get_mut(id);
        let started = conn.as_ref().filter(|conn| conn.head_started).map_or(self.now, |conn| conn.since);
        let (key, stream) = self.streams.insert_new(Rc::clone(listener), id, started, self.now);
        stream.downstream_stream = Some(exchange);
        stream.is_call = true;
        stream.is_plain = true;
        stream.is_one_way = rpc.is_one_way();
        stream.request = Progress::Ended;
        stream.request_body_bytes = u64::from(rpc.taken_payload_bytes());
        stream.version = Version::Rpc(listener.protocol_name());
        stream.method = method;
        stream.cluster = route.cluster;
        stream.route = Some(route.place);
        stream.route_line = route.line;
        stream.route_timeout_ms = timeout_ms;
        stream.idle_timeout_ms = route.idle_timeout_ms;
        stream.max_duration_ms = route.max_duration_ms;
        let Some(conn) = conn else { return key };
        if let Some(calls) = &mut conn.calls {
            calls.insert(exchange, key);
        }
        conn.phase = Phase::Busy;
        conn.head_started = false;
        conn.exchanges = conn.exchanges.saturating_add(1);
        // Perhaps before its deadline, and never behind it.
        let soonest = started.after_ms(soonest_ms);
        if soonest_ms > 0 && (conn.timer.entry.is_none() || conn.timer.set_for > soonest) {
            self.arm(id, soonest);
        }
        key
    }

    fn dispatch_plain_call(
        &mut self,
        io: &mut I,
        key: StreamKey,
        has_subset: bool,
        head: &RequestHead<'_>,
    ) -> Option<Refusal> {
        let random = self.next_random();
        let stream = self.streams.get_mut(key)?;
        let cluster_key = stream.cluster;
        let cluster = self.clusters.get_mut(cluster_key as usize)?.as_mut()?;
        if !cluster.begin_request() {
            cluster.counters.requests_overflow.add(1);
            return Some(OVERFLOW);
        }
        let subset = if has_subset { stream.subset() } else { &[] };
        let request = PickRequest { now: self.now, subset, random, ..PickRequest::default() };
        let Some(endpoint) = cluster.pick(&request) else { return Some(NO_HEALTHY_UPSTREAM) };
        stream.attempt.host = cluster.hosts.get(endpoint).cloned();
        match shared_conn(&self.conns, cluster, endpoint) {
            Some(conn) => {
                self.send_whole_call(io, key, conn, head);
                None
            }
            None => {
                self.keep_head(key, head);
                self.ask_or_open(io, key, endpoint)
            }
        }
    }

    /// Writes a call that is all in its head to a connection that takes it.
    pub(super) fn send_whole_call(&mut self, io: &mut I, key: StreamKey, id: ConnId, head: &RequestHead<'_>) {
        let (Some(conn), Some(stream)) = (self.conns.get_mut(id), self.streams.get_mut(key)) else { return };
        let Role::Upstream { cluster, endpoint } = conn.role else { return };
        let Some(Some(cluster)) = self.clusters.get_mut(cluster as usize) else { return };
        begin_attempt(conn, stream, id, self.now);
        let (Some(codec), Some(calls)) = (&mut conn.codec, &mut conn.calls) else { return };
        if calls.is_empty() {
            // It takes others from now on.
            cluster.share(endpoint, id);
        }
        let Some(exchange) = codec.open() else {
            debug_assert!(false, "a connection was chosen that takes no call");
            return;
        };
        let attempt = &mut stream.attempt;
        attempt.stream = exchange;
        attempt.sent = Some(self.now);
        calls.insert(exchange, key);
        attempt.begins_at = conn.outbox.position();
        let staged = conn.outbox.stage_head(&mut self.buffers);
        if let Err(error) = codec.encode_request(exchange, head, &self.edits, staged) {
            self.fail_stream(key, error.status, ResponseFlags::NONE, error.reason);
            return;
        }
        if stream.is_one_way {
            // To its codec it is over: another call may have its name at once.
            calls.remove(exchange);
            calls.note_unanswered(attempt.begins_at, conn.outbox.position());
            self.work.push_back(Work::EndOneWay(key));
        } else if cluster.has_waiting() {
            self.work.push_back(Work::ServeWaiting(stream.cluster));
        }
        if conn.outbox.is_stage_full() {
            conn.outbox.flush_staged(io, id, &mut self.buffers);
        }
        if !std::mem::replace(&mut conn.is_touched, true) {
            self.touched.push(id);
        }
        if stream.retry.per_try_timeout_ms > 0 {
            self.arm_stream(key);
        }
    }

    /// Passes on an answer that is all in its head, and ends its call; `false` if it does not go the short way: then nothing has
    /// happened. The codec of the upstream connection is not in its place.
    pub(super) fn answer_plain_call(
        &mut self,
        io: &mut I,
        id: ConnId,
        exchange: StreamId,
        head: &ResponseHead<'_>,
    ) -> bool {
        let Some(key) = self.conns.get(id).and_then(|conn| conn.calls.as_ref()?.get(exchange)) else {
            return false;
        };
        let Some(stream) = self.streams.get_mut(key).filter(|stream| stream.is_plain) else {
            return false;
        };
        let (downstream, Some(own)) = (stream.downstream, stream.downstream_stream) else { return false };
        let Some(conn) = self.conns.get_mut(downstream).filter(|conn| is_free(conn)) else { return false };
        let (Some(codec), Some(calls)) = (&mut conn.codec, &mut conn.calls) else { return false };
        debug_assert!(stream.response == Progress::Awaited && stream.reply.is_none());
        stream.last_activity = self.now;
        note_response(stream, head, self.now);
        stream.response_body_bytes = head.rpc.as_ref().map_or(0, |rpc| u64::from(rpc.taken_payload_bytes()));
        self.edits.clear();
        let staged = conn.outbox.stage_head(&mut self.buffers);
        if let Err(error) = codec.encode_response(own, head, &self.edits, staged) {
            stream.response = Progress::Awaited;
            self.fail_stream(key, 502, ResponseFlags::NONE, error.reason);
            return true;
        }
        stream.response = Progress::Ended;
        stream.response_ended = self.now;
        stream.attempt.upstream = Upstream::Released;
        let has_boxes = stream.head.is_some() || stream.log.is_some() || stream.body.is_some();
        calls.remove(own);
        if !calls.waiting.is_empty() || codec.has_control() {
            self.work.push_back(Work::Deliver(downstream));
        }
        let is_last = calls.is_empty() || conn.paused || !conn.held.is_empty();
        if conn.outbox.is_stage_full() {
            conn.outbox.flush_staged(io, downstream, &mut self.buffers);
        }
        if !std::mem::replace(&mut conn.is_touched, true) {
            self.touched.push(downstream);
        }
        if let Some(calls) = self.conns.get_mut(id).and_then(|conn| conn.calls.as_mut()) {
            calls.remove(exchange);
        }
        let cluster_key = stream.cluster;
        let mut is_retired = false;
        if let Some(Some(cluster)) = self.clusters.get_mut(cluster_key as usize) {
            count_upstream_end(stream, cluster, &mut self.notices, &self.counters, self.now);
            is_retired = cluster.retired;
        }
        count_end(stream, &self.counters, self.now);
        if is_retired {
            self.forget_cluster_if_done(cluster_key);
        }
        if has_boxes {
            self.write_record(io, key);
            self.reclaim(key);
        }
        self.streams.remove(key);
        if is_last {
            self.after_finished_call(io, downstream);
        }
        true
    }
}

/// The shorter of two times, of which 0 is none.
fn sooner(one_ms: u64, other_ms: u64) -> u64 {
    match (one_ms, other_ms) {
        (0, other_ms) => other_ms,
        (one_ms, 0) => one_ms,
        _ => one_ms.min(other_ms),
    }
}
