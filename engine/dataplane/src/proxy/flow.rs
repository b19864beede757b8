//! Backpressure: a queue over its high mark pauses the side that feeds it, under its low mark resumes it.

use crate::io::{CloseMode, ConnId, Io};
use crate::net::conn::{HELD_CHUNKS, Phase, Role};
use crate::stream::{Progress, Relay, Stream, StreamKey};
use crate::worker::{Work, Worker};

impl<I: Io> Worker<I> {
    /// Pauses or resumes the client by what is queued for its upstream, and by what is held of its own bytes.
    pub(crate) fn update_request_flow(&mut self, io: &mut I, downstream: ConnId) {
        let Some(conn) = self.conns.get(downstream) else { return };
        // A client that takes no answers sends no more requests.
        let own = conn.calls.is_some().then_some(&conn.outbox);
        let (own_high, own_low) = own.map_or((false, true), |outbox| (outbox.is_high(), outbox.is_low()));
        let stream = conn.stream.and_then(|key| self.streams.get(key));
        if stream.is_some_and(|stream| stream.request_relay != Relay::Off) || conn.input_ended {
            return;
        }
        let queue = stream.and_then(Stream::attached).and_then(|upstream| self.conns.get(upstream));
        let (high, low) = queue.map_or((false, true), |conn| (conn.outbox.is_high(), conn.outbox.is_low()));
        let (high, low) = (high || own_high, low && own_low);
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
            // Others may wait behind it for no longer than they have to.
            if conn.calls.is_some() {
                self.arm_deadline(upstream);
            }
        } else if low && conn.paused && conn.held.is_empty() {
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
            Role::Detecting { .. } | Role::TunnelDownstream { .. } => {}
        }
    }

    fn handle_downstream_sent(&mut self, io: &mut I, id: ConnId, bytes: usize) {
        let Some(conn) = self.conns.get(id) else { return };
        let (empty, stream) = (conn.outbox.is_empty(), conn.stream);
        // The last answers may go out when nothing more is read.
        if conn.calls.is_some()
            && let Some(Some(listener)) = self.listener_of(id)
        {
            listener.counters.sent_bytes.add(bytes as u64);
        }
        let Some(conn) = self.conns.get(id) else { return };
        if conn.phase == Phase::Lingering {
            if conn.input_ended && empty {
                self.close_conn(io, id, CloseMode::Graceful);
            }
            return;
        }
        if conn.calls.is_some() {
            self.handle_calls_sent(io, id);
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

    /// A connection with many exchanges has room again, perhaps.
    fn handle_calls_sent(&mut self, io: &mut I, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Some(calls) = &mut conn.calls else { return };
        calls.taken = self.now;
        let has_control = conn.codec.as_ref().is_some_and(|codec| codec.has_control());
        let waits = has_control || !calls.waiting.is_empty();
        let (is_low, is_paused) = (conn.outbox.is_low(), conn.paused);
        if let Some(key) = calls.sender
            && let Some(stream) = self.streams.get_mut(key)
        {
            stream.last_activity = self.now;
            if let Some(upstream) = stream.attached() {
                self.update_response_flow(io, key, upstream);
            }
        }
        if is_low && waits {
            self.work.push_back(Work::Deliver(id));
        }
        if is_low && is_paused {
            self.update_request_flow(io, id);
        }
    }

    fn handle_upstream_sent(&mut self, io: &mut I, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id)
            && let Some(calls) = &mut conn.calls
        {
            calls.forget_unanswered(conn.outbox.taken());
            if conn.shadow.is_some() {
                self.handle_shadow_sent(io, id);
                return;
            }
        }
        if let Some(conn) = self.conns.get_mut(id)
            && conn.is_left()
        {
            conn.since = self.now;
            // The peer may have asked whether we are there.
            self.write_control(id);
            let Some(conn) = self.conns.get(id).filter(|conn| conn.outbox.is_empty()) else { return };
            if conn.calls.is_some() {
                self.after_call(io, id);
            } else {
                self.close_conn(io, id, CloseMode::Graceful);
            }
            self.check_drained();
            return;
        }
        if let Some(conn) = self.conns.get_mut(id)
            && conn.sends_one_way
            && conn.outbox.is_empty()
        {
            conn.sends_one_way = false;
            self.check_drained();
        }
        if let Some(calls) = self.conns.get(id).and_then(|conn| conn.calls.as_ref()) {
            if let Some(key) = calls.sender
                && let Some(stream) = self.streams.get_mut(key)
            {
                stream.last_activity = self.now;
                let downstream = stream.downstream;
                self.update_request_flow(io, downstream);
            }
            self.write_control(id);
            return;
        }
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
        if conn.calls.is_some() && matches!(conn.role, Role::Upstream { .. }) {
            // What it had to send may go elsewhere.
            self.break_shared_unless_shadow(io, id);
            return;
        }
        conn.outbox.fail();
        match conn.role {
            Role::Detecting { .. } => self.close_conn(io, id, CloseMode::Graceful),
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
        if conn.phase == Phase::Idle || conn.is_left() {
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
