//! The epoll instance: who is watched, and what an event says of whom. It keeps no account of connections.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use sidering_dataplane::io::ConnId;

use crate::options::INDEX_LIMIT;

pub(crate) use rustix::event::epoll::EventFlags;

/// What every connection is watched for: bytes, urgent ones too, its FIN, and (always told) errors and hang-ups.
const ARRIVALS: EventFlags =
    EventFlags::IN.union(EventFlags::PRI).union(EventFlags::RDHUP).union(EventFlags::ET);

/// Whom an event concerns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    Conn(ConnId),
    /// A listener's index and serial number.
    Listener(u32, u32),
    Mailbox,
}

const MAILBOX: u64 = u64::MAX;

impl Source {
    #[inline]
    fn token(self) -> epoll::EventData {
        let (index, tag) = match self {
            Source::Conn(conn) => (conn.index, conn.generation),
            Source::Listener(index, serial) => (INDEX_LIMIT + index, serial),
            Source::Mailbox => return epoll::EventData::new_u64(MAILBOX),
        };
        epoll::EventData::new_u64(u64::from(tag) << 32 | u64::from(index))
    }

    #[inline]
    fn of(token: u64) -> Source {
        let (index, tag) = (token as u32, (token >> 32) as u32);
        match index {
            _ if token == MAILBOX => Source::Mailbox,
            _ if index < INDEX_LIMIT => Source::Conn(ConnId { index, generation: tag }),
            _ => Source::Listener(index - INDEX_LIMIT, tag),
        }
    }
}

/// How long a wait may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wait {
    No,
    Micros(u64),
    Forever,
}

/// One core's epoll instance and the events of its last wait.
pub(crate) struct Poller {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Poller {
    pub(crate) fn new(events_max: usize) -> io::Result<Poller> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let none = epoll::Event { flags: EventFlags::empty(), data: epoll::EventData::new_u64(MAILBOX) };
        Ok(Poller { epoll, events: vec![none; events_max] })
    }

    /// Watches a connection, edge-triggered, for what arrives, and for room to send if `output`. What it is ready for
    /// now is told at the next wait.
    pub(crate) fn watch_conn(&self, socket: &OwnedFd, conn: ConnId, output: bool) -> Result<(), Errno> {
        epoll::add(&self.epoll, socket, Source::Conn(conn).token(), flags(output))
    }

    /// Watches a connection for room to send, too.
    pub(crate) fn watch_output(&self, socket: &OwnedFd, conn: ConnId) -> Result<(), Errno> {
        epoll::modify(&self.epoll, socket, Source::Conn(conn).token(), flags(true))
    }

    /// Watches a listening socket. As long as something waits in its backlog every wait tells of it; of several
    /// instances that watch one socket, one is woken.
    pub(crate) fn watch_listener(&self, socket: &OwnedFd, index: u32, serial: u32) -> Result<(), Errno> {
        let source = Source::Listener(index, serial);
        epoll::add(&self.epoll, socket, source.token(), EventFlags::IN | EventFlags::EXCLUSIVE)
    }

    /// Forgets a listening socket. Closing it is not enough: its duplicates on other cores keep it registered.
    pub(crate) fn forget_listener(&self, socket: &OwnedFd) {
        // The only failure is that it is not watched.
        let _ = epoll::delete(&self.epoll, socket);
    }

    /// Forgets a connection whose socket goes on to live elsewhere.
    pub(crate) fn forget_conn(&self, socket: &OwnedFd) {
        // The only failure is that it is not watched.
        let _ = epoll::delete(&self.epoll, socket);
    }

    /// Watches an eventfd: each write to it is told once, whether it is read or not.
    pub(crate) fn watch_mailbox(&self, eventfd: &OwnedFd) -> Result<(), Errno> {
        epoll::add(&self.epoll, eventfd.as_fd(), Source::Mailbox.token(), EventFlags::IN | EventFlags::ET)
    }

    /// Waits for events, and gives their number.
    pub(crate) fn wait(&mut self, wait: Wait) -> io::Result<usize> {
        let timeout = match wait {
            Wait::No => Some(0),
            Wait::Micros(micros) => Some(micros),
            Wait::Forever => None,
        };
        // Rounded up to milliseconds on its way, so that a deadline has passed when the wait is over.
        let timeout = timeout.map(|micros| Timespec {
            tv_sec: i64::try_from(micros / 1_000_000).unwrap_or(i64::MAX).min(LONGEST_WAIT_SECONDS),
            tv_nsec: (micros % 1_000_000 * 1000) as _,
        });
        match epoll::wait(&self.epoll, &mut self.events[..], timeout.as_ref()) {
            Err(Errno::INTR) => Ok(0),
            waited => waited.map_err(io::Error::from),
        }
    }

    /// One of the events of the last wait.
    #[inline]
    pub(crate) fn event(&self, position: usize) -> (Source, EventFlags) {
        let event = self.events[position];
        let (data, flags) = (event.data, event.flags);
        (Source::of(data.u64()), flags)
    }
}

/// Kernels without epoll_pwait2 count milliseconds in 31 bits.
const LONGEST_WAIT_SECONDS: i64 = 1_000_000;

fn flags(output: bool) -> EventFlags {
    if output { ARRIVALS | EventFlags::OUT } else { ARRIVALS }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    fn tokens_say_whom_they_concern() {
        let last = ConnId { index: INDEX_LIMIT - 1, generation: u32::MAX };
        for source in [
            Source::Conn(ConnId { index: 0, generation: 0 }),
            Source::Conn(last),
            Source::Listener(0, 7),
            Source::Listener(1000, u32::MAX),
            Source::Mailbox,
        ] {
            assert_eq!(Source::of(source.token().u64()), source);
        }
    }

    #[test]
    fn an_edge_is_told_once_and_again_with_more_bytes() {
        let mut poller = Poller::new(4).unwrap();
        let (mut near, far) = UnixStream::pair().unwrap();
        let conn = ConnId { index: 3, generation: 9 };
        let far = OwnedFd::from(far);
        poller.watch_conn(&far, conn, false).unwrap();
        assert_eq!(poller.wait(Wait::No).unwrap(), 0);
        for _ in 0..2 {
            near.write_all(b"x").unwrap();
            assert_eq!(poller.wait(Wait::Forever).unwrap(), 1);
            assert_eq!(poller.event(0), (Source::Conn(conn), EventFlags::IN));
            assert_eq!(poller.wait(Wait::No).unwrap(), 0);
        }
        poller.watch_output(&far, conn).unwrap();
        assert_eq!(poller.wait(Wait::Forever).unwrap(), 1);
        assert_eq!(poller.event(0).1, EventFlags::IN | EventFlags::OUT);
    }
}
