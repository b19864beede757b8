//! The proxy as a process between real clients and real servers: what each side sees, and what is left behind.
//!
//! One file per subject; `support` has the proxy, the peers and the waiting. Programs that others wrote (curl, nginx, wrk,
//! Python, npm's ws) are installed by scripts/peers and scripts/test-peers.

mod admin;
mod backpressure;
mod bad_requests;
mod bad_responses;
mod bodies;
mod clients;
mod command_line;
mod descriptors;
mod drain;
mod exchanges;
mod failures;
mod forwarded;
mod kills;
mod load;
mod pool;
mod reload;
mod seccomp;
mod slow_peers;
mod support;
mod tcp;
mod upgrades;
