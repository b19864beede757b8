//! What ends in time, and what is spent on the way: timers, ends of connections, copies, connects.

use crate::engine::Side;
use crate::ledger::Outcome;
use crate::peers::exchange::Kind;
use crate::shape::ALTERNATES;
use crate::world::World;
use sidering_dataplane::net::conn::{QUEUE_HIGH_BYTES, TAIL_BYTES};
use sidering_dataplane::observe::access_log::AccessRecord;

/// A client that was answered may go on sending for so long.
const LINGER_MICROS: u64 = 5_000_000;
/// Where nothing goes wrong, a client that has closed is closed, too, within this time.
const FAREWELL_MICROS: u64 = 2_000_000;
/// Turns come late by so much at most, and ticks are a millisecond.
const TOLERANCE_MICROS: u64 = 60_000;
/// An answer of the proxy's own is with a client that reads at once after so long.
const REPLY_MICROS: u64 = 300_000;
/// How long accepting rests after a failure.
const ACCEPT_RETRY_MICROS: u64 = 100_000;
/// Timers of a drain: its deadline, and the end of the backlogs.
const DRAIN_TIMERS: u64 = 2;
/// What of a call's frame may count as its payload besides its body.
pub(super) const CALL_HEAD_BYTES: u64 = 6_000;
/// Connects for one request at most.
const CONNECTS: u64 = 3;

impl World {
    /// One timer for each connection, and one for each listener that waits to accept again. After every turn.
    pub(super) fn check_timers(&self) {
        let core = &self.oracle.core;
        let (timers, conns) = (core.timers.get(), core.connections_active.get());
        let rests = |failed_at: u64| self.engine.now - failed_at <= ACCEPT_RETRY_MICROS + TOLERANCE_MICROS;
        let failures = self.engine.truth.listeners.iter().filter_map(|truth| truth.accept_failed_at);
        let listeners = failures.filter(|failed_at| rests(*failed_at)).count() as u64;
        let drain = if self.is_draining { DRAIN_TIMERS } else { 0 };
        let most = conns + listeners + drain;
        assert!(timers <= most, "{timers} timers are set for {conns} connections, and {most} may");
    }

    /// Connections that have nothing more to do go. After every turn.
    pub(super) fn check_farewells(&self) {
        let now = self.engine.now;
        for conn in self.engine.open_conns() {
            let Side::Downstream(_) = conn.side else { continue };
            let link = &self.engine.links[conn.link as usize];
            if link.is_tunnel {
                continue;
            }
            let lingers = conn.finished_at.map_or(0, |since| now - since);
            let most = LINGER_MICROS + TOLERANCE_MICROS;
            assert!(lingers <= most, "link {} lingers for {lingers} us, and may for {most}", conn.link);
            if self.plan.is_calm && link.peer_closed {
                // It may have closed while it waited in the backlog.
                let stays = link.end_arrived_at.map_or(0, |since| now - since.max(conn.opened_at));
                // What nobody answers may have to wait for a connection.
                let most = if self.plan.is_of_calls() { 10 * FAREWELL_MICROS } else { FAREWELL_MICROS };
                assert!(stays <= most, "link {} stays for {stays} us after its client has closed", conn.link);
            }
        }
    }

    /// Payload is copied behind heads only, and little of it. At the end of a run.
    pub(super) fn check_copies(&self) {
        let tail = TAIL_BYTES as u64;
        let attempts = 1 + self.plan.retry.as_ref().map_or(0, |policy| u64::from(policy.attempts));
        let heads = self.ledger.requests.iter().map(|request| {
            let (body, answer) = (request.exchange.body as u64, request.exchange.answer as u64);
            if request.exchange.kind.is_call() {
                // What comes in pieces may be behind a head each time.
                return attempts * (body + answer + CALL_HEAD_BYTES);
            }
            let is_opaque = matches!(request.exchange.kind, Kind::Upgrade | Kind::Malformed(_));
            if is_opaque { 2 * tail } else { attempts * body.min(tail) + answer.min(tail) }
        });
        let most: u64 = heads.sum();
        let copied = self.oracle.core.tail_bytes_copied.get();
        assert!(copied <= most, "{copied} bytes were copied behind heads, and {most} may");
    }

    /// Whoever is too slow is told so in time. Where the client reads what it is told, that is, because a record is written
    /// when its answer is out.
    pub(super) fn check_patience(&self, details: &str, record: &AccessRecord<'_>) {
        let limits = &self.shape.limits;
        let most_ms = match details {
            "request_headers_timeout" => limits.request_headers_timeout_ms,
            // Whose head is slow, too, may be told of that first.
            "request_overall_timeout" => limits.request_timeout_ms.max(limits.request_headers_timeout_ms),
            _ => return,
        };
        let (told, most) = (record.duration_micros, most_ms * 1000 + REPLY_MICROS);
        assert!(
            told <= most || !self.is_prompt(record) || self.has_waited(record),
            "{details} only after {told} us, and it is {most_ms} ms, for {}",
            String::from_utf8_lossy(record.downstream_peer)
        );
    }

    /// The route's timeout begins when the request is whole, no sooner and no later; and a cut is told when it is made.
    pub(super) fn check_route_timeout(&self, tag: u32, details: &str, record: &AccessRecord<'_>) {
        let request = self.ledger.get(tag);
        let kind = request.exchange.kind;
        let ended_at = ended_at(record);
        if details == "response_timeout" {
            let timeout = self.least_timeout_ms(tag) * 1000;
            // An empty body that waits for 100 is written without a byte, and a tunnel's name may be sent ahead.
            let is_unclear = matches!(kind, Kind::PostExpect | Kind::Upgrade | Kind::Connect);
            let whole_at = request.whole_at.filter(|_| !is_unclear);
            let is_early = whole_at.is_some_and(|whole| ended_at < whole + timeout);
            assert!(
                !is_early,
                "response_timeout of request {tag} at {ended_at}, which is before its time: {:?}",
                request.whole_at
            );
            let most = self.shape.route_timeout_ms * 1000 + REPLY_MICROS;
            let is_late = request.seen_whole_at.is_some_and(|whole| ended_at > whole + most);
            let may_be_late = !self.is_prompt(record) || self.has_waited(record);
            assert!(!is_late || may_be_late, "response_timeout of request {tag} behind its time");
        }
        // Which of the calls of a connection was cut is not said.
        let is_cut =
            request.outcome == Some(Outcome::Cut) && !kind.is_call() && !self.is_tunnel(request.client);
        if is_cut && self.is_prompt(record) {
            let seen = request.ended_at.unwrap_or(u64::MAX);
            let most = ended_at + REPLY_MICROS + self.journey_micros(request.client, request.exchange.answer);
            assert!(seen <= most, "the cut of request {tag} at {ended_at} was seen at {seen}");
        }
    }

    /// The route's timeout, or the shorter one that a call says.
    pub(super) fn least_timeout_ms(&self, tag: u32) -> u64 {
        let told = u64::from(self.ledger.get(tag).exchange.timeout_ms);
        let route = self.shape.route_timeout_ms;
        if told > 0 { told.min(route) } else { route }
    }

    /// How long what is queued of an answer takes to a client who reads at once: a window in each round trip.
    fn journey_micros(&self, link: u32, answer_bytes: usize) -> u64 {
        const TURN_MICROS: u64 = 1_000;
        let link = &self.engine.links[link as usize];
        let windows = answer_bytes.min(QUEUE_HIGH_BYTES as usize) / link.down_window + 1;
        windows as u64 * (2 * link.delay + TURN_MICROS)
    }

    /// Whether the client of this record reads what it gets at once.
    fn is_prompt(&self, record: &AccessRecord<'_>) -> bool {
        link_of(record).is_some_and(|link| self.engine.links[link as usize].reads_at_once)
    }

    /// Whether what this record of a call tells was told as soon as the one before it on its connection was: answers go out one
    /// after the other, so that it may have waited for its turn.
    fn has_waited(&self, record: &AccessRecord<'_>) -> bool {
        let before = link_of(record).and_then(|link| self.oracle.last_ends.get(&link));
        let is_next = |before: &u64| ended_at(record) <= before + REPLY_MICROS;
        self.plan.is_of_calls() && before.is_some_and(is_next)
    }

    /// Behind the checks of a record: the next one of its connection may have waited for it.
    pub(super) fn note_end(&mut self, record: &AccessRecord<'_>) {
        if let Some(link) = link_of(record) {
            self.oracle.last_ends.insert(link, ended_at(record));
        }
    }

    fn is_tunnel(&self, link: u32) -> bool {
        self.engine.links.get(link as usize).is_some_and(|link| link.is_tunnel)
    }

    /// A request that finds no endpoint is given up after a few. At the end of a run.
    pub(super) fn check_connects(&self) {
        for (number, counters) in self.oracle.clusters.iter().enumerate() {
            let requests = counters.requests_total.get();
            let opened = counters.connections_total.get();
            let most = CONNECTS * requests * (1 + ALTERNATES as u64);
            assert!(
                opened <= most,
                "cluster {number} was connected to {opened} times for {requests} requests"
            );
        }
    }
}

/// The connection that a record names, by its client's port.
fn link_of(record: &AccessRecord<'_>) -> Option<u32> {
    let peer = std::str::from_utf8(record.downstream_peer).ok()?;
    let port: u16 = peer.rsplit(':').next()?.parse().ok()?;
    port.checked_sub(1024).map(u32::from)
}

fn ended_at(record: &AccessRecord<'_>) -> u64 {
    record.start_micros + record.duration_micros
}
