//! Filters, as clients, upstreams, the access log and the metrics see them.

use crate::support::access_log::{flags, record_of};
use crate::support::peers::curl;
use crate::support::web::serve;
use crate::support::{Config, Origin, Proxy};

/// A proxy with these filters in front of one origin; routes may say more.
fn start(origin: &Origin, filters: &str, routes: &str) -> Proxy {
    let keys = format!("filters: [{filters}]");
    Proxy::start(&Config::new().http("web", &keys, routes).cluster("api", origin, ""))
}

fn origin() -> Origin {
    Origin::recording(|wire, _| serve(wire))
}

const TO_API: &str = "{ match: { prefix: / }, cluster: api }";

/// curl's view of the head and body of an answer, lower-case.
fn ask(proxy: &Proxy, path: &str, arguments: &[&str]) -> String {
    let url = proxy.url(path);
    let answer = curl(&[&["-i"], arguments, &[&url]].concat());
    String::from_utf8_lossy(&answer).to_lowercase()
}

#[test]
fn faults_are_injected_where_they_are_configured() {
    let origin = origin();
    let abort = "{ match: { prefix: /abort }, cluster: api, \
                 filters: { fault: { abort: { http_status: 418, percentage: 100 } } } }";
    let delay = "{ match: { prefix: /delay }, cluster: api, \
                 filters: { fault: { delay: { fixed_delay: 50ms, percentage: 100 } } } }";
    let asked = "{ match: { prefix: /asked }, cluster: api, filters: { fault: { \
                 delay: { header_delay: {}, percentage: 100 }, abort: { header_abort: {}, percentage: 100 } } } }";
    let routes = [abort, delay, asked, TO_API].join(", ");
    let proxy = start(&origin, "{ name: fault, disabled: true }", &routes);
    let answer = ask(&proxy, "/abort", &["-d", "some body"]);
    assert!(answer.starts_with("http/1.1 418") && answer.ends_with("fault filter abort"), "{answer}");
    let record = record_of(&proxy, "/abort");
    assert_eq!(
        (flags(&record).as_str(), record["response_code_details"].as_str()),
        ("FI", Some("fault_filter_abort"))
    );
    assert!(ask(&proxy, "/delay/1", &[]).ends_with("hello\n"));
    let record = record_of(&proxy, "/delay/1");
    assert_eq!(flags(&record), "DI");
    // A delay is never shorter than it says.
    assert!(record["duration"].as_f64().unwrap() >= 50.0, "{record}");
    let both = ["-H", "x-envoy-fault-delay-request: 20", "-H", "x-envoy-fault-abort-request: 503"];
    assert!(ask(&proxy, "/asked/1", &both).starts_with("http/1.1 503"));
    let record = record_of(&proxy, "/asked/1");
    assert_eq!(flags(&record), "DI,FI", "{record}");
    assert!(ask(&proxy, "/asked/2", &[]).ends_with("hello\n"));
    // A body that comes while its request waits goes out whole behind it.
    let body = "0123456789".repeat(30_000);
    let file = proxy.folder().join("body");
    std::fs::write(&file, &body).unwrap();
    let upload = format!("@{}", file.display());
    let answer = ask(&proxy, "/delay/2", &["-H", "Expect:", "--data-binary", &upload]);
    assert!(answer.ends_with("hello\n"), "{answer}");
    assert!(origin.seen_text().contains(&body));
    assert!(ask(&proxy, "/other", &[]).ends_with("hello\n"));
    let metrics = proxy.metrics();
    let faults = ["delays_injected", "aborts_injected", "active_faults"];
    let faults = faults.map(|name| metrics.sum(&format!("sidering_http_fault_{name}")));
    assert_eq!(faults, [3.0, 2.0, 0.0]);
    // Its idle connections go with it.
    drop(origin);
    proxy.assert_home();
}

#[test]
fn access_is_controlled_by_address_header_path_and_method() {
    let origin = origin();
    let rbac = "{ name: rbac, rules: { action: allow, policies: { \
                local: { permissions: [{ url_path: { prefix: /a } }, { methods: [PUT] }], \
                         principals: [{ and_ids: [{ direct_remote_ip: 127.0.0.0/8 }, { not_id: { header: { name: x-evil, present: true } } }] }] }, \
                nobody: { permissions: [any: true], principals: [direct_remote_ip: 192.0.2.0/24] } } }, \
                shadow_rules: { action: deny, policies: { all: { permissions: [any: true], principals: [any: true] } } } }";
    let open = "{ match: { prefix: /open }, cluster: api, filters: { rbac: disabled } }";
    let proxy = start(&origin, rbac, &[open, TO_API].join(", "));
    for (path, arguments, allowed) in [
        ("/a/1", &[][..], true),
        ("/a/2", &["-H", "x-evil: 1"], false),
        ("/b/1", &[], false),
        ("/b/2", &["-X", "PUT"], true),
        ("/open/1", &["-H", "x-evil: 1"], true),
        // The path that the upstream would see.
        ("/a/../b/3", &["--path-as-is"], false),
    ] {
        let answer = ask(&proxy, path, arguments);
        let status = if allowed { "http/1.1 200" } else { "http/1.1 403" };
        assert!(answer.starts_with(status), "{path}: {answer}");
        assert_eq!(answer.ends_with("rbac: access denied"), !allowed, "{path}: {answer}");
    }
    let record = record_of(&proxy, "/b/1");
    assert_eq!(record["response_code_details"], "rbac_access_denied_matched_policy[none]");
    assert_eq!(flags(&record), "-");
    let metrics = proxy.metrics();
    let counted = ["allowed", "denied", "shadow_allowed", "shadow_denied"];
    let counted = counted.map(|name| metrics.sum(&format!("sidering_http_rbac_{name}")));
    assert_eq!(counted, [2.0, 3.0, 0.0, 5.0]);
    assert!(!origin.seen_text().contains("/b/1"), "a denied request must not reach the upstream");
    // Its idle connections go with it.
    drop(origin);
    proxy.assert_home();
}

#[test]
fn pages_of_other_origins_are_told_what_they_may_do() {
    let origin = origin();
    let cors = "{ name: cors, allow_origin: [\"https://a.example\"], allow_methods: \"GET, PUT\", allow_headers: \"*\", \
                max_age: 10m, allow_credentials: true, expose_headers: x-b }";
    let special = "{ match: { prefix: /special }, cluster: api, \
                   filters: { cors: { allow_origin: [{ suffix: .example }], allow_methods: DELETE } } }";
    let proxy = start(&origin, cors, &[special, TO_API].join(", "));
    let preflight = |path: &str, from: &str| {
        let from = format!("Origin: {from}");
        let asks = [
            "-X",
            "OPTIONS",
            "-H",
            &from,
            "-H",
            "Access-Control-Request-Method: PUT",
            "-H",
            "Access-Control-Request-Headers: x-c",
        ];
        ask(&proxy, path, &asks)
    };
    let answer = preflight("/1", "https://a.example");
    assert!(answer.starts_with("http/1.1 200"), "{answer}");
    for line in ["origin: https://a.example", "methods: get, put", "headers: x-c", "credentials: true"] {
        assert!(answer.contains(&format!("access-control-allow-{line}\r\n")), "{line}: {answer}");
    }
    assert!(
        answer.contains("access-control-max-age: 600\r\n") && answer.contains("content-length: 0\r\n"),
        "{answer}"
    );
    assert_eq!(origin.accepted(), 0, "preflight requests end here");
    assert!(preflight("/special", "https://b.example").contains("access-control-allow-methods: delete\r\n"));
    // Those of others are the upstream's.
    assert!(preflight("/2", "https://evil.test").ends_with("hello\n"));
    let answer = ask(&proxy, "/3", &["-H", "Origin: https://a.example"]);
    assert!(answer.contains("access-control-allow-origin: https://a.example\r\n"), "{answer}");
    assert!(
        answer.contains("access-control-expose-headers: x-b\r\n") && answer.ends_with("hello\n"),
        "{answer}"
    );
    for from in [&["-H", "Origin: https://evil.test"][..], &[]] {
        assert!(!ask(&proxy, "/4", from).contains("access-control"));
    }
    let metrics = proxy.metrics();
    assert_eq!(metrics.sum("sidering_http_cors_origin_valid"), 3.0);
    assert_eq!(metrics.sum("sidering_http_cors_origin_invalid"), 2.0);
    // Its idle connections go with it.
    drop(origin);
    proxy.assert_home();
}
