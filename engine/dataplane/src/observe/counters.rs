//! Counters that one core writes and the control thread reads: single-writer atomics, so that counting is a plain
//! load and store without a lock prefix. Nothing here formats or names a metric for export.

use super::histogram::Histogram;
use super::methods::CallCounters;
use crate::filter::FilterCounters;
use sidering_codecs::registry::MAX_PROTOCOLS;
use std::sync::atomic::{AtomicU64, Ordering};

/// A count with one writing thread. Readers on other threads see it a little late, never torn.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `amount`. Only the owning core may call this (two writers would lose counts, nothing worse).
    pub fn add(&self, amount: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    /// Takes `amount` away (for gauges).
    pub fn subtract(&self, amount: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_sub(amount), Ordering::Relaxed);
    }

    /// Sets the value (for gauges kept elsewhere).
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What an engine counts on one core.
#[derive(Debug, Default)]
pub struct EngineCounters {
    /// Turns of the loop (one enter of the kernel each).
    pub turns: Counter,
    pub completions: Counter,
    /// Gauge: buffer slots held by the data plane or by sends in flight.
    pub slots_in_use: Counter,
    /// Gauge: bytes of buffer memory now backed by the pool (slots published or in use).
    pub slot_bytes: Counter,
    /// Gauge: receives waiting for a slot to come home.
    pub receives_parked: Counter,
    /// Times a receive had to wait for a slot (ENOBUFS).
    pub receives_parked_total: Counter,
    /// Completion-queue overflows the kernel reported.
    pub completion_queue_overflows: Counter,
    /// Multishot operations the kernel ended without being asked to.
    pub multishot_rearms: Counter,
    /// Sends the kernel took only a part of.
    pub short_sends: Counter,
    /// Completions of operations whose connection was already closed.
    pub late_completions: Counter,
    /// Bytes moved by the kernel relay.
    pub relayed_bytes: Counter,
    /// Gauge: connections the engine holds, closing ones included.
    pub connections: Counter,
}

/// What the data plane counts for one listener on one core.
#[derive(Debug, Default)]
pub struct ListenerCounters {
    pub connections_total: Counter,
    /// Gauge.
    pub connections_active: Counter,
    /// Connections closed at once because of `max_connections`.
    pub connections_overflow: Counter,
    /// Times accepting paused because no descriptor was left.
    pub accept_paused: Counter,
    /// Connections whose protocol was detected, by the protocol's place among all.
    pub connections_detected: [Counter; MAX_PROTOCOLS],
    /// Those that speak none of the listener's protocols, and those of which that was not known in time.
    pub connections_unknown: Counter,
    pub detection_timeouts: Counter,
    pub requests_total: Counter,
    /// Gauge.
    pub requests_active: Counter,
    /// Responses by the first digit of their status, 1..=5.
    pub responses: [Counter; 5],
    /// Requests that broke the protocol.
    pub protocol_errors: Counter,
    /// Requests or connections ended by a timeout of the listener.
    pub timeouts: Counter,
    /// Requests ended because of their route's `max_stream_duration`.
    pub durations_reached: Counter,
    /// Bytes of messages received from and sent to downstream, heads included, relayed ones too.
    pub received_bytes: Counter,
    pub sent_bytes: Counter,
    /// From a request's first byte to the last byte of its response handed to the kernel.
    pub request_time: Histogram,
    /// The part of it that the proxy itself took: not waiting for either peer, nor for a connect.
    pub process_time: Histogram,
    pub filters: FilterCounters,
}

/// What the data plane counts for one cluster on one core.
#[derive(Debug, Default)]
pub struct ClusterCounters {
    pub connections_total: Counter,
    /// Gauge.
    pub connections_active: Counter,
    /// Gauge: of the active ones, those waiting in the pool.
    pub connections_idle: Counter,
    /// Connections that came from another core, and asks for one that came to nothing.
    pub handovers: Counter,
    pub handovers_declined: Counter,
    pub connect_failures: Counter,
    pub connect_timeouts: Counter,
    pub requests_total: Counter,
    /// Gauge.
    pub requests_active: Counter,
    /// Gauge: requests waiting for a connection.
    pub requests_pending: Counter,
    /// Requests refused because of `max_pending`.
    pub requests_overflow: Counter,
    /// Requests sent again because their pooled connection turned out to be closed, and calls that had not left when theirs was lost.
    pub requests_retried_stale: Counter,
    /// Answers to exchanges that were not under way, or no longer.
    pub stray_answers: Counter,
    /// Heartbeats sent on idle connections.
    pub heartbeats: Counter,
    /// Those that were not answered in time.
    pub heartbeats_missed: Counter,
    /// Requests sent again by a retry policy.
    pub retries: Counter,
    /// Of those, the ones whose answer was no reason for another retry.
    pub retries_succeeded: Counter,
    /// Retries refused by the circuit breaker or the budget.
    pub retries_overflow: Counter,
    /// Failures that would have been retried, had there been any retries left.
    pub retries_exhausted: Counter,
    /// Retries that waited for an exponential back-off.
    pub retries_backed_off: Counter,
    /// Requests whose body was too long to be kept.
    pub retries_abandoned: Counter,
    /// Requests that were to be mirrored here, and found no room.
    pub shadows_dropped: Counter,
    /// Gauge: retries under way, those that back off included.
    pub retries_active: Counter,
    /// Attempts not answered within the timeout of one try.
    pub per_try_timeouts: Counter,
    pub request_timeouts: Counter,
    /// Picks among all endpoints of a priority because too few were healthy.
    pub lb_healthy_panic: Counter,
    /// Picks in the subset that a request wants, and those that fell back.
    pub lb_subsets_selected: Counter,
    pub lb_subsets_fallback: Counter,
    /// Requests that stayed in their zone because all do, or because some do, and those that went to another one.
    pub lb_zone_routing_all_directly: Counter,
    pub lb_zone_routing_sampled: Counter,
    pub lb_zone_routing_cross_zone: Counter,
    /// Requests for which zones were not looked at, and why.
    pub lb_zone_cluster_too_small: Counter,
    pub lb_local_cluster_not_ok: Counter,
    pub lb_zone_no_capacity_left: Counter,
    /// Responses cut short or broken by the upstream.
    pub response_errors: Counter,
    pub responses: [Counter; 5],
    pub received_bytes: Counter,
    pub sent_bytes: Counter,
    /// From the request's head sent to the end of the response.
    pub request_time: Histogram,
}

/// What the data plane counts for one endpoint of a cluster on one core, for as long as the cluster has it.
#[derive(Debug, Default)]
pub struct EndpointCounters {
    pub connections_total: Counter,
    /// Gauge.
    pub connections_active: Counter,
    pub connect_failures: Counter,
    pub requests_total: Counter,
    /// Gauge.
    pub requests_active: Counter,
    /// Requests that failed in the endpoint's hands, 5xx included.
    pub requests_error: Counter,
    /// For outlier detection, 0 without it: what attempts have ended with, and how many of them with 5xx.
    pub results: Counter,
    pub results_failed: Counter,
    /// In split mode: what has become of connections to it, and how many have failed, been reset or timed out.
    pub local_origin: Counter,
    pub local_origin_failed: Counter,
}

/// What the data plane counts on one core, whatever listener or cluster it was for.
#[derive(Debug, Default)]
pub struct CoreCounters {
    /// Body bytes copied in user space other than short tails behind a head: 0 on the plain paths.
    pub body_bytes_copied: Counter,
    /// Body bytes of tails of at most 2 KiB that were copied behind their head so that their slot goes home early.
    pub tail_bytes_copied: Counter,
    /// Body bytes of requests that were copied to be sent again if need be: 0 without retries.
    pub replay_bytes_copied: Counter,
    /// Body bytes copied because their message had to wait for a connection or for its turn.
    pub held_bytes_copied: Counter,
    /// Body bytes that went by inside the kernel.
    pub body_bytes_relayed: Counter,
    /// Access-log records dropped because the writer was behind.
    pub access_log_dropped: Counter,
    /// Notices dropped because the control thread was behind.
    pub notices_dropped: Counter,
    /// Gauge: the version of the snapshot in use.
    pub snapshot_version: Counter,
    /// Gauges of what must be zero when nothing goes on.
    pub streams_active: Counter,
    pub connections_active: Counter,
    /// Gauge: timers pending.
    pub timers: Counter,
    pub calls: CallCounters,
}
