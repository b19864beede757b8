//! Requests, and what is told of them.

use super::*;
use crate::config::{Overrides, expectations, parse};
use crate::json::Json;

const CONFIG: &str = r#"
listeners:
- name: web
  address: 127.0.0.1:10000
  protocol: http
  underscores: reject
  filters: [{ name: fault, disabled: true }, { name: rbac, disabled: true }]
  virtual_hosts:
  - domains: ["shop.example", "*.shop.example", "shop.example:81"]
    routes:
    - match: { path: /exact }
      direct_response: { status: 201, body: "here" }
    - match: { prefix: /v1, methods: [PUT], headers: [{ name: x-zone, exact: gz }] }
      cluster: one
    - match: { prefix: /v1, query: [{ name: v, exact: "2" }] }
      cluster: one
    - match: { prefix: /near, source: [10.0.0.0/8] }
      cluster: one
    - match: { prefix: /half, runtime_fraction: { numerator: 50 } }
      cluster: one
    - match: { prefix: /split }
      weighted_clusters: [{ name: one, weight: 90 }, { name: three, weight: 10 }]
    - match: { prefix: /old/ }
      redirect: { prefix: /new/, host: other.example, status: 302 }
    - match: { prefix: /abort }
      cluster: one
      filters: { fault: { abort: { http_status: 418, percentage: 100 } } }
    - match: { prefix: /slow }
      cluster: one
      filters: { fault: { delay: { fixed_delay: 250ms, percentage: 100 } } }
    - match: { connect: true }
      cluster: bytes
    - match: { prefix: /api/ }
      cluster: three
      rewrite: { prefix: /, host: internal }
- name: other
  address: 127.0.0.1:10001
  protocol: http
  virtual_hosts: [{ domains: ["*"], routes: [{ match: {}, cluster: one }] }]
- name: raw
  address: 127.0.0.1:10002
  protocol: tcp
  cluster: bytes
clusters:
- { name: one, endpoints: [127.0.0.1:8000] }
- { name: three, endpoints: [127.0.0.1:8001, { address: 127.0.0.1:8002, weight: 2 }] }
- { name: bytes, endpoints: [127.0.0.1:8003] }
"#;

fn snapshot() -> Arc<Snapshot> {
    let parsed = parse("test.yaml", CONFIG, &Overrides { workers: Some(2), engine: None });
    Arc::new(parsed.unwrap_or_else(|report| panic!("{report}")).snapshot)
}

/// Headers one a line.
fn question(words: &str, headers: &str) -> Question {
    let headers = headers.lines().map(|line| Question::header(line).unwrap()).collect();
    Question::from_words(words, headers).unwrap()
}

fn explained(words: &str, headers: &str) -> Explanation {
    explain(&snapshot(), &question(words, headers)).unwrap_or_else(|error| panic!("{words}: {error}"))
}

#[test]
fn routes_actions_clusters_and_endpoints() {
    for (words, headers, host, route, action, cluster, endpoint, status) in [
        ("GET http://shop.example/exact?q", "", "shop.example", Some(0), "direct_response", "", "", 201),
        ("GET http://shop.example:81/exact", "", "shop.example:81", Some(0), "direct_response", "", "", 201),
        (
            "PUT http://a.shop.example/v1/x",
            "X-Zone: gz",
            "*.shop.example",
            Some(1),
            "cluster",
            "one",
            "8000",
            200,
        ),
        (
            "GET http://shop.example/v1/../v1/x?v=2",
            "",
            "shop.example",
            Some(2),
            "cluster",
            "one",
            "8000",
            200,
        ),
        ("GET http://shop.example/split", "", "shop.example", Some(5), "cluster", "one", "8000", 200),
        ("GET http://shop.example/old/a?b", "", "shop.example", Some(6), "redirect", "", "", 302),
        ("GET http://shop.example/abort", "", "shop.example", Some(7), "none", "", "", 418),
        ("GET http://shop.example/slow", "", "shop.example", Some(8), "cluster", "one", "8000", 200),
        ("CONNECT shop.example:443", "", "shop.example", Some(9), "cluster", "bytes", "8003", 200),
        ("HEAD http://shop.example/api/x", "", "shop.example", Some(10), "cluster", "three", "8002", 200),
        ("GET http://shop.example/nowhere", "", "shop.example", None, "none", "", "", 404),
        ("GET http://shop.example.org/exact", "", "", None, "none", "", "", 404),
    ] {
        let got = explained(words, headers);
        assert_eq!(got.virtual_host.as_deref().unwrap_or_default(), host, "{words}: {got:?}");
        assert_eq!(got.route.map(|route| route.index), route, "{words}: {got:?}");
        assert_eq!((got.action, got.status), (action, status), "{words}: {got:?}");
        assert_eq!(got.cluster.as_deref().unwrap_or_default(), cluster, "{words}: {got:?}");
        let port = got.endpoint.as_deref().and_then(|endpoint| endpoint.strip_prefix("127.0.0.1:"));
        assert_eq!(port.unwrap_or_default(), endpoint, "{words}: {got:?}");
        assert_eq!(got.listener, "web");
    }
}

#[test]
fn a_route_has_its_line() {
    let route = explained("GET http://shop.example/api/", "").route.unwrap();
    let line = CONFIG.lines().nth(route.line as usize - 1).unwrap();
    assert_eq!(line.trim(), "- match: { prefix: /api/ }");
}

#[test]
fn routes_before_say_what_they_missed() {
    let mut question = question("GET http://shop.example/v1?v=3", "x-zone: sh");
    let reasons = |question: &Question| -> Vec<(usize, String, String)> {
        let explained = explain(&snapshot(), question).unwrap();
        explained
            .refused
            .into_iter()
            .map(|refused| (refused.place.index, refused.reason, refused.had))
            .collect()
    };
    let all = reasons(&question);
    assert_eq!(all.len(), 11, "no route takes it");
    let at = |at: usize| (all[at].1.as_str(), all[at].2.as_str());
    assert_eq!(at(0), ("the path is not /exact", "it is /v1"));
    assert_eq!(at(1), ("the method is not PUT", "it is GET"));
    assert_eq!(at(2), ("the query parameter v is not `2`", "it is `3`"));
    assert_eq!(at(9), ("it takes CONNECT requests alone", "it is GET"));
    question.method = "PUT".to_owned();
    assert_eq!(reasons(&question)[1].1, "the header x-zone is not `gz`");
    assert_eq!(reasons(&question)[1].2, "it is `sh`");
    question.target = "/near".to_owned();
    question.world.source = Some([192, 0, 2, 1].into());
    assert_eq!(reasons(&question)[3].2, "it is 192.0.2.1");
    question.world.source = Some([10, 0, 2, 1].into());
    assert_eq!(explain(&snapshot(), &question).unwrap().route.map(|route| route.index), Some(3));
}

#[test]
fn endpoints_see_what_is_forwarded() {
    let got = explained("GET http://shop.example/api/x?y", "x-a: 1\nconnection: close, x-b\nx-b: 2");
    let seen = got.exchanges[0].seen().unwrap();
    assert_eq!(
        (seen.method.as_str(), seen.path.as_str(), seen.authority.as_str()),
        ("GET", "/x?y", "internal")
    );
    assert!(seen.headers.contains(&("x-a".to_owned(), "1".to_owned())), "{seen:?}");
    assert!(!seen.headers.iter().any(|(name, _)| name == "x-b"), "{seen:?}");
    let mut posts = question("POST http://shop.example/api/x", "");
    posts.body = "four".to_owned();
    let got = explain(&snapshot(), &posts).unwrap();
    assert_eq!(got.exchanges[0].seen().unwrap().body_bytes, 4);
    let redirect = explained("GET http://shop.example/old/a?b", "").redirect;
    assert_eq!(redirect.as_deref(), Some("http://other.example/new/a?b"));
}

#[test]
fn what_is_refused_before_any_route_has_no_cluster() {
    for (words, headers, status, details) in [
        ("TRACE http://shop.example/api/", "", 405, "trace_not_allowed"),
        ("GET http://shop.example/api/", "a_b: c", 400, "header_name_with_underscore"),
    ] {
        let got = explained(words, headers);
        assert_eq!((got.status, got.details.as_str(), got.action), (status, details, "none"));
        assert_eq!((got.route, got.cluster), (None, None), "{words}");
    }
    let got = explained("GET http://shop.example/api/", "content-length: x");
    assert!(got.answer.iter().any(|(name, value)| name == "connection" && value == "close"), "{got:?}");
    assert_eq!((got.status, got.virtual_host), (400, None), "no codec reads it");
}

#[test]
fn filters_take_part() {
    let got = explained("GET http://shop.example/abort", "");
    assert_eq!((got.details.as_str(), got.flags.as_slice()), ("fault_filter_abort", &["FI"][..]));
    assert_eq!(explained("GET http://shop.example/slow", "").delay_ms, 250);
}

#[test]
fn endpoints_that_are_down_are_passed_over() {
    let mut question = question("GET http://shop.example/api/", "");
    question.world.down = vec![crate::config::parse_address("127.0.0.1:8002").unwrap()];
    let got = explain(&snapshot(), &question).unwrap();
    assert_eq!((got.endpoint.as_deref(), got.status), (Some("127.0.0.1:8001"), 200));
    assert!(got.endpoint_reason.contains("127.0.0.1:8002 refused before"), "{}", got.endpoint_reason);
    question.world.down.push(crate::config::parse_address("127.0.0.1:8001").unwrap());
    let got = explain(&snapshot(), &question).unwrap();
    assert_eq!((got.status, got.flags.as_slice()), (503, &["UF"][..]));
}

#[test]
fn unhealthy_endpoints_are_gone_around_and_chains_pass_on() {
    let mut question = question("GET http://shop.example/api/", "");
    question.world.unhealthy = vec![crate::config::parse_address("127.0.0.1:8002").unwrap()];
    let got = explain(&snapshot(), &question).unwrap();
    assert_eq!((got.endpoint.as_deref(), got.status), (Some("127.0.0.1:8001"), 200));

    let chain = r#"
listeners:
- name: web
  address: 127.0.0.1:0
  protocol: http
  route_chain: [{ table: near, pass_on: [no_match, no_healthy_endpoint] }, { table: far }]
route_tables:
- name: near
  virtual_hosts: [{ domains: [a.example], routes: [{ match: { prefix: /x }, cluster: one }] }]
- name: far
  virtual_hosts: [{ domains: ["*"], routes: [{ match: { prefix: /x }, cluster: two }] }]
clusters:
- { name: one, endpoints: [127.0.0.1:8001] }
- { name: two, endpoints: [127.0.0.1:8002] }
"#;
    let chained = Arc::new(parse("chain.yaml", chain, &Overrides::default()).unwrap().snapshot);
    let mut question = Question::from_words("GET http://a.example/x", vec![]).unwrap();
    let got = explain(&chained, &question).unwrap();
    assert_eq!((got.cluster.as_deref(), got.virtual_host.as_deref()), (Some("one"), Some("a.example")));
    assert_eq!((got.route_tables, got.passed_on), (vec!["near".to_owned()], vec![]));
    question.world.unhealthy = vec![crate::config::parse_address("127.0.0.1:8001").unwrap()];
    let got = explain(&chained, &question).unwrap();
    assert_eq!((got.cluster.as_deref(), got.virtual_host.as_deref()), (Some("two"), Some("*")));
    assert_eq!(got.passed_on.iter().map(|place| place.line).collect::<Vec<_>>(), [9]);
    assert!(write_text(&got, &question, false).contains("passed on:    route 0 (line 9)"));
    question.world.unhealthy.clear();
    question.target = "/y".to_owned();
    let got = explain(&chained, &question).unwrap();
    assert_eq!((got.status, got.refused.len(), got.route_tables.len()), (404, 2, 2));
}

#[test]
fn the_listener_is_the_ports_or_the_first_or_the_one_that_is_named() {
    let listener = |words: &str| explained(words, "").listener;
    assert_eq!(listener("GET http://shop.example:10001/"), "other");
    assert_eq!(listener("GET http://shop.example/"), "web");
    let mut named = question("GET http://shop.example/", "");
    named.listener = Some("other".to_owned());
    assert_eq!(explain(&snapshot(), &named).unwrap().listener, "other");
    for (name, word) in [("othr", "did you mean `other`"), ("raw", "TCP listener")] {
        named.listener = Some(name.to_owned());
        let error = explain(&snapshot(), &named).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    let raw = explain(&snapshot(), &Question::connection("raw")).unwrap();
    assert_eq!((raw.action, raw.cluster.as_deref(), raw.status), ("cluster", Some("bytes"), 0));
    assert_eq!(raw.endpoint.as_deref(), Some("127.0.0.1:8003"));
}

/// The rules and the data plane are held against each other: a different throw would be an error here.
#[test]
fn chance_is_the_same_for_the_rules_and_the_data_plane() {
    let mut question = question("GET http://shop.example/half", "");
    let mut taken = 0;
    for random in 0..200 {
        question.world.random = random;
        let got = explain(&snapshot(), &question).unwrap();
        assert_eq!(got.route.is_some(), got.cluster.is_some(), "{random}");
        taken += u32::from(got.cluster.is_some());
    }
    assert!((50..150).contains(&taken), "{taken} of 200");
}

#[test]
fn a_tally_shares_out_as_the_weights_say() {
    let shares = tally(&snapshot(), &question("GET http://shop.example/split", ""), 100).unwrap();
    let of = |cluster: &str| -> u32 {
        shares
            .iter()
            .filter(|share| share.cluster.as_deref() == Some(cluster))
            .map(|share| share.requests)
            .sum()
    };
    assert_eq!((of("one"), of("three")), (90, 10));
    let shares = tally(&snapshot(), &question("GET http://shop.example/api/", ""), 30).unwrap();
    let counts: Vec<_> = shares.iter().map(|share| (share.endpoint.as_deref(), share.requests)).collect();
    assert_eq!(counts, [(Some("127.0.0.1:8002"), 20), (Some("127.0.0.1:8001"), 10)]);
}

#[test]
fn text_and_json_tell_the_same() {
    let question = question("GET http://shop.example/api/x", "");
    let explanation = explain(&snapshot(), &question).unwrap();
    let text = write_text(&explanation, &question, false);
    for part in [
        "listener:     web",
        "route 0 (line",
        "cluster:      three",
        "127.0.0.1:8002",
        "weight 2 of 3",
        "internal",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let json = Json::document(|json| write_json(json, &explanation));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    for key in ["listener", "virtual_host", "route", "action", "cluster", "endpoint", "status"] {
        assert!(!json[key].is_null(), "{key} in {json}");
    }
    assert_eq!((json["route"]["index"].as_u64(), json["action"].as_str()), (Some(10), Some("cluster")));
    assert_eq!(json["not_matched"].as_array().map(Vec::len), Some(10));
    assert!(write_text(&explanation, &question, true).len() >= text.len());
}

fn verdict(text: &str) -> Vec<String> {
    let expectations = expectations("expected.yaml", text).unwrap_or_else(|report| panic!("{report}"));
    let failures = expectations.iter().flat_map(|expectation| check(&snapshot(), expectation).unwrap());
    failures.map(|failure| format!("{}:{} {}", failure.line, failure.column, failure.message)).collect()
}

#[test]
fn expectations_hold_or_say_what_there_was() {
    let met = r#"
- request: GET http://shop.example/api/x
  headers: { x-a: [1, 2] }
  expect:
    { listener: web, virtual_host: shop.example, route: 10, action: cluster, cluster: [one, three], status: 200,
      path: /x, host: internal, request_headers: { x-a: "1,2", x-b: }, redirect: none, endpoint: "127.0.0.1:8002" }
- request: http://shop.example/old/x
  expect: { redirect: "http://other.example/new/x", action: redirect, cluster: none, status: [301, 302] }
- request: GET http://shop.example/exact
  expect: { body: here, details: direct_response, response_headers: { Content-Length: 4 } }
- { request: GET http://shop.example/near, source: 10.0.0.1, expect: { cluster: one } }
- { request: GET http://shop.example/api/, answer: 500, down: ["127.0.0.1:8002"], expect: { status: 500 } }
- { request: GET http://shop.example/api/, unhealthy: ["127.0.0.1:8002"], expect: { endpoint: "127.0.0.1:8001" } }
- { request: GET /x, headers: { host: a }, listener: other, expect: { cluster: one } }
"#;
    assert_eq!(verdict(met), Vec::<String>::new());
    let unmet =
        "- request: GET http://shop.example/api/x\n  expect: { cluster: one, route: 3, status: 200 }\n";
    let line = CONFIG.lines().position(|line| line.contains("prefix: /api/")).unwrap() + 1;
    let where_to = format!("(route 10 on line {line}, via_upstream)");
    let expected = [
        format!("2:22 cluster: expected one, got three {where_to}"),
        format!("2:34 route: expected 3, got 10 {where_to}"),
    ];
    assert_eq!(verdict(unmet), expected);
}

#[test]
fn mistakes_in_expectations_have_places() {
    let wrong = r#"- { request: GET shop.example/, expect: { cluster: one } }
- { request: GET http://a/, expect: { clustre: one } }
- { request: GET http://a/ }
- { request: GET http://a/, expect: { status: many }, source: here, header: { a: b } }
- { request: GET http://a/, headers: { "a b": c }, expect: { action: dance } }
- { request: GET http://a/, expect: {} }
"#;
    let report = expectations("expected.yaml", wrong).unwrap_err();
    let places: Vec<_> =
        report.problems.iter().map(|problem| (problem.place.line, problem.place.column)).collect();
    assert_eq!(
        places,
        [(1, 14), (2, 37), (2, 39), (3, 3), (4, 47), (4, 63), (4, 69), (5, 40), (5, 70), (6, 37)],
        "{report}"
    );
    assert!(expectations("expected.yaml", "a: b").is_err());
    assert!(expectations("expected.yaml", "- [").is_err());
}

const CALLS: &str = r#"
listeners:
- name: calls
  address: 127.0.0.1:12200
  protocol: bolt
  virtual_hosts:
  - domains: ["com.a.Facade"]
    routes:
    - match: { version: "2.0" }
      cluster: two
    - match: { method: { prefix: get }, headers: [{ name: x-zone, exact: gz }] }
      cluster: one
    - match: { method: drop }
      direct_response: { status: 503 }
- name: dubbo
  address: 127.0.0.1:20880
  protocol: dubbo
  virtual_hosts:
  - domains: ["*"]
    routes: [{ match: { group: g, version: "1.0" }, cluster: three }]
- name: web
  address: 127.0.0.1:80
  protocol: http
  virtual_hosts: [{ domains: ["*"], routes: [{ match: {}, direct_response: { status: 200 } }] }]
clusters:
- { name: one, endpoints: [127.0.0.1:8000] }
- { name: two, endpoints: [127.0.0.1:8001] }
- { name: three, endpoints: [127.0.0.1:8002] }
"#;

#[test]
fn calls_are_explained() {
    let parsed = parse("test.yaml", CALLS, &Overrides { workers: Some(2), engine: None });
    let snapshot = Arc::new(parsed.unwrap_or_else(|report| panic!("{report}")).snapshot);
    let told = |words: &str, headers: &[&str]| {
        let headers = headers.iter().map(|line| Question::header(line).unwrap()).collect();
        explain(&snapshot, &Question::from_words(words, headers).unwrap()).unwrap()
    };
    let found = told("bolt://127.0.0.1:12200/com.a.Facade:1.0/getAll", &["x-zone: gz"]);
    assert_eq!((found.listener.as_str(), found.cluster.as_deref()), ("calls", Some("one")));
    assert_eq!((found.virtual_host.as_deref(), found.status), (Some("com.a.facade"), 200));
    assert_eq!((found.refused.len(), found.refused[0].had.as_str()), (1, "it is `1.0`"));
    let seen = found.exchanges[0].seen().unwrap();
    assert_eq!((seen.method.as_str(), seen.authority.as_str()), ("getAll", "com.a.Facade:1.0"));
    assert!(seen.headers.contains(&("x-zone".to_owned(), "gz".to_owned())));
    let found = told("bolt:///com.a.Facade/getAll?version=2.0", &[]);
    assert_eq!(found.cluster.as_deref(), Some("two"));
    let found = told("bolt:///com.a.Facade/drop", &[]);
    assert_eq!((found.action, found.status), ("direct_response", 503));
    let found = told("bolt:///com.b.Facade/get", &[]);
    assert_eq!((found.action, found.virtual_host, found.status), ("none", None, 404));
    let found = told("dubbo:///com.a.Facade/get?version=1.0&group=g", &[]);
    assert_eq!((found.listener.as_str(), found.cluster.as_deref()), ("dubbo", Some("three")));
    let error = explain(&snapshot, &Question::from_words("tars:///a/b", vec![]).unwrap()).unwrap_err();
    assert!(error.to_string().contains("no listener speaks tars"), "{error}");
    assert_eq!(told("http://a/", &[]).listener, "web");
}

#[test]
fn where_protocols_are_detected_the_url_says_what_is_spoken() {
    let config = "listeners:\n\
                  - { name: any, address: 127.0.0.1:9000, protocol: auto, cluster: raw, detection: { protocols: [http, bolt], \
                  timeout: 250ms }, virtual_hosts: [{ domains: ['*'], routes: [{ match: { service: com.a }, cluster: one }, \
                  { match: { prefix: /web }, cluster: one }, { match: { prefix: / }, cluster: two }] }] }\n\
                  - { name: strict, address: 127.0.0.1:9001, protocol: auto, detection: { protocols: [dubbo] }, virtual_hosts: \
                  [{ domains: ['*'], routes: [{ match: {}, cluster: two }] }] }\n\
                  clusters:\n- { name: one, endpoints: [127.0.0.1:8000] }\n- { name: two, endpoints: [127.0.0.1:8001] }\n\
                  - { name: raw, endpoints: [127.0.0.1:8002] }\n";
    let parsed = parse("test.yaml", config, &Overrides { workers: Some(1), engine: None });
    let snapshot = Arc::new(parsed.unwrap_or_else(|report| panic!("{report}")).snapshot);
    let ask = |words: &str, listener: Option<&str>| {
        let mut question = Question::from_words(words, vec![]).unwrap();
        question.listener = listener.map(str::to_owned);
        explain(&snapshot, &question)
    };
    for (words, listener, cluster) in [
        ("bolt:///com.a/get", "any", "one"),
        ("bolt:///com.b/get", "any", "two"),
        ("http://h/web", "any", "one"),
        ("http://h/x", "any", "two"),
        ("dubbo:///com.a/get", "strict", "two"),
    ] {
        let found = ask(words, None).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((found.listener.as_str(), found.cluster.as_deref()), (listener, Some(cluster)), "{words}");
        assert_eq!(found.status, 200, "{words}");
    }
    let mut silent = Question::connection("any");
    let found = explain(&snapshot, &silent).unwrap();
    assert_eq!((found.cluster.as_deref(), found.status), (Some("raw"), 0));
    assert!(found.cluster_reason.contains("250ms"), "{}", found.cluster_reason);
    assert_eq!(found.endpoint.as_deref(), Some("127.0.0.1:8002"));
    silent.listener = Some("strict".into());
    let error = explain(&snapshot, &silent).unwrap_err();
    assert!(error.to_string().contains("says nothing"), "{error}");
    let error = ask("http://h/", Some("strict")).unwrap_err();
    assert!(error.to_string().contains("detects dubbo"), "{error}");
}
