//! The sending side of connections: one gathered send per connection and turn, its completion, and the end of the
//! stream behind the queue.

use std::net::Shutdown;
use std::os::fd::AsFd;

use sidering_dataplane::io::{Completion, ConnId, IoError, RelayEnd, Segment};
use sidering_system::queue::Barrier;
use sidering_system::{from_system, io_error};
use socket2::SockRef;

use crate::conn::{NO_RELAY, SendSide};
use crate::kernel::Finished;
use crate::outgoing::Prepared;
use crate::ring::Ring;
use crate::slot::RingChunk;
use crate::system;
use crate::token::{Operation, Token};

impl Ring {
    /// `Io::send`.
    #[inline]
    pub(crate) fn queue_segment(&mut self, id: ConnId, segment: Segment<RingChunk>) {
        let Some(conn) = self.conns.get(id) else { return };
        if conn.send == SendSide::Ended || conn.finishing || segment.is_empty() {
            return;
        }
        conn.outgoing.get_or_insert_with(|| self.spare.holder()).push(segment);
        if conn.send == SendSide::Open {
            self.mark_dirty(id.index);
        }
    }

    /// `Io::shutdown`.
    pub(crate) fn queue_finish(&mut self, id: ConnId) {
        self.queue_barrier(id, Barrier::Finish);
        if let Some(conn) = self.conns.get(id) {
            conn.finishing = true;
        }
    }

    /// Puts a barrier behind everything queued. False if the connection sends no more.
    pub(crate) fn queue_barrier(&mut self, id: ConnId, barrier: Barrier) -> bool {
        let Some(conn) = self.conns.get(id) else { return false };
        if conn.send == SendSide::Ended || conn.finishing {
            return false;
        }
        conn.outgoing.get_or_insert_with(|| self.spare.holder()).push_barrier(barrier);
        self.mark_dirty(id.index);
        true
    }

    /// Carries out what is due on the sending side: the end of a turn.
    #[inline]
    pub(crate) fn flush_send(&mut self, index: u32) {
        let conn = self.conns.entry(index);
        if conn.send != SendSide::Open || conn.relay_in != NO_RELAY {
            self.drop_unsent(index);
            return;
        }
        let Some(outgoing) = &mut conn.outgoing else { return };
        if !outgoing.has_due_segments() {
            self.pass_barriers(index);
            return;
        }
        if conn.socket.is_none() || (self.sends_directly && self.send_directly(index)) {
            return;
        }
        self.submit_send(index);
    }

    /// Sends by a system call what the peer takes at once. True if nothing is left for the ring to do.
    ///
    /// A send through the ring costs a completion, and where little goes on, that is one more turn. What is not taken
    /// whole, and what fails, goes through the ring, which waits for room and tells errors.
    fn send_directly(&mut self, index: u32) -> bool {
        let conn = self.conns.entry(index);
        let (Some(outgoing), Some(socket)) = (&mut conn.outgoing, &conn.socket) else { return true };
        let prepared = outgoing.prepare(&mut self.spare);
        let more = outgoing.ends_behind_this();
        let sent = match prepared {
            // SAFETY: the bytes belong to the first segment of the connection's holder, which lives across the call.
            Prepared::One { address, bytes } => unsafe { system::send(socket.as_fd(), address, bytes, more) },
            // SAFETY: as above; header and vectors are in a box of the same holder.
            Prepared::Many { message } => unsafe { system::send_many(socket.as_fd(), message, more) },
        };
        let bytes = sent.unwrap_or(0);
        let short = outgoing.complete(bytes, &mut self.spare);
        if bytes > 0 {
            let conn = self.conns.id(index);
            self.sent.push(Completion::Sent { conn, bytes });
        }
        if short {
            return false;
        }
        self.settle_outgoing(index);
        true
    }

    fn submit_send(&mut self, index: u32) {
        let conn = self.conns.entry(index);
        let (Some(outgoing), Some(socket)) = (&mut conn.outgoing, &conn.socket) else { return };
        if conn.nonblocking {
            conn.nonblocking = system::set_nonblocking(socket.as_fd(), false).is_err();
        }
        conn.send = SendSide::Sending;
        conn.in_flight += 1;
        let token = Token::new(Operation::Send, index, conn.generation);
        let prepared = outgoing.prepare(&mut self.spare);
        let more = outgoing.ends_behind_this();
        match prepared {
            // SAFETY: the bytes belong to the first segment of the connection's holder, which is neither changed nor
            // dropped before the completion: `complete` comes then, and `close` keeps what is in flight. Segments are
            // read-only by contract, and their bytes do not move when the queue does.
            Prepared::One { address, bytes } => unsafe {
                self.kernel.send(socket, address, bytes, more, token);
            },
            // SAFETY: as above; header and vectors are in a box of the holder that stays there until `complete`.
            Prepared::Many { message } => unsafe { self.kernel.send_many(socket, message, more, token) },
        }
    }

    /// Everything before the first barrier is sent: lets it have its turn.
    #[cold]
    pub(crate) fn pass_barriers(&mut self, index: u32) {
        loop {
            let conn = self.conns.entry(index);
            if conn.relay_in != NO_RELAY {
                return;
            }
            if conn.send != SendSide::Open {
                break;
            }
            let Some(barrier) = conn.outgoing.as_mut().and_then(|outgoing| outgoing.pop_due_barrier()) else {
                break;
            };
            match barrier {
                Barrier::Finish => self.finish_sending(index),
                Barrier::Relay { index: relay, serial } => self.start_relay(relay, serial),
            }
        }
        self.settle_outgoing(index);
    }

    fn finish_sending(&mut self, index: u32) {
        let id = self.conns.id(index);
        let conn = self.conns.entry(index);
        let Some(socket) = &conn.socket else { return };
        // The ring would do this on a worker thread; the call itself is cheap.
        let result = SockRef::from(socket).shutdown(Shutdown::Write);
        conn.send = SendSide::Ended;
        if let Err(error) = result {
            self.deferred.push_back(Completion::SendFailed { conn: id, error: from_system(&error) });
        }
    }

    /// After a change of the queue: returns an empty holder, or makes sure that what is due is sent.
    #[inline]
    fn settle_outgoing(&mut self, index: u32) {
        let conn = self.conns.entry(index);
        let Some(outgoing) = &conn.outgoing else { return };
        if outgoing.is_empty() {
            if let Some(holder) = conn.outgoing.take() {
                self.spare.keep_holder(holder);
            }
        } else if outgoing.has_due_segments() {
            self.mark_dirty(index);
        } else if conn.send == SendSide::Open {
            // Now rather than at the end of the turn, because a relay may then start in this very turn.
            self.pass_barriers(index);
        }
    }

    /// A completion of a send.
    #[inline]
    pub(crate) fn handle_sent(&mut self, token: Token, finished: Finished) -> Option<Completion<RingChunk>> {
        self.kernel.retire();
        let conn = self.conns.entry(token.index);
        conn.in_flight -= 1;
        let bytes = finished.result.max(0) as usize;
        let short = conn.outgoing.as_mut().is_some_and(|outgoing| outgoing.complete(bytes, &mut self.spare));
        if conn.send == SendSide::Sending {
            conn.send = SendSide::Open;
        }
        if conn.generation != token.generation {
            self.handle_late(token.index, true);
            return None;
        }
        let id = ConnId { index: token.index, generation: token.generation };
        if finished.result <= 0 {
            return self.handle_send_error(id, -finished.result);
        }
        if short {
            self.counters.short_sends.add(1);
        }
        self.settle_outgoing(token.index);
        Some(Completion::Sent { conn: id, bytes })
    }

    #[cold]
    fn handle_send_error(&mut self, id: ConnId, errno: i32) -> Option<Completion<RingChunk>> {
        if matches!(errno, libc::EAGAIN | libc::EINTR) {
            self.mark_dirty(id.index);
            return None;
        }
        // Nothing sent and no error: the peer cannot be there any more.
        let error = if errno == 0 { IoError::BrokenPipe } else { io_error(errno) };
        self.fail_sending(id, error)
    }

    /// What a failed connection had queued is kept for [`Ring::unsent`] until the failure was told, and no longer: slots may
    /// wait for it.
    #[cold]
    fn drop_unsent(&mut self, index: u32) {
        let conn = self.conns.entry(index);
        if conn.send == SendSide::Ended
            && let Some(mut outgoing) = conn.outgoing.take()
        {
            outgoing.drop_waiting();
            self.spare.keep_holder(outgoing);
        }
    }

    /// Ends the sending side, and with it relays into the connection, which report the failure in its place. What is queued
    /// is dropped at the end of the turn.
    pub(crate) fn fail_sending(&mut self, id: ConnId, error: IoError) -> Option<Completion<RingChunk>> {
        let conn = self.conns.entry(id.index);
        conn.send = SendSide::Ended;
        let running = conn.relay_in;
        let mut relays = Vec::new();
        if let Some(outgoing) = &mut conn.outgoing {
            for barrier in outgoing.take_barriers() {
                if let Barrier::Relay { index, serial } = barrier {
                    relays.push((index, serial));
                }
            }
            self.mark_dirty(id.index);
        }
        let mut reported = false;
        if running != NO_RELAY {
            self.end_relay(running, RelayEnd::DestinationFailed(error));
            reported = true;
        }
        for (index, serial) in relays {
            if self.relays.is_current(index, serial) {
                self.end_relay(index, RelayEnd::DestinationFailed(error));
                reported = true;
            }
        }
        (!reported).then_some(Completion::SendFailed { conn: id, error })
    }
}
