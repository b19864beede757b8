//! One core of the data plane as a pure machine: completions and messages in, operations out.
//!
//! No syscall, no clock, no lock, no async: `now` is an argument and [`io::Io`] is all it knows of the world, so that
//! the whole of it can be simulated and fuzzed. A completion runs all the way (decode, filter, route, pick, encode, send) before
//! the next one is looked at; whatever must not happen in the middle of that is put on a list of work and done right
//! after it ([`worker`]).

pub mod buffers;
pub mod cluster;
pub mod config;
pub mod filter;
pub mod header;
pub mod io;
pub mod message;
pub mod neighbours;
pub mod net;
pub mod observe;
pub mod proxy;
pub mod route;
pub mod stream;
#[cfg(test)]
mod testing;
pub mod worker;
