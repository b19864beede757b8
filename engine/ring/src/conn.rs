//! The table of connections: what the engine remembers of each, and when an entry is free again. No operation starts
//! here.

use std::os::fd::OwnedFd;

use sidering_dataplane::io::ConnId;

use crate::outgoing::Outgoing;

/// "No relay": indices of the relay table are far below.
pub(crate) const NO_RELAY: u32 = u32::MAX;

/// Which group of slots a receive uses.
pub(crate) const SMALL: u8 = 0;
/// See [`SMALL`].
pub(crate) const BULK: u8 = 1;

/// Polls of a relay in flight on a connection, as bits.
pub(crate) const POLL_SOURCE: u8 = 1;
/// See [`POLL_SOURCE`].
pub(crate) const POLL_DESTINATION: u8 = 2;
/// See [`POLL_SOURCE`].
pub(crate) const WATCH_DESTINATION: u8 = 4;

/// Where the receiving side is.
///
/// ```text
///            receive                   end of the turn
///  Rest ───────────────► Wanted ────────────────────────► Armed ──FIN, error──► Ended
///   ▲  ▲                  │  ▲ ▲                          │ │
///   │  └──────pause───────┘  │ └──a slot came home──┐     │ └──ENOBUFS──► Parked
///   │                        │                      └─────│───────────────┘ │
///   │              last completion                        │                 │
///   │                   StopToResume ◄──receive── StopToRest ◄──pause       │
///   │                   ▲      │                  │       │                 │
///   │        other group└──────┼──────────────────┼───────┘                 │
///   └──────────────────────────┼─last completion──┴───────────pause─────────┘
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Receive {
    Rest,
    /// To be started at the end of the turn.
    Wanted,
    Armed,
    /// Cancelled for a pause.
    StopToRest,
    /// Cancelled, to be started again (a pause taken back, or a change of the group).
    StopToResume,
    /// No slot was left: waits for one.
    Parked,
    /// Over for good.
    Ended,
}

/// Where the sending side is.
///
/// ```text
///  Connecting ──connected──► Open ──► Sending ──► Open ... ──FIN sent, or an error──► Ended
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SendSide {
    /// Queued segments wait for the connection.
    Connecting,
    Open,
    /// One send is in the kernel.
    Sending,
    /// Nothing can be sent any more; what is queued is dropped.
    Ended,
}

/// One connection, or a free entry (no socket).
pub(crate) struct Conn {
    pub(crate) socket: Option<OwnedFd>,
    pub(crate) generation: u32,
    /// What is queued or being sent; `None` while idle.
    pub(crate) outgoing: Option<Box<Outgoing>>,
    /// The address of a connect in flight.
    pub(crate) address: Option<Box<socket2::SockAddr>>,
    /// The relay that takes from this connection, and the one under way into it.
    pub(crate) relay_out: u32,
    pub(crate) relay_in: u32,
    pub(crate) receive: Receive,
    pub(crate) send: SendSide,
    /// Operations whose last completion is to come. The entry is not reused before.
    pub(crate) in_flight: u8,
    /// Polls in flight, bits of [`POLL_SOURCE`] and so on.
    pub(crate) polls: u8,
    /// The group that the receive in flight takes from, and the one the next receive shall take from.
    pub(crate) armed_group: u8,
    pub(crate) wanted_group: u8,
    /// Receives in a row that speak for the other group.
    pub(crate) streak: u8,
    /// `close` was called; the entry waits for its last completions.
    pub(crate) closing: bool,
    /// A `Paused` is owed.
    pub(crate) pause_due: bool,
    /// The socket has O_NONBLOCK on, as system calls of a relay need it and ring operations must not have it.
    pub(crate) nonblocking: bool,
    /// `shutdown` was asked for: nothing can be queued behind it.
    pub(crate) finishing: bool,
    /// Listed in the dirty list. Belongs to the index, not to the connection: it survives reuse.
    pub(crate) dirty: bool,
    /// Listed as parked, by group. Belongs to the index like `dirty`.
    pub(crate) listed: [bool; 2],
}

impl Conn {
    fn vacant() -> Conn {
        Conn {
            socket: None,
            generation: 0,
            outgoing: None,
            address: None,
            relay_out: NO_RELAY,
            relay_in: NO_RELAY,
            receive: Receive::Rest,
            send: SendSide::Open,
            in_flight: 0,
            polls: 0,
            armed_group: SMALL,
            wanted_group: SMALL,
            streak: 0,
            closing: false,
            pause_due: false,
            nonblocking: false,
            finishing: false,
            dirty: false,
            listed: [false; 2],
        }
    }

    /// Whether calls may name it.
    #[inline]
    pub(crate) fn is_live(&self) -> bool {
        self.socket.is_some() && !self.closing
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

    /// Entries in use or being closed, counting none that is free.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Indices ever used: every index is below.
    pub(crate) fn indices(&self) -> u32 {
        self.entries.len() as u32
    }

    /// Enters a connection; gives the socket back when the table is full.
    pub(crate) fn insert(&mut self, socket: OwnedFd, send: SendSide) -> Result<ConnId, OwnedFd> {
        let index = match self.free.pop() {
            Some(index) => index,
            None if (self.entries.len() as u32) < self.limit => {
                self.entries.push(Conn::vacant());
                self.entries.len() as u32 - 1
            }
            None => return Err(socket),
        };
        let conn = &mut self.entries[index as usize];
        conn.socket = Some(socket);
        conn.send = send;
        Ok(ConnId { index, generation: conn.generation })
    }

    /// The live connection of this name.
    #[inline]
    pub(crate) fn get(&mut self, id: ConnId) -> Option<&mut Conn> {
        // `close` moves the generation on, so that equality means live: a free entry's generation is not given out yet,
        // but a caller could invent it, hence the second look.
        let conn = self.entries.get_mut(id.index as usize)?;
        (conn.generation == id.generation && conn.is_live()).then_some(conn)
    }

    /// Whether the name is of a live connection.
    #[inline]
    pub(crate) fn is_live(&self, id: ConnId) -> bool {
        let conn = self.entries.get(id.index as usize);
        conn.is_some_and(|conn| conn.generation == id.generation && conn.is_live())
    }

    /// The entry of an index taken from a token or a list of ours.
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

    /// Frees an entry for reuse; the socket is closed here. Only when nothing is in flight.
    pub(crate) fn release(&mut self, index: u32) {
        let conn = &mut self.entries[index as usize];
        debug_assert!(conn.in_flight == 0 && conn.closing && conn.outgoing.is_none());
        let vacant =
            Conn { generation: conn.generation, dirty: conn.dirty, listed: conn.listed, ..Conn::vacant() };
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
    fn an_idle_connection_costs_less_than_a_cache_line_and_a_half() {
        assert!(size_of::<Conn>() <= 64, "{} bytes", size_of::<Conn>());
    }

    #[test]
    fn names_of_closed_connections_name_nothing() {
        let mut table = ConnTable::new(2);
        let first = table.insert(socket(), SendSide::Open).unwrap();
        assert!(table.get(first).is_some());
        let conn = table.entry(first.index);
        conn.generation += 1;
        conn.closing = true;
        assert!(table.get(first).is_none());
        table.release(first.index);
        let next = ConnId { index: 0, generation: first.generation + 1 };
        assert!(table.get(next).is_none());
        assert_eq!(table.insert(socket(), SendSide::Open).unwrap(), next);
        assert!(table.get(first).is_none() && table.get(next).is_some());
    }

    #[test]
    fn the_table_is_bounded() {
        let mut table = ConnTable::new(1);
        table.insert(socket(), SendSide::Open).unwrap();
        assert!(table.insert(socket(), SendSide::Open).is_err());
        assert_eq!((table.len(), table.indices()), (1, 1));
    }
}
