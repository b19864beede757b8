//! Where a cluster's endpoints come from when the configuration does not list them as addresses. It finds them and tells
//! control; whom they are given to is decided there.

mod dns;
mod file;
mod once;
pub mod resolver;
pub mod schedule;
mod search;
mod supervisor;
#[cfg(test)]
pub(crate) mod test_name_server;
mod watch;

pub use once::look_once;
pub use search::EndpointSearch;
pub(crate) use search::{SearchCounters, Taken};
pub(crate) use supervisor::supervise;

use resolver::LookupFamily;
use schedule::RefreshOptions;
use sidering_dataplane::config::Endpoint;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// How the endpoints of one cluster are found.
#[derive(Debug, Clone, PartialEq)]
pub struct Discovery {
    /// The cluster's name.
    pub cluster: String,
    pub source: EndpointSource,
}

/// Where they are found.
#[derive(Debug, Clone, PartialEq)]
pub enum EndpointSource {
    Dns(DnsSource),
    /// A file with a list of them.
    File(PathBuf),
}

impl EndpointSource {
    /// What it means that there are none.
    fn none(&self) -> String {
        match self {
            EndpointSource::Dns(source) => {
                let names: Vec<&str> = source.targets.iter().map(|target| target.host.as_str()).collect();
                format!("no address is known of {}", names.join(", "))
            }
            EndpointSource::File(path) => format!("{} lists none", path.display()),
        }
    }
}

/// Endpoints behind names, after Envoy's strict and logical DNS clusters.
#[derive(Debug, Clone, PartialEq)]
pub struct DnsSource {
    /// Only the first address is used, for new connections; otherwise each address is an endpoint.
    pub is_logical: bool,
    /// At least one; of a logical one, exactly one.
    pub targets: Vec<Target>,
    pub family: LookupFamily,
    pub refresh: RefreshOptions,
    /// None are those of the system.
    pub servers: Vec<SocketAddr>,
}

/// A name whose addresses are endpoints.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// A host name, or an address that stands for itself.
    pub host: String,
    pub port: u16,
    /// What its endpoints are but for their address.
    pub template: Endpoint,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Who asked: it may not be in use any more.
    pub(crate) discovery: Arc<Discovery>,
    pub(crate) outcome: Outcome,
    /// Nothing of the cluster is still tried for the first time.
    pub(crate) is_complete: bool,
}

/// How one attempt to find endpoints ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// From now on these are all endpoints of the cluster. None at all is an outcome, too.
    Endpoints(Arc<[Endpoint]>),
    /// Why there are none. What was found before goes on to count.
    Failed(String),
}
