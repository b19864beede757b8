//! The engine under test, by the names that the scenarios use.

pub(crate) use sidering_epoll::{Epoll as Engine, EpollChunk as EngineChunk, EpollOptions as Options, run};

/// Whether operations may be in flight when a connection is closed.
pub(crate) const CLOSES_LATE: bool = false;

/// Memory of receive buffers, by the engine's own account.
pub(crate) fn resident_bytes(engine: &Engine) -> usize {
    engine.buffer_bytes()
}

/// What a scenario asks for is what it gets.
pub(crate) fn adapt(options: Options) -> Options {
    options
}
