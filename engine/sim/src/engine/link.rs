//! One TCP connection between the proxy's kernel and a model peer: both directions, their buffers, their ends. It knows
//! bytes and ends, and nothing of the engine above.

use crate::bytes::ByteQueue;
use sidering_dataplane::io::IoError;

/// How a direction ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Fin,
    Reset(IoError),
}

impl End {
    pub(crate) fn is_fin(self) -> bool {
        self == End::Fin
    }
}

/// A connection. `up` flows from the peer to the proxy, `down` from the proxy to the peer.
#[derive(Debug)]
pub(crate) struct Link {
    /// Written by the peer and not taken by the proxy; the first `arrived` bytes are in the proxy's kernel.
    pub(crate) up: ByteQueue,
    pub(crate) arrived: usize,
    pub(crate) up_end: Option<End>,
    pub(crate) end_arrived: bool,
    /// Its error was told to the proxy. A socket tells it once; from then on there is an orderly end, or EPIPE.
    error_told: bool,
    /// When it did.
    pub(crate) end_arrived_at: Option<u64>,
    /// The peer reads as fast as it can.
    pub(crate) reads_at_once: bool,
    /// Bytes that were ever taken from `up`.
    pub(crate) taken: u64,
    /// With the proxy's kernel, not read by the peer.
    pub(crate) down: ByteQueue,
    pub(crate) down_end: Option<End>,
    /// Bytes that each direction buffers.
    pub(crate) up_window: usize,
    pub(crate) down_window: usize,
    /// One way, in microseconds.
    pub(crate) delay: u64,
    pub(crate) peer: u32,
    /// The peer wants to know when it can write.
    pub(crate) writer_waits: bool,
    /// The proxy's kernel wants to know when it can send.
    pub(crate) sender_waits: bool,
    /// The proxy has closed its socket.
    pub(crate) proxy_closed: bool,
    /// The peer has closed its socket: what it is sent is answered by a reset.
    pub(crate) peer_closed: bool,
    /// The connection is established, or was accepted by the kernel.
    pub(crate) is_open: bool,
    /// When a wake of the peer is already on the agenda.
    pub(crate) peer_wakes_at: u64,
    /// It is lossy: a reset takes what was under way with it.
    pub(crate) loses_on_reset: bool,
    /// It carries bytes without messages.
    pub(crate) is_tunnel: bool,
    /// The cluster's number and the endpoint's, of a link to an upstream.
    pub(crate) cluster: Option<(usize, usize)>,
    /// The upstream's address.
    pub(crate) upstream: String,
    /// The upstream has answered and waits.
    pub(crate) is_idle: bool,
    /// Behind so many bytes the upstream says what nobody asked for.
    pub(crate) junk_behind: Option<u64>,
}

impl Link {
    pub(crate) fn new(peer: u32, delay: u64, windows: (usize, usize)) -> Self {
        Link {
            up: ByteQueue::default(),
            arrived: 0,
            up_end: None,
            end_arrived: false,
            error_told: false,
            end_arrived_at: None,
            reads_at_once: true,
            taken: 0,
            down: ByteQueue::default(),
            down_end: None,
            up_window: windows.0,
            down_window: windows.1,
            delay,
            peer,
            writer_waits: false,
            sender_waits: false,
            proxy_closed: false,
            peer_closed: false,
            is_open: false,
            peer_wakes_at: u64::MAX,
            loses_on_reset: false,
            is_tunnel: false,
            cluster: None,
            upstream: String::new(),
            is_idle: false,
            junk_behind: None,
        }
    }

    /// Room for the proxy's kernel to send.
    pub(crate) fn send_room(&self) -> usize {
        self.down_window.saturating_sub(self.down.len())
    }

    /// The error that the proxy's side meets, once it has arrived.
    pub(crate) fn failure(&self) -> Option<IoError> {
        match self.up_end {
            Some(End::Reset(error)) if self.end_arrived => Some(error),
            _ => None,
        }
    }

    /// The error for whoever asks next, a send or a receive.
    pub(crate) fn take_error(&mut self) -> Option<IoError> {
        let error = self.failure()?;
        let was_told = std::mem::replace(&mut self.error_told, true);
        (!was_told).then_some(error)
    }

    /// The error that a send meets.
    pub(crate) fn take_send_failure(&mut self) -> Option<IoError> {
        self.failure()?;
        Some(self.take_error().unwrap_or(IoError::BrokenPipe))
    }

    /// What a receive or a relay meets at the end.
    pub(crate) fn take_receive_end(&mut self) -> Option<End> {
        let end = self.receive_end()?;
        Some(if end.is_fin() { end } else { self.take_error().map_or(End::Fin, End::Reset) })
    }

    /// What receiving has come to, if all that arrived before it was taken.
    pub(crate) fn receive_end(&self) -> Option<End> {
        self.up_end.filter(|_| self.end_arrived && self.arrived == 0)
    }

    /// Whether a receive would have anything to tell.
    pub(crate) fn is_readable(&self) -> bool {
        self.arrived > 0 || self.receive_end().is_some()
    }

    /// The proxy takes bytes from the front of what has arrived.
    pub(crate) fn take(&mut self, length: usize) {
        debug_assert!(length <= self.arrived);
        self.up.consume(length);
        self.arrived -= length;
        self.taken += length as u64;
    }

    /// Everything that was written until now has reached the proxy's kernel.
    pub(crate) fn arrive(&mut self) {
        self.arrived = self.up.len();
        self.end_arrived = self.up_end.is_some();
        if self.loses_on_reset && self.failure().is_some() {
            let lost = self.arrived;
            self.up.consume(lost);
            self.arrived = 0;
        }
    }

    /// The peer's end of it breaks; `kept` bytes of what was on its way still get there.
    pub(crate) fn reset_peer(&mut self, error: IoError, kept: usize) {
        let kept = kept.min(self.down.len());
        self.down.truncate(kept);
        self.down_end = Some(End::Reset(error));
    }
}
