//! What routes do with requests: shares of clusters, rewrites, redirects.

use crate::support::web::named;
use crate::support::{Config, Proxy};

#[test]
fn weighted_clusters_get_exactly_their_shares() {
    let (stable, gray) = (named("stable"), named("gray"));
    let weights = "[{ name: stable, weight: 9 }, { name: gray, weight: 1 }, { name: none, weight: 0 }]";
    let config = Config::new()
        .http("web", "", &format!("{{ match: {{}}, weighted_clusters: {weights} }}"))
        .cluster("stable", &stable, "")
        .cluster("gray", &gray, "")
        .cluster("none", "127.0.0.1:1", "");
    let proxy = Proxy::start(&config);
    // Shares are of a core's requests, whichever connections they come on.
    let mut wires = [proxy.connect("web"), proxy.connect("web")];
    for round in 0..5 {
        let mut gray = 0;
        for number in 0..10 {
            let wire = &mut wires[number % 2];
            wire.get("/").unwrap();
            let response = wire.response().unwrap();
            assert_eq!(response.status(), 200);
            gray += usize::from(response.text().starts_with("gray "));
        }
        assert_eq!(gray, 1, "round {round}");
    }
}

#[test]
fn the_upstream_sees_the_rewritten_target_and_host() {
    let origin = named("api");
    let routes = "{ match: { path: /exact }, cluster: api, rewrite: { prefix: /other } }, \
                  { match: { prefix: /v1/ }, cluster: api, rewrite: { prefix: /v2/, host: internal } }, \
                  { match: {}, cluster: api, rewrite: { host: 'only.host:81' } }";
    let proxy = Proxy::start(&Config::new().http("web", "", routes).cluster("api", &origin, ""));
    let mut wire = proxy.connect("web");
    for (target, expected) in [
        ("/exact?a=b", "api /other?a=b test"),
        ("/v1/a?b=/v1/", "api /v2/a?b=/v1/ internal"),
        // Matched, rewritten and forwarded is the normalised path.
        ("/x/../v1/%61", "api /v2/a internal"),
        ("/else", "api /else only.host:81"),
    ] {
        wire.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(wire.response().unwrap().text(), expected, "{target}");
    }
}

#[test]
fn redirects_name_where_to_go_and_keep_the_connection() {
    let routes = "{ match: { path: /old }, redirect: { scheme: https, path: /new, strip_query: true, status: 308 } }, \
                  { match: { prefix: /docs/ }, redirect: { prefix: /v2/, port: 8443 } }, \
                  { match: {}, redirect: { host: www.example, status: 302 } }";
    let proxy = Proxy::start(&Config::new().http("web", "", routes));
    let mut wire = proxy.connect("web");
    for (target, host, status, location) in [
        ("/old?a=b", "h:80", 308, "https://h/new"),
        ("/docs/a?b=c", "h:10000", 301, "http://h:8443/v2/a?b=c"),
        ("/a?b", "[::1]:81", 302, "http://www.example/a?b"),
        ("//evil.example/", "h", 302, "http://www.example//evil.example/"),
    ] {
        // A body that nobody asked for does not come out as the next request.
        let request = format!("POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 3\r\n\r\nabc");
        wire.send(request.as_bytes()).unwrap();
        let response = wire.response().unwrap();
        assert_eq!((response.status(), response.text()), (status, String::new()), "{target}");
        assert_eq!(response.head.value("location"), Some(location), "{target}");
        assert_eq!(response.head.value("content-length"), Some("0"), "{target}");
    }
}

#[test]
fn a_redirect_needs_a_host_and_follows_a_trusted_proxys_scheme() {
    let routes = "{ match: { path: /fixed }, redirect: { host: a.example } }, \
                  { match: {}, redirect: { path: /new } }";
    for (keys, scheme) in [("", "https"), ("use_remote_address: true", "http")] {
        let proxy = Proxy::start(&Config::new().http("web", keys, routes));
        let mut wire = proxy.connect("web");
        wire.send(b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-Proto: HTTPS\r\n\r\n").unwrap();
        let response = wire.response().unwrap();
        assert_eq!(response.head.value("location"), Some(format!("{scheme}://h/new").as_str()));
    }
    let proxy = Proxy::start(&Config::new().http("web", "", routes));
    for (target, status) in [("/fixed", 301), ("/", 400)] {
        let mut wire = proxy.connect("web");
        wire.send(format!("GET {target} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(wire.response().unwrap().status(), status, "{target}");
    }
}
