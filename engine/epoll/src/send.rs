//! The sending side of connections: one gathered send per connection and turn, tried at once, what waits for room, and
//! the end of the stream behind the queue.

use std::net::Shutdown;
use std::os::fd::AsFd;

use sidering_dataplane::io::{Completion, ConnId, IoError, RelayEnd, Segment};
use sidering_system::queue::Barrier;
use sidering_system::{from_system, io_error};
use socket2::SockRef;

use crate::conn::{NO_RELAY, SendSide};
use crate::epoll::Epoll;
use crate::outgoing::send_some;
use crate::slot::EpollChunk;

impl Epoll {
    /// `Io::send`.
    #[inline]
    pub(crate) fn queue_segment(&mut self, id: ConnId, segment: Segment<EpollChunk>) {
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

    /// Carries out what is due on the sending sides. What comes of it is in `sent`; connections that have more to send
    /// than goes in one call are left in `dirty`.
    #[inline]
    pub(crate) fn flush(&mut self) {
        std::mem::swap(&mut self.dirty, &mut self.flushing);
        for position in 0..self.flushing.len() {
            let index = self.flushing[position];
            self.conns.entry(index).dirty = false;
            self.flush_send(index);
        }
        self.flushing.clear();
    }

    #[inline]
    fn flush_send(&mut self, index: u32) {
        let conn = self.conns.entry(index);
        if conn.send != SendSide::Open || conn.relay_in != NO_RELAY {
            self.drop_unsent(index);
            return;
        }
        let (Some(outgoing), Some(socket)) = (&mut conn.outgoing, &conn.socket) else { return };
        if outgoing.due_segments() == 0 {
            self.pass_barriers(index);
            return;
        }
        let taken = send_some(outgoing, socket.as_fd());
        let id = self.conns.id(index);
        match taken {
            Ok(taken) => {
                if taken.bytes > 0 {
                    self.sent.push(Completion::Sent { conn: id, bytes: taken.bytes });
                }
                if taken.short {
                    self.counters.short_sends.add(1);
                    self.wait_for_room(id);
                } else {
                    self.settle_outgoing(index);
                }
            }
            Err(error) => {
                let failed = self.fail_sending(id, io_error(error.raw_os_error()));
                self.sent.extend(failed);
            }
        }
    }

    /// The kernel has no room: an edge will tell when it has. The first time this has to be asked for.
    #[cold]
    pub(crate) fn wait_for_room(&mut self, id: ConnId) {
        let conn = self.conns.entry(id.index);
        conn.send = SendSide::Blocked;
        let Some(socket) = &conn.socket else { return };
        if conn.watches_output {
            return;
        }
        match self.poller.watch_output(socket, id) {
            Ok(()) => conn.watches_output = true,
            Err(error) => {
                let failed = self.fail_sending(id, io_error(error.raw_os_error()));
                self.deferred.extend(failed);
            }
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
        let result = SockRef::from(socket).shutdown(Shutdown::Write);
        conn.send = SendSide::Ended;
        if let Err(error) = result {
            self.deferred.push_back(Completion::SendFailed { conn: id, error: from_system(&error) });
        }
    }

    /// After a change of the queue: returns an empty one, or makes sure that what is due is sent.
    #[inline]
    fn settle_outgoing(&mut self, index: u32) {
        let conn = self.conns.entry(index);
        let Some(outgoing) = &conn.outgoing else { return };
        if outgoing.is_empty() {
            if let Some(holder) = conn.outgoing.take() {
                self.spare.keep(holder);
            }
        } else if outgoing.due_segments() > 0 {
            self.mark_dirty(index);
        } else if conn.send == SendSide::Open {
            self.pass_barriers(index);
        }
    }

    /// What a failed connection had queued is kept for [`Epoll::unsent`] until the failure was told, and no longer: slots may
    /// wait for it.
    #[cold]
    fn drop_unsent(&mut self, index: u32) {
        let conn = self.conns.entry(index);
        if conn.send == SendSide::Ended
            && let Some(outgoing) = conn.outgoing.take()
        {
            self.spare.keep(outgoing);
        }
    }

    /// Ends the sending side, and with it relays into the connection, which report the failure in its place. What is queued
    /// is dropped by the next flush, behind the turn in which that is told.
    #[cold]
    pub(crate) fn fail_sending(&mut self, id: ConnId, error: IoError) -> Option<Completion<EpollChunk>> {
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
