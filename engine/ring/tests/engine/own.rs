//! What only a ring has: its queues, its setup, its options.

use crate::echo::{echo, exchange_with};
use crate::support::Core;
use crate::under_test::{Engine as Ring, Options as RingOptions};
use sidering_dataplane::observe::counters::EngineCounters;
use sidering_ring::RingError;
use std::sync::Arc;

#[test]
fn tiny_queues_lose_nothing() {
    let options = RingOptions { entries: 8, completion_entries: 8, ..RingOptions::default() };
    let core = Core::start(options, echo);
    exchange_with(&core, 60, 300_000);
    assert!(core.counters.completion_queue_overflows.get() > 0, "the completion queue did not overflow");
    core.stop();
}

#[test]
fn options_out_of_bounds_are_refused_by_name() {
    let counters = Arc::new(EngineCounters::default());
    for (options, expected) in [
        (RingOptions { entries: 0, ..RingOptions::default() }, "entries"),
        (RingOptions { completion_entries: 4, ..RingOptions::default() }, "completion_entries"),
        (RingOptions { slot_bytes: 1000, ..RingOptions::default() }, "slot_bytes"),
        (RingOptions { slots_max: 0, ..RingOptions::default() }, "slots_max"),
        (RingOptions { connections_max: 0, ..RingOptions::default() }, "connections_max"),
        (RingOptions { pipes_max: 0, ..RingOptions::default() }, "pipes_max"),
        (RingOptions { completions_per_turn: 0, ..RingOptions::default() }, "completions_per_turn"),
    ] {
        let Err(RingError::Option { option, .. }) = Ring::new(options, counters.clone()) else {
            panic!("{expected} was taken");
        };
        assert_eq!(option, expected);
    }
}
