//! Active health checks: who fails them gets no traffic, and gets it back.

use crate::support::{Config, Origin, Patient, Proxy, Wire, until};
use std::io;

const HTTP: &str = "http: { path: /healthz }";
const OFTEN: &str = "interval: 10ms, no_traffic_interval: 10ms, healthy: 2, unhealthy: 2";

fn proxy(addresses: &[String], workers: u32, check: &str) -> Proxy {
    let config = Config::new().set(&format!("workers: {workers}"));
    let config = config.http("web", "", "{ match: {}, cluster: api }");
    let keys = format!("health_check: {{ {check}, {OFTEN} }}");
    Proxy::start(&config.cluster_of("api", addresses, &keys))
}

fn quoted(patients: &[Patient]) -> Vec<String> {
    patients.iter().map(|patient| format!("\"{}\"", patient.origin)).collect()
}

/// Who answers so many requests, on a connection each, so that all cores take part.
fn answers(proxy: &Proxy, requests: usize) -> Vec<String> {
    let ask = |_| {
        let mut wire = proxy.connect("web");
        wire.get("/").unwrap();
        let answer = wire.response().unwrap();
        assert_eq!(answer.status(), 200);
        answer.text()
    };
    (0..requests).map(ask).collect()
}

#[track_caller]
fn until_flags(proxy: &Proxy, address: &Origin, flags: &str) {
    let wanted = format!("api::{address}::health_flags::{flags}\n");
    until(&wanted, || proxy.admin("/clusters").1.contains(&wanted).then_some(()));
}

/// Whether this one is among those that answer, once all cores have heard of it.
#[track_caller]
fn until_used(proxy: &Proxy, number: &str, is_used: bool) {
    let what = format!("{number} to be used: {is_used}");
    until(&what, || (answers(proxy, 24).iter().any(|answer| answer == number) == is_used).then_some(()));
}

#[test]
fn who_fails_its_checks_gets_no_traffic_on_any_core_until_it_is_well_again() {
    let patients = [0, 1, 2].map(Patient::start);
    let proxy = proxy(&quoted(&patients), 2, HTTP);
    for patient in &patients {
        until_flags(&proxy, &patient.origin, "healthy");
    }
    ["0", "1", "2"].iter().for_each(|number| until_used(&proxy, number, true));

    patients[1].fall_sick();
    until_flags(&proxy, &patients[1].origin, "/failed_active_hc");
    until_used(&proxy, "1", false);
    assert!(answers(&proxy, 100).iter().all(|number| number != "1"), "and it stays so");
    let metrics = proxy.metrics();
    assert_eq!(metrics.sum("sidering_cluster_membership_healthy"), 2.0);
    assert_eq!(metrics.sum("sidering_cluster_health_check_healthy"), 2.0);
    assert_eq!(metrics.sum("sidering_cluster_health_check_network_failure"), 0.0);
    let ended =
        ["success", "failure"].map(|name| metrics.sum(&format!("sidering_cluster_health_check_{name}")));
    assert!(ended[0] >= 3.0 && ended[1] >= 1.0, "{ended:?}");
    assert_eq!(ended[0] + ended[1], metrics.sum("sidering_cluster_health_check_attempt"));
    let line = format!("health check cluster=api endpoint={} state=unhealthy", patients[1].origin);
    assert!(proxy.said().contains(&format!("{line} reason=\"status 503\"")), "{}", proxy.said());

    patients[1].recover();
    until_flags(&proxy, &patients[1].origin, "healthy");
    until_used(&proxy, "1", true);
}

#[test]
fn an_endpoint_that_is_gone_fails_by_tcp() {
    let mut patients = vec![Patient::start(0), Patient::start(1), Patient::start(2)];
    let proxy = proxy(&quoted(&patients), 1, "tcp: {}");
    for patient in &patients {
        until_flags(&proxy, &patient.origin, "healthy");
    }
    let gone = patients.remove(0);
    let address = gone.origin.address();
    drop(gone);
    let wanted = format!("api::{address}::health_flags::/failed_active_hc\n");
    until(&wanted, || proxy.admin("/clusters").1.contains(&wanted).then_some(()));
    until_used(&proxy, "0", false);
    assert!(proxy.metrics().sum("sidering_cluster_health_check_network_failure") >= 2.0);
}

#[test]
fn an_endpoint_is_checked_by_what_it_says() {
    let redis = Origin::start(|wire, _| {
        let mut asked = vec![];
        wire.sized(6, |bytes| asked.extend_from_slice(bytes))?;
        wire.send(if asked == b"PING\r\n" { b"+PONG\r\n" } else { b"-ERR\r\n" })
    });
    let mute = Origin::start(|wire: &mut Wire, _| -> io::Result<()> { wire.rest().map(|_| ()) });
    let check = r#"tcp: { send: "PING\r\n", receive: [+PONG] }, timeout: 50ms"#;
    let proxy = proxy(&[format!("\"{redis}\""), format!("\"{mute}\"")], 1, check);
    until_flags(&proxy, &redis, "healthy");
    until_flags(&proxy, &mute, "/failed_active_hc");
    assert!(proxy.said().contains(&format!("endpoint={mute} state=unhealthy reason=\"timeout\"")));
}
