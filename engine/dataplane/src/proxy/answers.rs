//! Answers on upstream connections that carry many exchanges: each goes to the stream it belongs to, at once if its
//! downstream connection is free, else when it has its turn. How one answer is passed on is in `upstream.rs`.

use crate::cluster::{CoreCluster, Outcome};
use crate::io::{Chunk, CloseMode, ConnId, Io, Time};
use crate::net::conn::{Conn, HELD_CHUNKS, Role};
use crate::observe::access_log::ResponseFlags;
use crate::stream::{HELD_ANSWER_BYTES, HeldAnswer, Progress, Stream, StreamKey, Upstream};
use crate::worker::{Work, Worker};
use sidering_codecs::rpc::RpcHead;
use sidering_codecs::{Control, Event, ResponseHead, StreamId};

/// How the decoding of one chunk came to its end.
enum Decoded {
    More,
    Broken(&'static str),
    /// As much of an answer is held as may be: the connection waits.
    Full,
}

impl<I: Io> Worker<I> {
    /// Bytes of a connection that carries many exchanges.
    pub(super) fn handle_answer_bytes(&mut self, io: &mut I, id: ConnId, chunk: I::Chunk) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.heard = self.now;
        if !conn.held.is_empty() {
            conn.held.push(chunk);
            self.limit_held_answers(io, id);
            return;
        }
        self.decode_answers(io, id, chunk);
    }

    fn limit_held_answers(&mut self, io: &mut I, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id)
            && !conn.paused
            && !conn.input_ended
        {
            debug_assert!(conn.held.len() <= HELD_CHUNKS + 1);
            conn.paused = true;
            io.pause(id);
            self.arm_deadline(id);
        }
    }

    /// The client that holds up answers to others, and since when it has taken nothing: of a connection whose exchanges are
    /// all its own, nobody.
    pub(super) fn held_up_by(&self, id: ConnId) -> Option<(StreamKey, Time)> {
        let conn = self.conns.get(id).filter(|conn| conn.paused)?;
        let key = conn.stream?;
        let stream = self.streams.get(key)?;
        let downstream = self.conns.get(stream.downstream)?;
        let is_another =
            |key: StreamKey| self.streams.get(key).is_some_and(|other| other.downstream != stream.downstream);
        let has_others = conn.calls.as_ref().is_some_and(|calls| calls.streams().any(is_another));
        let taken = downstream.calls.as_ref()?.taken;
        has_others.then(|| (key, taken.max(stream.last_activity)))
    }

    /// Goes on with what was held back, now that the answer in front has its turn.
    pub(crate) fn resume_answers(&mut self, io: &mut I, id: ConnId) {
        loop {
            let Some(conn) = self.conns.get_mut(id) else { return };
            if conn.held.is_empty() {
                break;
            }
            let chunk = conn.held.remove(0);
            if !self.decode_answers(io, id, chunk) {
                return;
            }
        }
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.input_ended {
            self.break_shared(io, id, true);
        } else if conn.paused && !self.feeds_full_queue(id) {
            if let Some(conn) = self.conns.get_mut(id) {
                conn.paused = false;
            }
            io.receive(id);
        }
    }

    /// The upstream sends nothing more.
    pub(super) fn end_answers(&mut self, io: &mut I, id: ConnId, clean: bool) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        // Else the end stands behind what is held.
        if !clean || conn.held.is_empty() {
            self.learn_from_cut(id);
            self.break_shared(io, id, clean);
        }
    }

    /// Whether the answer under way goes to a client that does not keep up.
    fn feeds_full_queue(&self, id: ConnId) -> bool {
        let stream = self.stream_of(id).and_then(|key| self.streams.get(key));
        let downstream = stream.and_then(|stream| self.conns.get(stream.downstream));
        downstream.is_some_and(|conn| !conn.outbox.is_low())
    }

    /// Tells whether all of it was taken.
    fn decode_answers(&mut self, io: &mut I, id: ConnId, chunk: I::Chunk) -> bool {
        let Some(conn) = self.conns.get_mut(id) else { return true };
        let Some(mut codec) = conn.codec.take() else { return true };
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut input: &[u8] = &chunk;
        let outcome = loop {
            match codec.decode(&mut scratch, &mut input) {
                Ok(None) => break Decoded::More,
                Err(error) => break Decoded::Broken(error.reason),
                Ok(Some(Event::Response { stream, ref head })) => {
                    let is_whole = head.rpc.as_ref().is_some_and(RpcHead::is_whole);
                    if !is_whole || !self.answer_plain_call(io, id, stream, head) {
                        self.begin_answer_on(io, id, stream, head);
                    }
                    if is_whole {
                        codec.skip_end();
                    }
                }
                Ok(Some(Event::Data { bytes, .. })) => {
                    if self.stream_of(id).is_some_and(|key| !self.pass_answer_data(io, key, &chunk, bytes)) {
                        break Decoded::Full;
                    }
                }
                Ok(Some(Event::End { .. })) => {
                    if let Some(key) = self.stream_of(id) {
                        self.end_answer(io, id, key);
                    }
                }
                // Its head cannot be read, and yet it is known where it ends.
                Ok(Some(Event::Reset { stream })) => {
                    if let Some(key) = self.conns.get(id).and_then(|conn| conn.calls.as_ref()?.get(stream)) {
                        self.work.push_back(Work::RefuseAnswer(key));
                    }
                }
                Ok(Some(Event::Stray)) => self.count_stray(id),
                Ok(Some(Event::Control(Control::Pong))) => self.handle_heartbeat_answered(id),
                Ok(Some(Event::Control(_) | Event::Trailers { .. } | Event::Request { .. })) => {}
            }
        };
        self.scratch = scratch;
        if let Some(conn) = self.conns.get_mut(id) {
            conn.codec = Some(codec);
        }
        match outcome {
            Decoded::Broken(reason) => self.break_shared_protocol(io, id, reason),
            Decoded::Full => {
                // Be it empty: the end of the answer may be due.
                let rest = chunk.subset(input);
                if let Some(conn) = self.conns.get_mut(id) {
                    conn.held.insert(0, rest);
                }
                self.limit_held_answers(io, id);
                self.after_answers(io, id);
                return false;
            }
            Decoded::More => {
                match self.stream_of(id) {
                    Some(key) => self.update_response_flow(io, key, id),
                    None => self.receive_next_answer(io, id),
                }
                self.after_answers(io, id);
            }
        }
        true
    }

    fn begin_answer_on(&mut self, io: &mut I, id: ConnId, exchange: StreamId, head: &ResponseHead<'_>) {
        let key = self.conns.get(id).and_then(|conn| conn.calls.as_ref()?.get(exchange));
        let key = key.filter(|key| self.takes_answer(io, id, *key, head));
        match key {
            // Its end, which the codec tells next, says nothing new.
            Some(key) if head.rpc.is_some_and(|rpc| rpc.is_whole()) => self.end_answer(io, id, key),
            _ => {
                if let Some(conn) = self.conns.get_mut(id) {
                    conn.stream = key;
                }
            }
        }
    }

    /// No answer is under way any more: whoever was too slow for the last one does not concern the next.
    fn receive_next_answer(&mut self, io: &mut I, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id)
            && conn.paused
            && conn.held.is_empty()
            && !conn.input_ended
        {
            conn.paused = false;
            io.receive(id);
        }
    }

    /// The codec is in its place again: what it has told of the connection itself, and of its last exchange.
    fn after_answers(&mut self, io: &mut I, id: ConnId) {
        self.write_control(id);
        let Some(conn) = self.conns.get(id) else { return };
        let is_over = conn.calls.as_ref().is_some_and(|calls| calls.is_empty()) && conn.shadow.is_none();
        if is_over || self.has_waiting(id) {
            self.after_call(io, id);
        }
    }

    fn has_waiting(&self, id: ConnId) -> bool {
        let cluster = match self.role(id) {
            Some(Role::Upstream { cluster, .. }) => self.clusters.get(cluster as usize),
            _ => None,
        };
        cluster.and_then(Option::as_ref).is_some_and(CoreCluster::has_waiting)
    }

    fn count_stray(&self, id: ConnId) {
        if let Some(Role::Upstream { cluster, .. }) = self.role(id)
            && let Some(Some(cluster)) = self.clusters.get(cluster as usize)
        {
            cluster.counters.stray_answers.add(1);
        }
    }

    /// An answer begins. `false` if its stream does not want it.
    fn takes_answer(&mut self, io: &mut I, id: ConnId, key: StreamKey, head: &ResponseHead<'_>) -> bool {
        if self.retries_instead(io, key, id, head) {
            self.work.push_back(Work::DropAnswer(key, head.status));
            return false;
        }
        if self.is_bridged(key) {
            self.begin_bridged_answer(key, head);
            return true;
        }
        let mut head = *head;
        if let Err(reason) = self.prepare_answer(io, key, &mut head) {
            self.fail_stream(key, 502, ResponseFlags::NONE, reason);
            return false;
        }
        let Some(stream) = self.streams.get_mut(key) else { return false };
        stream.response_body_bytes = head.rpc.map_or(0, |rpc| u64::from(rpc.taken_payload_bytes()));
        let downstream = stream.downstream;
        debug_assert_eq!(stream.attached(), Some(id));
        if self.conns.get(downstream).is_some_and(is_free) {
            return self.begin_answer(key, downstream, &head);
        }
        let body = self.bodies.begin();
        let held = HeldAnswer::of(&head, &self.edits, body);
        if let Some(stream) = self.streams.get_mut(key) {
            stream.answer = held.map(Box::new);
        }
        if let Some(calls) = self.conns.get_mut(downstream).and_then(|conn| conn.calls.as_mut()) {
            calls.waiting.push_back(key);
        }
        true
    }

    /// The answer has the downstream connection for itself until it is whole; `false` if it cannot go out.
    fn begin_answer(&mut self, key: StreamKey, downstream: ConnId, head: &ResponseHead<'_>) -> bool {
        if let Err(reason) = self.encode_answer(key, head) {
            if let Some(stream) = self.streams.get_mut(key) {
                stream.response = Progress::Awaited;
            }
            self.fail_stream(key, 502, ResponseFlags::NONE, reason);
            return false;
        }
        if let Some(calls) = self.conns.get_mut(downstream).and_then(|conn| conn.calls.as_mut()) {
            calls.sender = Some(key);
        }
        self.touch(downstream);
        true
    }

    /// Part of an answer's body. `false` if as much is held as may be.
    fn pass_answer_data(&mut self, io: &mut I, key: StreamKey, chunk: &I::Chunk, bytes: &[u8]) -> bool {
        let Some(stream) = self.streams.get(key) else { return true };
        if stream.bridge.is_some() {
            self.keep_bridged_answer(key, chunk, bytes);
            return true;
        }
        let Some(answer) = &stream.answer else {
            self.forward_response_data(io, key, Some(chunk), bytes);
            return true;
        };
        let body = answer.body;
        let copied = self.bodies.keep(body, chunk, bytes, &mut self.buffers);
        self.counters.held_bytes_copied.add(copied as u64);
        if let Some(stream) = self.streams.get_mut(key) {
            stream.response_body_bytes += bytes.len() as u64;
            stream.last_activity = self.now;
        }
        self.bodies.has_room(body, 1, HELD_ANSWER_BYTES)
    }

    /// An answer is whole; the codec of its connection is not in its place.
    fn end_answer(&mut self, io: &mut I, id: ConnId, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        if stream.bridge.as_ref().is_some_and(|bridging| bridging.is_refused) {
            // Its reply is on its way.
            return;
        }
        stream.response = Progress::Ended;
        stream.response_started.get_or_insert(self.now);
        stream.response_ended = self.now;
        let (exchange, is_held) = (stream.attempt.stream, stream.answer.is_some());
        let is_unsent = stream.request != Progress::Ended;
        if let Some(conn) = self.conns.get_mut(id) {
            conn.stream = None;
        }
        if is_unsent {
            // The rest of the request has to follow, or the connection is of no use any more.
            self.work.push_back(Work::Part(key, id));
        } else {
            if let Some(calls) = self.conns.get_mut(id).and_then(|conn| conn.calls.as_mut()) {
                calls.remove(exchange);
            }
            self.record_upstream_end(key);
            if let Some(stream) = self.streams.get_mut(key) {
                stream.attempt.upstream = Upstream::Released;
            }
        }
        if self.is_bridged(key) {
            self.answer_bridged(io, key);
        } else if !is_held {
            self.finish_answer(io, key);
        }
    }

    /// All of an answer is with the downstream's codec.
    fn finish_answer(&mut self, io: &mut I, key: StreamKey) {
        self.with_downstream(key, |codec, stream, out| codec.encode_end(stream, out));
        let Some(stream) = self.streams.get(key) else { return };
        let downstream = stream.downstream;
        if let Some(conn) = self.conns.get_mut(downstream)
            && let Some(calls) = &mut conn.calls
        {
            calls.sender = None;
            let has_more =
                !calls.waiting.is_empty() || conn.codec.as_ref().is_some_and(|codec| codec.has_control());
            if conn.outbox.is_stage_full() {
                conn.outbox.flush_staged(io, downstream, &mut self.buffers);
            }
            if has_more {
                self.work.push_back(Work::Deliver(downstream));
            }
            // A checksum is written at the end, which may be in another turn than the beginning.
            self.touch(downstream);
        }
        if self.streams.get(key).is_some_and(|stream| matches!(stream.attempt.upstream, Upstream::Released)) {
            self.finish_stream(io, key);
        }
    }

    /// The downstream connection may be free: those that wait have their turn.
    pub(crate) fn deliver(&mut self, io: &mut I, downstream: ConnId) {
        loop {
            let Some(conn) = self.conns.get_mut(downstream) else { return };
            if !is_free(conn) {
                return;
            }
            let Some(key) = conn.calls.as_mut().and_then(|calls| calls.waiting.pop_front()) else { break };
            let Some(stream) = self.streams.get_mut(key) else { continue };
            match stream.answer.take() {
                Some(answer) => self.deliver_answer(io, key, downstream, &answer),
                None => self.write_local_reply(io, key),
            }
        }
        self.write_control(downstream);
    }

    fn deliver_answer(&mut self, io: &mut I, key: StreamKey, downstream: ConnId, answer: &HeldAnswer) {
        let (head, edits) = answer.lend();
        self.edits.clone_from(edits);
        if !self.begin_answer(key, downstream, &head) {
            self.bodies.release(answer.body, &mut self.buffers);
            return;
        }
        let Some(stream) = self.streams.get(key) else { return };
        let (exchange, is_whole, upstream) =
            (stream.downstream_stream, stream.response == Progress::Ended, stream.attached());
        if let Some(exchange) = exchange {
            self.send_kept_body(io, downstream, exchange, answer.body);
        }
        self.bodies.release(answer.body, &mut self.buffers);
        if is_whole {
            self.finish_answer(io, key);
        } else if let Some(upstream) = upstream {
            self.work.push_back(Work::ResumeAnswers(upstream));
        }
    }

    /// An answer cannot be read.
    pub(crate) fn refuse_answer(&mut self, io: &mut I, key: StreamKey) {
        if let Some(id) = self.streams.get(key).and_then(Stream::attached) {
            self.handle_answer_broken(io, key, id, "malformed_answer");
        }
    }

    /// An answer is dropped for another attempt.
    pub(crate) fn drop_call_answer(&mut self, io: &mut I, key: StreamKey, status: u16) {
        self.back_off(io, key, Outcome::Status(status));
    }

    /// The stream is answered before all of its request was sent: the connection cannot go on without the rest.
    pub(crate) fn part_answered(&mut self, io: &mut I, key: StreamKey, id: ConnId) {
        if self.streams.get(key).is_none_or(|stream| stream.attached() != Some(id)) {
            return;
        }
        self.record_upstream_end(key);
        if let Some(stream) = self.streams.get_mut(key) {
            stream.attempt.upstream = Upstream::Released;
        }
        self.part_from(io, key, id, CloseMode::Reset);
        self.drop_rest_of_request(io, key);
        if self.streams.get(key).is_some_and(|stream| stream.answer.is_none()) {
            self.finish_stream(io, key);
        }
    }
}

/// Whether an answer may begin on the downstream connection.
pub(super) fn is_free<C: Chunk>(conn: &Conn<C>) -> bool {
    let may_begin = conn.codec.as_ref().is_some_and(|codec| codec.may_begin());
    may_begin && !conn.outbox.is_high() && conn.calls.as_ref().is_none_or(|calls| calls.sender.is_none())
}
