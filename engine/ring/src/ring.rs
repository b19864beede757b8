//! The ring as the data plane sees it: `Io` by io_uring. Each kind of operation has a file of its own; this one holds
//! them together and carries out a turn.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use sidering_dataplane::io::{
    Address, CloseMode, Completion, ConnId, ConnectOptions, Detached, Io, IoError, ListenerId, Segment, Time,
};
use sidering_dataplane::observe::counters::EngineCounters;
use sidering_system::transfer::Relays;
use socket2::SockRef;

use crate::conn::ConnTable;
use crate::errors::RingError;
use crate::group::{GroupOptions, SlotGroup};
use crate::kernel::{Finished, Kernel, Wait};
use crate::listener::Listeners;
use crate::options::RingOptions;
use crate::outgoing::Spare;
use crate::setup::{self, SetupReport, TaskRun};
use crate::slot::RingChunk;
use crate::token::Operation;

/// Small slots published while there is little to do: 512 KiB of address space, and of cache at worst.
const SMALL_PUBLISHED: u32 = 32;

/// Most small slots published at a time: a turn takes at most some hundred completions.
pub(crate) const SMALL_PUBLISHED_MAX: u32 = 1024;

/// Bulk slots published once a connection is bulky, and at most.
const BULK_PUBLISHED: u32 = 8;
pub(crate) const BULK_PUBLISHED_MAX: u32 = 64;

/// One core's io_uring and everything it holds. Made on the thread that uses it, and never leaves it.
///
/// Dropping it ends all connections, waits up to a second until the kernel holds no memory of ours, and closes
/// listening sockets before the io_uring.
pub struct Ring {
    // First, so that the io_uring is closed before any memory it may refer to is freed.
    pub(crate) kernel: Kernel,
    pub(crate) groups: Vec<SlotGroup>,
    pub(crate) conns: ConnTable,
    pub(crate) listeners: Listeners,
    pub(crate) relays: Relays,
    pub(crate) spare: Spare,
    /// Indices with something to start at the end of the turn; each at most once.
    dirty: Vec<u32>,
    /// Completions that follow from the one being handled.
    pub(crate) follow_ups: VecDeque<Completion<RingChunk>>,
    /// Completions for the next turn, and those of this turn. Both are bounded by a few per connection.
    pub(crate) deferred: VecDeque<Completion<RingChunk>>,
    pub(crate) due: VecDeque<Completion<RingChunk>>,
    /// Sends of this turn's end that needed no completion of the kernel.
    pub(crate) sent: Vec<Completion<RingChunk>>,
    /// Few enough connections have something to send to do it by system calls.
    pub(crate) sends_directly: bool,
    /// When the kernel will end a wait.
    alarm: Option<Time>,
    /// The mailbox was rung.
    pub(crate) woken: bool,
    /// The kernel stopped watching the mailbox.
    pub(crate) watch_again: bool,
    pub(crate) relay_pipe_waits: u64,
    pub(crate) options: RingOptions,
    pub(crate) counters: Arc<EngineCounters>,
    report: SetupReport,
    // A chunk and a holder are this thread's; so is the ring.
    not_send: std::marker::PhantomData<*const ()>,
}

impl Ring {
    /// Sets a ring up for the calling thread. No buffer memory is touched before it is needed.
    ///
    /// # Errors
    /// [`RingError`] if io_uring is refused or too old (Linux 6.0 is needed, 6.1 and later are good), if memory is, or
    /// if an option is out of its bounds.
    pub fn new(options: RingOptions, counters: Arc<EngineCounters>) -> Result<Ring, RingError> {
        options.check()?;
        let (uring, mut report) = setup::open(&options)?;
        let returns_published = report.task_run == TaskRun::Deferred;
        let small = GroupOptions {
            id: 0,
            slot_bytes: options.slot_bytes,
            slots_max: options.slots_max,
            published_initially: SMALL_PUBLISHED,
            published_least: SMALL_PUBLISHED,
            published_max: SMALL_PUBLISHED_MAX,
            returns_published,
        };
        let bulk = GroupOptions {
            id: 1,
            slot_bytes: options.bulk_slot_bytes,
            slots_max: options.bulk_slots_max.max(1),
            published_initially: 0,
            published_least: BULK_PUBLISHED,
            published_max: BULK_PUBLISHED_MAX,
            returns_published,
        };
        let mut groups = Vec::with_capacity(2);
        for group in [small, bulk] {
            let bytes = group.slot_bytes as usize * group.slots_max as usize;
            groups.push(SlotGroup::new(&uring, group).map_err(|error| RingError::buffers(bytes, error))?);
        }
        // Last, because a restricted ring takes no further registration.
        report.restricted = setup::enable(&uring, options.restricts)?;
        Ok(Ring {
            kernel: Kernel::new(uring),
            groups,
            conns: ConnTable::new(options.connections_max),
            listeners: Listeners::default(),
            relays: Relays::new(options.pipes_max),
            spare: Spare::default(),
            dirty: Vec::new(),
            follow_ups: VecDeque::new(),
            deferred: VecDeque::new(),
            due: VecDeque::new(),
            alarm: None,
            sent: Vec::new(),
            sends_directly: false,
            woken: false,
            watch_again: false,
            relay_pipe_waits: 0,
            options,
            counters,
            report,
            not_send: std::marker::PhantomData,
        })
    }

    /// What the system granted.
    pub fn setup(&self) -> &SetupReport {
        &self.report
    }

    /// Bytes of receive buffers that the system backs with memory now. Asks the system page by page: for diagnosis.
    pub fn resident_buffer_bytes(&self) -> usize {
        self.groups.iter().map(SlotGroup::resident_bytes).sum()
    }

    /// Times a relay had to wait because all pipes were in use.
    pub fn relay_pipe_waits(&self) -> u64 {
        self.relay_pipe_waits
    }

    /// Pipes the system refused to enlarge (`fs.pipe-user-pages-soft`): they work with 64 KiB or less.
    pub fn pipe_resizes_refused(&self) -> u64 {
        self.relays.pipes.resizes_refused()
    }

    /// Pipes open now, idle ones included.
    pub fn pipes_open(&self) -> usize {
        self.relays.pipes.open()
    }

    /// Connections in the table, closing ones included.
    pub fn connections(&self) -> usize {
        self.conns.len()
    }

    #[inline]
    pub(crate) fn mark_dirty(&mut self, index: u32) {
        let conn = self.conns.entry(index);
        if !conn.dirty {
            conn.dirty = true;
            self.dirty.push(index);
        }
    }

    /// What a completion of the kernel means to the data plane.
    #[inline]
    pub(crate) fn complete(&mut self, finished: Finished) -> Option<Completion<RingChunk>> {
        let token = finished.token();
        match token.operation {
            Operation::Receive => self.handle_received(token, finished),
            Operation::Send => self.handle_sent(token, finished),
            Operation::Accept => self.handle_accepted(token, finished),
            Operation::Connect => self.handle_connected(token, finished),
            Operation::PollSource | Operation::PollDestination | Operation::WatchDestination => {
                self.handle_polled(token, finished)
            }
            Operation::Wake => {
                self.woken = true;
                if !finished.more() {
                    self.kernel.retire();
                    self.counters.multishot_rearms.add(1);
                    self.watch_again = true;
                }
                None
            }
            Operation::Alarm => {
                self.alarm = None;
                None
            }
            Operation::Ignored => None,
        }
    }

    /// Whether a completion made earlier may still be told: nothing of it may have been closed meanwhile, and a pause
    /// must not have been taken back.
    pub(crate) fn may_tell(&mut self, completion: &Completion<RingChunk>) -> bool {
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
        // Relays first: they need O_NONBLOCK on, and the operations flushed below need it off.
        if self.relays.runnable() > 0 {
            self.run_relays();
        }
        if self.listeners.has_draining() {
            self.drain_listeners();
        }
        self.refill();
        for group in &mut self.groups {
            group.trim(now);
        }
        self.flush();
        self.count();
    }

    /// Publishes slots that came home, and lets parked receives try again.
    #[inline]
    pub(crate) fn refill(&mut self) {
        for group in &mut self.groups {
            group.refill();
        }
        if self.groups.iter().any(SlotGroup::has_parked) {
            self.unpark();
        }
    }

    #[inline]
    pub(crate) fn flush(&mut self) {
        self.sends_directly = self.dirty.len() <= self.options.direct_sends_max;
        // Flushing may mark others (a relay that ends frees what waits behind it): those are seen in the same pass.
        let mut position = 0;
        while position < self.dirty.len() {
            let index = self.dirty[position];
            position += 1;
            let conn = self.conns.entry(index);
            conn.dirty = false;
            if conn.is_live() {
                self.flush_receive(index);
                self.flush_send(index);
            }
        }
        self.dirty.clear();
    }

    fn count(&mut self) {
        let counters = &self.counters;
        counters.turns.add(1);
        let [small, bulk] = &self.groups[..] else { return };
        counters.slots_in_use.set(u64::from(small.slots_out()) + u64::from(bulk.slots_out()));
        counters.slot_bytes.set(small.warm_bytes() + bulk.warm_bytes());
        let overflows = self.kernel.take_overflows();
        if overflows > 0 {
            counters.completion_queue_overflows.add(overflows);
        }
    }

    /// How long the next enter may wait, `deadline` being the machine's. For that the alarm is set rather than a limit
    /// to each wait: deadlines rarely move forward, and starting and stopping a kernel timer around each wait costs
    /// several microseconds where little goes on.
    #[inline]
    pub(crate) fn wait(&mut self, now: Time, deadline: Option<Time>) -> Wait {
        if !self.deferred.is_empty()
            || self.relays.runnable() > 0
            || self.listeners.has_draining()
            || self.kernel.has_backlog()
        {
            return Wait::No;
        }
        let trim = self.groups.iter().filter_map(SlotGroup::next_trim).min();
        let Some(earliest) = [deadline, trim].into_iter().flatten().min() else { return Wait::Forever };
        if earliest <= now {
            return Wait::No;
        }
        if self.alarm.is_none_or(|alarm| earliest < alarm) {
            self.kernel.set_alarm(earliest.micros_since(now), self.alarm.is_some());
            self.alarm = Some(earliest);
        }
        Wait::Forever
    }
}

impl Io for Ring {
    type Chunk = RingChunk;

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
    fn send(&mut self, conn: ConnId, segment: Segment<RingChunk>) {
        self.queue_segment(conn, segment);
    }

    fn unsent(&mut self, conn: ConnId, out: &mut Vec<u8>) {
        if let Some(conn) = self.conns.get(conn)
            && let Some(outgoing) = &conn.outgoing
        {
            outgoing.copy_unsent(out);
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
