//! The access log: one record for each request, that says what its client saw.

use super::pace::CALL_HEAD_BYTES;
use crate::coverage::Situation;
use crate::ledger::{Outcome, Request, Sight};
use crate::peers::calls::status_of;
use crate::peers::exchange::{Fate, Kind};
use crate::world::World;
use sidering_dataplane::observe::access_log::{AccessRecord, RecordSink, ResponseFlags};
use std::cell::RefCell;
use std::rc::Rc;

/// All records of a run, as written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Records {
    bytes: Rc<RefCell<Vec<u8>>>,
}

/// The machine's end of it.
pub(super) struct Sink {
    bytes: Rc<RefCell<Vec<u8>>>,
}

impl Sink {
    pub(super) fn new(records: &Records) -> Self {
        Sink { bytes: Rc::clone(&records.bytes) }
    }
}

impl RecordSink for Sink {
    fn try_write(&mut self, record: &[u8]) -> bool {
        self.bytes.borrow_mut().extend_from_slice(record);
        true
    }
}

impl World {
    /// Everything the access log says, held against the ledger and the counters.
    pub(super) fn check_records(&mut self) {
        let bytes = self.oracle.records.bytes.take();
        let mut rest = &bytes[..];
        let (mut count, mut overflows, mut classes) = (0u64, 0u64, [0u64; 6]);
        while !rest.is_empty() {
            let Some((record, behind)) = AccessRecord::decode(rest) else {
                panic!("a broken access-log record")
            };
            rest = behind;
            count += 1;
            classes[usize::from(record.status / 100).min(5)] += 1;
            overflows += u64::from(record.flags.0 & ResponseFlags::UPSTREAM_OVERFLOW.0 != 0);
            self.check_record(&record);
            self.note_end(&record);
        }
        let sum = |of: &dyn Fn(usize) -> u64| (0..self.oracle.listeners.len()).map(of).sum::<u64>();
        let requests = sum(&|id| self.oracle.listeners[id].requests_total.get());
        // A listener that is gone counts its last requests with nobody.
        let may_differ = self.plan.reloads > 0;
        assert!(
            count == requests || may_differ && count >= requests,
            "{count} records of {requests} requests"
        );
        for (class, seen) in classes.into_iter().enumerate().skip(1) {
            let told = sum(&|id| self.oracle.listeners[id].responses[class - 1].get());
            assert!(told == seen || may_differ && told <= seen, "{told} responses {class}xx, {seen} records");
        }
        let told = self.oracle.clusters.iter();
        let told: u64 = told.map(|c| c.requests_overflow.get() + c.retries_overflow.get()).sum();
        // A client that is gone by the time of its refusal is logged for that.
        // Of several attempts of one request each may be refused.
        let is_exact = self.plan.is_calm && !self.plan.hedges();
        // A call that nobody answers is over when it is written: that its connection was lost before it had left, and that there is
        // no room for it elsewhere, no record tells.
        let is_lost = |request: &&Request| {
            request.exchange.kind == Kind::OneWay && request.records == 1 && request.sights.is_empty()
        };
        let untold = self.ledger.requests.iter().filter(is_lost).count() as u64;
        let suits = overflows <= told && (overflows + untold >= told || !is_exact);
        assert!(suits, "{overflows} records with UO, and requests_overflow is {told}");
        for (tag, request) in self.ledger.requests.iter().enumerate() {
            // A head that came too slowly was never read.
            // Nor does a listener that is gone write any records.
            let is_gone = self.plan.reloads > 0 && request.outcome == Some(Outcome::Local(404));
            let is_read = request.outcome != Some(Outcome::Local(408)) && !is_gone;
            let is_known =
                is_read && matches!(request.outcome, Some(Outcome::Answered(_) | Outcome::Local(_)));
            let has_tag = !matches!(request.exchange.kind, Kind::Raw | Kind::Malformed(_));
            let records = request.records;
            assert!(records == 1 || !(is_known && has_tag), "request {tag} has {records} access-log records");
        }
    }

    /// What the access log says, where a seed is replayed.
    pub(super) fn say_records(&self) {
        self.engine.journal.say(|| {
            let bytes = self.oracle.records.bytes.borrow();
            let (mut rest, mut lines) = (&bytes[..], String::new());
            while let Some((record, behind)) = AccessRecord::decode(rest) {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let [method, host, details] = [record.method, record.upstream_host, record.details].map(text);
                let (status, micros) = (record.status, record.duration_micros);
                lines.push_str(&format!("\n{method} at {host}: {status}, {details}, in {micros} us"));
                rest = behind;
            }
            lines
        });
    }

    fn check_record(&mut self, record: &AccessRecord<'_>) {
        let details = std::str::from_utf8(record.details).expect("details that are no text").to_owned();
        assert!(!details.is_empty(), "a record without details: status {}", record.status);
        self.meet_details(&details, record);
        self.check_patience(&details, record);
        let tag = self.tag_of(record);
        self.check_duration(&details, record, tag);
        let Some(tag) = tag else { return };
        self.check_route_timeout(tag, &details, record);
        self.check_unserved(tag, &details, record.start_micros);
        let request = self.ledger.get_mut(tag);
        request.records += 1;
        assert_eq!(request.records, 1, "request {tag} has more than one access-log record");
        let kind = request.exchange.kind;
        if kind.is_call() {
            let request = request.clone();
            return self.check_call(tag, &request, record, &details);
        }
        check_texts(tag, request, record);
        let captured: Vec<_> = record.captured_values().collect();
        assert!(
            captured.len() <= 2,
            "{} fields are logged of request {tag}, and 2 are asked for",
            captured.len()
        );
        match request.outcome {
            Some(Outcome::Answered(status)) if matches!(kind, Kind::Upgrade | Kind::Connect) => {
                let told = record.status;
                let suits = told == status || status == 200 && matches!(told, 101 | 200);
                assert!(suits, "request {tag} is logged with {told}, and got {status}");
            }
            Some(Outcome::Answered(status)) => {
                assert_eq!(record.status, status, "the status logged of request {tag}");
                let is_bodiless = kind == Kind::Head || matches!(status, 204 | 304);
                let sent = if is_bodiless { 0 } else { request.exchange.answer as u64 };
                assert_eq!(record.sent_bytes, sent, "the bytes sent that are logged of request {tag}");
                // A client that reads slowly may have it all although the proxy gave up on it.
                let gave_up = matches!(details.as_str(), "stream_idle_timeout" | "stopped");
                let policy = self.plan.retry.as_ref();
                let kept = policy.map_or(usize::MAX, |_| self.plan.buffer_bytes as usize);
                let is_missed = status == 500 && request.exchange.body > kept;
                let is_said = details == "via_upstream,request_payload_exceeded_retry_buffer_limit";
                let suits =
                    details == "via_upstream" || gave_up && !self.plan.is_calm || is_missed && is_said;
                assert!(suits, "the details of request {tag}, which was answered, are {details}");
                let exchange = &request.exchange;
                let (body, is_whole) = (exchange.body as u64, exchange.fate != Fate::Early);
                assert!(record.received_bytes == body || !is_whole, "the bytes received of request {tag}");
                assert_ne!(record.upstream_micros, u64::MAX, "the upstream's time of request {tag}");
                let mut sights = request.sights.iter().rev();
                let served = |sight: &Sight| {
                    let served = &self.engine.links[sight.link as usize].upstream;
                    record.upstream_host == served.as_bytes()
                };
                // The last attempt is answered, or, of several under way, any.
                let suits = sights.next().is_some_and(served) || self.plan.hedges() && sights.any(served);
                assert!(suits, "the endpoint logged of request {tag}, which others saw");
            }
            Some(Outcome::Local(status)) => {
                assert_eq!(record.status, status, "the status logged of request {tag}");
                assert_ne!(details, "via_upstream", "request {tag} was answered by the proxy itself");
            }
            _ => {}
        }
    }

    /// The request that a record is of: a field says so, or the method that a call is for.
    fn tag_of(&self, record: &AccessRecord<'_>) -> Option<u32> {
        let text = match self.plan.is_of_calls() {
            true => record.method.strip_prefix(b"m")?,
            false => record.captured_values().next()??,
        };
        std::str::from_utf8(text).ok()?.parse().ok()
    }

    /// What is logged of a call.
    fn check_call(&self, tag: u32, request: &Request, record: &AccessRecord<'_>, details: &str) {
        let exchange = &request.exchange;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(text(record.protocol), self.plan.protocol, "the protocol logged of call {tag}");
        let service = match exchange.kind {
            Kind::LostCall => "nowhere".to_owned(),
            _ => format!("c{}", exchange.cluster),
        };
        assert_eq!(text(record.authority), service, "the service logged of call {tag}");
        let peer = format!("192.0.2.1:{}", 1024 + request.client as u16);
        assert_eq!(text(record.downstream_peer), peer, "the peer logged of call {tag}");
        match request.outcome {
            Some(Outcome::Answered(status)) => {
                assert_eq!(record.status, status, "the status logged of call {tag}");
                let (sent, answer) = (record.sent_bytes, exchange.answer as u64);
                assert!(sent <= answer + CALL_HEAD_BYTES, "{sent} bytes sent are logged of call {tag}");
                let served = |sight: &Sight| {
                    let served = &self.engine.links[sight.link as usize].upstream;
                    record.upstream_host == served.as_bytes()
                };
                let is_seen = request.sights.iter().any(served);
                assert!(is_seen, "the endpoint logged of call {tag}, which others saw");
            }
            Some(Outcome::Refused(status)) => {
                let told = status_of(self.plan.protocol, record.status);
                assert_eq!(told, status, "the status logged of call {tag}: {details}");
                assert_ne!(details, "via_upstream", "call {tag} was answered by the proxy itself");
            }
            _ => {}
        }
    }

    /// A timeout is never told of before its time.
    fn check_duration(&self, details: &str, record: &AccessRecord<'_>, tag: Option<u32>) {
        let limits = &self.shape.limits;
        let least_ms = match details {
            "request_headers_timeout" => limits.request_headers_timeout_ms,
            "request_overall_timeout" => limits.request_timeout_ms,
            "response_timeout" => tag.map_or(0, |tag| self.least_timeout_ms(tag)),
            "stream_idle_timeout" => limits.stream_idle_timeout_ms,
            "idle_timeout" => limits.idle_timeout_ms.min(limits.stream_idle_timeout_ms),
            _ => return,
        };
        let (told, least) = (record.duration_micros, least_ms * 1000);
        assert!(told >= least, "{details} after {told} us, and it is {least} us");
    }

    fn meet_details(&mut self, details: &str, record: &AccessRecord<'_>) {
        let situation = match details {
            "overflow" => Situation::Overflow,
            "request_headers_timeout" => Situation::HeadersTimeout,
            "request_overall_timeout" => Situation::RequestTimeout,
            "response_timeout" => Situation::RouteTimeout,
            "stream_idle_timeout" | "idle_timeout" => Situation::StreamIdleTimeout,
            "upstream_connect_timeout" => Situation::ConnectTimeout,
            _ => return,
        };
        assert!(
            record.status != 200
                || situation == Situation::StreamIdleTimeout
                || record.sent_bytes > 0
                || record.flags.0 != 0
                || situation == Situation::RequestTimeout,
            "{details} with status 200"
        );
        self.engine.meet(situation);
    }
}

/// What is logged of a request's head is what its client wrote.
fn check_texts(tag: u32, request: &Request, record: &AccessRecord<'_>) {
    let kind = request.exchange.kind;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let path = text(record.path);
    let names_it = path.ends_with(&format!("/{tag}")) || kind == Kind::Connect;
    assert!(names_it, "request {tag} is logged with the path {path:?}");
    let protocol = if kind.is_old() { "HTTP/1.0" } else { "HTTP/1.1" };
    assert_eq!(text(record.protocol), protocol, "the protocol logged of request {tag}");
    let authority =
        if kind == Kind::Connect { format!("h{tag}:1") } else { request.exchange.host.to_owned() };
    assert_eq!(text(record.authority), authority, "the authority logged of request {tag}");
    let method = match kind {
        Kind::Head => "HEAD",
        Kind::Delete => "DELETE",
        Kind::Options => "OPTIONS",
        Kind::Put => "PUT",
        Kind::Connect => "CONNECT",
        Kind::Trace => "TRACE",
        kind if kind.has_body() => "POST",
        _ => "GET",
    };
    assert_eq!(text(record.method), method, "the method logged of request {tag}");
    let peer = format!("192.0.2.1:{}", 1024 + request.client as u16);
    assert_eq!(text(record.downstream_peer), peer, "the peer logged of request {tag}");
}
