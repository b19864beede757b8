//! The receiving side of connections: when a receive is tried, parking, and the choice between small and bulk slots.

use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use sidering_dataplane::io::{Completion, ConnId};
use sidering_system::io_error;

use crate::conn::{BULK, Conn, Receive, SMALL};
use crate::epoll::Epoll;
use crate::options::EpollOptions;
use crate::slot::{EpollChunk, writable};

/// Receives of one connection in one turn at most.
pub(crate) const RECEIVES_PER_TURN: usize = 4;

/// Receives in a row that fill a whole small slot before a connection counts as bulky.
const FULL_BEFORE_BULK: u8 = 4;

/// Receives in a row that would have fitted a small slot before a bulky connection counts as small again.
const SMALL_BEFORE_SMALL: u8 = 16;

impl Epoll {
    /// `Io::receive`.
    pub(crate) fn start_receive(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        conn.pause_due = false;
        if conn.receive == Receive::Rest {
            conn.receive = Receive::Wanted;
            self.make_ready(id.index);
        }
    }

    /// `Io::pause`. Nothing is under way between two calls, so the receive is at rest at once.
    pub(crate) fn stop_receive(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        if conn.receive == Receive::Parked {
            self.counters.receives_parked.subtract(1);
        }
        if conn.receive != Receive::Ended {
            conn.receive = Receive::Rest;
        }
        if !conn.pause_due {
            conn.pause_due = true;
            self.deferred.push_back(Completion::Paused { conn: id });
        }
    }

    /// One receive from a connection that has something; `None` if nothing came of it.
    #[inline]
    pub(crate) fn receive_once(&mut self, index: u32) -> Option<Completion<EpollChunk>> {
        let conn = self.conns.entry(index);
        if !conn.may_receive() {
            return None;
        }
        let socket = conn.socket.as_ref()?;
        let group = &mut self.groups[usize::from(conn.group)];
        let Some(mut slot) = group.take() else {
            self.park(index);
            return None;
        };
        let received = loop {
            match recv(socket.as_fd(), writable(&mut slot), RecvFlags::DONTWAIT) {
                Err(Errno::INTR) => {}
                result => break result.map(|(_, bytes)| bytes),
            }
        };
        let id = ConnId { index, generation: conn.generation };
        match received {
            Ok(bytes) if bytes > 0 => {
                if bytes < group.slot_bytes() && !conn.until_empty {
                    conn.readable = false;
                }
                choose_group(conn, bytes, &self.options);
                return Some(Completion::Received { conn: id, chunk: EpollChunk::filled(slot, bytes) });
            }
            _ => group.give_back(slot),
        }
        let result = match received {
            Ok(_) => Ok(()),
            Err(Errno::AGAIN) => {
                conn.readable = false;
                return None;
            }
            Err(error) => Err(io_error(error.raw_os_error())),
        };
        conn.receive = Receive::Ended;
        Some(Completion::ReceiveEnded { conn: id, result })
    }

    #[cold]
    fn park(&mut self, index: u32) {
        self.counters.receives_parked_total.add(1);
        self.counters.receives_parked.add(1);
        let conn = self.conns.entry(index);
        conn.receive = Receive::Parked;
        let group = usize::from(conn.group);
        if !conn.listed[group] {
            conn.listed[group] = true;
            self.groups[group].park(index);
        }
    }

    /// Lets as many parked receives try again as there are slots for, oldest first.
    #[cold]
    pub(crate) fn unpark(&mut self) {
        for group in 0..self.groups.len() {
            let mut chances = self.groups[group].available();
            while chances > 0
                && let Some(index) = self.groups[group].pop_parked()
            {
                let conn = self.conns.entry(index);
                conn.listed[group] = false;
                if conn.receive == Receive::Parked {
                    conn.receive = Receive::Wanted;
                    self.counters.receives_parked.subtract(1);
                    self.make_ready(index);
                    chances -= 1;
                }
            }
        }
    }
}

/// Counts receives that would be better off in the other group, and changes when it is time.
#[inline]
fn choose_group(conn: &mut Conn, bytes: usize, options: &EpollOptions) {
    let small = options.slot_bytes as usize;
    let (speaks, enough, other) = if conn.group == SMALL {
        (bytes == small && options.bulk_slots_max > 0, FULL_BEFORE_BULK, BULK)
    } else {
        (bytes <= small, SMALL_BEFORE_SMALL, SMALL)
    };
    conn.streak = if speaks { conn.streak + 1 } else { 0 };
    if conn.streak >= enough {
        conn.streak = 0;
        conn.group = other;
    }
}
