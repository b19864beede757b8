//! The control world: configuration, admin, logs, metrics and signals. It runs on the main thread, beside the cores;
//! no byte of traffic passes through it, and it knows cores only through messages and counters.

pub mod access_log;
pub mod clock;
pub mod config;
pub mod log;
pub mod stats;
