//! Where calls go, and what is done to them on the way, by what they say of themselves.

use super::bolt::{self, Frame, call};
use crate::support::{Config, Origin, Proxy, Wire, until};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const SERVICE: &str = "com.alipay.test.TestService:1.0";

/// Answers everything with its own name.
fn named(name: &'static str) -> Origin {
    Origin::start(move |wire, _| {
        loop {
            let frame = bolt::read(wire)?;
            if frame.kind == bolt::REQUEST {
                wire.send(&frame.answer(bolt::SUCCESS, name.as_bytes()).bytes())?;
            }
        }
    })
}

/// Answers everything with what it was sent, and notes it.
fn noting() -> (Origin, Arc<Mutex<Vec<Frame>>>) {
    let seen: Arc<Mutex<Vec<Frame>>> = Arc::default();
    let sink = Arc::clone(&seen);
    let origin = Origin::start(move |wire, _| {
        loop {
            let frame = bolt::read(wire)?;
            sink.lock().unwrap().push(frame.clone());
            wire.send(&frame.answer(bolt::SUCCESS, &frame.content).bytes())?;
        }
    });
    (origin, seen)
}

#[track_caller]
fn ask(wire: &mut Wire, asked: &Frame) -> Frame {
    wire.send(&asked.bytes()).unwrap();
    bolt::read(wire).unwrap()
}

/// Who has answered.
#[track_caller]
fn answerer(wire: &mut Wire, asked: &Frame) -> String {
    String::from_utf8(ask(wire, asked).content).unwrap()
}

#[test]
fn service_method_version_and_headers_choose_the_cluster() {
    let names = ["one", "two", "three", "four", "five"];
    let origins = names.map(named);
    let host = |domains: &str, routes: &str| format!("{{ domains: [{domains}], routes: [{routes}] }}");
    let hosts = [
        host("com.a.Facade", "{ match: { method: get }, cluster: one }, { match: {}, cluster: two }"),
        host("\"com.a.Facade:2.0\"", "{ match: {}, cluster: three }"),
        host(
            "\"*\"",
            "{ match: { service: { prefix: com.b. }, headers: [{ name: X-Zone, exact: gz }] }, cluster: four }, \
             { match: { version: { regex: \"5[.].*\" } }, cluster: five }",
        ),
    ];
    let config = Config::new().rpc_hosts("calls", "bolt", "", &hosts.join(", "));
    let config =
        names.iter().zip(&origins).fold(config, |config, (name, origin)| config.cluster(name, origin, ""));
    let proxy = Proxy::start(&config);
    let mut wire = proxy.connect("calls");
    for (service, method, zone, expected) in [
        ("com.a.Facade:1.0", "get", "", "one"),
        ("com.a.Facade", "get", "", "one"),
        ("com.a.Facade:1.0", "put", "", "two"),
        ("com.a.Facade:2.0", "get", "", "three"),
        ("com.b.Facade:1.0", "get", "gz", "four"),
        ("com.b.Facade:5.1", "get", "sh", "five"),
        ("com.b.Facade:1.0", "get", "sh", ""),
    ] {
        let answer = answerer(&mut wire, &call(1, service, method, b"").with("x-zone", zone));
        assert_eq!(answer, expected, "{service} {method} {zone}");
    }
}

#[test]
fn a_header_of_calls_is_hashed_and_endpoints_are_chosen_by_metadata() {
    let (one, two) = (named("one"), named("two"));
    let endpoints = [
        format!("{{ address: \"{one}\", metadata: {{ version: v1 }} }}"),
        format!("{{ address: \"{two}\", metadata: {{ version: v2 }} }}"),
    ];
    let routes = "{ match: { method: pinned }, cluster: hashed, hash: [{ header: x-user }] }, \
                  { match: {}, cluster: told, subset: { version: v2 } }";
    let config = Config::new().rpc("calls", "bolt", "", routes);
    let proxy = Proxy::start(&config.cluster_of("hashed", &endpoints, "lb: maglev").cluster_of(
        "told",
        &endpoints,
        "subsets: { selectors: [{ keys: [version] }] }",
    ));
    let mut wire = proxy.connect("calls");
    let mut met = std::collections::BTreeSet::new();
    for user in 0..20 {
        let asked = call(1, SERVICE, "pinned", b"").with("x-user", &user.to_string());
        let first = answerer(&mut wire, &asked);
        assert_eq!(answerer(&mut wire, &asked), first, "user {user}");
        met.insert(first);
    }
    assert_eq!(met.len(), 2, "all users went to one endpoint");
    for _ in 0..5 {
        assert_eq!(answerer(&mut wire, &call(1, SERVICE, "other", b"")), "two");
    }
}

#[test]
fn failed_calls_are_made_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let origin = Origin::start(move |wire, _| {
        loop {
            let frame = bolt::read(wire)?;
            // Every other one is too much for it.
            let status = match counter.fetch_add(1, Ordering::SeqCst) % 2 {
                0 => bolt::THREADPOOL_BUSY,
                _ => bolt::SUCCESS,
            };
            wire.send(&frame.answer(status, &frame.content).bytes())?;
        }
    });
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let retry = "retry: { on: [connect-failure, retriable-status-codes], status_codes: [503], attempts: 3, \
                 back_off: { base: 1ms } }";
    let routes = format!("{{ match: {{}}, cluster: api, {retry} }}");
    let config = Config::new().rpc("calls", "bolt", "", &routes);
    let endpoints = [format!("\"{origin}\""), format!("\"{closed}\"")];
    let proxy = Proxy::start(&config.cluster_of("api", &endpoints, ""));
    let mut wire = proxy.connect("calls");
    for id in 0..10u32 {
        let answer = ask(&mut wire, &call(id, SERVICE, "hello", &id.to_be_bytes()));
        assert_eq!((answer.status, answer.content.as_slice()), (bolt::SUCCESS, id.to_be_bytes().as_slice()));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 20, "each was answered at its second attempt there");
}

#[test]
fn calls_are_mirrored() {
    let (shadow, seen) = noting();
    let origin = named("api");
    let routes = "{ match: {}, cluster: api, mirror: { cluster: shadow } }";
    let config = Config::new().rpc("calls", "bolt", "", routes);
    let proxy = Proxy::start(&config.cluster("api", &origin, "").cluster("shadow", &shadow, ""));
    let mut wire = proxy.connect("calls");
    let asked = call(5, SERVICE, "hello", b"for both");
    assert_eq!(answerer(&mut wire, &asked), "api");
    until("the shadow to have it", || (!seen.lock().unwrap().is_empty()).then_some(()));
    let mirrored = seen.lock().unwrap()[0].clone();
    assert_eq!(Frame { id: 5, ..mirrored }, asked);
}

#[test]
fn filters_answer_in_the_protocols_terms() {
    let origin = named("api");
    let limit = "{ name: local_rate_limit, token_bucket: { max_tokens: 1, fill_interval: 1h } }";
    let fault = "{ name: fault, abort: { http_status: 504, percentage: 100 }, headers: [{ name: x-fault }] }";
    let rbac = "{ name: rbac, rules: { action: deny, policies: { p: { permissions: [{ header: { name: ':method', \
                exact: secret } }], principals: [{ any: true }] } } } }";
    let keys = format!("filters: [{rbac}, {fault}, {limit}]");
    let config = Config::new().rpc("calls", "bolt", &keys, "{ match: {}, cluster: api }");
    let proxy = Proxy::start(&config.cluster("api", &origin, ""));
    let mut wire = proxy.connect("calls");
    let asked = call(1, SERVICE, "hello", b"");
    assert_eq!(ask(&mut wire, &asked.clone().with("x-fault", "1")).status, bolt::TIMEOUT);
    assert_eq!(ask(&mut wire, &call(1, SERVICE, "secret", b"")).status, 2);
    assert_eq!(ask(&mut wire, &asked).status, bolt::SUCCESS);
    assert_eq!(ask(&mut wire, &asked).status, bolt::THREADPOOL_BUSY);
}

#[test]
fn headers_of_calls_and_answers_are_changed() {
    let (origin, seen) = noting();
    let keys = "request_headers: { set: { x-a: \"%REQ(x-b)%\" }, remove: [x-c] }, \
                response_headers: { add: { x-d: \"1\" } }";
    let config = Config::new().rpc("calls", "bolt", keys, "{ match: {}, cluster: api }");
    let proxy = Proxy::start(&config.cluster("api", &origin, ""));
    let mut wire = proxy.connect("calls");
    let asked = call(1, SERVICE, "hello", b"body").with("x-b", "b").with("x-c", "c");
    let answer = ask(&mut wire, &asked);
    assert_eq!((answer.header("x-d"), answer.content.as_slice()), (Some("1"), b"body".as_slice()));
    let got = seen.lock().unwrap()[0].clone();
    assert_eq!((got.header("x-a"), got.header("x-c")), (Some("b"), None), "{got:?}");
    assert_eq!((got.header("service"), got.content.as_slice()), (Some(SERVICE), b"body".as_slice()));
    assert_eq!(got.headers.len(), 4, "nothing else is added: {got:?}");
}

#[test]
fn a_header_of_calls_chooses_the_zone() {
    let (low, high, all) = (named("low"), named("high"), named("all"));
    let table = |name: &str| {
        let route = format!("{{ match: {{}}, cluster: {name} }}");
        format!("{{ name: {name}, virtual_hosts: [{{ domains: [\"*\"], routes: [{route}] }}] }}")
    };
    let map = "{ name: users, key: [{ header: uid }], global: { table: all }, cities: [{ name: hz, table: all }], \
               zones: [{ name: r0, city: hz, table: low }, { name: r1, city: hz, table: high }], \
               ranges: [{ keys: 00-49, zones: [{ name: r0 }] }, { keys: 50-99, zones: [{ name: r1 }] }] }";
    let config = Config::new()
        .set(&format!("route_tables: [{}]", ["low", "high", "all"].map(table).join(", ")))
        .set(&format!("zone_routing: [{map}]"))
        .rpc_chain("calls", "bolt", "{ zones: users }")
        .cluster("low", &low, "")
        .cluster("high", &high, "")
        .cluster("all", &all, "");
    let proxy = Proxy::start(&config);
    let mut wire = proxy.connect("calls");
    for (uid, expected) in [("1007", "low"), ("1049", "low"), ("1050", "high"), ("99", "high"), ("x", "all")]
    {
        assert_eq!(answerer(&mut wire, &call(1, SERVICE, "hello", b"").with("uid", uid)), expected, "{uid}");
    }
    assert_eq!(answerer(&mut wire, &call(1, SERVICE, "hello", b"")), "all");
}

#[test]
fn a_header_of_calls_has_a_limit_of_its_own() {
    let origin = named("api");
    let limit = "{ name: local_rate_limit, rate_limits: [{ actions: [{ request_headers: { header_name: x-app, \
                 descriptor_key: app } }] }], descriptors: [{ entries: [{ key: app }], token_bucket: { max_tokens: 2, \
                 fill_interval: 1h } }] }";
    let config =
        Config::new().rpc("calls", "bolt", &format!("filters: [{limit}]"), "{ match: {}, cluster: api }");
    let proxy = Proxy::start(&config.cluster("api", &origin, ""));
    let mut wire = proxy.connect("calls");
    for app in ["a", "b"] {
        let asked = call(1, SERVICE, "hello", b"").with("x-app", app);
        let statuses = [(); 3].map(|()| ask(&mut wire, &asked).status);
        assert_eq!(statuses, [bolt::SUCCESS, bolt::SUCCESS, bolt::THREADPOOL_BUSY], "{app}");
    }
}
