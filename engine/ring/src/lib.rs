//! io_uring as an engine of the data plane: one ring per core, and the loop that drives a core's machine with it.
//!
//! This is the only crate with `unsafe`, and it has it in few places: `mapping`, `slot`, `buffer_ring` (memory shared
//! with the kernel), `kernel` (the queues), `system` (bare calls), and the few lines of `send`, `connect`, `listener`,
//! `poison` and `trial` that promise to keep something alive. Everything else is ordinary safe code that keeps the accounts.
//!
//! # What the ring may do
//! Before it is enabled it is tied to the operations in [`OPERATIONS`], and takes no registration afterwards. An operation
//! that the engine begins to use is refused with EACCES until it is listed there.
//!
//! # How a turn goes
//! `driver` enters the kernel once (submitting what the last turn asked for, and waiting), looks at the clock once, and
//! hands every completion to `ring`, which turns it into the data plane's words. Operations that the machine asks for
//! are only noted; `ring` carries them out at the end of the turn: relays, then recycled buffers, then one receive and
//! one gathered send per connection that needs one.
//!
//! # What keeps memory safe
//! - A connection's entry, its holder of outgoing bytes and its socket are kept until the last completion of its last
//!   operation. `close` only bumps the generation and cancels.
//! - A buffer slot is the kernel's from publication until a completion names it, and then the chunks'. It is published
//!   again only after the last chunk is dropped.
//! - The io_uring is closed before buffers are unmapped; if the kernel still held something then, it is leaked.

//!
//! # Bounds, and what happens at each
//! - Receive buffers ([`RingOptions::slots_max`]): receives park, oldest first, until a chunk is dropped.
//! - Connections ([`RingOptions::connections_max`]): connects fail and accepting stops with `DescriptorsExhausted`.
//! - Pipes ([`RingOptions::pipes_max`]): relays wait for one.
//! - The completion queue: the kernel keeps what does not fit and ends multishot operations, which start anew.
//! - The submission queue: what does not fit is submitted early.
//! - The mailbox: `send` gives the delivery back.
//! - A turn: 1,024 completions, 64 messages, 64 connections of a closing listener's backlog, 1 MiB per relay, and one
//!   send of 64 segments and 512 KiB per connection; the rest waits for the next turn, which follows at once.

mod buffer_ring;
mod close;
mod conn;
mod connect;
mod driver;
mod errors;
mod group;
mod handover;
mod kernel;
mod listener;
mod mapping;
mod operations;
mod options;
mod outgoing;
mod poison;
mod probe;
mod receive;
mod relay;
mod restrictions;
mod ring;
mod sandbox;
mod send;
mod setup;
mod slot;
mod system;
mod token;
mod trial;
mod unusable;

pub use driver::run;
pub use errors::RingError;
pub use operations::{OPERATIONS, UsedOperation};
pub use options::RingOptions;
pub use probe::{Finding, Need, ProbeReport, probe, usable};
pub use restrictions::Restricted;
pub use ring::Ring;
pub use sandbox::Sandbox;
pub use setup::{SetupLevel, SetupReport, TaskRun};
pub use slot::RingChunk;
pub use unusable::{Reason, Unusable};
