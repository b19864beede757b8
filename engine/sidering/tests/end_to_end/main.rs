//! The proxy as a process between real clients and real servers: what each side sees, and what is left behind.
//!
//! One file per subject; `support` has the proxy, the peers and the waiting. Programs that others wrote (curl, nginx, wrk,
//! Python, npm's ws) are installed by scripts/peers and scripts/test-peers.
//!
//! This is the suite on the ring; tests/end_to_end_epoll is the same on epoll. What chooses an engine by itself, or starts
//! none, is here alone.

mod actions;
mod admin;
mod backpressure;
mod bad_requests;
mod bad_responses;
mod balancing;
mod bodies;
mod clients;
mod command_line;
mod compression;
mod concurrency;
mod descriptors;
mod discovery;
mod doctor;
mod drain;
mod engines;
mod envoys_choices;
mod envoys_routes;
mod exchanges;
mod explain;
mod failures;
mod filters;
mod forwarded;
mod hashing;
mod headers;
mod health;
mod keepalive;
mod kills;
mod load;
mod mirrors;
mod outliers;
mod pool;
mod rate_limits;
mod reload;
mod retries;
mod route_chain;
mod routes;
mod rpc;
mod seccomp;
mod slow_peers;
mod support;
mod tcp;
mod upgrades;
mod warming;
mod zone_routing;

/// The engine that the proxy is started with, unless a test says otherwise.
const ENGINE: &str = "uring";
