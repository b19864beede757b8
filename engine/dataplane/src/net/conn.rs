//! One connection's state and the table of them. It knows bytes and bounds, not what they mean.

use crate::buffers::BufferPool;
use crate::io::{Chunk, ConnId, Io, ListenerId, Segment, Time};
use crate::neighbours::Ask;
use crate::net::calls::Calls;
use crate::net::listener::Speaker;
use crate::net::race::Racer;
use crate::net::timer::TimerId;
use crate::observe::counters::CoreCounters;
use crate::stream::{Shadow, StreamKey};
use sidering_codecs::Codec;
use std::marker::PhantomData;
use std::rc::Rc;

/// Queued bytes above which the peer that feeds the queue is paused.
pub const QUEUE_HIGH_BYTES: u64 = 256 * 1024;
/// Queued bytes at which it is resumed.
pub const QUEUE_LOW_BYTES: u64 = 64 * 1024;
/// Payload segments (each may keep a whole receive slot busy, however few bytes it has) above which it is paused.
pub const QUEUE_HIGH_SEGMENTS: u32 = 64;
/// Received chunks that may wait for their exchange to come up before receiving is paused.
pub const HELD_CHUNKS: usize = 4;
/// Body bytes copied behind one head at most, so that their slot goes home early.
pub const TAIL_BYTES: usize = 2048;

/// Bytes of whole messages that are staged together at most, give or take one.
pub const STAGED_BYTES: usize = 12 * 1024;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Accepted; what it carries its first bytes will tell.
    Detecting { listener: ListenerId },
    /// Accepted; carries requests.
    Downstream { listener: ListenerId },
    /// Opened to an endpoint; carries requests.
    Upstream { cluster: u32, endpoint: u32 },
    /// Accepted; its bytes are carried unseen.
    TunnelDownstream { listener: ListenerId },
    /// Opened to an endpoint; its bytes are carried unseen.
    TunnelUpstream { cluster: u32, endpoint: u32 },
}

/// Where a connection stands.
///
/// ```text
/// detecting:   Idle -> (downstream or tunnel)
/// downstream:  Idle -> Busy -> Idle ...   Busy|Idle -> Lingering -> (closed)
/// upstream:    Connecting -> Busy -> Idle -> Busy ... -> (closed)    Idle -> Leaving -> (another core's)
/// tunnel:      Connecting -> Busy -> (closed)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Connecting,
    /// No exchange is under way (part of the next request's head may have come).
    Idle,
    Busy,
    /// As soon as its receive is at rest it goes to another core.
    Leaving,
    /// The last answer and FIN are queued; what still comes in is discarded, so that no RST overtakes the answer.
    Lingering,
}

/// The bytes on their way out of one connection.
#[derive(Debug)]
pub struct Outbox<C> {
    /// Framing not handed over yet, so that what follows within the turn rides in the same buffer.
    staged: Option<Rc<Vec<u8>>>,
    queued_bytes: u64,
    /// Handed to the kernel since the connection was opened.
    taken_bytes: u64,
    /// Payload segments since the queue was last empty.
    queued_segments: u32,
    /// Payload bytes copied into the staged buffer.
    staged_payload: u16,
    /// What is staged holds a message's head.
    is_behind_head: bool,
    /// Sending is over: everything queued from now on is dropped.
    failed: bool,
    payload: PhantomData<C>,
}

/// One connection.
pub struct Conn<C> {
    pub id: ConnId,
    pub role: Role,
    pub phase: Phase,
    pub codec: Option<Box<dyn Codec>>,
    /// Which of its listener's speakers it is one of (downstream).
    pub speaker: Speaker,
    /// The stream that it carries. Where it carries many, the one whose message is coming in.
    pub stream: Option<StreamKey>,
    /// The streams of a connection that carries many at a time; `None` if it never does.
    pub calls: Option<Box<Calls>>,
    /// A mirrored request that it carries instead, or will.
    pub shadow: Option<Box<Shadow>>,
    pub outbox: Outbox<C>,
    /// Part of the next request's head has come.
    pub head_started: bool,
    /// Bytes of an answer to the exchange under way have come (upstream).
    pub answer_started: bool,
    /// Received, but not to be looked at before the exchange under way has ended.
    pub held: Vec<C>,
    /// The peer has ended its side, or receiving failed.
    pub input_ended: bool,
    /// Receiving was paused by us, for backpressure or a relay.
    pub paused: bool,
    /// What it has staged goes out at the end of the turn.
    pub is_touched: bool,
    /// The connection must not carry another exchange, whatever its codec thinks.
    pub is_poisoned: bool,
    /// What it has to send is the end of a request that nobody answers: it is not closed before that is sent (upstream, one
    /// request at a time).
    pub sends_one_way: bool,
    /// The rest of a request is still coming that was answered before it was whole.
    pub is_behind_answer: bool,
    /// We have told the codec to announce the connection's end.
    pub announces_end: bool,
    /// The client has announced that its request is the last one, so that nothing follows it.
    pub is_last_request: bool,
    /// The end of the sending side was asked for.
    pub is_shut: bool,
    /// Bytes that passed while lingering.
    pub lingered_bytes: u32,
    /// Exchanges that were begun on this connection.
    pub exchanges: u32,
    /// Of connections to logical hosts.
    pub racer: Option<Box<Racer>>,
    /// Who gets it, if it is leaving.
    pub leaves_for: Option<Box<Ask>>,
    /// Where this connection stands in its endpoint's list of idle ones.
    pub idle_position: u32,
    pub timer: ConnTimer,
    /// When an upstream connection of many calls carried something last, be it a heartbeat; while it is busy, when something came.
    pub heard: Time,
    /// When it was asked whether it is still there, and has not answered yet.
    pub pinged: Option<Time>,
    /// When the state under way began: accept, connect, the first byte of a request, idling.
    pub since: Time,
}

/// The one timer of a connection. It is set at or before the deadline and looks again when it fires, so that moving the
/// deadline later (every request does) costs nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct ConnTimer {
    pub entry: Option<TimerId>,
    pub set_for: Time,
}

impl<C: Chunk> Conn<C> {
    /// Whether an upstream connection carries nothing any more, and is idle or closed as soon as all is sent.
    pub fn is_left(&self) -> bool {
        let carries_nothing = self.calls.as_ref().map_or(self.stream.is_none(), |calls| calls.is_empty());
        let is_upstream = matches!(self.role, Role::Upstream { .. });
        is_upstream && self.phase == Phase::Busy && self.shadow.is_none() && carries_nothing
    }

    /// A connection that was just accepted or asked for.
    pub fn new(id: ConnId, role: Role, phase: Phase, now: Time) -> Self {
        Conn {
            id,
            role,
            phase,
            codec: None,
            speaker: Speaker::default(),
            stream: None,
            calls: None,
            shadow: None,
            outbox: Outbox::default(),
            head_started: false,
            sends_one_way: false,
            is_behind_answer: false,
            answer_started: false,
            held: Vec::new(),
            input_ended: false,
            paused: false,
            is_touched: false,
            is_poisoned: false,
            announces_end: false,
            is_last_request: false,
            is_shut: false,
            lingered_bytes: 0,
            exchanges: 0,
            racer: None,
            leaves_for: None,
            idle_position: u32::MAX,
            timer: ConnTimer::default(),
            heard: now,
            pinged: None,
            since: now,
        }
    }
}

impl<C> Default for Outbox<C> {
    fn default() -> Self {
        Outbox {
            staged: None,
            queued_bytes: 0,
            taken_bytes: 0,
            queued_segments: 0,
            staged_payload: 0,
            is_behind_head: false,
            failed: false,
            payload: PhantomData,
        }
    }
}

impl<C: Chunk> Outbox<C> {
    /// A buffer to write framing into. What was staged before stands in front of it.
    #[inline]
    pub fn stage(&mut self, buffers: &mut BufferPool) -> &mut Vec<u8> {
        // It has no second owner before it is handed over, so `make_mut` never copies.
        Rc::make_mut(self.staged.get_or_insert_with(|| buffers.take()))
    }

    /// As [`stage`](Self::stage), for a head: a short tail of payload may be copied behind it.
    #[inline]
    pub fn stage_head(&mut self, buffers: &mut BufferPool) -> &mut Vec<u8> {
        self.is_behind_head = true;
        self.staged_payload = 0;
        self.stage(buffers)
    }

    /// Queues payload: in the same buffer if it is a short tail behind a staged head, else by reference.
    pub fn push_payload<I: Io<Chunk = C>>(
        &mut self,
        io: &mut I,
        id: ConnId,
        whole: &C,
        part: &[u8],
        buffers: &mut BufferPool,
        counters: &CoreCounters,
    ) {
        if self.failed {
            return;
        }
        if self.is_behind_head && usize::from(self.staged_payload) + part.len() <= TAIL_BYTES {
            self.copy_payload(part, counters);
            return;
        }
        self.flush_staged(io, id, buffers);
        self.queued_segments += 1;
        self.push(io, id, Segment::Chunk(whole.subset(part)));
    }

    /// Queues a piece of payload that is kept elsewhere, too.
    pub fn push_piece<I: Io<Chunk = C>>(
        &mut self,
        io: &mut I,
        id: ConnId,
        piece: &Segment<C>,
        buffers: &mut BufferPool,
        counters: &CoreCounters,
    ) {
        if self.failed {
            return;
        }
        if self.is_behind_head && usize::from(self.staged_payload) + piece.len() <= TAIL_BYTES {
            self.copy_payload(piece, counters);
            return;
        }
        self.flush_staged(io, id, buffers);
        self.queued_segments += 1;
        self.push(io, id, piece.clone());
    }

    /// Copies payload into the staged buffer, and counts it for what it is.
    fn copy_payload(&mut self, part: &[u8], counters: &CoreCounters) {
        let Some(staged) = &mut self.staged else { return };
        Rc::make_mut(staged).extend_from_slice(part);
        let copied = usize::from(self.staged_payload) + part.len();
        let is_tail = self.is_behind_head && copied <= TAIL_BYTES;
        let counter = if is_tail { &counters.tail_bytes_copied } else { &counters.body_bytes_copied };
        counter.add(part.len() as u64);
        self.staged_payload = u16::try_from(copied).unwrap_or(u16::MAX);
    }

    /// Whether what is staged should not grow any more.
    pub fn is_stage_full(&self) -> bool {
        self.staged.as_ref().is_some_and(|staged| staged.len() >= STAGED_BYTES)
    }

    /// Hands the staged framing over.
    pub fn flush_staged<I: Io<Chunk = C>>(&mut self, io: &mut I, id: ConnId, buffers: &mut BufferPool) {
        self.is_behind_head = false;
        self.staged_payload = 0;
        if let Some(staged) = self.staged.take()
            && !staged.is_empty()
        {
            buffers.remember(&staged);
            self.push(io, id, Segment::Bytes(staged));
        }
    }

    fn push<I: Io<Chunk = C>>(&mut self, io: &mut I, id: ConnId, segment: Segment<C>) {
        if self.failed {
            return;
        }
        self.queued_bytes += segment.len() as u64;
        io.send(id, segment);
    }

    /// `bytes` were handed to the kernel.
    pub fn on_sent(&mut self, bytes: usize) {
        self.taken_bytes += bytes as u64;
        self.queued_bytes = self.queued_bytes.saturating_sub(bytes as u64);
        if self.queued_bytes == 0 {
            self.queued_segments = 0;
        }
    }

    /// How many bytes stand in front of what is staged next, since the connection was opened.
    #[inline]
    pub fn position(&self) -> u64 {
        self.queued_position() + self.staged.as_ref().map_or(0, |staged| staged.len() as u64)
    }

    /// How many bytes were handed to the kernel since the connection was opened.
    pub fn taken(&self) -> u64 {
        self.taken_bytes
    }

    fn queued_position(&self) -> u64 {
        self.taken_bytes + self.queued_bytes
    }

    /// The bytes that the peer cannot have any of, and the position of their first.
    pub fn take_unsent<I: Io<Chunk = C>>(&mut self, io: &mut I, id: ConnId) -> (u64, Vec<u8>) {
        let mut bytes = vec![];
        if self.failed {
            return (u64::MAX, bytes);
        }
        io.unsent(id, &mut bytes);
        let begin = self.queued_position().saturating_sub(bytes.len() as u64);
        bytes.extend_from_slice(self.staged.as_ref().map_or(&[], |staged| staged));
        (begin, bytes)
    }

    /// Sending is over.
    pub fn fail(&mut self) {
        self.failed = true;
        self.queued_bytes = 0;
        self.queued_segments = 0;
        self.staged = None;
        self.is_behind_head = false;
        self.staged_payload = 0;
    }

    /// Whether sending has failed.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Whether everything was handed to the kernel.
    pub fn is_empty(&self) -> bool {
        self.queued_bytes == 0 && self.staged.is_none()
    }

    /// Whether whoever feeds this queue must pause.
    pub fn is_high(&self) -> bool {
        self.queued_bytes > QUEUE_HIGH_BYTES || self.queued_segments > QUEUE_HIGH_SEGMENTS
    }

    /// Whether whoever feeds this queue may go on.
    pub fn is_low(&self) -> bool {
        self.queued_bytes <= QUEUE_LOW_BYTES && self.queued_segments <= QUEUE_HIGH_SEGMENTS
    }
}

/// The connections of one core, by [`ConnId`].
pub struct ConnTable<C> {
    slots: Vec<Option<Conn<C>>>,
    len: usize,
}

impl<C> Default for ConnTable<C> {
    fn default() -> Self {
        ConnTable { slots: Vec::new(), len: 0 }
    }
}

impl<C: Chunk> ConnTable<C> {
    /// Enters a connection under its id, whose index must be free.
    pub fn insert(&mut self, conn: Conn<C>) {
        let index = conn.id.index as usize;
        if index >= self.slots.len() {
            self.slots.resize_with(index + 1, || None);
        }
        debug_assert!(self.slots[index].is_none(), "the engine gave out an index twice");
        self.slots[index] = Some(conn);
        self.len += 1;
    }

    /// The connection, if it is still the one the id was made for.
    pub fn get(&self, id: ConnId) -> Option<&Conn<C>> {
        self.slots.get(id.index as usize)?.as_ref().filter(|conn| conn.id == id)
    }

    /// The connection, to change it.
    pub fn get_mut(&mut self, id: ConnId) -> Option<&mut Conn<C>> {
        self.slots.get_mut(id.index as usize)?.as_mut().filter(|conn| conn.id == id)
    }

    /// Takes the connection out.
    pub fn remove(&mut self, id: ConnId) -> Option<Conn<C>> {
        self.get(id)?;
        self.len -= 1;
        self.slots[id.index as usize].take()
    }

    /// How many connections there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The ids of all connections for which `wanted` says so.
    pub fn ids(&self, wanted: impl Fn(&Conn<C>) -> bool) -> Vec<ConnId> {
        self.slots.iter().flatten().filter(|conn| wanted(conn)).map(|conn| conn.id).collect()
    }
}
