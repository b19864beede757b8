//! Listening sockets of one core: accepting, its failures, and leaving nobody behind at the end.
//!
//! ```text
//!           accept             error, table full: AcceptFailed
//!   Rest ───────────► Watched ──────────────────────────────────► Rest
//!    │                   │
//!    └──close_listener───┴──► draining (the backlog is accepted) ──► closed
//! ```

use std::os::fd::{AsFd, OwnedFd};

use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{SocketFlags, accept_with};
use sidering_dataplane::io::{Completion, ConnId, IoError, ListenerId};
use sidering_system::io_error;
use socket2::SockRef;

use crate::conn::SendSide;
use crate::epoll::Epoll;

/// Connections taken from one listener's backlog in one turn at most.
const ACCEPTED_PER_TURN: u32 = 64;

/// One listening socket, or a free entry.
struct Listener {
    id: ListenerId,
    socket: Option<OwnedFd>,
    /// Tells sockets apart that use the same entry one after the other.
    serial: u32,
    is_watched: bool,
    closing: bool,
    is_unix: bool,
    /// Connections to accept at the next event, and the turn of the last one. A single arrival costs one call; where
    /// more come than are accepted, each turn takes twice as many.
    burst: u32,
    last_turn: u32,
}

/// The listening sockets of one core: as many as the configuration has, and those being closed.
#[derive(Default)]
pub(crate) struct Listeners {
    entries: Vec<Listener>,
    /// Closing listeners.
    draining: Vec<u32>,
    next_serial: u32,
}

impl Listeners {
    fn find(&self, id: ListenerId) -> Option<u32> {
        let is_it = |entry: &Listener| entry.id == id && entry.socket.is_some() && !entry.closing;
        self.entries.iter().position(is_it).map(|index| index as u32)
    }

    fn insert(&mut self, id: ListenerId, socket: OwnedFd) {
        self.next_serial = self.next_serial.wrapping_add(1);
        let is_unix = SockRef::from(&socket).local_addr().is_ok_and(|address| address.is_unix());
        let listener = Listener {
            id,
            socket: Some(socket),
            serial: self.next_serial,
            is_watched: false,
            closing: false,
            is_unix,
            burst: 1,
            last_turn: 0,
        };
        match self.entries.iter_mut().find(|entry| entry.socket.is_none()) {
            Some(vacant) => *vacant = listener,
            None => self.entries.push(listener),
        }
    }

    #[inline]
    pub(crate) fn has_draining(&self) -> bool {
        !self.draining.is_empty()
    }
}

impl Epoll {
    /// Takes a listening socket over, bound and listening; `accept` starts it. A socket that had the same number is
    /// closed as by `close_listener`.
    pub fn add_listener(&mut self, id: ListenerId, socket: OwnedFd) {
        self.stop_listener(id);
        // Another core may be faster between the event and the accept. The only failure is a descriptor of another
        // kind, whose accept will tell.
        let _ = ioctl_fionbio(&socket, true);
        self.listeners.insert(id, socket);
    }

    /// `Io::accept`.
    pub(crate) fn start_accept(&mut self, id: ListenerId) {
        let Some(index) = self.listeners.find(id) else {
            let error = IoError::Other(Errno::BADF.raw_os_error());
            self.deferred.push_back(Completion::AcceptFailed { listener: id, error });
            return;
        };
        let entry = &mut self.listeners.entries[index as usize];
        let Some(socket) = &entry.socket else { return };
        if entry.is_watched {
            return;
        }
        match self.poller.watch_listener(socket, index, entry.serial) {
            Ok(()) => entry.is_watched = true,
            Err(error) => {
                let error = io_error(error.raw_os_error());
                self.deferred.push_back(Completion::AcceptFailed { listener: id, error });
            }
        }
    }

    /// `Io::close_listener`.
    pub(crate) fn stop_listener(&mut self, id: ListenerId) {
        let Some(index) = self.listeners.find(id) else { return };
        self.forget_listener(index);
        self.listeners.entries[index as usize].closing = true;
        self.listeners.draining.push(index);
    }

    fn forget_listener(&mut self, index: u32) {
        let entry = &mut self.listeners.entries[index as usize];
        if let (true, Some(socket)) = (entry.is_watched, &entry.socket) {
            self.poller.forget_listener(socket);
            entry.is_watched = false;
        }
    }

    /// Something waits in a listener's backlog.
    #[cold]
    pub(crate) fn accept_some(&mut self, index: u32, serial: u32) {
        let Some(entry) = self.listeners.entries.get_mut(index as usize) else { return };
        if entry.serial != serial || !entry.is_watched {
            return;
        }
        let goes_on = entry.last_turn.wrapping_add(1) == self.turn;
        entry.burst = if goes_on { (entry.burst * 2).min(ACCEPTED_PER_TURN) } else { 1 };
        entry.last_turn = self.turn;
        let id = entry.id;
        for _ in 0..entry.burst {
            match self.accept_one(index) {
                Ok(Some(conn)) => {
                    self.follow_ups.push_back(Completion::Accepted { listener: id, conn });
                }
                Ok(None) => return,
                Err(error) => {
                    self.forget_listener(index);
                    self.follow_ups.push_back(Completion::AcceptFailed { listener: id, error });
                    return;
                }
            }
        }
    }

    /// Accepts one connection; `None` if none waits. Where the table is full it stays in the backlog.
    fn accept_one(&mut self, index: u32) -> Result<Option<ConnId>, IoError> {
        if self.conns.is_full() {
            return Err(IoError::DescriptorsExhausted);
        }
        let entry = &self.listeners.entries[index as usize];
        let Some(listener) = &entry.socket else { return Ok(None) };
        let is_unix = entry.is_unix;
        let socket = loop {
            match accept_with(listener.as_fd(), SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(socket) => break socket,
                Err(Errno::AGAIN) => return Ok(None),
                Err(
                    error @ (Errno::MFILE
                    | Errno::NFILE
                    | Errno::NOMEM
                    | Errno::NOBUFS
                    | Errno::BADF
                    | Errno::INVAL),
                ) => return Err(io_error(error.raw_os_error())),
                // A signal, or the misfortune of one connection that died in the backlog.
                Err(_) => {}
            }
        };
        let id = self.enter(socket, SendSide::Open)?;
        self.conns.entry(id.index).until_empty = is_unix;
        self.watch(id, false)?;
        Ok(Some(id))
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
        let id = self.listeners.entries[index as usize].id;
        for _ in 0..ACCEPTED_PER_TURN {
            match self.accept_one(index) {
                Ok(Some(conn)) => self.deferred.push_back(Completion::Accepted { listener: id, conn }),
                Ok(None) | Err(_) => return true,
            }
        }
        false
    }
}
