//! The one vocabulary of I/O: what a core's data plane may ask of an engine, and what an engine tells it.
//!
//! `ring` (io_uring), `epoll` and `sim` (a simulator) speak it; the data plane cannot tell them apart. An engine decides
//! nothing about protocols; the data plane never sees a descriptor, a syscall or a buffer's home.
//!
//! # Contract
//! - A [`ConnId`] comes from [`Completion::Accepted`] or [`Io::connect`] and is good until [`Io::close`]. After `close`
//!   no completion names it, whatever the kernel still has in flight, and an engine ignores calls that name it.
//! - Sends, relays and the half-close of one connection happen in the order they were asked for. Operations asked for
//!   in one turn may be carried out together at the end of the turn ([`Io`] implementations gather sends).
//! - Bytes received arrive in order. An engine that runs out of buffers holds the receive back by itself and goes on
//!   when buffers come home; the data plane's duty is only to drop chunks it no longer needs.
//! - Every operation on a connection can fail with one completion ([`Completion::ReceiveEnded`],
//!   [`Completion::SendFailed`], ...); the connection stays allocated until the data plane closes it.

use std::any::Any;
use std::fmt::{Display, Formatter};
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

/// A connection: an index dense enough for tables, and a generation that tells reuse of the index apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub struct ConnId {
    pub index: u32,
    pub generation: u32,
}

/// A listener of the current configuration; its sockets were given to the engine under this number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub u32);

/// Monotonic time in microseconds since an origin common to all cores of the process. Always an argument: the data
/// plane reads no clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord, Default)]
pub struct Time {
    pub micros: u64,
}

impl Time {
    /// The time this many milliseconds later.
    pub fn after_ms(self, ms: u64) -> Time {
        Time { micros: self.micros.saturating_add(ms.saturating_mul(1000)) }
    }

    /// Microseconds from `earlier` to here, 0 if it is later.
    pub fn micros_since(self, earlier: Time) -> u64 {
        self.micros.saturating_sub(earlier.micros)
    }
}

/// Where to connect to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Address {
    Ip(SocketAddr),
    Unix(Arc<PathBuf>),
}

impl Display for Address {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Ip(address) => address.fmt(formatter),
            Address::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// What the kernel does about an outgoing TCP connection of its own accord: nothing by default. To unix sockets it means nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ConnectOptions {
    pub keepalive: Option<Keepalive>,
    /// A connection whose bytes are not acknowledged for so long has failed (TCP_USER_TIMEOUT, RFC 5482), probes included;
    /// 0 leaves it to the system.
    pub user_timeout_ms: u32,
}

/// Probes on a silent connection: one that answers none of them has failed, with [`IoError::TimedOut`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keepalive {
    /// Silence until the first one; 1 to 32,767, as all that tcp(7) takes.
    pub idle_seconds: u16,
    /// Between two; 1 to 32,767.
    pub interval_seconds: u16,
    /// 1 to 127.
    pub probes: u8,
}

/// A socket between two engines of the same kind. Dropping it closes the connection. What it is only engines know.
pub struct Detached(Box<dyn Any + Send>);

impl Detached {
    /// For an engine that lets a socket go.
    pub fn new(socket: impl Any + Send) -> Self {
        Detached(Box::new(socket))
    }

    /// For an engine that takes it; `None` (and the socket closed) if another kind of engine let it go.
    pub fn into_socket<S: Any>(self) -> Option<S> {
        self.0.downcast().ok().map(|socket| *socket)
    }
}

impl std::fmt::Debug for Detached {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Detached")
    }
}

/// Received bytes: a view of an engine's buffer that goes home when the last view of it is dropped.
pub trait Chunk: Clone + Deref<Target = [u8]> {
    /// The part of this view that `part`, a slice borrowed from it, covers. Panics if it is not a part of it.
    fn subset(&self, part: &[u8]) -> Self;
}

/// Bytes to send. Payload goes by reference; framing is built in buffers of the data plane's own.
#[derive(Clone, Debug)]
pub enum Segment<C> {
    /// Framing, or a copied tail. The engine only reads it; its owner reuses it when it holds the only count.
    Bytes(Rc<Vec<u8>>),
    /// Payload as received.
    Chunk(C),
    Static(&'static [u8]),
}

impl<C: Chunk> Deref for Segment<C> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Segment::Bytes(bytes) => bytes,
            Segment::Chunk(chunk) => chunk,
            Segment::Static(bytes) => bytes,
        }
    }
}

/// Why an operation failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IoError {
    #[error("connection refused")]
    Refused,
    #[error("connection reset by peer")]
    Reset,
    #[error("broken pipe")]
    BrokenPipe,
    #[error("timed out")]
    TimedOut,
    #[error("host or network unreachable")]
    Unreachable,
    /// EMFILE or ENFILE: the process or the system has no descriptor left.
    #[error("no file descriptor left")]
    DescriptorsExhausted,
    /// ENOMEM or ENOBUFS of the kernel's own memory (not the engine's buffer pool, which parks).
    #[error("the kernel is out of memory")]
    OutOfMemory,
    /// EADDRNOTAVAIL: no local port left.
    #[error("no local address or port left")]
    AddressNotAvailable,
    #[error("operating system error {0}")]
    Other(i32),
}

/// How a connection is ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CloseMode {
    /// FIN after what the kernel already holds; segments still queued in the engine are dropped.
    Graceful,
    /// RST, so that the peer cannot take a cut message for a whole one.
    Reset,
}

/// Why a relay ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RelayEnd {
    /// All bytes asked for have been handed to the receiving socket.
    Limit,
    /// The source ended its stream (FIN); all that came before it has been handed on.
    SourceEnded,
    SourceFailed(IoError),
    DestinationFailed(IoError),
}

/// What happened.
#[derive(Debug)]
pub enum Completion<C> {
    /// A connection came in. Nothing is received before [`Io::receive`].
    Accepted { listener: ListenerId, conn: ConnId },
    /// Accepting stopped on an error (EMFILE first of all); [`Io::accept`] starts it again.
    AcceptFailed { listener: ListenerId, error: IoError },
    /// The outcome of [`Io::connect`].
    Connected { conn: ConnId, result: Result<(), IoError> },
    /// Bytes came in (never empty). May still arrive after [`Io::pause`], until [`Completion::Paused`].
    Received { conn: ConnId, chunk: C },
    /// Receiving is over for good: FIN (`Ok`) or an error.
    ReceiveEnded { conn: ConnId, result: Result<(), IoError> },
    /// The receive is at rest: no byte will be taken from the socket before the next [`Io::receive`] or [`Io::relay`].
    Paused { conn: ConnId },
    /// This many bytes of queued segments went to the kernel (relayed bytes are not counted here).
    Sent { conn: ConnId, bytes: usize },
    /// Sending is over for good; whatever was queued is dropped, also a relay into this connection (which reports
    /// [`RelayEnd::DestinationFailed`] instead of this). While this is told [`Io::unsent`] still knows what was queued.
    SendFailed { conn: ConnId, error: IoError },
    /// Progress of a relay: at most one per turn and relay.
    Relayed { from: ConnId, to: ConnId, bytes: u64 },
    /// The relay from `from` is over. Its bytes were all reported by `Relayed` before.
    RelayEnded { from: ConnId, to: ConnId, end: RelayEnd },
}

/// The operations a core's data plane may ask for.
pub trait Io {
    type Chunk: Chunk;

    /// Starts (or resumes) accepting on the listener's socket.
    fn accept(&mut self, listener: ListenerId);

    /// Stops accepting and closes this core's listening socket; connections in its backlog that are already
    /// established are accepted first where the system allows it.
    fn close_listener(&mut self, listener: ListenerId);

    /// Opens a connection; the outcome comes as [`Completion::Connected`]. An error here means that not even the
    /// socket could be had.
    fn connect(&mut self, address: &Address, options: &ConnectOptions) -> Result<ConnId, IoError>;

    /// Starts or resumes receiving. Without effect while receiving, or after it ended. Calling it while a pause is
    /// under way takes the pause back: no `Paused` follows then.
    fn receive(&mut self, conn: ConnId);

    /// Stops receiving; [`Completion::Paused`] tells when it is at rest (at once, in the next turn, if it already is).
    fn pause(&mut self, conn: ConnId);

    /// Queues bytes behind whatever is queued. Not before `Connected` succeeded on outgoing connections.
    fn send(&mut self, conn: ConnId, segment: Segment<Self::Chunk>);

    /// Moves up to `limit` bytes from `from` to `to` inside the kernel, behind what is queued on `to`. `from` must be
    /// at rest: never received on, or `Paused`. After [`RelayEnd::Limit`] both sides can be used as before.
    fn relay(&mut self, from: ConnId, to: ConnId, limit: u64);

    /// Ends the sending side (FIN) behind whatever is queued. Nothing can be sent afterwards.
    fn shutdown(&mut self, conn: ConnId);

    /// Appends the bytes that were queued last and that the kernel has not taken, nor may take: the peer cannot have any of them,
    /// whatever it was that ended the connection. An engine that does not know appends none, or fewer.
    fn unsent(&mut self, _conn: ConnId, _out: &mut Vec<u8>) {}

    /// Ends the connection now. `conn` is void from here on; a relay it takes part in ends without a completion. What
    /// the relay had under way is lost, so the other side must be closed by the caller, too; until then it may be
    /// received on (to discard what comes) and sent to.
    fn close(&mut self, conn: ConnId, mode: CloseMode);

    /// Lets a connection go that is at rest (`Paused`) with nothing queued; `conn` is void from here on. `None`: it cannot
    /// go, and stays. An engine that is alone need not be able to.
    fn release(&mut self, _conn: ConnId) -> Option<Detached> {
        None
    }

    /// Takes a connection that an engine of another core let go; nothing is received before [`Io::receive`].
    ///
    /// # Errors
    /// It is closed if there is no room for it, or if bytes or its end have come since it was at rest.
    fn adopt(&mut self, _socket: Detached) -> Result<ConnId, IoError> {
        Err(IoError::Unreachable)
    }

    /// The peer's address, asked of the system at each call: keep it if it is needed often. `None` for unix sockets.
    fn peer_address(&mut self, conn: ConnId) -> Option<SocketAddr>;
}

/// A pure machine that an engine drives: [`crate::worker::Worker`], or the byte-blind floor of the benchmarks.
///
/// One turn is: every completion at hand, every message at hand, then `handle_turn`; then the engine carries out what
/// was asked for and waits for the next completion, message, or deadline.
pub trait Machine<I: Io> {
    /// What other threads may tell this core.
    type Message;

    fn handle_completion(&mut self, io: &mut I, now: Time, completion: Completion<I::Chunk>);

    fn handle_message(&mut self, io: &mut I, now: Time, message: Self::Message);

    /// The end of a turn: due timers and work put off until everything at hand was seen.
    fn handle_turn(&mut self, io: &mut I, now: Time);

    /// When `handle_turn` must be called at the latest even if nothing happens.
    fn next_deadline(&self) -> Option<Time>;

    /// The machine wants no further turn: the engine tears down and its thread ends.
    fn is_finished(&self) -> bool;
}
