//! Requests of HTTP that become calls of bolt or Dubbo, and the answers to those (the route's `bridge`). A request is kept until it is
//! whole, its answer as well: what lies between is a call like any other, so that retries, timeouts and balancing are those of
//! calls. What the bytes mean is known to the codecs alone.

use super::pick::{OVERFLOW, Refusal};
use crate::config::{BridgeRule, Forward, RouteAction};
use crate::io::Io;
use crate::observe::access_log::ResponseFlags;
use crate::route::path_without_query;
use crate::stream::{Bridging, LocalReply, Progress, Stream, StreamKey, Upstream};
use crate::worker::{Work, Worker};
use sidering_codecs::bridge::{Answer, Bridge, Refused, write_error};
use sidering_codecs::{BodyLength, FieldName, FieldSpan, Fields, Method, RequestHead, ResponseHead, Version};

const CONTENT_TYPE: &[u8] = b"content-type: application/json\r\n";
const ALLOW_POST: &[u8] = b"allow: POST\r\n";

/// The fields of an answer's head.
const FIELDS: [FieldSpan; 1] = [FieldSpan {
    line_start: 0,
    value_start: 14,
    value_len: 16,
    line_end: 32,
    name_len: 12,
    name: FieldName::Other,
    hop_by_hop: false,
}];

/// More is being kept on this core than may be.
const OVERLOAD: (u16, &str, &str) = (503, "bridge_overload", "too many requests are kept at the moment");

impl<I: Io> Worker<I> {
    /// A request is routed to where it becomes a call. It is kept until it is whole, unless it can be no call.
    pub(super) fn begin_bridged(
        &mut self,
        key: StreamKey,
        rule: &BridgeRule,
        path: &[u8],
        head: &RequestHead<'_>,
    ) {
        let method = match method_of(rule, path, head) {
            Ok(method) => method,
            Err((status, details, message)) => {
                // It has not begun at its cluster, and its body is not waited for.
                if let Some(stream) = self.streams.get_mut(key) {
                    stream.attempt.upstream = Upstream::Released;
                }
                return self.refuse_bridged(key, status, details, message);
            }
        };
        let Some(stream) = self.streams.get_mut(key) else { return };
        // With its first bytes, so that its cluster is still there when it is whole.
        let cluster = self.clusters.get_mut(stream.cluster as usize).and_then(Option::as_mut);
        let is_admitted = cluster.is_none_or(|cluster| {
            let is_admitted = cluster.begin_gathering();
            cluster.counters.requests_total.add(u64::from(!is_admitted));
            cluster.counters.requests_overflow.add(u64::from(!is_admitted));
            is_admitted
        });
        stream.bridge = Some(Box::new(Bridging {
            method: method.to_owned(),
            protocol: None,
            answer_head: vec![],
            answer: None,
            is_refused: false,
        }));
        stream.attempt.upstream = Upstream::Gathering;
        // An attempt is told by its connection, which many share.
        stream.retry.hedges = false;
        if !is_admitted {
            let (status, _, details) = OVERFLOW;
            return self.refuse_bridged(key, status, details, "too many requests");
        }
        if head.expects_continue {
            self.work.push_back(Work::Continue(key));
        }
    }

    /// Nobody else will say that the body may come.
    pub(crate) fn send_continue(&mut self, io: &mut I, key: StreamKey) {
        let Some(stream) = self.streams.get(key) else { return };
        if stream.request == Progress::Ended || stream.reply.is_some() {
            return;
        }
        let downstream = stream.downstream;
        let head = ResponseHead {
            status: 100,
            version: Version::Http11,
            reason: b"Continue",
            fields: Fields::default(),
            body: BodyLength::None,
            rpc: None,
        };
        self.edits.clear();
        if self.encode_answer(key, &head).is_ok()
            && let Some(conn) = self.conns.get_mut(downstream)
        {
            conn.outbox.flush_staged(io, downstream, &mut self.buffers);
        }
    }

    /// Another answer than the provider's, in JSON as well.
    fn refuse_bridged(&mut self, key: StreamKey, status: u16, details: &'static str, message: &str) {
        let mut reply = LocalReply::new(status, ResponseFlags::NONE, details);
        say_in_json(&mut reply, message);
        if status == 405 {
            reply.lines.extend_from_slice(ALLOW_POST);
        }
        self.reply_locally(key, reply);
    }

    /// A part of the body of a request that becomes a call.
    pub(super) fn collect_bridged(&mut self, key: StreamKey, chunk: &I::Chunk, bytes: &[u8]) {
        let Some(stream) = self.streams.get_mut(key).filter(|stream| is_gathering(stream)) else { return };
        let body = *stream.body.get_or_insert_with(|| self.bodies.begin());
        let most_bytes = rule_of(stream).map_or(0, |(rule, _)| rule.max_request_bytes);
        if stream.request_body_bytes > u64::from(most_bytes) {
            let message = format!("the body has more than {most_bytes} bytes");
            self.refuse_bridged(key, 413, "bridge_body_too_large", &message);
        } else if self.bodies.has_room(body, bytes.len(), most_bytes) {
            self.collect_body(key, chunk, bytes);
        } else {
            let (status, details, message) = OVERLOAD;
            self.refuse_bridged(key, status, details, message);
        }
    }

    /// The request is whole; the downstream's codec is not in its place.
    pub(super) fn call_bridged(&mut self, io: &mut I, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key).filter(|stream| is_gathering(stream)) else { return };
        let (listener, place, body) =
            (std::rc::Rc::clone(&stream.listener), stream.route, stream.body.take());
        let cluster = self.clusters.get(stream.cluster as usize).and_then(Option::as_ref);
        let bridge = cluster.and_then(|cluster| cluster.protocol?.bridge);
        let mut text = vec![];
        if let Some(body) = body {
            self.bodies.copy_to(body, &mut text);
            self.bodies.release(body, &mut self.buffers);
        }
        let found = listener.routed(place).map(|found| &found.route.action);
        let (Some(bridge), Some(RouteAction::Forward(forward))) = (bridge, found) else {
            self.refuse_bridged(
                key,
                503,
                "bridge_cluster_gone",
                "the cluster has gone or speaks another protocol",
            );
            return;
        };
        let mut frame = vec![];
        let refusal = match self.write_bridged(key, forward, &bridge, &text, &mut frame) {
            Ok(()) => self.dispatch_bridged(io, key, forward, &bridge, &frame),
            Err(refused) => {
                self.refuse_bridged(key, refused.status, refused.details, &refused.message);
                None
            }
        };
        if let Some((status, flags, details)) = refusal {
            self.reply_locally(key, LocalReply::new(status, flags, details));
        }
    }

    fn write_bridged(
        &mut self,
        key: StreamKey,
        forward: &Forward,
        bridge: &Bridge,
        text: &[u8],
        frame: &mut Vec<u8>,
    ) -> Result<(), Refused> {
        let (Some(stream), Some(rule)) = (self.streams.get_mut(key), &forward.bridge) else { return Ok(()) };
        let method = stream.bridge.as_ref().map_or("", |bridging| bridging.method.as_str());
        let timeout_ms =
            (stream.route_timeout_ms > 0).then(|| u32::try_from(stream.route_timeout_ms).unwrap_or(u32::MAX));
        stream.is_one_way = rule.service.write_call(bridge, method, text, timeout_ms, frame)?;
        Ok(())
    }

    /// Sends a call on as one that has come whole, with its arguments in its head.
    fn dispatch_bridged(
        &mut self,
        io: &mut I,
        key: StreamKey,
        forward: &Forward,
        bridge: &Bridge,
        frame: &[u8],
    ) -> Option<Refusal> {
        let (Some(rpc), Some(stream)) = ((bridge.head)(frame), self.streams.get_mut(key)) else {
            return Some((500, ResponseFlags::NONE, "bridged_call_has_no_head"));
        };
        let cluster = self.clusters.get(stream.cluster as usize).and_then(Option::as_ref);
        let protocol = cluster.and_then(|cluster| cluster.protocol);
        if let Some(bridging) = &mut stream.bridge {
            bridging.protocol = protocol;
        }
        stream.request_has_body = false;
        stream.is_idempotent = false;
        let head = RequestHead {
            method: Method::Other(rpc.method()),
            version: Version::Rpc(protocol.map_or("", |protocol| protocol.name)),
            authority: rpc.service(),
            path: b"",
            authority_overrides_host: false,
            fields: Fields::default(),
            body: BodyLength::None,
            rpc: Some(rpc),
            upgrade: None,
            expects_continue: false,
        };
        self.edits.clear();
        self.prepare_mirror(key, forward, &head);
        if self.streams.get(key).is_some_and(|stream| stream.mirror.is_some()) {
            self.mirror_later(key);
        }
        self.prepare_retries(key, &head);
        self.dispatch_request(io, key, &head, false)
    }

    /// The answer to a call begins, that of an attempt like any other: whatever came of another one is gone.
    pub(super) fn begin_bridged_answer(&mut self, key: StreamKey, head: &ResponseHead<'_>) {
        self.drop_bridged_answer(key);
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.status = head.status;
        stream.last_activity = self.now;
        let most_bytes = rule_of(stream).map_or(0, |(rule, _)| u64::from(rule.max_response_bytes));
        let (Some(bridging), Some(rpc)) = (&mut stream.bridge, head.rpc) else { return };
        bridging.answer_head.extend_from_slice(rpc.taken());
        if rpc.frame.total_bytes() > most_bytes {
            bridging.is_refused = true;
            let message = format!("the provider's answer has more than {most_bytes} bytes");
            self.refuse_bridged(key, 502, "answer_to_bridged_call_too_large", &message);
        }
    }

    /// A part of the answer to a call.
    pub(super) fn keep_bridged_answer(&mut self, key: StreamKey, chunk: &I::Chunk, bytes: &[u8]) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.last_activity = self.now;
        let Some(bridging) = stream.bridge.as_mut().filter(|bridging| !bridging.is_refused) else { return };
        let body = *bridging.answer.get_or_insert_with(|| self.bodies.begin());
        if self.bodies.has_room(body, bytes.len(), u32::MAX) {
            let copied = self.bodies.keep(body, chunk, bytes, &mut self.buffers);
            self.counters.held_bytes_copied.add(copied as u64);
        } else {
            bridging.is_refused = true;
            let (status, details, message) = OVERLOAD;
            self.refuse_bridged(key, status, details, message);
        }
    }

    /// What has come of an answer is not needed any more.
    pub(crate) fn drop_bridged_answer(&mut self, key: StreamKey) {
        let Some(bridging) = self.streams.get_mut(key).and_then(|stream| stream.bridge.as_mut()) else {
            return;
        };
        bridging.answer_head.clear();
        bridging.is_refused = false;
        if let Some(body) = bridging.answer.take() {
            self.bodies.release(body, &mut self.buffers);
        }
    }

    /// The answer to a call is whole, and its connection has been left: the client gets what it becomes.
    pub(super) fn answer_bridged(&mut self, io: &mut I, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let Some(bridging) = &mut stream.bridge else { return };
        let (mut frame, body) = (std::mem::take(&mut bridging.answer_head), bridging.answer.take());
        let most_bytes = rule_of(stream).map_or(0, |(rule, _)| rule.max_response_bytes as usize);
        let protocol = self.clusters.get(stream.cluster as usize).and_then(Option::as_ref);
        let bridge = protocol.and_then(|cluster| cluster.protocol?.bridge);
        // Nothing of it has reached the client yet.
        stream.response = Progress::Awaited;
        if let Some(body) = body {
            self.bodies.copy_to(body, &mut frame);
            self.bodies.release(body, &mut self.buffers);
        }
        let read =
            bridge.map_or(Err("bridge_cluster_gone"), |bridge| (bridge.read_answer)(&frame, most_bytes));
        match read {
            Ok(answer) => self.send_bridged_answer(io, key, &answer),
            Err(details) => self.refuse_bridged(key, 502, details, &details.replace('_', " ")),
        }
    }

    fn send_bridged_answer(&mut self, io: &mut I, key: StreamKey, answer: &Answer) {
        let mut head = ResponseHead {
            status: answer.status,
            version: Version::Http11,
            reason: b"",
            fields: Fields::new(CONTENT_TYPE, &FIELDS),
            body: BodyLength::Sized(answer.body.len() as u64),
            rpc: None,
        };
        let prepared = self.prepare_answer(io, key, &mut head).and_then(|()| self.encode_answer(key, &head));
        let sent = prepared.and_then(|()| {
            if !self.is_transformed(key) {
                self.send_transformed(io, key, &answer.body);
                return Ok(());
            }
            self.transform_data(io, key, &answer.body)?;
            self.finish_transforms(io, key)
        });
        match sent {
            Ok(()) => self.finish_response(io, key),
            Err(reason) => {
                if let Some(stream) = self.streams.get_mut(key) {
                    stream.response = Progress::Awaited;
                }
                self.fail_stream(key, 502, ResponseFlags::NONE, reason);
            }
        }
    }

    /// Whether the stream's request becomes a call.
    pub(super) fn is_bridged(&self, key: StreamKey) -> bool {
        self.streams.get(key).is_some_and(|stream| stream.bridge.is_some())
    }

    /// A one-way call was sent: that is all its client hears of it.
    pub(super) fn accept_one_way(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.response = Progress::Awaited;
        let reply = LocalReply::new(202, ResponseFlags::NONE, "one_way");
        self.reply_locally(key, LocalReply { text: Some(vec![].into()), ..reply });
    }
}

/// Lets a reply say why in JSON.
pub(super) fn say_in_json(reply: &mut LocalReply, message: &str) {
    let mut text = vec![];
    write_error(&[], message, &mut text);
    reply.text = Some(text.into());
    reply.lines.extend_from_slice(CONTENT_TYPE);
}

/// Whether the request is still to become a call: nothing has gone wrong with it.
fn is_gathering(stream: &Stream) -> bool {
    stream.reply.is_none() && stream.attempt.upstream == Upstream::Gathering
}

/// What the stream's route says of bridging.
fn rule_of(stream: &Stream) -> Option<(&BridgeRule, &Forward)> {
    match &stream.listener.routed(stream.route)?.route.action {
        RouteAction::Forward(forward) => Some((forward.bridge.as_deref()?, forward)),
        RouteAction::DirectResponse { .. } | RouteAction::Redirect(_) => None,
    }
}

/// The method that a request calls, or why it can be no call: status, details, and what the client is told.
fn method_of<'a>(
    rule: &'a BridgeRule,
    path: &'a [u8],
    head: &RequestHead<'_>,
) -> Result<&'a str, (u16, &'static str, &'static str)> {
    if head.method != Method::Post {
        return Err((405, "bridge_wants_post", "a call is made with POST"));
    }
    let named = match &rule.method {
        Some(method) => Some(method.as_str()),
        None => {
            let bare = path_without_query(path);
            let start = memchr::memrchr(b'/', bare).map_or(0, |slash| slash + 1);
            std::str::from_utf8(&bare[start..]).ok().filter(|name| rule.service.has_method(name))
        }
    };
    let method = named.ok_or((404, "bridge_no_such_method", "the service has no such method"))?;
    let has_body = !matches!(head.body, BodyLength::None | BodyLength::Sized(0));
    if has_body && !is_plain_json(head) {
        const WANTED: &str =
            "the body is not Content-Type: application/json (curl --json), without a Content-Encoding";
        return Err((415, "bridge_wants_json", WANTED));
    }
    if matches!(head.body, BodyLength::Sized(length) if length > u64::from(rule.max_request_bytes)) {
        return Err((413, "bridge_body_too_large", "the body is larger than is taken"));
    }
    Ok(method)
}

/// Whether the body is JSON and no coding of it. Browsers send what forms may say (`text/plain`) to anybody, unasked.
fn is_plain_json(head: &RequestHead<'_>) -> bool {
    let media_type = head.fields.find_by_name(b"content-type").map(|field| field.value);
    let media_type =
        media_type.and_then(|value| value.split(|&byte| byte == b';').next()).unwrap_or_default();
    let is_json = media_type.trim_ascii().eq_ignore_ascii_case(b"application/json");
    let coding = head.fields.find_by_name(b"content-encoding").map_or(&b""[..], |field| field.value);
    is_json && (coding.is_empty() || coding.eq_ignore_ascii_case(b"identity"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_an_answer_is_where_it_is_said_to_be() {
        let field = Fields::new(CONTENT_TYPE, &FIELDS).iter().next().unwrap();
        assert_eq!(
            (field.name, field.value, field.line),
            (&b"content-type"[..], &b"application/json"[..], CONTENT_TYPE)
        );
    }
}
