//! Bounds hold at every step, and nobody waits who need not: the table of ARCHITECTURE.md.

use crate::coverage::Situation;
use crate::engine::Side;
use crate::engine::kernel::RECEIVES_PER_TURN;
use crate::world::World;
use sidering_dataplane::net::conn::{HELD_CHUNKS, QUEUE_HIGH_BYTES, QUEUE_HIGH_SEGMENTS};

/// What may be read of a client that was answered.
const LINGER_BYTES: u64 = 1024 * 1024;

/// What is kept of a call until it is sent, or of an answer until it has its turn.
const CALL_BYTES: usize = 64 * 1024;

/// Counters as they were at the last step.
#[derive(Debug)]
pub(super) struct Seen {
    overflows: Vec<u64>,
    pending: Vec<u64>,
    listener_overflows: [u64; 3],
}

impl Seen {
    pub(super) fn new(clusters: usize) -> Self {
        Seen { overflows: vec![0; clusters], pending: vec![0; clusters], listener_overflows: [0; 3] }
    }
}

impl World {
    /// The bounds of pools and listeners, after every single completion.
    pub(super) fn check_pools(&mut self) {
        for truth in &self.engine.truth.clusters {
            let (open, most) = (truth.open.iter().sum::<u64>(), truth.max_connections);
            assert!(open <= most, "cluster {} has {open} connections, and may have {most}", truth.cluster);
        }
        for number in 0..self.oracle.clusters.len() {
            self.check_waiting(number);
        }
        self.check_listeners();
    }

    /// A listener has as many connections as it may, and turns nobody away before.
    fn check_listeners(&mut self) {
        let most = self.oracle.connections_max;
        for (id, truth) in self.engine.truth.listeners.iter().enumerate() {
            assert!(truth.open <= most, "listener {id} has {} connections, and may have {most}", truth.open);
            let overflows = self.oracle.listeners[id].connections_overflow.get();
            let is_over =
                overflows > std::mem::replace(&mut self.oracle.seen.listener_overflows[id], overflows);
            let was_full = truth.open == most || self.reloads > 0;
            assert!(!is_over || was_full, "listener {id} turned somebody away with {} of {most}", truth.open);
        }
    }

    /// Who waits for a connection does so because there is none to be had.
    fn check_waiting(&mut self, number: usize) {
        let counters = &self.oracle.clusters[number];
        let pending = counters.requests_pending.get();
        let overflows = counters.requests_overflow.get();
        let before = self.oracle.seen.pending[number];
        let seen = &mut self.oracle.seen;
        let is_over = overflows > seen.overflows[number];
        (seen.overflows[number], seen.pending[number]) = (overflows, pending);
        if pending > before {
            self.engine.coverage.meet(Situation::RequestsWaited);
        }
        let mut generations = self.engine.truth.clusters.iter().filter(|truth| truth.cluster == number);
        let (Some(only), None) = (generations.next(), generations.next()) else { return };
        let most = u64::from(self.shape.clusters[number].pool.max_pending);
        assert!(pending <= most, "{pending} requests wait for cluster {number}, and {most} may");
        // Calls wait for a connection that is being opened, whoever it is opened for, and many come at once.
        let shares = self.plan.is_of_calls() && number != self.plan.raw_cluster();
        let was_full = before.max(pending) >= most || shares;
        assert!(!is_over || was_full, "a request was refused while {pending} of {most} waited at {number}");
        if pending > 0 && !shares {
            let (open, room) = (only.open.iter().sum::<u64>(), only.max_connections);
            assert_eq!(open, room, "{pending} requests wait for cluster {number}, which has room");
            let idle = counters.connections_idle.get();
            assert_eq!(idle, 0, "{pending} requests wait for cluster {number}, which has idle connections");
        }
    }

    /// What is queued and held, after every turn.
    pub(super) fn check_queues(&mut self) {
        // What the kernel had before a pause took effect still comes in: a few chunks. One chunk may hold many segments.
        let temper = &self.plan.temper;
        let late = 10 * temper.slot_bytes;
        // A body that is sent again is queued in one go: it is held in any case.
        let again = self.plan.retry.as_ref().map_or(0, |_| self.plan.buffer_bytes as usize);
        // A call waits for its connection with as much.
        let kept = if self.plan.is_of_calls() { self.plan.buffer_bytes as usize } else { again };
        let again = again.max(kept).min(self.plan.body_max);
        // Calls are sent when they are whole, and so are the answers that had to wait.
        let whole = if self.plan.is_of_calls() { 2 * CALL_BYTES } else { 0 };
        let most = QUEUE_HIGH_BYTES as usize + late + 16 * 1024 + again + whole;
        let kept = self.plan.retry.as_ref().map_or(0, |_| self.plan.kept_slots());
        let segments = QUEUE_HIGH_SEGMENTS as usize + late / 6 + 16 + kept;
        let mut high = 0;
        for conn in self.engine.open_conns() {
            let (bytes, chunks) = (conn.queued_bytes, conn.queued_chunks);
            assert!(bytes <= most, "{bytes} bytes are queued on link {}, and {most} may", conn.link);
            assert!(
                chunks <= segments,
                "{chunks} chunks are queued on link {}, and {segments} may",
                conn.link
            );
            let lingered = conn.told_at_finish.map_or(0, |before| conn.told_bytes - before);
            let is_tunnel = self.engine.links[conn.link as usize].is_tunnel;
            let enough = LINGER_BYTES + late as u64;
            assert!(
                lingered <= enough || is_tunnel,
                "{lingered} bytes were read behind the end of link {}",
                conn.link
            );
            let is_high = bytes > QUEUE_HIGH_BYTES as usize || chunks > QUEUE_HIGH_SEGMENTS as usize;
            high += u64::from(is_high);
        }
        self.engine.coverage.meet_times(Situation::QueueHigh, high);
        assert!(self.engine.slots.out() <= temper.slots, "more slots are out than there are");
        self.check_held();
        self.check_retired();
    }

    /// A client that sends ahead is not read any further than a few chunks. Seen where no chunk is queued for anybody.
    fn check_held(&mut self) {
        let is_queued = self.engine.open_conns().any(|conn| conn.queued_chunks > 0);
        // Calls that are not whole and answers that wait hold slots, too; there the bound is that of all slots.
        if is_queued || self.plan.is_of_calls() || self.engine.closing_conns() > 0 {
            return;
        }
        // What comes in before the pause takes effect.
        // Bodies that may have to be sent again hold slots, too.
        let kept = self.plan.retry.as_ref().map_or(0, |_| self.plan.kept_slots());
        let most = HELD_CHUNKS + 3 * RECEIVES_PER_TURN + kept;
        let mut full = 0;
        for conn in self.engine.open_conns() {
            let held = self.engine.slots.out_of(conn.link);
            assert!(held <= most, "{held} chunks are held of link {}, and {most} may", conn.link);
            full += u64::from(held >= HELD_CHUNKS);
        }
        self.engine.coverage.meet_times(Situation::HeldFull, full);
    }

    /// A connection of a configuration that was replaced, or to an endpoint that is gone, is closed once it is idle.
    fn check_retired(&self) {
        if self.has_mail() {
            return;
        }
        for conn in self.engine.open_conns() {
            let Side::Upstream(cluster, endpoint) = conn.side else { continue };
            let (truth, link) =
                (&self.engine.truth.clusters[cluster], &self.engine.links[conn.link as usize]);
            let is_quiet = link.up_end.is_none() && link.up.is_empty() && link.down.is_empty();
            let is_idle = link.is_idle && is_quiet && link.taken == conn.told_bytes;
            let is_kept = is_idle && conn.queued_bytes == 0 && conn.out.is_empty();
            let number = truth.cluster;
            assert!(
                !is_kept || truth.is_current,
                "link {} is idle, and its cluster {number} was replaced",
                conn.link
            );
            assert!(
                !is_kept || truth.is_member[endpoint],
                "link {} is idle, and its cluster {number} has lost endpoint {endpoint}",
                conn.link
            );
        }
    }
}
