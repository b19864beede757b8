//! Connections that leave for the ring of another core, and come from one. Descriptors are the process's, so that nothing
//! goes between the rings themselves; operations are a ring's, so that none may be in flight.

use std::os::fd::{AsFd, OwnedFd};

use sidering_dataplane::io::{ConnId, Detached, IoError};
use sidering_system::socket;

use crate::conn::{NO_RELAY, Receive, SendSide};
use crate::ring::Ring;
use crate::system;

impl Ring {
    /// `Io::release`.
    pub(crate) fn release_conn(&mut self, id: ConnId) -> Option<Detached> {
        let conn = self.conns.get(id)?;
        let is_at_rest = conn.receive == Receive::Rest
            && conn.send == SendSide::Open
            && conn.in_flight == 0
            && conn.outgoing.is_none()
            && (conn.relay_in, conn.relay_out) == (NO_RELAY, NO_RELAY)
            && !conn.finishing;
        let socket = conn.socket.take_if(|_| is_at_rest)?;
        if conn.nonblocking {
            // A failure would show as EAGAIN from a receive, which is tried again.
            let _ = system::set_nonblocking(socket.as_fd(), false);
        }
        conn.generation = conn.generation.wrapping_add(1);
        conn.closing = true;
        self.conns.release(id.index);
        self.counters.connections.subtract(1);
        Some(Detached::new(socket))
    }

    /// `Io::adopt`.
    pub(crate) fn adopt_socket(&mut self, socket: Detached) -> Result<ConnId, IoError> {
        let socket: OwnedFd = socket.into_socket().ok_or(IoError::Unreachable)?;
        if !socket::is_quiet(&socket) {
            return Err(IoError::Reset);
        }
        let id = self.conns.insert(socket, SendSide::Open).map_err(|_| IoError::DescriptorsExhausted)?;
        self.counters.connections.add(1);
        Ok(id)
    }
}
