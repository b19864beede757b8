//! Endpoints that the configuration only names: found at the start, and again when they change.

use crate::support::access_log::{flags_of, record_of};
use crate::support::name_server::NameServer;
use crate::support::web::reply;
use crate::support::{Config, Origin, Proxy, until};
use std::fs::{create_dir, remove_file, rename, write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::symlink;
use tempfile::TempDir;

/// Origins that answer with their own address, on one port of several addresses of the loopback network.
fn origins<const N: usize>(ips: [&'static str; N]) -> (u16, [Origin; N]) {
    for _ in 0..20 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let started = ips.map(|ip| {
            Origin::start_on(SocketAddr::new(ip.parse().unwrap(), port), move |wire, _| {
                loop {
                    wire.head()?;
                    reply(wire, 200, ip)?;
                }
            })
        });
        if started.iter().all(Option::is_some) {
            return (port, started.map(Option::unwrap));
        }
    }
    panic!("no port that is free on {ips:?}");
}

fn config(server: &NameServer, discovery: &str, port: u16) -> Config {
    let keys = server.keys(discovery);
    Config::new().http("web", "", "{ match: {}, cluster: api }").cluster(
        "api",
        format!("api.test:{port}"),
        &keys,
    )
}

/// One request on a connection of its own.
fn ask(proxy: &Proxy, path: &str) -> (u16, String) {
    let mut wire = proxy.connect("web");
    wire.get(path).unwrap();
    let answer = wire.response().unwrap();
    (answer.status(), answer.text())
}

/// Waits until requests in a row are answered by these and nobody else.
#[track_caller]
fn until_served_by(proxy: &Proxy, expected: &[&str]) {
    until(&format!("answers from {expected:?}"), || {
        let mut answers: Vec<_> = (0..8).map(|_| ask(proxy, "/").1).collect();
        answers.sort();
        answers.dedup();
        (answers == expected).then_some(())
    });
}

#[test]
fn the_first_request_meets_what_a_strict_name_means_and_later_ones_follow_it() {
    let (port, _origins) = origins(["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    let server = NameServer::start();
    server.set("api.test", &["127.0.0.2", "127.0.0.1"]);
    let proxy = Proxy::start(&config(&server, "strict_dns", port));
    assert_eq!(ask(&proxy, "/first").0, 200);
    until_served_by(&proxy, &["127.0.0.1", "127.0.0.2"]);
    server.set("api.test", &["127.0.0.3", "127.0.0.1"]);
    until_served_by(&proxy, &["127.0.0.1", "127.0.0.3"]);
    let clusters = proxy.admin("/clusters").1;
    assert!(clusters.contains(&format!("api::127.0.0.3:{port}::hostname::api.test\n")), "{clusters}");
    assert!(!clusters.contains("127.0.0.2"), "{clusters}");
    server.fail("api.test");
    until("a failure to be counted", || {
        (proxy.metrics().sum("sidering_cluster_update_failure") > 0.0).then_some(())
    });
    until_served_by(&proxy, &["127.0.0.1", "127.0.0.3"]);
    server.set("api.test", &[]);
    until("no endpoint to be left", || (ask(&proxy, "/").0 == 503).then_some(()));
    assert_eq!(ask(&proxy, "/none").0, 503);
    assert_eq!(flags_of(&proxy, "/none"), "UH");
    let metrics = proxy.metrics();
    assert_eq!(metrics.sum("sidering_cluster_membership_total"), 0.0);
    assert!(metrics.sum("sidering_cluster_update_empty") > 0.0);
    proxy.assert_home();
}

#[test]
fn a_logical_name_keeps_the_connections_to_the_address_it_had() {
    let (port, [first, second]) = origins(["127.0.0.1", "127.0.0.2"]);
    let server = NameServer::start();
    server.set("api.test", &["127.0.0.1", "127.0.0.2"]);
    let proxy = Proxy::start(&config(&server, "logical_dns", port));
    let mut wire = proxy.connect("web");
    wire.get("/").unwrap();
    assert_eq!(wire.response().unwrap().text(), "127.0.0.1");
    server.set("api.test", &["127.0.0.2", "127.0.0.1"]);
    until("the name to mean the other", || {
        proxy.admin("/clusters").1.contains(&format!("api::127.0.0.2:{port}::rq_total::1\n")).then_some(())
    });
    wire.get("/").unwrap();
    assert_eq!(wire.response().unwrap().text(), "127.0.0.1", "its connection is as good as a new one");
    assert_eq!(second.accepted(), 0);
    // The pooled connection goes, and a new one goes to where the name points now.
    drop(first);
    until("the other to be asked", || (ask(&proxy, "/").1 == "127.0.0.2").then_some(()));
    server.set("api.test", &[]);
    let attempts = proxy.metrics().sum("sidering_cluster_update_attempt");
    until("empty answers", || {
        (proxy.metrics().sum("sidering_cluster_update_attempt") > attempts + 3.0).then_some(())
    });
    assert_eq!(ask(&proxy, "/").1, "127.0.0.2", "the last address stays");
}

#[test]
fn a_name_that_cannot_be_resolved_at_the_start_is_503_until_it_can() {
    let (port, _origins) = origins(["127.0.0.1"]);
    let server = NameServer::start();
    server.fail("api.test");
    let proxy = Proxy::start(&config(&server, "strict_dns", port));
    assert_eq!(ask(&proxy, "/none").0, 503);
    assert_eq!(flags_of(&proxy, "/none"), "UH");
    let said = proxy.said();
    assert!(said.contains("cluster=api") && said.contains("`api.test` cannot be resolved"), "{said}");
    server.set("api.test", &["127.0.0.1"]);
    until_served_by(&proxy, &["127.0.0.1"]);
}

/// Endpoints in a file that is replaced as users and Kubernetes replace files.
#[test]
fn a_file_with_endpoints_is_followed_and_a_bad_one_changes_nothing() {
    let (port, [first, _second]) = origins(["127.0.0.1", "127.0.0.2"]);
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let version = |number: u8, content: &str| {
        create_dir(at(&format!("..{number}"))).unwrap();
        write(at(&format!("..{number}/e.yaml")), content).unwrap();
        symlink(format!("..{number}"), at("..tmp")).unwrap();
        rename(at("..tmp"), at("..data")).unwrap();
    };
    version(1, &format!("- 127.0.0.1:{port}\n"));
    symlink("..data/e.yaml", at("e.yaml")).unwrap();
    let cluster = format!("name: api, endpoints_file: {}", at("e.yaml").display());
    let proxy =
        Proxy::start(&Config::new().http("web", "", "{ match: {}, cluster: api }").cluster_with(&cluster));
    let mut wire = proxy.connect("web");
    wire.get("/").unwrap();
    assert_eq!(wire.response().unwrap().text(), "127.0.0.1", "it is there for the first request");

    version(2, &format!("- 127.0.0.1:{port}\n- {{ address: 127.0.0.2:{port}, weight: 2 }}\n"));
    until_served_by(&proxy, &["127.0.0.1", "127.0.0.2"]);
    assert_eq!(first.ended(), 0, "who stays keeps its connections");

    version(3, &format!("- 127.0.0.1:{port}\n- 127.0.0.1:{port}\n"));
    until("the mistake to be told", || proxy.said().contains("e.yaml:2:3: error").then_some(()));
    until_served_by(&proxy, &["127.0.0.1", "127.0.0.2"]);

    write(at("..3/e.yaml"), format!("- 127.0.0.2:{port}\n")).unwrap();
    until_served_by(&proxy, &["127.0.0.2"]);
    write(at("..3/e.yaml"), "[]\n").unwrap();
    until("no endpoint to be left", || (ask(&proxy, "/").0 == 503).then_some(()));
    // A plain file in the place of the link.
    write(at("new.yaml"), format!("- 127.0.0.1:{port}\n")).unwrap();
    rename(at("new.yaml"), at("e.yaml")).unwrap();
    until_served_by(&proxy, &["127.0.0.1"]);
    remove_file(at("e.yaml")).unwrap();
    until("its loss to be told", || proxy.said().contains("e.yaml: cannot be read").then_some(()));
    until_served_by(&proxy, &["127.0.0.1"]);
}

/// Happy eyeballs: nobody is at the first addresses, of both families.
#[test]
fn a_logical_name_of_several_addresses_is_reached_at_one_that_answers() {
    let (port, origins) = origins(["127.0.0.1"]);
    let server = NameServer::start();
    server.set("api.test", &["127.0.0.7", "127.0.0.8", "127.0.0.1", "::1"]);
    let keys = format!("{}, dns_lookup_family: all", server.keys("logical_dns"));
    let cluster = format!("name: api, endpoints: [\"api.test:{port}\"], {keys}");
    let config = Config::new().http("web", "", "{ match: {}, cluster: api }").cluster_with(&cluster);
    let proxy = Proxy::start(&config);
    for path in ["/first", "/second"] {
        assert_eq!(ask(&proxy, path), (200, "127.0.0.1".to_owned()));
        assert_eq!(record_of(&proxy, path)["upstream_host"], format!("127.0.0.1:{port}"));
    }
    let metrics = proxy.metrics();
    assert_eq!(metrics.sum("sidering_cluster_upstream_cx_connect_fail"), 3.0, "each failure");
    assert_eq!(metrics.sum("sidering_cluster_upstream_cx_active"), 1.0, "and one that is kept");
    drop(origins);
    proxy.assert_home();
}
