//! An engine in memory, driven by hand: what the worker asks for is written down, and completions are what a test says.
//! It keeps the contract of [`sidering_dataplane::io`] and panics when the worker breaks it.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use sidering_codecs::registry::CodecOptions;
use sidering_dataplane::config::*;
use sidering_dataplane::io::*;
use sidering_dataplane::message::{ClusterUpdate, Message, Update};
use sidering_dataplane::neighbours::Neighbours;
use sidering_dataplane::observe::counters::{
    ClusterCounters, CoreCounters, EndpointCounters, ListenerCounters,
};
use sidering_dataplane::observe::notice::{Notice, NoticeSink};
use sidering_dataplane::route::RouteTable;
use sidering_dataplane::worker::{Worker, WorkerOptions};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Clone, Debug)]
pub(crate) struct TestChunk {
    bytes: Rc<[u8]>,
    start: usize,
    end: usize,
}

impl Deref for TestChunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }
}

impl From<Vec<u8>> for TestChunk {
    fn from(bytes: Vec<u8>) -> Self {
        TestChunk { start: 0, end: bytes.len(), bytes: bytes.into() }
    }
}

impl Chunk for TestChunk {
    fn subset(&self, part: &[u8]) -> Self {
        let offset = part.as_ptr().addr() - self.as_ptr().addr();
        assert!(offset + part.len() <= self.len());
        let start = self.start + offset;
        TestChunk { bytes: Rc::clone(&self.bytes), start, end: start + part.len() }
    }
}

/// One connection as the engine sees it.
#[derive(Default, Debug)]
pub(crate) struct Socket {
    pub(crate) generation: u32,
    pub(crate) receiving: bool,
    pub(crate) pausing: bool,
    pub(crate) sent: Vec<u8>,
    pub(crate) unreported: usize,
    pub(crate) shut: bool,
    pub(crate) closed: Option<bool>,
    pub(crate) connected: bool,
    pub(crate) released: bool,
    pub(crate) address: Option<Address>,
    pub(crate) relay: Option<(ConnId, u64)>,
}

/// A socket that has left one engine and is not in the other.
struct OnItsWay {
    address: Option<Address>,
    dropped: Arc<AtomicUsize>,
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Default)]
pub(crate) struct TestIo {
    pub(crate) sockets: BTreeMap<u32, Socket>,
    pub(crate) connects: Vec<ConnId>,
    pub(crate) accepting: Vec<ListenerId>,
    pub(crate) refuse_connect: Option<IoError>,
    pub(crate) refuse_adoption: bool,
    /// Sockets on their way that were dropped.
    pub(crate) dropped: Arc<AtomicUsize>,
    next: u32,
}

impl TestIo {
    fn open(&mut self, connected: bool, address: Option<Address>) -> ConnId {
        let index = self.next;
        self.next += 1;
        self.sockets.insert(index, Socket { connected, address, ..Default::default() });
        ConnId { index, generation: 0 }
    }

    pub(crate) fn socket(&mut self, id: ConnId) -> &mut Socket {
        self.sockets.get_mut(&id.index).expect("the worker names a connection that never was")
    }

    fn live(&mut self, id: ConnId) -> &mut Socket {
        let socket = self.socket(id);
        assert!(socket.closed.is_none(), "used after close: {id:?}");
        socket
    }
}

impl Io for TestIo {
    type Chunk = TestChunk;

    fn accept(&mut self, listener: ListenerId) {
        self.accepting.push(listener);
    }

    fn close_listener(&mut self, listener: ListenerId) {
        self.accepting.retain(|accepting| *accepting != listener);
    }

    fn connect(&mut self, address: &Address, _: &ConnectOptions) -> Result<ConnId, IoError> {
        if let Some(error) = self.refuse_connect {
            return Err(error);
        }
        let id = self.open(false, Some(address.clone()));
        self.connects.push(id);
        Ok(id)
    }

    fn receive(&mut self, conn: ConnId) {
        let socket = self.live(conn);
        assert!(socket.connected && socket.relay.is_none());
        socket.receiving = true;
        socket.pausing = false;
    }

    fn pause(&mut self, conn: ConnId) {
        let socket = self.live(conn);
        socket.receiving = false;
        socket.pausing = true;
    }

    fn send(&mut self, conn: ConnId, segment: Segment<TestChunk>) {
        let socket = self.live(conn);
        assert!(socket.connected && !socket.shut, "send before connect or after shutdown");
        assert!(!segment.is_empty());
        socket.sent.extend_from_slice(&segment);
        socket.unreported += segment.len();
    }

    fn unsent(&mut self, conn: ConnId, out: &mut Vec<u8>) {
        let socket = self.live(conn);
        let taken = socket.sent.len().saturating_sub(socket.unreported);
        out.extend_from_slice(&socket.sent[taken..]);
    }

    fn relay(&mut self, from: ConnId, to: ConnId, limit: u64) {
        assert!(self.live(to).connected);
        let socket = self.live(from);
        assert!(!socket.receiving && !socket.pausing && socket.relay.is_none(), "the source is not at rest");
        socket.relay = Some((to, limit));
    }

    fn shutdown(&mut self, conn: ConnId) {
        let socket = self.live(conn);
        assert!(!socket.shut, "shut down twice");
        socket.shut = true;
    }

    fn close(&mut self, conn: ConnId, mode: CloseMode) {
        self.live(conn).closed = Some(mode == CloseMode::Reset);
        for socket in self.sockets.values_mut() {
            socket.relay.take_if(|(to, _)| *to == conn);
        }
    }

    fn release(&mut self, conn: ConnId) -> Option<Detached> {
        let dropped = Arc::clone(&self.dropped);
        let socket = self.live(conn);
        assert!(!socket.receiving && !socket.pausing && socket.unreported == 0, "it is not at rest");
        (socket.released, socket.closed) = (true, Some(false));
        Some(Detached::new(OnItsWay { address: socket.address.clone(), dropped }))
    }

    fn adopt(&mut self, socket: Detached) -> Result<ConnId, IoError> {
        let mut socket: OnItsWay = socket.into_socket().expect("it comes from a test's engine");
        if self.refuse_adoption {
            return Err(IoError::Reset);
        }
        socket.dropped = Arc::default();
        Ok(self.open(true, socket.address.take()))
    }

    fn peer_address(&mut self, _conn: ConnId) -> Option<SocketAddr> {
        Some(([192, 0, 2, 1], 4711).into())
    }
}

/// What a worker has told control, which has room for so much.
pub(crate) struct Notices {
    pub(crate) told: Vec<Notice>,
    pub(crate) room: usize,
}

struct Sink(Rc<RefCell<Notices>>);

impl NoticeSink for Sink {
    fn try_send(&mut self, notice: Notice) -> bool {
        let mut notices = self.0.borrow_mut();
        let fits = notices.told.len() < notices.room;
        if fits {
            notices.told.push(notice);
        }
        fits
    }
}

/// A worker with its engine.
pub(crate) struct Bench {
    pub(crate) worker: Worker<TestIo>,
    pub(crate) io: TestIo,
    pub(crate) now: Time,
    pub(crate) counters: Arc<CoreCounters>,
    pub(crate) cluster: Arc<ClusterCounters>,
    /// Whichever cluster has them.
    pub(crate) endpoints: HashMap<Address, Arc<EndpointCounters>>,
    pub(crate) listener: Arc<ListenerCounters>,
    pub(crate) notices: Rc<RefCell<Notices>>,
}

impl Bench {
    pub(crate) fn new(snapshot: Snapshot) -> Self {
        Bench::of_core(0, None, snapshot)
    }

    /// One of several cores.
    pub(crate) fn of_core(core: u32, neighbours: Option<Box<dyn Neighbours>>, snapshot: Snapshot) -> Self {
        Bench::of(WorkerOptions { core, neighbours, ..WorkerOptions::default() }, snapshot)
    }

    /// One with these options, of which it sees to those that do not matter to whoever makes it.
    pub(crate) fn of(options: WorkerOptions, snapshot: Snapshot) -> Self {
        let counters = Arc::clone(&options.counters);
        let notices = Rc::new(RefCell::new(Notices { told: vec![], room: usize::MAX }));
        let sink = Some(Box::new(Sink(Rc::clone(&notices))) as Box<dyn NoticeSink>);
        let worker = Worker::new(WorkerOptions { notices: sink, seed: 1, kept_slots_max: 256, ..options });
        let (cluster, listener, now) = (Arc::default(), Arc::default(), Time { micros: 1_000_000 });
        let (io, endpoints) = (TestIo::default(), HashMap::new());
        let mut bench = Bench { worker, io, now, counters, cluster, endpoints, listener, notices };
        bench.apply(snapshot);
        bench
    }

    /// Another configuration, whose listeners and clusters keep their counters.
    pub(crate) fn apply(&mut self, snapshot: Snapshot) {
        let update = Update {
            listeners: snapshot.listeners.iter().map(|_| Arc::clone(&self.listener)).collect(),
            clusters: snapshot.clusters.iter().map(|cluster| self.counters_of(&cluster.endpoints)).collect(),
            snapshot: Arc::new(snapshot),
        };
        self.message(Message::Apply(update));
    }

    pub(crate) fn counters_of(&mut self, endpoints: &[Endpoint]) -> ClusterUpdate {
        let counters =
            endpoints.iter().map(|at| Arc::clone(self.endpoints.entry(at.address.clone()).or_default()));
        ClusterUpdate { endpoints: counters.collect(), counters: Arc::clone(&self.cluster) }
    }

    /// What is counted of the endpoint on this port.
    pub(crate) fn endpoint(&self, port: u16) -> &EndpointCounters {
        &self.endpoints[&address(port)]
    }

    pub(crate) fn message(&mut self, message: Message) {
        self.worker.handle_message(&mut self.io, self.now, message);
        self.worker.handle_turn(&mut self.io, self.now);
    }

    pub(crate) fn complete(&mut self, completion: Completion<TestChunk>) {
        self.worker.handle_completion(&mut self.io, self.now, completion);
        self.worker.handle_turn(&mut self.io, self.now);
    }

    /// A new one, with a client that sends these bytes and the upstream that they are to go to.
    pub(crate) fn asked(snapshot: Snapshot, request: &[u8]) -> (Bench, ConnId, ConnId) {
        let mut bench = Bench::new(snapshot);
        let client = bench.client();
        bench.receive(client, request);
        let upstream = bench.connected();
        (bench, client, upstream)
    }

    /// A client on the first listener.
    pub(crate) fn client(&mut self) -> ConnId {
        self.client_of(ListenerId(0))
    }

    pub(crate) fn client_of(&mut self, listener: ListenerId) -> ConnId {
        let conn = self.io.open(true, None);
        self.complete(Completion::Accepted { listener, conn });
        conn
    }

    /// The peer of `conn` sends these bytes in one piece.
    pub(crate) fn receive(&mut self, conn: ConnId, bytes: &[u8]) {
        let socket = self.io.live(conn);
        assert!(socket.receiving || socket.pausing, "nobody listens: {conn:?}");
        let chunk = TestChunk { bytes: bytes.into(), start: 0, end: bytes.len() };
        self.complete(Completion::Received { conn, chunk });
    }

    pub(crate) fn end(&mut self, conn: ConnId, result: Result<(), IoError>) {
        self.complete(Completion::ReceiveEnded { conn, result });
    }

    /// The latest connect succeeds.
    pub(crate) fn connected(&mut self) -> ConnId {
        let conn = *self.io.connects.last().expect("nothing was connected");
        self.io.socket(conn).connected = true;
        self.complete(Completion::Connected { conn, result: Ok(()) });
        conn
    }

    pub(crate) fn connect_failed(&mut self, error: IoError) -> ConnId {
        let conn = *self.io.connects.last().expect("nothing was connected");
        self.complete(Completion::Connected { conn, result: Err(error) });
        conn
    }

    /// Everything queued on `conn` goes to the kernel; tells it.
    pub(crate) fn flush(&mut self, conn: ConnId) -> Vec<u8> {
        let socket = self.io.socket(conn);
        let sent = std::mem::take(&mut socket.sent);
        let bytes = std::mem::take(&mut socket.unreported);
        if bytes > 0 && socket.closed.is_none() {
            self.complete(Completion::Sent { conn, bytes });
        }
        sent
    }

    pub(crate) fn flush_text(&mut self, conn: ConnId) -> String {
        String::from_utf8_lossy(&self.flush(conn)).into_owned()
    }

    /// The pause asked for takes effect.
    pub(crate) fn paused(&mut self, conn: ConnId) {
        let socket = self.io.live(conn);
        assert!(std::mem::take(&mut socket.pausing), "no pause was asked for");
        self.complete(Completion::Paused { conn });
    }

    pub(crate) fn advance_ms(&mut self, ms: u64) {
        self.now = self.now.after_ms(ms);
        self.worker.handle_turn(&mut self.io, self.now);
    }

    pub(crate) fn is_closed(&mut self, conn: ConnId) -> bool {
        self.io.socket(conn).closed.is_some()
    }

    /// Nothing may be left when nobody is there.
    pub(crate) fn assert_empty(&self) {
        assert_eq!(self.counters.streams_active.get(), 0, "streams");
        assert_eq!(self.cluster.requests_active.get(), 0, "active requests");
        assert_eq!(self.cluster.requests_pending.get(), 0, "pending requests");
        assert_eq!(self.listener.requests_active.get(), 0, "active requests of the listener");
        for endpoint in self.endpoints.values() {
            assert_eq!(endpoint.requests_active.get(), 0, "active requests of an endpoint");
        }
    }
}

pub(crate) fn limits() -> ListenerLimits {
    ListenerLimits {
        max_connections: 100,
        request_headers_timeout_ms: 1_000,
        request_timeout_ms: 3_000,
        stream_idle_timeout_ms: 20_000,
        idle_timeout_ms: 60_000,
        held_up_timeout_ms: 1_000,
    }
}

pub(crate) fn route(prefix: &str, action: RouteAction) -> Route {
    let matcher = RouteMatch { path: PathMatch::Prefix(prefix.into()), ..RouteMatch::default() };
    Route { matcher, action, line: 1, ..Route::default() }
}

pub(crate) fn forward() -> RouteAction {
    RouteAction::Forward(Forward { timeout_ms: 5_000, ..Forward::default() })
}

pub(crate) fn address(port: u16) -> Address {
    Address::Ip(([127, 0, 0, 1], port).into())
}

pub(crate) fn cluster(endpoints: u16, protocol: &'static str) -> Cluster {
    Cluster {
        name: "origin".into(),
        protocol,
        endpoints: (0..endpoints).map(|at| Endpoint::new(address(8000 + at))).collect(),
        connect_timeout_ms: 500,
        lb: LoadBalancing::RoundRobin,
        pool: PoolLimits { max_connections: 2, max_pending: 1, idle_timeout_ms: 10_000, shares_idle: false },
        ..Cluster::default()
    }
}

/// An HTTP listener in front of one cluster.
pub(crate) fn http(endpoints: u16) -> Snapshot {
    let options = HttpOptions {
        use_remote_address: false,
        generate_request_id: false,
        via: None,
        upgrades: vec!["websocket".into()],
        underscores: Underscores::Allow,
        normalize_path: false,
        merge_slashes: false,
        envoy_headers: EnvoyHeaders::Ignore,
    };
    let direct = RouteAction::DirectResponse { status: 204, body: vec![] };
    let mut connect = route("/", forward());
    connect.matcher.connect = true;
    let routes = vec![connect, route("/direct", direct), route("/", forward())];
    let listener = HttpListener {
        protocol: "http1",
        codec: CodecOptions::default(),
        options,
        routes: RouteTable::compile(vec![VirtualHost {
            domains: vec!["*".into()],
            routes,
            ..VirtualHost::default()
        }])
        .into(),
        ..HttpListener::default()
    };
    snapshot(ListenerKind::Http(Box::new(listener)), cluster(endpoints, "http1"))
}

pub(crate) fn tcp() -> Snapshot {
    snapshot(ListenerKind::Tcp { cluster: ClusterIndex(0) }, cluster(1, "tcp"))
}

/// A cluster of a snapshot that is not in use yet.
pub(crate) fn cluster_mut(snapshot: &mut Snapshot, at: usize) -> &mut Cluster {
    Arc::make_mut(&mut snapshot.clusters[at])
}

fn snapshot(kind: ListenerKind, cluster: Cluster) -> Snapshot {
    let address = Address::Ip(([127, 0, 0, 1], 1).into());
    Snapshot {
        version: 1,
        listeners: vec![Listener { id: ListenerId(0), name: "web".into(), address, limits: limits(), kind }],
        clusters: vec![cluster.into()],
        drain_timeout_ms: 10_000,
        access_log: None,
        cores: 1,
        ..Snapshot::default()
    }
}
