//! The admin interface: what its pages say, and how it behaves as a server.

use super::*;
use crate::config::{Overrides, parse};
use crate::lifecycle::Phase;
use crate::test_cores::{Orders, start_cold, take};
use crate::zone_switch::{MOST_SWITCHES, SwitchOf, ZoneSwitch};
use hyper::Request;
use serde_json::Value;
use sidering_dataplane::config::NamedTable;
use sidering_dataplane::config::{Endpoint, HealthFlags};
use sidering_dataplane::route::RouteTable;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use tokio::sync::mpsc::channel;
use tokio::task::LocalSet;

const FILE: &str = "access_log: { path: /dev/null, format: '%REQ(A)%' }
listeners:
- name: web
  address: 127.0.0.1:0
  protocol: http
  limits: { max_connections: 101, header_bytes: 8KiB, uri_bytes: 1KiB, idle_timeout: 90s }
  via: me
  upgrades: []
  underscores: drop
  filters:
  - name: fault
    delay: { fixed_delay: 1500ms, percentage: 0.0001 }
    abort: { header_abort: {}, percentage: 12.5 }
    headers:
    - { name: a, regex: 'b\\d', invert: true }
    - { name: c, range: { start: -1, end: 7 } }
    - { name: d, present: false }
    max_active_faults: 4
  - name: rbac
    disabled: true
    rules:
      action: log
      policies:
        p: { permissions: [{ methods: [GET, PURGE] }, { and_rules: [{ url_path: { prefix: /A, ignore_case: true } }] }],
             principals: [{ not_id: { or_ids: [{ any: true }, { remote_ip: 10.0.0.0/8 }, { direct_remote_ip: '::1' }] } }] }
    shadow_rules: { action: deny, policies: {} }
  - { name: cors, allow_origin: ['*', { suffix: .b }], allow_methods: GET, allow_headers: x, expose_headers: y, max_age: 1m,
      allow_credentials: true, allow_private_network_access: false, forward_not_matching_preflights: false }
  request_headers: { remove: [x-a], add: { X-B: 'a%%b', x-c: '%PROTOCOL%' } }
  virtual_hosts:
  - domains: [a.b, '*']
    response_headers: { set: { x-d: '%REQ(x?:path):4% %RESPONSE_CODE%' } }
    filters: { fault: disabled, cors: {} }
    routes:
    - { match: { path: /x }, direct_response: { status: 200, body: \"é\\\"\\n\" }, timeout: 1500ms }
    - match: { prefix: /y }
      cluster: api
      rewrite: { prefix: /z, host: 'h:1' }
      filters: { rbac: { rules: { action: allow, policies: {} } } }
    - match: { prefix: /w }
      weighted_clusters: [{ name: api, weight: 3 }, { name: api, weight: 0 }]
    - match: { path: /r }
      redirect: { scheme: https, host: h, port: 8443, prefix: /s, strip_query: true, status: 307 }
    - { match: { path: /q }, redirect: { path: '/s?a=b' } }
    - { match: { path: /p }, redirect: { regex: { pattern: '^/(p)', substitution: '/\\1' } } }
    - { match: { path: /o }, cluster_header: X-Cluster, cluster_not_found_response_code: 404 }
    - match: { path: /n }
      cluster_header: ':authority'
      rewrite: { regex: { pattern: n, substitution: m }, host_header: X-Host }
      hash: [{ header: ':path', terminal: true }, { cookie: { name: a } }, { cookie: { name: b, ttl: 90s, path: /b } }, { query: q }, { source: true }]
      subset: { version: v2, a: b }
    - match: { regex: '/\\d+', methods: [GET], grpc: true, source: [10.0.0.0/8, '::1'] }
      cluster: api
    - match: { template: '/u/{id}', runtime_fraction: { numerator: 3, denominator: million } }
      cluster: api
    - match:
        headers: [{ name: a }, { name: b, present: false }, { name: c, range: { start: -1, end: 5 }, invert: true },
                  { name: d, regex: 'x+' }, { name: e, prefix: x }, { name: f, suffix: x }, { name: g, contains: x }]
        query: [{ name: q, exact: '' }, { name: r }]
      cluster: api
    - match: { path: /b }
      cluster: dubbo
      bridge:
        service: a.B
        version: '1'
        group: g
        method: m
        methods: [{ name: m, types: [int, \"java.util.Map<java.lang.String, a.C[]>\"], one_way: true }, { name: n }]
        types_from_client: true
        classes: [{ name: a.C, fields: { id: long } }, { name: a.D, enum: true }, { name: a.E }]
        max_request_bytes: 1KiB
        max_response_bytes: 2KiB
    - { match: { connect: true }, cluster: api, request_headers: { remove: [x-e] }, response_headers: { remove: [x-f] } }
- { name: chained, address: 127.0.0.1:0, protocol: http, route_chain: [{ table: a, pass_on: [no_match, no_healthy_endpoint] },
    { table: b, pass_on: [] }] }
- { name: also, address: 127.0.0.1:0, protocol: http, route_chain: [{ zones: users }, { table: b }] }
- name: calls
  address: 127.0.0.1:0
  protocol: dubbo
  limits: { header_bytes: 8KiB, headers: 20 }
  virtual_hosts:
  - domains: ['a.b:1.0', '*']
    routes:
    - match: { service: a.b, method: { prefix: get }, version: { regex: '1[.].*' }, group: { exact: G, ignore_case: true },
               headers: [{ name: h, exact: i }] }
      cluster: dubbo
      hash: [{ header: ':authority' }, { header: h }]
    - { match: {}, direct_response: { status: 404 } }
- { name: db, address: 127.0.0.1:0, protocol: tcp, cluster: db }
zone_routing:
- name: users
  key: [{ header: X-Uid }, { cookie: uid }]
  digits: { count: 1, skip_last: 2 }
  city: hz
  cities: [{ name: hz, table: a }, { name: sh, disabled: true }]
  zones: [{ name: r0, city: hz, table: a }, { name: r1, city: sh, table: b, disabled: true }]
  global: { table: b }
  ranges: [{ keys: 0-4, zones: [{ name: r0 }, { name: r1, weight: 0 }] }, { keys: 5-9, zones: [{ name: r1, weight: 7 }] }]
route_tables:
- { name: a, virtual_hosts: [{ domains: [x], routes: [{ match: { prefix: /a }, cluster: api }] }] }
- { name: b, virtual_hosts: [{ domains: ['*'], routes: [{ match: {}, cluster: api }] }] }
clusters:
- { name: api, endpoints: [127.0.0.1:8080, { address: '[::1]:81', weight: 7 }], pool: { max_pending: 9, share_idle_connections: true } }
- { name: dubbo, protocol: dubbo, endpoints: [127.0.0.1:3] }
- { name: kept, endpoints: [127.0.0.1:2], upstream_keepalive: { idle: 7s, probes: 2, user_timeout: 9s } }
- name: db
  endpoints: [\"unix:/run/db.sock\"]
  health_check: { tcp: { send: { hex: 00ff }, receive: [PONG, OK] }, interval_jitter_percent: 10, initial_jitter: 2s }
- name: checked
  endpoints: [127.0.0.1:1]
  health_check:
    http: { path: /healthz, method: HEAD, host: a.test, expected_statuses: [200-299], retriable_statuses: [503, 429] }
    interval: 7s
    timeout: 3s
    healthy: 4
    unhealthy: 5
    no_traffic_interval: 9s
  outlier_detection: { consecutive_errors: 7, split_local_origin_errors: true, enforcing: { failure_percentage: 9 } }
";

fn begin() -> (Control, Orders, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yaml");
    std::fs::write(&path, FILE).unwrap();
    let (control, orders) = start_cold(&path).unwrap();
    (control, orders, folder)
}

fn ask(control: &mut Control, method: &str, target: &str) -> Answer {
    let request = Request::builder().method(method).uri(target).body(()).unwrap();
    answer(control, &request.into_parts().0, false).0
}

#[test]
fn the_dump_is_a_configuration_that_means_the_same() {
    let (mut control, _orders, _folder) = begin();
    let body = ask(&mut control, "GET", "/config_dump").body;
    let dump: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(dump["version"], 1);
    let text = dump["configuration"].to_string();
    let again = parse("dump", &text, &Overrides::default()).unwrap_or_else(|report| panic!("{report}"));
    let mut snapshot = (*control.snapshot).clone();
    snapshot.version = 0;
    let mut read = again.snapshot;
    // Nobody has been checked yet.
    for cluster in &mut snapshot.clusters {
        let unflagged = |endpoint: &Endpoint| Endpoint { health: HealthFlags::default(), ..endpoint.clone() };
        let endpoints = cluster.endpoints.iter().map(unflagged).collect();
        Arc::make_mut(cluster).endpoints = endpoints;
    }
    // Lines are those of the dump.
    for listener in read.listeners.iter_mut().chain(&mut snapshot.listeners) {
        if let sidering_dataplane::config::ListenerKind::Http(http) = &mut listener.kind {
            let tables = http.routes.tables().map(|(name, hosts)| {
                let mut virtual_hosts = hosts.to_vec();
                virtual_hosts.iter_mut().flat_map(|host| &mut host.routes).for_each(|route| route.line = 0);
                NamedTable { name: name.to_owned(), virtual_hosts }
            });
            http.routes = RouteTable::chained(tables.collect(), http.routes.chain().to_vec()).into();
        }
    }
    assert_eq!(read, snapshot);
    assert_eq!(again.settings.access_log, control.settings.access_log);
}

/// Whether the city `sh` and the zones of the map `users` are disabled.
fn switches(control: &mut Control) -> Vec<bool> {
    let dump: Value = serde_json::from_str(&ask(control, "GET", "/config_dump").body).unwrap();
    let map = &dump["configuration"]["zone_routing"][0];
    let all = [&map["cities"][1], &map["zones"][0], &map["zones"][1]];
    all.map(|of| of["disabled"].as_bool().unwrap()).to_vec()
}

#[test]
fn switches_of_zones_hold_until_the_next_reload() {
    let (mut control, _orders, _folder) = begin();
    assert_eq!(switches(&mut control), [true, false, true]);
    for (target, status, expected) in [
        ("/zones?map=users&zone=r0&disabled=true", 200, [true, true, true]),
        ("/zones?map=users&city=sh&disabled=false", 200, [false, true, true]),
        ("/zones?map=users&zone=r1&disabled=false", 200, [false, true, false]),
        ("/zones?map=users&zone=r0&disabled=false", 200, [false, false, false]),
        ("/zones?map=users&zone=r2&disabled=true", 404, [false, false, false]),
        ("/zones?map=other&zone=r0&disabled=true", 404, [false, false, false]),
        ("/zones?map=users&zone=r0&city=sh&disabled=true", 400, [false, false, false]),
        ("/zones?map=users&zone=r0&disabled=maybe", 400, [false, false, false]),
        ("/reload", 200, [true, false, true]),
    ] {
        assert_eq!(ask(&mut control, "POST", target).status, status, "{target}");
        assert_eq!(switches(&mut control), expected, "{target}");
    }
    assert_eq!(ask(&mut control, "GET", "/zones").status, 405);
}

#[test]
fn so_many_switches_may_be_turned_at_once() {
    let (mut control, _orders, _folder) = begin();
    let other = |at| ZoneSwitch { map: format!("m{at}"), of: SwitchOf::Zone("z".into()), is_disabled: true };
    for (count, status) in [(MOST_SWITCHES - 2, 200), (MOST_SWITCHES - 1, 200), (MOST_SWITCHES, 409)] {
        control.zone_switches = (0..count).map(other).collect();
        assert_eq!(
            ask(&mut control, "POST", "/zones?map=users&zone=r0&disabled=true").status,
            status,
            "{count}"
        );
    }
}

#[test]
fn pages() {
    let (mut control, _orders, _folder) = begin();
    let listeners = control.snapshot.listeners.iter();
    let expected: String = listeners
        .map(|listener| format!("{}::{}\n", listener.name, crate::config::show_address(&listener.address)))
        .collect();
    assert_eq!(ask(&mut control, "GET", "/listeners").body, expected);
    let json: Value = serde_json::from_str(&ask(&mut control, "GET", "/listeners?format=json").body).unwrap();
    assert_eq!(json["listener_statuses"][0]["name"], "web");
    let spoken = control.snapshot.listeners.iter().map(|listener| match listener.name.as_str() {
        "db" => "tcp",
        "calls" => "dubbo",
        _ => "http1",
    });
    let told = json["listener_statuses"].as_array().unwrap().iter().map(|status| &status["protocol"]);
    assert!(told.eq(spoken), "{json}");
    let clusters = ask(&mut control, "GET", "/clusters").body;
    for line in [
        "api::default_priority::max_pending_requests::9",
        "api::[::1]:81::weight::7",
        "db::unix:/run/db.sock::cx_total::0",
    ] {
        assert!(clusters.lines().any(|found| found == line), "{line}\n{clusters}");
    }
    let info: Value = serde_json::from_str(&ask(&mut control, "GET", "/server_info").body).unwrap();
    assert_eq!(
        (&info["state"], &info["workers"], &info["engine"]),
        (&"LIVE".into(), &2.into(), &"uring".into())
    );
    assert_eq!(
        (&info["engine_reason"], &info["engine_details"]),
        (&"as configured".into(), &"all flags".into())
    );
    assert_eq!(info["command_line"], serde_json::json!(["sidering", "run"]));
    assert!(ask(&mut control, "GET", "/stats").body.contains("server.live: 1\n"));
    assert!(
        ask(&mut control, "GET", "/stats?filter=server.&usedonly")
            .body
            .lines()
            .all(|line| line.starts_with("server."))
    );
    for target in ["/stats/prometheus", "/stats?format=prometheus"] {
        let answer = ask(&mut control, "GET", target);
        assert!(
            answer.body.contains("sidering_server_live 1\n") && answer.content_type.contains("version=0.0.4")
        );
    }
    assert!(ask(&mut control, "HEAD", "/").body.contains("/quitquitquit"));
    assert_eq!(ask(&mut control, "GET", "/live").status, 200);
}

#[test]
fn wrong_paths_and_methods() {
    let (mut control, orders, _folder) = begin();
    take(&orders);
    assert_eq!(ask(&mut control, "GET", "/nope").status, 404);
    for path in ["/drain_listeners", "/quitquitquit", "/logging", "/reload", "/reopen_logs"] {
        let answer = ask(&mut control, "GET", path);
        assert_eq!((answer.status, answer.allow), (405, Some("POST")), "{path}");
    }
    assert_eq!(ask(&mut control, "POST", "/stats").allow, Some("GET, HEAD"));
    let request = Request::builder().method("POST").uri("/quitquitquit").body(()).unwrap();
    assert_eq!(answer(&mut control, &request.into_parts().0, true).0.status, 403);
    assert!(take(&orders).0.is_empty());
}

#[test]
fn acts() {
    let (mut control, orders, _folder) = begin();
    take(&orders);
    assert_eq!(ask(&mut control, "POST", "/logging?level=loud").status, 400);
    assert_eq!(ask(&mut control, "POST", "/logging").body, "level: info\n");
    assert_eq!(ask(&mut control, "POST", "/reopen_logs").status, 200);
    assert_eq!(ask(&mut control, "POST", "/reload").status, 200);
    assert_eq!(take(&orders).0, ["0: apply 2", "1: apply 2"]);
    assert_eq!(ask(&mut control, "GET", "/ready").body, "LIVE\n");
    assert_eq!(ask(&mut control, "POST", "/drain_listeners").status, 200);
    assert_eq!(take(&orders).0, ["0: drain", "1: drain"]);
    assert_eq!(control.life.phase(), Phase::Draining);
    let ready = ask(&mut control, "GET", "/ready");
    assert_eq!((ready.status, ready.body.as_str()), (503, "DRAINING\n"));
    assert!(ask(&mut control, "GET", "/stats").body.contains("server.live: 0\nserver.memory_allocated"));
    assert_eq!(ask(&mut control, "POST", "/reload").status, 500);
}

/// Serves admin while `client` runs on a thread of its own.
fn served<T: Send + 'static>(client: impl FnOnce(SocketAddr) -> T + Send + 'static) -> (T, Vec<Event>) {
    let (control, _orders, _folder) = begin();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, mut receiver) = channel(4);
        let serving = serve(Listening::Tcp(listener), Rc::new(RefCell::new(control)), sender).unwrap();
        tokio::task::spawn_local(serving);
        let client = std::thread::spawn(move || client(address));
        while !client.is_finished() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut events = vec![];
        while let Ok(event) = receiver.try_recv() {
            events.push(event);
        }
        (client.join().unwrap(), events)
    })
}

fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    // A reset behind an early answer is fine.
    let _ = stream.read_to_string(&mut text);
    text
}

#[test]
fn the_server_speaks_http_and_bounds_what_it_takes() {
    let (answers, events) = served(|address| {
        let close = "Connection: close\r\n";
        [
            exchange(address, &format!("GET /ready HTTP/1.1\r\nHost: a\r\n{close}\r\n")),
            exchange(
                address,
                &format!("POST /quitquitquit HTTP/1.1\r\nHost: a\r\n{close}Content-Length: 0\r\n\r\n"),
            ),
            exchange(
                address,
                &format!("GET / HTTP/1.1\r\nHost: a\r\nx: {}\r\n{close}\r\n", "y".repeat(20_000)),
            ),
            exchange(
                address,
                &format!(
                    "POST /logging HTTP/1.1\r\n{close}Content-Length: 70000\r\n\r\n{}",
                    "z".repeat(70_000)
                ),
            ),
            exchange(address, "\0\r\n\r\n"),
        ]
    });
    let status = |index: usize| answers[index].split(' ').nth(1).unwrap_or("").to_owned();
    assert_eq!((0..5).map(status).collect::<Vec<_>>(), ["200", "200", "431", "413", "400"], "{answers:?}");
    assert!(answers[0].ends_with("LIVE\n"));
    assert!(matches!(events[..], [Event::Signal(Signal::Interrupt)]), "{events:?}");
}

#[test]
fn connections_are_bounded() {
    let (answered, _) = served(|address| {
        let open = |_| TcpStream::connect(address).unwrap();
        let ask = |mut stream: &TcpStream| {
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let _ = stream.write_all(b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n");
            matches!(stream.read(&mut [0; 100]), Ok(count) if count > 0)
        };
        let streams: Vec<_> = (0..BOUNDS.connections - 1).map(open).collect();
        let at_the_bound = open(0);
        assert!(ask(&at_the_bound));
        let beyond = open(0);
        assert!(!ask(&beyond));
        drop(streams);
        // The server sees the ends of those connections in its own time.
        let until = std::time::Instant::now() + Duration::from_secs(10);
        while std::time::Instant::now() < until {
            if ask(&open(0)) {
                return true;
            }
        }
        false
    });
    assert!(answered, "connections that end make room");
}
