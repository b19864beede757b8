//! Clusters: how requests are spread over their endpoints, and every mistake with its place.

use super::tests::{SMALL, load, problems};
use sidering_dataplane::config::{Cluster, PriorityPolicy};

/// The small file with these keys for its cluster in addition.
fn with(keys: &str) -> String {
    format!("{SMALL}  {keys}\n")
}

fn cluster(text: &str) -> Cluster {
    let loaded = load(text).unwrap_or_else(|report| panic!("{report}"));
    loaded.snapshot.clusters[0].clone()
}

#[test]
fn priorities_are_taken_as_they_are() {
    assert_eq!(cluster(SMALL).priorities, PriorityPolicy::default());
    let given = cluster(&with("healthy_panic_threshold: 0\n  overprovisioning_factor: 200"));
    let expected = PriorityPolicy { panic_threshold_percent: 0, overprovisioning_percent: 200 };
    assert_eq!(given.priorities, expected);
    let endpoints = "endpoints: [{ address: 127.0.0.1:1, priority: 127 }, 127.0.0.1:2]";
    let given = cluster(&SMALL.replace("endpoints: [127.0.0.1:8080]", endpoints));
    assert_eq!([given.endpoints[0].priority, given.endpoints[1].priority], [127, 0]);
}

#[test]
fn impossible_priorities_are_told() {
    for (keys, expected) in [
        ("healthy_panic_threshold: 101", "0 to 100"),
        ("overprovisioning_factor: 0", "1 to 10000"),
        ("overprovisioning_factor: 10001", "1 to 10000"),
    ] {
        let told = problems(&with(keys)).join("\n");
        assert!(told.contains(expected), "{told}");
    }
    let endpoints = "endpoints: [{ address: 127.0.0.1:1, priority: 128 }]";
    let told = problems(&SMALL.replace("endpoints: [127.0.0.1:8080]", endpoints)).join("\n");
    assert!(told.contains("0 to 127"), "{told}");
}
