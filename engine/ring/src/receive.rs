//! The receiving side of connections: arming, pausing, parking, and the choice between small and bulk slots.

use std::os::fd::AsFd;

use sidering_dataplane::io::{Completion, ConnId};
use sidering_system::io_error;

use crate::conn::{BULK, Conn, NO_RELAY, Receive, SMALL};
use crate::kernel::Finished;
use crate::ring::Ring;
use crate::slot::RingChunk;
use crate::system;
use crate::token::{Operation, Token};

/// Receives in a row that fill a whole small slot before a connection counts as bulky.
const FULL_BEFORE_BULK: u8 = 4;

/// Receives in a row that would have fitted a small slot before a bulky connection counts as small again.
const SMALL_BEFORE_SMALL: u8 = 16;

impl Ring {
    /// `Io::receive`.
    pub(crate) fn start_receive(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        conn.pause_due = false;
        match conn.receive {
            Receive::Rest => {
                conn.receive = Receive::Wanted;
                self.mark_dirty(id.index);
            }
            Receive::StopToRest => conn.receive = Receive::StopToResume,
            Receive::Wanted | Receive::Armed | Receive::StopToResume | Receive::Parked | Receive::Ended => {}
        }
    }

    /// `Io::pause`.
    pub(crate) fn stop_receive(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        match conn.receive {
            Receive::Armed => {
                conn.receive = Receive::StopToRest;
                self.kernel.cancel(Token::new(Operation::Receive, id.index, id.generation));
            }
            Receive::StopToResume => conn.receive = Receive::StopToRest,
            Receive::StopToRest => {}
            Receive::Rest | Receive::Wanted | Receive::Parked | Receive::Ended => {
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
        }
    }

    /// Arms a wanted receive: the end of a turn.
    #[inline]
    pub(crate) fn flush_receive(&mut self, index: u32) {
        let conn = self.conns.entry(index);
        // While a relay takes the bytes nobody else may.
        if conn.receive != Receive::Wanted || conn.relay_out != NO_RELAY || conn.address.is_some() {
            return;
        }
        let Some(socket) = &conn.socket else { return };
        if conn.nonblocking {
            // A failure would show as EAGAIN from the receive, which leads here again.
            conn.nonblocking = system::set_nonblocking(socket.as_fd(), false).is_err();
        }
        conn.receive = Receive::Armed;
        conn.armed_group = conn.wanted_group;
        conn.in_flight += 1;
        let group = self.groups[usize::from(conn.armed_group)].id();
        self.kernel.receive(socket, group, Token::new(Operation::Receive, index, conn.generation));
    }

    /// A completion of a receive.
    #[inline]
    pub(crate) fn handle_received(
        &mut self,
        token: Token,
        finished: Finished,
    ) -> Option<Completion<RingChunk>> {
        let conn = self.conns.entry(token.index);
        let last = !finished.more();
        if last {
            conn.in_flight -= 1;
            self.kernel.retire();
        }
        // A buffer that comes with a completion is ours now, whatever the result: it must go home.
        let chunk = finished.buffer().map(|slot| {
            let group = &mut self.groups[usize::from(conn.armed_group)];
            group.take(slot, finished.result.max(0) as u32)
        });
        if conn.generation != token.generation {
            drop(chunk);
            self.handle_late(token.index, last);
            return None;
        }
        let id = ConnId { index: token.index, generation: token.generation };
        if let Some(chunk) = chunk
            && finished.result > 0
        {
            if last {
                self.handle_stopped(id, libc::ECANCELED);
            } else if Self::speaks_for_other_group(conn, chunk.len(), &self.options) {
                self.change_group(id);
            }
            return Some(Completion::Received { conn: id, chunk });
        }
        match finished.result {
            0 => Some(self.end_receive(id, Ok(()))),
            error if last => match -error {
                errno @ (libc::ENOBUFS | libc::ECANCELED | libc::EAGAIN | libc::EINTR) => {
                    self.handle_stopped(id, errno);
                    None
                }
                errno => Some(self.end_receive(id, Err(io_error(errno)))),
            },
            _ => None,
        }
    }

    /// The receive is over for good. A pause under way is over, too.
    #[cold]
    fn end_receive(
        &mut self,
        id: ConnId,
        result: Result<(), sidering_dataplane::io::IoError>,
    ) -> Completion<RingChunk> {
        let conn = self.conns.entry(id.index);
        if conn.receive == Receive::StopToRest {
            conn.pause_due = true;
            self.follow_ups.push_back(Completion::Paused { conn: id });
        }
        conn.receive = Receive::Ended;
        Completion::ReceiveEnded { conn: id, result }
    }

    /// A multishot receive stopped without an end of the stream: by our cancel, for want of a slot, or because the
    /// kernel had no room for its completion.
    #[cold]
    fn handle_stopped(&mut self, id: ConnId, errno: i32) {
        let conn = self.conns.entry(id.index);
        match conn.receive {
            Receive::StopToRest => {
                conn.receive = Receive::Rest;
                conn.pause_due = true;
                self.follow_ups.push_back(Completion::Paused { conn: id });
            }
            Receive::Armed | Receive::StopToResume if errno == libc::ENOBUFS => self.park(id.index),
            Receive::Armed => {
                self.counters.multishot_rearms.add(1);
                conn.receive = Receive::Wanted;
                self.mark_dirty(id.index);
            }
            Receive::StopToResume => {
                conn.receive = Receive::Wanted;
                self.mark_dirty(id.index);
            }
            Receive::Rest | Receive::Wanted | Receive::Parked | Receive::Ended => {}
        }
    }

    fn park(&mut self, index: u32) {
        self.counters.receives_parked_total.add(1);
        self.counters.receives_parked.add(1);
        let conn = self.conns.entry(index);
        conn.receive = Receive::Parked;
        let group = usize::from(conn.armed_group);
        if !conn.listed[group] {
            conn.listed[group] = true;
            self.groups[group].park(index);
        }
    }

    /// Lets as many parked receives try again as there are slots for. At the end of a turn, after slots that came home
    /// were published.
    pub(crate) fn unpark(&mut self) {
        for group in [SMALL, BULK] {
            let group = usize::from(group);
            let mut chances = self.groups[group].slots_published();
            while chances > 0
                && let Some(index) = self.groups[group].pop_parked()
            {
                let conn = self.conns.entry(index);
                conn.listed[group] = false;
                if conn.is_live() && conn.receive == Receive::Parked {
                    conn.receive = Receive::Wanted;
                    self.counters.receives_parked.subtract(1);
                    self.mark_dirty(index);
                    chances -= 1;
                }
            }
        }
    }

    /// Counts receives that would be better off in the other group. True when it is time to change.
    #[inline]
    fn speaks_for_other_group(conn: &mut Conn, bytes: usize, options: &crate::RingOptions) -> bool {
        let small = options.slot_bytes as usize;
        let (speaks, enough) = if conn.armed_group == SMALL {
            (bytes == small && options.bulk_slots_max > 0, FULL_BEFORE_BULK)
        } else {
            (bytes <= small, SMALL_BEFORE_SMALL)
        };
        if !speaks {
            conn.streak = 0;
            return false;
        }
        conn.streak += 1;
        conn.streak >= enough
    }

    /// Moves a connection to the other group: the receive is cancelled and armed again.
    #[cold]
    fn change_group(&mut self, id: ConnId) {
        let conn = self.conns.entry(id.index);
        conn.streak = 0;
        conn.wanted_group = if conn.armed_group == SMALL { BULK } else { SMALL };
        if conn.wanted_group == BULK {
            self.groups[usize::from(BULK)].wake();
        }
        if conn.receive == Receive::Armed {
            conn.receive = Receive::StopToResume;
            self.kernel.cancel(Token::new(Operation::Receive, id.index, id.generation));
        }
    }
}
