//! The scenarios that every engine must pass, on real sockets, and those that only this one has.

mod own;
mod under_test;

#[path = "../../../system/tests/scenarios/echo.rs"]
mod echo;
#[path = "../../../system/tests/scenarios/ends.rs"]
mod ends;
#[path = "../../../system/tests/scenarios/flow.rs"]
mod flow;
#[path = "../../../system/tests/scenarios/handover.rs"]
mod handover;
#[path = "../../../system/tests/scenarios/pool.rs"]
mod pool;
#[path = "../../../system/tests/scenarios/relay.rs"]
mod relay;
#[path = "../../../system/tests/scenarios/support.rs"]
mod support;
#[path = "../../../system/tests/scenarios/turns.rs"]
mod turns;
#[path = "../../../system/tests/scenarios/unsent.rs"]
mod unsent;
