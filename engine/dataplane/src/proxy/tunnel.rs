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
        let mut conn = Conn::new(id, role, Phase::Busy, self.now);
        listener.counters.requests_total.add(1);
        listener.counters.requests_active.add(1);
        let mut stream = Stream::new(listener, id, self.now, self.now);
        stream.is_tunnel = true;
        stream.cluster = cluster_key;
        let key = self.streams.insert(stream);
        conn.stream = Some(key);
        self.conns.insert(conn);
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
        } else {
            stream.request_relay = Relay::Running;
            io.relay(downstream, id, u64::MAX);
            self.record_tunnel(key);
        }
        io.relay(id, downstream, u64::MAX);
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
