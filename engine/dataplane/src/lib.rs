//! One core of the data plane as a pure machine: completions and messages in, operations out.
//!
//! No syscall, no clock, no lock, no async: `now` is an argument and [`io::Io`] is all it knows of the world, so that
//! the whole of it can be simulated and fuzzed.

pub mod config;
pub mod io;
pub mod message;
pub mod observe;
