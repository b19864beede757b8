//! The short way of calls whose route is known and the long way of all others: what goes out, is counted and is logged is the same,
//! and what is known of routes does not outlive them.

use sidering_codecs::registry::CodecOptions;
use sidering_dataplane::config::*;
use sidering_dataplane::io::{Completion, ConnId, IoError, ListenerId};
use sidering_dataplane::message::{EndpointsUpdate, Message};
use sidering_dataplane::observe::access_log::RecordSink;
use sidering_dataplane::observe::counters::CoreCounters;
use sidering_dataplane::observe::methods::{CallCounters, MethodNames};
use sidering_dataplane::route::RouteTable;
use sidering_dataplane::worker::WorkerOptions;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use support::{Bench, address, cluster, cluster_mut, forward, route};

mod bolt;
mod support;

use bolt::{ONE_WAY, REQUEST, frames, pair, request, request_of, response};

/// Which way calls go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Short,
    /// As another route of the table might depend on a header.
    Long,
}

#[derive(Clone, Default)]
struct Records(Rc<RefCell<Vec<Vec<u8>>>>);

impl RecordSink for Records {
    fn try_write(&mut self, record: &[u8]) -> bool {
        self.0.borrow_mut().push(record.to_vec());
        true
    }
}

/// A worker whose calls go one of the ways, with a client whose first call has been answered.
struct World {
    bench: Bench,
    records: Records,
    client: ConnId,
    upstream: ConnId,
    /// All that went out, in order.
    sent: Vec<(u32, Vec<u8>)>,
}

/// A route that takes no call here.
fn other_route(way: Way) -> Route {
    let text = StringMatch { pattern: StringPattern::Exact("never".into()), ignore_case: false };
    let conditions = match way {
        Way::Short => Conditions {
            rpc: Some(Box::new(RpcMatch { method: Some(text), ..RpcMatch::default() })),
            ..Conditions::default()
        },
        Way::Long => Conditions {
            headers: vec![HeaderMatch {
                name: "never".into(),
                test: HeaderTest::Present(true),
                invert: false,
            }],
            ..Conditions::default()
        },
    };
    let mut other = route("/", RouteAction::DirectResponse { status: 503, body: vec![] });
    other.matcher.conditions = Some(Box::new(conditions));
    other
}

fn listener(routes: Vec<Route>) -> ListenerKind {
    let host = VirtualHost { domains: vec!["*".into()], routes, ..VirtualHost::default() };
    ListenerKind::Http(Box::new(HttpListener {
        protocol: "bolt",
        codec: CodecOptions::default(),
        routes: RouteTable::compile(vec![host]).into(),
        ..HttpListener::default()
    }))
}

fn snapshot(way: Way) -> Snapshot {
    let mut snapshot = bolt::snapshot_of("bolt", 1);
    snapshot.listeners[0].kind = listener(vec![other_route(way), route("/", forward())]);
    snapshot.access_log = Some(AccessLogFields {
        request_fields: vec!["trace".into()],
        response_fields: vec!["answer".into()],
        ..AccessLogFields::default()
    });
    snapshot
}

fn bench_of(snapshot: Snapshot) -> (Bench, Records) {
    let records = Records::default();
    let calls = CallCounters::new(&Arc::new(MethodNames::new(16)));
    let options = WorkerOptions {
        counters: Arc::new(CoreCounters { calls, ..CoreCounters::default() }),
        access_log: Some(Box::new(records.clone())),
        ..WorkerOptions::default()
    };
    (Bench::of(options, snapshot), records)
}

impl World {
    fn new(way: Way) -> Self {
        World::of(snapshot(way))
    }

    fn of(snapshot: Snapshot) -> Self {
        let (mut bench, records) = bench_of(snapshot);
        let client = bench.client();
        bench.receive(client, &request(1, b"first"));
        let upstream = bench.connected();
        let mut world = World { bench, records, client, upstream, sent: vec![] };
        let called = world.flush(upstream);
        world.answer(&called, b"1");
        world
    }

    fn flush(&mut self, id: ConnId) -> Vec<u8> {
        let sent = self.bench.flush(id);
        self.sent.push((id.index, sent.clone()));
        sent
    }

    fn call(&mut self, frame: &[u8]) -> Vec<u8> {
        let client = self.client;
        self.bench.receive(client, frame);
        let upstream = self.upstream;
        self.flush(upstream)
    }

    /// Answers all these calls with this content.
    fn answer(&mut self, calls: &[u8], content: &[u8]) {
        let (upstream, client) = (self.upstream, self.client);
        for (id, ..) in frames(calls) {
            self.bench.now.micros += 300;
            self.bench.receive(upstream, &response(id, content));
        }
        self.flush(client);
    }

    /// Everything that can be seen from outside.
    fn seen(&self) -> String {
        let Bench { counters, cluster, listener, .. } = &self.bench;
        let endpoint = self.bench.endpoint(8000);
        let counted = format!("{counters:?}\n{cluster:?}\n{listener:?}\n{endpoint:?}").replace(", ", ",\n");
        let logged = format!("{:x?}", self.records.0.borrow()).replace("], [", "],\n[");
        let sent: Vec<String> =
            self.sent.iter().map(|(id, bytes)| format!("{id} {}", bytes.escape_ascii())).collect();
        format!("{}\n{logged}\n{counted}", sent.join("\n"))
    }
}

/// Does the same on both ways; whatever can be seen must be the same.
#[track_caller]
fn same_on_both_ways(run: impl Fn(&mut World)) {
    let [short, long] = [Way::Short, Way::Long].map(|way| {
        let mut world = World::new(way);
        run(&mut world);
        world.seen()
    });
    for (short, long) in short.lines().zip(long.lines()) {
        assert_eq!(short, long);
    }
    assert_eq!(short, long);
}

fn failing(id: u32, status: u8) -> Vec<u8> {
    let mut frame = response(id, b"no");
    frame[11] = status;
    frame
}

/// A request with a field more.
fn traced(id: u32, kind: u8, timeout_ms: i32) -> Vec<u8> {
    let mut frame = request_of(kind, id, timeout_ms, b"traced");
    let more = pair("trace", "0a0f");
    let at = frame.len() - b"traced".len();
    frame.splice(at..at, more.iter().copied());
    let fields = u16::from_be_bytes([frame[16], frame[17]]) + more.len() as u16;
    frame[16..18].copy_from_slice(&fields.to_be_bytes());
    frame
}

#[test]
fn calls_answered_in_any_order_with_any_status() {
    same_on_both_ways(|world| {
        let calls = world.call(&[request(7, b"a"), traced(8, REQUEST, 900), request(9, b"")].concat());
        let ids: Vec<u32> = frames(&calls).iter().map(|(id, ..)| *id).collect();
        assert_eq!(ids.len(), 3);
        let (upstream, client) = (world.upstream, world.client);
        world.bench.now.micros += 700;
        world.bench.receive(upstream, &[failing(ids[2], 16), response(ids[0], b"A")].concat());
        world.flush(client);
        world.bench.now.micros += 90;
        world.bench.receive(upstream, &response(ids[1], &[b'x'; 3000]));
        world.flush(client);
        let (one, two) = (request(1, b"one"), request(2, b"two"));
        let calls = world.call(&[one, two].concat());
        world.answer(&calls, b"1");
        world.bench.assert_empty();
    });
}

#[test]
fn calls_that_nobody_answers() {
    same_on_both_ways(|world| {
        let calls =
            world.call(&[traced(7, ONE_WAY, 0), request(8, b"b"), request_of(ONE_WAY, 9, 0, b"c")].concat());
        let second = frames(&calls)[1].0;
        world.bench.receive(world.upstream, &response(second, b"B"));
        let client = world.client;
        world.flush(client);
        world.bench.assert_empty();
    });
}

#[test]
fn calls_that_take_too_long() {
    for (timeout_ms, after_ms) in [(0, 5_100), (800, 900), (60_000, 5_100)] {
        same_on_both_ways(|world| {
            let calls = world.call(&traced(7, REQUEST, timeout_ms));
            world.bench.advance_ms(after_ms - 200);
            let client = world.client;
            assert_eq!(world.flush(client).len(), 0, "not yet");
            world.bench.advance_ms(200);
            assert_eq!(frames(&world.flush(client)).len(), 1, "now");
            // Its answer is a stray, and the next call passes.
            world.answer(&calls, b"late");
            let calls = world.call(&request(8, b"next"));
            world.answer(&calls, b"2");
            world.bench.assert_empty();
        });
    }
}

#[test]
fn a_call_that_is_idle_for_too_long_or_has_been_there_for_too_long() {
    for (idle_timeout_ms, max_stream_duration_ms) in [(Some(700), 0), (None, 700), (Some(0), 700)] {
        let [short, long] = [Way::Short, Way::Long].map(|way| {
            let mut snapshot = snapshot(way);
            let forward = Forward { idle_timeout_ms, max_stream_duration_ms, ..Forward::default() };
            snapshot.listeners[0].kind =
                listener(vec![other_route(way), route("/", RouteAction::Forward(forward))]);
            let mut world = World::of(snapshot);
            world.call(&request(7, b"a"));
            world.bench.advance_ms(650);
            let client = world.client;
            assert_eq!(world.flush(client).len(), 0, "not yet");
            world.bench.advance_ms(100);
            assert_eq!(frames(&world.flush(client)).len(), 1, "now");
            world.bench.assert_empty();
            world.seen()
        });
        assert_eq!(short, long);
    }
}

#[test]
fn calls_whose_connection_is_lost() {
    for result in [Ok(()), Err(IoError::Reset)] {
        same_on_both_ways(|world| {
            world.call(&[request(7, b"a"), request(8, b"b")].concat());
            let (upstream, client) = (world.upstream, world.client);
            world.bench.end(upstream, result);
            world.flush(client);
            // Another connection is opened for the next one, which waits for it.
            world.bench.receive(client, &request(9, b"c"));
            let again = world.bench.connected();
            let called = world.flush(again);
            world.bench.receive(again, &response(frames(&called)[0].0, b"C"));
            world.flush(client);
            world.bench.assert_empty();
        });
    }
}

#[test]
fn calls_of_a_client_that_goes() {
    same_on_both_ways(|world| {
        let calls = world.call(&[request(7, b"a"), request(8, b"b")].concat());
        let (upstream, client) = (world.upstream, world.client);
        world.bench.receive(upstream, &response(frames(&calls)[0].0, b"A"));
        world.flush(client);
        world.bench.end(client, Err(IoError::Reset));
        world.flush(upstream);
        world.bench.assert_empty();
    });
}

#[test]
fn answers_that_have_to_wait_for_their_turn() {
    same_on_both_ways(|world| {
        let calls = world.call(&[request(7, b"a"), request(8, b"b"), request(9, b"c")].concat());
        let ids: Vec<u32> = frames(&calls).iter().map(|(id, ..)| *id).collect();
        let (upstream, client) = (world.upstream, world.client);
        let long = response(ids[1], &[b'x'; 5000]);
        world.bench.receive(upstream, &long[..2000]);
        world.flush(client);
        // One of our own comes between.
        world.bench.receive(client, &[traced(10, REQUEST, 100), bolt::heartbeat(11)].concat());
        world.bench.advance_ms(150);
        world.flush(client);
        world.bench.receive(upstream, &long[2000..]);
        world.bench.receive(upstream, &[response(ids[2], b"C"), response(ids[0], b"A")].concat());
        world.flush(client);
        world.flush(upstream);
        world.bench.assert_empty();
    });
}

#[test]
fn calls_that_are_refused() {
    for break_it in [without_endpoints, without_admission] {
        let [short, long] = [Way::Short, Way::Long].map(|way| {
            let mut world = World::new(way);
            break_it(&mut world, way);
            let client = world.client;
            world.bench.receive(
                client,
                &[request(7, b"a"), traced(8, REQUEST, 0), request_of(ONE_WAY, 9, 0, b"")].concat(),
            );
            let told = frames(&world.flush(client));
            assert!(!told.is_empty() && told.iter().all(|(_, status, _)| *status != 0), "{told:?}");
            world.seen()
        });
        assert_eq!(short, long);
    }
}

fn without_endpoints(world: &mut World, _: Way) {
    world.bench.message(Message::Endpoints(EndpointsUpdate {
        cluster: ClusterIndex(0),
        endpoints: [].into(),
        counters: vec![],
    }));
}

fn without_admission(world: &mut World, way: Way) {
    let mut snapshot = snapshot(way);
    snapshot.version = 2;
    cluster_mut(&mut snapshot, 0).circuit_breaker.max_requests = 0;
    world.bench.apply(snapshot);
    // The routes of the new configuration are found before they are known.
    let client = world.client;
    world.bench.receive(client, &request(3, b"x"));
    world.flush(client);
}

#[test]
fn a_known_route_is_that_of_its_configuration() {
    let mut world = World::new(Way::Short);
    let calls = world.call(&request(2, b"known"));
    world.answer(&calls, b"2");
    let mut next = snapshot(Way::Short);
    next.version = 2;
    let mut other = cluster(1, "bolt");
    other.name = "other".into();
    other.endpoints = [Endpoint::new(address(9000))].into();
    next.clusters.push(other.into());
    let to_other = RouteAction::Forward(Forward { cluster: ClusterIndex(1), ..Forward::default() });
    next.listeners[0].kind = listener(vec![route("/", to_other)]);
    world.bench.apply(next);
    let client = world.client;
    world.bench.receive(client, &request(3, b"new"));
    let other = world.bench.connected();
    assert_eq!(world.bench.io.socket(other).address, Some(address(9000)));
    assert_eq!(frames(&world.flush(other))[0].2, b"new");
}

#[test]
fn what_depends_on_more_than_the_method_is_asked_of_each_call() {
    let text = |text: &str| StringMatch { pattern: StringPattern::Exact(text.into()), ignore_case: false };
    let versioned = RpcMatch { version: Some(text("2.0")), ..RpcMatch::default() };
    let grouped = RpcMatch { group: Some(text("g")), ..RpcMatch::default() };
    let header = HeaderMatch { name: "trace".into(), test: HeaderTest::Present(true), invert: false };
    let source = Cidr { address: [127, 0, 0, 1].into(), prefix_bits: 8 };
    let all = [
        Conditions { rpc: Some(Box::new(versioned)), ..Conditions::default() },
        Conditions { rpc: Some(Box::new(grouped)), ..Conditions::default() },
        Conditions { headers: vec![header], ..Conditions::default() },
        Conditions { sources: vec![source], ..Conditions::default() },
        Conditions { runtime_fraction: Some(Share::ALL), ..Conditions::default() },
        Conditions { grpc: true, ..Conditions::default() },
        Conditions { query: vec![QueryMatch { name: "q".into(), value: None }], ..Conditions::default() },
    ];
    for conditions in all {
        let mut special = route("/", forward());
        special.matcher.conditions = Some(Box::new(conditions.clone()));
        let host = |routes| VirtualHost { domains: vec!["*".into()], routes, ..VirtualHost::default() };
        let table = RouteTable::compile(vec![host(vec![special, route("/", forward())])]);
        assert!(!table.goes_by_method(), "{conditions:?}");
    }
    let named = RpcMatch { service: Some(text("s")), method: Some(text("m")), ..RpcMatch::default() };
    let conditions =
        Conditions { methods: vec!["m".into()], rpc: Some(Box::new(named)), ..Conditions::default() };
    let mut by_name = route("/", forward());
    by_name.matcher.conditions = Some(Box::new(conditions));
    let host = VirtualHost { domains: vec!["*".into()], routes: vec![by_name], ..VirtualHost::default() };
    assert!(RouteTable::compile(vec![host]).goes_by_method());
}

#[test]
fn a_header_still_decides_when_others_have_gone_another_way() {
    let mut snapshot = snapshot(Way::Long);
    let mut special = route("/", RouteAction::DirectResponse { status: 503, body: vec![] });
    let header = HeaderMatch { name: "trace".into(), test: HeaderTest::Present(true), invert: false };
    special.matcher.conditions =
        Some(Box::new(Conditions { headers: vec![header], ..Conditions::default() }));
    snapshot.listeners[0].kind = listener(vec![special, route("/", forward())]);
    let mut world = World::of(snapshot);
    let client = world.client;
    for round in 0..3 {
        let calls = world.call(&request(2, b"plain"));
        assert_eq!(frames(&calls).len(), 1, "{round}");
        world.answer(&calls, b"2");
        world.bench.receive(client, &traced(3, REQUEST, 0));
        let told = frames(&world.flush(client));
        assert!(told.len() == 1 && told[0].1 != 0, "{round}: {told:?}");
    }
}

#[test]
fn what_is_changed_of_one_call_is_not_changed_of_the_next() {
    let mut snapshot = snapshot(Way::Short);
    let mut changing = snapshot.listeners[0].clone();
    changing.id = ListenerId(1);
    let ListenerKind::Http(http) = &mut changing.kind else { panic!("not of calls") };
    let value = HeaderTemplate { source: String::new(), pieces: vec![HeaderPiece::Text("here".into())] };
    let added = HeaderValue { name: "added".into(), value };
    http.headers = Some(Box::new(HeaderRules {
        request: HeaderOperations { remove: vec!["trace".into()], ..HeaderOperations::default() },
        response: HeaderOperations { add: vec![added], ..HeaderOperations::default() },
    }));
    snapshot.listeners.push(changing);
    let mut world = World::of(snapshot);
    let (client, upstream) = (world.client, world.upstream);
    let other = world.bench.client_of(ListenerId(1));
    for round in 0..2 {
        world.bench.receive(other, &traced(1, REQUEST, 0));
        let changed = world.flush(upstream);
        world.bench.receive(client, &traced(2, REQUEST, 0));
        let plain = world.flush(upstream);
        assert_eq!(plain.len() - changed.len(), pair("trace", "0a0f").len(), "{round}");
        let ids = [&changed, &plain].map(|call| frames(call)[0].0);
        world.bench.receive(upstream, &response(ids[0], b"A"));
        assert_ne!(world.flush(other), response(1, b"A"), "{round}");
        world.bench.receive(upstream, &response(ids[1], b"B"));
        assert_eq!(world.flush(client), response(2, b"B"), "{round}");
    }
}

#[test]
fn a_connection_whose_calls_are_over_is_idle() {
    for is_drained in [false, true] {
        same_on_both_ways(|world| {
            let calls = world.call(&[request(7, b"a"), request(8, b"b")].concat());
            world.answer(&calls, b"x");
            let client = world.client;
            assert!(!world.bench.is_closed(client));
            if is_drained {
                world.bench.message(Message::Drain);
            } else {
                world.bench.advance_ms(59_000);
                assert!(!world.bench.is_closed(client));
                world.bench.advance_ms(2_000);
            }
            world.flush(client);
            assert!(world.bench.is_closed(client) || world.bench.io.socket(client).shut, "{is_drained}");
        });
    }
}

#[test]
fn an_answer_that_overtakes_others_lets_them_follow() {
    let [short, long] = [Way::Short, Way::Long].map(|way| {
        let mut snapshot = snapshot(way);
        let limits = SharedLimits { max_calls_per_connection: 2, max_connections_per_endpoint: 2 };
        cluster_mut(&mut snapshot, 0).shared = limits;
        let mut world = World::of(snapshot);
        let (upstream, client) = (world.upstream, world.client);
        let calls = world.call(&[request(7, b"a"), request(8, b"b")].concat());
        let ids: Vec<u32> = frames(&calls).iter().map(|(id, ..)| *id).collect();
        world.bench.receive(client, &request(9, b"c"));
        let second = world.bench.connected();
        let third = frames(&world.flush(second))[0].0;
        // The client takes so little of the first answer that the second has to wait.
        let answers = [response(ids[0], &[b'x'; 300_000]), response(ids[1], b"B")].concat();
        world.bench.receive(upstream, &answers);
        let queued = world.bench.io.socket(client).sent.len();
        assert_eq!(queued, 300_020);
        world.bench.io.socket(client).unreported -= 150_000;
        world.bench.complete(Completion::Sent { conn: client, bytes: 150_000 });
        assert_eq!(world.bench.io.socket(client).sent.len(), queued, "it has no turn yet");
        world.bench.receive(second, &response(third, b"C"));
        let sent = world.flush(client);
        let told: Vec<u32> = frames(&sent).iter().map(|(id, ..)| *id).collect();
        assert_eq!(told, [7, 9, 8]);
        world.bench.assert_empty();
        world.seen()
    });
    assert_eq!(short, long);
}
