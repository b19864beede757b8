//! Nothing outlives its timeout by more than the machine's ticks and the loop's latency.

use crate::engine::{Receive, Side};
use crate::world::World;
use sidering_dataplane::io::Machine;

/// Turns come late by so much at most, and ticks are a millisecond.
const TOLERANCE_MICROS: u64 = 60_000;
/// How long a drain waits for those in backlogs.
const BACKLOG_MICROS: u64 = 50_000;

impl World {
    /// Connections that are being established, or on which nothing happens.
    pub(super) fn check_ages(&self) {
        let now = self.engine.now;
        let longest = self.shape.longest_timeout_ms() * 1000 + TOLERANCE_MICROS;
        for conn in self.engine.open_conns() {
            let (age, quiet, link) =
                (now - conn.opened_at, now - conn.told_at.max(conn.resumed_at), conn.link);
            if let Side::Upstream(cluster, _) = conn.side
                && !conn.is_connected
            {
                let most = self.engine.truth.clusters[cluster].connect_timeout_ms * 1000 + TOLERANCE_MICROS;
                assert!(age <= most, "link {link} connects for {age} us, and may for {most}");
            }
            // A stream may be kept by its other side; the sum bounds both.
            let most = 2 * longest;
            // What cannot send and is not read has nothing to tell: its other side alone decides.
            let is_mute = conn.knows_send_failed && conn.receive == Receive::Rest;
            assert!(
                quiet <= most || is_mute,
                "nothing happened on link {link} for {quiet} us, and its timeouts are {longest}"
            );
        }
    }

    /// A drain ends in time.
    pub(super) fn check_drain(&mut self) {
        let has_clients = self.engine.truth.listeners.iter().any(|listener| listener.open > 0);
        // What nobody answers is sent before the end.
        let has_unsent = self.engine.open_conns().any(|conn| !conn.is_accepted() && conn.queued_bytes > 0);
        if !has_clients && !has_unsent && self.oracle.drained_at.is_some() && !self.worker.is_finished() {
            let since = *self.oracle.empty_since.get_or_insert(self.engine.now);
            let lasted = self.engine.now - since;
            let most = BACKLOG_MICROS + TOLERANCE_MICROS;
            assert!(lasted <= most, "the last client has been gone for {lasted} us, and the drain goes on");
        } else {
            self.oracle.empty_since = None;
        }
        if let Some(since) = self.oracle.drained_at {
            let lasted = self.engine.now - since;
            let most = self.shape.drain_timeout_ms * 1000 + TOLERANCE_MICROS;
            assert!(lasted <= most, "the drain lasts for {lasted} us, and may for {most}");
        }
    }
}
