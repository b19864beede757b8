//! Actions of routes: what is understood, and every mistake with its place.

use super::tests::{SMALL, load, problems};
use sidering_dataplane::config::{
    ClusterIndex, Forward, ListenerKind, Redirect, RedirectPath, Rewrite, RouteAction, WeightedCluster,
};
use sidering_dataplane::route::Substitution;

/// The small file with another action, in flow style, on line 9.
fn with(action: &str) -> String {
    SMALL.replace("cluster: api\nclusters", &format!("{action}\nclusters"))
}

fn action(text: &str) -> RouteAction {
    let loaded = load(&with(text)).unwrap_or_else(|report| panic!("{report}"));
    match &loaded.snapshot.listeners[0].kind {
        ListenerKind::Http(http) => http.routes.virtual_hosts()[0].routes[0].action.clone(),
        ListenerKind::Tcp { .. } => panic!("not http"),
    }
}

#[test]
fn actions_are_taken_as_they_are() {
    let share = |weight| WeightedCluster { cluster: ClusterIndex(0), weight };
    assert_eq!(
        action("weighted_clusters: [{ name: api, weight: 90 }, { name: api, weight: 0 }]"),
        RouteAction::Forward(Forward {
            weighted_clusters: vec![share(90), share(0)],
            timeout_ms: 15_000,
            ..Forward::default()
        })
    );
    let rewrite =
        Rewrite { prefix: Some("/v2/".into()), host: Some("[::1]:80".into()), ..Rewrite::default() };
    assert_eq!(
        action("cluster: api\n      rewrite: { prefix: /v2/, host: '[::1]:80' }"),
        RouteAction::Forward(Forward {
            rewrite: Some(Box::new(rewrite)),
            timeout_ms: 15_000,
            ..Forward::default()
        })
    );
    for (text, redirect) in [
        ("{ scheme: https }", Redirect { scheme: Some("https"), status: 301, ..Redirect::default() }),
        (
            "{ host: a.example, port: 8443, prefix: /x, strip_query: true, status: 308 }",
            Redirect {
                host: Some("a.example".into()),
                port: Some(8443),
                path: RedirectPath::Prefix("/x".into()),
                strip_query: true,
                status: 308,
                ..Redirect::default()
            },
        ),
        (
            "{ path: /new?a=b }",
            Redirect { path: RedirectPath::Whole("/new?a=b".into()), status: 301, ..Redirect::default() },
        ),
    ] {
        assert_eq!(action(&format!("redirect: {text}")), RouteAction::Redirect(Box::new(redirect)), "{text}");
    }
}

#[test]
fn every_mistake_has_its_place() {
    for (text, expected) in [
        (
            "redirect: {}",
            "9:17 a redirect to itself | one of `scheme`, `host`, `port`, `path`, `prefix`, `regex`, `strip_query`",
        ),
        (
            "redirect: { path: /a, prefix: /b }",
            "9:29 a redirect with two paths | one of `path`, `prefix` and `regex`",
        ),
        ("redirect: { host: 'a:1', port: 2 }", "9:32 a second port | it once; `host` is `a:1`"),
        ("redirect: { path: a }", "9:25 `a` is not a path | a path that begins with /"),
        ("redirect: { prefix: /a?b }", "9:27 `/a?b` is not a path | a path alone: the request's query stays"),
        (
            "redirect: { path: \"/a\\r\\nb\" }",
            "9:25 `/a\\r\\nb` is not a path | a path as a request writes it, percent-encoded",
        ),
        (
            "redirect: { host: 'a b' }",
            "9:25 `a b` is not a host | a host such as api.internal, 10.0.0.1:8080 or [::1]",
        ),
        ("redirect: { port: 0 }", "9:25 0 is out of range | a whole number from 1 to 65535"),
        (
            "redirect: { path: /a, status: 304 }",
            "9:37 `304` is not among the choices | 301, 302, 303, 307, 308; did you mean `301`?",
        ),
        (
            "redirect: { regex: a }",
            "9:26 `a` where a substitution belongs | a mapping of `key: value`: { pattern: .., substitution: .. }",
        ),
        (
            "redirect: { path: /a }\n      rewrite: { prefix: / }",
            "10:7 a rewrite of what is not forwarded | it on a route to a cluster",
        ),
        (
            "cluster: api\n      redirect: { path: /a }",
            "10:7 a route with two actions | one of `cluster`, `weighted_clusters`, `cluster_header`, `redirect`, `direct_response`",
        ),
        (
            "weighted_clusters: [{ name: api, weight: 0 }]",
            "9:26 weights that add up to nothing | a weight above 0 for at least one cluster",
        ),
        (
            "weighted_clusters: [{ name: api, weight: 1000001 }]",
            "9:48 1000001 is out of range | a whole number from 0 to 1000000",
        ),
        (
            "weighted_clusters: [{ name: apo, weight: 1 }]",
            "9:35 there is no cluster `apo` | the name of a cluster; did you mean `api`?",
        ),
        (
            "weighted_clusters: [{ name: api }]",
            "9:27 a weighted cluster without `weight` | `weight`: its share, relative to the others",
        ),
    ] {
        assert_eq!(problems(&with(text)), [expected], "{text}");
    }
}

#[test]
fn substitutions_are_compiled() {
    let one = || Box::new(Substitution::new("^/(.*)$", r"/\1/b").unwrap());
    let regex = "regex: { pattern: '^/(.*)$', substitution: '/\\1/b' }";
    let rewrite = Rewrite { regex: Some(one()), host_header: Some("x-host".into()), ..Rewrite::default() };
    assert_eq!(
        action(&format!("cluster: api\n      rewrite: {{ {regex}, host_header: X-Host }}")),
        RouteAction::Forward(Forward {
            rewrite: Some(Box::new(rewrite)),
            timeout_ms: 15_000,
            ..Forward::default()
        })
    );
    let redirect = Redirect { path: RedirectPath::Regex(one()), status: 301, ..Redirect::default() };
    assert_eq!(action(&format!("redirect: {{ {regex} }}")), RouteAction::Redirect(Box::new(redirect)));
}

#[test]
fn every_mistake_of_a_rewrite_has_its_place() {
    const EXPECTED: &str = "a regular expression without look-around or back-references, at most 4KiB, and \\0 to \\9 \
                            or \\\\ in what stands in its place";
    let regex =
        |pattern: &str, with: &str| format!("regex: {{ pattern: '{pattern}', substitution: '{with}' }}");
    for (text, expected) in [
        (
            regex("(", "a"),
            format!("10:36 `(`: not a regular expression: unclosed group | {EXPECTED}"),
        ),
        (
            regex("(a)", "\\2"),
            format!("10:57 `\\\\2`: a replacement with \\2, where the expression has 1 groups | {EXPECTED}"),
        ),
        (
            regex("a", "b?c"),
            "10:55 `b?c` is no part of a path | a part of a path as a request writes it, percent-encoded, without its query; \\1 is the first group".into(),
        ),
        (
            "regex: { pattern: a }".into(),
            "10:25 a substitution without `substitution` | `substitution`: what stands in its place; \\1 is the first group".into(),
        ),
        (
            format!("prefix: /, {}", regex("a", "b")),
            "10:29 a second way to rewrite the same | one of `prefix` and `regex`".into(),
        ),
        (
            "host: a, host_header: b".into(),
            "10:27 a second way to rewrite the same | one of `host` and `host_header`".into(),
        ),
        (
            "host_header: 'a b'".into(),
            "10:31 `a b` is no name of a header | letters, digits, - . _ and the like".into(),
        ),
    ] {
        let found = problems(&with(&format!("cluster: api\n      rewrite: {{ {text} }}")));
        assert_eq!(found, [expected], "{text}");
    }
}

#[test]
fn as_many_weighted_clusters_as_there_may_be() {
    for (count, is_right) in [(63, true), (64, true), (65, false)] {
        let list = vec!["{ name: api, weight: 1 }"; count].join(", ");
        let found = problems(&with(&format!("weighted_clusters: [{list}]")));
        assert_eq!(found.is_empty(), is_right, "{count}: {found:?}");
    }
}

#[test]
fn a_connect_route_has_no_path_to_change() {
    let connect = |action: &str| with(action).replace("{ prefix: / }", "{ connect: true }");
    assert_eq!(
        problems(&connect("redirect: { path: /a }")),
        ["9:7 a redirect of CONNECT requests | a cluster or a direct response"]
    );
    assert_eq!(
        problems(&connect("cluster: api\n      rewrite: { prefix: /a }")),
        ["10:18 a prefix for CONNECT requests | `host` alone: CONNECT requests have no path"]
    );
}
