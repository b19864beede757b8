//! Listening sockets of one core: accepting, its failures, and leaving nobody behind at the end.
//!
//! ```text
//!           accept                     error: AcceptFailed
//!   Rest ───────────► Armed ───────────────────────────────► Rest
//!    │                  │ table full: cancelled ──► Refusing ─┘
//!    │ close_listener   │ close_listener: cancelled
//!    └──────────────────┴──────────► draining (the backlog is accepted) ──► closed
//! ```

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use sidering_dataplane::io::{Completion, IoError, ListenerId};
use sidering_system::io_error;
use socket2::SockRef;

use crate::conn::SendSide;
use crate::kernel::Finished;
use crate::ring::Ring;
use crate::slot::RingChunk;
use crate::system;
use crate::token::{Operation, Token};

/// Connections taken from a closing listener's backlog in one turn.
const DRAINED_PER_TURN: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Accepting {
    Rest,
    Armed,
    /// Cancelled because the connection table is full.
    Refusing,
}

/// One listening socket, or a free entry.
struct Listener {
    id: ListenerId,
    socket: Option<OwnedFd>,
    state: Accepting,
    closing: bool,
}

/// The listening sockets of one core: as many as the configuration has, and those being closed.
#[derive(Default)]
pub(crate) struct Listeners {
    entries: Vec<Listener>,
    /// Closing listeners whose accept is over.
    draining: Vec<u32>,
}

impl Listeners {
    fn find(&self, id: ListenerId) -> Option<u32> {
        let is_it = |entry: &Listener| entry.id == id && entry.socket.is_some() && !entry.closing;
        self.entries.iter().position(is_it).map(|index| index as u32)
    }

    fn insert(&mut self, id: ListenerId, socket: OwnedFd) {
        let listener = Listener { id, socket: Some(socket), state: Accepting::Rest, closing: false };
        let vacant =
            self.entries.iter().position(|entry| entry.socket.is_none() && entry.state == Accepting::Rest);
        match vacant {
            Some(index) => self.entries[index] = listener,
            None => self.entries.push(listener),
        }
    }

    /// Whether backlogs are being drained.
    #[inline]
    pub(crate) fn has_draining(&self) -> bool {
        !self.draining.is_empty()
    }

    /// No accept is started again from here on.
    pub(crate) fn close_after_cancel(&mut self) {
        for entry in &mut self.entries {
            entry.closing = true;
        }
    }

    /// Closes every socket at once.
    pub(crate) fn close_all(&mut self) {
        self.entries.clear();
        self.draining.clear();
    }
}

impl Ring {
    /// Takes a listening socket over, bound and listening; `accept` starts it. A socket that had the same number is
    /// closed as by `close_listener`.
    pub fn add_listener(&mut self, id: ListenerId, socket: OwnedFd) {
        self.stop_listener(id);
        // The socket may come from a process that had other habits. A failure shows as EAGAIN later, which is handled.
        let _ = system::set_nonblocking(socket.as_fd(), false);
        self.listeners.insert(id, socket);
    }

    /// `Io::accept`.
    pub(crate) fn start_accept(&mut self, id: ListenerId) {
        match self.listeners.find(id) {
            Some(index) => self.arm_accept(index),
            None => {
                let error = IoError::Other(libc::EBADF);
                self.deferred.push_back(Completion::AcceptFailed { listener: id, error });
            }
        }
    }

    fn arm_accept(&mut self, index: u32) {
        let entry = &mut self.listeners.entries[index as usize];
        let Some(socket) = &entry.socket else { return };
        if entry.state == Accepting::Rest && !entry.closing {
            entry.state = Accepting::Armed;
            self.kernel.accept(socket, Token::new(Operation::Accept, index, 0));
        }
    }

    /// `Io::close_listener`.
    pub(crate) fn stop_listener(&mut self, id: ListenerId) {
        let Some(index) = self.listeners.find(id) else { return };
        let entry = &mut self.listeners.entries[index as usize];
        entry.closing = true;
        match entry.state {
            Accepting::Rest => self.listeners.draining.push(index),
            Accepting::Armed => self.kernel.cancel(Token::new(Operation::Accept, index, 0)),
            Accepting::Refusing => {}
        }
    }

    /// A completion of an accept.
    pub(crate) fn handle_accepted(
        &mut self,
        token: Token,
        finished: Finished,
    ) -> Option<Completion<RingChunk>> {
        // SAFETY: this is the completion of an accept, and each comes here once.
        let socket = unsafe { finished.accepted() };
        let last = !finished.more();
        if last {
            self.kernel.retire();
        }
        let entry = &mut self.listeners.entries[token.index as usize];
        let id = entry.id;
        let was_refusing = entry.state == Accepting::Refusing;
        if last {
            entry.state = Accepting::Rest;
            if entry.closing {
                self.listeners.draining.push(token.index);
            } else {
                self.resume_accept(token.index, was_refusing, finished.result);
            }
        }
        let socket = socket?;
        match self.admit(socket) {
            Some(conn) => Some(Completion::Accepted { listener: id, conn }),
            None => {
                self.refuse(token.index);
                None
            }
        }
    }

    /// Enters an accepted socket; `None` (and the socket closed) if the table is full.
    fn admit(&mut self, socket: OwnedFd) -> Option<sidering_dataplane::io::ConnId> {
        let conn = self.conns.insert(socket, SendSide::Open).ok()?;
        self.counters.connections.add(1);
        Some(conn)
    }

    /// The table is full: stops accepting until the data plane starts it again.
    #[cold]
    fn refuse(&mut self, index: u32) {
        let entry = &mut self.listeners.entries[index as usize];
        match entry.state {
            Accepting::Armed if !entry.closing => {
                entry.state = Accepting::Refusing;
                self.kernel.cancel(Token::new(Operation::Accept, index, 0));
            }
            Accepting::Armed | Accepting::Rest | Accepting::Refusing => {}
        }
    }

    /// A multishot accept ended by itself: goes on, or tells that it cannot.
    #[cold]
    fn resume_accept(&mut self, index: u32, was_refusing: bool, result: i32) {
        let id = self.listeners.entries[index as usize].id;
        let failed = |error| Completion::AcceptFailed { listener: id, error };
        if was_refusing {
            self.follow_ups.push_back(failed(IoError::DescriptorsExhausted));
            return;
        }
        match -result {
            errno @ (libc::EMFILE
            | libc::ENFILE
            | libc::ENOMEM
            | libc::ENOBUFS
            | libc::EBADF
            | libc::EINVAL) => {
                self.follow_ups.push_back(failed(io_error(errno)));
            }
            errno => {
                if errno == libc::EAGAIN
                    && let Some(socket) = &self.listeners.entries[index as usize].socket
                {
                    // Somebody who shares this socket turned O_NONBLOCK on.
                    let _ = system::set_nonblocking(socket.as_fd(), false);
                }
                // Success, or the misfortune of one connection that died in the backlog.
                self.counters.multishot_rearms.add(1);
                self.arm_accept(index);
            }
        }
    }

    /// Accepts what waits in the backlogs of closing listeners, and closes those that have none left. At the end of a
    /// turn.
    #[cold]
    pub(crate) fn drain_listeners(&mut self) {
        for index in std::mem::take(&mut self.listeners.draining) {
            if self.drain_listener(index) {
                self.listeners.entries[index as usize].socket = None;
            } else {
                self.listeners.draining.push(index);
            }
        }
    }

    /// True when nothing is left to accept.
    fn drain_listener(&mut self, index: u32) -> bool {
        for _ in 0..DRAINED_PER_TURN {
            let entry = &self.listeners.entries[index as usize];
            let Some(socket) = &entry.socket else { return true };
            // Not O_NONBLOCK: a process that shares the socket would find it turned on. Should such a process be
            // faster between these two calls, the timeout keeps this core from waiting.
            if !system::is_readable(socket.as_fd()) {
                return true;
            }
            let listener = SockRef::from(socket);
            let _ = listener.set_read_timeout(Some(Duration::from_millis(1)));
            let Ok((socket, _)) = listener.accept() else { return true };
            let id = entry.id;
            match self.admit(socket.into()) {
                Some(conn) => self.deferred.push_back(Completion::Accepted { listener: id, conn }),
                None => return true,
            }
        }
        false
    }
}
