//! Clients and servers from npm and PyPI that nobody here wrote, 32 calls at a time with bodies of up to 8 MiB, some of them
//! one-way, some failing, some slow. What is called and what the answers are is in peers/rpc/mixture.js.

use crate::support::peers::curl;
use crate::support::peers::{node_modules, program, python_with_rpc_peers, script};
use crate::support::process::Process;
use crate::support::{Config, Origin, Proxy, Wire, turns, until, web};
use std::io::Read;
use std::net::SocketAddr;
use std::process::Command;

/// As many calls are made in each test, unless `SIDERING_RPC_CALLS` says more: see scripts/rpc-peers.
const CALLS: u32 = 2_200;

fn calls() -> String {
    std::env::var("SIDERING_RPC_CALLS").unwrap_or_else(|_| CALLS.to_string())
}

fn node(file: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program("node"));
    command.env("NODE_PATH", node_modules()).arg(script(file)).args(arguments);
    command
}

fn python(file: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(python_with_rpc_peers());
    command.arg(script(file)).args(arguments);
    command
}

fn start(server: &mut Command) -> (Process, SocketAddr) {
    let server = Process::start(server);
    let address = until("the server", || {
        server.lines().iter().find_map(|line| line.strip_prefix("listening "))?.parse().ok()
    });
    (server, address)
}

/// What the client says, which is that all is right or it is not.
fn let_call(mut client: Command, address: SocketAddr) -> String {
    client.arg("client").arg(address.to_string()).arg(calls());
    let output = client.output().expect("the client starts");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        said
    } else {
        format!("{}: {}", output.status, said.replace("all right", ""))
    }
}

/// Lets the client call the server through the proxy. Nothing may be lost, answered twice or wrong; both count.
#[track_caller]
#[expect(clippy::print_stderr, reason = "how long it took is of interest where it is asked for more calls")]
fn assert_all_right(protocol: &str, mut server: Command, client: Command) {
    let _turn = turns::heavy();
    let (server, address) = start(&mut server);
    let route = "{ match: {}, cluster: api, timeout: 60s }";
    let config = Config::new().rpc("calls", protocol, "", route).cluster("api", address, "");
    let mut proxy = Proxy::start(&config);
    let said = let_call(client, proxy.address("calls"));
    proxy.assert_alive();
    assert!(said.contains("all right"), "{said}\n{}", proxy.said());
    eprintln!("{protocol}: {}", said.trim());
    assert_eq!(proxy.metrics().sum("sidering_body_bytes_copied"), 0.0);
    drop(server);
    proxy.assert_home();
}

#[test]
fn sofa_rpc_node_speaks_bolt() {
    assert_all_right("bolt", node("rpc/sofa.js", &["bolt", "server"]), node("rpc/sofa.js", &["bolt"]));
}

#[test]
fn sofa_rpc_node_speaks_dubbo() {
    assert_all_right("dubbo", node("rpc/sofa.js", &["dubbo", "server"]), node("rpc/sofa.js", &["dubbo"]));
}

#[test]
fn dubbo_ssl_python_calls_sofa_rpc_node() {
    assert_all_right("dubbo", node("rpc/sofa.js", &["dubbo", "server"]), python("rpc/dubbo_calls.py", &[]));
}

#[test]
fn tars_calls_tars() {
    assert_all_right("tars", node("rpc/tars.js", &["server"]), node("rpc/tars.js", &[]));
}

#[test]
fn clients_of_all_kinds_share_one_port() {
    let _turn = turns::heavy();
    let (bolt, bolt_address) = start(&mut node("rpc/sofa.js", &["bolt", "server"]));
    let (dubbo, dubbo_address) = start(&mut node("rpc/sofa.js", &["dubbo", "server"]));
    let (tars, tars_address) = start(&mut node("rpc/tars.js", &["server"]));
    let (web, echo) = (Origin::start(|wire, _| web::serve(wire)), Origin::start(|wire, _| echo_bytes(wire)));
    // SOFARPC has the version in the service's name, Dubbo beside it.
    let routes = "{ match: { service: { prefix: 'com.sidering.test.MixtureService:' } }, cluster: bolt, timeout: 60s }, \
                  { match: { service: com.sidering.test.MixtureService }, cluster: dubbo, timeout: 60s }, \
                  { match: { service: Sidering.Test.MixtureObj }, cluster: tars, timeout: 60s }, \
                  { match: { prefix: / }, cluster: web }";
    let config = Config::new()
        .rpc("any", "auto", "cluster: echo", routes)
        .cluster("bolt", bolt_address, "")
        .cluster("dubbo", dubbo_address, "")
        .cluster("tars", tars_address, "")
        .cluster("web", &web, "")
        .cluster("echo", &echo, "");
    let mut proxy = Proxy::start(&config);
    let address = proxy.address("any");
    let clients = [node("rpc/sofa.js", &["bolt"]), node("rpc/sofa.js", &["dubbo"]), node("rpc/tars.js", &[])];
    let clients = clients.map(|client| std::thread::spawn(move || let_call(client, address)));
    for _ in 0..20 {
        assert_eq!(curl(&[&format!("http://{address}/")]), b"hello\n");
        let mut wire = proxy.connect("any");
        wire.send(b"\x16\x03\x01 no protocol of ours").unwrap();
        wire.finish().unwrap();
        let mut back = vec![];
        wire.stream().read_to_end(&mut back).unwrap();
        assert_eq!(back, b"\x16\x03\x01 no protocol of ours");
    }
    for client in clients {
        let said = client.join().expect("the client was started");
        assert!(said.contains("all right"), "{said}\n{}", proxy.said());
    }
    proxy.assert_alive();
    let metrics = proxy.metrics();
    for protocol in ["bolt", "dubbo", "tars", "http1"] {
        let label = format!("protocol=\"{protocol}\"");
        assert!(metrics.sum_where("sidering_listener_downstream_cx_detected", &label) > 0.0, "{protocol}");
    }
    assert_eq!(metrics.sum("sidering_listener_downstream_cx_undetected"), 20.0);
    assert_eq!(metrics.sum("sidering_listener_downstream_pre_cx_timeout"), 0.0);
    assert_eq!(metrics.sum("sidering_body_bytes_copied"), 0.0);
    drop((bolt, dubbo, tars, web, echo));
    proxy.assert_home();
}

fn echo_bytes(wire: &mut Wire) -> std::io::Result<()> {
    let mut bytes = vec![];
    wire.stream().read_to_end(&mut bytes)?;
    wire.send(&bytes)?;
    wire.finish()
}

#[track_caller]
fn assert_thrift(library: &str) {
    let file = "rpc/thrift_calls.py";
    assert_all_right("thrift", python(file, &[library, "server"]), python(file, &[library]));
}

#[test]
fn thriftpy2_in_binary() {
    assert_thrift("thriftpy2-binary");
}

#[test]
fn thriftpy2_in_compact() {
    assert_thrift("thriftpy2-compact");
}

#[test]
fn apaches_thrift_in_binary() {
    assert_thrift("thrift-binary");
}

#[test]
fn apaches_thrift_in_compact() {
    assert_thrift("thrift-compact");
}

#[test]
fn apaches_thrift_with_headers() {
    assert_thrift("thrift-header");
}
