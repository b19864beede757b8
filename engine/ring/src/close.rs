//! The end of connections: what is in flight is cancelled, memory the kernel may touch is kept until the last
//! completion, then the socket is closed and the index is free.

use std::time::Duration;

use sidering_dataplane::io::{CloseMode, ConnId};
use socket2::SockRef;

use crate::conn::{POLL_DESTINATION, POLL_SOURCE, Receive, SendSide, WATCH_DESTINATION};
use crate::kernel::{Finished, Wait};
use crate::ring::Ring;
use crate::token::{Operation, Token};

/// How long a ring that ends waits for the last completions: 50 waits of this many microseconds.
const TEARDOWN_WAIT_MICROS: u64 = 20_000;
const TEARDOWN_WAITS: u32 = 50;

impl Ring {
    /// `Io::close`.
    pub(crate) fn close_conn(&mut self, id: ConnId, mode: CloseMode) {
        let Some(conn) = self.conns.get(id) else { return };
        if mode == CloseMode::Reset
            && let Some(socket) = &conn.socket
        {
            // A failure leaves an orderly end, which is all that can be had then.
            let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
        conn.generation = conn.generation.wrapping_add(1);
        conn.closing = true;
        if conn.receive == Receive::Parked {
            self.counters.receives_parked.subtract(1);
        }
        self.forget_relays_of(id);
        let conn = self.conns.entry(id.index);
        if let Some(outgoing) = &mut conn.outgoing {
            outgoing.drop_waiting();
        }
        if conn.in_flight > 0 {
            self.cancel_operations(id);
        } else {
            self.release(id.index);
        }
    }

    /// Cancels what the kernel still does for a connection that was closed under this name.
    fn cancel_operations(&mut self, id: ConnId) {
        let conn = self.conns.entry(id.index);
        let in_flight = [
            (Operation::Receive, conn.receive == Receive::Armed),
            (Operation::Send, conn.send == SendSide::Sending),
            (Operation::Connect, conn.address.is_some()),
            (Operation::PollSource, conn.polls & POLL_SOURCE != 0),
            (Operation::PollDestination, conn.polls & POLL_DESTINATION != 0),
            (Operation::WatchDestination, conn.polls & WATCH_DESTINATION != 0),
        ];
        for (operation, is_in_flight) in in_flight {
            if is_in_flight {
                self.kernel.cancel(Token::new(operation, id.index, id.generation));
            }
        }
    }

    /// A completion of a connection that was closed meanwhile.
    #[cold]
    pub(crate) fn handle_late(&mut self, index: u32, last: bool) {
        self.counters.late_completions.add(1);
        if last && self.conns.entry(index).in_flight == 0 {
            self.release(index);
        }
    }

    /// Nothing is in flight any more: frees the memory, closes the socket, and lets the index be used again.
    fn release(&mut self, index: u32) {
        let conn = self.conns.entry(index);
        if let Some(mut outgoing) = conn.outgoing.take() {
            outgoing.drop_waiting();
            self.spare.keep_holder(outgoing);
        }
        self.conns.release(index);
        self.counters.connections.subtract(1);
    }

    /// Ends everything and waits, for a bounded time, until the kernel holds nothing of ours. False if it still does.
    fn tear_down(&mut self) -> bool {
        for index in 0..self.conns.indices() {
            if self.conns.entry(index).is_live() {
                self.close_conn(self.conns.id(index), CloseMode::Graceful);
            }
        }
        self.listeners.close_after_cancel();
        self.kernel.cancel_all();
        let mut batch: Vec<Finished> = Vec::new();
        for _ in 0..TEARDOWN_WAITS {
            if self.kernel.in_flight() == 0 {
                break;
            }
            if self.kernel.enter(Wait::Micros(TEARDOWN_WAIT_MICROS)).is_err() {
                break;
            }
            batch.clear();
            self.kernel.reap(&mut batch, usize::MAX);
            for finished in &batch {
                // Connections accepted at the last moment are closed with the table.
                drop(self.complete(*finished));
            }
        }
        // Now, and not when the process is gone: a listening socket that ends with the process goes on taking
        // connections for a while, and resets them.
        self.listeners.close_all();
        self.follow_ups.clear();
        self.deferred.clear();
        self.due.clear();
        self.kernel.in_flight() == 0
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if !self.tear_down() {
            // The kernel may still write to slots and read from holders: better a leak than its bytes in memory that
            // is somebody else's by then.
            std::mem::forget(std::mem::take(&mut self.groups));
            std::mem::forget(std::mem::replace(&mut self.conns, crate::conn::ConnTable::new(0)));
        }
    }
}
