//! Warming: no request meets a cluster before its endpoints were looked for and checked.

use crate::support::name_server::NameServer;
use crate::support::{Config, Patient, Proxy, Wire, until};
use rustix::process::Signal;
use std::fs::{rename, write};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tempfile::TempDir;

/// Checks that are made often, and waited for as long as it takes.
const CHECK: &str = "health_check: { http: { path: /healthz }, interval: 10ms, no_traffic_interval: 10ms, timeout: 60s, unhealthy: 1, healthy: 1 }";

fn quoted(patients: &[Patient]) -> Vec<String> {
    patients.iter().map(|patient| format!("\"{}\"", patient.origin)).collect()
}

fn config(patients: &[Patient]) -> Config {
    let config = Config::new().set("workers: 2").http("web", "", "{ match: {}, cluster: api }");
    config.cluster_of("api", &quoted(patients), CHECK)
}

/// The same on a port that is known before the proxy listens there, and was free a moment ago.
fn config_on(patients: &[Patient]) -> (Config, SocketAddr) {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    (config(patients).listen_on(&address.to_string()), address)
}

/// Who answers, on a connection of its own.
fn ask(proxy: &Proxy) -> (u16, String) {
    let mut wire = proxy.connect("web");
    wire.get("/").unwrap();
    let answer = wire.response().unwrap();
    (answer.status(), answer.text())
}

#[track_caller]
fn until_said(proxy: &Proxy, what: &str) {
    until(what, || proxy.said().contains(what).then_some(()));
}

#[track_caller]
fn until_flags(proxy: &Proxy, address: &str, flags: &str) {
    let wanted = format!("api::{address}::health_flags::{flags}\n");
    until(&wanted, || proxy.admin("/clusters").1.contains(&wanted).then_some(()));
}

#[test]
fn who_is_down_at_the_start_gets_no_request() {
    let patients = [Patient::start(0), Patient::start_sick(1), Patient::start(2)];
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut endpoints = quoted(&patients);
    endpoints.push(format!("\"{gone}\""));
    let config = Config::new().set("workers: 2").http("web", "", "{ match: {}, cluster: api }");
    let proxy = Proxy::start(&config.cluster_of("api", &endpoints, CHECK));
    // From the very first one on.
    for _ in 0..40 {
        assert_eq!(ask(&proxy).0, 200);
    }
    assert_eq!(patients[1].requests(), 0);
    assert_eq!(patients[0].requests() + patients[2].requests(), 40);
    assert!(patients[0].requests() > 0 && patients[2].requests() > 0);
    let metrics = proxy.metrics();
    assert_eq!(metrics.sum("sidering_cluster_upstream_cx_connect_fail"), 0.0);
    assert!(metrics.sum("sidering_cluster_health_check_attempt") >= 4.0, "the first checks are counted, too");
    assert_eq!(metrics.sum("sidering_cluster_membership_healthy"), 2.0);
}

#[test]
fn nothing_listens_before_the_first_checks_are_over() {
    let patient = Patient::start("late");
    patient.hold();
    let (config, address) = config_on(std::slice::from_ref(&patient));
    let mut proxy = Proxy::start_cold(&config);
    until("a check", || (patient.checks() > 0).then_some(()));
    assert_eq!(proxy.admin("/ready"), (503, "INITIALIZING\n".to_owned()));
    assert_eq!(proxy.metrics().sum("sidering_server_state"), 3.0);
    let refused = Wire::connect(address).err().expect("nobody listens").kind();
    assert_eq!(refused, ErrorKind::ConnectionRefused);
    assert!(proxy.said().contains("until it is warm: first checks of api (1)"), "{}", proxy.said());
    patient.release();
    proxy.wait_until_ready();
    assert_eq!(ask(&proxy), (200, "late".to_owned()));
    assert_eq!(proxy.admin("/ready"), (200, "LIVE\n".to_owned()));
}

#[test]
fn a_check_that_does_not_end_holds_nothing_up_for_ever() {
    let patients = [Patient::start("well"), Patient::start("mute"), Patient::start("well")];
    patients[1].hold();
    let mut proxy = Proxy::start_cold(&config(&patients));
    proxy.wait_until_ready();
    let said = proxy.said();
    assert!(said.contains("takes effect although not all of it is warm: first checks of api (1)"), "{said}");
    for _ in 0..20 {
        assert_eq!(ask(&proxy), (200, "well".to_owned()), "who is unknown gets nothing");
    }
    until_flags(&proxy, &patients[1].origin.to_string(), "/failed_active_hc/pending_active_hc");
}

#[test]
fn a_start_that_waits_can_be_ended() {
    let patient = Patient::start("late");
    for signal in [Signal::TERM, Signal::INT] {
        patient.hold();
        let mut proxy = Proxy::start_cold(&config(std::slice::from_ref(&patient)));
        until_said(&proxy, "until it is warm");
        proxy.signal(signal);
        let ended = proxy.end_within(Duration::from_secs(20)).expect("it ends");
        assert!(ended.success(), "{ended:?}");
        assert!(!proxy.said().contains("takes effect"), "{}", proxy.said());
        patient.release();
    }
}

#[test]
fn a_reload_takes_effect_when_its_new_endpoints_were_checked() {
    let old = [Patient::start("old")];
    let new = [Patient::start("new"), Patient::start_sick("sick"), Patient::start("new")];
    new[1].hold();
    let mut proxy = Proxy::start(&config(&old));
    proxy.write_config(&config(&new).text(proxy.folder()));
    proxy.signal(Signal::HUP);
    until_said(&proxy, "until it is warm: first checks of api (3)");
    until("a check of each", || new.iter().all(|patient| patient.checks() > 0).then_some(()));
    for _ in 0..10 {
        assert_eq!(ask(&proxy), (200, "old".to_owned()));
    }
    new[1].release();
    until_said(&proxy, "configuration reloaded: version 2");
    until("the new ones to answer", || (ask(&proxy).1 == "new").then_some(()));
    for _ in 0..40 {
        assert_eq!(ask(&proxy), (200, "new".to_owned()));
    }
    assert_eq!(new[1].requests(), 0);
    proxy.assert_alive();
}

#[test]
fn a_cluster_that_a_reload_brings_is_resolved_before_a_request_meets_it() {
    let (port, patients) =
        Patient::start_on_one_port(["127.0.0.1", "127.0.0.2", "127.0.0.3"], &["127.0.0.3"]);
    let old = [Patient::start("old")];
    let server = NameServer::start();
    server.set("api.test", &["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    let proxy = Proxy::start(&config(&old));
    let keys = format!("{}, {CHECK}", server.keys("strict_dns"));
    let config = Config::new().set("workers: 2").http("web", "", "{ match: {}, cluster: fresh }");
    proxy.write_config(&config.cluster("fresh", format!("api.test:{port}"), &keys).text(proxy.folder()));
    proxy.signal(Signal::HUP);
    let mut answers = vec![];
    until("the new cluster to answer", || {
        answers.push(ask(&proxy));
        (answers.last().unwrap().1 != "old").then_some(())
    });
    answers.extend((0..30).map(|_| ask(&proxy)));
    assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    assert_eq!(patients[2].requests(), 0);
    assert!(patients[0].requests() > 0 && patients[1].requests() > 0);
}

/// Endpoints that come and go, by `change`, and by their health.
fn assert_health_of_found(proxy: &Proxy, port: u16, patients: &[Patient; 4], change: impl Fn(&[&str])) {
    let answers = || {
        let mut answers: Vec<_> = (0..16).map(|_| ask(proxy)).collect();
        assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
        answers.sort();
        answers.dedup();
        answers.into_iter().map(|(_, text)| text).collect::<Vec<_>>()
    };
    assert_eq!(answers(), ["127.0.0.1", "127.0.0.2"], "from the start");
    assert_eq!(patients[2].requests(), 0, "it was sick when it was found");

    change(&["127.0.0.1", "127.0.0.2", "127.0.0.4"]);
    until_flags(proxy, &format!("127.0.0.4:{port}"), "/failed_active_hc");
    assert_eq!(answers(), ["127.0.0.1", "127.0.0.2"]);
    assert_eq!(patients[3].requests(), 0, "so was this one, later");

    patients[3].recover();
    until_flags(proxy, &format!("127.0.0.4:{port}"), "healthy");
    until("it to be used", || (answers() == ["127.0.0.1", "127.0.0.2", "127.0.0.4"]).then_some(()));

    patients[0].fall_sick();
    until_flags(proxy, &format!("127.0.0.1:{port}"), "/failed_active_hc");
    until("it not to be used", || (answers() == ["127.0.0.2", "127.0.0.4"]).then_some(()));

    // What is known of those that stay is not forgotten.
    change(&["127.0.0.1", "127.0.0.4", "127.0.0.2"]);
    change(&["127.0.0.1", "127.0.0.4"]);
    until("one to be gone", || (!proxy.admin("/clusters").1.contains("127.0.0.2")).then_some(()));
    until("the other to be left", || (answers() == ["127.0.0.4"]).then_some(()));
}

const FOUND: [&str; 4] = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"];
const SICK: [&str; 2] = ["127.0.0.3", "127.0.0.4"];

#[test]
fn endpoints_behind_a_name_are_checked() {
    let (port, patients) = Patient::start_on_one_port(FOUND, &SICK);
    let server = NameServer::start();
    server.set("api.test", &FOUND[..3]);
    let keys = format!("{}, {CHECK}, healthy_panic_threshold: 0", server.keys("strict_dns"));
    let config = Config::new().set("workers: 2").http("web", "", "{ match: {}, cluster: api }");
    let proxy = Proxy::start(&config.cluster("api", format!("api.test:{port}"), &keys));
    assert_health_of_found(&proxy, port, &patients, |ips| server.set("api.test", ips));
    drop(patients);
    proxy.assert_home();
}

#[test]
fn endpoints_of_a_file_are_checked() {
    let (port, patients) = Patient::start_on_one_port(FOUND, &SICK);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("endpoints.yaml");
    let change = |ips: &[&str]| {
        let text: String = ips.iter().map(|ip| format!("- {ip}:{port}\n")).collect();
        write(folder.path().join("new.yaml"), text).unwrap();
        rename(folder.path().join("new.yaml"), &file).unwrap();
    };
    change(&FOUND[..3]);
    let cluster =
        format!("name: api, endpoints_file: {}, {CHECK}, healthy_panic_threshold: 0", file.display());
    let config = Config::new().set("workers: 2").http("web", "", "{ match: {}, cluster: api }");
    let proxy = Proxy::start(&config.cluster_with(&cluster));
    assert_health_of_found(&proxy, port, &patients, change);
    drop(patients);
    proxy.assert_home();
}
