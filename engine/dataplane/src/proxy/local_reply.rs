//! Answers of the proxy's own: errors, direct responses, and what to do when an answer has already begun.

use super::answers::is_free;
use super::bridge::say_in_json;
use crate::config::RouteAction;
use crate::io::{CloseMode, ConnId, Io};
use crate::net::conn::Phase;
use crate::net::listener::CoreListenerKind;
use crate::observe::access_log::ResponseFlags;
use crate::stream::{Details, LocalReply, Progress, Relay, Stream, StreamKey};
use crate::worker::Worker;

impl<I: Io> Worker<I> {
    /// The stream cannot go on: it is answered with `status` if nothing was answered yet, else cut off visibly.
    pub(crate) fn fail_stream(
        &mut self,
        key: StreamKey,
        status: u16,
        flags: ResponseFlags,
        details: &'static str,
    ) {
        if self.has_waiting_reply(key) {
            return;
        }
        if let Some(stream) = self.streams.get_mut(key) {
            stream.reply = None;
        }
        self.reply_locally(key, LocalReply::new(status, flags, details));
    }

    /// Answers a client whose bytes cannot be read as a request (any further), and ends its connection.
    pub(crate) fn reject(&mut self, id: ConnId, status: u16, flags: ResponseFlags, details: &'static str) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.is_poisoned = true;
        conn.held.clear();
        let key = match conn.stream {
            Some(key) => key,
            None => self.open_stream(id, None),
        };
        self.fail_stream(key, status, flags, details);
    }

    /// Sends the reply that was left as work.
    pub(crate) fn send_local_reply(&mut self, io: &mut I, key: StreamKey) {
        if self.has_waiting_reply(key) {
            return;
        }
        self.drop_held_answer(key);
        let Some(stream) = self.streams.get_mut(key) else { return };
        let Some(reply) = &stream.reply else { return };
        if stream.response == Progress::Ended && !stream.is_tunnel {
            stream.reply = None;
            return;
        }
        if stream.response == Progress::Open || stream.is_tunnel {
            let (flags, details) = (reply.flags, reply.details.clone());
            stream.reply = None;
            self.cut_off(io, key, flags, details);
            return;
        }
        stream.status = reply.status;
        stream.flags = stream.flags.with(reply.flags);
        stream.details = reply.details.clone();
        stream.response = Progress::Ended;
        stream.response_ended = self.now;
        stream.last_activity = self.now;
        self.detach_upstream(io, key, CloseMode::Graceful);
        self.drop_rest_of_request(io, key);
        if self.has_turn(key) {
            self.write_local_reply(io, key);
        }
    }

    /// Writes the reply of a stream that has parted from its upstream and has its turn.
    pub(super) fn write_local_reply(&mut self, io: &mut I, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let Some(mut reply) = stream.reply.take() else { return };
        let (downstream, is_edited) = (stream.downstream, stream.filters.is_some() || stream.place.is_some());
        if self.is_bridged(key) && reply.text.is_none() {
            let message = error_text(&reply);
            say_in_json(&mut reply, message.trim_end());
        }
        if is_edited {
            self.edit_local_reply(io, key, &mut reply);
        }
        let Some(stream) = self.streams.get_mut(key) else { return };
        let Some(conn) = self.conns.get_mut(downstream) else { return };
        if let Some(codec) = &mut conn.codec {
            let text = error_text(&reply);
            let own = reply.text.as_deref().or_else(|| direct_body(stream, &reply));
            let body = own.unwrap_or(text.as_bytes());
            let body_bytes = body.len() as u64;
            if conn.is_poisoned {
                codec.close_after_current();
            }
            let staged = conn.outbox.stage(&mut self.buffers);
            if reply.flags == ResponseFlags::UPSTREAM_OVERFLOW {
                reply.lines.extend_from_slice(OVERLOADED);
            }
            codec.encode_local_reply(stream.downstream_stream, reply.status, &reply.lines, body, staged);
            stream.response_body_bytes = body_bytes;
        }
        self.reclaim_lines(reply.lines);
        let Some(conn) = self.conns.get_mut(downstream) else { return };
        if conn.calls.is_some() {
            self.touch(downstream);
            self.finish_stream(io, key);
            return;
        }
        conn.outbox.flush_staged(io, downstream, &mut self.buffers);
        if conn.outbox.is_empty() {
            self.finish_stream(io, key);
        } else {
            self.end_behind_last_answer(io, downstream);
            // The timer may have fired for the very reason of this reply; a client that does not take it must not stay.
            self.arm_deadline(downstream);
        }
    }

    /// Whether the stream was answered by the proxy, and the reply only waits for its turn.
    fn has_waiting_reply(&self, key: StreamKey) -> bool {
        let Some(stream) = self.streams.get(key) else { return false };
        let calls = || self.conns.get(stream.downstream)?.calls.as_ref();
        let is_answered = stream.reply.is_some() && stream.answer.is_none();
        stream.is_call && is_answered && calls().is_some_and(|calls| calls.waiting.contains(&key))
    }

    /// An upstream's answer that still waits for its turn is dropped for a reply.
    fn drop_held_answer(&mut self, key: StreamKey) {
        if let Some(stream) = self.streams.get_mut(key)
            && stream.reply.is_some()
            && let Some(answer) = stream.answer.take()
        {
            self.bodies.release(answer.body, &mut self.buffers);
            stream.response = Progress::Awaited;
        }
    }

    /// Whether the reply can go out now. Where many exchanges share the connection, it may have to wait for its turn.
    fn has_turn(&mut self, key: StreamKey) -> bool {
        let Some(stream) = self.streams.get(key) else { return false };
        if !stream.is_call {
            return true;
        }
        let Some(conn) = self.conns.get_mut(stream.downstream) else { return false };
        if is_free(conn) {
            return true;
        }
        if let Some(calls) = &mut conn.calls
            && !calls.waiting.contains(&key)
        {
            calls.waiting.push_back(key);
        }
        false
    }

    /// The answer has begun and cannot be finished: the client must see that.
    pub(crate) fn cut_off(
        &mut self,
        io: &mut I,
        key: StreamKey,
        flags: ResponseFlags,
        details: impl Into<Details>,
    ) {
        let Some(stream) = self.streams.get(key) else { return };
        let downstream = stream.downstream;
        let must_reset = stream.is_close_delimited || stream.is_tunnel || stream.is_call;
        let is_relayed = stream.response_relay == Relay::Running;
        self.give_up_stream(io, key, flags, details);
        let Some(conn) = self.conns.get_mut(downstream) else { return };
        conn.phase = Phase::Busy;
        let has_calls = conn.calls.is_some();
        if has_calls {
            // Nothing can follow the answer that was cut, whichever request it would answer.
            self.give_up_calls(io, downstream, flags, "another_answer_was_cut_off");
        }
        if must_reset {
            self.close_conn(io, downstream, CloseMode::Reset);
        } else if is_relayed {
            self.close_conn(io, downstream, CloseMode::Graceful);
        } else {
            // What came of the answer is delivered; its framing shows that it is cut.
            self.close_behind_answer(io, downstream, true);
        }
    }
}

/// Tells that a circuit breaker is open, so that nobody in front sends it again.
const OVERLOADED: &[u8] = b"x-envoy-overloaded: true\r\n";

/// The text of an error reply; empty for those that bring their own.
fn error_text(reply: &LocalReply) -> String {
    if reply.direct.is_some() || reply.text.is_some() {
        return String::new();
    }
    format!("{}\n", reply.details.as_str().replace('_', " "))
}

fn direct_body<'a>(stream: &'a Stream, reply: &LocalReply) -> Option<&'a [u8]> {
    let (virtual_host, index) = reply.direct?;
    let CoreListenerKind::Http { routes, .. } = &stream.listener.kind else { return None };
    match &routes.route(virtual_host as usize, index as usize)?.action {
        RouteAction::DirectResponse { body, .. } => Some(body),
        RouteAction::Redirect(_) => Some(b""),
        RouteAction::Forward(_) => None,
    }
}
