//! The control world: configuration, admin, logs, metrics and signals. It runs on the main thread, beside the cores;
//! no byte of traffic passes through it, and it knows cores only through messages and counters.
//!
//! [`config`] makes a checked snapshot of a file; [`Control`] sends it to the [`Cores`], and changes it when told to;
//! [`run`] waits for whoever tells.

pub mod access_log;
mod admin;
mod built_in;
pub mod clock;
pub mod config;
mod control;
mod cores;
pub mod discovery;
pub mod explain;
mod garbage;
pub mod health;
mod http_server;
pub mod json;
mod lifecycle;
mod listeners;
pub mod log;
mod rate_limit;
mod run;
pub mod stats;
mod substitution;
#[cfg(test)]
mod test_cores;
mod zone_switch;

pub use built_in::BuiltInUpstream;
pub use control::{Control, EngineInUse, Setup, Source};
pub use cores::{CoreEnd, Cores, Opened, Order};
pub use health::{CoreNotices, HealthEvents};
pub use http_server::Listening;
pub use lifecycle::Phase;
pub use run::{Events, Reports, Services, run};
