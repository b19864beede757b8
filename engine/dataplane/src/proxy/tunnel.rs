//! Bytes carried both ways unseen: TCP listeners, CONNECT, and connections that were upgraded. Each direction ends for
//! itself (half-close); a reset on one side becomes a reset on the other.

use crate::cluster::PickRequest;
use crate::io::{CloseMode, ConnId, Io, ListenerId};
use crate::net::conn::{Conn, Phase, Role};
use crate::net::listener::CoreListener;
use crate::observe::access_log::ResponseFlags;
use crate::stream::{Progress, Relay, Stream, StreamKey, Upstream};
use crate::worker::{Work, Worker};
use sidering_codecs::{BodyLength, Fields, ResponseHead, Version};
use std::rc::Rc;

impl<I: Io> Worker<I> {
    /// A connection on a TCP listener: an endpoint is picked and connected to; the client is not read before.
    pub(crate) fn begin_tunnel(
        &mut self,
        io: &mut I,
        id: ConnId,
        listener_id: ListenerId,
        listener: Rc<CoreListener>,
        cluster_key: u32,
    ) {
        let role = Role::TunnelDownstream { listener: listener_id };
        self.conns.insert(Conn::new(id, role, Phase::Busy, self.now));
        let key = self.open_tunnel(id, listener);
        self.connect_tunnel(io, id, key, cluster_key);
    }

    /// A connection that is being read turns out to speak nothing known: what has come and what comes goes to the cluster.
    pub(super) fn turn_into_tunnel(
        &mut self,
        io: &mut I,
        id: ConnId,
        listener: Rc<CoreListener>,
        cluster_key: u32,
    ) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Role::Detecting { listener: listener_id } = conn.role else { return };
        conn.role = Role::TunnelDownstream { listener: listener_id };
        conn.phase = Phase::Busy;
        if !conn.input_ended {
            io.pause(id);
        }
        let key = self.open_tunnel(id, listener);
        if let Some(stream) = self.streams.get_mut(key) {
            stream.request_relay = Relay::Wanted;
        }
        self.connect_tunnel(io, id, key, cluster_key);
    }

    fn open_tunnel(&mut self, id: ConnId, listener: Rc<CoreListener>) -> StreamKey {
        listener.counters.requests_total.add(1);
        listener.counters.requests_active.add(1);
        let started = self.conns.get(id).map_or(self.now, |conn| conn.since);
        let mut stream = Stream::new(listener, id, started, self.now);
        stream.is_tunnel = true;
        let key = self.streams.insert(stream);
        if let Some(conn) = self.conns.get_mut(id) {
            conn.stream = Some(key);
        }
        key
    }

    fn connect_tunnel(&mut self, io: &mut I, id: ConnId, key: StreamKey, cluster_key: u32) {
        if let Some(stream) = self.streams.get_mut(key) {
            stream.cluster = cluster_key;
        }
        let random = self.next_random();
        let picked = match self.clusters.get_mut(cluster_key as usize) {
            Some(Some(cluster)) => {
                // Bounded by its connections alone, as in Envoy.
                let _ = cluster.begin_request();
                cluster.pick(&PickRequest { now: self.now, random, ..PickRequest::default() })
            }
            _ => None,
        };
        let refusal = match picked {
            Some(endpoint) => self.open_or_wait(io, key, endpoint),
            None => Some((503, ResponseFlags::NO_HEALTHY_UPSTREAM, "no_healthy_upstream")),
        };
        match refusal {
            Some((status, flags, details)) => self.fail_stream(key, status, flags, details),
            None => self.arm_deadline(id),
        }
    }

    /// The raw connection of a tunnel is there: both directions run in the kernel from here on.
    pub(crate) fn establish_tunnel(&mut self, io: &mut I, key: StreamKey, id: ConnId) {
        self.attach(key, id);
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.response_started = Some(self.now);
        stream.attempt.sent = Some(self.now);
        stream.response = Progress::Open;
        let downstream = stream.downstream;
        stream.response_relay = Relay::Running;
        if stream.terminates_connect {
            // The client is being read, and may have sent ahead: its direction follows when it is at rest.
            self.answer_connect(io, key, downstream);
        } else if stream.request_relay == Relay::Wanted {
            self.record_tunnel(key);
            self.send_detected(io, key, downstream, id);
        } else {
            stream.request_relay = Relay::Running;
            io.relay(downstream, id, u64::MAX);
            self.record_tunnel(key);
        }
        io.relay(id, downstream, u64::MAX);
    }

    /// What a connection sent before it was known to be a tunnel goes out; the rest follows when it is at rest.
    fn send_detected(&mut self, io: &mut I, key: StreamKey, downstream: ConnId, upstream: ConnId) {
        let Some(conn) = self.conns.get_mut(downstream) else { return };
        let (held, has_ended) = (std::mem::take(&mut conn.held), conn.input_ended);
        for chunk in held {
            self.push_detected(io, key, upstream, &chunk);
        }
        if has_ended {
            self.end_detected(io, key, downstream);
        } else {
            // Told at once if it is at rest by now.
            io.pause(downstream);
        }
    }

    fn push_detected(&mut self, io: &mut I, key: StreamKey, upstream: ConnId, chunk: &I::Chunk) {
        let (Some(stream), Some(conn)) = (self.streams.get_mut(key), self.conns.get_mut(upstream)) else {
            return;
        };
        stream.request_body_bytes += chunk.len() as u64;
        stream.last_activity = self.now;
        conn.outbox.push_payload(io, upstream, chunk, chunk, &mut self.buffers, &self.counters);
    }

    /// The client's direction of a tunnel that was detected has come to rest: the kernel takes over.
    pub(super) fn relay_detected(
        &mut self,
        io: &mut I,
        key: StreamKey,
        downstream: ConnId,
        upstream: ConnId,
    ) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.request_relay = Relay::Running;
        io.relay(downstream, upstream, u64::MAX);
    }

    fn end_detected(&mut self, io: &mut I, key: StreamKey, downstream: ConnId) {
        if let Some(stream) = self.streams.get_mut(key) {
            stream.request_relay = Relay::Off;
        }
        self.end_tunnel_input(io, key, downstream);
    }

    /// Bytes that came before the pause took effect.
    pub(crate) fn handle_tunnel_bytes(&mut self, io: &mut I, id: ConnId, chunk: I::Chunk) {
        let Some(key) = self.stream_of(id) else { return };
        let Some(stream) = self.streams.get(key) else { return };
        stream.listener.counters.received_bytes.add(chunk.len() as u64);
        match stream.attached() {
            Some(upstream) => self.push_detected(io, key, upstream, &chunk),
            None => {
                if let Some(conn) = self.conns.get_mut(id) {
                    conn.held.push(chunk);
                }
            }
        }
    }

    /// The client's end came before the pause took effect.
    pub(crate) fn handle_tunnel_ended(&mut self, io: &mut I, id: ConnId, clean: bool) {
        let Some(key) = self.stream_of(id) else { return };
        if !clean {
            self.fail_tunnel(io, key, id);
            return;
        }
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.input_ended = true;
        if self.streams.get(key).is_some_and(|stream| stream.attached().is_some()) {
            self.end_detected(io, key, id);
        }
    }

    /// A CONNECT that ends here: 200, and from then on bytes.
    fn answer_connect(&mut self, io: &mut I, key: StreamKey, downstream: ConnId) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.status = 200;
        stream.details = "via_upstream".into();
        stream.is_tunnel = true;
        let Some(codec_stream) = stream.downstream_stream else { return };
        let Some(conn) = self.conns.get_mut(downstream) else { return };
        if let Some(codec) = &mut conn.codec {
            let head = ResponseHead {
                rpc: None,
                status: 200,
                version: Version::Http11,
                reason: b"OK",
                fields: Fields::default(),
                body: BodyLength::None,
            };
            self.edits.clear();
            // The request's End is due first; it ends nothing but the head.
            let mut none: &[u8] = &[];
            let _ = codec.decode(&mut self.scratch, &mut none);
            let staged = conn.outbox.stage(&mut self.buffers);
            if let Err(error) = codec.encode_response(codec_stream, &head, &self.edits, staged) {
                self.fail_stream(key, error.status, ResponseFlags::NONE, error.reason);
                return;
            }
        }
        conn.outbox.flush_staged(io, downstream, &mut self.buffers);
        self.begin_upgraded(io, key, downstream);
    }

    /// A connection has become a tunnel: what was held back goes on, and the kernel takes over where it can.
    pub(crate) fn begin_upgraded(&mut self, io: &mut I, key: StreamKey, downstream: ConnId) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        if std::mem::replace(&mut stream.is_tunnel_open, true) {
            return;
        }
        // The request's head has ended, the client's bytes have not.
        stream.request_has_body = true;
        stream.request = Progress::Open;
        self.work.push_back(Work::ResumeDownstream(downstream));
        self.consider_request_relay(io, downstream);
        self.record_tunnel(key);
        self.arm_deadline(downstream);
    }

    /// One side of a tunnel has ended its stream: the other side is told so behind what is queued for it.
    pub(crate) fn end_tunnel_input(&mut self, io: &mut I, key: StreamKey, from: ConnId) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.last_activity = self.now;
        let to = if from == stream.downstream {
            stream.request = Progress::Ended;
            stream.attached()
        } else {
            stream.response = Progress::Ended;
            stream.response_ended = self.now;
            Some(stream.downstream)
        };
        if let Some(to) = to
            && let Some(conn) = self.conns.get_mut(to)
        {
            conn.outbox.flush_staged(io, to, &mut self.buffers);
            if !std::mem::replace(&mut conn.is_shut, true) {
                io.shutdown(to);
            }
        }
        self.work.push_back(Work::CheckTunnel(key));
    }

    /// Ends the tunnel when both directions have ended and everything is on its way.
    pub(crate) fn check_tunnel(&mut self, io: &mut I, key: StreamKey) {
        let Some(stream) = self.streams.get(key) else { return };
        if !stream.is_tunnel || stream.request != Progress::Ended || stream.response != Progress::Ended {
            return;
        }
        let ends = [Some(stream.downstream), stream.attached()];
        let queued = |id: ConnId| self.conns.get(id).is_some_and(|conn| !conn.outbox.is_empty());
        if ends.into_iter().flatten().any(queued) {
            return;
        }
        self.close_tunnel(io, key, CloseMode::Graceful);
    }

    /// One side of a tunnel broke.
    pub(crate) fn fail_tunnel(&mut self, io: &mut I, key: StreamKey, broken: ConnId) {
        let Some(stream) = self.streams.get(key) else { return };
        let (flags, details) = if broken == stream.downstream {
            (ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION, "downstream_remote_reset")
        } else {
            (ResponseFlags::UPSTREAM_CONNECTION_TERMINATION, "upstream_remote_reset")
        };
        self.abort_tunnel(io, key, flags, details);
    }

    /// Cuts both sides of a tunnel.
    pub(crate) fn abort_tunnel(
        &mut self,
        io: &mut I,
        key: StreamKey,
        flags: ResponseFlags,
        details: &'static str,
    ) {
        if let Some(stream) = self.streams.get_mut(key) {
            stream.flags = stream.flags.with(flags);
            stream.details = details.into();
        }
        self.close_tunnel(io, key, CloseMode::Reset);
    }

    fn close_tunnel(&mut self, io: &mut I, key: StreamKey, mode: CloseMode) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.response_ended = self.now;
        let downstream = stream.downstream;
        let told = std::mem::take(&mut stream.details);
        let details = if told.as_str().is_empty() { "tunnel_closed".into() } else { told };
        if let Upstream::Attached(upstream) = stream.attempt.upstream {
            self.record_upstream_end(key);
            if let Some(stream) = self.streams.get_mut(key) {
                stream.attempt.upstream = Upstream::Released;
            }
            if let Some(conn) = self.conns.get_mut(upstream) {
                conn.stream = None;
            }
            self.close_conn(io, upstream, mode);
        }
        self.give_up_stream(io, key, ResponseFlags::default(), details);
        self.close_conn(io, downstream, mode);
    }
}
