//! Listeners with `protocol: auto`: what they are read as, what the clusters that they name speak, and what is refused.

use super::tests::{http, load, problems};
use sidering_codecs::registry::protocols;
use sidering_dataplane::config::*;

/// A listener with further keys, the routes of its only virtual host, and further clusters.
fn file(keys: &str, routes: &str, clusters: &str) -> String {
    format!(
        "listeners:\n- name: any\n  address: 127.0.0.1:0\n  protocol: auto\n{keys}  virtual_hosts:\n  - domains: ['*']\n    \
         routes:\n    - {routes}\nclusters:\n- {{ name: api, endpoints: [127.0.0.1:1] }}\n\
         - {{ name: raw, endpoints: [127.0.0.1:2] }}\n{clusters}"
    )
}

fn snapshot(file: &str) -> Snapshot {
    load(file).unwrap_or_else(|report| panic!("{report}")).snapshot
}

const TO_API: &str = "{ match: {}, cluster: api }";

#[test]
fn all_protocols_are_detected_unless_some_are_named() {
    let read = snapshot(&file("", TO_API, ""));
    let listener = http(&read.listeners[0]);
    let all: Vec<&str> = protocols().map(|protocol| protocol.name).collect();
    let expected = Detection { protocols: all, timeout_ms: 1000, fallback: None };
    assert_eq!((listener.protocol, listener.detection.as_deref()), (AUTO, Some(&expected)));
    assert!(listener.options.generate_request_id, "HTTP is what it is elsewhere");
    assert_eq!([read.clusters[0].protocol, read.clusters[1].protocol], [AUTO, "tcp"]);
    let keys = "  cluster: raw\n  detection: { protocols: [bolt, http, tars], timeout: 250ms }\n  via: a\n  \
                limits: { uri_bytes: 1KiB, header_bytes: 2KiB }\n";
    let read = snapshot(&file(keys, TO_API, ""));
    let listener = http(&read.listeners[0]);
    let fallback = Some(ClusterIndex(1));
    let expected = Detection { protocols: vec!["bolt", "http1", "tars"], timeout_ms: 250, fallback };
    assert_eq!(listener.detection.as_deref(), Some(&expected));
    assert_eq!((listener.options.via.as_deref(), listener.codec.uri_bytes), (Some("a"), 1024));
}

#[test]
fn routes_ask_for_what_calls_have_or_for_what_http_has() {
    let routes = "{ match: { service: a, method: b }, cluster: api }\n    \
                  - { match: { prefix: /web, methods: [GET] }, redirect: { path: /x } }\n    \
                  - { match: { headers: [{ name: x-a }] }, cluster: api, hash: [{ cookie: { name: a } }] }";
    let read = snapshot(&file("  filters: [{ name: cors }]\n", routes, ""));
    let listener = http(&read.listeners[0]);
    let routes = &listener.routes.virtual_hosts()[0].routes;
    let rpc = routes[0].matcher.conditions.as_deref().and_then(|conditions| conditions.rpc.as_deref());
    assert_eq!(rpc.and_then(|rpc| rpc.service.clone()), Some(StringMatch::exact("a")));
    assert_eq!(routes[1].matcher.path, PathMatch::Prefix("/web".into()));
    assert!(listener.codec.late_fields, "a header of calls is asked for");
}

#[test]
fn a_cluster_that_is_asked_in_several_protocols_speaks_whatever_the_client_does() {
    let other = |protocol: &str| {
        format!(
            "- name: b\n  address: 127.0.0.1:1\n  protocol: {protocol}\n  virtual_hosts: [{{ domains: ['*'], routes: [{TO_API}] }}]\n"
        )
    };
    let with = |own: &str, protocol: &str| {
        let text = file("", TO_API, "").replace("protocol: auto", &format!("protocol: {own}"));
        snapshot(&text.replace("clusters:\n", &format!("{}clusters:\n", other(protocol)))).clusters[0]
            .protocol
    };
    for (own, protocol, expected) in [
        ("bolt", "bolt", "bolt"),
        ("bolt", "http", AUTO),
        ("http", "bolt", AUTO),
        ("auto", "bolt", AUTO),
        ("bolt", "auto", AUTO),
    ] {
        assert_eq!(with(own, protocol), expected, "{own} {protocol}");
    }
    let named = "{ match: {}, cluster_header: to }";
    assert_eq!(snapshot(&file("", named, "")).clusters[1].protocol, AUTO);
    let explicit = "- { name: calls, protocol: auto, endpoints: [127.0.0.1:3] }\n";
    let read = snapshot(&file("", TO_API, explicit).replace("protocol: auto\n", "protocol: bolt\n"));
    assert_eq!(read.clusters[2].protocol, AUTO, "as the file says");
    let bolt = "- { name: calls, protocol: bolt, endpoints: [127.0.0.1:3] }\n";
    let read = snapshot(&file("", "{ match: { service: a }, cluster: calls }", bolt));
    assert_eq!(read.clusters[2].protocol, "bolt");
}

#[test]
fn what_means_nothing_is_refused() {
    let bolt = "- { name: calls, protocol: bolt, endpoints: [127.0.0.1:3] }\n";
    for (keys, routes, clusters, expected) in [
        ("  detection: { protocols: [bolt, bolt] }\n", TO_API, "", "5:34 `bolt` a second time"),
        ("  detection: { protocols: [http, http1] }\n", TO_API, "", "5:34 `http1` a second time"),
        ("  detection: { protocols: [tcp] }\n", TO_API, "", "5:28 `tcp`"),
        ("  detection: { protocols: [http2] }\n", TO_API, "", "5:28 `http2` is in the format but not"),
        ("  detection: { protocols: [] }\n", TO_API, "", "5:27 "),
        ("  detection: { timeout: 0s }\n", TO_API, "", "5:25 "),
        ("  detection: { time: 1s }\n", TO_API, "", "5:16 unknown key `time`"),
        ("  cluster: rew\n", TO_API, "", "5:12 there is no cluster `rew`"),
        (
            "",
            "{ match: { service: a, prefix: /a }, cluster: api }",
            "",
            "8:30 a condition on requests of HTTP beside",
        ),
        (
            "  detection: { protocols: [http] }\n",
            "{ match: {}, cluster: calls }",
            bolt,
            "9:29 the cluster `calls` speaks bolt, which the listener does not detect",
        ),
    ] {
        let found = problems(&file(keys, routes, clusters));
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{expected}: {found:?}");
    }
    for protocol in ["tcp", "http", "bolt"] {
        let text = file("  detection: { timeout: 1s }\n", TO_API, "")
            .replace("protocol: auto", &format!("protocol: {protocol}"));
        let found = problems(&text);
        let expected = "5:3 `detection` has no meaning here";
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{protocol}: {found:?}");
    }
}
