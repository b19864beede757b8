//! The bodies of the fuzz targets: functions of bytes that panic when a promise is broken. They read no file and start
//! no fuzzer: `fuzz/targets` does that on nightly, and `tests/replay.rs` runs every input of the corpora on stable.

pub mod bridge;
pub mod chunked_differential;
pub mod config;
pub mod control;
pub mod conversation;
pub mod data_plane;
pub mod detection;
mod forwarded_requests;
mod forwarded_responses;
pub mod grammar;
pub mod head_rules;
pub mod http1_head_differential;
pub mod http1_requests;
pub mod http1_responses;
pub mod http1_round_trip;
pub mod plain_chunks;
pub mod plain_http1;
pub mod receiver;
mod rpc_calls;
pub mod rpc_connections;
pub mod rpc_layouts;
pub mod said;
pub mod seeds;

/// One fuzz target: its name (of its binary and its corpus, too) and its body.
#[derive(Debug)]
pub struct Target {
    pub name: &'static str,
    /// Panics on a finding.
    pub run: fn(&[u8]),
}

/// Every target. A codec gets a line here, and a binary in `fuzz/targets`.
pub static TARGETS: &[Target] = &[
    Target { name: "bridge", run: bridge::run },
    Target { name: "chunked_differential", run: chunked_differential::run },
    Target { name: "config", run: config::run },
    Target { name: "data_plane", run: data_plane::run },
    Target { name: "detection", run: detection::run },
    Target { name: "http1_head_differential", run: http1_head_differential::run },
    Target { name: "http1_requests", run: http1_requests::run },
    Target { name: "http1_responses", run: http1_responses::run },
    Target { name: "http1_round_trip", run: http1_round_trip::run },
    Target { name: "rpc_connections", run: rpc_connections::run },
    Target { name: "rpc_layouts", run: rpc_layouts::run },
];

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
