//! One mistake is told once, with what could stand there; and what follows from it is not told at all.

use super::tests::{SMALL, problems};

/// The small file with another route, in flow style, on line 8.
fn with_route(route: &str) -> String {
    let (before, behind) = SMALL.split_once("    - match").expect("a route");
    let (_, behind) = behind.split_once("clusters").expect("clusters");
    format!("{before}    - {route}\nclusters{behind}")
}

/// The small file with more keys of its cluster, on line 10.
fn with_cluster(keys: &str) -> String {
    let (before, _) = SMALL.split_once("clusters").expect("clusters");
    format!("{before}clusters:\n- {{ name: api, {keys} }}\n")
}

#[test]
fn a_misspelled_key_is_the_only_mistake() {
    for (route, expected) in [
        ("{ match: {}, clusterr: api }", "unknown key `clusterr` in a route | did you mean `cluster`?"),
        ("{ match: {}, redirect: { hostt: a } }", "unknown key `hostt` in a redirect | did you mean `host`?"),
        (
            "{ match: {}, cluster: api, hash: [{ headerr: x }] }",
            "unknown key `headerr` in a hash policy | did you mean `header`?",
        ),
        (
            "{ match: {}, cluster: api, retry: { on: [retriable-headers], header: [x] } }",
            "unknown key `header` in a retry policy | did you mean `headers`?",
        ),
    ] {
        let told = problems(&with_route(route));
        assert!(told.len() == 1 && told[0].ends_with(expected), "{route}: {told:?}");
    }
    for (keys, expected) in [
        (
            "endpoints_fil: /e.yaml",
            "unknown key `endpoints_fil` in a cluster | did you mean `endpoints_file`?",
        ),
        (
            "endpoints: [127.0.0.1:1], health_check: { tpc: {} }",
            "unknown key `tpc` in a health check | did you mean `tcp`?",
        ),
        (
            "endpoints: [127.0.0.1:1], slow_start: { windo: 1s }",
            "unknown key `windo` in a slow start | did you mean `window`?",
        ),
        (
            "discovery: dns, endpoints: [a:80]",
            "`dns` is not among the choices | static, strict_dns, logical_dns",
        ),
    ] {
        let told = problems(&with_cluster(keys));
        assert!(told.len() == 1 && told[0].ends_with(expected), "{keys}: {told:?}");
    }
}

#[test]
fn another_mistake_beside_it_is_told_too() {
    let told = problems(&with_route("{ match: {}, timeoutt: 1s }"));
    assert!(told.len() == 2 && told[0].contains("a route without an action"), "{told:?}");
}

#[test]
fn where_a_mapping_belongs_its_keys_are_told() {
    for (route, expected) in [
        (
            "{ match: {}, cluster: api, mirror: [api] }",
            "a list where a mirror belongs | a mapping of `key: value`: { cluster: .., percent: .. }",
        ),
        (
            "{ match: {}, redirect: /a }",
            "`/a` where a redirect belongs | a mapping of `key: value`: { scheme: .., host: .., port: .., path: .., \
             prefix: .., .. }",
        ),
    ] {
        let told = problems(&with_route(route));
        assert!(told.len() == 1 && told[0].ends_with(expected), "{route}: {told:?}");
    }
}

#[test]
fn where_an_address_belongs_a_name_gets_advice_of_its_place() {
    let listener = SMALL.replace("127.0.0.1:0", "localhost:80");
    for (text, expected) in [
        (listener, "an IP address, not a host name, such as 127.0.0.1:10000"),
        (with_cluster("endpoints: [localhost:80]"), "host names take `discovery: strict_dns`"),
        (
            with_cluster("discovery: strict_dns, endpoints: [a:80], dns_resolvers: [ns:53]"),
            "ip:port, [v6]:port or unix:/path",
        ),
    ] {
        let told = problems(&text);
        assert!(told.len() == 1 && told[0].contains(expected), "{text}: {told:?}");
    }
}
