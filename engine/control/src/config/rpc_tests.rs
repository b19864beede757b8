//! What listeners, routes and clusters of protocols of calls are read as, and what of HTTP is refused there.

use super::tests::{http, load, problems};
use sidering_codecs::registry::protocols;
use sidering_dataplane::config::*;

/// A listener with further keys, and the routes of its only virtual host.
fn file(protocol: &str, keys: &str, routes: &str) -> String {
    format!(
        "listeners:\n- name: calls\n  address: 127.0.0.1:0\n  protocol: {protocol}\n{keys}  virtual_hosts:\n  \
         - domains: ['com.a.Facade:1.0', '*']\n    routes:\n    - {routes}\n\
         clusters: [{{ name: api, endpoints: [127.0.0.1:1] }}]\n"
    )
}

const TO_API: &str = "{ match: {}, cluster: api }";

#[test]
fn every_protocol_of_the_registry_may_be_spoken() {
    for protocol in protocols() {
        let loaded = load(&file(protocol.name, "", TO_API)).unwrap_or_else(|report| panic!("{report}"));
        let listener = http(&loaded.snapshot.listeners[0]);
        let cluster = &loaded.snapshot.clusters[0];
        assert_eq!((listener.protocol, cluster.protocol), (protocol.name, protocol.name));
        assert_eq!(listener.options.generate_request_id, !protocol.is_rpc, "nothing is added to a call");
        let explicit = file(protocol.name, "", TO_API)
            .replace("{ name", &format!("{{ protocol: {}, name", protocol.name));
        assert_eq!(load(&explicit).unwrap().snapshot.clusters[0].protocol, protocol.name);
    }
}

#[test]
fn calls_are_matched_by_what_they_say_of_themselves() {
    let routes = "{ match: { service: a.b, method: { prefix: get, ignore_case: true }, version: 1.0, group: { regex: 'g.' }, \
                  headers: [{ name: X-A }], source: [10.0.0.0/8], runtime_fraction: { numerator: 5 } }, cluster: api }";
    let loaded = load(&file("dubbo", "", routes)).unwrap_or_else(|report| panic!("{report}"));
    let route = &http(&loaded.snapshot.listeners[0]).routes.virtual_hosts()[0].routes[0];
    let conditions = route.matcher.conditions.as_deref().unwrap();
    let rpc = conditions.rpc.as_deref().unwrap();
    assert_eq!(rpc.service, Some(StringMatch::exact("a.b")));
    let prefix = StringMatch { pattern: StringPattern::Prefix("get".into()), ignore_case: true };
    assert_eq!((&rpc.method, &rpc.version), (&Some(prefix), &Some(StringMatch::exact("1.0"))));
    assert!(matches!(&rpc.group, Some(StringMatch { pattern: StringPattern::Regex(_), .. })));
    assert_eq!((conditions.headers.len(), conditions.sources.len()), (1, 1));
    assert!(conditions.runtime_fraction.is_some());
}

#[test]
fn what_only_http_has_is_refused() {
    for (keys, routes, expected) in [
        ("  via: me\n", TO_API, "5:3 `via` has no meaning here"),
        ("  use_remote_address: true\n", TO_API, "5:3 `use_remote_address` has no meaning here"),
        ("  upgrades: []\n", TO_API, "5:3 `upgrades` has no meaning here"),
        ("  normalize_path: true\n", TO_API, "5:3 `normalize_path` has no meaning here"),
        ("  merge_slashes: true\n", TO_API, "5:3 `merge_slashes` has no meaning here"),
        ("  lenient_line_ends: true\n", TO_API, "5:3 `lenient_line_ends` has no meaning here"),
        ("  envoy_headers: obey\n", TO_API, "5:3 `envoy_headers` has no meaning here"),
        ("  generate_request_id: true\n", TO_API, "5:3 `generate_request_id` has no meaning here"),
        ("  limits: { uri_bytes: 1KiB }\n", TO_API, "5:13 `uri_bytes` has no meaning here"),
        ("  filters: [{ name: cors }]\n", TO_API, "5:13 the filter `cors` has no meaning in bolt"),
        (
            "  filters: [{ name: compressor }]\n",
            TO_API,
            "5:13 the filter `compressor` has no meaning in bolt",
        ),
        (
            "  filters: [{ name: fault, headers: [{ name: ':path', prefix: /a }] }]\n",
            TO_API,
            "5:13 a condition on paths, which bolt has not",
        ),
        ("", "{ match: { prefix: / }, cluster: api }", "8:18 `prefix` has no meaning here"),
        ("", "{ match: { methods: [GET] }, cluster: api }", "8:18 `methods` has no meaning here"),
        ("", "{ match: { connect: true }, cluster: api }", "8:18 `connect` has no meaning here"),
        ("", "{ match: { query: [{ name: a }] }, cluster: api }", "8:18 `query` has no meaning here"),
        (
            "",
            "{ match: { headers: [{ name: ':path', prefix: /a }] }, cluster: api }",
            "8:18 a condition on the path of a call",
        ),
        ("", "{ match: { service: '' }, cluster: api }", "8:27 an empty text"),
        ("", "{ match: {}, cluster: api, rewrite: { host: a } }", "8:34 `rewrite` has no meaning here"),
        ("", "{ match: {}, redirect: { path: /a } }", "8:20 `redirect` has no meaning here"),
        ("", "{ match: {}, direct_response: { status: 503, body: a } }", "8:52 `body` has no meaning here"),
        (
            "",
            "{ match: {}, cluster: api, hash: [{ cookie: { name: a } }] }",
            "8:43 `cookie` has no meaning here",
        ),
        ("", "{ match: {}, cluster: api, hash: [{ query: a }] }", "8:43 `query` has no meaning here"),
    ] {
        let found = problems(&file("bolt", keys, routes));
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{expected}: {found:?}");
    }
    let calls = problems(&file("http", "", "{ match: { service: a }, cluster: api }"));
    assert!(calls[0].starts_with("8:18 `service` has no meaning here"), "{calls:?}");
    let other = file("bolt", "", TO_API).replace("{ name: api", "{ protocol: dubbo, name: api");
    assert!(problems(&other)[0].contains("the cluster `api` speaks dubbo, the listener bolt"));
}

#[test]
fn headers_behind_the_payload_are_looked_for_where_something_asks() {
    let is_on = |file: &str| {
        let loaded = load(file).unwrap_or_else(|report| panic!("{report}"));
        http(&loaded.snapshot.listeners[0]).codec.late_fields
    };
    let rate = "  filters: [{ name: local_rate_limit, rate_limits: [{ actions: [{ request_headers: { header_name: a, \
                descriptor_key: b } }] }], descriptors: [{ entries: [{ key: b }], token_bucket: { max_tokens: 1, \
                fill_interval: 1s } }] }]\n";
    let rbac = |condition: &str| {
        format!(
            "  filters: [{{ name: rbac, rules: {{ action: deny, policies: {{ p: {{ permissions: [{condition}], \
             principals: [{{ any: true }}] }} }} }} }}]\n"
        )
    };
    let by_method = rbac("{ header: { name: ':method', exact: a } }");
    let by_field = rbac("{ not_rule: { header: { name: a } } }");
    for (keys, routes, expected) in [
        ("", TO_API, false),
        ("", "{ match: { service: a, method: b, version: c }, cluster: api }", false),
        ("", "{ match: { headers: [{ name: ':authority', exact: a }] }, cluster: api }", false),
        ("", "{ match: {}, cluster: api, hash: [{ header: ':method' }, { source: true }] }", false),
        ("  filters: [{ name: fault, abort: { http_status: 500, percentage: 1 } }]\n", TO_API, false),
        (by_method.as_str(), TO_API, false),
        ("", "{ match: { group: a }, cluster: api }", true),
        ("", "{ match: { headers: [{ name: a }] }, cluster: api }", true),
        ("", "{ match: {}, cluster: api, hash: [{ header: a }] }", true),
        ("", "{ match: {}, cluster_header: a }", true),
        ("  filters: [{ name: fault, abort: { header_abort: {}, percentage: 1 } }]\n", TO_API, true),
        (rate, TO_API, true),
        (by_field.as_str(), TO_API, true),
    ] {
        assert_eq!(is_on(&file("dubbo", keys, routes)), expected, "{keys}{routes}");
        assert!(!is_on(&file("http", if keys.contains("fault") { keys } else { "" }, TO_API)));
    }
    let logged = format!("access_log: {{ format: '%REQ(a)%' }}\n{}", file("tars", "", TO_API));
    assert!(is_on(&logged));
    let logged = format!("access_log: {{ format: '%RPC_GROUP%' }}\n{}", file("dubbo", "", TO_API));
    assert!(is_on(&logged) && !is_on(&logged.replace("GROUP", "SERVICE")));
    let chain = "listeners: [{ name: calls, address: 127.0.0.1:0, protocol: tars, route_chain: [{ zones: users }] }]\n\
                 zone_routing: [{ name: users, key: [{ header: uid }], cities: [{ name: hz, table: a }], \
                 zones: [{ name: r0, city: hz, table: a }], ranges: [{ keys: 00-99, zones: [{ name: r0 }] }] }]\n\
                 route_tables: [{ name: a, virtual_hosts: [{ domains: ['*'], routes: [{ match: {}, cluster: api }] }] }]\n\
                 clusters: [{ name: api, endpoints: [127.0.0.1:1] }]\n";
    assert!(is_on(chain));
    let cookie = chain.replace("{ header: uid }", "{ cookie: uid }");
    assert!(problems(&cookie)[0].contains("`cookie` has no meaning here"), "{:?}", problems(&cookie));
}

/// One listener of this protocol, and a cluster with these keys.
fn with_cluster(protocol: &str, keys: &str) -> String {
    file(protocol, "", TO_API).replace("{ name: api", &format!("{{ name: api, {keys}"))
}

fn cluster_of(protocol: &str, keys: &str) -> Cluster {
    let loaded = load(&with_cluster(protocol, keys)).unwrap_or_else(|report| panic!("{report}"));
    Cluster::clone(&loaded.snapshot.clusters[0])
}

#[test]
fn idle_connections_of_calls_have_heartbeats_unless_told_otherwise() {
    for (protocol, has_heartbeats) in [
        ("bolt", true),
        ("dubbo", true),
        ("tars", true),
        ("thrift", false),
        ("dubbo_thrift", false),
        ("http", false),
    ] {
        let default = cluster_of(protocol, "lb: random").heartbeat;
        assert_eq!(default, has_heartbeats.then(Heartbeat::default), "{protocol}");
    }
    assert_eq!(cluster_of("bolt", "heartbeat: { interval: 0s }").heartbeat, None);
    let heartbeat = |keys: &str| cluster_of("dubbo", &format!("heartbeat: {{ {keys} }}")).heartbeat.unwrap();
    let expected = Heartbeat { interval_ms: 90_000, max_interval_ms: 90_000, timeout_ms: 5_000 };
    assert_eq!(heartbeat("interval: 90s"), expected);
    let expected = Heartbeat { interval_ms: 2_000, max_interval_ms: 3_000, timeout_ms: 10 };
    assert_eq!(heartbeat("interval: 2s, max_interval: 3s, timeout: 10ms"), expected);
}

#[test]
fn what_connections_of_calls_carry_is_bounded() {
    let shared = |keys: &str| cluster_of("tars", &format!("pool: {{ {keys} }}")).shared;
    assert_eq!(shared(""), SharedLimits { max_calls_per_connection: 128, max_connections_per_endpoint: 8 });
    let largest = SharedLimits { max_calls_per_connection: 4095, max_connections_per_endpoint: 256 };
    assert_eq!(shared("max_calls_per_connection: 4095, max_connections_per_endpoint: 256"), largest);
    let smallest = SharedLimits { max_calls_per_connection: 1, max_connections_per_endpoint: 1 };
    assert_eq!(shared("max_calls_per_connection: 1, max_connections_per_endpoint: 1"), smallest);
}

#[test]
fn what_a_protocol_has_not_is_refused_of_its_clusters() {
    for (protocol, keys, expected) in [
        ("thrift", "heartbeat: {}", "9:25 a heartbeat of thrift, which has none"),
        ("http", "heartbeat: {}", "9:25 a heartbeat of http1, which has none"),
        (
            "dubbo_thrift",
            "health_check: { heartbeat: {} }",
            "9:41 a heartbeat of dubbo_thrift, which has none",
        ),
        ("bolt", "heartbeat: { interval: 2s, max_interval: 1s }", "9:66 `1s` is out of range"),
        ("bolt", "heartbeat: { timeout: 0s }", "9:47 `0s` is out of range"),
        ("bolt", "heartbeat: { every: 1s }", "9:38 unknown key `every` in a heartbeat"),
        ("thrift", "pool: { max_calls_per_connection: 2 }", "9:33 `max_calls_per_connection` of thrift"),
        ("http", "pool: { max_connections_per_endpoint: 2 }", "9:33 `max_connections_per_endpoint` of http1"),
        ("bolt", "pool: { max_calls_per_connection: 0 }", "9:59 0 is out of range"),
        ("bolt", "pool: { max_calls_per_connection: 4096 }", "9:59 4096 is out of range"),
        ("bolt", "pool: { max_connections_per_endpoint: 0 }", "9:63 0 is out of range"),
        ("bolt", "pool: { max_connections_per_endpoint: 257 }", "9:63 257 is out of range"),
        ("bolt", "pool: { share_idle_connections: true }", "9:33 `share_idle_connections` of bolt"),
        ("thrift", "pool: { share_idle_connections: true }", "9:33 `share_idle_connections` of thrift"),
    ] {
        let found = problems(&with_cluster(protocol, keys));
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{expected}: {found:?}");
    }
    let raw = "listeners: [{ name: raw, address: 127.0.0.1:0, protocol: tcp, cluster: api }]\n\
               clusters: [{ name: api, endpoints: [127.0.0.1:1], KEYS }]\n";
    for (keys, expected) in [
        ("heartbeat: {}", "2:51 a heartbeat of tcp, which has none"),
        ("pool: { share_idle_connections: true }", "2:59 `share_idle_connections` of tcp"),
        ("pool: { max_calls_per_connection: 3 }", "2:59 `max_calls_per_connection` of tcp"),
        ("pool: { idle_timeout: 3s }", "2:59 `idle_timeout` of a pool of tcp"),
    ] {
        let found = problems(&raw.replace("KEYS", keys));
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{expected}: {found:?}");
    }
}

#[test]
fn fields_are_changed_where_frames_have_room_for_them() {
    const SET: &str = "{ set: { x-a: b } }";
    for protocol in protocols() {
        for key in ["request_headers", "response_headers"] {
            let listener = file(protocol.name, &format!("  {key}: {SET}\n"), TO_API);
            let route = file(protocol.name, "", &format!("{{ match: {{}}, cluster: api, {key}: {SET} }}"));
            let host = file(protocol.name, "", TO_API)
                .replace("    routes:", &format!("    {key}: {SET}\n    routes:"));
            let is_refused = matches!(protocol.name, "dubbo" | "dubbo_thrift" | "tars");
            for (text, place) in [(listener, "5:3"), (route, "8:34"), (host, "7:5")] {
                if is_refused {
                    let expected = format!("{place} `{key}` has no meaning here");
                    assert!(problems(&text)[0].starts_with(&expected), "{:?}", problems(&text));
                } else {
                    load(&text).unwrap_or_else(|report| panic!("{report}"));
                }
            }
        }
    }
}

#[test]
fn what_retries_of_calls_cannot_go_by_is_refused() {
    for (retry, expected) in [
        (
            "{ on: [5xx], per_try_timeout: 1s, hedge_on_per_try_timeout: true }",
            "8:75 `hedge_on_per_try_timeout` has no",
        ),
        ("{ on: [5xx, unavailable] }", "8:53 `unavailable` of calls"),
        ("{ on: [refused-stream] }", "8:48 `refused-stream` of calls"),
        ("{ on: [envoy-ratelimited] }", "8:48 `envoy-ratelimited` of calls"),
    ] {
        let found = problems(&file("bolt", "", &format!("{{ match: {{}}, cluster: api, retry: {retry} }}")));
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{expected}: {found:?}");
    }
    let limit = "{ name: local_rate_limit, token_bucket: { max_tokens: 1, fill_interval: 1s }, \
                 enable_x_ratelimit_headers: draft_version_03 }";
    let found = problems(&file("bolt", &format!("  filters: [{limit}]\n"), TO_API));
    assert!(found[0].starts_with("5:13 `enable_x_ratelimit_headers`, which bolt"), "{found:?}");
}

#[test]
fn methods_with_counters_of_their_own_are_bounded() {
    let most = |keys: &str| {
        load(&format!("{keys}{}", file("bolt", "", TO_API))).map(|it| it.settings.max_rpc_methods)
    };
    assert_eq!(most("").unwrap(), 1_000);
    assert_eq!(most("rpc_metrics: { max_methods: 0 }\n").unwrap(), 0);
    assert_eq!(most("rpc_metrics: { max_methods: 100000 }\n").unwrap(), 100_000);
    assert!(most("rpc_metrics: { max_methods: 100001 }\n").is_err());
}

#[test]
fn limits_and_announcements_of_listeners_for_calls() {
    let listener = |keys: &str| {
        let loaded = load(&file("bolt", keys, TO_API)).unwrap_or_else(|report| panic!("{report}"));
        let listener = &loaded.snapshot.listeners[0];
        (listener.limits.held_up_timeout_ms, http(listener).codec.go_away)
    };
    assert_eq!(listener(""), (1_000, false));
    assert_eq!(listener("  go_away: true\n  limits: { held_up_timeout: 3s }\n"), (3_000, true));
    for (protocol, keys, expected) in [
        ("dubbo", "  go_away: true\n", "5:3 `go_away` has no meaning here"),
        ("tars", "  go_away: false\n", "5:3 `go_away` has no meaning here"),
        ("http", "  go_away: true\n", "5:3 `go_away` has no meaning here"),
        ("http", "  limits: { held_up_timeout: 3s }\n", "5:13 `held_up_timeout` has no meaning here"),
    ] {
        let found = problems(&file(protocol, keys, TO_API));
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{expected}: {found:?}");
    }
}
