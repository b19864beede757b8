//! What bridges are read as, and what is wrong with others.

use super::tests::{http, load, problems};
use sidering_codecs::bridge::Shape;
use sidering_dataplane::config::*;

/// One route in front of two clusters of calls, one of HTTP, and one that does not say what it speaks.
fn file(route: &str) -> String {
    let cluster =
        |name: &str, protocol: &str| format!("- {{ name: {name}, {protocol}endpoints: [127.0.0.1:1] }}\n");
    let clusters = [
        cluster("sofa", "protocol: bolt, "),
        cluster("users", "protocol: dubbo, "),
        cluster("web", "protocol: http1, "),
        cluster("any", ""),
    ];
    format!(
        "listeners:\n- name: web\n  address: 127.0.0.1:0\n  protocol: http1\n  virtual_hosts:\n  - domains: ['*']\n    \
         routes:\n    - {route}\nclusters:\n{}",
        clusters.concat()
    )
}

fn bridge_of(route: &str) -> BridgeRule {
    let loaded = load(&file(route)).unwrap_or_else(|report| panic!("{report}"));
    let route = &http(&loaded.snapshot.listeners[0]).routes.virtual_hosts()[0].routes[0];
    let RouteAction::Forward(forward) = &route.action else { panic!("a route that forwards") };
    *forward.bridge.clone().expect("a bridge")
}

#[test]
fn a_bridge_is_read() {
    let rule = bridge_of(
        "{ match: {}, cluster: sofa, bridge: { service: a.B, version: 2.0, group: g, method: m, \
         methods: [{ name: m, types: [int, 'java.util.List<a.C>'] }, { name: m }, { name: n, types: [], one_way: true }], \
         classes: [{ name: a.C, fields: { id: long, d: 'a.D[]' } }, { name: a.E, enum: true }, { name: a.F }], \
         max_request_bytes: 1KiB, max_response_bytes: 2KiB } }",
    );
    let service = &rule.service;
    assert_eq!(
        (service.service.as_str(), service.version.as_str(), service.group.as_str()),
        ("a.B", "2.0", "g")
    );
    assert_eq!(
        (rule.method.as_deref(), rule.max_request_bytes, rule.max_response_bytes),
        (Some("m"), 1024, 2048)
    );
    let types: Vec<String> = service.methods[0].types.iter().map(ToString::to_string).collect();
    assert_eq!(types, ["int", "java.util.List<a.C>"]);
    assert_eq!((service.methods[1].types.len(), service.methods[2].is_one_way), (0, true));
    let shape = |name: &str| service.classes.shape(name);
    assert!(matches!(shape("a.C"), Some(Shape::Fields(fields)) if fields.len() == 2));
    assert_eq!([shape("a.D"), shape("a.F")], [Some(&Shape::Unknown); 2]);
    assert_eq!((shape("a.E"), shape("a.G")), (Some(&Shape::Enum), None));
}

#[test]
fn what_is_not_said_is_the_default() {
    let rule = bridge_of(
        "{ match: {}, weighted_clusters: [{ name: users, weight: 1 }], bridge: { service: a.B, types_from_client: true } }",
    );
    assert_eq!((rule.method, rule.max_request_bytes, rule.max_response_bytes), (None, 1 << 20, 1 << 20));
    assert!(rule.service.takes_types && rule.service.methods.is_empty() && rule.service.classes.is_empty());
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (route, expected) in [
        (
            "{ match: {}, cluster: web, bridge: { service: a.B, types_from_client: true } }",
            "8:29 the cluster `web` speaks http1, which JSON is not bridged to | a cluster with `protocol: bolt` or \
             `protocol: dubbo`",
        ),
        (
            "{ match: {}, cluster: any, bridge: { service: a.B, types_from_client: true } }",
            "8:29 the cluster `any` does not say what it speaks | a cluster with `protocol: bolt` or `protocol: dubbo`",
        ),
        (
            "{ match: {}, cluster: sofa, mirror: { cluster: users }, bridge: { service: a.B, types_from_client: true } }",
            "8:54 the cluster `users` speaks dubbo, the listener bolt | a cluster with `protocol: bolt`",
        ),
        (
            "{ match: {}, cluster: sofa, bridge: { service: a.B } }",
            "8:43 a bridge without a method | `methods`: what may be called, with the types of its parameters; or \
             `types_from_client`: true",
        ),
        (
            "{ match: {}, cluster: sofa, bridge: { methods: [{ name: m }] } }",
            "8:43 a bridge without `service` | `service`: the interface that is called, such as com.example.Greeter",
        ),
        (
            "{ match: {}, cluster: sofa, bridge: { service: a.B, methods: [{ name: m, types: [String] }] } }",
            "8:88 `String` is no type to bridge to | a Java type such as int, java.lang.String, \
             java.util.List<java.lang.Long> or com.example.User[]",
        ),
        (
            "{ match: {}, cluster: sofa, bridge: { service: a.B, methods: [{ name: m, types: int }] } }",
            "8:87 `int` is not a list | a list of Java types",
        ),
        (
            "{ match: {}, cluster: sofa, bridge: { service: a.B, methods: [{ name: m }, { name: m, types: [] }] } }",
            "8:82 a second method `m` with 0 parameters | methods that differ in their names or in how many parameters \
             they have",
        ),
        (
            "{ match: {}, cluster: sofa, bridge: { service: a.B, method: n, methods: [{ name: m }] } }",
            "8:67 `n` is not among `methods` | the name of one of `methods`",
        ),
        (
            "{ match: {}, cluster: sofa, bridge: { service: a.B, methods: [{ name: m }], classes: [{ name: int }] } }",
            "8:101 `int` is no class of your own | such as com.example.User",
        ),
    ] {
        assert_eq!(problems(&file(route)), [expected], "{route}");
    }
}

#[test]
fn what_a_bridge_cannot_stand_beside_is_told() {
    for (route, expected) in [
        (
            "{ match: {}, cluster: sofa, rewrite: { prefix: / }, bridge: { service: a.B, types_from_client: true } }",
            "8:35 a rewrite of what becomes a call | none: a call has no path and no host of its own",
        ),
        (
            "{ match: {}, cluster_header: x, bridge: { service: a.B, types_from_client: true } }",
            "8:39 a bridge of tunnels or to whatever cluster | `cluster` or `weighted_clusters`",
        ),
        (
            "{ match: {}, direct_response: { status: 200 }, bridge: { service: a.B, types_from_client: true } }",
            "8:54 `bridge` has no meaning here | it belongs to routes with a cluster",
        ),
        (
            "{ match: {}, cluster: sofa, bridge: { service: a.B, types_from_clients: true } }",
            "8:59 unknown key `types_from_clients` in a bridge | did you mean `types_from_client`?",
        ),
        (
            "{ match: {}, cluster: sofa, bridge: { service: a.B, types_from_client: true, max_request_bytes: 0 } }",
            "8:103 `0` is out of range | 1 to 16MiB",
        ),
    ] {
        assert_eq!(problems(&file(route)), [expected], "{route}");
    }
    let calls = file("{ match: {}, cluster: sofa, bridge: { service: a.B, types_from_client: true } }");
    let told = problems(&calls.replace("protocol: http1\n", "protocol: bolt\n"));
    assert!(
        told.len() == 1 && told[0].contains("`bridge` has no meaning here | it belongs to HTTP"),
        "{told:?}"
    );
}
