//! Connections that become tunnels: WebSocket by npm's ws on both sides, CONNECT, and what must not pass for an upgrade.

use crate::support::pattern::{self, Checker};
use crate::support::peers::{node_modules, program, script};
use crate::support::process::Process;
use crate::support::web::reply;
use crate::support::{Config, End, Origin, Proxy, Wire, until};
use std::net::SocketAddr;
use std::process::Command;

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
const SWITCHING: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

fn node(name: &str) -> Command {
    let mut command = Command::new(program("node"));
    command.arg(script(name)).env("NODE_PATH", node_modules());
    command
}

#[test]
fn websockets_echo_frames_of_every_size_and_close_properly() {
    let server = Process::start(&mut node("websocket-server.js"));
    let address: SocketAddr = until("the WebSocket server", || {
        server.lines().iter().find_map(|line| line.strip_prefix("listening "))?.parse().ok()
    });
    let proxy = Proxy::start(&Config::http_to(address));
    let output = node("websocket-client.js").arg(format!("ws://{}/", proxy.address("web"))).output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("closed 1000 bye"), "{said}");
    drop(server);
    proxy.assert_home();
}

#[test]
fn bytes_behind_an_upgrade_wait_for_the_101() {
    let origin = Origin::start(|wire, _| {
        let head = wire.head()?;
        assert_eq!(head.value("upgrade"), Some("websocket"));
        // Nothing may be behind the head yet: the client has not been answered.
        let early = wire.left_over().len();
        wire.send(SWITCHING)?;
        wire.send(format!("early={early};").as_bytes())?;
        wire.fill()?;
        let bytes = wire.left_over().to_vec();
        wire.send(&bytes)?;
        wire.finish()?;
        wire.rest().map(|_| ())
    });
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    wire.send(format!("{UPGRADE}frames").as_bytes()).unwrap();
    let head = wire.head().unwrap();
    assert_eq!((head.status(), head.value("upgrade")), (101, Some("websocket")));
    let (rest, end) = wire.rest().unwrap();
    assert_eq!((String::from_utf8_lossy(&rest).as_ref(), end), ("early=0;frames", End::Closed));
    drop(wire);
    proxy.assert_home();
}

#[test]
fn a_request_behind_a_refused_upgrade_is_the_next_request() {
    let origin = Origin::start(|wire, _| {
        loop {
            let head = wire.head()?;
            let early = wire.left_over().len();
            reply(wire, if head.target() == "/chat" { 403 } else { 200 }, &format!("early={early}"))?;
        }
    });
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    wire.send(format!("{UPGRADE}GET /next HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).unwrap();
    let first = wire.response().unwrap();
    assert_eq!((first.status(), first.text().as_str()), (403, "early=0"));
    assert_eq!(wire.response().unwrap().status(), 200);
}

#[test]
fn an_upgrade_with_a_body_does_not_upgrade() {
    let origin = Origin::recording(|wire, _| {
        let head = wire.head()?;
        wire.body(&head, |_| {})?;
        reply(wire, 200, "plain")
    });
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    let request = UPGRADE.replace("\r\n\r\n", "\r\nContent-Length: 4\r\n\r\nbody").replace("GET", "POST");
    wire.send(request.as_bytes()).unwrap();
    let status = wire.response().unwrap().status();
    assert!([200, 400].contains(&status), "{status}");
    assert!(!origin.seen_text().to_lowercase().contains("upgrade:"), "{}", origin.seen_text());
}

#[test]
fn protocols_that_are_not_allowed_are_not_offered() {
    let origin = Origin::recording(|wire, _| {
        wire.head()?;
        reply(wire, 200, "plain")
    });
    let config =
        Config::new().http("web", "upgrades: []", "{ match: {}, cluster: api }").cluster("api", &origin, "");
    let proxy = Proxy::start(&config);
    let mut wire = proxy.connect("web");
    wire.send(UPGRADE.as_bytes()).unwrap();
    assert_eq!(wire.response().unwrap().text(), "plain");
    assert!(!origin.seen_text().to_lowercase().contains("upgrade"), "{}", origin.seen_text());
}

#[test]
fn megabytes_pass_through_an_upgraded_connection_both_ways() {
    let length = 20 * 1024 * 1024;
    let origin = Origin::start(move |wire, _| {
        wire.head()?;
        wire.send(SWITCHING)?;
        let mut out = wire.try_clone()?;
        let mut outcome = Ok(());
        wire.sized(length, |bytes| outcome = out.send(bytes))?;
        outcome
    });
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    wire.send(UPGRADE.as_bytes()).unwrap();
    assert_eq!(wire.head().unwrap().status(), 101);
    let out = wire.try_clone().unwrap();
    let sender = std::thread::spawn(move || pattern::write(&mut out.stream(), length));
    let mut checker = Checker::default();
    wire.sized(length, |bytes| checker.feed(bytes)).unwrap();
    assert_eq!(checker.verdict(length), Ok(()));
    sender.join().unwrap().unwrap();
    drop((wire, origin));
    proxy.assert_home();
}

/// A listener that allows CONNECT to the cluster `api`, and sends everything else there too.
fn connecting(origin: &Origin, protocol: &str) -> Config {
    Config::new()
        .http("web", "", "{ match: { connect: true }, cluster: tunnel }")
        .cluster("tunnel", origin, protocol)
}

#[test]
fn connect_becomes_a_tunnel_where_a_route_allows_it() {
    let origin = Origin::start(|wire, _| {
        let (question, _) = wire.rest()?;
        wire.send(&question)?;
        wire.send(b" answered")
    });
    let proxy = Proxy::start(&connecting(&origin, "protocol: tcp"));
    let mut wire = proxy.connect("web");
    wire.send(b"CONNECT target.example:443 HTTP/1.1\r\nHost: target.example:443\r\n\r\n").unwrap();
    let head = wire.head().unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!((head.value("content-length"), head.value("transfer-encoding")), (None, None));
    wire.send(b"question").unwrap();
    wire.finish().unwrap();
    let (answer, end) = wire.rest().unwrap();
    assert_eq!((String::from_utf8_lossy(&answer).as_ref(), end), ("question answered", End::Closed));
    drop((wire, origin));
    proxy.assert_home();
}

#[test]
fn bytes_right_behind_connect_reach_the_tunnel() {
    let origin = Origin::start(|wire, _| {
        wire.fill()?;
        let bytes = wire.left_over().to_vec();
        wire.send(&bytes)
    });
    let proxy = Proxy::start(&connecting(&origin, "protocol: tcp"));
    let mut wire = proxy.connect("web");
    wire.send(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\nhello").unwrap();
    assert_eq!(wire.head().unwrap().status(), 200);
    assert_eq!(wire.rest().unwrap().0, b"hello");
}

#[test]
fn connect_to_an_upstream_that_refuses_is_a_503() {
    let config = Config::new().http("web", "", "{ match: { connect: true }, cluster: tunnel }").cluster(
        "tunnel",
        crate::failures::refused_address(),
        "protocol: tcp",
    );
    let proxy = Proxy::start(&config);
    let mut wire: Wire = proxy.connect("web");
    wire.send(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n").unwrap();
    assert_eq!(wire.response().unwrap().status(), 503);
}

#[test]
fn curl_tunnels_through_connect() {
    let origin = Origin::start(|wire, _| crate::support::web::serve(wire));
    let proxy = Proxy::start(&connecting(&origin, "protocol: tcp"));
    let via = format!("http://{}", proxy.address("web"));
    let url = format!("http://{origin}/sized/300000");
    let mut command = Command::new(program("curl"));
    let output = command.args(["-sS", "-p", "-x", &via, "--max-time", "30", &url]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, pattern::bytes(300_000));
}
