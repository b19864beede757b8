//! The engine under test, by the names that the scenarios use.

use sidering_ring::SetupLevel;
pub(crate) use sidering_ring::{Ring as Engine, RingChunk as EngineChunk, RingOptions as Options, run};

/// Names the set of setup flags that all scenarios of a process run under, see `setups`.
pub(crate) const SETUP: &str = "SIDERING_TEST_SETUP";

/// What a scenario asks for, under the set of setup flags that this process is about.
pub(crate) fn adapt(options: Options) -> Options {
    let Some(wanted) = std::env::var_os(SETUP) else { return options };
    let level = SetupLevel::ALL.into_iter().find(|level| *wanted == *format!("{level:?}"));
    Options { best_setup: level.expect("the name of a level"), ..options }
}

/// Whether operations may be in flight when a connection is closed.
pub(crate) const CLOSES_LATE: bool = true;

/// Memory of receive buffers, as the system sees it.
pub(crate) fn resident_bytes(engine: &Engine) -> usize {
    engine.resident_buffer_bytes()
}
