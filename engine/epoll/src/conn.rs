//! The table of connections: what the engine remembers of each. No system call is made here but the close of a socket.

use std::os::fd::OwnedFd;

use sidering_dataplane::io::ConnId;

use crate::outgoing::Outgoing;

/// "No relay": indices of the relay table are far below.
pub(crate) const NO_RELAY: u32 = u32::MAX;

/// Which group of slots a receive uses.
pub(crate) const SMALL: u8 = 0;
/// See [`SMALL`].
pub(crate) const BULK: u8 = 1;

/// Where the receiving side is. Whether there is anything to receive is another question: `Conn::readable`.
///
/// ```text
///          receive              no slot
///  Rest ◄──────────► Wanted ◄────────────► Parked
///         pause        │     slot came home
///                      └──FIN, error──► Ended
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Receive {
    Rest,
    Wanted,
    /// No slot was left: waits for one.
    Parked,
    /// Over for good.
    Ended,
}

/// Where the sending side is.
///
/// ```text
///  Connecting ──connected──► Open ◄──no room / room──► Blocked
///      └──failed──► Ended ◄───┴──FIN sent, or an error────┘
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SendSide {
    /// Queued segments wait for the connection.
    Connecting,
    Open,
    /// The kernel took less than it was given: waits for room.
    Blocked,
    /// Nothing can be sent any more; what is queued is dropped.
    Ended,
}

/// One connection, or a free entry (no socket).
pub(crate) struct Conn {
    pub(crate) socket: Option<OwnedFd>,
    pub(crate) generation: u32,
    /// What is queued; `None` while idle.
    pub(crate) outgoing: Option<Box<Outgoing>>,
    /// The relay that takes from this connection, and the one under way into it.
    pub(crate) relay_out: u32,
    pub(crate) relay_in: u32,
    pub(crate) receive: Receive,
    pub(crate) send: SendSide,
    /// The group that the next receive takes from, and receives in a row that speak for the other one.
    pub(crate) group: u8,
    pub(crate) streak: u8,
    /// There may be something to receive: an edge came and no receive has found the end since.
    pub(crate) readable: bool,
    /// A receive that fills less than its slot is no sign that the socket is empty: no further edge may come.
    pub(crate) until_empty: bool,
    /// An error or the end of both directions was told.
    pub(crate) hung_up: bool,
    /// Registered for room to send.
    pub(crate) watches_output: bool,
    /// A `Paused` is owed.
    pub(crate) pause_due: bool,
    /// `shutdown` was asked for: nothing can be queued behind it.
    pub(crate) finishing: bool,
    /// Listed to be flushed. Belongs to the index, not to the connection: it survives reuse.
    pub(crate) dirty: bool,
    /// Listed to be received from. Belongs to the index like `dirty`.
    pub(crate) ready: bool,
    /// Listed as parked, by group. Belongs to the index like `dirty`.
    pub(crate) listed: [bool; 2],
}

impl Conn {
    fn vacant() -> Conn {
        Conn {
            socket: None,
            generation: 0,
            outgoing: None,
            relay_out: NO_RELAY,
            relay_in: NO_RELAY,
            receive: Receive::Rest,
            send: SendSide::Open,
            group: SMALL,
            streak: 0,
            readable: false,
            until_empty: false,
            hung_up: false,
            watches_output: false,
            pause_due: false,
            finishing: false,
            dirty: false,
            ready: false,
            listed: [false; 2],
        }
    }

    /// Whether a receive should be tried.
    #[inline]
    pub(crate) fn may_receive(&self) -> bool {
        self.receive == Receive::Wanted
            && self.readable
            // While a relay takes the bytes nobody else may.
            && self.relay_out == NO_RELAY
            && self.send != SendSide::Connecting
    }
}

/// All connections of one core.
pub(crate) struct ConnTable {
    entries: Vec<Conn>,
    free: Vec<u32>,
    limit: u32,
}

impl ConnTable {
    /// A table of at most `limit` connections.
    pub(crate) fn new(limit: u32) -> ConnTable {
        ConnTable { entries: Vec::new(), free: Vec::new(), limit }
    }

    /// Connections in the table.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Indices ever used: every index is below.
    pub(crate) fn indices(&self) -> u32 {
        self.entries.len() as u32
    }

    /// Whether another connection finds no place.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.free.is_empty() && self.entries.len() as u32 >= self.limit
    }

    /// Enters a connection; gives the socket back when the table is full.
    pub(crate) fn insert(&mut self, socket: OwnedFd, send: SendSide) -> Result<ConnId, OwnedFd> {
        if self.is_full() {
            return Err(socket);
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Conn::vacant());
            self.entries.len() as u32 - 1
        });
        let conn = &mut self.entries[index as usize];
        conn.socket = Some(socket);
        conn.send = send;
        Ok(ConnId { index, generation: conn.generation })
    }

    /// The live connection of this name.
    #[inline]
    pub(crate) fn get(&mut self, id: ConnId) -> Option<&mut Conn> {
        // A free entry's generation is not given out yet, but a caller could invent it, hence the second look.
        let conn = self.entries.get_mut(id.index as usize)?;
        (conn.generation == id.generation && conn.socket.is_some()).then_some(conn)
    }

    /// Whether the name is of a live connection.
    #[inline]
    pub(crate) fn is_live(&self, id: ConnId) -> bool {
        let conn = self.entries.get(id.index as usize);
        conn.is_some_and(|conn| conn.generation == id.generation && conn.socket.is_some())
    }

    /// The entry of an index taken from a list of ours.
    #[inline]
    pub(crate) fn entry(&mut self, index: u32) -> &mut Conn {
        &mut self.entries[index as usize]
    }

    /// Two entries at once (or the same one twice).
    pub(crate) fn pair(&self, one: u32, other: u32) -> (&Conn, &Conn) {
        (&self.entries[one as usize], &self.entries[other as usize])
    }

    /// The name of a live connection by its index.
    #[inline]
    pub(crate) fn id(&self, index: u32) -> ConnId {
        ConnId { index, generation: self.entries[index as usize].generation }
    }

    /// Closes the socket and frees the entry for reuse under the next generation.
    pub(crate) fn release(&mut self, index: u32) {
        let conn = &mut self.entries[index as usize];
        debug_assert!(conn.outgoing.is_none() && conn.relay_in == NO_RELAY && conn.relay_out == NO_RELAY);
        let vacant = Conn {
            generation: conn.generation.wrapping_add(1),
            dirty: conn.dirty,
            ready: conn.ready,
            listed: conn.listed,
            ..Conn::vacant()
        };
        *conn = vacant;
        self.free.push(index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket() -> OwnedFd {
        std::fs::File::open("/dev/null").unwrap().into()
    }

    #[test]
    fn an_idle_connection_costs_less_than_a_cache_line() {
        assert!(size_of::<Conn>() <= 48, "{} bytes", size_of::<Conn>());
    }

    #[test]
    fn names_of_closed_connections_name_nothing() {
        let mut table = ConnTable::new(2);
        let first = table.insert(socket(), SendSide::Open).unwrap();
        assert!(table.get(first).is_some());
        table.release(first.index);
        let next = ConnId { index: 0, generation: first.generation + 1 };
        assert!(table.get(first).is_none() && table.get(next).is_none());
        assert_eq!(table.insert(socket(), SendSide::Open).unwrap(), next);
        assert!(table.get(first).is_none() && table.get(next).is_some());
    }

    #[test]
    fn the_table_is_bounded() {
        let mut table = ConnTable::new(1);
        assert!(!table.is_full());
        table.insert(socket(), SendSide::Open).unwrap();
        assert!(table.is_full());
        assert!(table.insert(socket(), SendSide::Open).is_err());
        assert_eq!((table.len(), table.indices()), (1, 1));
        table.release(0);
        assert!(!table.is_full());
    }
}
