//! Connections as the data plane sees them: tables, timers, what is queued and held. No protocol here.

pub mod calls;
pub mod conn;
pub mod known_routes;
pub mod listener;
pub mod race;
pub mod timer;
