//! The upstream of the embedded default configuration: a tiny server on a loopback port, so that `sidering run` shows
//! something without any file. It is no part of any configuration of a user's own.

use crate::http_server::{Answer, Bounds, Listening, Service, serve};
use hyper::http::request::Parts;
use sidering_dataplane::config::Snapshot;
use sidering_dataplane::io::Address;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// The cluster whose address it stands in for.
const CLUSTER: &str = "built-in";
/// Idle connections live longer than those of the proxy's pools, which are the ones to close.
const BOUNDS: Bounds = Bounds {
    connections: 4096,
    head_bytes: 64 * 1024,
    body_bytes: u64::MAX,
    idle: Duration::from_secs(90),
    lifetime: Duration::from_secs(24 * 3600),
};

/// The bound socket of the built-in upstream.
#[derive(Debug)]
pub struct BuiltInUpstream {
    listener: TcpListener,
    address: SocketAddr,
}

struct Hello;

impl BuiltInUpstream {
    /// Binds a port of the system's choice.
    pub fn bind() -> io::Result<BuiltInUpstream> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        Ok(BuiltInUpstream { listener, address })
    }

    /// Puts the real address into the cluster that stands for it.
    pub fn substitute(&self, snapshot: &mut Snapshot) {
        for cluster in snapshot.clusters.iter_mut().filter(|cluster| cluster.name == CLUSTER) {
            for endpoint in Arc::make_mut(&mut Arc::make_mut(cluster).endpoints) {
                endpoint.address = Address::Ip(self.address);
            }
        }
    }

    pub(crate) fn serve(self) -> io::Result<impl Future<Output = ()>> {
        serve(Listening::Tcp(self.listener), BOUNDS, Rc::new(Hello))
    }
}

impl Service for Hello {
    fn answer(&self, request: &Parts) -> Answer {
        let (method, path) = (&request.method, request.uri.path());
        let admin = "see http://127.0.0.1:15000/help, and give a configuration of your own with -c FILE";
        Answer::text(
            200,
            format!("Sidering works: {method} {path} came through it to its built-in server.\n{admin}\n"),
        )
    }
}
