//! The end-to-end suite on the epoll engine: the same files as tests/end_to_end, where they are described.

#[path = "../end_to_end/actions.rs"]
mod actions;
#[path = "../end_to_end/admin.rs"]
mod admin;
#[path = "../end_to_end/backpressure.rs"]
mod backpressure;
#[path = "../end_to_end/bad_requests.rs"]
mod bad_requests;
#[path = "../end_to_end/bad_responses.rs"]
mod bad_responses;
#[path = "../end_to_end/balancing.rs"]
mod balancing;
#[path = "../end_to_end/bodies.rs"]
mod bodies;
#[path = "../end_to_end/clients.rs"]
mod clients;
#[path = "../end_to_end/command_line.rs"]
mod command_line;
#[path = "../end_to_end/compression.rs"]
mod compression;
#[path = "../end_to_end/concurrency.rs"]
mod concurrency;
#[path = "../end_to_end/descriptors.rs"]
mod descriptors;
#[path = "../end_to_end/discovery.rs"]
mod discovery;
#[path = "../end_to_end/drain.rs"]
mod drain;
#[path = "../end_to_end/exchanges.rs"]
mod exchanges;
#[path = "../end_to_end/failures.rs"]
mod failures;
#[path = "../end_to_end/filters.rs"]
mod filters;
#[path = "../end_to_end/forwarded.rs"]
mod forwarded;
#[path = "../end_to_end/hashing.rs"]
mod hashing;
#[path = "../end_to_end/headers.rs"]
mod headers;
#[path = "../end_to_end/health.rs"]
mod health;
#[path = "../end_to_end/keepalive.rs"]
mod keepalive;
#[path = "../end_to_end/kills.rs"]
mod kills;
#[path = "../end_to_end/load.rs"]
mod load;
#[path = "../end_to_end/mirrors.rs"]
mod mirrors;
#[path = "../end_to_end/outliers.rs"]
mod outliers;
#[path = "../end_to_end/pool.rs"]
mod pool;
#[path = "../end_to_end/rate_limits.rs"]
mod rate_limits;
#[path = "../end_to_end/reload.rs"]
mod reload;
#[path = "../end_to_end/retries.rs"]
mod retries;
#[path = "../end_to_end/route_chain.rs"]
mod route_chain;
#[path = "../end_to_end/routes.rs"]
mod routes;
#[path = "../end_to_end/rpc/mod.rs"]
mod rpc;
#[path = "../end_to_end/slow_peers.rs"]
mod slow_peers;
// What only tests need that choose an engine by themselves is not used here.
#[allow(dead_code)]
#[path = "../end_to_end/support/mod.rs"]
mod support;
#[path = "../end_to_end/tcp.rs"]
mod tcp;
#[path = "../end_to_end/upgrades.rs"]
mod upgrades;
#[path = "../end_to_end/warming.rs"]
mod warming;
#[path = "../end_to_end/zone_routing.rs"]
mod zone_routing;

/// The engine that the proxy is started with, unless a test says otherwise.
const ENGINE: &str = "epoll";
