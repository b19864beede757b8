//! Mirrored requests (Envoy's request_mirror_policies): a request that is whole goes to a second cluster as well, whose answer is
//! dropped. The client's request never waits for it: what finds no room at once is not mirrored.

use super::pick::Refusal;
use crate::cluster::{Outcome, PickRequest};
use crate::config::{Forward, RouteAction};
use crate::io::{CloseMode, ConnId, Io};
use crate::net::conn::{Conn, Phase, Role};
use crate::stream::{BodyKey, OwnedHead, Shadow, StreamKey};
use crate::worker::{Work, Worker};
use sidering_codecs::registry::CodecOptions;
use sidering_codecs::{Event, InputEnd, RequestHead, StreamId};

/// Boxes kept for reuse.
const SPARE_SHADOWS: usize = 64;
/// What a shadow may take where its route has no timeout.
const LONGEST_MS: u64 = 60_000;

impl<I: Io> Worker<I> {
    /// Keeps the head of a request that is to be mirrored, as it goes out now.
    pub(super) fn prepare_mirror(&mut self, key: StreamKey, forward: &Forward, head: &RequestHead<'_>) {
        let Some(mirror) = &forward.mirror else { return };
        let random = self.next_random();
        let Some(stream) = self.streams.get_mut(key) else { return };
        if !mirror.share.takes(random) || stream.wants_upgrade {
            return;
        }
        let mut kept = self.spare_heads.pop().unwrap_or_default();
        kept.fill(head, &self.edits);
        kept.become_shadow();
        stream.mirror = Some(kept);
    }

    /// The request is not mirrored after all.
    pub(super) fn drop_mirror(&mut self, key: StreamKey) {
        if let Some(head) = self.streams.get_mut(key).and_then(|stream| stream.mirror.take()) {
            self.reclaim_head(head);
        }
    }

    /// The request is whole: a connection to the other cluster carries it if there is one to be had at once.
    pub(crate) fn mirror(&mut self, io: &mut I, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let Some(head) = stream.mirror.take() else { return };
        let mut shadow = self.spare_shadows.pop().unwrap_or_default();
        let timeout_ms = if stream.route_timeout_ms > 0 { stream.route_timeout_ms } else { LONGEST_MS };
        let (body, is_kept, is_one_way) = (stream.body, stream.retry.is_on(), stream.is_one_way);
        let body_bytes = body.map_or(0, |body| self.bodies.share(body));
        *shadow = Shadow { head: Some(head), body, body_bytes, ..Shadow::default() };
        (shadow.started, shadow.timeout_ms, shadow.is_one_way) = (self.now, timeout_ms, is_one_way);
        if !is_kept {
            self.make_final(key);
        }
        let cluster = self.mirror_cluster(key);
        if !self.shadows.begin(body_bytes) {
            self.count_dropped(cluster);
            self.reclaim_shadow(shadow);
            return;
        }
        let Some(cluster) = cluster else {
            self.shadows.end(body_bytes);
            self.reclaim_shadow(shadow);
            return;
        };
        shadow.cluster = cluster;
        if let Some(shadow) = self.start_shadow(io, shadow) {
            self.count_dropped(Some(cluster));
            self.end_shadow(shadow);
        }
    }

    /// A call that nobody answers was lost before it had left, with its client long gone: it goes out like a mirrored one.
    pub(super) fn send_one_way_again(
        &mut self,
        io: &mut I,
        cluster: u32,
        head: Box<OwnedHead>,
        body: Option<BodyKey>,
    ) {
        let mut shadow = self.spare_shadows.pop().unwrap_or_default();
        let body_bytes =
            body.map_or(0, |body| self.bodies.pieces(body).iter().map(|piece| piece.len() as u64).sum());
        *shadow =
            Shadow { head: Some(head), body, body_bytes, cluster, is_one_way: true, ..Shadow::default() };
        (shadow.started, shadow.timeout_ms) = (self.now, LONGEST_MS);
        let has_place = self.shadows.begin(body_bytes);
        let left = if has_place { self.start_shadow(io, shadow) } else { Some(shadow) };
        let Some(Some(known)) = self.clusters.get(cluster as usize) else { return };
        match left {
            None => known.counters.requests_retried_stale.add(1),
            Some(shadow) => {
                known.counters.requests_overflow.add(1);
                if has_place {
                    self.end_shadow(shadow);
                } else {
                    self.reclaim_shadow(shadow);
                }
            }
        }
    }

    fn mirror_cluster(&self, key: StreamKey) -> Option<u32> {
        let stream = self.streams.get(key)?;
        let RouteAction::Forward(forward) = &stream.listener.routed(stream.route)?.route.action else {
            return None;
        };
        let key = self.cluster_key(&stream.listener, forward.mirror.as_ref()?.cluster)?;
        let cluster = self.clusters.get(key as usize)?.as_ref()?;
        cluster.protocol.is_none_or(|protocol| stream.speaks(protocol)).then_some(key)
    }

    fn count_dropped(&self, cluster: Option<u32>) {
        if let Some(Some(cluster)) = cluster.and_then(|key| self.clusters.get(key as usize)) {
            cluster.counters.shadows_dropped.add(1);
        }
    }

    /// Gives the shadow back if there is no room for it.
    fn start_shadow(&mut self, io: &mut I, mut shadow: Box<Shadow>) -> Option<Box<Shadow>> {
        let (random, now) = (self.next_random(), self.now);
        let Some(Some(cluster)) = self.clusters.get_mut(shadow.cluster as usize) else { return Some(shadow) };
        if !cluster.begin_request() || cluster.protocol.is_none() {
            return Some(shadow);
        }
        let request = PickRequest { now, random, ..PickRequest::default() };
        let Some(endpoint) = cluster.pick(&request) else { return Some(shadow) };
        shadow.host = cluster.hosts.get(endpoint).cloned();
        if let Some(id) = cluster.take_idle(endpoint) {
            if let Some(conn) = self.conns.get_mut(id) {
                conn.shadow = Some(shadow);
            }
            self.send_shadow(io, id);
            return None;
        }
        if !cluster.has_room() && !self.make_room(io, shadow.cluster) {
            return Some(shadow);
        }
        match self.open_to_shadow(io, shadow.cluster, endpoint) {
            Ok(id) => {
                if let Some(conn) = self.conns.get_mut(id) {
                    conn.shadow = Some(shadow);
                }
                self.arm_deadline(id);
                None
            }
            Err(_) => Some(shadow),
        }
    }

    fn open_to_shadow(&mut self, io: &mut I, key: u32, endpoint: u32) -> Result<ConnId, Refusal> {
        let Some(Some(cluster)) = self.clusters.get_mut(key as usize) else {
            return Err(super::pick::NO_CLUSTER);
        };
        let id = cluster.connect(io, endpoint)?;
        let mut conn = Conn::new(id, Role::Upstream { cluster: key, endpoint }, Phase::Connecting, self.now);
        conn.codec = cluster.protocol.map(|protocol| (protocol.client)(CodecOptions::default()));
        conn.calls = cluster.is_multiplexed().then(Box::default);
        self.conns.insert(conn);
        Ok(id)
    }

    /// The connection is there: all of the request goes out, behind whatever is queued.
    pub(super) fn send_shadow(&mut self, io: &mut I, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Some(mut shadow) = conn.shadow.take() else { return };
        conn.phase = Phase::Busy;
        conn.exchanges = conn.exchanges.saturating_add(1);
        let stream = conn.codec.as_mut().and_then(|codec| codec.open()).unwrap_or(StreamId(0));
        if let Some(host) = &shadow.host {
            host.counters.requests_total.add(1);
            host.counters.requests_active.add(1);
            shadow.is_at_endpoint = true;
        }
        if let (Some(head), Some(codec)) = (&shadow.head, &mut conn.codec) {
            let lent = head.lend(&mut self.edits);
            let staged = conn.outbox.stage_head(&mut self.buffers);
            if codec.encode_request(stream, &lent, &self.edits, staged).is_err() {
                conn.shadow = Some(shadow);
                self.close_conn(io, id, CloseMode::Graceful);
                return;
            }
        }
        let body = shadow.body;
        conn.shadow = Some(shadow);
        if let Some(body) = body {
            self.send_kept_body(io, id, stream, body);
        }
        let Some(conn) = self.conns.get_mut(id) else { return };
        if let Some(codec) = &mut conn.codec {
            codec.encode_end(stream, conn.outbox.stage(&mut self.buffers));
        }
        conn.outbox.flush_staged(io, id, &mut self.buffers);
        self.arm_deadline(id);
    }

    /// One that nobody answers is over when it is sent.
    pub(super) fn handle_shadow_sent(&mut self, io: &mut I, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        if conn.outbox.is_empty() && conn.shadow.as_ref().is_some_and(|shadow| shadow.is_one_way) {
            self.finish_shadow(io, id, true);
        } else {
            self.write_control(id);
        }
    }

    /// Bytes of an answer that nobody wants: only its end is of interest.
    pub(super) fn handle_shadow_bytes(&mut self, io: &mut I, id: ConnId, chunk: &I::Chunk) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let (Some(codec), Some(shadow)) = (&mut conn.codec, &mut conn.shadow) else { return };
        let mut input: &[u8] = chunk;
        let is_whole = loop {
            match codec.decode(&mut self.scratch, &mut input) {
                Ok(None) => return,
                Ok(Some(Event::End { .. })) => break true,
                Ok(Some(Event::Response { head, .. })) if !head.is_interim() => shadow.status = head.status,
                Ok(Some(_)) => {}
                Err(_) => break false,
            }
        };
        shadow.outcome = if is_whole { Outcome::Status(shadow.status) } else { Outcome::Reset };
        self.finish_shadow(io, id, is_whole && input.is_empty());
    }

    /// The upstream has ended its side.
    pub(super) fn handle_shadow_ended(&mut self, io: &mut I, id: ConnId, clean: bool) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let (Some(codec), Some(shadow)) = (&mut conn.codec, &mut conn.shadow) else { return };
        let is_whole = clean && matches!(codec.decode_end(), Ok(InputEnd::Message(_)));
        shadow.outcome = if is_whole { Outcome::Status(shadow.status) } else { Outcome::Reset };
        self.finish_shadow(io, id, false);
    }

    pub(super) fn expire_shadow(&mut self, io: &mut I, id: ConnId) {
        if let Some(shadow) = self.conns.get_mut(id).and_then(|conn| conn.shadow.as_mut()) {
            shadow.outcome = Outcome::Timeout;
        }
        self.close_conn(io, id, CloseMode::Reset);
    }

    /// The shadow is over; its connection is kept if it can carry another exchange.
    fn finish_shadow(&mut self, io: &mut I, id: ConnId, keep: bool) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Some(shadow) = conn.shadow.take() else { return };
        let is_reusable = conn.codec.as_ref().is_some_and(|codec| codec.is_reusable() && codec.is_idle());
        let is_at_rest = conn.outbox.is_empty() && !conn.outbox.has_failed() && !conn.input_ended;
        self.end_shadow(shadow);
        if keep && is_reusable && is_at_rest {
            self.park(io, id);
        } else {
            self.close_conn(io, id, CloseMode::Graceful);
        }
    }

    /// Counts its end.
    pub(super) fn end_shadow(&mut self, shadow: Box<Shadow>) {
        self.shadows.end(shadow.body_bytes);
        if let Some(host) = shadow.host.as_ref().filter(|_| shadow.is_at_endpoint) {
            host.counters.requests_active.subtract(1);
        }
        if let Some(host) = &shadow.host
            && (shadow.is_at_endpoint || shadow.outcome == Outcome::ConnectFailure)
        {
            self.record_connect(shadow.cluster, host.index, shadow.outcome);
        }
        if let Some(Some(cluster)) = self.clusters.get_mut(shadow.cluster as usize) {
            cluster.end_request();
            if let Outcome::Status(status) = shadow.outcome
                && let Some(class) = super::finish::class_of(status)
            {
                cluster.counters.responses[class].add(1);
            }
        }
        self.forget_cluster_if_done(shadow.cluster);
        self.reclaim_shadow(shadow);
    }

    fn reclaim_shadow(&mut self, mut shadow: Box<Shadow>) {
        if let Some(head) = shadow.head.take() {
            self.reclaim_head(head);
        }
        if let Some(body) = shadow.body.take() {
            self.bodies.release(body, &mut self.buffers);
        }
        shadow.host = None;
        if self.spare_shadows.len() < SPARE_SHADOWS {
            self.spare_shadows.push(shadow);
        }
    }

    /// A request is whole; mirroring it waits until the codecs are in their places.
    pub(super) fn mirror_later(&mut self, key: StreamKey) {
        self.work.push_back(Work::Mirror(key));
    }
}
