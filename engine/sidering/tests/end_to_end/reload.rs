//! SIGHUP: the file is read anew, what changed takes effect, and a broken file changes nothing.

use crate::support::access_log::record_of;
use crate::support::web::reply;
use crate::support::{Config, End, Origin, Proxy, Wire, let_pass, until};
use rustix::process::Signal;
use std::io::ErrorKind;

fn named(name: &'static str) -> Origin {
    Origin::start(move |wire, _| {
        loop {
            wire.head()?;
            reply(wire, 200, name)?;
        }
    })
}

/// Replaces the file and says so. Ports stay: an address of the old file with port 0 is the one of the new.
fn reload(proxy: &Proxy, config: &Config) {
    proxy.write_config(&config.text(proxy.folder()));
    proxy.signal(Signal::HUP);
}

/// One request on a connection of its own.
fn ask(proxy: &Proxy, listener: &str, path: &str) -> Option<(u16, String)> {
    let mut wire = Wire::connect(proxy.address(listener)).ok()?;
    wire.get(path).ok()?;
    let answer = wire.response().ok()?;
    Some((answer.status(), answer.text()))
}

#[track_caller]
fn until_answered(proxy: &Proxy, path: &str, text: &str) {
    until(&format!("{path} to be answered with {text}"), || {
        ask(proxy, "web", path).filter(|(_, answer)| answer == text).map(|_| ())
    });
}

#[test]
fn a_new_route_takes_effect_and_connections_stay() {
    let (old, new) = (named("old"), named("new"));
    let before = Config::http_to(&old);
    let proxy = Proxy::start(&before);
    let mut wire = proxy.connect("web");
    wire.get("/").unwrap();
    assert_eq!(wire.response().unwrap().text(), "old");
    let routes = "{ match: { prefix: /new }, cluster: fresh }, { match: {}, cluster: api }";
    let after = Config::new().http("web", "", routes).cluster("api", &old, "").cluster("fresh", &new, "");
    reload(&proxy, &after);
    until_answered(&proxy, "/new", "new");
    wire.get("/new").unwrap();
    assert_eq!(wire.response().unwrap().text(), "new", "an open connection follows the new routes");
    wire.get("/").unwrap();
    assert_eq!(wire.response().unwrap().text(), "old");
}

#[test]
fn listeners_are_added_and_removed() {
    let origin = named("a");
    let routes = "{ match: {}, cluster: api }";
    let one = Config::new().http("web", "", routes).cluster("api", &origin, "");
    let two = one.clone().http("second", "", routes);
    let proxy = Proxy::start(&one);
    reload(&proxy, &two);
    assert_eq!(ask(&proxy, "second", "/"), Some((200, "a".to_owned())));
    let second = proxy.address("second");
    let mut idle = Wire::connect(second).unwrap();
    idle.get("/").unwrap();
    idle.response().unwrap();
    reload(&proxy, &one);
    until("the second listener to be gone", || match Wire::connect(second) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Some(()),
        _ => None,
    });
    assert_eq!(idle.assert_ended(), End::Closed, "its idle connections end with it");
    assert_eq!(ask(&proxy, "web", "/"), Some((200, "a".to_owned())));
}

#[test]
fn a_broken_file_keeps_the_old_configuration_and_says_why() {
    let origin = named("a");
    let config = Config::http_to(&origin);
    let mut proxy = Proxy::start(&config);
    let broken = config.text(proxy.folder()).replace("cluster: api", "cluster: gone");
    proxy.write_config(&broken);
    proxy.signal(Signal::HUP);
    until("the reason", || proxy.said().contains("there is no cluster `gone`").then_some(()));
    proxy.assert_alive();
    assert_eq!(ask(&proxy, "web", "/"), Some((200, "a".to_owned())));
    reload(&proxy, &config.set("drain_timeout: 3s"));
    until("the good file to be taken", || proxy.admin("/config_dump").1.contains("3").then_some(()));
}

#[test]
fn connections_to_endpoints_that_stay_outlive_a_change_of_the_others() {
    // Says on which of its connections it was asked.
    let stays = Origin::start(|wire, number| {
        loop {
            wire.head()?;
            reply(wire, 200, &format!("stays {number}"))?;
        }
    });
    let (old, new) = (named("old"), named("new"));
    let of = |second: &Origin, version: &str| {
        let endpoints = [stays.to_string(), second.to_string()].map(|address| format!("\"{address}\""));
        let routes = "{ match: {}, cluster: api }";
        Config::new().http("web", &format!("via: {version}"), routes).cluster_of("api", &endpoints, "")
    };
    let proxy = Proxy::start(&of(&old, "one"));
    let mut wire = proxy.connect("web");
    let mut answers = || -> Vec<String> {
        let mut answer = || {
            wire.get("/").unwrap();
            wire.response().unwrap().text()
        };
        let mut answers = vec![answer(), answer()];
        answers.sort();
        answers
    };
    assert_eq!(answers(), ["old", "stays 0"]);
    reload(&proxy, &of(&new, "two"));
    until("the reload", || proxy.admin("/config_dump").1.contains("two").then_some(()));
    assert_eq!(answers(), ["new", "stays 0"], "on the connection that it had");
    drop((wire, old, new));
}

#[test]
fn requests_under_way_outlive_their_cluster() {
    let slow = Origin::start(|wire, _| {
        wire.head()?;
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")?;
        // The rest comes when the client has asked for more on another connection.
        let_pass(std::time::Duration::from_secs(2));
        wire.send(b"def")
    });
    let next = named("next");
    let proxy = Proxy::start(&Config::http_to(&slow));
    let mut wire = proxy.connect("web");
    wire.get("/").unwrap();
    let head = wire.head().unwrap();
    reload(&proxy, &Config::http_to(&next));
    until_answered(&proxy, "/", "next");
    let mut body = vec![];
    wire.body(&head, |bytes| body.extend_from_slice(bytes)).unwrap();
    assert_eq!(body, b"abcdef");
    wire.get("/").unwrap();
    assert_eq!(wire.response().unwrap().text(), "next");
    drop((wire, next));
    proxy.assert_home();
}

#[test]
fn usr1_opens_the_access_log_anew() {
    let origin = named("a");
    let proxy = Proxy::start(&Config::http_to(&origin));
    let old = proxy.folder().join("access.log.1");
    ask(&proxy, "web", "/first");
    record_of(&proxy, "/first");
    std::fs::rename(proxy.access_log_path(), &old).unwrap();
    proxy.signal(Signal::USR1);
    until("the new file", || proxy.access_log_path().exists().then_some(()));
    ask(&proxy, "web", "/second");
    record_of(&proxy, "/second");
    assert!(!std::fs::read_to_string(&old).unwrap().contains("/second"));
}
