//! The upstream's side: connections established, answers in, the upstream's end.

use crate::cluster::Outcome;
use crate::config::RetryOn;
use crate::io::{CloseMode, ConnId, Io, IoError};
use crate::net::conn::{Phase, Role};
use crate::observe::access_log::{ResponseFlags, capture};
use crate::proxy::attempts::Verdict;
use crate::stream::{Progress, Stream, StreamKey, Upstream};
use crate::worker::{Work, Worker};
use sidering_codecs::{BodyLength, Codec, Event, FieldName, Fields, InputEnd, ResponseHead, Version};

/// What the access log says of an answer that an upstream gave.
const VIA_UPSTREAM: &str = "via_upstream";

/// How the decoding of one chunk came to its end.
enum Decoded {
    More,
    /// The response is whole; `clean` if nothing came behind it.
    Ended {
        clean: bool,
    },
    Broken(&'static str),
    /// The answer is dropped for another attempt; `whole` if all of it has come.
    Dropped {
        whole: bool,
    },
    /// The upstream did nothing wrong, and yet its answer cannot go out.
    Refused(&'static str),
}

impl<I: Io> Worker<I> {
    pub(crate) fn handle_connected(&mut self, io: &mut I, id: ConnId, result: Result<(), IoError>) {
        if result.is_err() {
            self.handle_connect_failed(io, id, false);
            return;
        }
        self.win_race(io, id);
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.since = self.now;
        let is_multiplexed = conn.calls.is_some();
        if let Role::Upstream { cluster, endpoint } | Role::TunnelUpstream { cluster, endpoint } = conn.role
            && let Some(Some(cluster)) = self.clusters.get_mut(cluster as usize)
        {
            cluster.on_established(endpoint);
        }
        match (conn.role, conn.stream) {
            (Role::TunnelUpstream { .. }, Some(key)) => self.establish_tunnel(io, key, id),
            (_, Some(key)) => {
                io.receive(id);
                if is_multiplexed {
                    conn.stream = None;
                }
                self.attach(key, id);
                self.send_kept_head(io, key, id);
                self.resume_after_attach(key);
                self.serve_behind(id);
            }
            (_, None) if conn.shadow.is_some() => {
                io.receive(id);
                self.send_shadow(io, id);
            }
            // Whoever asked for it has gone: it serves the next one.
            (Role::Upstream { .. }, None) => {
                io.receive(id);
                self.park(io, id);
            }
            (_, None) => self.close_conn(io, id, CloseMode::Graceful),
        }
    }

    /// The request's body was held back while there was no connection.
    pub(crate) fn resume_after_attach(&mut self, key: StreamKey) {
        if let Some(stream) = self.streams.get(key) {
            self.work.push_back(Work::ResumeDownstream(stream.downstream));
        }
    }

    pub(crate) fn handle_upstream_bytes(&mut self, io: &mut I, id: ConnId, chunk: I::Chunk) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.calls.is_some() && conn.shadow.is_none() {
            self.handle_answer_bytes(io, id, chunk);
            return;
        }
        // Bytes nobody asked for: an answer to no request could be taken for the answer to the next one.
        let Some(key) = conn.stream else {
            if conn.shadow.is_some() {
                self.handle_shadow_bytes(io, id, &chunk);
            } else {
                self.close_conn(io, id, CloseMode::Graceful);
            }
            return;
        };
        conn.answer_started = true;
        self.decode_upstream(io, id, key, Some(&chunk));
    }

    /// Decodes a chunk; `None` only asks the codec for events that are due without more bytes.
    pub(crate) fn decode_upstream(
        &mut self,
        io: &mut I,
        id: ConnId,
        key: StreamKey,
        chunk: Option<&I::Chunk>,
    ) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Some(mut codec) = conn.codec.take() else { return };
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut input: &[u8] = chunk.map(|chunk| &chunk[..]).unwrap_or_default();
        let mut dropped = None;
        let outcome = loop {
            match codec.decode(&mut scratch, &mut input) {
                Ok(Some(Event::End { .. })) if dropped.is_some() => {
                    break Decoded::Dropped { whole: input.is_empty() };
                }
                Ok(None) | Err(_) if dropped.is_some() => break Decoded::Dropped { whole: false },
                Ok(Some(_)) if dropped.is_some() => {}
                Ok(None) => break Decoded::More,
                Err(error) => break Decoded::Broken(error.reason),
                Ok(Some(Event::Response { head, .. })) if self.retries_instead(io, key, id, &head) => {
                    dropped = Some(head.status);
                }
                Ok(Some(Event::Response { head, .. })) => {
                    if let Err(outcome) = self.forward_response_head(io, key, &head) {
                        break outcome;
                    }
                }
                Ok(Some(Event::Data { bytes, .. })) if self.is_transformed(key) => {
                    if let Err(reason) = self.transform_data(io, key, bytes) {
                        break Decoded::Refused(reason);
                    }
                }
                Ok(Some(Event::Data { bytes, .. })) => self.forward_response_data(io, key, chunk, bytes),
                // Trailers and the end are behind all that filters make of the body.
                Ok(Some(Event::Trailers { fields, .. })) => match self.finish_transforms(io, key) {
                    Ok(()) => self.forward_response_trailers(key, &fields),
                    Err(reason) => break Decoded::Refused(reason),
                },
                Ok(Some(Event::End { .. })) => match self.finish_transforms(io, key) {
                    Ok(()) => break Decoded::Ended { clean: input.is_empty() },
                    Err(reason) => break Decoded::Refused(reason),
                },
                Ok(Some(Event::Request { .. } | Event::Reset { .. } | Event::Control(_) | Event::Stray)) => {}
            }
        };
        self.scratch = scratch;
        if let Some(conn) = self.conns.get_mut(id) {
            conn.codec = Some(codec);
        }
        match outcome {
            Decoded::More => match self.flush_transforms(io, key) {
                Ok(()) => self.flush_response(io, key, id),
                Err(reason) => self.fail_stream(key, 502, ResponseFlags::NONE, reason),
            },
            Decoded::Ended { clean } => self.end_response(io, key, id, clean),
            Decoded::Broken(reason) => self.handle_answer_broken(io, key, id, reason),
            Decoded::Dropped { whole } => self.drop_answer(io, key, id, dropped.unwrap_or_default(), whole),
            Decoded::Refused(reason) => self.fail_stream(key, 502, ResponseFlags::NONE, reason),
        }
    }

    /// An answer with this status is not the client's: another attempt is due, or under way.
    fn drop_answer(&mut self, io: &mut I, key: StreamKey, id: ConnId, status: u16, whole: bool) {
        let Some(stream) = self.streams.get(key) else { return };
        let keep = whole && stream.request == Progress::Ended;
        let outcome = Outcome::Status(status);
        if !self.drop_hedge(io, key, id, outcome, keep) {
            self.release_upstream(io, key, id, keep);
            self.back_off(io, key, outcome);
        }
    }

    fn forward_response_head(
        &mut self,
        io: &mut I,
        key: StreamKey,
        head: &ResponseHead<'_>,
    ) -> Result<(), Decoded> {
        let Some(stream) = self.streams.get_mut(key) else { return Ok(()) };
        if head.status == 101 && !stream.wants_upgrade {
            return Err(Decoded::Broken("upgrade_not_asked_for"));
        }
        let mut head = *head;
        self.prepare_answer(io, key, &mut head).map_err(Decoded::Refused)?;
        self.encode_answer(key, &head).map_err(Decoded::Refused)
    }

    /// What rules, filters and the proxy itself change of an answer's head is in the edits at hand then. An error tells why
    /// it cannot go out.
    pub(super) fn prepare_answer(
        &mut self,
        io: &mut I,
        key: StreamKey,
        head: &mut ResponseHead<'_>,
    ) -> Result<(), &'static str> {
        let Some(stream) = self.streams.get_mut(key) else { return Ok(()) };
        stream.last_activity = self.now;
        self.edits.clear();
        if !head.is_interim() {
            if stream.new_cookies.policies != 0 {
                self.set_new_cookies(key);
            }
            let Some(stream) = self.streams.get_mut(key) else { return Ok(()) };
            if stream.place.is_some()
                && self.edit_answer_headers(io, key, head.status, VIA_UPSTREAM, head.fields).is_err()
            {
                return Err("response_headers_too_large_with_added");
            }
            let Some(stream) = self.streams.get_mut(key) else { return Ok(()) };
            note_response(stream, head, self.now);
            if stream.filters.is_some() {
                self.filter_response(key, head.status, head.fields, head.body);
            }
            let Some(stream) = self.streams.get_mut(key) else { return Ok(()) };
            if stream.is_transformed {
                head.body = BodyLength::Streamed;
                stream.is_close_delimited = stream.version == Version::Http10;
            }
            if let Some(via) = stream.listener.http().and_then(|http| http.options.via.as_ref()) {
                self.edits.add_parts(FieldName::Via, b"via", &[b"1.1 ", via.as_bytes()]);
            }
            if head.status == 101 {
                stream.is_tunnel = true;
                self.edits.keep_upgrade();
            }
        }
        Ok(())
    }

    /// Writes an answer's head, as the edits at hand change it. An error tells why it cannot go out; then nothing was
    /// written.
    pub(super) fn encode_answer(
        &mut self,
        key: StreamKey,
        head: &ResponseHead<'_>,
    ) -> Result<(), &'static str> {
        let Some(stream) = self.streams.get_mut(key) else { return Ok(()) };
        let (downstream, Some(codec_stream)) = (stream.downstream, stream.downstream_stream) else {
            return Ok(());
        };
        let Some(conn) = self.conns.get_mut(downstream) else { return Ok(()) };
        if let Some(codec) = &mut conn.codec {
            let staged = conn.outbox.stage_head(&mut self.buffers);
            codec.encode_response(codec_stream, head, &self.edits, staged).map_err(|error| error.reason)?;
            stream.is_tunnel |= codec.relayable_in() == Some(u64::MAX);
        }
        Ok(())
    }

    pub(super) fn forward_response_data(
        &mut self,
        io: &mut I,
        key: StreamKey,
        chunk: Option<&I::Chunk>,
        bytes: &[u8],
    ) {
        let (Some(stream), Some(chunk)) = (self.streams.get_mut(key), chunk) else { return };
        stream.response_body_bytes += bytes.len() as u64;
        stream.last_activity = self.now;
        let Some(codec_stream) = stream.downstream_stream else { return };
        let downstream = stream.downstream;
        let Some(conn) = self.conns.get_mut(downstream) else { return };
        let Some(codec) = &mut conn.codec else { return };
        let staged = conn.outbox.stage(&mut self.buffers);
        let grant = codec.encode_data(codec_stream, bytes, staged);
        // No registered protocol has flow control, so less than all means that the framing has no room for it.
        let bytes = &bytes[..grant.allowed];
        if bytes.is_empty() {
            return;
        }
        conn.outbox.push_payload(io, downstream, chunk, bytes, &mut self.buffers, &self.counters);
        if !grant.suffix.is_empty() {
            conn.outbox.stage(&mut self.buffers).extend_from_slice(grant.suffix);
        }
    }

    fn forward_response_trailers(&mut self, key: StreamKey, fields: &Fields<'_>) {
        self.with_downstream(key, |codec, stream, out| codec.encode_trailers(stream, fields, out));
    }

    /// Runs `encode` with the codec of the stream's downstream.
    pub(super) fn with_downstream(
        &mut self,
        key: StreamKey,
        encode: impl FnOnce(&mut dyn Codec, sidering_codecs::StreamId, &mut Vec<u8>),
    ) {
        let Some(stream) = self.streams.get(key) else { return };
        let Some(codec_stream) = stream.downstream_stream else { return };
        let Some(conn) = self.conns.get_mut(stream.downstream) else { return };
        if let Some(codec) = &mut conn.codec {
            encode(codec.as_mut(), codec_stream, conn.outbox.stage(&mut self.buffers));
        }
    }

    /// What a chunk left for the client goes out, and the upstream is paused if the client cannot keep up.
    fn flush_response(&mut self, io: &mut I, key: StreamKey, id: ConnId) {
        let Some(stream) = self.streams.get(key) else { return };
        let (downstream, is_tunnel) = (stream.downstream, stream.is_tunnel);
        if let Some(conn) = self.conns.get_mut(downstream) {
            conn.outbox.flush_staged(io, downstream, &mut self.buffers);
        }
        self.update_response_flow(io, key, id);
        self.consider_response_relay(io, key, id);
        if is_tunnel {
            self.begin_upgraded(io, key, downstream);
        }
    }

    /// The response is whole: the connection goes back to the pool, the stream ends when the last byte is out.
    fn end_response(&mut self, io: &mut I, key: StreamKey, id: ConnId, clean: bool) {
        self.with_downstream(key, |codec, stream, out| codec.encode_end(stream, out));
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.response = Progress::Ended;
        stream.response_ended = self.now;
        let (downstream, request_ended) = (stream.downstream, stream.request == Progress::Ended);
        self.record_upstream_end(key);
        self.release_upstream(io, key, id, clean && request_ended);
        self.drop_rest_of_request(io, key);
        self.send_out(io, key, downstream);
    }

    /// All of an answer that the stream's connection has left was written; that connection has no other exchange.
    pub(super) fn finish_response(&mut self, io: &mut I, key: StreamKey) {
        self.with_downstream(key, |codec, stream, out| codec.encode_end(stream, out));
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.response = Progress::Ended;
        stream.response_ended = self.now;
        let downstream = stream.downstream;
        self.send_out(io, key, downstream);
    }

    /// The stream ends when the last byte is out.
    fn send_out(&mut self, io: &mut I, key: StreamKey, downstream: ConnId) {
        if let Some(conn) = self.conns.get_mut(downstream) {
            conn.outbox.flush_staged(io, downstream, &mut self.buffers);
            if conn.outbox.is_empty() {
                self.finish_stream(io, key);
            } else {
                self.end_behind_last_answer(io, downstream);
            }
        }
    }

    /// Parts the stream from its connection, which is kept if it can carry another exchange.
    fn release_upstream(&mut self, io: &mut I, key: StreamKey, id: ConnId, keep: bool) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.attempt.upstream = Upstream::Released;
        let has_body = stream.request_has_body;
        self.keep_or_close(io, id, has_body, keep);
    }

    /// An exchange whose request had a body or not is over on its connection.
    pub(super) fn keep_or_close(&mut self, io: &mut I, id: ConnId, has_body: bool, keep: bool) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        // Who answers before it has taken the body may never take it, and with it the next request.
        let keep = keep && (!has_body || conn.outbox.is_empty());
        let reusable = conn.codec.as_ref().is_some_and(|codec| codec.is_reusable() && codec.is_idle());
        if keep && reusable && !conn.input_ended && !conn.outbox.has_failed() {
            if conn.paused {
                conn.paused = false;
                io.receive(id);
            }
            self.park(io, id);
        } else {
            conn.stream = None;
            self.close_conn(io, id, CloseMode::Graceful);
        }
    }

    /// Puts a connection among the idle ones of its endpoint, if that is not gone.
    pub(super) fn park(&mut self, io: &mut I, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Role::Upstream { cluster: key, endpoint } = conn.role else { return };
        let Some(Some(cluster)) = self.clusters.get_mut(key as usize) else { return };
        conn.stream = None;
        if !cluster.keeps(endpoint) {
            self.close_conn(io, id, CloseMode::Graceful);
            return;
        }
        conn.phase = Phase::Idle;
        conn.since = self.now;
        conn.heard = self.now;
        conn.pinged = None;
        conn.idle_position = cluster.park(endpoint, id);
        if cluster.has_waiting() {
            self.work.push_back(Work::ServeWaiting(key));
        }
        self.arm_deadline(id);
    }

    /// The upstream closed its side, or the connection broke.
    pub(crate) fn handle_upstream_ended(&mut self, io: &mut I, id: ConnId, clean: bool) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.input_ended = true;
        if conn.calls.is_some() && conn.shadow.is_none() {
            self.end_answers(io, id, clean);
            return;
        }
        // A socket tells its error once: where a send has met it, receiving ends as if in order.
        let clean = clean && !conn.outbox.has_failed();
        let Some(key) = conn.stream else {
            if conn.shadow.is_some() {
                self.handle_shadow_ended(io, id, clean);
            } else {
                self.close_conn(io, id, CloseMode::Graceful);
            }
            return;
        };
        let end = if clean { conn.codec.as_mut().map(|codec| codec.decode_end()) } else { None };
        match end {
            Some(Ok(InputEnd::Message(_))) if self.is_tunnel(key) => self.end_tunnel_input(io, key, id),
            Some(Ok(InputEnd::Message(_))) => match self.finish_transforms(io, key) {
                Ok(()) => self.end_response(io, key, id, true),
                Err(reason) => self.fail_stream(key, 502, ResponseFlags::NONE, reason),
            },
            _ => self.handle_upstream_failed(io, key, id, clean),
        }
    }

    /// The upstream went away before its answer was whole.
    pub(crate) fn handle_upstream_failed(&mut self, io: &mut I, key: StreamKey, id: ConnId, clean: bool) {
        if self.may_send_again(key, id) {
            self.work.push_back(Work::Retry(key));
            return;
        }
        self.count_response_error(key);
        if self.goes_on_after(io, key, id) {
            return;
        }
        let details = if clean { "upstream_connection_termination" } else { "upstream_connection_reset" };
        let details = self.streams.get(key).map_or(details, |stream| stream.details_of_failure(details));
        let refusal = (503, ResponseFlags::UPSTREAM_CONNECTION_TERMINATION, details);
        self.fail_attempt(io, key, refusal, Outcome::Reset);
    }

    /// The upstream's bytes are no answer.
    pub(super) fn handle_answer_broken(
        &mut self,
        io: &mut I,
        key: StreamKey,
        id: ConnId,
        reason: &'static str,
    ) {
        self.count_response_error(key);
        if !self.goes_on_after(io, key, id) {
            let refusal = (502, ResponseFlags::UPSTREAM_PROTOCOL_ERROR, reason);
            self.fail_attempt(io, key, refusal, Outcome::Reset);
        }
    }

    /// The attempt on this connection has come to nothing: whether another one has followed it, or will.
    fn goes_on_after(&mut self, io: &mut I, key: StreamKey, id: ConnId) -> bool {
        if self.drop_hedge(io, key, id, Outcome::Reset, false) {
            return true;
        }
        let is_again = self.retries_after(key, RESET_REASONS) == Verdict::Again;
        if is_again {
            self.back_off(io, key, Outcome::Reset);
        }
        is_again
    }

    fn count_response_error(&self, key: StreamKey) {
        if let Some(stream) = self.streams.get(key)
            && let Some(Some(cluster)) = self.clusters.get(stream.cluster as usize)
        {
            cluster.counters.response_errors.add(1);
        }
    }
}

/// The conditions that an exchange meets which ended without an answer, or not in time.
pub(crate) const RESET_REASONS: RetryOn =
    RetryOn(RetryOn::RESET.0 | RetryOn::SERVER_ERROR.0 | RetryOn::GATEWAY_ERROR.0);

#[inline]
pub(super) fn note_response(stream: &mut Stream, head: &ResponseHead<'_>, now: crate::io::Time) {
    stream.response = Progress::Open;
    stream.response_started = Some(now);
    stream.attempt.sent.get_or_insert(now);
    stream.status = head.status;
    stream.rpc_status = head.rpc.map(|rpc| rpc.frame.own_status);
    stream.details = stream.details_of_failure(VIA_UPSTREAM).into();
    stream.is_close_delimited = head.body == BodyLength::Streamed && stream.version == Version::Http10;
    if let (Some(log), Some(fields)) = (&mut stream.log, &stream.listener.snapshot.access_log) {
        for name in &fields.response_fields {
            let value = head.fields.find_by_name(name.as_bytes()).map(|field| field.value);
            capture(value, &mut log.captured_response);
        }
    }
}
