//! Clusters that requests name, targets that regular expressions change, and cookies that hash policies make up.

use crate::support::access_log::{flags, record_of};
use crate::support::web::named;
use crate::support::{Config, Origin, Proxy};

#[test]
fn a_request_names_its_cluster() {
    let (one, two) = (named("one"), named("two"));
    let routes = "{ match: { prefix: /host }, cluster_header: ':authority', cluster_not_found_response_code: 404 }, \
                  { match: {}, cluster_header: x-cluster, request_headers: { set: { x-cluster: two } } }";
    let config = Config::new().http("web", "", routes).cluster("one", &one, "").cluster("two", &two, "");
    let proxy = Proxy::start(&config);
    let mut wire = proxy.connect("web");
    for (target, lines, status, expected) in [
        ("/a", "Host: h\r\nX-Cluster: one\r\n", 200, "one /a h"),
        ("/b", "Host: h\r\nx-cluster: two\r\n", 200, "two /b h"),
        // The first of several, as it came.
        ("/c", "Host: h\r\nX-Cluster: one\r\nX-Cluster: two\r\n", 200, "one /c h"),
        ("/host", "Host: two\r\n", 200, "two /host two"),
        ("/none", "Host: h\r\n", 503, "cluster not found\n"),
        ("/unknown", "Host: h\r\nX-Cluster: On\r\n", 503, "cluster not found\n"),
        ("/host/none", "Host: h\r\n", 404, "cluster not found\n"),
    ] {
        wire.send(format!("GET {target} HTTP/1.1\r\n{lines}\r\n").as_bytes()).unwrap();
        let response = wire.response().unwrap();
        assert_eq!((response.status(), response.text().as_str()), (status, expected), "{target}");
    }
    for path in ["/none", "/unknown", "/host/none"] {
        assert_eq!(flags(&record_of(&proxy, path)), "NC", "{path}");
    }
}

#[test]
fn regular_expressions_change_targets() {
    let origin = named("api");
    let routes = r"{ match: { prefix: /service/ }, cluster: api,
                     rewrite: { regex: { pattern: '^/service/([^/]+)(/.*)$', substitution: '\2/instance/\1' } } },
                   { match: { prefix: /bare }, cluster: api, rewrite: { regex: { pattern: '^/bare/?', substitution: '' } } },
                   { match: { prefix: /long }, cluster: api, rewrite: { regex: { pattern: l, substitution: '\0\0\0\0' } } },
                   { match: { prefix: /old }, redirect: { regex: { pattern: '^/old/(.*)$', substitution: '/new/\1' } } },
                   { match: {}, cluster: api, rewrite: { host_header: x-host } }";
    let limits = "limits: { uri_bytes: 100 }";
    let proxy = Proxy::start(&Config::new().http("web", limits, routes).cluster("api", &origin, ""));
    let mut wire = proxy.connect("web");
    let mut ask = |target: &str, lines: &str| {
        wire.send(format!("GET {target} HTTP/1.1\r\nHost: h\r\n{lines}\r\n").as_bytes()).unwrap();
        let response = wire.response().unwrap();
        let location = response.head.value("location").map(str::to_owned);
        (response.status(), location.unwrap_or_else(|| response.text()))
    };
    for (target, expected) in [
        ("/service/foo/v1/api?a=/service/x", "api /v1/api/instance/foo?a=/service/x h"),
        ("/service/foo", "api /service/foo h"),
        // A path always begins with a slash.
        ("/bare/a", "api /a h"),
        ("/bare?q", "api /?q h"),
    ] {
        assert_eq!(ask(target, ""), (200, expected.to_owned()), "{target}");
    }
    // Each l becomes four: 99, 100 and 101 bytes.
    for (length, rest, status) in [(22, "xxx", 200), (23, "", 200), (23, "x", 414)] {
        let target = format!("/long{}{rest}", "l".repeat(length));
        assert_eq!(ask(&target, "").0, status, "{target}");
    }
    assert_eq!(ask("/old/a/b?c", ""), (301, "http://h/new/a/b?c".to_owned()));
    for (lines, expected) in [
        ("X-Host: other.example:81\r\n", "api /x other.example:81"),
        ("", "api /x h"),
        ("X-Host: a b\r\n", "api /x h"),
        ("X-Host:\r\n", "api /x h"),
    ] {
        assert_eq!(ask("/x", lines), (200, expected.to_owned()), "{lines}");
    }
}

#[test]
fn a_client_without_its_cookie_gets_one() {
    let origin = named("api");
    let routes = "{ match: {}, cluster: api, hash: [{ cookie: { name: sid, ttl: 1h, path: / } }, { cookie: { name: other } }] }";
    let config = Config::new().http("web", "", routes).http(
        "plain",
        "",
        &routes.replace("cluster: api", "cluster: plain"),
    );
    let config = config.cluster("api", &origin, "lb: ring_hash").cluster("plain", &origin, "");
    let proxy = Proxy::start(&config);
    let mut wires = [proxy.connect("web"), proxy.connect("web")];
    let mut ask = |at: usize, cookie: &str| {
        wires[at].send(format!("GET / HTTP/1.1\r\nHost: h\r\n{cookie}\r\n").as_bytes()).unwrap();
        let response = wires[at].response().unwrap();
        assert_eq!(response.text(), "api / h");
        response.head.values("set-cookie").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let first = ask(0, "");
    let [cookie] = &first[..] else { panic!("not one cookie: {first:?}") };
    let value = cookie
        .strip_prefix("sid=\"")
        .and_then(|rest| rest.strip_suffix("\"; Max-Age=3600; Path=/; HttpOnly"));
    let value = value.unwrap_or_else(|| panic!("{cookie}"));
    assert!(value.len() == 16 && value.bytes().all(|byte| byte.is_ascii_hexdigit()), "{cookie}");
    // The same for all requests of a connection, another one for another connection.
    assert_eq!(ask(0, ""), first);
    assert_ne!(ask(1, ""), first);
    assert_eq!(ask(0, &format!("Cookie: a=b; sid=\"{value}\"\r\n")), Vec::<String>::new());
    // Only what goes by hashes needs a cookie.
    let mut plain = proxy.connect("plain");
    plain.get("/").unwrap();
    assert_eq!(plain.response().unwrap().head.value("set-cookie"), None);
}

#[test]
fn the_same_user_always_comes_to_the_same_endpoint() {
    let names: Vec<&'static str> = vec!["a", "b", "c", "d"];
    let origins: Vec<Origin> = names.iter().map(|name| named(name)).collect();
    let endpoints: Vec<String> = origins.iter().map(|origin| format!("\"{origin}\"")).collect();
    let routes = "{ match: {}, cluster: api, hash: [{ header: x-user, terminal: true }, { query: user }] }";
    let config = Config::new().http("web", "", routes).cluster_of("api", &endpoints, "lb: maglev");
    let proxy = Proxy::start(&config);
    let mut chosen = std::collections::HashMap::new();
    for _ in 0..3 {
        for user in 0..40 {
            let mut wire = proxy.connect("web");
            let by_header = format!("GET /?user=other HTTP/1.1\r\nHost: h\r\nX-User: {user}\r\n\r\n");
            let by_query = format!("GET /?user={user} HTTP/1.1\r\nHost: h\r\n\r\n");
            for request in [by_header, by_query] {
                wire.send(request.as_bytes()).unwrap();
                let name = wire.response().unwrap().text()[..1].to_owned();
                assert_eq!(*chosen.entry(user).or_insert_with(|| name.clone()), name, "{user}");
            }
        }
    }
    let spread: std::collections::HashSet<_> = chosen.values().collect();
    assert_eq!(spread.len(), 4, "{chosen:?}");
}
