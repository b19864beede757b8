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
use crate::support::{Origin, Proxy};
use answer::{ask, explained};
use differences::Differences;
use sidering_control::config::{Overrides, parse};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The clusters, each with one origin that names it.
const CLUSTERS: [&str; 5] = ["a", "b", "c", "d", "e"];

fn file(name: &str) -> PathBuf {
    repository().join("engine/sidering/tests/end_to_end/envoys_routes").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn the_same_requests_go_the_same_way_through_envoy() {
    let hosts = configs::read(&read("routes.txt"));
    let requests = requests::read(&read("requests.txt"));
    assert!(requests.len() >= 500, "{} requests", requests.len());
    let origins: Vec<Origin> = CLUSTERS.iter().map(|name| answer::origin(name)).collect();
    let config = configs::ours(&hosts, &origins);
    let proxy = Proxy::start(&config);
    let envoy = Envoy::start(&configs::envoys(&hosts, &origins));
    let parsed = parse("ours", &config.text(proxy.folder()), &Overrides::default());
    let snapshot = Arc::new(parsed.unwrap_or_else(|report| panic!("{report}")).snapshot);

    let mut found = BTreeMap::new();
    let mut lies = vec![];
    for request in &requests {
        let ours = ask(proxy.address(&request.listener), request);
        let theirs = ask(envoy.address_of(&request.listener), request);
        let told = explained(&snapshot, request);
        if told.as_ref().is_some_and(|told| *told != ours) {
            lies.push(format!("{}: explained {told:?}, was {ours}", request.text));
        }
        if ours != theirs {
            found.insert(request.text.clone(), format!("{ours} | {theirs}"));
        }
    }
    assert!(lies.is_empty(), "explain says otherwise:\n{}", lies.join("\n"));
    Differences::read(&read("differences.txt")).compare(&found, requests.len());
}
