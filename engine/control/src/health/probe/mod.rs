//! One check of one endpoint: a connection, what is asked on it, and what came of that. It decides nothing about health.

mod heartbeat;
mod http;
mod tcp;

use super::active::CheckResult;
use super::checks::Due;
use sidering_dataplane::config::Probe;
use sidering_dataplane::io::Address;
use std::borrow::Cow;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// How a check ended, and why, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) result: CheckResult,
    pub(crate) reason: Cow<'static, str>,
}

impl Outcome {
    fn success(reason: impl Into<Cow<'static, str>>) -> Outcome {
        Outcome { result: CheckResult::Success, reason: reason.into() }
    }

    fn network(reason: impl Into<Cow<'static, str>>) -> Outcome {
        Outcome { result: CheckResult::Network, reason: reason.into() }
    }
}

/// Checks, within its timeout.
pub(crate) async fn probe(due: &Due) -> Outcome {
    let patience = Duration::from_millis(due.check.timeout_ms);
    timeout(patience, connect_and_ask(due)).await.unwrap_or_else(|_| Outcome::network("timeout"))
}

async fn connect_and_ask(due: &Due) -> Outcome {
    let asked = match &due.address {
        Address::Ip(address) => match TcpStream::connect(address).await {
            Ok(stream) => ask(stream, due).await,
            Err(error) => Err(error),
        },
        Address::Unix(path) => match UnixStream::connect(&**path).await {
            Ok(stream) => ask(stream, due).await,
            Err(error) => Err(error),
        },
    };
    asked.unwrap_or_else(|error| Outcome::network(error.to_string()))
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(stream: S, due: &Due) -> io::Result<Outcome> {
    match &due.check.probe {
        Probe::Http(http) => http::ask(stream, http, &due.cluster).await.map_err(io::Error::other),
        Probe::Tcp(tcp) => tcp::ask(stream, tcp).await,
        Probe::Heartbeat(protocol) => heartbeat::ask(stream, protocol).await,
    }
}

#[cfg(test)]
mod tests;
