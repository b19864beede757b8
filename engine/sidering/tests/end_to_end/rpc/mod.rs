//! Protocols of calls: many exchanges on one connection, what each is answered with, and what becomes of the others.

mod bolt;
mod bridge;
mod bridged_peers;
mod calls;
mod detection;
mod dialects;
mod every;
mod failures;
mod flow;
mod heartbeats;
mod hostile;
mod observed;
mod others;
mod real_peers;
mod routing;
mod unsent;

use crate::support::Config;
use std::fmt::Display;

/// One listener `calls` that sends every call to `address`.
fn calls_to(protocol: &str, address: impl Display) -> Config {
    Config::new().rpc("calls", protocol, "", "{ match: {}, cluster: api }").cluster("api", address, "")
}
