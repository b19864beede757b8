//! Listeners with `protocol: auto`, as clients see them: who is spoken to in what, and who gets a TCP connection.

use super::bolt::{self, call};
use crate::support::access_log::{flags, records};
use crate::support::{Config, Origin, Proxy, until, web};
use std::io::Read;
use std::net::Shutdown;

const SERVICE: &str = "com.alipay.test.TestService:1.0";

/// Greets, as servers of some protocols do, and tells what came.
fn greeter() -> Origin {
    Origin::start(|wire, _| {
        wire.send(b"hello\n")?;
        let mut heard = vec![];
        wire.stream().read_to_end(&mut heard)?;
        wire.send(&heard)?;
        wire.finish()
    })
}

#[test]
fn web_and_calls_on_one_port_and_to_one_cluster_each_in_its_protocol() {
    let origin = Origin::start(|wire, _| {
        // Both come to the same address, on connections of their own.
        let mut first = [0];
        wire.stream().peek(&mut first)?;
        if first == [1] { bolt::echo(wire) } else { web::serve(wire) }
    });
    let config =
        Config::new().rpc("any", "auto", "", "{ match: {}, cluster: api }").cluster("api", &origin, "");
    let proxy = Proxy::start(&config);
    let (mut calls, mut pages) = (proxy.connect("any"), proxy.connect("any"));
    for number in 0..3 {
        let asked = call(number, SERVICE, "hello", b"world");
        calls.send(&asked.bytes()).unwrap();
        assert_eq!(bolt::read(&mut calls).unwrap(), asked.answer(bolt::SUCCESS, b"world"));
        pages.get("/").unwrap();
        assert_eq!(pages.response().unwrap().status(), 200);
    }
    assert_eq!(origin.accepted(), 2);
    let told = until("the records", || Some(records(&proxy)).filter(|records| records.len() == 6));
    let of = |protocol: &str| told.iter().filter(|record| record["protocol"] == protocol).count();
    assert_eq!((of("bolt"), of("HTTP/1.1")), (3, 3), "{told:?}");
    let (status, dump) = proxy.admin("/config_dump");
    assert_eq!(status, 200);
    let dump: serde_json::Value = serde_json::from_str(&dump).unwrap();
    assert!(dump.to_string().contains("\"detection\":{\"protocols\":[\"http1\",\"bolt\""), "{dump}");
    drop((calls, pages, origin));
    proxy.assert_home();
}

#[test]
fn who_waits_for_the_server_gets_a_connection_and_so_does_who_stalls() {
    let origin = greeter();
    let keys = "cluster: raw, detection: { timeout: 200ms }";
    let config = Config::new()
        .rpc("any", "auto", keys, "{ match: {}, cluster: api }")
        .cluster("api", "127.0.0.1:1", "")
        .cluster("raw", &origin, "");
    let proxy = Proxy::start(&config);
    for said in [&b""[..], b"GE"] {
        let mut wire = proxy.connect("any");
        if !said.is_empty() {
            wire.send(said).unwrap();
        }
        let mut greeting = [0; 6];
        wire.stream().read_exact(&mut greeting).unwrap();
        assert_eq!(&greeting, b"hello\n");
        wire.send(b"T / HTTP/1.1\r\n\r\n").unwrap();
        wire.stream().shutdown(Shutdown::Write).unwrap();
        let mut back = vec![];
        wire.stream().read_to_end(&mut back).unwrap();
        assert_eq!(back, [said, b"T / HTTP/1.1\r\n\r\n"].concat());
    }
    let told = until("the records", || Some(records(&proxy)).filter(|records| records.len() == 2));
    assert!(told.iter().all(|record| record["upstream_cluster"] == "raw"), "{told:?}");
    assert_eq!(proxy.metrics().sum("sidering_listener_downstream_pre_cx_timeout"), 2.0);
    drop(origin);
    proxy.assert_home();
}

#[test]
fn without_a_cluster_for_it_the_unknown_is_closed_and_told_of() {
    let config = Config::new()
        .rpc("any", "auto", "detection: { protocols: [http, bolt] }", "{ match: {}, cluster: api }")
        .cluster("api", "127.0.0.1:1", "");
    let proxy = Proxy::start(&config);
    let mut wire = proxy.connect("any");
    wire.send(b"\xda\xbb").unwrap();
    assert_eq!(wire.stream().read(&mut [0; 1]).unwrap_or_default(), 0);
    let told = until("the record", || records(&proxy).into_iter().next());
    assert_eq!(
        (flags(&told).as_str(), &told["response_code_details"]),
        ("DPE", &"protocol_not_detected".into())
    );
    assert_eq!(proxy.metrics().sum("sidering_listener_downstream_cx_undetected"), 1.0);
    proxy.assert_home();
}
