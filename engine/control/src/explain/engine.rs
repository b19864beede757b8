//! An engine in memory: connections are established at once or refused, and whoever is at their other end answers at once.
//! It keeps the contract of [`sidering_dataplane::io`]; time passes only where the lab says so.

use super::peer::{Exchange, Peer};
use sidering_codecs::registry::{Protocol, protocol};
use sidering_dataplane::config::{AUTO, Cluster};
use sidering_dataplane::io::{
    Address, Chunk, CloseMode, Completion, ConnId, ConnectOptions, Io, IoError, ListenerId, Segment,
};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

/// A view of received bytes.
#[derive(Debug, Clone)]
pub(super) struct Bytes {
    bytes: Rc<[u8]>,
    start: usize,
    end: usize,
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes { start: 0, end: bytes.len(), bytes: bytes.into() }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }
}

impl Chunk for Bytes {
    fn subset(&self, part: &[u8]) -> Self {
        let start = self.start + (part.as_ptr().addr() - self.as_ptr().addr());
        assert!(start + part.len() <= self.end, "a part of another view");
        Bytes { bytes: Rc::clone(&self.bytes), start, end: start + part.len() }
    }
}

/// What endpoints do, and what they were asked.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    pub(super) clusters: Arc<[Arc<Cluster>]>,
    pub(super) down: Vec<Address>,
    pub(super) answers: Vec<u16>,
    /// What the client speaks.
    pub(super) asked: Option<&'static Protocol>,
    pub(super) exchanges: Vec<Exchange>,
}

#[derive(Debug)]
struct Socket {
    peer: Peer,
    receiving: bool,
    pausing: bool,
    unreported: usize,
    /// What the peer has said and nobody has received.
    inbox: VecDeque<Vec<u8>>,
    /// The peer is about to end its side.
    ends: bool,
    relay: Option<ConnId>,
}

/// Every connection of one worker.
#[derive(Debug, Default)]
pub(super) struct Engine {
    sockets: BTreeMap<u32, Socket>,
    connected: VecDeque<(ConnId, Result<(), IoError>)>,
    next: u32,
    source: Option<IpAddr>,
    endpoints: Endpoints,
    /// The client whose connection was closed last: what it heard is still asked for.
    gone: Option<(ConnId, Peer)>,
}

impl Engine {
    /// Without a connection; clients will come from `source`.
    pub(super) fn new(source: Option<IpAddr>, endpoints: Endpoints) -> Engine {
        Engine { source, endpoints, ..Engine::default() }
    }

    /// What endpoints were asked since this was asked last.
    pub(super) fn take_exchanges(&mut self) -> Vec<Exchange> {
        std::mem::take(&mut self.endpoints.exchanges)
    }

    /// A client that has said `bytes` already.
    pub(super) fn client(&mut self, peer: Peer, bytes: Vec<u8>) -> ConnId {
        let conn = self.insert(peer);
        if !bytes.is_empty() {
            self.sockets.entry(conn.index).and_modify(|socket| socket.inbox.push_back(bytes));
        }
        conn
    }

    /// What the client has heard: the fields of its answer, and the body.
    pub(super) fn heard(&self, conn: ConnId) -> (Vec<(String, String)>, String) {
        let gone = self.gone.as_ref().filter(|(closed, _)| *closed == conn).map(|(_, peer)| peer);
        match self.sockets.get(&conn.index).map(|socket| &socket.peer).or(gone) {
            Some(Peer::Client(client)) => {
                (client.answer.clone(), String::from_utf8_lossy(&client.body).into_owned())
            }
            _ => Default::default(),
        }
    }

    /// Whether a connection to an endpoint is open.
    pub(super) fn is_connected(&self) -> bool {
        self.connected.is_empty()
            && self.sockets.values().any(|socket| matches!(socket.peer, Peer::Endpoint(_)))
    }

    /// The peers of all connections, or this client alone, end their sides.
    pub(super) fn end(&mut self, only: Option<ConnId>) {
        for (index, socket) in &mut self.sockets {
            if only.is_none_or(|conn| conn.index == *index) {
                socket.ends = true;
            }
        }
    }

    /// What happens next; `None` if nothing does by itself.
    pub(super) fn next_completion(&mut self) -> Option<Completion<Bytes>> {
        if let Some((conn, result)) = self.connected.pop_front() {
            return Some(Completion::Connected { conn, result });
        }
        self.sockets.iter_mut().find_map(|(index, socket)| {
            let conn = ConnId { index: *index, generation: 0 };
            if socket.unreported > 0 {
                return Some(Completion::Sent { conn, bytes: std::mem::take(&mut socket.unreported) });
            }
            if std::mem::take(&mut socket.pausing) {
                return Some(Completion::Paused { conn });
            }
            if let Some(to) = socket.relay.take_if(|_| socket.ends) {
                socket.ends = false;
                let end = sidering_dataplane::io::RelayEnd::SourceEnded;
                return Some(Completion::RelayEnded { from: conn, to, end });
            }
            if !socket.receiving {
                return None;
            }
            if let Some(bytes) = socket.inbox.pop_front() {
                return Some(Completion::Received { conn, chunk: bytes.into() });
            }
            let ended = std::mem::take(&mut socket.ends);
            ended.then(|| {
                socket.receiving = false;
                Completion::ReceiveEnded { conn, result: Ok(()) }
            })
        })
    }

    fn insert(&mut self, peer: Peer) -> ConnId {
        let index = self.next;
        self.next += 1;
        let socket = Socket {
            peer,
            receiving: false,
            pausing: false,
            unreported: 0,
            inbox: VecDeque::new(),
            ends: false,
            relay: None,
        };
        self.sockets.insert(index, socket);
        ConnId { index, generation: 0 }
    }

    fn with(&mut self, conn: ConnId, change: impl FnOnce(&mut Socket, &mut Endpoints)) {
        if let Some(socket) = self.sockets.get_mut(&conn.index) {
            change(socket, &mut self.endpoints);
        }
    }
}

impl Endpoints {
    /// What is spoken at an address.
    fn protocol(&self, address: &Address) -> Option<&'static Protocol> {
        let of = |cluster: &Arc<Cluster>| match cluster.protocol {
            AUTO => self.asked,
            name => protocol(name),
        };
        let has =
            |cluster: &&Arc<Cluster>| cluster.endpoints.iter().any(|endpoint| endpoint.address == *address);
        self.clusters.iter().find(has).and_then(of)
    }

    /// The status of the next answer.
    pub(super) fn answer(&mut self) -> u16 {
        if self.answers.len() > 1 {
            self.answers.remove(0)
        } else {
            self.answers.first().copied().unwrap_or(200)
        }
    }
}

impl Io for Engine {
    type Chunk = Bytes;

    fn accept(&mut self, _listener: ListenerId) {}

    fn close_listener(&mut self, _listener: ListenerId) {}

    fn connect(&mut self, address: &Address, _: &ConnectOptions) -> Result<ConnId, IoError> {
        let is_down = self.endpoints.down.contains(address);
        if is_down {
            self.endpoints.exchanges.push(Exchange::refused(address.clone()));
        }
        let protocol = self.endpoints.protocol(address);
        if protocol.is_none() && !is_down {
            self.endpoints.exchanges.push(Exchange::bytes(address.clone()));
        }
        let conn = self.insert(Peer::endpoint(address.clone(), protocol));
        let result = if is_down { Err(IoError::Refused) } else { Ok(()) };
        self.connected.push_back((conn, result));
        Ok(conn)
    }

    fn receive(&mut self, conn: ConnId) {
        self.with(conn, |socket, _| (socket.receiving, socket.pausing) = (true, false));
    }

    fn pause(&mut self, conn: ConnId) {
        self.with(conn, |socket, _| (socket.receiving, socket.pausing) = (false, true));
    }

    fn send(&mut self, conn: ConnId, segment: Segment<Bytes>) {
        self.with(conn, |socket, endpoints| {
            socket.unreported += segment.len();
            let answer = socket.peer.hear(&segment, endpoints);
            if !answer.is_empty() {
                socket.inbox.push_back(answer);
            }
        });
    }

    fn relay(&mut self, from: ConnId, to: ConnId, _limit: u64) {
        self.with(from, |socket, _| socket.relay = Some(to));
    }

    fn shutdown(&mut self, _conn: ConnId) {}

    fn close(&mut self, conn: ConnId, _mode: CloseMode) {
        if let Some(Socket { peer: peer @ Peer::Client(_), .. }) = self.sockets.remove(&conn.index) {
            self.gone = Some((conn, peer));
        }
        self.connected.retain(|(connecting, _)| *connecting != conn);
        for socket in self.sockets.values_mut() {
            socket.relay.take_if(|to| *to == conn);
        }
    }

    fn peer_address(&mut self, _conn: ConnId) -> Option<SocketAddr> {
        self.source.map(|source| SocketAddr::new(source, 40_000))
    }
}
