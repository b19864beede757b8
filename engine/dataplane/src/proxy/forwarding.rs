//! From a request head to its stream: what is refused, the route, and what the head looks like when it goes out.

use super::action::Asking;
use super::pick::Refusal;
use crate::cluster::CoreCluster;
use crate::config::{ClusterIndex, HttpOptions, Route, RouteAction, Underscores};
use crate::io::{ConnId, Io};
use crate::net::conn::{Phase, Role};
use crate::net::listener::{CoreListener, CoreListenerKind};
use crate::observe::access_log::{ResponseFlags, capture};
use crate::route::normalize::normalize;
use crate::route::{Asks, RequestView, Routed};
use crate::stream::{LocalReply, LogText, Progress, Stream, StreamKey};
use crate::worker::{Work, Worker};
use sidering_codecs::rpc::RpcHead;
use sidering_codecs::{BodyLength, FieldName, Method, RequestHead, StreamId, Version};
use std::rc::Rc;

/// Up to this many X-Forwarded-For lines are made one; more stay as they are, and ours is one more line (which means
/// the same, RFC 9110 section 5.3).
const MERGED_FORWARDED_FOR: usize = 8;

impl<I: Io> Worker<I> {
    /// Opens the stream of a request whose head has come, and sends the head on if it can go at once. `is_body_here` tells
    /// that all of its body has come, too.
    pub(crate) fn begin_request(
        &mut self,
        io: &mut I,
        id: ConnId,
        codec_stream: StreamId,
        head: &RequestHead<'_>,
        is_body_here: bool,
    ) -> StreamKey {
        let key = self.open_stream(id, Some(codec_stream));
        let Some(stream) = self.streams.get_mut(key) else { return key };
        stream.is_body_here = is_body_here;
        let is_whole_call = stream.is_call && head.rpc.is_some_and(|rpc| rpc.is_whole());
        if is_whole_call {
            // Its end, which the codec tells next, says nothing new.
            stream.request = Progress::Ended;
        }
        stream.is_one_way = head.rpc.is_some_and(|rpc| rpc.is_one_way());
        stream.request_body_bytes = head.rpc.map_or(0, |rpc| u64::from(rpc.taken_payload_bytes()));
        stream.version = head.version;
        stream.request_has_body = head.body != BodyLength::None;
        stream.is_idempotent = head.method.is_idempotent();
        let listener = Rc::clone(&stream.listener);
        if let Some(fields) = &listener.snapshot.access_log {
            self.note_for_log(key, head, &fields.request_fields);
        }
        self.edits.clear();
        if let Some((status, flags, details)) = self.route(io, key, id, &listener, head) {
            self.reply_locally(key, LocalReply::new(status, flags, details));
        }
        if is_whole_call {
            self.end_whole_call(id, key);
        }
        self.arm_stream(key);
        key
    }

    /// Keeps what the access log tells of a head.
    pub(super) fn note_for_log(&mut self, key: StreamKey, head: &RequestHead<'_>, captured: &[String]) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let mut log = self.spare_logs.pop().unwrap_or_default();
        note_request(&mut log, head, captured);
        stream.log = Some(log);
    }

    /// A new stream on a downstream connection.
    pub(crate) fn open_stream(&mut self, id: ConnId, codec_stream: Option<StreamId>) -> StreamKey {
        let listener = self.listener_of(id).flatten().map(Rc::clone).unwrap_or_else(CoreListener::gone);
        listener.counters.requests_total.add(1);
        listener.counters.requests_active.add(1);
        let started = match self.conns.get(id) {
            Some(conn) if conn.head_started => conn.since,
            _ => self.now,
        };
        let mut stream = Stream::new(listener, id, started, self.now);
        stream.downstream_stream = codec_stream;
        stream.is_call =
            codec_stream.is_some() && self.conns.get(id).is_some_and(|conn| conn.calls.is_some());
        let key = self.streams.insert(stream);
        if let Some(conn) = self.conns.get_mut(id) {
            if let (Some(calls), Some(exchange)) = (&mut conn.calls, codec_stream) {
                calls.insert(exchange, key);
            }
            conn.stream = Some(key);
            conn.phase = Phase::Busy;
            conn.head_started = false;
            conn.exchanges = conn.exchanges.saturating_add(1);
        }
        key
    }

    /// Finds the route and starts its action; tells the local reply if the request is refused.
    fn route(
        &mut self,
        io: &mut I,
        key: StreamKey,
        id: ConnId,
        listener: &Rc<CoreListener>,
        head: &RequestHead<'_>,
    ) -> Option<Refusal> {
        let none = ResponseFlags::default();
        let (Some(http), CoreListenerKind::Http { routes, .. }) = (listener.http(), &listener.kind) else {
            return Some((404, ResponseFlags::NO_ROUTE, "route_not_found"));
        };
        if head.method == Method::Trace {
            return Some((405, none, "trace_not_allowed"));
        }
        if !self.edit_underscores(&http.options, head) {
            return Some((400, none, "header_name_with_underscore"));
        }
        let mut path = std::mem::take(&mut self.path_scratch);
        let changed =
            http.options.normalize_path && normalize(head.path, http.options.merge_slashes, &mut path);
        if changed {
            self.edits.set_path(&path);
        }
        let matched = if changed { path.as_slice() } else { head.path };
        let view = self.view(io, id, routes.asks(), head, matched);
        let found = routes.find_serving(&view, |route| self.serves(listener, route));
        self.note_place(key, listener, found);
        if let Some(rpc) = &head.rpc {
            self.note_method(key, head.version, rpc, found);
            self.note_route(key, listener, rpc, found);
        }
        let outcome = if self.filter_request(io, key, listener, found, head) {
            let asking = Asking {
                key,
                downstream: id,
                head,
                path: matched,
                options: &http.options,
                uri_bytes: http.codec.uri_bytes as usize,
            };
            self.act(io, listener, found, &asking)
        } else {
            None
        };
        self.path_scratch = path;
        outcome
    }

    /// The request as its routes see it.
    fn view<'v>(
        &mut self,
        io: &mut I,
        id: ConnId,
        asks: Asks,
        head: &RequestHead<'v>,
        path: &'v [u8],
    ) -> RequestView<'v> {
        let mut view = RequestView::of_head(head, path);
        if asks.source {
            view.source = io.peer_address(id).map(|peer| peer.ip());
        }
        if asks.random {
            view.random = self.next_random();
        }
        view
    }

    /// The access log tells of the route, and header rules look for it when the answer goes out, whoever gives it.
    fn note_place(&mut self, key: StreamKey, listener: &CoreListener, found: Option<Routed<'_>>) {
        let (Some(found), Some(stream)) = (found, self.streams.get_mut(key)) else { return };
        stream.route_line = found.route.line;
        if listener.has_header_rules() {
            stream.place = Some((found.virtual_host as u32, found.index as u32));
        }
    }

    /// What is counted of calls is counted by method.
    fn note_method(
        &mut self,
        key: StreamKey,
        version: Version,
        rpc: &RpcHead<'_>,
        found: Option<Routed<'_>>,
    ) {
        let (Some(stream), Version::Rpc(protocol)) = (self.streams.get_mut(key), version) else { return };
        let is_forwarded = found.is_some_and(|found| matches!(found.route.action, RouteAction::Forward(_)));
        stream.method = self.counters.calls.begin(protocol, rpc.service(), rpc.method(), is_forwarded);
    }

    /// The next calls of the method go the same way.
    fn note_route(
        &self,
        key: StreamKey,
        listener: &CoreListener,
        rpc: &RpcHead<'_>,
        found: Option<Routed<'_>>,
    ) {
        let (Some(known), Some(found)) = (listener.known_routes(), found) else { return };
        let RouteAction::Forward(forward) = &found.route.action else { return };
        let plain = listener.plain_route(found, forward, self.cluster_key(listener, forward.cluster));
        if let (Some(plain), Some(stream)) = (plain, self.streams.get(key)) {
            known.note(rpc.service(), rpc.method(), stream.method, plain);
        }
    }

    /// Whether a route has somewhere to send its requests: a cluster with a healthy endpoint, or it needs none.
    fn serves(&self, listener: &CoreListener, route: &Route) -> bool {
        let RouteAction::Forward(forward) = &route.action else { return true };
        let is_healthy = |cluster: ClusterIndex| {
            let key = listener.cluster_keys.get(cluster.0 as usize);
            let cluster = key.and_then(|key| self.clusters.get(*key as usize)?.as_ref());
            cluster.is_some_and(CoreCluster::has_healthy_endpoint)
        };
        if forward.weighted_clusters.is_empty() {
            return is_healthy(forward.cluster);
        }
        let mut weighted = forward.weighted_clusters.iter().filter(|weighted| weighted.weight > 0);
        weighted.any(|weighted| is_healthy(weighted.cluster))
    }

    /// Leaves the reply as work: the downstream's codec is decoding.
    pub(crate) fn reply_locally(&mut self, key: StreamKey, reply: LocalReply) {
        if let Some(stream) = self.streams.get_mut(key)
            && stream.reply.is_none()
        {
            stream.reply = Some(Box::new(reply));
            self.work.push_back(Work::Reply(key));
        }
    }

    /// Field names with underscores; `false` if the request is to be refused.
    fn edit_underscores(&mut self, options: &HttpOptions, head: &RequestHead<'_>) -> bool {
        if options.underscores == Underscores::Allow {
            return true;
        }
        for (index, field) in head.fields.iter().enumerate() {
            if field.known == FieldName::Other && field.name.contains(&b'_') {
                if options.underscores == Underscores::Reject {
                    return false;
                }
                self.edits.remove(index);
            }
        }
        true
    }

    /// What the proxy itself adds to a request, as the listener's options say.
    pub(super) fn edit_request(
        &mut self,
        io: &mut I,
        key: StreamKey,
        id: ConnId,
        options: &HttpOptions,
        head: &RequestHead<'_>,
    ) {
        if let Some(upgrade) = head.upgrade
            && options.upgrades.iter().any(|allowed| names_protocol(upgrade, allowed.as_bytes()))
        {
            self.edits.keep_upgrade();
            if let Some(stream) = self.streams.get_mut(key) {
                stream.wants_upgrade = true;
            }
        }
        if options.use_remote_address {
            self.append_forwarded_for(io, id, head);
        }
        if options.generate_request_id && head.fields.find(FieldName::XRequestId).is_none() {
            let id = self.new_request_id();
            self.edits.add_parts(FieldName::XRequestId, b"x-request-id", &[&id]);
        }
        if let Some(via) = &options.via {
            self.edits.add_parts(FieldName::Via, b"via", &[b"1.1 ", via.as_bytes()]);
        }
    }

    /// X-Forwarded-For gets the peer's address behind what came; X-Forwarded-Proto is set.
    fn append_forwarded_for(&mut self, io: &mut I, id: ConnId, head: &RequestHead<'_>) {
        let came = head.fields.iter().filter(|field| field.known == FieldName::XForwardedFor).count();
        let merges = came <= MERGED_FORWARDED_FOR;
        for (index, field) in head.fields.iter().enumerate() {
            if field.known == FieldName::XForwardedProto || field.known == FieldName::XForwardedFor && merges
            {
                self.edits.remove(index);
            }
        }
        self.edits.add_parts(FieldName::XForwardedProto, b"x-forwarded-proto", &[b"http"]);
        let Some(peer) = io.peer_address(id) else { return };
        let mut text = [0u8; 64];
        let peer = write_ip(peer.ip(), &mut text);
        let mut parts: [&[u8]; 2 * MERGED_FORWARDED_FOR + 1] = [b""; 2 * MERGED_FORWARDED_FOR + 1];
        let mut used = 0;
        let merged = head.fields.iter().filter(|field| merges && field.known == FieldName::XForwardedFor);
        for field in merged {
            parts[used] = field.value;
            parts[used + 1] = b", ";
            used += 2;
        }
        parts[used] = peer;
        self.edits.add_parts(FieldName::XForwardedFor, b"x-forwarded-for", &parts[..=used]);
    }

    /// A UUID of version 4 (RFC 9562 section 5.4).
    fn new_request_id(&mut self) -> [u8; 36] {
        let mut bytes = [0u8; 16];
        bytes[..8].copy_from_slice(&self.next_random().to_be_bytes());
        bytes[8..].copy_from_slice(&self.next_random().to_be_bytes());
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let mut text = [b'-'; 36];
        let places = (0..36).filter(|place| !matches!(place, 8 | 13 | 18 | 23));
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        for (place, digit) in places.zip(digits) {
            text[place] = b"0123456789abcdef"[digit as usize];
        }
        text
    }

    /// The listener that a downstream connection belongs to, if it is still there and speaks what the connection does.
    pub(crate) fn listener_of(&self, id: ConnId) -> Option<Option<&Rc<CoreListener>>> {
        let conn = self.conns.get(id)?;
        match conn.role {
            Role::Detecting { listener }
            | Role::Downstream { listener }
            | Role::TunnelDownstream { listener } => {
                let listener = self.listeners.get(listener.0 as usize)?.listener.as_ref();
                Some(listener.and_then(|listener| CoreListener::speaking(listener, conn.speaker)))
            }
            _ => None,
        }
    }
}

/// Whether an Upgrade field's list of protocols names this one.
fn names_protocol(upgrade: &[u8], protocol: &[u8]) -> bool {
    upgrade.split(|&byte| byte == b',').any(|name| name.trim_ascii().eq_ignore_ascii_case(protocol))
}

fn note_request(log: &mut LogText, head: &RequestHead<'_>, captured: &[String]) {
    for (kept, text) in [
        (&mut log.method, head.method.as_bytes()),
        (&mut log.path, head.path),
        (&mut log.authority, head.authority),
        (&mut log.service, head.rpc.map_or(&b""[..], |rpc| rpc.service())),
        (&mut log.version, head.rpc.map_or(&b""[..], |rpc| rpc.version())),
        (&mut log.group, head.rpc.map_or(&b""[..], |rpc| rpc.group())),
    ] {
        kept.clear();
        kept.extend_from_slice(text);
    }
    log.timeout_ms = head.rpc.and_then(|rpc| rpc.timeout_ms());
    log.captured_request.clear();
    log.captured_response.clear();
    for name in captured {
        let value = head.fields.find_by_name(name.as_bytes()).map(|field| field.value);
        capture(value, &mut log.captured_request);
    }
}

/// An address without its port, as text.
pub(super) fn write_ip(address: std::net::IpAddr, text: &mut [u8; 64]) -> &[u8] {
    use std::io::Write;
    let mut cursor = &mut text[..];
    let _ = write!(cursor, "{address}");
    let left = cursor.len();
    &text[..64 - left]
}
