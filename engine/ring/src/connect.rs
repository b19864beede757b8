//! Outgoing connections: the socket, the connect, its outcome.

use sidering_dataplane::io::{Address, Completion, ConnId, ConnectOptions, IoError};
use sidering_system::{from_system, io_error, socket};

use crate::conn::SendSide;
use crate::kernel::Finished;
use crate::ring::Ring;
use crate::slot::RingChunk;
use crate::token::{Operation, Token};

impl Ring {
    /// `Io::connect`.
    pub(crate) fn start_connect(
        &mut self,
        address: &Address,
        options: &ConnectOptions,
    ) -> Result<ConnId, IoError> {
        // Not O_NONBLOCK, which would make ring operations fail where they should wait.
        let (socket, address) =
            socket::open_outgoing(address, options, false).map_err(|error| from_system(&error))?;
        let Ok(id) = self.conns.insert(socket.into(), SendSide::Connecting) else {
            return Err(IoError::DescriptorsExhausted);
        };
        self.counters.connections.add(1);
        let conn = self.conns.entry(id.index);
        conn.in_flight += 1;
        let address = conn.address.insert(Box::new(address));
        if let Some(socket) = &conn.socket {
            let token = Token::new(Operation::Connect, id.index, id.generation);
            // SAFETY: the address is in a box that the connection keeps until the completion.
            unsafe { self.kernel.connect(socket, address, token) };
        }
        Ok(id)
    }

    /// The completion of a connect.
    pub(crate) fn handle_connected(
        &mut self,
        token: Token,
        finished: Finished,
    ) -> Option<Completion<RingChunk>> {
        self.kernel.retire();
        let conn = self.conns.entry(token.index);
        conn.in_flight -= 1;
        conn.address = None;
        if conn.generation != token.generation {
            self.handle_late(token.index, true);
            return None;
        }
        let result = if finished.result < 0 {
            conn.send = SendSide::Ended;
            Err(io_error(-finished.result))
        } else {
            conn.send = SendSide::Open;
            self.mark_dirty(token.index);
            Ok(())
        };
        let conn = ConnId { index: token.index, generation: token.generation };
        Some(Completion::Connected { conn, result })
    }
}
