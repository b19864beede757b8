//! Relays between connections: their place behind the destination's queue, whom they wait for, and how they end.
//!
//! ```text
//!   behind the queue ──► runnable ──► transfer ──more──► runnable
//!                           ▲            │ no bytes: an edge of the source
//!                           │            │ no room: an edge of the destination
//!                           └────────────┤ no pipe: another relay gives one back
//!                                        └──► RelayEnded
//! ```

use std::os::fd::AsFd;

use rustix::io::Errno;
use sidering_dataplane::io::{Completion, ConnId, IoError, RelayEnd};
use sidering_system::from_system;
use sidering_system::queue::Barrier;
use sidering_system::transfer::Step;
use socket2::SockRef;

use crate::conn::{Conn, NO_RELAY, Receive, SendSide};
use crate::epoll::Epoll;

impl Epoll {
    /// `Io::relay`.
    pub(crate) fn queue_relay(&mut self, from: ConnId, to: ConnId, limit: u64) {
        if !self.conns.is_live(from) || !self.conns.is_live(to) {
            return;
        }
        if self.conns.entry(from.index).relay_out != NO_RELAY {
            let end = RelayEnd::SourceFailed(IoError::Other(Errno::BUSY.raw_os_error()));
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
            Step::WaitSource => self.wait_for_source(from, to),
            Step::WaitDestination => self.wait_for_room(to),
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

    /// Nothing to relay: an edge of the source makes the relay runnable again. That the destination is gone is told
    /// here only if nobody else will hear of it: its receive, or a relay that takes from it.
    fn wait_for_source(&mut self, from: ConnId, to: ConnId) {
        self.conns.entry(from.index).readable = false;
        self.relays.serve_waiting();
        let destination = self.conns.entry(to.index);
        let is_heard = destination.relay_out != NO_RELAY
            || matches!(destination.receive, Receive::Wanted | Receive::Parked);
        if destination.hung_up && !is_heard {
            let error = pending_error(destination);
            // It reports the end of the relay in the place of a failed send.
            self.fail_sending(to, error);
        }
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
        self.conns.entry(from.index).relay_out = NO_RELAY;
        let destination = self.conns.entry(to.index);
        if destination.relay_in == index {
            destination.relay_in = NO_RELAY;
        }
        self.make_ready(from.index);
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
