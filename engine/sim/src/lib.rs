//! The data plane on an engine in memory, under histories of faults that one number decides. It touches no socket, file or
//! clock.
//!
//! A run is a world: the machine under test, the engine with its kernel and network ([`engine`]), model peers
//! ([`peers`]) and an [`oracle`]. Whatever could happen in more than one way is asked of [`choices`]. What the peers say
//! is entered in a [`ledger`] and everything that comes out is held against it.

mod agenda;
mod bytes;
pub mod choices;
mod control;
pub mod coverage;
mod engine;
mod journal;
mod ledger;
mod oracle;
mod peers;
mod plan;
mod rules;
mod run;
mod shape;
mod stage;
mod world;

pub use run::{Failure, Report, run_bytes, run_seed, trace_seed};
