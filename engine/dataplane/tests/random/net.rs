//! The engine in memory: sockets whose peers are models, and every completion that could come next, one of which the
//! driver picks. It keeps the contract of `io.rs` and panics when the worker breaks it.

use crate::rng::Rng;
use crate::support::TestChunk;
use sidering_dataplane::io::*;
use std::collections::VecDeque;
use std::net::SocketAddr;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Receive {
    Rest,
    On,
    Pausing,
    Ended,
}

#[derive(Debug)]
enum Out {
    Bytes(Vec<u8>),
    /// A relay from this socket, with what may still be taken.
    Relay(usize, u64),
    Fin,
}

/// What the peer sees of the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Fin,
    Reset,
}

#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) id: ConnId,
    /// The listener it was accepted on, or the port it was opened to.
    pub(crate) listener: Option<u32>,
    pub(crate) port: u16,
    pub(crate) connected: bool,
    pub(crate) connecting: bool,
    pub(crate) receive: Receive,
    pause_due: bool,
    relaying: bool,
    /// Written by the peer, not taken by the worker.
    inbound: Vec<u8>,
    inbound_end: Option<End>,
    outbound: VecDeque<Out>,
    unreported: usize,
    shut: bool,
    send_failed: bool,
    pub(crate) closed: bool,
    /// What the peer has got, and how that ended.
    pub(crate) taken: Vec<u8>,
    pub(crate) taken_end: Option<End>,
    /// The peer does not read.
    pub(crate) stalled: bool,
    /// The peer has reset the connection.
    peer_gone: bool,
}

/// One thing that may happen next on a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    Connect,
    Receive,
    ReceiveEnd,
    Pause,
    Flush,
    Report,
}

#[derive(Default)]
pub(crate) struct Net {
    /// By serial number, which is the generation of the ids.
    pub(crate) sockets: Vec<Socket>,
    free: Vec<u32>,
    indices: u32,
    pub(crate) now_accepting: Vec<ListenerId>,
}

impl Net {
    pub(crate) fn open(&mut self, listener: Option<u32>, port: u16) -> ConnId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.indices += 1;
            self.indices - 1
        });
        let id = ConnId { index, generation: self.sockets.len() as u32 };
        self.sockets.push(Socket {
            id,
            listener,
            port,
            connected: listener.is_some(),
            connecting: listener.is_none(),
            receive: Receive::Rest,
            pause_due: false,
            relaying: false,
            inbound: vec![],
            inbound_end: None,
            outbound: VecDeque::new(),
            unreported: 0,
            shut: false,
            send_failed: false,
            closed: false,
            taken: vec![],
            taken_end: None,
            stalled: false,
            peer_gone: false,
        });
        id
    }

    fn live(&mut self, id: ConnId) -> &mut Socket {
        let socket = &mut self.sockets[id.generation as usize];
        assert!(!socket.closed, "used after close: {id:?}");
        socket
    }

    /// The peer writes.
    pub(crate) fn write(&mut self, serial: usize, bytes: &[u8]) {
        let socket = &mut self.sockets[serial];
        if !socket.closed && socket.inbound_end.is_none() {
            socket.inbound.extend_from_slice(bytes);
        }
    }

    /// Whether the worker has taken everything the peer wrote.
    pub(crate) fn is_taken(&self, serial: usize) -> bool {
        self.sockets[serial].inbound.is_empty()
    }

    /// The peer ends its side, or everything.
    pub(crate) fn end(&mut self, serial: usize, end: End) {
        let socket = &mut self.sockets[serial];
        if end == End::Reset {
            socket.inbound.clear();
            socket.inbound_end = Some(end);
            socket.peer_gone = true;
            socket.stalled = false;
        } else {
            socket.inbound_end.get_or_insert(end);
        }
    }

    /// Everything that could happen next.
    pub(crate) fn steps(&self, found: &mut Vec<(usize, Step)>) {
        for (serial, socket) in self.sockets.iter().enumerate().filter(|(_, socket)| !socket.closed) {
            let receives = matches!(socket.receive, Receive::On | Receive::Pausing);
            let mut add = |step| found.push((serial, step));
            if socket.connecting {
                add(Step::Connect);
            }
            if receives && !socket.inbound.is_empty() {
                add(Step::Receive);
            }
            if receives && socket.inbound.is_empty() && socket.inbound_end.is_some() {
                add(Step::ReceiveEnd);
            }
            if socket.pause_due {
                add(Step::Pause);
            }
            if self.can_flush(socket) {
                add(Step::Flush);
            }
            if socket.unreported > 0 {
                add(Step::Report);
            }
        }
    }

    fn can_flush(&self, socket: &Socket) -> bool {
        match socket.outbound.front() {
            None => false,
            _ if !socket.connected || socket.stalled => false,
            Some(Out::Relay(from, left)) => {
                let from = &self.sockets[*from];
                *left == 0 || socket.peer_gone || !from.inbound.is_empty() || from.inbound_end.is_some()
            }
            Some(_) => true,
        }
    }

    /// Lets it happen; the completions to be told, in order.
    pub(crate) fn carry_out(
        &mut self,
        serial: usize,
        step: Step,
        random: &mut Rng,
    ) -> Vec<Completion<TestChunk>> {
        let socket = &mut self.sockets[serial];
        let conn = socket.id;
        match step {
            Step::Connect => vec![],
            Step::Receive => {
                let length = split(socket.inbound.len(), random);
                let chunk = take_front(&mut socket.inbound, length).into();
                vec![Completion::Received { conn, chunk }]
            }
            Step::ReceiveEnd => {
                socket.receive = Receive::Ended;
                vec![Completion::ReceiveEnded { conn, result: result_of(socket.inbound_end) }]
            }
            Step::Pause => {
                socket.pause_due = false;
                if socket.receive == Receive::Pausing {
                    socket.receive = Receive::Rest;
                }
                vec![Completion::Paused { conn }]
            }
            Step::Report => {
                let bytes = std::mem::take(&mut socket.unreported);
                vec![Completion::Sent { conn, bytes }]
            }
            Step::Flush if socket.peer_gone => self.fail_sending(serial),
            Step::Flush => self.flush(serial, random),
        }
    }

    pub(crate) fn connect_done(
        &mut self,
        serial: usize,
        result: Result<(), IoError>,
    ) -> Completion<TestChunk> {
        let socket = &mut self.sockets[serial];
        socket.connecting = false;
        socket.connected = result.is_ok();
        Completion::Connected { conn: socket.id, result }
    }

    fn flush(&mut self, serial: usize, random: &mut Rng) -> Vec<Completion<TestChunk>> {
        let socket = &mut self.sockets[serial];
        match socket.outbound.front_mut() {
            Some(Out::Bytes(bytes)) => {
                let length = if random.chance(70) { bytes.len() } else { split(bytes.len(), random) };
                socket.taken.append(&mut take_front(bytes, length));
                socket.unreported += length;
                if bytes.is_empty() {
                    socket.outbound.pop_front();
                }
                vec![]
            }
            Some(Out::Fin) => {
                socket.taken_end = Some(End::Fin);
                socket.outbound.pop_front();
                vec![]
            }
            Some(Out::Relay(from, left)) => {
                let (from, left) = (*from, *left);
                self.transfer(serial, from, left, random)
            }
            None => vec![],
        }
    }

    fn transfer(
        &mut self,
        serial: usize,
        from: usize,
        left: u64,
        random: &mut Rng,
    ) -> Vec<Completion<TestChunk>> {
        let source = &mut self.sockets[from];
        let ids = (source.id, self.sockets[serial].id);
        let end = if left == 0 {
            RelayEnd::Limit
        } else if self.sockets[from].inbound.is_empty() {
            match result_of(self.sockets[from].inbound_end) {
                Ok(()) => RelayEnd::SourceEnded,
                Err(error) => RelayEnd::SourceFailed(error),
            }
        } else {
            let source = &mut self.sockets[from];
            let most = (source.inbound.len() as u64).min(left) as usize;
            let length = if random.chance(50) { most } else { 1 + random.below(most) };
            let mut moved = take_front(&mut source.inbound, length);
            let socket = &mut self.sockets[serial];
            socket.taken.append(&mut moved);
            if let Some(Out::Relay(_, left)) = socket.outbound.front_mut() {
                *left -= length as u64;
            }
            return vec![Completion::Relayed { from: ids.0, to: ids.1, bytes: length as u64 }];
        };
        self.sockets[serial].outbound.pop_front();
        self.sockets[from].relaying = false;
        vec![Completion::RelayEnded { from: ids.0, to: ids.1, end }]
    }

    /// The peer of a send is gone: what is queued is dropped, relays into it end in place of the failure.
    fn fail_sending(&mut self, serial: usize) -> Vec<Completion<TestChunk>> {
        let to = self.sockets[serial].id;
        self.sockets[serial].send_failed = true;
        self.sockets[serial].unreported = 0;
        let mut told = vec![];
        for out in std::mem::take(&mut self.sockets[serial].outbound) {
            if let Out::Relay(from, _) = out {
                self.sockets[from].relaying = false;
                let end = RelayEnd::DestinationFailed(IoError::BrokenPipe);
                told.push(Completion::RelayEnded { from: self.sockets[from].id, to, end });
            }
        }
        if told.is_empty() {
            told.push(Completion::SendFailed { conn: to, error: IoError::BrokenPipe });
        }
        told
    }

    /// Whether a completion still names open connections only.
    pub(crate) fn may_tell(&self, completion: &Completion<TestChunk>) -> bool {
        let is_open = |id: &ConnId| !self.sockets[id.generation as usize].closed;
        match completion {
            Completion::Relayed { from, to, .. } | Completion::RelayEnded { from, to, .. } => {
                is_open(from) && is_open(to)
            }
            _ => true,
        }
    }
}

fn result_of(end: Option<End>) -> Result<(), IoError> {
    if end == Some(End::Reset) { Err(IoError::Reset) } else { Ok(()) }
}

fn take_front(bytes: &mut Vec<u8>, length: usize) -> Vec<u8> {
    let rest = bytes.split_off(length);
    std::mem::replace(bytes, rest)
}

/// How many of `length` bytes go in one piece.
fn split(length: usize, random: &mut Rng) -> usize {
    let most = length.min(16 * 1024);
    if random.chance(60) { most } else { 1 + random.below(most) }
}

impl Io for Net {
    type Chunk = TestChunk;

    fn accept(&mut self, listener: ListenerId) {
        self.now_accepting.push(listener);
    }

    fn close_listener(&mut self, listener: ListenerId) {
        self.now_accepting.retain(|accepting| *accepting != listener);
    }

    fn connect(&mut self, address: &Address) -> Result<ConnId, IoError> {
        let Address::Ip(address) = address else { return Err(IoError::Refused) };
        Ok(self.open(None, address.port()))
    }

    fn receive(&mut self, conn: ConnId) {
        let socket = self.live(conn);
        assert!(socket.connected && !socket.relaying, "received on while a relay takes: {conn:?}");
        socket.pause_due = false;
        if socket.receive != Receive::Ended {
            socket.receive = Receive::On;
        }
    }

    fn pause(&mut self, conn: ConnId) {
        let socket = self.live(conn);
        assert!(!socket.relaying);
        if socket.receive == Receive::On {
            socket.receive = Receive::Pausing;
        }
        socket.pause_due = true;
    }

    fn send(&mut self, conn: ConnId, segment: Segment<TestChunk>) {
        let socket = self.live(conn);
        assert!(socket.connected && !socket.shut, "sent before connect or after shutdown: {conn:?}");
        assert!(!segment.is_empty());
        if !socket.send_failed {
            socket.outbound.push_back(Out::Bytes(segment.to_vec()));
        }
    }

    fn relay(&mut self, from: ConnId, to: ConnId, limit: u64) {
        let source = self.live(from);
        assert!(source.connected && source.receive == Receive::Rest && !source.pause_due && !source.relaying);
        source.relaying = true;
        let destination = self.live(to);
        assert!(destination.connected && !destination.shut);
        assert!(!destination.send_failed, "a relay into a connection that cannot send");
        destination.outbound.push_back(Out::Relay(from.generation as usize, limit));
    }

    fn shutdown(&mut self, conn: ConnId) {
        let socket = self.live(conn);
        assert!(socket.connected && !socket.shut, "shut down twice or before connect");
        socket.shut = true;
        if !socket.send_failed {
            socket.outbound.push_back(Out::Fin);
        }
    }

    fn close(&mut self, conn: ConnId, mode: CloseMode) {
        let serial = conn.generation as usize;
        let socket = self.live(conn);
        socket.closed = true;
        let end = if mode == CloseMode::Reset { End::Reset } else { End::Fin };
        socket.taken_end.get_or_insert(end);
        for out in std::mem::take(&mut socket.outbound) {
            if let Out::Relay(from, _) = out {
                self.sockets[from].relaying = false;
            }
        }
        for socket in &mut self.sockets {
            socket.outbound.retain(|out| !matches!(out, Out::Relay(from, _) if *from == serial));
        }
        self.free.push(conn.index);
    }

    fn peer_address(&mut self, _conn: ConnId) -> Option<SocketAddr> {
        None
    }
}
