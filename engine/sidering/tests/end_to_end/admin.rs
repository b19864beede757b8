//! The admin interface: what it answers, what it refuses, and that its figures are those of the traffic.

use crate::support::{Config, Origin, Proxy, Wire, web};

#[test]
fn figures_are_those_of_the_traffic() {
    let origin = Origin::start(|wire, _| web::serve(wire));
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    for path in ["/sized/1000", "/sized/2000"] {
        wire.get(path).unwrap();
        wire.response().unwrap();
    }
    wire.send(b"nonsense\r\n\r\n").unwrap();
    wire.response().unwrap();
    let metrics = proxy.metrics();
    let api = |name: &str| metrics.sum_where(name, "\"api\"");
    assert_eq!(api("sidering_cluster_upstream_rq_total"), 2.0);
    assert_eq!(api("sidering_cluster_upstream_cx_total"), 1.0);
    assert_eq!(metrics.sum_where("sidering_listener_downstream_cx_total", "web"), 1.0);
    assert_eq!(metrics.sum_where("sidering_http_downstream_rq_total", "web"), 3.0);
    assert!(api("sidering_cluster_upstream_cx_rx_bytes_total") >= 3000.0);
    assert_eq!(metrics.sum("sidering_completion_queue_overflows"), 0.0);
    assert_eq!(metrics.sum("sidering_body_bytes_copied"), 0.0);
}

#[test]
fn paths_it_does_not_know_and_methods_it_does_not_take() {
    let origin = Origin::start(|wire, _| web::serve(wire));
    let mut proxy = Proxy::start(&Config::http_to(&origin));
    assert_eq!(proxy.admin("/nothing").0, 404);
    // What changes something takes POST only.
    assert_eq!(proxy.admin("/quitquitquit").0, 405);
    for path in ["/ready", "/live", "/stats", "/listeners", "/clusters", "/server_info", "/config_dump"] {
        assert_eq!(proxy.admin(path).0, 200, "{path}");
    }
    proxy.assert_alive();
    let mut wire = Wire::connect(proxy.address("admin")).unwrap();
    wire.send(b"POST /quitquitquit HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert_eq!(wire.response().unwrap().status(), 200);
    drop(wire);
    assert!(proxy.end_within(std::time::Duration::from_secs(10)).is_some());
}

#[test]
fn clients_that_misbehave_do_not_hold_it_up() {
    let origin = Origin::start(|wire, _| web::serve(wire));
    let proxy = Proxy::start(&Config::http_to(&origin));
    let address = proxy.address("admin");
    let _silent: Vec<Wire> = (0..20).map(|_| Wire::connect(address).unwrap()).collect();
    let mut garbage = Wire::connect(address).unwrap();
    garbage.send(b"\x00\x01\x02 nonsense\r\n\r\n").unwrap();
    assert_eq!(proxy.admin("/ready").0, 200);
    let mut endless = Wire::connect(address).unwrap();
    let _ = endless.send(&vec![b'a'; 1_000_000]);
    assert_eq!(proxy.admin("/ready").0, 200);
}
