//! Clusters: how requests are spread over their endpoints, and every mistake with its place.

use super::tests::{SMALL, load, problems};
use sidering_dataplane::config::{
    Cluster, LoadBalancing, PriorityPolicy, RingSizes, SlowStart, SubsetFallback, SubsetPolicy,
    SubsetSelector, ZoneAware, metadata,
};

/// The small file with these keys for its cluster in addition.
fn with(keys: &str) -> String {
    format!("{SMALL}  {keys}\n")
}

fn cluster(text: &str) -> Cluster {
    let loaded = load(text).unwrap_or_else(|report| panic!("{report}"));
    Cluster::clone(&loaded.snapshot.clusters[0])
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

#[test]
fn balancers_are_taken_as_they_are() {
    let ring = |minimum, maximum| LoadBalancing::RingHash(RingSizes { minimum, maximum });
    for (keys, lb) in [
        ("lb: peak_ewma", LoadBalancing::PeakEwma),
        ("lb: maglev", LoadBalancing::Maglev),
        ("lb: ring_hash", LoadBalancing::RingHash(RingSizes::default())),
        ("lb: ring_hash\n  ring_hash: { minimum_ring_size: 10, maximum_ring_size: 20 }", ring(10, 20)),
        ("lb: ring_hash\n  ring_hash: { maximum_ring_size: 20 }", ring(20, 20)),
    ] {
        assert_eq!(cluster(&with(keys)).lb, lb, "{keys}");
    }
    let slow = cluster(&with("slow_start: { window: 30s, aggression: 1.5, min_weight_percent: 5 }"));
    let expected = SlowStart { window_ms: 30_000, aggression: 1.5, min_weight_percent: 5.0 };
    assert_eq!(slow.slow_start, Some(expected));
    assert_eq!(cluster(SMALL).slow_start, None);
}

#[test]
fn impossible_balancers_are_told() {
    for (keys, expected) in [
        ("lb: hash", "ring_hash"),
        ("ring_hash: {}", "both, or neither"),
        ("lb: ring_hash\n  ring_hash: { minimum_ring_size: 8388609 }", "1 to 8388608"),
        ("lb: ring_hash\n  ring_hash: { minimum_ring_size: 8, maximum_ring_size: 7 }", "at most 7"),
        ("slow_start: {}", "a slow start without `window`"),
        ("slow_start: { window: 1s, aggression: 0 }", "from 0.01 to 100"),
        ("slow_start: { window: 1s, min_weight_percent: 101 }", "0 to 100"),
        ("lb: maglev\n  slow_start: { window: 1s }", "`lb: round_robin` or `lb: least_request`"),
    ] {
        let told = problems(&with(keys)).join("\n");
        assert!(told.contains(expected), "{keys}: {told}");
    }
}

#[test]
fn zones_are_taken_as_they_are() {
    let node = "node: { zone: a, local_cluster: api }\n";
    let endpoints = "endpoints: [{ address: 127.0.0.1:1, zone: b }, 127.0.0.1:2]";
    let text = with("zone_aware: { min_cluster_size: 3 }").replace("endpoints: [127.0.0.1:8080]", endpoints);
    let loaded = load(&format!("{node}{text}")).unwrap_or_else(|report| panic!("{report}"));
    let cluster = &loaded.snapshot.clusters[0];
    let expected = ZoneAware {
        zone: "a".into(),
        routing_enabled_percent: 100,
        min_cluster_size: 3,
        fails_on_panic: false,
        is_forced: false,
    };
    assert_eq!(cluster.zone_aware, Some(expected));
    assert_eq!(cluster.endpoints[0].zone.as_deref(), Some("b"));
    assert_eq!(cluster.endpoints[1].zone, None);
    assert_eq!(loaded.snapshot.local_cluster, Some(sidering_dataplane::config::ClusterIndex(0)));
    let forced = with("zone_aware: { force_locality_direct_routing: true }");
    let loaded = load(&format!("node: {{ zone: a }}\n{forced}")).unwrap_or_else(|report| panic!("{report}"));
    assert!(loaded.snapshot.clusters[0].zone_aware.as_ref().is_some_and(|zone_aware| zone_aware.is_forced));
}

#[test]
fn impossible_zones_are_told() {
    for (node, keys, expected) in [
        ("node: { local_cluster: api }", "zone_aware: {}", "without a zone"),
        ("node: { zone: a }", "zone_aware: {}", "without a local cluster"),
        ("node: { zone: a, local_cluster: apo }", "zone_aware: {}", "did you mean `api`"),
        ("node: { zone: a, local_cluster: api }", "zone_aware: { routing_enabled: 101 }", "0 to 100"),
        ("node: { zon: a }", "lb: random", "zon"),
    ] {
        let told = problems(&format!("{node}\n{}", with(keys))).join("\n");
        assert!(told.contains(expected), "{keys}: {told}");
    }
}

#[test]
fn subsets_are_taken_as_they_are() {
    let keys = "subsets:
    selectors:
    - { keys: [version, stage], fallback_policy: keys_subset, fallback_keys_subset: [version] }
    - { keys: [version], fallback_policy: any_endpoint }
    fallback_policy: default_subset
    default_subset: { version: v1 }";
    let endpoints = "endpoints: [{ address: 127.0.0.1:1, metadata: { version: v2, stage: prod } }]";
    let cluster = cluster(&with(keys).replace("endpoints: [127.0.0.1:8080]", endpoints));
    let own = |text: &str| text.to_owned();
    let selectors = vec![
        SubsetSelector {
            keys: vec![own("stage"), own("version")],
            fallback: Some(SubsetFallback::KeysSubset(vec![own("version")])),
        },
        SubsetSelector { keys: vec![own("version")], fallback: Some(SubsetFallback::AnyEndpoint) },
    ];
    let default_subset = metadata(vec![(own("version"), own("v1"))]);
    let expected = SubsetPolicy { selectors, fallback: SubsetFallback::DefaultSubset, default_subset };
    assert_eq!(cluster.subsets, Some(expected));
    let described = [(own("stage"), own("prod")), (own("version"), own("v2"))];
    assert_eq!(*cluster.endpoints[0].metadata, described);
}

#[test]
fn impossible_subsets_are_told() {
    for (keys, expected) in [
        ("subsets: {}", "selectors"),
        ("subsets: { selectors: [{ keys: [] }] }", "at least one of names"),
        (
            "subsets: { selectors: [{ keys: [a, b] }, { keys: [b, a] }] }",
            "a second selector of the same keys",
        ),
        (
            "subsets: { selectors: [{ keys: [a] }], fallback_policy: default_subset }",
            "`default_subset` is missing",
        ),
        (
            "subsets: { selectors: [{ keys: [a], fallback_policy: keys_subset }] }",
            "`fallback_keys_subset` is missing",
        ),
        ("subsets: { selectors: [{ keys: [a], fallback_keys_subset: [a] }] }", "without its policy"),
        (
            "subsets: { selectors: [{ keys: [a], fallback_policy: keys_subset, fallback_keys_subset: [a] }] }",
            "not fewer of the same keys",
        ),
        (
            "subsets: { selectors: [{ keys: [a] }], fallback_policy: keys_subset }",
            "no_fallback, any_endpoint",
        ),
    ] {
        let told = problems(&with(keys)).join("\n");
        assert!(told.contains(expected), "{keys}: {told}");
    }
}
