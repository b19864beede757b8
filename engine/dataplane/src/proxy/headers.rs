//! Header rules of a request's place (its route, virtual host and listener) at work on its head and on its answer's. It
//! decides nothing about where a request goes.

use crate::config::{HeaderOperations, HeaderRules};
use crate::header::{Bounds, Facts, Subject, TooLarge, apply, capture_request};
use crate::io::Io;
use crate::net::listener::CoreListener;
use crate::stream::{LocalReply, Stream, StreamKey};
use crate::worker::Worker;
use sidering_codecs::registry::CodecOptions;
use sidering_codecs::{BodyLength, Fields, RequestHead};

impl<I: Io> Worker<I> {
    /// Changes a request's head on its way to a cluster as the rules of its place say, the most special first (Envoy:
    /// "custom request/response headers").
    pub(super) fn edit_request_headers(
        &mut self,
        io: &mut I,
        key: StreamKey,
        cluster_key: u32,
        head: &RequestHead<'_>,
    ) -> Result<(), TooLarge> {
        let Some(stream) = self.streams.get(key) else { return Ok(()) };
        let Some((listener, place)) = placed(stream) else { return Ok(()) };
        let levels = || listener.header_levels(place).map(|rules| &rules.request);
        if levels().all(HeaderOperations::is_empty) {
            return Ok(());
        }
        let cluster = self.clusters.get(cluster_key as usize).and_then(Option::as_ref);
        let facts = Facts {
            peer: if listener.asks_peer() { io.peer_address(stream.downstream) } else { None },
            local: listener.address_text(),
            protocol: stream.version.as_str(),
            cluster: cluster.map_or("", |cluster| &cluster.config.name),
            ..Facts::default()
        };
        let bounds = listener.http().map_or(ANSWER, |http| Bounds::of(&http.codec));
        let mut subject = Subject::Request(head);
        for operations in levels() {
            apply(operations, &facts, &mut subject, bounds, &mut self.edits)?;
        }
        bounds.check(&head.fields, &self.edits)
    }

    /// Keeps what values of the answer's header ask of the request as it is now.
    pub(super) fn capture_for_answer(
        &mut self,
        key: StreamKey,
        head: &RequestHead<'_>,
    ) -> Result<(), TooLarge> {
        let Some(stream) = self.streams.get_mut(key) else { return Ok(()) };
        let mut captured = std::mem::take(&mut stream.captured);
        captured.clear();
        let mut result = Ok(());
        if let Some((listener, place)) = placed(stream) {
            let operators = listener.header_levels(place).flat_map(|rules| rules.response.operators());
            for operator in operators.filter(|operator| operator.asks_request()) {
                if captured.capacity() == 0 {
                    captured = self.spare_lines.pop().unwrap_or_default();
                    captured.clear();
                }
                capture_request(operator, head, &self.edits, &mut captured);
                if captured.len() > ANSWER.bytes {
                    // All of it stands in the answer's header, which would be larger still.
                    captured.clear();
                    result = Err(TooLarge);
                    break;
                }
            }
        }
        stream.captured = captured;
        result
    }

    /// Changes the head of an answer as the rules of its request's place say.
    pub(super) fn edit_answer_headers(
        &mut self,
        io: &mut I,
        key: StreamKey,
        status: u16,
        details: &str,
        fields: Fields<'_>,
    ) -> Result<(), TooLarge> {
        let Some(stream) = self.streams.get(key) else { return Ok(()) };
        let Some((listener, place)) = placed(stream) else { return Ok(()) };
        let levels = || listener.header_levels(place).map(|rules| &rules.response);
        if levels().all(HeaderOperations::is_empty) {
            return Ok(());
        }
        let cluster = self.clusters.get(stream.cluster as usize).and_then(Option::as_ref);
        let facts = Facts {
            peer: if listener.asks_peer() { io.peer_address(stream.downstream) } else { None },
            local: listener.address_text(),
            protocol: stream.version.as_str(),
            cluster: cluster.map_or("", |cluster| &cluster.config.name),
            upstream: stream.attempt.host.as_ref().map_or("", |host| &host.name),
            status,
            flags: stream.flags,
            details,
        };
        let mut subject = Subject::Response { fields, captured: &stream.captured };
        for operations in levels() {
            apply(operations, &facts, &mut subject, ANSWER, &mut self.edits)?;
        }
        ANSWER.check(&fields, &self.edits)
    }

    /// Changes the header lines of an answer of the proxy's own, as its place's rules and its filters say. Where the rules
    /// would make it too large, it goes out without what they say: it has to tell what went wrong.
    pub(super) fn edit_local_reply(&mut self, io: &mut I, key: StreamKey, reply: &mut LocalReply) {
        self.take_lines(&reply.lines);
        let details = reply.details.as_str();
        if self.edit_answer_headers(io, key, reply.status, details, Fields::default()).is_err() {
            self.take_lines(&reply.lines);
        }
        self.filter_response(key, reply.status, Fields::default(), BodyLength::None);
        reply.lines.clear();
        reply.lines.extend_from_slice(self.edits.added().bytes());
    }

    /// Whole header lines become the edits at hand.
    fn take_lines(&mut self, lines: &[u8]) {
        self.edits.clear();
        let mut rest = lines;
        while let Some(end) = memchr::memmem::find(rest, b"\r\n") {
            let line = &rest[..end];
            rest = &rest[end + 2..];
            if let Some(colon) = memchr::memchr(b':', line) {
                self.edits.add(&line[..colon], line[colon + 1..].trim_ascii());
            }
        }
    }
}

/// What an answer may come to: no more than is taken of an upstream.
const ANSWER: Bounds = Bounds::of(&CodecOptions::DEFAULT);

fn placed(stream: &Stream) -> Option<(&CoreListener, (u32, u32))> {
    Some((&stream.listener, stream.place?))
}

impl CoreListener {
    /// What the levels of a place change, the most special first (Envoy evaluates them in this order).
    fn header_levels(&self, place: (u32, u32)) -> impl Iterator<Item = &HeaderRules> {
        let http = self.http();
        let route = self.routed(Some(place)).and_then(|found| found.route.headers.as_deref());
        let host =
            http.and_then(|http| http.routes.virtual_hosts().get(place.0 as usize)?.headers.as_deref());
        [route, host, http.and_then(|http| http.headers.as_deref())].into_iter().flatten()
    }
}
