//! The end of connections: nothing is in flight between two calls, so everything ends at once.

use std::time::Duration;

use sidering_dataplane::io::{CloseMode, ConnId};
use socket2::SockRef;

use crate::conn::Receive;
use crate::epoll::Epoll;

impl Epoll {
    /// `Io::close`. The kernel forgets what was registered with the socket; events of it that are at hand already name
    /// a generation that is over.
    pub(crate) fn close_conn(&mut self, id: ConnId, mode: CloseMode) {
        let Some(conn) = self.conns.get(id) else { return };
        if mode == CloseMode::Reset
            && let Some(socket) = &conn.socket
        {
            // A failure leaves an orderly end, which is all that can be had then.
            let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
        if conn.receive == Receive::Parked {
            self.counters.receives_parked.subtract(1);
        }
        self.forget_relays_of(id);
        if let Some(outgoing) = self.conns.entry(id.index).outgoing.take() {
            self.spare.keep(outgoing);
        }
        self.conns.release(id.index);
        self.counters.connections.subtract(1);
    }
}

impl Drop for Epoll {
    fn drop(&mut self) {
        for index in 0..self.conns.indices() {
            self.close_conn(self.conns.id(index), CloseMode::Graceful);
        }
        self.due.clear();
        self.deferred.clear();
        self.follow_ups.clear();
        let out = self.groups.iter().map(|group| u64::from(group.slots_out())).sum();
        self.counters.slots_in_use.set(out);
    }
}
