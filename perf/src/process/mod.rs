//! Processes: starting them where nothing is left behind, and reading what the kernel says about them.

pub(crate) mod child;
pub(crate) mod cpu;
pub(crate) mod machine;
pub(crate) mod memory;
pub(crate) mod stat;
pub(crate) mod tree;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::Context;

/// A port that was free a moment ago.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?)
}
