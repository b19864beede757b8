//! Outgoing connections: the socket, the connect, its outcome.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use sidering_dataplane::io::{Address, Completion, ConnId, ConnectOptions, IoError};
use sidering_system::{from_system, io_error, socket};
use socket2::SockRef;

use crate::conn::SendSide;
use crate::epoll::Epoll;

/// What a call to connect came to.
enum Outcome {
    Connected,
    UnderWay,
    Failed(IoError),
}

impl Epoll {
    /// `Io::connect`.
    pub(crate) fn start_connect(
        &mut self,
        address: &Address,
        options: &ConnectOptions,
    ) -> Result<ConnId, IoError> {
        if self.conns.is_full() {
            return Err(IoError::DescriptorsExhausted);
        }
        let (socket, target) =
            socket::open_outgoing(address, options, true).map_err(|error| from_system(&error))?;
        let outcome = match socket.connect(&target) {
            Ok(()) => Outcome::Connected,
            Err(error) => judge(&error),
        };
        let is_unix = matches!(address, Address::Unix(_));
        let id = self.enter(socket.into(), SendSide::Connecting)?;
        let conn = self.conns.entry(id.index);
        // What a peer passes along with bytes cuts receives short on unix sockets.
        conn.until_empty = is_unix;
        match outcome {
            Outcome::UnderWay => {
                // Not before the call: a socket that does not connect counts as hung up.
                self.watch(id, true)?;
            }
            Outcome::Connected => {
                conn.send = SendSide::Open;
                self.watch(id, false)?;
                self.deferred.push_back(Completion::Connected { conn: id, result: Ok(()) });
            }
            Outcome::Failed(error) => {
                conn.send = SendSide::Ended;
                self.deferred.push_back(Completion::Connected { conn: id, result: Err(error) });
            }
        }
        Ok(id)
    }

    /// Enters a socket into the table.
    pub(crate) fn enter(&mut self, socket: OwnedFd, send: SendSide) -> Result<ConnId, IoError> {
        let id = self.conns.insert(socket, send).map_err(|_| IoError::DescriptorsExhausted)?;
        self.counters.connections.add(1);
        Ok(id)
    }

    /// Registers a connection with epoll; one that cannot be is closed.
    pub(crate) fn watch(&mut self, id: ConnId, output: bool) -> Result<(), IoError> {
        let conn = self.conns.entry(id.index);
        let Some(socket) = &conn.socket else { return Ok(()) };
        conn.watches_output = output;
        let watched = self.poller.watch_conn(socket, id, output);
        watched.map_err(|error| {
            self.close_conn(id, sidering_dataplane::io::CloseMode::Graceful);
            // ENOSPC is the bound of fs.epoll.max_user_watches.
            match error {
                Errno::NOSPC => IoError::OutOfMemory,
                error => io_error(error.raw_os_error()),
            }
        })
    }

    /// A connect is decided.
    #[cold]
    pub(crate) fn settle_connect(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        let Some(socket) = &conn.socket else { return };
        let result = match SockRef::from(socket).take_error() {
            Ok(None) => Ok(()),
            Ok(Some(error)) | Err(error) => Err(from_system(&error)),
        };
        conn.send = if result.is_ok() { SendSide::Open } else { SendSide::Ended };
        self.mark_dirty(id.index);
        self.follow_ups.push_back(Completion::Connected { conn: id, result });
    }
}

fn judge(error: &std::io::Error) -> Outcome {
    match Errno::from_io_error(error) {
        Some(Errno::INPROGRESS | Errno::INTR) => Outcome::UnderWay,
        // A unix socket's backlog is full. The system would tell nobody when it no longer is.
        Some(Errno::AGAIN) => Outcome::Failed(IoError::Refused),
        _ => Outcome::Failed(from_system(error)),
    }
}
