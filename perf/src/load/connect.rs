//! Connections to the target, from one source address or from several in turn.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio_uring::net::TcpStream;

/// A pause after a failed connect, so that a proxy which is down is not hammered.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(1);

/// Opens connections to one target.
pub(crate) struct Connector {
    target: SocketAddr,
    source_addresses: u8,
    next_source: Cell<u8>,
}

impl Connector {
    pub(crate) fn new(target: SocketAddr, source_addresses: u8) -> Self {
        Self { target, source_addresses: source_addresses.max(1), next_source: Cell::new(0) }
    }

    pub(crate) async fn connect(&self) -> io::Result<TcpStream> {
        let connected = if self.source_addresses == 1 {
            TcpStream::connect(self.target).await
        } else {
            self.connect_from(self.take_source()).await
        };
        match connected {
            Ok(conn) => {
                conn.set_nodelay(true)?;
                Ok(conn)
            }
            Err(error) => {
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                Err(error)
            }
        }
    }

    fn take_source(&self) -> IpAddr {
        let source = self.next_source.get();
        self.next_source.set((source + 1) % self.source_addresses);
        IpAddr::V4(Ipv4Addr::new(127, 0, 0, source + 1))
    }

    /// tokio-uring cannot bind before it connects; tokio can, and hands over the connected socket.
    async fn connect_from(&self, source: IpAddr) -> io::Result<TcpStream> {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::new(source, 0))?;
        Ok(TcpStream::from_std(socket.connect(self.target).await?.into_std()?))
    }
}
