//! Pooled connections that are dead: they leave the pool before a request meets them.

use crate::support::peers::{program, script};
use crate::support::process::Process;
use crate::support::{Config, Proxy, until};
use rustix::process::Signal;
use std::process::Command;

/// What a peer said behind a word.
#[track_caller]
fn said(peer: &Process, word: &str) -> String {
    until(word, || {
        let lines = peer.lines();
        lines.iter().find_map(|line| line.strip_prefix(word).map(|rest| rest.trim().to_owned()))
    })
}

#[test]
fn a_connection_whose_endpoint_answers_no_probe_leaves_the_pool() {
    let peer = Process::start(Command::new(program("python3")).arg(script("vanishing.py")));
    let address = format!("127.0.0.1:{}", said(&peer, "port"));
    let config = Config::new().http("web", "", "{ match: {}, cluster: api }");
    let keys = "upstream_keepalive: { idle: 1s, interval: 1s, probes: 1 }";
    let proxy = Proxy::start(&config.cluster("api", &address, keys));
    let mut wire = proxy.connect("web");
    wire.get("/").unwrap();
    assert_eq!(wire.response().unwrap().status(), 200);
    let idle = || proxy.metrics().sum("sidering_cluster_upstream_cx_idle");
    until("a connection in the pool", || (idle() == 1.0).then_some(()));

    peer.signal(Signal::USR1);
    assert_eq!(said(&peer, "vanished"), "1", "without CAP_NET_ADMIN nothing vanishes");
    until("the pool to be empty", || (idle() == 0.0).then_some(()));
    // One that could not be sent again, had it met the dead connection.
    wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert_eq!(wire.response().unwrap().status(), 200);
    let metrics = proxy.metrics();
    assert_eq!(metrics.sum("sidering_cluster_upstream_cx_total"), 2.0);
    assert_eq!(metrics.sum("sidering_cluster_upstream_rq_retry"), 0.0);
}

/// The kernel's own view of it: `ss` tells the timer of a connection that is probed.
#[test]
fn connections_are_probed_only_where_it_is_configured() {
    let peer = Process::start(Command::new(program("python3")).arg(script("vanishing.py")));
    let port = said(&peer, "port");
    for (keys, is_probed) in [("", false), ("upstream_keepalive: { idle: 1000s }", true)] {
        let config = Config::new().http("web", "", "{ match: {}, cluster: api }");
        let proxy = Proxy::start(&config.cluster("api", format!("127.0.0.1:{port}"), keys));
        let mut wire = proxy.connect("web");
        wire.get("/").unwrap();
        assert_eq!(wire.response().unwrap().status(), 200);
        until("the timer of the connection", || {
            let listed = Command::new(program("ss")).args(["-tnoH", "dport", &format!(":{port}")]).output();
            let text = String::from_utf8(listed.unwrap().stdout).unwrap();
            let line = text.lines().find(|line| line.starts_with("ESTAB"))?;
            (line.contains("timer:(keepalive,16min") == is_probed && !line.contains("timer:(on"))
                .then_some(())
        });
        drop(proxy);
        until("its end", || {
            let listed = Command::new(program("ss")).args(["-tnH", "dport", &format!(":{port}")]).output();
            let text = String::from_utf8(listed.unwrap().stdout).unwrap();
            (!text.contains("ESTAB")).then_some(())
        });
    }
}
