//! Small requests through a whole worker, both ways, on an engine that does nothing: what the data plane costs in user time,
//! without the kernel and without the ring.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sidering_codecs::registry::CodecOptions;
use sidering_dataplane::config::*;
use sidering_dataplane::filter::{FilterConfig, cors, fault, rbac};
use sidering_dataplane::io::*;
use sidering_dataplane::message::{ClusterUpdate, Message, Update};
use sidering_dataplane::observe::counters::CoreCounters;
use sidering_dataplane::observe::methods::{CallCounters, MethodNames};
use sidering_dataplane::route::RouteTable;
use sidering_dataplane::worker::{Worker, WorkerOptions};
use std::net::SocketAddr;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

const REQUEST: &[u8] =
    b"GET /index.html?page=2 HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: bench/1.0\r\n\
Accept: */*\r\nX-Trace: 0123456789abcdef\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Mon, 23 Nov 2026 00:00:00 GMT\r\n\
Content-Type: text/plain\r\nContent-Length: 10\r\n\r\n0123456789";

/// Calls that come at a time, as one read brings them.
const CALLS: usize = 32;
const CALL_PAYLOAD_BYTES: usize = 100;
/// Where a bolt frame has its id.
const CALL_ID: std::ops::Range<usize> = 5..9;

#[derive(Clone)]
struct BenchChunk(Rc<[u8]>, usize, usize);

impl Deref for BenchChunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0[self.1..self.2]
    }
}

impl Chunk for BenchChunk {
    fn subset(&self, part: &[u8]) -> Self {
        let start = self.1 + part.as_ptr().addr() - self.as_ptr().addr();
        BenchChunk(Rc::clone(&self.0), start, start + part.len())
    }
}

#[derive(Default)]
struct NullIo {
    opened: u32,
    sent: usize,
    /// What went out last.
    last: Option<Segment<BenchChunk>>,
    closed: u32,
}

impl NullIo {
    fn open(&mut self) -> ConnId {
        self.opened += 1;
        ConnId { index: self.opened - 1, generation: 0 }
    }
}

impl Io for NullIo {
    type Chunk = BenchChunk;

    fn accept(&mut self, _listener: ListenerId) {}
    fn close_listener(&mut self, _listener: ListenerId) {}
    fn connect(&mut self, _address: &Address, _: &ConnectOptions) -> Result<ConnId, IoError> {
        Ok(self.open())
    }
    fn receive(&mut self, _conn: ConnId) {}
    fn pause(&mut self, _conn: ConnId) {}
    fn send(&mut self, _conn: ConnId, segment: Segment<BenchChunk>) {
        self.sent += segment.len();
        self.last = Some(segment);
    }
    fn relay(&mut self, _from: ConnId, _to: ConnId, _limit: u64) {}
    fn shutdown(&mut self, _conn: ConnId) {}
    fn close(&mut self, _conn: ConnId, _mode: CloseMode) {
        self.closed += 1;
    }
    fn peer_address(&mut self, _conn: ConnId) -> Option<SocketAddr> {
        None
    }
}

/// Filters that look at every request and let this one pass.
fn filters() -> Vec<ChainedFilter> {
    let text = |pattern| StringMatch { pattern, ignore_case: false };
    let closed = rbac::Policy {
        name: "closed".into(),
        permissions: vec![rbac::Condition::UrlPath(text(StringPattern::Prefix("/admin".into())))],
        principals: vec![rbac::Condition::Any],
    };
    let rules = Some(rbac::Rules { action: rbac::Action::Deny, policies: vec![closed] });
    let canary = HeaderTest::Text(text(StringPattern::Exact("yes".into())));
    let configs = [
        FilterConfig::Cors(Box::new(cors::Config {
            allow_origin: vec![text(StringPattern::Exact("https://a.example".into()))],
            ..cors::Config::default()
        })),
        FilterConfig::Rbac(Box::new(rbac::Config { rules, shadow_rules: None })),
        FilterConfig::Fault(Box::new(fault::Config {
            abort: Some(fault::Abort::Fixed { status: 503, share: Share::ALL }),
            headers: vec![HeaderMatch { name: "x-canary".into(), test: canary, invert: false }],
            ..fault::Config::default()
        })),
    ];
    configs.into_iter().map(|config| ChainedFilter { config, disabled: false }).collect()
}

fn snapshot(protocol: &'static str, filters: Vec<ChainedFilter>) -> Snapshot {
    let address = Address::Ip(([127, 0, 0, 1], 1).into());
    let options = HttpOptions {
        use_remote_address: false,
        generate_request_id: false,
        via: None,
        upgrades: vec!["websocket".into()],
        underscores: Underscores::Allow,
        normalize_path: protocol == "http1",
        merge_slashes: false,
        envoy_headers: EnvoyHeaders::Ignore,
    };
    let route = Route {
        matcher: RouteMatch { path: PathMatch::Prefix("/".into()), ..RouteMatch::default() },
        action: RouteAction::Forward(Forward { timeout_ms: 15_000, ..Forward::default() }),
        line: 1,
        ..Route::default()
    };
    let http = HttpListener {
        protocol,
        codec: CodecOptions::default(),
        options,
        filters,
        routes: RouteTable::compile(vec![VirtualHost {
            domains: vec!["*".into()],
            routes: vec![route],
            ..VirtualHost::default()
        }])
        .into(),
        ..HttpListener::default()
    };
    let limits = ListenerLimits {
        max_connections: 100,
        request_headers_timeout_ms: 15_000,
        request_timeout_ms: 0,
        stream_idle_timeout_ms: 300_000,
        idle_timeout_ms: 3_600_000,
        held_up_timeout_ms: 1_000,
    };
    let cluster = Cluster {
        name: "origin".into(),
        protocol,
        endpoints: [Endpoint::new(address.clone())].into(),
        connect_timeout_ms: 5_000,
        lb: LoadBalancing::RoundRobin,
        pool: PoolLimits {
            max_connections: 10,
            max_pending: 100,
            idle_timeout_ms: 60_000,
            shares_idle: false,
        },
        ..Cluster::default()
    };
    let kind = ListenerKind::Http(Box::new(http));
    Snapshot {
        version: 1,
        listeners: vec![Listener { id: ListenerId(0), name: "web".into(), address, limits, kind }],
        clusters: vec![cluster.into()],
        drain_timeout_ms: 1_000,
        access_log: None,
        cores: 1,
        ..Snapshot::default()
    }
}

struct Bench {
    worker: Worker<NullIo>,
    io: NullIo,
    now: Time,
    client: ConnId,
    upstream: ConnId,
    request: BenchChunk,
    response: BenchChunk,
}

impl Bench {
    /// The connections are established, with an exchange of these bytes.
    fn new(protocol: &'static str, filters: Vec<ChainedFilter>, request: &[u8], response: &[u8]) -> Self {
        let calls = CallCounters::new(&Arc::new(MethodNames::new(1000)));
        let counters = CoreCounters { calls, ..CoreCounters::default() };
        let worker = Worker::new(WorkerOptions {
            core: 0,
            counters: counters.into(),
            access_log: None,
            reports: None,
            notices: None,
            seed: 1,
            neighbours: None,
            kept_slots_max: 256,
        });
        let mut io = NullIo::default();
        let (client, upstream) = (io.open(), ConnId { index: 1, generation: 0 });
        let chunk = |bytes: &[u8]| BenchChunk(bytes.into(), 0, bytes.len());
        let (request, response) = (chunk(request), chunk(response));
        let mut bench = Bench { worker, io, now: Time { micros: 1 }, client, upstream, request, response };
        let update = Update {
            snapshot: Arc::new(snapshot(protocol, filters)),
            listeners: vec![Arc::default()],
            clusters: vec![ClusterUpdate { endpoints: vec![Arc::default()], ..ClusterUpdate::default() }],
        };
        bench.worker.handle_message(&mut bench.io, bench.now, Message::Apply(update));
        bench.complete(Completion::Accepted { listener: ListenerId(0), conn: client });
        bench.complete(Completion::Received { conn: client, chunk: bench.request.clone() });
        bench.complete(Completion::Connected { conn: upstream, result: Ok(()) });
        bench.worker.handle_turn(&mut bench.io, bench.now);
        bench
    }

    fn complete(&mut self, completion: Completion<BenchChunk>) {
        self.worker.handle_completion(&mut self.io, self.now, completion);
    }

    fn sent(&mut self, conn: ConnId) {
        let bytes = std::mem::take(&mut self.io.sent);
        assert!(bytes > 0, "nothing went out");
        self.complete(Completion::Sent { conn, bytes });
    }

    fn answer(&mut self) {
        self.complete(Completion::Received { conn: self.upstream, chunk: self.response.clone() });
        self.sent(self.client);
    }

    /// A batch of calls goes out, and all are answered.
    #[inline(never)]
    fn exchange_calls(&mut self) {
        self.now.micros += 10;
        self.complete(Completion::Received { conn: self.client, chunk: self.request.clone() });
        self.worker.handle_turn(&mut self.io, self.now);
        self.answer_calls();
    }

    /// The answers get the ids that the calls went out with.
    fn answer_calls(&mut self) {
        self.sent(self.upstream);
        let (call_bytes, answer_bytes) = (self.request.len() / CALLS, self.response.len() / CALLS);
        let answers = Rc::get_mut(&mut self.response.0).expect("nobody keeps answers");
        let written = self.io.last.take().expect("calls went out");
        for (call, answer) in written.chunks(call_bytes).zip(answers.chunks_mut(answer_bytes)) {
            answer[CALL_ID].copy_from_slice(&call[CALL_ID]);
        }
        self.complete(Completion::Received { conn: self.upstream, chunk: self.response.clone() });
        self.worker.handle_turn(&mut self.io, self.now);
        self.sent(self.client);
    }

    fn exchange(&mut self) {
        self.now.micros += 10;
        self.complete(Completion::Received { conn: self.client, chunk: self.request.clone() });
        self.sent(self.upstream);
        self.answer();
        self.worker.handle_turn(&mut self.io, self.now);
    }
}

fn request(criterion: &mut Criterion) {
    let cases = [
        ("worker/one small request there and back", vec![]),
        ("worker/one small request there and back, past three filters", filters()),
    ];
    for (name, filters) in cases {
        let mut bench = Bench::new("http1", filters, REQUEST, RESPONSE);
        bench.sent(bench.upstream);
        bench.answer();
        criterion.bench_function(name, |bencher| bencher.iter(|| bench.exchange()));
        assert_eq!(bench.io.closed, 0);
    }
}

fn bolt_frame(fixed: &[u8], class: &[u8], fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = vec![];
    for text in fields.iter().flat_map(|(name, value)| [name, value]) {
        block.extend_from_slice(&(text.len() as u32).to_be_bytes());
        block.extend_from_slice(text.as_bytes());
    }
    let lengths = [(class.len() as u16).to_be_bytes(), (block.len() as u16).to_be_bytes()].concat();
    let payload_bytes = (CALL_PAYLOAD_BYTES as u32).to_be_bytes();
    [fixed, &lengths, &payload_bytes, class, &block, &[b'x'; CALL_PAYLOAD_BYTES]].concat()
}

fn calls(criterion: &mut Criterion) {
    let fields = [
        ("service", "com.example.Catalog:1.0"),
        ("sofa_head_method_name", "find"),
        ("rpc_trace_context.sofaTraceId", "0a0fe8a11605148132001100221234"),
    ];
    let class = b"com.alipay.sofa.rpc.core.request.SofaRequest";
    let call = bolt_frame(&[1, 1, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 11, 0xb8], class, &fields);
    let answer = bolt_frame(&[1, 0, 0, 2, 1, 0, 0, 0, 1, 1, 0, 0], b"", &[]);
    let mut bench = Bench::new("bolt", vec![], &call.repeat(CALLS), &answer.repeat(CALLS));
    bench.answer_calls();
    let mut group = criterion.benchmark_group("worker");
    group.throughput(Throughput::Elements(CALLS as u64));
    let title = format!("{CALLS} small bolt calls there and back");
    group.bench_function(title, |bencher| bencher.iter(|| bench.exchange_calls()));
    group.finish();
    assert_eq!((bench.io.closed, bench.io.last.map(|last| last.len())), (0, Some(CALLS * answer.len())));
}

criterion_group!(benches, request, calls);
criterion_main!(benches);
