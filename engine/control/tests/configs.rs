//! Every example in configs/ is a configuration without a single problem. (Its folders hold other things.)

use sidering_control::config::{Overrides, expectations, load};
use sidering_control::explain::check;
use std::path::Path;
use std::sync::Arc;

#[test]
fn every_example_loads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let mut names = vec![];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let loaded = load(&path, &Overrides::default()).unwrap_or_else(|error| panic!("{error}"));
        assert!(loaded.report.problems.is_empty(), "{}", loaded.report);
        names.push(path.file_name().unwrap().to_string_lossy().into_owned());
    }
    let examples = [
        "default.yaml",
        "http.yaml",
        "tcp.yaml",
        "access-log.yaml",
        "actions.yaml",
        "filters.yaml",
        "health.yaml",
        "routes.yaml",
        "resilience.yaml",
        "limits.yaml",
        "compression.yaml",
        "headers.yaml",
        "discovery.yaml",
        "route-chain.yaml",
        "balancing.yaml",
        "zone-routing.yaml",
        "bolt.yaml",
        "dubbo.yaml",
        "bridge.yaml",
    ];
    for name in examples {
        assert!(names.iter().any(|known| known == name), "{name} is missing");
    }
}

#[test]
fn the_commented_example_says_the_defaults() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let full =
        load(&folder.join("http.yaml"), &Overrides { workers: Some(1), engine: None }).unwrap().snapshot;
    let small =
        load(&folder.join("default.yaml"), &Overrides { workers: Some(1), engine: None }).unwrap().snapshot;
    assert_eq!(full.listeners[0].limits, small.listeners[0].limits);
    assert_eq!(full.clusters[0].pool, small.clusters[0].pool);
    assert_eq!(full.clusters[0].connect_timeout_ms, small.clusters[0].connect_timeout_ms);
    assert_eq!(full.drain_timeout_ms, small.drain_timeout_ms);
}

/// What is expected of an example, of which there are so many expectations at least.
#[track_caller]
fn assert_expected(name: &str, least: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let loaded = load(&folder.join(name), &Overrides::default()).unwrap_or_else(|error| panic!("{error}"));
    let text = std::fs::read_to_string(folder.join("expectations").join(name)).unwrap();
    let expected = expectations(name, &text).unwrap_or_else(|report| panic!("{report}"));
    let snapshot = Arc::new(loaded.snapshot);
    for expectation in &expected {
        let failures = check(&snapshot, expectation).unwrap_or_else(|error| panic!("{error}"));
        assert!(failures.is_empty(), "{}: {failures:?}", expectation.question.words);
    }
    assert!(expected.len() >= least);
}

#[test]
fn calls_go_where_their_expectations_say() {
    assert_expected("bolt.yaml", 6);
}

#[test]
fn requests_become_the_calls_that_are_expected() {
    assert_expected("bridge.yaml", 7);
}
