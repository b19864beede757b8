//! Hash policies, subsets and clusters that requests name: what is understood, and every mistake with its place.

use super::tests::{SMALL, load, problems};
use sidering_dataplane::config::{
    ClusterHeader, FieldSource, Forward, HashCookie, HashPolicy, HashSource, ListenerKind, RouteAction,
};

/// The small file with another action, in flow style, on line 9.
fn with(action: &str) -> String {
    SMALL.replace("cluster: api\nclusters", &format!("{action}\nclusters"))
}

fn forward(text: &str) -> Forward {
    let loaded = load(&with(text)).unwrap_or_else(|report| panic!("{report}"));
    let ListenerKind::Http(http) = &loaded.snapshot.listeners[0].kind else { panic!("not http") };
    let RouteAction::Forward(forward) = &http.routes.virtual_hosts()[0].routes[0].action else {
        panic!("it does not forward");
    };
    forward.clone()
}

#[test]
fn policies_are_taken_in_their_order() {
    let field = |name: &str| HashSource::Header(FieldSource::Field(name.into()));
    let cookie = |ttl_seconds, path: &str| {
        HashSource::Cookie(HashCookie { name: "c".into(), ttl_seconds, path: path.into() })
    };
    for (text, source, terminal) in [
        ("{ header: X-User }", field("x-user"), false),
        ("{ header: ':PATH', terminal: true }", HashSource::Header(FieldSource::Path), true),
        ("{ header: host }", HashSource::Header(FieldSource::Authority), false),
        ("{ cookie: { name: c } }", cookie(None, ""), false),
        ("{ cookie: { name: c, ttl: 0s } }", cookie(Some(0), ""), false),
        ("{ cookie: { name: c, ttl: 90m, path: /a } }", cookie(Some(5400), "/a"), false),
        ("{ query: Q }", HashSource::Query("Q".into()), false),
        ("{ source: true, terminal: false }", HashSource::Source, false),
    ] {
        let found = forward(&format!("cluster: api\n      hash: [{{ header: first }}, {text}]")).hash;
        let first = HashPolicy { source: field("first"), terminal: false };
        assert_eq!(found, [first, HashPolicy { source, terminal }], "{text}");
    }
}

#[test]
fn subsets_are_in_the_order_of_their_names() {
    let subset = forward("cluster: api\n      subset: { version: v2, stage: '1' }").subset;
    assert_eq!(subset, [("stage".to_owned(), "1".to_owned()), ("version".to_owned(), "v2".to_owned())]);
}

#[test]
fn a_request_may_name_its_cluster() {
    let found = forward("cluster_header: X-Cluster");
    let source = FieldSource::Field("x-cluster".into());
    assert_eq!(found.cluster_header, Some(Box::new(ClusterHeader { source, not_found_status: 503 })));
    let found = forward("cluster_header: ':authority'\n      cluster_not_found_response_code: 404");
    let source = FieldSource::Authority;
    assert_eq!(found.cluster_header, Some(Box::new(ClusterHeader { source, not_found_status: 404 })));
    // Whichever it names speaks what the listener does.
    let loaded = load(&with("cluster_header: x")).unwrap();
    assert_eq!(loaded.snapshot.clusters[0].protocol, "http1");
}

#[test]
fn every_mistake_has_its_place() {
    const SOURCES: &str = "one of `header`, `cookie`, `query`, `source`";
    for (text, expected) in [
        ("hash: [{ terminal: true }]", format!("10:14 a hash policy that hashes nothing | {SOURCES}")),
        (
            "hash: [{ header: a, query: b }]",
            format!("10:27 a hash policy with two sources | {SOURCES}"),
        ),
        (
            "hash: [{ source: false }]",
            "10:24 a hash policy that hashes nothing | `source: true`, or no such policy".into(),
        ),
        (
            "hash: [{ header: 'a b' }]",
            "10:24 `a b` is no name of a header | the name of a header, or :method, :path, :authority".into(),
        ),
        ("hash: [{ cookie: {} }]", "10:24 a cookie without `name` | `name`: the cookie's name".into()),
        (
            "hash: [{ cookie: { name: 'a=b' } }]",
            "10:32 `a=b` is no name of a cookie | 1 to 256 letters, digits, - . _ and the like".into(),
        ),
        (
            "hash: [{ cookie: { name: a, ttl: 1500ms } }]",
            "10:35 a cookie's lifetime with a part of a second | whole seconds".into(),
        ),
        (
            "hash: [{ cookie: { name: a, path: / } }]",
            "10:35 a path of a cookie that is never set | `ttl`, too: without it none is made up".into(),
        ),
        (
            "hash: [{ cookie: { name: a, ttl: 1s, path: '/a; b' } }]",
            "10:50 `/a; b` is no path of a cookie | a path that begins with /, without blanks and semicolons, of at most 256 bytes".into(),
        ),
        ("hash: []", "10:13 an empty list | at least one of { header: x-user }, { cookie: {} }, { query: user } or { source: true }".into()),
        ("subset: {}", "10:15 a subset by 0 metadata | 1 to 16".into()),
        ("subset: [a]", "10:15 a list where metadata belong | a mapping such as { version: v2 }".into()),
        (
            "cluster_not_found_response_code: 404",
            "10:7 `cluster_not_found_response_code` has no meaning here | it belongs to routes with `cluster_header`".into(),
        ),
        (
            "cluster_header: x",
            "10:7 a route with two actions | one of `cluster`, `weighted_clusters`, `cluster_header`, `redirect`, `direct_response`".into(),
        ),
    ] {
        assert_eq!(problems(&with(&format!("cluster: api\n      {text}"))), [expected], "{text}");
    }
    assert_eq!(
        problems(&with("cluster_header: x\n      cluster_not_found_response_code: 502")),
        ["10:40 `502` is not among the choices | 404, 500, 503; did you mean `500`?"]
    );
    assert_eq!(
        problems(&with("redirect: { path: /a }\n      hash: [{ query: a }]")),
        ["10:7 `hash` has no meaning here | it belongs to routes with a cluster"]
    );
}

#[test]
fn as_many_policies_and_metadata_as_there_may_be() {
    for (count, is_right) in [(15, true), (16, true), (17, false)] {
        let policies = vec!["{ query: a }"; count].join(", ");
        let metadata = (0..count).map(|at| format!("m{at}: a")).collect::<Vec<_>>().join(", ");
        for text in [format!("hash: [{policies}]"), format!("subset: {{ {metadata} }}")] {
            let found = problems(&with(&format!("cluster: api\n      {text}")));
            assert_eq!(found.is_empty(), is_right, "{count}: {found:?}");
        }
    }
}
