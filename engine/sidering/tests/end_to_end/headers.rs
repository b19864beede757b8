//! Header rules, as upstreams and clients see them.

use crate::support::wire::Head;
use crate::support::{Config, Origin, Proxy};
use std::sync::{Arc, Mutex};

/// An upstream that keeps the heads of its requests, and answers with a few fields.
fn origin() -> (Origin, Arc<Mutex<Vec<Head>>>) {
    let heads = Arc::new(Mutex::new(vec![]));
    let kept = Arc::clone(&heads);
    let origin = Origin::start(move |wire, _| {
        loop {
            let head = wire.head()?;
            wire.body(&head, |_| {})?;
            kept.lock().unwrap().push(head);
            wire.send(b"HTTP/1.1 200 OK\r\nServer: up\r\nX-Secret: 1\r\nContent-Length: 3\r\n\r\nok\n")?;
        }
    });
    (origin, heads)
}

#[test]
fn rules_of_route_virtual_host_and_listener_in_this_order() {
    let (origin, heads) = origin();
    let listener = "request_headers: { set: { x-level: listener }, add: { x-all: listener }, remove: [x-gone] }, \
                    response_headers: { set: { x-level: listener }, add: { x-all: listener } }";
    let host = "{ domains: ['*'], \
                request_headers: { set: { x-level: host, x-host: '1' }, add: { x-all: host } }, \
                response_headers: { remove: [x-secret], add: { x-all: host } }, routes: [ \
                { match: { prefix: /r }, cluster: api, \
                  request_headers: { set: { x-level: route, x-route: '%REQ(x-level)%' }, add: { x-all: route } }, \
                  response_headers: { set: { server: '%RESP(server)%-%RESPONSE_CODE%' }, add: { x-all: route } } }, \
                { match: {}, cluster: api }] }";
    let config = Config::new().http_hosts("web", listener, host).cluster("api", &origin, "");
    let proxy = Proxy::start(&config);
    let mut wire = proxy.connect("web");
    let mut ask = |target: &str| {
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: h\r\nX-Level: client\r\nx-gone: 1\r\nX-All: client\r\n\r\n"
        );
        wire.send(head.as_bytes()).unwrap();
        let response = wire.response().unwrap();
        assert_eq!((response.status(), response.text()), (200, "ok\n".to_owned()));
        (heads.lock().unwrap().pop().unwrap(), response.head)
    };
    let (asked, answered) = ask("/r");
    assert_eq!(asked.values("x-level"), ["listener"]);
    assert_eq!(asked.values("x-route"), ["client"]);
    assert_eq!(asked.values("x-host"), ["1"]);
    assert_eq!(asked.values("x-all"), ["client", "route", "host", "listener"]);
    assert_eq!(asked.value("x-gone"), None);
    assert_eq!(answered.values("server"), ["up-200"]);
    assert_eq!(answered.values("x-all"), ["route", "host", "listener"]);
    assert_eq!(answered.values("x-level"), ["listener"]);
    assert_eq!(answered.value("x-secret"), None);
    let (asked, answered) = ask("/else");
    assert_eq!(asked.value("x-route"), None);
    assert_eq!(asked.values("x-all"), ["client", "host", "listener"]);
    assert_eq!(answered.values("server"), ["up"]);
}

#[test]
fn values_tell_of_the_exchange() {
    let (origin, heads) = origin();
    let keys = "request_headers: { set: { \
                x-peer: '%DOWNSTREAM_REMOTE_ADDRESS%', x-ip: '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%', \
                x-here: '%DOWNSTREAM_LOCAL_ADDRESS%', x-over: '%PROTOCOL% to %UPSTREAM_CLUSTER%', \
                x-was: '%REQ(:METHOD)% %REQ(:AUTHORITY)%%REQ(:PATH)%', x-id: '%REQ(x-request-id):8%', \
                x-from: '%REQ(x-forwarded-for)%', x-name: '%HOSTNAME%', x-percent: '100%%', x-none: '%REQ(none)%' } }, \
                use_remote_address: true, \
                response_headers: { set: { \
                x-host: '%UPSTREAM_HOST%', x-code: '%RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %RESPONSE_FLAGS%', \
                x-request-id: '%REQ(x-request-id)%', x-path: '%REQ(:path)%' } }";
    let routes = "{ match: { prefix: /v1 }, cluster: api, rewrite: { prefix: /v2, host: inside } }, \
                  { match: { prefix: /dead }, cluster: dead }, \
                  { match: { prefix: /old }, redirect: { path: /new } }";
    let config = Config::new().http("web", keys, routes).cluster("api", &origin, "");
    let config = config.cluster("dead", "127.0.0.1:1", "");
    let proxy = Proxy::start(&config);
    let mut wire = proxy.connect("web");
    let peer = wire.stream().local_addr().unwrap();
    wire.send(b"GET /v1/a?b HTTP/1.1\r\nHost: outside\r\nx-none: 1\r\n\r\n").unwrap();
    let answered = wire.response().unwrap().head;
    let asked = heads.lock().unwrap().pop().unwrap();
    let id = asked.value("x-request-id").unwrap();
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    for (name, expected) in [
        ("x-peer", peer.to_string().as_str()),
        ("x-ip", "127.0.0.1"),
        ("x-here", &proxy.address("web").to_string()),
        ("x-over", "HTTP/1.1 to api"),
        // Values are made before the target is rewritten, as in Envoy.
        ("x-was", "GET outside/v1/a?b"),
        ("x-id", &id[..8]),
        ("x-from", "127.0.0.1"),
        ("x-name", hostname.trim()),
        ("x-percent", "100%"),
        // What comes out empty changes nothing.
        ("x-none", "1"),
        ("host", "inside"),
    ] {
        assert_eq!(asked.values(name), [expected], "{name}");
    }
    assert_eq!(asked.target(), "/v2/a?b");
    for (name, expected) in [
        ("x-host", origin.to_string().as_str()),
        ("x-code", "200 via_upstream -"),
        ("x-request-id", id),
        ("x-path", "/v2/a?b"),
    ] {
        assert_eq!(answered.values(name), [expected], "{name}");
    }
    wire.get("/dead").unwrap();
    let answered = wire.response().unwrap().head;
    assert_eq!(answered.values("x-code"), ["503 upstream_connect_failure UF"]);
    assert_eq!(answered.values("x-host"), ["127.0.0.1:1"]);
    wire.get("/old").unwrap();
    let answered = wire.response().unwrap().head;
    assert_eq!(answered.values("x-code"), ["301 direct_response -"]);
    assert_eq!(answered.values("location"), ["http://test/new"]);
    assert_eq!(answered.values("x-path"), ["/old"]);
}
