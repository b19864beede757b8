//! Upstreams that cannot be reached, and requests nobody routes: status, body and flags.

use crate::support::access_log::{flags_of, record_of};
use crate::support::{Config, Origin, Proxy, Wire, until, web};
use socket2::{Domain, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

fn bound() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
    let address = socket.local_addr().expect("it is bound").as_socket().expect("it is IP");
    (socket, address)
}

/// An address that refuses connections and will not be given to anybody else: bound, and never listened on.
pub(crate) fn refused_address() -> SocketAddr {
    static BOUND: OnceLock<(Socket, SocketAddr)> = OnceLock::new();
    BOUND.get_or_init(bound).1
}

/// A listening socket whose queue is full and stays so: connections to it are neither accepted nor refused.
pub(crate) fn full_backlog() -> (Socket, SocketAddr, Vec<Socket>) {
    let (socket, address) = bound();
    socket.listen(0).expect("it is bound");
    let mut callers = vec![];
    for _ in 0..16 {
        let caller = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        caller.set_nonblocking(true).expect("it can");
        let _ = caller.connect(&address.into());
        callers.push(caller);
    }
    (socket, address, callers)
}

#[track_caller]
fn status_of(wire: &mut Wire, path: &str) -> u16 {
    wire.get(path).unwrap();
    wire.response().unwrap().status()
}

#[test]
fn an_upstream_that_refuses_connections_is_a_503() {
    let proxy = Proxy::start(&Config::http_to(refused_address()));
    let mut wire = proxy.connect("web");
    for path in ["/a", "/b"] {
        assert_eq!(status_of(&mut wire, path), 503);
        assert_eq!(flags_of(&proxy, path), "UF");
    }
    let record = record_of(&proxy, "/a");
    assert_eq!(record["upstream_host"].as_str(), Some(refused_address().to_string().as_str()));
    let failed = proxy.metrics().sum_where("sidering_cluster_upstream_cx_connect_fail", "\"api\"");
    assert_eq!(failed, 2.0);
    drop(wire);
    proxy.assert_home();
}

#[test]
fn a_request_with_a_body_to_an_upstream_that_refuses_is_a_503_too() {
    let proxy = Proxy::start(&Config::http_to(refused_address()));
    for length in [10, 1_000_000] {
        let mut wire = proxy.connect("web");
        let head = format!("POST /p{length} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        wire.send(head.as_bytes()).unwrap();
        let _ = wire.send(&vec![b'x'; length]);
        assert_eq!(wire.response().unwrap().status(), 503, "{length}");
        assert_eq!(flags_of(&proxy, &format!("/p{length}")), "UF");
    }
    proxy.assert_home();
}

#[test]
fn an_upstream_that_does_not_accept_in_time_is_a_503() {
    let (_listener, address, _callers) = full_backlog();
    let config = Config::new().http("web", "", "{ match: {}, cluster: api }").cluster(
        "api",
        address,
        "connect_timeout: 500ms",
    );
    let proxy = Proxy::start(&config);
    let mut wire = proxy.connect("web");
    let started = Instant::now();
    assert_eq!(status_of(&mut wire, "/timeout"), 503);
    assert!(started.elapsed() >= Duration::from_millis(450), "{:?}", started.elapsed());
    assert!(flags_of(&proxy, "/timeout").contains("UF"));
    assert_eq!(proxy.metrics().sum_where("sidering_cluster_upstream_cx_connect_timeout", "\"api\""), 1.0);
    drop(wire);
    proxy.assert_home();
}

#[test]
fn a_request_nobody_routes_is_a_404() {
    let origin = Origin::recording(|wire, _| web::serve(wire));
    let routes = "{ match: { prefix: /known }, cluster: api }, \
                  { match: { path: /direct }, direct_response: { status: 418, body: teapot } }";
    let proxy = Proxy::start(&Config::new().http("web", "", routes).cluster("api", &origin, ""));
    let mut wire = proxy.connect("web");
    assert_eq!(status_of(&mut wire, "/unknown"), 404);
    assert_eq!(flags_of(&proxy, "/unknown"), "NR");
    assert_eq!(status_of(&mut wire, "/known/x"), 200);
    assert_eq!(flags_of(&proxy, "/known/x"), "-");
    wire.get("/direct").unwrap();
    let answer = wire.response().unwrap();
    assert_eq!((answer.status(), answer.text().as_str()), (418, "teapot"));
    assert_eq!(flags_of(&proxy, "/direct"), "-");
    assert!(!origin.seen_text().contains("unknown"));
}

#[test]
fn the_access_log_tells_what_happened() {
    let origin = Origin::start(|wire, _| web::serve(wire));
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    wire.send(b"GET /sized/1000/?q=\"\x7e HTTP/1.1\r\nHost: log.example\r\nUser-Agent: a \"b\" \\c\r\n\r\n")
        .unwrap();
    wire.response().unwrap();
    let record = until("a record", || crate::support::access_log::records(&proxy).pop());
    assert_eq!(record["method"], "GET");
    assert_eq!(record["path"], "/sized/1000/?q=\"~");
    assert_eq!(record["authority"], "log.example");
    assert_eq!(record["user_agent"], "a \"b\" \\c");
    assert_eq!(record["response_code"], 200);
    assert_eq!(record["bytes_sent"], 1000);
    assert_eq!(record["protocol"], "HTTP/1.1");
    assert_eq!(record["listener"], "web");
    assert_eq!(record["upstream_host"].as_str(), Some(origin.to_string().as_str()));
    let peer = wire.stream().local_addr().unwrap().to_string();
    assert_eq!(record["downstream_remote_address"].as_str(), Some(peer.as_str()));
}
