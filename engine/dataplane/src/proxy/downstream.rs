//! The client's side: bytes in, requests begun, bodies passed on, the client's end.

use crate::io::{Chunk, CloseMode, ConnId, Io};
use crate::net::conn::{HELD_CHUNKS, Phase};
use crate::net::listener::CoreListener;
use crate::observe::access_log::ResponseFlags;
use crate::stream::{Progress, Relay, StreamKey};
use crate::worker::Worker;
use sidering_codecs::{BodyLength, Codec, Event, Grant, InputEnd, ProtocolError, StreamId};
use std::rc::Rc;

/// How the decoding of one chunk came to its end.
enum Decoded {
    /// Everything was taken, or what is left waits for the exchange under way.
    Done,
    /// The request must wait for an upstream connection.
    Blocked,
    Broken(ProtocolError),
}

impl<I: Io> Worker<I> {
    pub(crate) fn handle_downstream_bytes(&mut self, io: &mut I, id: ConnId, chunk: I::Chunk) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.phase == Phase::Lingering {
            self.discard(io, id, chunk.len());
            return;
        }
        let stream = conn.stream;
        if conn.phase == Phase::Idle && !conn.head_started {
            conn.head_started = true;
            conn.since = self.now;
        }
        let must_wait = !conn.held.is_empty() || stream.is_some_and(|key| self.must_wait(id, key));
        if must_wait {
            self.hold(io, id, chunk);
            return;
        }
        self.decode_downstream(io, id, Some(chunk));
    }

    /// Whether the client's bytes may not be decoded now: there is no connection to send them on to, or the answer is
    /// still on its way out and the codec would begin the next request.
    fn must_wait(&self, id: ConnId, key: StreamKey) -> bool {
        let Some(stream) = self.streams.get(key) else { return false };
        if stream.is_call {
            return stream.is_blocked() && !self.has_room_for_body(key);
        }
        if stream.gathers() {
            return false;
        }
        let is_answered = stream.response == Progress::Ended && !stream.is_tunnel;
        if !is_answered {
            return stream.is_blocked();
        }
        // A codec that was told to close since then is not reusable, but may expect a head already.
        let codec = self.conns.get(id).and_then(|conn| conn.codec.as_ref());
        codec.is_some_and(|codec| codec.is_reusable() || codec.is_idle())
    }

    /// Looks again at what was held back, now that an exchange has ended or a connection has come.
    pub(crate) fn resume_downstream(&mut self, io: &mut I, id: ConnId) {
        loop {
            let Some(conn) = self.conns.get(id) else { return };
            let must_wait = conn.stream.is_some_and(|key| self.must_wait(id, key));
            if must_wait || conn.phase == Phase::Lingering {
                return;
            }
            let Some(conn) = self.conns.get_mut(id) else { return };
            let chunk = (!conn.held.is_empty()).then(|| conn.held.remove(0));
            if chunk.is_some() && conn.phase == Phase::Idle && !conn.head_started {
                conn.head_started = true;
                conn.since = self.now;
            }
            let has_taken = self.decode_downstream(io, id, chunk);
            let Some(conn) = self.conns.get(id) else { return };
            if conn.held.is_empty() {
                break;
            }
            // Put back untouched: the codec waits for the exchange to end.
            if !has_taken {
                return;
            }
        }
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.input_ended {
            // The end stands behind a request that waits for its connection.
            let stream = conn.stream.and_then(|key| self.streams.get(key));
            if stream.is_none_or(|stream| !stream.is_blocked() || stream.gathers()) {
                self.end_downstream_input(io, id);
            }
            return;
        }
        let is_idle = conn.stream.is_none() && conn.calls.as_ref().is_none_or(|calls| calls.is_empty());
        if conn.paused {
            self.update_request_flow(io, id);
        }
        if is_idle {
            self.arm_deadline(id);
        }
    }

    /// Decodes a chunk; `None` only asks the codec for events that are due without more bytes. Tells whether any byte
    /// was taken.
    pub(crate) fn decode_downstream(&mut self, io: &mut I, id: ConnId, chunk: Option<I::Chunk>) -> bool {
        let Some(conn) = self.conns.get_mut(id) else { return false };
        let Some(mut codec) = conn.codec.take() else { return false };
        let plain = self.listener_of_plain_calls(id);
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut input: &[u8] = chunk.as_deref().unwrap_or_default();
        let outcome = loop {
            match codec.decode(&mut scratch, &mut input) {
                Ok(None) => break Decoded::Done,
                Err(error) => break Decoded::Broken(error),
                Ok(Some(Event::Request { stream, ref head }))
                    if let Some(listener) = &plain
                        && self.begin_plain_call(io, id, stream, listener, head) =>
                {
                    codec.skip_end();
                }
                Ok(Some(Event::Request { stream, ref head })) => {
                    let is_body_here =
                        matches!(head.body, BodyLength::Sized(length) if length <= input.len() as u64);
                    let key = self.begin_request(io, id, stream, head, is_body_here);
                    if self.streams.get(key).is_some_and(|stream| !stream.gathers() && stream.is_blocked()) {
                        break Decoded::Blocked;
                    }
                }
                Ok(Some(Event::Data { bytes, .. })) => {
                    self.forward_request_data(io, id, chunk.as_ref(), bytes);
                    if self.stream_of(id).is_some_and(|key| self.must_wait(id, key)) {
                        break Decoded::Blocked;
                    }
                }
                Ok(Some(Event::Trailers { fields, .. })) => {
                    // They are not kept.
                    if let Some(key) = self.stream_of(id) {
                        self.drop_mirror(key);
                        self.make_final(key);
                    }
                    self.with_upstream(id, |codec, stream, out| codec.encode_trailers(stream, &fields, out));
                }
                Ok(Some(Event::End { .. })) => self.end_request(io, id),
                Ok(Some(Event::Response { .. } | Event::Reset { .. } | Event::Control(_) | Event::Stray)) => {
                }
            }
        };
        let has_taken = chunk.as_ref().is_some_and(|chunk| input.len() < chunk.len());
        let rest = chunk.as_ref().filter(|_| !input.is_empty()).map(|chunk| chunk.subset(input));
        drop(chunk);
        self.scratch = scratch;
        self.after_decoding(io, id, codec, outcome, rest);
        has_taken
    }

    /// The listener of a connection of calls, if those may go the short way.
    fn listener_of_plain_calls(&self, id: ConnId) -> Option<Rc<CoreListener>> {
        let has_calls = self.conns.get(id).is_some_and(|conn| conn.calls.is_some());
        let listener =
            self.listener_of(id)?.filter(|listener| has_calls && listener.known_routes().is_some());
        listener.map(Rc::clone)
    }

    fn after_decoding(
        &mut self,
        io: &mut I,
        id: ConnId,
        codec: Box<dyn Codec>,
        outcome: Decoded,
        rest: Option<I::Chunk>,
    ) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let is_multiplexed = conn.calls.is_some();
        let is_partial_head = conn.stream.is_none() && conn.head_started;
        let is_awaiting = conn
            .stream
            .and_then(|key| self.streams.get(key))
            .is_some_and(|stream| stream.response == Progress::Awaited);
        // Before there is an answer, only the client can have ended the connection.
        conn.is_last_request |= !is_multiplexed && is_awaiting && !conn.announces_end && !codec.is_reusable();
        if (is_multiplexed || conn.is_behind_answer) && codec.is_idle() {
            // Heartbeats alone, or the rest of what was answered before: no request has begun, and a drain need not wait
            // for the first one.
            conn.head_started = false;
            conn.is_behind_answer = false;
            conn.exchanges = conn.exchanges.max(1);
            conn.since = self.now;
        }
        conn.codec = Some(codec);
        match outcome {
            Decoded::Broken(error) if is_multiplexed => self.reject_frame(io, id, error),
            Decoded::Broken(error) => self.reject_protocol_error(id, error),
            Decoded::Done | Decoded::Blocked => {
                if let Some(rest) = rest {
                    conn.held.insert(0, rest);
                    self.limit_held(io, id);
                }
                self.flush_request(io, id);
            }
        }
        if is_partial_head {
            self.arm_deadline(id);
        }
        if is_multiplexed {
            self.write_control(id);
            self.update_request_flow(io, id);
        }
    }

    fn hold(&mut self, io: &mut I, id: ConnId, chunk: I::Chunk) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.held.push(chunk);
            self.limit_held(io, id);
        }
    }

    /// A client that sends ahead is not read any further than a few chunks.
    fn limit_held(&mut self, io: &mut I, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id)
            && conn.held.len() >= HELD_CHUNKS
            && !conn.paused
            && !conn.input_ended
        {
            conn.paused = true;
            io.pause(id);
        }
    }

    /// Runs `encode` with the codec of the upstream that carries this downstream's request, if there is one.
    fn with_upstream(
        &mut self,
        downstream: ConnId,
        encode: impl FnOnce(&mut dyn Codec, StreamId, &mut Vec<u8>),
    ) {
        let Some(stream) = self.stream_of(downstream).and_then(|key| self.streams.get(key)) else { return };
        let Some(upstream) = stream.attached() else { return };
        let Some(conn) = self.conns.get_mut(upstream) else { return };
        if let Some(codec) = &mut conn.codec {
            encode(codec.as_mut(), stream.attempt.stream, conn.outbox.stage(&mut self.buffers));
        }
    }

    fn forward_request_data(&mut self, io: &mut I, id: ConnId, chunk: Option<&I::Chunk>, bytes: &[u8]) {
        let Some(key) = self.stream_of(id) else { return };
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.request_body_bytes += bytes.len() as u64;
        stream.last_activity = self.now;
        if stream.bridge.is_some() {
            if let Some(chunk) = chunk {
                self.collect_bridged(key, chunk, bytes);
            }
            return;
        }
        if stream.is_call && stream.is_blocked() {
            if let Some(chunk) = chunk {
                self.collect_body(key, chunk, bytes);
            }
            return;
        }
        let Some(upstream) = stream.attached() else { return };
        if stream.body.is_some()
            && let Some(chunk) = chunk
        {
            self.keep_body(key, chunk, bytes);
        }
        let Some(stream) = self.streams.get(key) else { return };
        let Some(conn) = self.conns.get_mut(upstream) else { return };
        let staged = conn.outbox.stage(&mut self.buffers);
        let grant = match &mut conn.codec {
            Some(codec) => codec.encode_data(stream.attempt.stream, bytes, staged),
            // A CONNECT that ends here.
            None => Grant { allowed: bytes.len(), suffix: b"" },
        };
        // No registered protocol has flow control, so less than all means that the framing has no room for it.
        let bytes = &bytes[..grant.allowed];
        if bytes.is_empty() {
            return;
        }
        if let Some(chunk) = chunk {
            conn.outbox.push_payload(io, upstream, chunk, bytes, &mut self.buffers, &self.counters);
        }
        if !grant.suffix.is_empty() {
            conn.outbox.stage(&mut self.buffers).extend_from_slice(grant.suffix);
        }
    }

    fn end_request(&mut self, io: &mut I, id: ConnId) {
        let Some(key) = self.stream_of(id) else { return };
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.request = Progress::Ended;
        stream.request_relay = Relay::Off;
        let (is_mirrored, is_bridged) = (stream.mirror.is_some(), stream.bridge.is_some());
        if stream.request_has_body || stream.is_call {
            stream.request_ended = self.now;
            // The route's timeout begins, and may be the earlier one.
            self.arm_stream(key);
        }
        if is_bridged {
            self.call_bridged(io, key);
            return;
        }
        self.with_upstream(id, |codec, stream, out| codec.encode_end(stream, out));
        if is_mirrored {
            self.mirror_later(key);
        }
        self.end_call_request(io, id, key);
    }

    /// What a chunk left for the upstream goes out, and the client is paused if the upstream cannot keep up.
    pub(crate) fn flush_request(&mut self, io: &mut I, id: ConnId) {
        let Some(stream) = self.stream_of(id).and_then(|key| self.streams.get(key)) else { return };
        let Some(upstream) = stream.attached() else { return };
        let has_body = stream.request_has_body || stream.is_tunnel;
        let Some(conn) = self.conns.get_mut(upstream) else { return };
        if conn.calls.is_some() {
            // Unless it is touched already: a body that streams.
            self.touch(upstream);
        } else {
            conn.outbox.flush_staged(io, upstream, &mut self.buffers);
        }
        if has_body {
            self.update_request_flow(io, id);
            self.consider_request_relay(io, id);
        }
    }

    /// The client closed its side, or the connection broke.
    pub(crate) fn handle_downstream_ended(&mut self, io: &mut I, id: ConnId, clean: bool) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.input_ended = true;
        let lingers = conn.phase == Phase::Lingering;
        if conn.calls.is_some() && clean && conn.held.is_empty() && !lingers {
            self.end_calls_input(io, id);
            return;
        }
        let stream = conn.stream.and_then(|key| self.streams.get(key));
        let blocked = stream.is_some_and(|stream| stream.is_blocked() && !stream.gathers());
        if !clean {
            self.abort_downstream(io, id, "downstream_remote_disconnect");
        } else if conn.held.is_empty() && !blocked {
            self.end_downstream_input(io, id);
        }
        // Else the end stands behind what is not decoded yet, be it only the end of the request.
    }

    fn end_downstream_input(&mut self, io: &mut I, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.phase == Phase::Lingering {
            if conn.outbox.is_empty() {
                self.close_conn(io, id, CloseMode::Graceful);
            }
            return;
        }
        if conn.calls.is_some() {
            self.end_calls_input(io, id);
            return;
        }
        let stream = conn.stream.and_then(|key| self.streams.get(key));
        let is_answered = stream.is_some_and(|stream| stream.response == Progress::Ended);
        let Some(codec) = &mut conn.codec else { return };
        match (codec.decode_end(), conn.stream) {
            (Ok(InputEnd::Message(_)), Some(key)) if self.is_tunnel(key) => {
                self.end_tunnel_input(io, key, id);
            }
            // Half-closed after a whole request: it is still answered.
            (Ok(_), Some(_)) => {}
            // What of the request was in a relay's pipe when the answer came is missed here; the answer still goes out.
            (Err(_), Some(_)) if is_answered => {}
            (Ok(_), None) => self.close_conn(io, id, CloseMode::Graceful),
            (Err(_), _) => self.abort_downstream(io, id, "downstream_remote_disconnect"),
        }
    }

    /// The client is gone: what is under way is given up.
    pub(crate) fn abort_downstream(&mut self, io: &mut I, id: ConnId, details: &'static str) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.outbox.fail();
        if conn.calls.is_some() {
            self.give_up_calls(io, id, ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION, details);
            self.close_conn(io, id, CloseMode::Graceful);
            return;
        }
        let mut mode = CloseMode::Graceful;
        if let Some(key) = conn.stream {
            // It may have closed only its own side, and would take a cut answer for a whole one.
            if self.streams.get(key).is_some_and(|stream| stream.is_close_delimited) {
                mode = CloseMode::Reset;
            }
            self.give_up_stream(io, key, ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION, details);
        }
        self.close_conn(io, id, mode);
    }

    pub(crate) fn is_tunnel(&self, key: StreamKey) -> bool {
        self.streams.get(key).is_some_and(|stream| stream.is_tunnel)
    }

    pub(crate) fn stream_of(&self, id: ConnId) -> Option<StreamKey> {
        self.conns.get(id).and_then(|conn| conn.stream)
    }

    /// The request breaks the protocol: 4xx or 5xx if nothing was answered yet, and the connection ends.
    fn reject_protocol_error(&mut self, id: ConnId, error: ProtocolError) {
        if let Some(Some(listener)) = self.listener_of(id) {
            listener.counters.protocol_errors.add(1);
        }
        self.reject(id, error.status, ResponseFlags::DOWNSTREAM_PROTOCOL_ERROR, error.reason);
    }
}
