//! The engine as the data plane sees it: `Io` by epoll. Each kind of operation has a file of its own; this one holds
//! them together, notes what events say, and carries out the end of a turn.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use sidering_dataplane::io::{
    Address, CloseMode, Completion, ConnId, ConnectOptions, Detached, Io, IoError, ListenerId, Segment, Time,
};
use sidering_dataplane::observe::counters::EngineCounters;
use sidering_system::transfer::Relays;
use socket2::SockRef;

use crate::conn::{ConnTable, NO_RELAY, SendSide};
use crate::errors::EpollError;
use crate::group::SlotGroup;
use crate::listener::Listeners;
use crate::options::EpollOptions;
use crate::outgoing::Spare;
use crate::poller::{EventFlags, Poller, Source, Wait};
use crate::slot::EpollChunk;

/// Something to receive, or an end that a receive will tell.
const ARRIVED: EventFlags = EventFlags::IN
    .union(EventFlags::PRI)
    .union(EventFlags::RDHUP)
    .union(EventFlags::HUP)
    .union(EventFlags::ERR);

/// Signs that a receive which fills less than its slot is followed by something without a further edge.
const NOT_ALL: EventFlags =
    EventFlags::PRI.union(EventFlags::RDHUP).union(EventFlags::HUP).union(EventFlags::ERR);

/// The sending side can go on, or fails when it does.
const ROOM: EventFlags = EventFlags::OUT.union(EventFlags::HUP).union(EventFlags::ERR);

const HUNG_UP: EventFlags = EventFlags::HUP.union(EventFlags::ERR);

/// One core's epoll instance and everything it holds. It stays on the thread that made it.
///
/// Dropping it closes all connections and listening sockets.
pub struct Epoll {
    pub(crate) poller: Poller,
    pub(crate) groups: [SlotGroup; 2],
    pub(crate) conns: ConnTable,
    pub(crate) listeners: Listeners,
    pub(crate) relays: Relays,
    pub(crate) spare: Spare,
    /// Indices with something to send at the end of the turn; each at most once.
    pub(crate) dirty: Vec<u32>,
    /// Those being flushed. Kept for its memory.
    pub(crate) flushing: Vec<u32>,
    /// Indices to be received from; each at most once.
    pub(crate) ready: VecDeque<u32>,
    /// Completions that follow from the event being handled.
    pub(crate) follow_ups: VecDeque<Completion<EpollChunk>>,
    /// Completions for the next turn, and those of this turn. Both are bounded by a few per connection.
    pub(crate) deferred: VecDeque<Completion<EpollChunk>>,
    pub(crate) due: VecDeque<Completion<EpollChunk>>,
    /// What sends came to at the end of this turn.
    pub(crate) sent: Vec<Completion<EpollChunk>>,
    /// The mailbox was rung.
    pub(crate) woken: bool,
    /// Turns so far, wrapping.
    pub(crate) turn: u32,
    pub(crate) relay_pipe_waits: u64,
    pub(crate) options: EpollOptions,
    pub(crate) counters: Arc<EngineCounters>,
}

impl Epoll {
    /// Sets an engine up. No buffer memory is taken before it is needed.
    ///
    /// # Errors
    /// [`EpollError`] if no descriptor is left, or if an option is out of its bounds.
    pub fn new(options: EpollOptions, counters: Arc<EngineCounters>) -> Result<Epoll, EpollError> {
        options.check()?;
        let poller = Poller::new(options.events_per_turn).map_err(EpollError::Create)?;
        Ok(Epoll {
            poller,
            groups: [
                SlotGroup::new(options.slots_max, options.slot_bytes),
                SlotGroup::new(options.bulk_slots_max, options.bulk_slot_bytes),
            ],
            conns: ConnTable::new(options.connections_max),
            listeners: Listeners::default(),
            relays: Relays::new(options.pipes_max),
            spare: Spare::default(),
            dirty: Vec::new(),
            flushing: Vec::new(),
            ready: VecDeque::new(),
            follow_ups: VecDeque::new(),
            deferred: VecDeque::new(),
            due: VecDeque::new(),
            sent: Vec::new(),
            woken: false,
            turn: 0,
            relay_pipe_waits: 0,
            options,
            counters,
        })
    }

    /// Times a relay had to wait because all pipes were in use.
    pub fn relay_pipe_waits(&self) -> u64 {
        self.relay_pipe_waits
    }

    /// Pipes open now, idle ones included.
    pub fn pipes_open(&self) -> usize {
        self.relays.pipes.open()
    }

    /// Bytes of receive buffers.
    pub fn buffer_bytes(&self) -> usize {
        self.groups.iter().map(SlotGroup::bytes).sum::<u64>() as usize
    }

    /// Connections in the table.
    pub fn connections(&self) -> usize {
        self.conns.len()
    }

    pub(crate) fn watch_mailbox(&self, eventfd: &OwnedFd) -> Result<(), EpollError> {
        self.poller.watch_mailbox(eventfd).map_err(|error| EpollError::Wake(error.into()))
    }

    #[inline]
    pub(crate) fn mark_dirty(&mut self, index: u32) {
        let conn = self.conns.entry(index);
        if !conn.dirty {
            conn.dirty = true;
            self.dirty.push(index);
        }
    }

    /// Lists a connection to be received from, if it has something and that is wanted.
    #[inline]
    pub(crate) fn make_ready(&mut self, index: u32) {
        let conn = self.conns.entry(index);
        if conn.may_receive() && !conn.ready {
            conn.ready = true;
            self.ready.push_back(index);
        }
    }

    /// Notes what one event of the last wait says. What follows from it is in `follow_ups` and `ready`.
    #[inline]
    pub(crate) fn note(&mut self, position: usize) {
        let (source, flags) = self.poller.event(position);
        match source {
            Source::Conn(id) => self.note_conn(id, flags),
            Source::Listener(index, serial) => self.accept_some(index, serial),
            Source::Mailbox => self.woken = true,
        }
    }

    #[inline]
    fn note_conn(&mut self, id: ConnId, flags: EventFlags) {
        let Some(conn) = self.conns.get(id) else { return };
        if conn.send == SendSide::Connecting {
            if !flags.intersects(ROOM) {
                return;
            }
            self.settle_connect(id);
        }
        let Some(conn) = self.conns.get(id) else { return };
        conn.readable |= flags.intersects(ARRIVED);
        conn.until_empty |= flags.intersects(NOT_ALL);
        conn.hung_up |= flags.intersects(HUNG_UP);
        let (relay_out, relay_in) = (conn.relay_out, conn.relay_in);
        if conn.send == SendSide::Blocked && flags.intersects(ROOM) {
            conn.send = SendSide::Open;
            self.mark_dirty(id.index);
            if relay_in != NO_RELAY {
                self.relays.make_runnable(relay_in);
            }
        }
        if relay_in != NO_RELAY && flags.intersects(HUNG_UP) {
            self.relays.make_runnable(relay_in);
        }
        if relay_out != NO_RELAY {
            self.relays.make_runnable(relay_out);
        } else {
            self.make_ready(id.index);
        }
    }

    /// Whether a completion made earlier may still be told: nothing of it may have been closed meanwhile, and a pause
    /// must not have been taken back.
    pub(crate) fn may_tell(&mut self, completion: &Completion<EpollChunk>) -> bool {
        match completion {
            Completion::Paused { conn } => {
                let Some(conn) = self.conns.get(*conn) else { return false };
                std::mem::take(&mut conn.pause_due)
            }
            Completion::Accepted { conn, .. }
            | Completion::Connected { conn, .. }
            | Completion::Received { conn, .. }
            | Completion::ReceiveEnded { conn, .. }
            | Completion::Sent { conn, .. }
            | Completion::SendFailed { conn, .. } => self.conns.is_live(*conn),
            Completion::Relayed { from, to, .. } | Completion::RelayEnded { from, to, .. } => {
                self.conns.is_live(*from) && self.conns.is_live(*to)
            }
            Completion::AcceptFailed { .. } => true,
        }
    }

    /// Carries out what the turn asked for.
    #[inline]
    pub(crate) fn end_turn(&mut self, now: Time) {
        if self.relays.runnable() > 0 {
            self.run_relays();
        }
        if self.listeners.has_draining() {
            self.drain_listeners();
        }
        self.flush();
        for group in &mut self.groups {
            group.trim(now);
        }
    }

    /// The last of a turn, when everything was told.
    #[inline]
    pub(crate) fn close_turn(&mut self) {
        if self.groups.iter().any(SlotGroup::has_parked) {
            self.unpark();
        }
        self.turn = self.turn.wrapping_add(1);
        let counters = &self.counters;
        counters.turns.add(1);
        let [small, bulk] = &self.groups;
        counters.slots_in_use.set(u64::from(small.slots_out()) + u64::from(bulk.slots_out()));
        counters.slot_bytes.set(small.bytes() + bulk.bytes());
    }

    /// How long the next wait may be, `deadline` being the machine's.
    #[inline]
    pub(crate) fn wait_for(&self, now: Time, deadline: Option<Time>) -> Wait {
        if !self.ready.is_empty()
            || !self.dirty.is_empty()
            || !self.deferred.is_empty()
            || self.woken
            || self.relays.runnable() > 0
            || self.listeners.has_draining()
        {
            return Wait::No;
        }
        let trim = self.groups.iter().filter_map(SlotGroup::next_trim).min();
        match [deadline, trim].into_iter().flatten().min() {
            None => Wait::Forever,
            Some(earliest) if earliest <= now => Wait::No,
            Some(earliest) => Wait::Micros(earliest.micros_since(now)),
        }
    }
}

impl Io for Epoll {
    type Chunk = EpollChunk;

    fn accept(&mut self, listener: ListenerId) {
        self.start_accept(listener);
    }

    fn close_listener(&mut self, listener: ListenerId) {
        self.stop_listener(listener);
    }

    fn connect(&mut self, address: &Address, options: &ConnectOptions) -> Result<ConnId, IoError> {
        self.start_connect(address, options)
    }

    #[inline]
    fn receive(&mut self, conn: ConnId) {
        self.start_receive(conn);
    }

    #[inline]
    fn pause(&mut self, conn: ConnId) {
        self.stop_receive(conn);
    }

    #[inline]
    fn send(&mut self, conn: ConnId, segment: Segment<EpollChunk>) {
        self.queue_segment(conn, segment);
    }

    fn unsent(&mut self, conn: ConnId, out: &mut Vec<u8>) {
        if let Some(conn) = self.conns.get(conn)
            && let Some(outgoing) = &conn.outgoing
        {
            outgoing.copy_behind(0, out);
        }
    }

    fn relay(&mut self, from: ConnId, to: ConnId, limit: u64) {
        self.queue_relay(from, to, limit);
    }

    fn shutdown(&mut self, conn: ConnId) {
        self.queue_finish(conn);
    }

    fn close(&mut self, conn: ConnId, mode: CloseMode) {
        self.close_conn(conn, mode);
    }

    fn release(&mut self, conn: ConnId) -> Option<Detached> {
        self.release_conn(conn)
    }

    fn adopt(&mut self, socket: Detached) -> Result<ConnId, IoError> {
        self.adopt_socket(socket)
    }

    fn peer_address(&mut self, conn: ConnId) -> Option<SocketAddr> {
        let socket = self.conns.get(conn)?.socket.as_ref()?;
        SockRef::from(socket).peer_addr().ok()?.as_socket()
    }
}
