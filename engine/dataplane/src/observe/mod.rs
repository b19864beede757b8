//! What is counted and logged on a core, in forms that cost nothing to write and are named and printed elsewhere.

pub mod access_log;
pub mod counters;
pub mod histogram;
pub mod methods;
pub mod notice;
