//! Relays between connections: their place behind the destination's queue, whom they wait for, and how they end.
//!
//! ```text
//!   behind the queue ──► runnable ──► transfer ──more──► runnable
//!                           ▲            │ no bytes: poll the source, watch the destination
//!                           │            │ no room: poll the destination
//!                           └────────────┤ no pipe: wait for one
//!                                        └──► RelayEnded
//! ```
//!
//! System calls want O_NONBLOCK on the sockets, ring operations want it off. It is turned on here and turned off where
//! the next ring operation starts, so that a pure relay pays for it once. Relays therefore run before the turn's ring
//! operations are queued.

use std::os::fd::AsFd;

use sidering_dataplane::io::{Completion, ConnId, IoError, RelayEnd};
use sidering_system::from_system;
use sidering_system::queue::Barrier;
use sidering_system::transfer::Step;
use socket2::SockRef;

use crate::conn::{Conn, NO_RELAY, POLL_DESTINATION, POLL_SOURCE, Receive, SendSide, WATCH_DESTINATION};
use crate::kernel::Finished;
use crate::ring::Ring;
use crate::slot::RingChunk;
use crate::system;
use crate::token::{Operation, Token};

impl Ring {
    /// `Io::relay`.
    pub(crate) fn queue_relay(&mut self, from: ConnId, to: ConnId, limit: u64) {
        if !self.conns.is_live(from) || !self.conns.is_live(to) {
            return;
        }
        if self.conns.entry(from.index).relay_out != NO_RELAY {
            let end = RelayEnd::SourceFailed(IoError::Other(libc::EBUSY));
            self.deferred.push_back(Completion::RelayEnded { from, to, end });
            return;
        }
        let (index, serial) = self.relays.insert(from, to, limit);
        self.conns.entry(from.index).relay_out = index;
        let destination = self.conns.entry(to.index);
        let is_idle = destination.outgoing.is_none() && destination.relay_in == NO_RELAY;
        if is_idle && destination.send == SendSide::Open && !destination.finishing {
            self.start_relay(index, serial);
        } else if !self.queue_barrier(to, Barrier::Relay { index, serial }) {
            self.end_relay(index, RelayEnd::DestinationFailed(IoError::BrokenPipe));
        }
    }

    /// The relay's turn on its destination has come.
    pub(crate) fn start_relay(&mut self, index: u32, serial: u32) {
        if !self.relays.is_current(index, serial) {
            return;
        }
        let Some(relay) = self.relays.get(index) else { return };
        relay.started = true;
        let to = relay.to;
        self.conns.entry(to.index).relay_in = index;
        self.relays.make_runnable(index);
    }

    /// Runs every listed relay once.
    #[inline]
    pub(crate) fn run_relays(&mut self) {
        for _ in 0..self.relays.runnable() {
            if let Some(index) = self.relays.pop_runnable() {
                self.run_relay(index);
            }
        }
    }

    fn run_relay(&mut self, index: u32) {
        let Some(relay) = self.relays.get(index) else { return };
        let (from, to) = (relay.from, relay.to);
        for conn in [from, to] {
            let conn = self.conns.entry(conn.index);
            if let (false, Some(socket)) = (conn.nonblocking, &conn.socket) {
                if let Err(error) = system::set_nonblocking(socket.as_fd(), true) {
                    // Without it a call could hold up the whole core.
                    self.end_relay(index, RelayEnd::SourceFailed(from_system(&error)));
                    return;
                }
                conn.nonblocking = true;
            }
        }
        let (moved, step) = {
            let (source, destination) = self.conns.pair(from.index, to.index);
            let (Some(source), Some(destination)) = (&source.socket, &destination.socket) else { return };
            let Some((relay, pipes)) = self.relays.get_with_pipes(index) else { return };
            relay.transfer(source.as_fd(), destination.as_fd(), pipes)
        };
        if moved > 0 {
            self.counters.relayed_bytes.add(moved);
            self.deferred.push_back(Completion::Relayed { from, to, bytes: moved });
        }
        match step {
            Step::Again => self.relays.make_runnable(index),
            Step::WaitSource => {
                self.poll(from, Operation::PollSource);
                self.watch_destination(index, to);
                self.relays.serve_waiting();
            }
            Step::WaitDestination => self.poll(to, Operation::PollDestination),
            Step::WaitPipe => {
                self.relay_pipe_waits += 1;
                self.relays.wait_for_pipe(index);
            }
            Step::End(RelayEnd::DestinationFailed(error)) => {
                // It reports the end of this relay in the place of a failed send.
                self.fail_sending(to, error);
            }
            Step::End(end) => self.end_relay(index, end),
        }
    }

    /// Waits once for a relay's end to be ready, unless that wait is under way already.
    fn poll(&mut self, id: ConnId, operation: Operation) {
        let conn = self.conns.entry(id.index);
        let (bit, events) = match operation {
            Operation::PollSource => (POLL_SOURCE, libc::POLLIN | libc::POLLRDHUP),
            Operation::PollDestination => (POLL_DESTINATION, libc::POLLOUT),
            // Errors and hang-ups are always told.
            _ => (WATCH_DESTINATION, 0),
        };
        let Some(socket) = &conn.socket else { return };
        if conn.polls & bit == 0 {
            conn.polls |= bit;
            conn.in_flight += 1;
            self.kernel.poll(socket, events, Token::new(operation, id.index, id.generation));
        }
    }

    /// While the source is silent, only a poll can tell that the destination is gone, unless something else already
    /// waits on it: its receive, or a relay that takes from it.
    fn watch_destination(&mut self, index: u32, to: ConnId) {
        let conn = self.conns.entry(to.index);
        let is_watched =
            conn.relay_out != NO_RELAY || matches!(conn.receive, Receive::Armed | Receive::Wanted);
        let can_watch = self.relays.get(index).is_some_and(|relay| !relay.destination_half_closed);
        if !is_watched && can_watch {
            self.poll(to, Operation::WatchDestination);
        }
    }

    /// A completion of one of the polls.
    pub(crate) fn handle_polled(
        &mut self,
        token: Token,
        finished: Finished,
    ) -> Option<Completion<RingChunk>> {
        self.kernel.retire();
        let conn = self.conns.entry(token.index);
        conn.in_flight -= 1;
        let (bit, relay) = match token.operation {
            Operation::PollSource => (POLL_SOURCE, conn.relay_out),
            Operation::PollDestination => (POLL_DESTINATION, conn.relay_in),
            _ => (WATCH_DESTINATION, conn.relay_in),
        };
        conn.polls &= !bit;
        if conn.generation != token.generation {
            self.handle_late(token.index, true);
            return None;
        }
        if relay == NO_RELAY {
            return None;
        }
        if bit == WATCH_DESTINATION && finished.result > 0 {
            if finished.result & i32::from(libc::POLLERR | libc::POLLHUP) != 0 {
                let error = pending_error(conn);
                return self.fail_sending(self.conns.id(token.index), error);
            }
            // The kernel tells of a FIN whether asked or not. The peer may still read, but from here on a poll would
            // return at once: its reset shows with the next bytes only.
            if let Some(relay) = self.relays.get(relay) {
                relay.destination_half_closed = true;
            }
            return None;
        }
        self.relays.make_runnable(relay);
        None
    }

    /// Ends a relay and says so.
    pub(crate) fn end_relay(&mut self, index: u32, end: RelayEnd) {
        if let Some((from, to)) = self.detach_relay(index) {
            self.deferred.push_back(Completion::RelayEnded { from, to, end });
        }
    }

    /// Takes a relay out of both connections, which then go on with what they had queued behind it.
    fn detach_relay(&mut self, index: u32) -> Option<(ConnId, ConnId)> {
        let (from, to) = self.relays.remove(index)?;
        let source = self.conns.entry(from.index);
        source.relay_out = NO_RELAY;
        if source.polls & POLL_SOURCE != 0 {
            self.kernel.cancel(Token::new(Operation::PollSource, from.index, from.generation));
        }
        let destination = self.conns.entry(to.index);
        if destination.relay_in == index {
            destination.relay_in = NO_RELAY;
            for (bit, operation) in [
                (POLL_DESTINATION, Operation::PollDestination),
                (WATCH_DESTINATION, Operation::WatchDestination),
            ] {
                if destination.polls & bit != 0 {
                    self.kernel.cancel(Token::new(operation, to.index, to.generation));
                }
            }
        }
        self.mark_dirty(from.index);
        self.mark_dirty(to.index);
        Some((from, to))
    }

    /// A connection is closed: the relays it takes part in end without a word.
    pub(crate) fn forget_relays_of(&mut self, id: ConnId) {
        let conn = self.conns.entry(id.index);
        let (relay_out, relay_in) = (conn.relay_out, conn.relay_in);
        let barriers = conn.outgoing.as_mut().map_or_else(Vec::new, |outgoing| outgoing.take_barriers());
        for index in [relay_out, relay_in] {
            if index != NO_RELAY {
                self.detach_relay(index);
            }
        }
        for barrier in barriers {
            if let Barrier::Relay { index, serial } = barrier
                && self.relays.is_current(index, serial)
            {
                self.detach_relay(index);
            }
        }
    }
}

/// The error a socket has pending; a hang-up without one is a broken pipe.
fn pending_error(conn: &Conn) -> IoError {
    let error = conn.socket.as_ref().and_then(|socket| SockRef::from(socket).take_error().ok().flatten());
    error.map_or(IoError::BrokenPipe, |error| from_system(&error))
}
