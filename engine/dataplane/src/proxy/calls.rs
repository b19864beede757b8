//! Downstream connections that carry many exchanges: requests that are kept until there is somewhere to send them, requests
//! without an answer, the end of one exchange, and the end of all.

use super::shared::GATHERED_BYTES;
use crate::io::{ConnId, Io};
use crate::net::conn::{Phase, Role};
use crate::observe::access_log::ResponseFlags;
use crate::proxy::drain::Drain;
use crate::stream::{LocalReply, Progress, StreamKey, Upstream};
use crate::worker::{Work, Worker};
use sidering_codecs::{ProtocolError, RequestHead};

impl<I: Io> Worker<I> {
    /// Keeps a request that is to be sent when it is whole.
    pub(super) fn gather(&mut self, key: StreamKey, head: &RequestHead<'_>) {
        self.keep_head(key, head);
        if let Some(stream) = self.streams.get_mut(key) {
            stream.attempt.upstream = Upstream::Gathering;
        }
    }

    /// A part of the body of a request that has no connection yet.
    pub(super) fn collect_body(&mut self, key: StreamKey, chunk: &I::Chunk, bytes: &[u8]) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let body = *stream.body.get_or_insert_with(|| self.bodies.begin());
        let copied = self.bodies.keep(body, chunk, bytes, &mut self.buffers);
        self.counters.held_bytes_copied.add(copied as u64);
    }

    /// Whether more may be kept of the body of a request that has no connection yet.
    pub(super) fn has_room_for_body(&self, key: StreamKey) -> bool {
        let Some(stream) = self.streams.get(key) else { return true };
        let most_bytes = stream.buffer_bytes.max(GATHERED_BYTES as u32);
        stream.body.is_none_or(|body| self.bodies.has_room(body, 1, most_bytes))
    }

    /// Sends what was kept of a request behind its head, which has just been written to the connection.
    pub(super) fn send_collected(&mut self, io: &mut I, key: StreamKey, id: ConnId) {
        let Some(stream) = self.streams.get(key) else { return };
        if self.conns.get(id).is_none_or(|conn| conn.calls.is_none()) {
            return;
        }
        let (exchange, body, is_whole) =
            (stream.attempt.stream, stream.body, stream.request == Progress::Ended);
        if let Some(body) = body {
            self.send_kept_body(io, id, exchange, body);
        }
        if is_whole {
            if let Some(conn) = self.conns.get_mut(id)
                && let Some(codec) = &mut conn.codec
            {
                codec.encode_end(exchange, conn.outbox.stage(&mut self.buffers));
            }
            self.end_call_request_on(io, id, key);
        }
        self.release_collected(key);
    }

    /// What was kept of a body is not needed any more, unless for another attempt or a mirror.
    pub(super) fn release_collected(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        if stream.is_call
            && !stream.retry.is_on()
            && stream.mirror.is_none()
            && let Some(body) = stream.body.take()
        {
            self.bodies.release(body, &mut self.buffers);
        }
    }

    /// A request is whole; the downstream's codec is not in its place.
    pub(super) fn end_call_request(&mut self, io: &mut I, downstream: ConnId, key: StreamKey) {
        let Some(stream) = self.streams.get(key) else { return };
        if !stream.is_call {
            if stream.is_one_way {
                self.work.push_back(Work::EndOneWay(key));
            }
            return;
        }
        let upstream = stream.attempt.upstream;
        if let Some(conn) = self.conns.get_mut(downstream) {
            conn.stream = None;
        }
        match upstream {
            Upstream::Gathering => self.dispatch_gathered(io, key),
            Upstream::Attached(id) => self.end_call_request_on(io, id, key),
            _ => {}
        }
    }

    /// A request that came in one piece was routed, and written to its connection if it has one.
    pub(super) fn end_whole_call(&mut self, downstream: ConnId, key: StreamKey) {
        if let Some(conn) = self.conns.get_mut(downstream) {
            conn.stream = None;
        }
        if self.streams.get(key).is_some_and(|stream| stream.mirror.is_some()) {
            self.mirror_later(key);
        }
    }

    fn dispatch_gathered(&mut self, io: &mut I, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let Some(head) = stream.head.take() else { return };
        stream.is_body_here = true;
        let mut edits = std::mem::take(&mut self.edits);
        let lent = head.lend(&mut edits);
        self.edits = edits;
        let refusal = self.dispatch_request(io, key, &lent, false);
        self.reclaim_head(head);
        if let Some((status, flags, details)) = refusal {
            self.reply_locally(key, LocalReply::new(status, flags, details));
        }
    }

    /// All of a request was written to its connection.
    pub(super) fn end_call_request_on(&mut self, io: &mut I, id: ConnId, key: StreamKey) {
        let Some(stream) = self.streams.get(key) else { return };
        let (exchange, is_one_way) = (stream.attempt.stream, stream.is_one_way);
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Some(calls) = &mut conn.calls else { return };
        if calls.sender == Some(key) {
            calls.sender = None;
        }
        if is_one_way {
            // To its codec it is over: another call may have its name at once.
            calls.remove(exchange);
            calls.note_unanswered(stream.attempt.begins_at, conn.outbox.position());
        }
        if conn.outbox.is_stage_full() {
            conn.outbox.flush_staged(io, id, &mut self.buffers);
        }
        self.touch(id);
        self.write_control(id);
        if is_one_way {
            self.work.push_back(Work::EndOneWay(key));
        } else if let Some(Role::Upstream { cluster, .. }) = self.role(id)
            && let Some(Some(known)) = self.clusters.get(cluster as usize)
            && known.has_waiting()
        {
            self.work.push_back(Work::ServeWaiting(cluster));
        }
    }

    /// A request that nobody waits for was sent.
    pub(crate) fn end_one_way(&mut self, io: &mut I, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let Some(id) = stream.attached() else { return };
        stream.response = Progress::Ended;
        stream.status = 200;
        stream.details = "one_way".into();
        stream.response_ended = self.now;
        let (exchange, downstream, own) =
            (stream.attempt.stream, stream.downstream, stream.downstream_stream);
        self.record_upstream_end(key);
        if let Some(stream) = self.streams.get_mut(key) {
            stream.attempt.upstream = Upstream::Released;
        }
        if let Some(calls) = self.conns.get_mut(id).and_then(|conn| conn.calls.as_mut()) {
            calls.remove(exchange);
            self.after_call(io, id);
        } else {
            // What is not sent yet goes out in front of the next call.
            if let Some(conn) = self.conns.get_mut(id) {
                conn.sends_one_way = !conn.outbox.is_empty();
            }
            self.keep_or_close(io, id, false, true);
        }
        if self.is_bridged(key) {
            self.accept_one_way(key);
            return;
        }
        if let (Some(conn), Some(own)) = (self.conns.get_mut(downstream), own)
            && let Some(codec) = &mut conn.codec
        {
            codec.abandon(own);
        }
        self.finish_stream(io, key);
    }

    /// A stream that is one of many on its connection is over.
    pub(super) fn leave_downstream(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get(key).filter(|stream| stream.is_call) else { return };
        let Some(conn) = self.conns.get_mut(stream.downstream) else { return };
        if conn.stream == Some(key) {
            conn.stream = None;
        }
        let (Some(calls), Some(exchange)) = (&mut conn.calls, stream.downstream_stream) else { return };
        calls.remove(exchange);
        if stream.answer.is_some() || stream.reply.is_some() {
            calls.waiting.retain(|waiting| *waiting != key);
        }
    }

    /// What becomes of the connection behind an exchange that has ended.
    pub(super) fn after_finished_call(&mut self, io: &mut I, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.phase == Phase::Lingering {
            return;
        }
        if !conn.held.is_empty() || conn.paused {
            self.work.push_back(Work::ResumeDownstream(id));
        }
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.calls.as_ref().is_some_and(|calls| !calls.is_empty()) {
            return;
        }
        conn.phase = Phase::Idle;
        conn.since = self.now;
        let is_reusable = !conn.is_poisoned && conn.codec.as_ref().is_some_and(|codec| codec.is_reusable());
        let has_ended = conn.input_ended && conn.held.is_empty();
        let drains = self.drain != Drain::No && conn.held.is_empty();
        if !is_reusable || has_ended || drains || conn.outbox.has_failed() {
            self.close_behind_answer(io, id, !has_ended);
        } else {
            self.arm_deadline(id);
        }
    }

    /// The client sends nothing more; what it has asked for is still answered.
    pub(super) fn end_calls_input(&mut self, io: &mut I, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        if let Some(key) = conn.stream {
            // Its request is cut.
            self.give_up_stream(
                io,
                key,
                ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION,
                "downstream_remote_disconnect",
            );
        }
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.calls.as_ref().is_some_and(|calls| calls.is_empty()) {
            // Its last answers may not be sent yet.
            self.close_behind_answer(io, id, false);
        }
    }

    /// The client is gone, or cannot be understood any more: everything it has asked for is given up.
    pub(super) fn give_up_calls(
        &mut self,
        io: &mut I,
        id: ConnId,
        flags: ResponseFlags,
        details: &'static str,
    ) {
        let Some(conn) = self.conns.get(id) else { return };
        let Some(calls) = &conn.calls else { return };
        let streams: Vec<StreamKey> = calls.streams().collect();
        for key in streams {
            self.give_up_stream(io, key, flags, details);
        }
    }

    /// The client's bytes are no frames of the protocol: where the next one would begin is not known.
    pub(super) fn reject_frame(&mut self, io: &mut I, id: ConnId, error: ProtocolError) {
        if let Some(Some(listener)) = self.listener_of(id) {
            listener.counters.protocol_errors.add(1);
        }
        self.give_up_calls(io, id, ResponseFlags::DOWNSTREAM_PROTOCOL_ERROR, error.reason);
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.is_poisoned = true;
        self.close_behind_answer(io, id, true);
    }
}
