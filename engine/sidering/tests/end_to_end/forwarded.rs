//! What a request looks like when it reaches the upstream, and an answer when it reaches the client.

use crate::support::web::reply;
use crate::support::wire::Head;
use crate::support::{Config, Origin, Proxy, Wire};
use std::sync::{Arc, Mutex};

/// An upstream that remembers the heads it got.
fn remembering() -> (Origin, Arc<Mutex<Vec<Head>>>) {
    let heads = Arc::new(Mutex::new(vec![]));
    let ours = Arc::clone(&heads);
    let origin = Origin::start(move |wire, _| {
        loop {
            let head = wire.head()?;
            wire.body(&head, |_| {})?;
            ours.lock().expect("no thread panics with it").push(head);
            reply(wire, 200, "ok")?;
        }
    });
    (origin, heads)
}

/// Sends a request on a connection of its own; tells the head that reached the upstream.
#[track_caller]
fn head_upstream(proxy: &Proxy, heads: &Mutex<Vec<Head>>, request: &str) -> Head {
    let mut wire = proxy.connect("web");
    wire.send(request.as_bytes()).unwrap();
    let answer = wire.response().unwrap();
    assert_eq!(answer.status(), 200, "{request}: {answer:?}");
    heads.lock().unwrap().pop().expect("an answered request reached the upstream")
}

#[test]
fn fields_pass_in_their_order_and_spelling() {
    let (origin, heads) = remembering();
    let proxy = Proxy::start(&Config::http_to(&origin));
    let head = head_upstream(
        &proxy,
        &heads,
        "GET /a?b=c HTTP/1.1\r\nHost: test\r\nX-One: 1\r\nx-TWO:  2 \r\nX-One: 3\r\na_b: \r\n\r\n",
    );
    assert_eq!(head.start, "GET /a?b=c HTTP/1.1");
    let ours: Vec<_> = head.fields.iter().filter(|(name, _)| name != "x-request-id").collect();
    let text: Vec<_> = ours.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(text, ["Host=test", "X-One=1", "x-TWO=2", "X-One=3", "a_b="]);
}

#[test]
fn hop_by_hop_fields_and_nominated_ones_end_here() {
    let (origin, heads) = remembering();
    let proxy = Proxy::start(&Config::http_to(&origin));
    let head = head_upstream(
        &proxy,
        &heads,
        "GET / HTTP/1.1\r\nHost: test\r\nConnection: keep-alive, X-Secret\r\nX-Secret: s\r\nKeep-Alive: 5\r\n\
         Proxy-Connection: close\r\nTE: trailers, deflate\r\nX-Kept: k\r\n\r\n",
    );
    for gone in ["x-secret", "keep-alive", "proxy-connection"] {
        assert_eq!(head.value(gone), None, "{gone}: {head:?}");
    }
    assert_eq!(head.value("x-kept"), Some("k"));
    assert!(
        head.value("connection").is_none_or(|value| !value.to_lowercase().contains("secret")),
        "{head:?}"
    );
}

#[test]
fn hop_by_hop_fields_of_answers_end_here() {
    let origin = Origin::start(|wire, _| {
        wire.head()?;
        wire.send(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Secret, close\r\nX-Secret: s\r\n\
              Keep-Alive: timeout=5\r\nUpgrade: h2c\r\nX-Kept: k\r\n\r\nok",
        )
    });
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    wire.get("/").unwrap();
    let answer = wire.response().unwrap();
    for gone in ["x-secret", "keep-alive", "upgrade", "connection"] {
        assert_eq!(answer.head.value(gone), None, "{gone}: {answer:?}");
    }
    assert_eq!(answer.head.value("x-kept"), Some("k"));
}

#[test]
fn an_offer_of_h2c_is_not_passed_on() {
    let (origin, heads) = remembering();
    let proxy = Proxy::start(&Config::http_to(&origin));
    let head = head_upstream(
        &proxy,
        &heads,
        "GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
    );
    for gone in ["upgrade", "http2-settings", "connection"] {
        assert_eq!(head.value(gone), None, "{gone}: {head:?}");
    }
}

#[test]
fn the_absolute_target_decides_about_the_host() {
    let (origin, heads) = remembering();
    let proxy = Proxy::start(&Config::http_to(&origin));
    let head =
        head_upstream(&proxy, &heads, "GET http://real.example/p?q HTTP/1.1\r\nHost: other.example\r\n\r\n");
    assert_eq!(head.start, "GET /p?q HTTP/1.1");
    assert_eq!(head.value("host"), Some("real.example"));
}

#[test]
fn methods_nobody_knows_pass_and_later_minor_versions_too() {
    let (origin, heads) = remembering();
    let proxy = Proxy::start(&Config::http_to(&origin));
    for (line, upstream) in [
        ("BREW /pot HTTP/1.1", "BREW /pot HTTP/1.1"),
        ("get / HTTP/1.1", "get / HTTP/1.1"),
        ("GET /v HTTP/1.2", "GET /v HTTP/1.1"),
        ("OPTIONS * HTTP/1.1", "OPTIONS * HTTP/1.1"),
    ] {
        let head = head_upstream(&proxy, &heads, &format!("{line}\r\nHost: test\r\n\r\n"));
        assert_eq!(head.start, upstream);
    }
    let head = head_upstream(&proxy, &heads, "\r\nGET /behind-an-empty-line HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(head.target(), "/behind-an-empty-line");
}

#[test]
fn what_was_matched_is_what_is_forwarded() {
    let (origin, heads) = remembering();
    let routes = "{ match: { prefix: /admin }, direct_response: { status: 403, body: no } }, \
                  { match: {}, cluster: api }";
    let config = Config::new().http("web", "merge_slashes: true", routes).cluster("api", &origin, "");
    let proxy = Proxy::start(&config);
    for (sent, upstream) in [
        ("/a/../b", "/b"),
        ("/a/./b", "/a/b"),
        ("/%61/b?x=/../", "/a/b?x=/../"),
        ("//a///b", "/a/b"),
        ("/a\\..\\b", "/b"),
        ("/..", "/"),
        ("/x/%2f..%2fadmin", "/x/%2f..%2fadmin"),
    ] {
        let head = head_upstream(&proxy, &heads, &format!("GET {sent} HTTP/1.1\r\nHost: test\r\n\r\n"));
        assert_eq!(head.target(), upstream, "{sent}");
    }
    for sent in ["/admin", "/x/../admin", "/%61dmin", "//admin", "/x\\..\\admin", "/./admin/x", "/%2e/admin"]
    {
        let mut wire = proxy.connect("web");
        wire.get(sent).unwrap();
        assert_eq!(wire.response().unwrap().status(), 403, "{sent}");
    }
    assert!(heads.lock().unwrap().is_empty());
}

#[test]
fn the_listener_adds_what_its_options_say() {
    let (origin, heads) = remembering();
    let options = "use_remote_address: true, via: sidering, generate_request_id: true";
    let routes = "{ match: {}, cluster: api }";
    let config = Config::new().http("web", options, routes).cluster("api", &origin, "");
    let proxy = Proxy::start(&config);
    let head = head_upstream(
        &proxy,
        &heads,
        "GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: 10.1.2.3\r\nX-Forwarded-Proto: https\r\nVia: 1.0 a\r\n\r\n",
    );
    assert_eq!(head.value("x-forwarded-for"), Some("10.1.2.3, 127.0.0.1"));
    assert_eq!(head.value("x-forwarded-proto"), Some("http"));
    assert_eq!(head.values("via"), ["1.0 a", "1.1 sidering"]);
    let id = head.value("x-request-id").expect("an id was made").to_owned();
    assert!(id.len() == 36 && id.as_bytes()[14] == b'4', "{id} is a UUID of version 4");
    let kept = head_upstream(&proxy, &heads, "GET / HTTP/1.1\r\nHost: test\r\nX-Request-Id: mine\r\n\r\n");
    assert_eq!(kept.value("x-request-id"), Some("mine"));
    let another = head_upstream(&proxy, &heads, "GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_ne!(another.value("x-request-id"), Some(id.as_str()));
}

#[test]
fn names_with_underscores_are_allowed_refused_or_dropped() {
    let (origin, heads) = remembering();
    let routes = "{ match: {}, cluster: api }";
    let config = Config::new()
        .http("web", "underscores: drop", routes)
        .http("strict", "underscores: reject", routes)
        .cluster("api", &origin, "");
    let proxy = Proxy::start(&config);
    let request = "GET / HTTP/1.1\r\nHost: test\r\nx_a: 1\r\nx-b: 2\r\n\r\n";
    let head = head_upstream(&proxy, &heads, request);
    assert_eq!((head.value("x_a"), head.value("x-b")), (None, Some("2")));
    let mut strict: Wire = proxy.connect("strict");
    strict.send(request.as_bytes()).unwrap();
    assert_eq!(strict.response().unwrap().status(), 400);
    assert!(heads.lock().unwrap().is_empty(), "what is refused is not forwarded");
}

#[test]
fn trailers_that_would_change_the_message_are_dropped() {
    let origin = Origin::start(|wire, _| {
        let head = wire.head()?;
        let trailers = wire.body(&head, |_| {})?;
        let names: Vec<_> = trailers.iter().map(|(name, _)| name.to_lowercase()).collect();
        reply(wire, 200, &format!("{} host={:?}", names.join(","), head.value("host")))
    });
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    wire.send(
        b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nContent-Length: 7\r\n\
          Host: evil\r\nTransfer-Encoding: x\r\nAuthorization: y\r\nx-good: 1\r\n\r\n",
    )
    .unwrap();
    assert_eq!(wire.response().unwrap().text(), "x-good host=Some(\"test\")");
}

#[test]
fn the_host_picks_the_routes_the_most_special_one_first() {
    let named = |name: &'static str| {
        Origin::start(move |wire, _| {
            loop {
                wire.head()?;
                reply(wire, 200, name)?;
            }
        })
    };
    let (exact, suffix, any) = (named("exact"), named("suffix"), named("any"));
    let host = |domain: &str, cluster: &str| {
        format!("{{ domains: [\"{domain}\"], routes: [{{ match: {{}}, cluster: {cluster} }}] }}")
    };
    let hosts =
        [host("*", "any"), host("*.example.com", "suffix"), host("api.example.com", "exact")].join(", ");
    let config = Config::new()
        .http_hosts("web", "", &hosts)
        .cluster("exact", &exact, "")
        .cluster("suffix", &suffix, "")
        .cluster("any", &any, "");
    let proxy = Proxy::start(&config);
    let mut wire = proxy.connect("web");
    for (host, answer) in [
        ("api.example.com", "exact"),
        ("API.example.COM", "exact"),
        ("api.example.com:8080", "exact"),
        ("x.y.example.com", "suffix"),
        ("example.com", "any"),
        ("elsewhere", "any"),
    ] {
        wire.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(wire.response().unwrap().text(), answer, "{host}");
    }
}
