//! The same routes for Envoy and for us, the same requests to both: the same answers, or a difference that is explained.
//!
//! `routes.txt` has each route in both languages, `requests.txt` what is asked, `differences.txt` every request that is answered
//! differently, with the reason. What `sidering explain` says of each request is held against ours, too.

mod answer;
mod configs;
mod differences;
mod requests;

use crate::support::envoy::Envoy;
use crate::support::peers::repository;
use crate::support::wire::Wire;
use crate::support::{Config, Origin, Proxy};
use answer::{ask, explained};
use differences::Differences;
use sidering_control::config::{Overrides, parse};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Each tells its name, and has a cluster of that name.
const ORIGINS: [&str; 5] = ["a", "b", "c", "d", "e"];

fn file(name: &str) -> PathBuf {
    repository().join("engine/sidering/tests/end_to_end/envoys_routes").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Both, with the same routes to the same origins.
struct Pair {
    origins: Vec<Origin>,
    config: Config,
    ours: Proxy,
    envoy: Envoy,
}

impl Pair {
    fn start() -> Pair {
        let routes = configs::read(&read("routes.txt"));
        let origins: Vec<Origin> = ORIGINS.iter().map(|name| answer::origin(name)).collect();
        let config = configs::ours(&routes, &origins);
        let ours = Proxy::start(&config);
        let envoy = Envoy::start(&configs::envoys(&routes, &origins));
        Pair { origins, config, ours, envoy }
    }
}

#[test]
fn the_same_requests_go_the_same_way_through_envoy() {
    let requests = requests::read(&read("requests.txt"));
    assert!(requests.len() >= 500, "{} requests", requests.len());
    let Pair { origins, config, ours, envoy } = Pair::start();
    let parsed = parse("ours", &config.text(ours.folder()), &Overrides::default());
    let snapshot = Arc::new(parsed.unwrap_or_else(|report| panic!("{report}")).snapshot);

    let mut found = BTreeMap::new();
    let mut lies = vec![];
    for request in &requests {
        let own = ask(ours.address(&request.listener), request);
        let theirs = ask(envoy.address_of(&request.listener), request);
        let told = explained(&snapshot, &origins, request);
        if told.as_ref().is_some_and(|told| *told != own) {
            lies.push(format!("{}: explained {told:?}, was {own}", request.text));
        }
        if own != theirs {
            found.insert(request.text.clone(), format!("{own} | {theirs}"));
        }
    }
    assert!(lies.is_empty(), "explain says otherwise:\n{}", lies.join("\n"));
    Differences::read(&read("differences.txt")).compare(&found, requests.len());
}

/// Envoy draws lots: within five standard deviations.
#[test]
fn weighted_clusters_get_the_shares_that_envoy_gives_them() {
    const REQUESTS: usize = 4000;
    let weights = [("a", 70), ("b", 20), ("c", 9), ("d", 1), ("e", 0)];
    let Pair { ours, envoy, origins: _origins, .. } = Pair::start();
    for (whose, address) in [("ours", ours.address("web")), ("Envoy's", envoy.address_of("web"))] {
        let mut counts = BTreeMap::new();
        let mut wire = Wire::connect(address).expect("it accepts");
        for _ in 0..REQUESTS {
            wire.send(b"GET /shares/x HTTP/1.1\r\nHost: m.example\r\n\r\n").expect("it reads");
            let answer = wire.response().expect("it answers");
            let name = answer.head.value("x-seen").and_then(|seen| seen.get(..1));
            *counts.entry(name.expect("the origin names itself").to_owned()).or_insert(0) += 1;
        }
        for (name, weight) in weights {
            let (share, count) = (f64::from(weight) / 100.0, counts.get(name).copied().unwrap_or(0));
            let expected = REQUESTS as f64 * share;
            let deviation = (expected * (1.0 - share)).sqrt();
            assert!((f64::from(count) - expected).abs() <= 5.0 * deviation, "{whose}: {counts:?}");
        }
    }
}
