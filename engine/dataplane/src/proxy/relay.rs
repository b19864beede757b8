//! Large bodies nobody has to look at: the source is brought to rest, then the kernel moves the rest of the body.

use crate::io::{ConnId, Io, RelayEnd};
use crate::net::conn::Role;
use crate::stream::{Progress, Relay, StreamKey};
use crate::worker::Worker;

/// Bodies with less than this many bytes to come are not worth bringing the source to rest.
pub(crate) const RELAY_MIN_BYTES: u64 = 256 * 1024;

/// A body's way: whose bytes, and where they go.
#[derive(Clone, Copy)]
struct Path {
    from: ConnId,
    to: ConnId,
    is_request: bool,
}

impl<I: Io> Worker<I> {
    /// Starts the relay of a request's body if it is worth it.
    pub(crate) fn consider_request_relay(&mut self, io: &mut I, downstream: ConnId) {
        let Some(key) = self.stream_of(downstream) else { return };
        let Some(stream) = self.streams.get(key) else { return };
        let Some(to) = stream.attached() else { return };
        // What may have to be sent again must be seen.
        let is_kept = stream.body.is_some();
        if stream.request_relay == Relay::Off && stream.request == Progress::Open && !is_kept {
            self.want_relay(io, key, Path { from: downstream, to, is_request: true });
        }
    }

    /// Starts the relay of a response's body if it is worth it.
    pub(crate) fn consider_response_relay(&mut self, io: &mut I, key: StreamKey, upstream: ConnId) {
        let Some(stream) = self.streams.get(key) else { return };
        if stream.response_relay == Relay::Off && stream.response == Progress::Open && !stream.is_transformed
        {
            let path = Path { from: upstream, to: stream.downstream, is_request: false };
            self.want_relay(io, key, path);
        }
    }

    fn want_relay(&mut self, io: &mut I, key: StreamKey, path: Path) {
        let Some(limit) = self.relayable(path) else { return };
        if limit < RELAY_MIN_BYTES {
            return;
        }
        self.set_relay(key, path.is_request, Relay::Wanted);
        if let Some(conn) = self.conns.get_mut(path.from) {
            conn.paused = true;
            io.pause(path.from);
        }
    }

    /// How many bytes the kernel may move: `None` if one side has framing, or bytes are still held back.
    fn relayable(&self, path: Path) -> Option<u64> {
        let (from, to) = (self.conns.get(path.from)?, self.conns.get(path.to)?);
        if !from.held.is_empty() || from.input_ended || to.outbox.has_failed() {
            return None;
        }
        let limit = from.codec.as_ref()?.relayable_in()?;
        // Without a codec it takes bytes: a CONNECT that ends here.
        to.codec.as_ref().is_none_or(|codec| codec.relayable_out()).then_some(limit)
    }

    fn set_relay(&mut self, key: StreamKey, is_request: bool, relay: Relay) {
        if let Some(stream) = self.streams.get_mut(key) {
            *(if is_request { &mut stream.request_relay } else { &mut stream.response_relay }) = relay;
        }
    }

    fn path_from(&self, from: ConnId) -> Option<(StreamKey, Path, Relay)> {
        let key = self.stream_of(from)?;
        let stream = self.streams.get(key)?;
        let upstream = stream.attached()?;
        Some(match self.role(from)? {
            Role::Detecting { .. } | Role::Downstream { .. } | Role::TunnelDownstream { .. } => {
                (key, Path { from, to: upstream, is_request: true }, stream.request_relay)
            }
            Role::Upstream { .. } | Role::TunnelUpstream { .. } => {
                (key, Path { from, to: stream.downstream, is_request: false }, stream.response_relay)
            }
        })
    }

    /// The source is at rest: what is left of the body by now goes through the kernel.
    pub(crate) fn handle_paused(&mut self, io: &mut I, id: ConnId) {
        if self.hand_over(io, id) {
            return;
        }
        let Some((key, path, Relay::Wanted)) = self.path_from(id) else { return };
        if matches!(self.role(id), Some(Role::TunnelDownstream { .. })) {
            self.relay_detected(io, key, id, path.to);
            return;
        }
        match self.relayable(path) {
            Some(limit) if limit > 0 => {
                self.set_relay(key, path.is_request, Relay::Running);
                io.relay(path.from, path.to, limit);
            }
            _ => self.stop_relay(io, key, path),
        }
    }

    /// Back to receiving, unless backpressure says otherwise.
    fn stop_relay(&mut self, io: &mut I, key: StreamKey, path: Path) {
        self.set_relay(key, path.is_request, Relay::Off);
        if path.is_request {
            self.update_request_flow(io, path.from);
        } else {
            self.update_response_flow(io, key, path.from);
        }
    }

    pub(crate) fn handle_relayed(&mut self, from: ConnId, bytes: u64) {
        let Some((key, path, _)) = self.path_from(from) else { return };
        if let Some(codec) = self.conns.get_mut(path.from).and_then(|conn| conn.codec.as_mut()) {
            codec.skip_in(bytes);
        }
        if let Some(codec) = self.conns.get_mut(path.to).and_then(|conn| conn.codec.as_mut()) {
            codec.skip_out(bytes);
        }
        self.counters.body_bytes_relayed.add(bytes);
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.last_activity = self.now;
        let listener = &stream.listener.counters;
        let cluster = self.clusters.get(stream.cluster as usize).and_then(Option::as_ref);
        if path.is_request {
            stream.request_body_bytes += bytes;
            stream.attempt.sent.get_or_insert(self.now);
            listener.received_bytes.add(bytes);
            if let Some(cluster) = cluster {
                cluster.counters.sent_bytes.add(bytes);
            }
        } else {
            stream.response_body_bytes += bytes;
            listener.sent_bytes.add(bytes);
            if let Some(cluster) = cluster {
                cluster.counters.received_bytes.add(bytes);
            }
        }
    }

    pub(crate) fn handle_relay_ended(&mut self, io: &mut I, from: ConnId, end: RelayEnd) {
        let Some((key, path, _)) = self.path_from(from) else { return };
        let is_raw =
            matches!(self.role(from), Some(Role::TunnelDownstream { .. } | Role::TunnelUpstream { .. }));
        match end {
            RelayEnd::Limit => self.after_relay(io, key, path),
            RelayEnd::SourceEnded | RelayEnd::SourceFailed(_) if is_raw => {
                self.set_relay(key, path.is_request, Relay::Off);
                if end == RelayEnd::SourceEnded {
                    self.end_tunnel_input(io, key, from);
                } else {
                    self.fail_tunnel(io, key, from);
                }
            }
            RelayEnd::SourceEnded | RelayEnd::SourceFailed(_) => {
                self.set_relay(key, path.is_request, Relay::Off);
                let clean = end == RelayEnd::SourceEnded;
                if path.is_request {
                    self.handle_downstream_ended(io, from, clean);
                } else {
                    self.handle_upstream_ended(io, from, clean);
                }
            }
            RelayEnd::DestinationFailed(_) => {
                self.set_relay(key, path.is_request, Relay::Off);
                self.handle_send_failed(io, path.to);
            }
        }
    }

    /// The body has gone by: receiving goes on, and the message's end is due.
    fn after_relay(&mut self, io: &mut I, key: StreamKey, path: Path) {
        self.set_relay(key, path.is_request, Relay::Off);
        if let Some(conn) = self.conns.get_mut(path.from) {
            conn.paused = false;
            io.receive(path.from);
        }
        if path.is_request {
            self.decode_downstream(io, path.from, None);
        } else {
            self.decode_upstream(io, path.from, key, None);
        }
    }
}
