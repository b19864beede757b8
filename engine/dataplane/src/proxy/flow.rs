//! Backpressure: a queue over its high mark pauses the side that feeds it, under its low mark resumes it.

use crate::io::{CloseMode, ConnId, Io};
use crate::net::conn::{HELD_CHUNKS, Phase, Role};
use crate::stream::{Progress, Relay, Stream, StreamKey};
use crate::worker::{Work, Worker};

impl<I: Io> Worker<I> {
    /// Pauses or resumes the client by what is queued for its upstream, and by what is held of its own bytes.
    pub(crate) fn update_request_flow(&mut self, io: &mut I, downstream: ConnId) {
        let Some(conn) = self.conns.get(downstream) else { return };
        let stream = conn.stream.and_then(|key| self.streams.get(key));
        if stream.is_some_and(|stream| stream.request_relay != Relay::Off) || conn.input_ended {
            return;
        }
        let queue = stream.and_then(Stream::attached).and_then(|upstream| self.conns.get(upstream));
        let (high, low) = queue.map_or((false, true), |conn| (conn.outbox.is_high(), conn.outbox.is_low()));
        let Some(conn) = self.conns.get_mut(downstream) else { return };
        if high && !conn.paused {
            conn.paused = true;
            io.pause(downstream);
        } else if low && conn.paused && conn.held.len() < HELD_CHUNKS {
            conn.paused = false;
            io.receive(downstream);
        }
    }

    /// Pauses or resumes the upstream by what is queued for the client.
    pub(crate) fn update_response_flow(&mut self, io: &mut I, key: StreamKey, upstream: ConnId) {
        let Some(stream) = self.streams.get(key) else { return };
        if stream.response_relay != Relay::Off {
            return;
        }
        let Some(downstream) = self.conns.get(stream.downstream) else { return };
        let (high, low) = (downstream.outbox.is_high(), downstream.outbox.is_low());
        let Some(conn) = self.conns.get_mut(upstream) else { return };
        // A relay may have met its end, which a receive would tell once more.
        if conn.input_ended {
            return;
        }
        if high && !conn.paused {
            conn.paused = true;
            io.pause(upstream);
        } else if low && conn.paused {
            conn.paused = false;
            io.receive(upstream);
        }
    }

    pub(crate) fn handle_sent(&mut self, io: &mut I, id: ConnId, bytes: usize) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.outbox.on_sent(bytes);
        match conn.role {
            Role::Downstream { .. } => self.handle_downstream_sent(io, id, bytes),
            Role::Upstream { cluster, .. } | Role::TunnelUpstream { cluster, .. } => {
                if let Some(cluster) = &self.clusters[cluster as usize] {
                    cluster.counters.sent_bytes.add(bytes as u64);
                }
                self.handle_upstream_sent(io, id);
            }
            Role::TunnelDownstream { .. } => {}
        }
    }

    fn handle_downstream_sent(&mut self, io: &mut I, id: ConnId, bytes: usize) {
        let Some(conn) = self.conns.get(id) else { return };
        let (empty, stream) = (conn.outbox.is_empty(), conn.stream);
        if conn.phase == Phase::Lingering {
            if conn.input_ended && empty {
                self.close_conn(io, id, CloseMode::Graceful);
            }
            return;
        }
        let Some(stream_key) = stream else { return };
        let Some(stream) = self.streams.get_mut(stream_key) else { return };
        stream.listener.counters.sent_bytes.add(bytes as u64);
        stream.last_activity = self.now;
        if stream.is_tunnel {
            if let Some(upstream) = stream.attached() {
                self.update_response_flow(io, stream_key, upstream);
            }
            self.work.push_back(Work::CheckTunnel(stream_key));
        } else if stream.response == Progress::Ended {
            if empty {
                self.finish_stream(io, stream_key);
            }
        } else if let Some(upstream) = stream.attached() {
            self.update_response_flow(io, stream_key, upstream);
        }
    }

    fn handle_upstream_sent(&mut self, io: &mut I, id: ConnId) {
        let Some(key) = self.stream_of(id) else { return };
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.attempt_on(id).sent.get_or_insert(self.now);
        stream.last_activity = self.now;
        let (downstream, has_body, is_tunnel) =
            (stream.downstream, stream.request_has_body, stream.is_tunnel);
        if has_body || is_tunnel {
            self.update_request_flow(io, downstream);
        }
        if is_tunnel {
            self.work.push_back(Work::CheckTunnel(key));
        }
    }

    /// Nothing more can be sent on the connection.
    pub(crate) fn handle_send_failed(&mut self, io: &mut I, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.outbox.fail();
        match conn.role {
            Role::Downstream { .. } => self.abort_downstream(io, id, "downstream_remote_disconnect"),
            // An upstream may refuse a request's body and still answer: its answer or its end decides.
            Role::Upstream { .. } => self.stop_request_body(io, id),
            Role::TunnelDownstream { .. } | Role::TunnelUpstream { .. } => {
                if let Some(key) = self.stream_of(id) {
                    self.fail_tunnel(io, key, id);
                }
            }
        }
    }

    /// The answer is whole and the upstream gone: what is left of the request is read and dropped, because a client may
    /// take no answer before it has sent everything.
    pub(crate) fn drop_rest_of_request(&mut self, io: &mut I, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        if stream.request == Progress::Ended {
            return;
        }
        stream.request_relay = Relay::Off;
        let downstream = stream.downstream;
        self.update_request_flow(io, downstream);
    }

    /// The rest of the request's body has nowhere to go; it is read and dropped until the upstream's answer or end.
    fn stop_request_body(&mut self, io: &mut I, upstream: ConnId) {
        let Some(conn) = self.conns.get(upstream) else { return };
        if conn.phase == Phase::Idle {
            self.close_conn(io, upstream, CloseMode::Graceful);
            return;
        }
        if conn.input_ended {
            if let Some(key) = conn.stream {
                self.handle_upstream_failed(io, key, upstream, false);
            } else {
                self.close_conn(io, upstream, CloseMode::Graceful);
            }
            return;
        }
        if let Some(key) = conn.stream
            && let Some(stream) = self.streams.get(key)
        {
            let downstream = stream.downstream;
            self.update_request_flow(io, downstream);
        }
    }
}
