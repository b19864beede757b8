//! Counters that one core writes and the control thread reads: single-writer atomics, so that counting is a plain
//! load and store without a lock prefix. Nothing here formats or names a metric for export.

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
