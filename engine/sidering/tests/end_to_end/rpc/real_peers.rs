//! Clients and servers from npm and PyPI that nobody here wrote, 32 calls at a time with bodies of up to 8 MiB, some of them
//! one-way, some failing, some slow. What is called and what the answers are is in peers/rpc/mixture.js.

use crate::support::peers::{node_modules, program, python_with_rpc_peers, script};
use crate::support::process::Process;
use crate::support::{Config, Proxy, turns, until};
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

/// Lets the client call the server through the proxy. Nothing may be lost, answered twice or wrong; both count.
#[track_caller]
#[expect(clippy::print_stderr, reason = "how long it took is of interest where it is asked for more calls")]
fn assert_all_right(protocol: &str, mut server: Command, client: Command) {
    let _turn = turns::heavy();
    let server = Process::start(&mut server);
    let address: SocketAddr = until("the server", || {
        server.lines().iter().find_map(|line| line.strip_prefix("listening "))?.parse().ok()
    });
    let route = "{ match: {}, cluster: api, timeout: 60s }";
    let config = Config::new().rpc("calls", protocol, "", route).cluster("api", address, "");
    let mut proxy = Proxy::start(&config);
    let mut client = client;
    client.arg("client").arg(proxy.address("calls").to_string()).arg(calls());
    let output = client.output().expect("the client starts");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    proxy.assert_alive();
    assert!(output.status.success() && said.contains("all right"), "{said}\n{}", proxy.said());
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
