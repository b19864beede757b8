//! Connections that leave for the engine of another core, and come from one.

use std::os::fd::OwnedFd;

use sidering_dataplane::io::{ConnId, Detached, IoError};
use sidering_system::socket;

use crate::conn::{NO_RELAY, Receive, SendSide};
use crate::epoll::Epoll;

/// What goes along with the descriptor.
struct Leaving {
    socket: OwnedFd,
    until_empty: bool,
}

impl Epoll {
    /// `Io::release`.
    pub(crate) fn release_conn(&mut self, id: ConnId) -> Option<Detached> {
        let conn = self.conns.get(id)?;
        let is_at_rest = conn.receive == Receive::Rest
            && conn.send == SendSide::Open
            && conn.outgoing.is_none()
            && (conn.relay_in, conn.relay_out) == (NO_RELAY, NO_RELAY)
            && !conn.finishing;
        let socket = conn.socket.take_if(|_| is_at_rest)?;
        let until_empty = conn.until_empty;
        self.poller.forget_conn(&socket);
        self.conns.release(id.index);
        self.counters.connections.subtract(1);
        Some(Detached::new(Leaving { socket, until_empty }))
    }

    /// `Io::adopt`.
    pub(crate) fn adopt_socket(&mut self, socket: Detached) -> Result<ConnId, IoError> {
        let Leaving { socket, until_empty } = socket.into_socket().ok_or(IoError::Unreachable)?;
        if !socket::is_quiet(&socket) {
            return Err(IoError::Reset);
        }
        let id = self.enter(socket, SendSide::Open)?;
        self.conns.entry(id.index).until_empty = until_empty;
        self.watch(id, false)?;
        Ok(id)
    }
}
