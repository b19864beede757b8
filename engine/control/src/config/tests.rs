//! Whole files: what is understood, and every mistake with its place.

use super::*;
use sidering_dataplane::config::*;
use sidering_dataplane::io::ListenerId;

pub(super) fn load(text: &str) -> Result<Loaded, Report> {
    parse("test.yaml", text, &Overrides { workers: Some(2), engine: None })
}

/// Each problem as `line:column message | expected`.
pub(super) fn problems(text: &str) -> Vec<String> {
    let report = match load(text) {
        Ok(loaded) => loaded.report,
        Err(report) => report,
    };
    let line = |problem: &Problem| {
        format!("{}:{} {} | {}", problem.place.line, problem.place.column, problem.message, problem.expected)
    };
    report.problems.iter().map(line).collect()
}

pub(super) fn http(listener: &Listener) -> &sidering_dataplane::config::HttpListener {
    match &listener.kind {
        ListenerKind::Http(http) => http,
        ListenerKind::Tcp { .. } => panic!("not http"),
    }
}

pub(super) const SMALL: &str = "listeners:
- name: web
  address: 127.0.0.1:0
  protocol: http
  virtual_hosts:
  - domains: ['*']
    routes:
    - match: { prefix: / }
      cluster: api
clusters:
- name: api
  endpoints: [127.0.0.1:8080]
";

#[test]
fn a_small_file_gets_the_documented_defaults() {
    let Loaded { settings, snapshot, report, .. } = load(SMALL).unwrap();
    assert!(report.problems.is_empty());
    assert_eq!((settings.workers, settings.workers_auto, settings.engine), (2, false, EngineChoice::Auto));
    assert_eq!(settings.admin.map(|address| show_address(&address)).as_deref(), Some("127.0.0.1:15000"));
    assert_eq!((settings.access_log, snapshot.drain_timeout_ms), (None, 10_000));
    let listener = &snapshot.listeners[0];
    let limits = &listener.limits;
    assert_eq!((limits.max_connections, limits.idle_timeout_ms), (25_000, 3_600_000));
    assert_eq!((limits.request_headers_timeout_ms, limits.request_timeout_ms), (15_000, 0));
    assert_eq!(limits.stream_idle_timeout_ms, 300_000);
    let http = http(listener);
    assert_eq!((http.protocol, http.codec), ("http1", sidering_codecs::registry::CodecOptions::default()));
    let options = &http.options;
    assert_eq!((options.use_remote_address, options.generate_request_id), (false, true));
    assert_eq!((options.via.as_deref(), options.underscores), (None, Underscores::Allow));
    assert_eq!((options.normalize_path, options.merge_slashes), (false, false));
    assert_eq!(options.upgrades, ["websocket"]);
    let route = &http.routes.virtual_hosts()[0].routes[0];
    assert_eq!((route.line, route.matcher.connect), (8, false));
    assert_eq!(route.action, RouteAction::Forward(Forward { timeout_ms: 15_000, ..Forward::default() }));
    let cluster = &snapshot.clusters[0];
    assert_eq!((cluster.protocol, cluster.connect_timeout_ms), ("http1", 5000));
    let pool = &cluster.pool;
    assert_eq!((pool.max_connections, pool.max_pending, pool.idle_timeout_ms), (1024, 1024, 60_000));
    assert!(!pool.shares_idle);
    assert_eq!(cluster.endpoints[0].weight, 1);
}

#[test]
fn a_full_file_is_taken_as_it_is() {
    let text = r#"
workers: 3
engine: uring
admin: null
drain_timeout: 1m
access_log: { path: /tmp/a.log, format: "%REQ(A)% %RESP(B)%" }
listeners:
- name: web
  address: "[::1]:8080"
  protocol: http1
  limits: { max_connections: 100, header_bytes: 8KiB, headers: 10, uri_bytes: 1KiB, request_headers_timeout: 1s,
            request_timeout: 2s, stream_idle_timeout: 3s, idle_timeout: 0s }
  use_remote_address: true
  generate_request_id: false
  via: sidering
  upgrades: []
  underscores: drop
  normalize_path: false
  merge_slashes: true
  lenient_line_ends: true
  virtual_hosts:
  - domains: [API.example.com, "*.example.com"]
    routes:
    - { match: { path: /a }, direct_response: { status: 404, body: "no\n" } }
    - { match: { connect: true }, cluster: api, timeout: 0s }
    - { match: {}, cluster: api }
- { name: db, address: "unix:/run/db.sock", protocol: tcp, cluster: db, limits: { idle_timeout: 5m } }
clusters:
- { name: db, endpoints: ["unix:/run/mysql.sock"], circuit_breaker: { max_pending: 7 } }
- name: api
  protocol: http1
  lb: least_request
  connect_timeout: 250ms
  pool: { max_connections: 5, max_pending: 6, idle_timeout: 0s, share_idle_connections: true }
  endpoints: [127.0.0.1:1, { address: 127.0.0.1:2, weight: 128 }]
"#;
    let Loaded { settings, snapshot, .. } = parse("test.yaml", text, &Overrides::default()).unwrap();
    assert_eq!((settings.workers, settings.engine, settings.admin), (3, EngineChoice::Uring, None));
    let fields = snapshot.access_log.unwrap();
    assert_eq!((fields.request_fields, fields.response_fields), (vec!["a".to_owned()], vec!["b".to_owned()]));
    assert_eq!(snapshot.drain_timeout_ms, 60_000);
    let web = &snapshot.listeners[0];
    assert_eq!((web.limits.max_connections, web.limits.idle_timeout_ms), (34, 0));
    let web = http(web);
    assert_eq!((web.codec.header_bytes, web.codec.headers, web.codec.uri_bytes), (8192, 10, 1024));
    assert!(web.codec.lenient_line_ends && web.options.merge_slashes && !web.options.normalize_path);
    assert_eq!(web.routes.virtual_hosts()[0].domains, ["api.example.com", "*.example.com"]);
    let routes = &web.routes.virtual_hosts()[0].routes;
    assert_eq!(routes[0].matcher.path, PathMatch::Exact("/a".to_owned()));
    assert_eq!(routes[0].action, RouteAction::DirectResponse { status: 404, body: b"no\n".to_vec() });
    assert!(routes[1].matcher.connect);
    assert_eq!(routes[1].action, RouteAction::cluster(ClusterIndex(1)));
    assert_eq!(snapshot.listeners[1].kind, ListenerKind::Tcp { cluster: ClusterIndex(0) });
    assert_eq!(snapshot.listeners[1].id, ListenerId(1));
    assert_eq!((snapshot.clusters[0].protocol, snapshot.clusters[0].pool.max_pending), ("tcp", 7));
    assert!(snapshot.clusters[1].pool.shares_idle);
    assert_eq!(snapshot.clusters[1].endpoints[1].weight, 128);
    let balancers = [&snapshot.clusters[0], &snapshot.clusters[1]].map(|cluster| cluster.lb);
    assert_eq!(balancers, [LoadBalancing::RoundRobin, LoadBalancing::LeastRequest]);
}

#[test]
fn ten_mistakes_are_ten_errors() {
    let text = r#"workers: many
drain_timeout: 10
listeners:
- name: web
  adress: 127.0.0.1:10000
  protocol: http
  limits: { headers: 1000 }
  virtual_hosts:
  - domains: ["*"]
    routes:
    - match: { prefix: v1 }
      cluster: apo
      mirror: { cluster: api, percent: 101 }
clusters:
- name: api
  endpoints: []
- name: api
  endpoints: [localhost:80]
"#;
    let report = load(text).unwrap_err();
    assert_eq!(report.errors(), 10, "{report}");
    let golden = r#"test.yaml:1:10: error: `many` is not among the choices
    1 | workers: many
      |          ^^^^ auto
test.yaml:2:16: error: `10` is not a duration
    2 | drain_timeout: 10
      |                ^^ a duration such as 250ms, 1s, 5m, 1h
test.yaml:5:3: error: unknown key `adress` in a listener
    5 |   adress: 127.0.0.1:10000
      |   ^^^^^^ did you mean `address`?
test.yaml:7:22: error: 1000 is out of range
    7 |   limits: { headers: 1000 }
      |                      ^^^^ a whole number from 1 to 256
test.yaml:11:24: error: `v1` is not a path
   11 |     - match: { prefix: v1 }
      |                        ^^ a path that begins with /
test.yaml:12:16: error: there is no cluster `apo`
   12 |       cluster: apo
      |                ^^^ the name of a cluster; did you mean `api`?
test.yaml:13:40: error: `101` is not a share
   13 |       mirror: { cluster: api, percent: 101 }
      |                                        ^^^ per cent from 0 to 100, with at most four decimals
test.yaml:16:14: error: an empty list
   16 |   endpoints: []
      |              ^ at least one of endpoints
test.yaml:17:9: error: a second cluster named `api`
   17 | - name: api
      |         ^^^ another name; the first is on line 15
test.yaml:18:15: error: `localhost:80` is not an address
   18 |   endpoints: [localhost:80]
      |               ^^^^^^^^^^^^ an IP address; host names take `discovery: strict_dns` or `logical_dns` of the cluster
"#;
    assert_eq!(report.to_string(), golden);
}

/// `SMALL` with one text replaced by another.
pub(super) fn changed(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from}");
    SMALL.replacen(from, to, 1)
}

/// The end of the route and what follows it.
pub(super) const ROUTE: &str = "cluster: api\nclusters";

/// What to change in `SMALL`, into what, and how the first problem then begins.
const MISTAKES: &[(&str, &str, &str)] = &[
    ("- name: web", "- name: ''", "2:9 `` is not a name | 1 to 255 printable bytes"),
    ("127.0.0.1:0", "127.0.0.1", "3:12 `127.0.0.1` is not an address | ip:port, [v6]:port or unix:/path"),
    ("127.0.0.1:0", "[a]", "3:12 a list is not a text | ip:port, [v6]:port or unix:/path"),
    (
        "protocol: http",
        "protocol: htp",
        "4:13 `htp` is not among the choices | tcp, http, http1, bolt, dubbo, dubbo_thrift, tars, thrift, auto; did you mean `http`?",
    ),
    (
        "protocol: http",
        "protocol: http2",
        "4:13 `http2` is in the format but not in this version | tcp, http, http1",
    ),
    (
        "protocol: http",
        "protocol: http\n  cluster: api",
        "5:3 `cluster` has no meaning here | it belongs to routes; a listener",
    ),
    (
        "protocol: http",
        "protocol: http\n  tls: {}",
        "5:3 `tls` is in the format but not in this version | no such key yet: leave it out",
    ),
    (
        "protocol: http",
        "protocol: http\n  via: 'a b'",
        "5:8 `a b` is no name for Via | letters, digits, - . _ and the like",
    ),
    ("protocol: http", "protocol: http\n  merge_slashes: yes", "5:18 `yes` is not a boolean | true or false"),
    (
        "protocol: http",
        "protocol: http\n  underscores: droop",
        "5:16 `droop` is not among the choices | allow, reject, drop; did you mean `drop`?",
    ),
    ("['*']", "['*', 'a/b']", "6:20 `a/b` is not a domain | a domain only: no scheme, no path"),
    (
        "['*']",
        "[A, a]",
        "6:18 the domain `a` is taken | each domain once in a listener; it is on line 6 already",
    ),
    (
        "prefix: /",
        "prefix: /?a",
        "8:24 `/?a` is not a path | a path alone: the query is not part of what is matched",
    ),
    (
        "prefix: /",
        "prefix: /, path: /",
        "8:27 a match with two paths | one of `path`, `prefix`, `regex` and `template`",
    ),
    (
        "prefix: /",
        "prefix: /, connect: true",
        "8:16 a path in a match for CONNECT | { connect: true } without a path: CONNECT requests have none",
    ),
    (
        "prefix: /",
        "service: a",
        "8:16 `service` has no meaning here | it belongs to listeners that speak a protocol of calls, such as bolt",
    ),
    ("match: { prefix: / }", "match:", "8:12 nothing where a match belongs | a mapping of `key: value`"),
    (
        ROUTE,
        "direct_response: { body: a }\nclusters",
        "9:24 a direct response without `status` | `status`: a status from 200 to 599",
    ),
    (
        ROUTE,
        "direct_response: { status: 204, body: a }\nclusters",
        "9:45 a body with status 204 | no body: that status never has one",
    ),
    (
        ROUTE,
        "direct_response: { status: 600 }\nclusters",
        "9:34 600 is out of range | a whole number from 200 to 599",
    ),
    (
        ROUTE,
        "timeout: 1s\nclusters",
        "8:7 a route without an action | one of `cluster`, `weighted_clusters`, `cluster_header`, `redirect`, `direct_response`",
    ),
    (
        ROUTE,
        "cluster: api\n      direct_response: { status: 200 }\nclusters",
        "10:7 a route with two actions | one of `cluster`, `weighted_clusters`, `cluster_header`, `redirect`, `direct_response`",
    ),
    (
        "endpoints: [127.0.0.1:8080]",
        "endpoints: [127.0.0.1:0]",
        "12:15 nothing can be reached on port 0 | a port from 1 to 65535",
    ),
    (
        "endpoints: [127.0.0.1:8080]",
        "endpoints: [{ address: 127.0.0.1:1, metadata: v2 }]",
        "12:49 `v2` where metadata belong | a mapping such as { version: v2 }",
    ),
    (
        "endpoints: [127.0.0.1:8080]",
        "endpoints: 127.0.0.1:8080",
        "12:14 `127.0.0.1:8080` is not a list | a list of endpoints",
    ),
    (
        "- name: api\n",
        "- name: api\n  lb: fastest\n",
        "12:7 `fastest` is not among the choices | round_robin, least_request, random, peak_ewma, ring_hash, maglev",
    ),
    ("- name: api\n", "- name: api\n  connect_timeout: 0s\n", "12:20 `0s` is out of range | 1ms to 8760h"),
    (
        "- name: api\n",
        "- name: api\n  pool: { max_pending: 1 }\n  circuit_breaker: { max_pending: 1 }\n",
        "13:22 `max_pending` is given in `pool` and here | it once; `pool` has it on line 12",
    ),
    (
        "- name: api\n",
        "- name: api\n  protocol: tcp\n",
        "9:16 the cluster `api` speaks tcp, the listener http1 | a cluster with `protocol: http1`",
    ),
    (
        "listeners:",
        "engine: epol\nlisteners:",
        "1:9 `epol` is not among the choices | auto, uring, epoll; did you mean `epoll`?",
    ),
    (
        "listeners:",
        "access_log: { format: 'a %NOPE% b' }\nlisteners:",
        "1:26 `%NOPE%` is not understood | one of ",
    ),
    (
        "listeners:",
        "access_log: { path: '' }\nlisteners:",
        "1:21 an empty path | a path of a file, or /dev/stdout",
    ),
    (
        "listeners:",
        "admin: { address: nowhere }\nlisteners:",
        "1:19 `nowhere` is not an address | ip:port, [v6]:port or unix:/path",
    ),
    ("listeners:", "workers: 0\nlisteners:", "1:10 0 is out of range | a whole number from 1 to 1024"),
    (
        "listeners:",
        "lissteners:",
        "1:1 unknown key `lissteners` in the configuration | did you mean `listeners`?",
    ),
    (
        "listeners:",
        "clusters: []\nold:",
        "1:1 the configuration without `listeners` | `listeners`: a list of at least one",
    ),
    ("listeners:", "listeners:\n  x: 1\nold:", "2:3 a mapping is not a list | a list of listeners"),
    ("clusters:", "clusters: {\nrest:", "12:1 not YAML: "),
];

#[test]
fn each_mistake_has_its_words() {
    for (from, to, expected) in MISTAKES {
        let found = problems(&changed(from, to));
        assert!(found.first().is_some_and(|line| line.starts_with(expected)), "{from} -> {to}: {found:#?}");
    }
}

#[test]
fn listeners_must_not_get_in_each_others_way() {
    let listener = |name: &str, address: &str| {
        format!("- {{ name: {name}, address: '{address}', protocol: tcp, cluster: c }}\n")
    };
    let clusters = "clusters: [{ name: c, endpoints: [127.0.0.1:1] }]\n";
    let file = |first: (&str, &str), second: (&str, &str)| {
        problems(&format!(
            "listeners:\n{}{}{clusters}",
            listener(first.0, first.1),
            listener(second.0, second.1)
        ))
    };
    let taken = file(("a", "127.0.0.1:80"), ("b", "127.0.0.1:80"));
    assert_eq!(
        taken,
        ["3:23 the address `127.0.0.1:80` is taken by another listener | each once; the first is on line 2"]
    );
    let taken = file(("a", "127.0.0.1:80"), ("a", "127.0.0.1:81"));
    assert_eq!(taken, ["3:11 the name `a` is taken by another listener | each once; the first is on line 2"]);
    assert!(file(("a", "127.0.0.1:0"), ("b", "127.0.0.1:0")).is_empty());
}

#[test]
fn keys_of_http_on_a_tcp_listener_are_refused() {
    let text = "listeners:
- { name: a, address: 127.0.0.1:0, protocol: tcp, cluster: c, via: x, limits: { headers: 3 } }
clusters: [{ name: c, endpoints: [127.0.0.1:1] }]
";
    let found = problems(text);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(
        found
            .iter()
            .all(|line| line.contains("has no meaning here | it belongs to listeners with `protocol: http`"))
    );
}

#[test]
fn paths_are_normalised_where_routes_look_at_them() {
    for (matcher, normalised) in [("prefix: /", false), ("", false), ("prefix: /a", true), ("path: /", true)]
    {
        let loaded = load(&changed("prefix: /", matcher)).unwrap();
        assert_eq!(http(&loaded.snapshot.listeners[0]).options.normalize_path, normalised, "{matcher}");
    }
}

#[test]
fn a_cluster_may_be_plain_bytes_for_tunnels_only() {
    let tcp = |matcher: &str| {
        let text = changed("prefix: /", matcher).replace("- name: api", "- name: api\n  protocol: tcp");
        problems(&text).len()
    };
    assert_eq!((tcp("connect: true"), tcp("prefix: /")), (0, 1));
}

#[test]
fn routes_that_can_never_match_are_warned_of() {
    let warnings = |routes: &[&str]| {
        let lines: String = routes
            .iter()
            .map(|matcher| {
                format!("    - {{ match: {{ {matcher} }}, direct_response: {{ status: 200 }} }}\n")
            })
            .collect();
        let text = changed("    - match: { prefix: / }\n      cluster: api\n", &lines);
        let loaded = load(&text).unwrap();
        assert_eq!(loaded.report.errors(), 0);
        loaded.report.problems.iter().map(|problem| problem.place.line as usize - 8).collect::<Vec<_>>()
    };
    assert_eq!(warnings(&["path: /a", "prefix: /a", "path: /b", "prefix: /"]), [0usize; 0]);
    assert_eq!(warnings(&["prefix: /a", "path: /a/b", "prefix: /ab", "path: /b"]), [1, 2]);
    assert_eq!(warnings(&["", "path: /a", "connect: true", "connect: true", ""]), [1, 3, 4]);
    assert_eq!(warnings(&["prefix: /", ""]), [1]);
    assert_eq!(warnings(&["path: /a", "path: /a"]), [1]);
}

#[test]
fn limits_hold_at_their_bounds() {
    let limit = |text: String| {
        problems(&changed("protocol: http", &format!("protocol: http\n  limits: {{ {text} }}")))
    };
    for (key, low, high) in [
        ("headers", 1, 256),
        ("header_bytes", 16 * 1024, 1024 * 1024),
        ("uri_bytes", 64, 64 * 1024),
        ("max_connections", 1, 10_000_000_u64),
    ] {
        assert!(limit(format!("{key}: {low}")).is_empty(), "{key}");
        assert!(limit(format!("{key}: {high}")).is_empty(), "{key}");
        assert!(
            limit(format!("{key}: {}", low + 1)).is_empty()
                && limit(format!("{key}: {}", high - 1)).is_empty()
        );
        assert_eq!(limit(format!("{key}: {}", high + 1)).len(), 1, "{key}");
    }
    assert_eq!(limit("headers: 0".to_owned()).len(), 1);
    assert_eq!(limit("header_bytes: 1023".to_owned()).len(), 1);
    assert!(limit("header_bytes: 1KiB".to_owned()).is_empty());
    assert_eq!(limit("header_bytes: 1KiB, uri_bytes: 1025".to_owned()).len(), 1);
    assert!(limit("header_bytes: 1KiB, uri_bytes: 1024".to_owned()).is_empty());
    assert_eq!(limit("max_connections: 0".to_owned()).len(), 1);
    assert!(limit("idle_timeout: 8760h".to_owned()).is_empty());
    assert_eq!(limit("idle_timeout: 8761h".to_owned()).len(), 1);
    let weight = |weight: u32| {
        problems(&changed("[127.0.0.1:8080]", &format!("[{{ address: 127.0.0.1:1, weight: {weight} }}]")))
    };
    assert_eq!([0, 1, 127, 128, 129].map(|number| weight(number).len()), [1, 0, 0, 0, 1]);
}

#[test]
fn a_file_that_cannot_be_read_says_so() {
    let error = super::load(Path::new("/nowhere/x.yaml"), &Overrides::default()).unwrap_err().to_string();
    assert!(error.starts_with("/nowhere/x.yaml: cannot be read: No such file"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.yaml");
    std::fs::write(&path, b"a: 1\nb: \xff\n").unwrap();
    let error = super::load(&path, &Overrides::default()).unwrap_err().to_string();
    assert!(error.contains("bad.yaml:2:4: error: bytes that are not UTF-8"), "{error}");
}

#[test]
fn any_cut_of_a_file_is_an_answer_and_no_panic() {
    for end in 0..SMALL.len() {
        let _ = load(&SMALL[..end]);
        let _ = load(&SMALL[end..]);
    }
}
