//! What ends in time, and what is spent on the way: timers, ends of connections, copies, connects.

use crate::engine::Side;
use crate::peers::exchange::Kind;
use crate::world::World;
use sidering_dataplane::net::conn::TAIL_BYTES;

/// A client that was answered may go on sending for so long.
const LINGER_MICROS: u64 = 5_000_000;
/// Where nothing goes wrong, a client that has closed is closed, too, within this time.
const FAREWELL_MICROS: u64 = 2_000_000;
/// Turns come late by so much at most, and ticks are a millisecond.
const TOLERANCE_MICROS: u64 = 60_000;
/// Timers of a drain: its deadline, and the end of the backlogs.
const DRAIN_TIMERS: u64 = 2;
/// Connects for one request at most.
const CONNECTS: u64 = 3;

impl World {
    /// One timer for each connection, and one for each listener that waits to accept again. After every turn.
    pub(super) fn check_timers(&self) {
        let core = &self.oracle.core;
        let (timers, conns) = (core.timers.get(), core.connections_active.get());
        let listeners =
            if self.plan.temper.accept_fails > 0 { self.oracle.listeners.len() as u64 } else { 0 };
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
                let stays = link.end_arrived_at.map_or(0, |since| now - since);
                let most = FAREWELL_MICROS;
                assert!(stays <= most, "link {} stays for {stays} us after its client has closed", conn.link);
            }
        }
    }

    /// Payload is copied behind heads only, and little of it. At the end of a run.
    pub(super) fn check_copies(&self) {
        let tail = TAIL_BYTES as u64;
        let heads = self.ledger.requests.iter().map(|request| {
            let (body, answer) = (request.exchange.body as u64, request.exchange.answer as u64);
            let is_opaque = matches!(request.exchange.kind, Kind::Upgrade | Kind::Malformed(_));
            if is_opaque { 2 * tail } else { body.min(tail) + answer.min(tail) }
        });
        let most: u64 = heads.sum();
        let copied = self.oracle.core.tail_bytes_copied.get();
        assert!(copied <= most, "{copied} bytes were copied behind heads, and {most} may");
    }

    /// A request that finds no endpoint is given up after a few. At the end of a run.
    pub(super) fn check_connects(&self) {
        for (number, counters) in self.oracle.clusters.iter().enumerate() {
            let requests = counters.requests_total.get();
            let opened = counters.connections_total.get();
            assert!(
                opened <= CONNECTS * requests,
                "cluster {number} was connected to {opened} times for {requests} requests"
            );
        }
    }
}
