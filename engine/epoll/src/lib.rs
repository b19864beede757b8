//! epoll as an engine of the data plane: readiness turned into completions, and the loop that drives a core's machine.
//! It runs where io_uring is missing or forbidden, behind the same seam, and no protocol is known here.
//!
//! # How a turn goes
//! `driver` waits once, looks at the clock once, and hands every event to `epoll`, which notes what each connection is
//! ready for. Then every connection that is wanted and has something is received from, the machine hears of it, and at
//! the end of the turn each connection with something to send gets one gathered send, tried at once. What was sent is
//! told in the same turn, so that a request that is answered without waiting needs no second one.
//!
//! # How few system calls it makes
//! - A connection is registered once, edge-triggered. Room to send is watched from the first send that came short, by
//!   one more call, and for good.
//! - A receive that fills less than its buffer has emptied the socket: the next one waits for the next edge. Only after
//!   a FIN, an error or urgent data, and on unix sockets, it is called until there is nothing.
//! - Sends are tried without asking; an edge only tells when to go on.
//! - Per request that is two receives, two sends, and a share of one wait for all connections.
//!
//! # Bounds, and what happens at each
//! - Receive buffers ([`EpollOptions::slots_max`]): receives park, oldest first, until a chunk is dropped. An idle
//!   connection holds none.
//! - Connections ([`EpollOptions::connections_max`]): connects fail and accepting stops with `DescriptorsExhausted`.
//! - Pipes ([`EpollOptions::pipes_max`]): relays wait for one.
//! - The mailbox: `send` gives the delivery back.
//! - A turn: [`EpollOptions::events_per_turn`] events, 64 messages, 64 connections of each listener, 4 receives per
//!   connection, 1 MiB per relay, and up to 5 sends of 64 segments and 512 KiB per connection; the rest waits for the
//!   next turn, which follows at once.

mod close;
mod conn;
mod connect;
mod driver;
mod epoll;
mod errors;
mod group;
mod handover;
mod listener;
mod options;
mod outgoing;
mod poller;
mod receive;
mod relay;
mod send;
mod slot;

pub use driver::run;
pub use epoll::Epoll;
pub use errors::EpollError;
pub use options::EpollOptions;
pub use slot::EpollChunk;
