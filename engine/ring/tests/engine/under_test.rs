//! The engine under test, by the names that the scenarios use.

pub(crate) use sidering_ring::{Ring as Engine, RingChunk as EngineChunk, RingOptions as Options, run};

/// Whether operations may be in flight when a connection is closed.
pub(crate) const CLOSES_LATE: bool = true;

/// Memory of receive buffers, as the system sees it.
pub(crate) fn resident_bytes(engine: &Engine) -> usize {
    engine.resident_buffer_bytes()
}
