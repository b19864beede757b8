//! Where endpoints come from, as files say it.

use super::tests::{SMALL, load, problems};
use crate::discovery::resolver::LookupFamily;
use crate::discovery::schedule::{FailureRefresh, RefreshOptions};
use crate::discovery::{DnsSource, EndpointSource};

/// The file with these keys in the place of its cluster's endpoints.
fn with(keys: &str) -> String {
    SMALL.replace("endpoints: [127.0.0.1:8080]", keys)
}

fn dns(keys: &str) -> DnsSource {
    let mut loaded = load(&with(keys)).unwrap_or_else(|report| panic!("{report}"));
    assert!(loaded.snapshot.clusters[0].endpoints.is_empty());
    let discovery = loaded.discoveries.remove(0);
    assert_eq!((discovery.cluster.as_str(), loaded.discoveries.len()), ("api", 0));
    let EndpointSource::Dns(source) = discovery.source else { panic!("no names") };
    source
}

#[test]
fn a_cluster_that_lists_addresses_is_not_searched_for() {
    for keys in ["endpoints: [127.0.0.1:1]", "discovery: static\n  endpoints: [127.0.0.1:1]"] {
        let loaded = load(&with(keys)).unwrap();
        assert_eq!((loaded.discoveries.len(), loaded.snapshot.clusters[0].endpoints.len()), (0, 1));
    }
}

#[test]
fn names_get_the_documented_defaults() {
    let source =
        dns("discovery: strict_dns\n  endpoints: [api.internal:80, { address: '[::1]:81', weight: 7 }]");
    assert_eq!((source.is_logical, source.family), (false, LookupFamily::Auto));
    assert_eq!(source.refresh, RefreshOptions::default());
    assert_eq!((source.refresh.refresh_ms, source.refresh.min_refresh_ms), (5000, 1000));
    assert!(source.servers.is_empty());
    let targets: Vec<_> = source
        .targets
        .iter()
        .map(|target| (target.host.as_str(), target.port, target.template.weight))
        .collect();
    assert_eq!(targets, [("api.internal", 80, 1), ("::1", 81, 7)]);
    assert_eq!(source.targets[0].template.hostname.as_deref(), Some("api.internal"));
    assert!(!source.targets[0].template.is_logical);
}

#[test]
fn all_keys_are_taken() {
    let source = dns("discovery: logical_dns
  endpoints: [api.internal:80]
  dns_lookup_family: all
  dns_refresh_rate: 10s
  dns_min_refresh_rate: 250ms
  dns_failure_refresh_rate: { base_interval: 2s }
  dns_jitter: 1s
  respect_dns_ttl: true
  dns_resolvers: [127.0.0.1:53, '[::1]:5353']");
    assert_eq!((source.is_logical, source.family), (true, LookupFamily::All));
    let expected = RefreshOptions {
        refresh_ms: 10_000,
        min_refresh_ms: 250,
        respect_ttl: true,
        failure: Some(FailureRefresh { base_ms: 2000, max_ms: 20_000 }),
        jitter_ms: 1000,
    };
    assert_eq!(source.refresh, expected);
    assert_eq!(source.servers.len(), 2);
    assert!(source.targets[0].template.is_logical);
}

#[test]
fn a_file_takes_the_place_of_the_list() {
    let loaded = load(&with("endpoints_file: some/e.yaml")).unwrap_or_else(|report| panic!("{report}"));
    assert!(loaded.snapshot.clusters[0].endpoints.is_empty());
    assert_eq!(loaded.discoveries[0].source, EndpointSource::File("some/e.yaml".into()));
}

#[test]
fn each_mistake_has_its_words() {
    let strict = |rest: &str| format!("discovery: strict_dns\n  endpoints: [a:1]\n  {rest}");
    for (keys, expected) in [
        ("endpoints_file: ''".to_owned(), "12:19 `` is no path | "),
        (
            "endpoints_file: e\n  endpoints: [127.0.0.1:1]".to_owned(),
            "13:3 `endpoints` has no meaning here | it belongs to a cluster without `endpoints_file`",
        ),
        (
            "endpoints: [api.internal:80]".to_owned(),
            "12:15 `api.internal:80` is not an address | an IP address; host names",
        ),
        (
            "endpoints: [127.0.0.1:1]\n  dns_jitter: 1s".to_owned(),
            "13:3 `dns_jitter` has no meaning here | it belongs to a cluster with",
        ),
        (
            "discovery: eds\n  endpoints: [127.0.0.1:1]".to_owned(),
            "12:14 `eds` is in the format but not in this version | ",
        ),
        (
            "discovery: dns\n  endpoints: [127.0.0.1:1]".to_owned(),
            "12:14 `dns` is not among the choices | static, strict_dns, logical_dns",
        ),
        (
            "discovery: strict_dns".to_owned(),
            "11:3 a cluster without `endpoints` | `endpoints`: a list of host:port",
        ),
        (
            "discovery: strict_dns\n  endpoints: ['unix:/a']".to_owned(),
            "13:15 `unix:/a` is not a host with a port | ",
        ),
        ("discovery: strict_dns\n  endpoints: [a:0]".to_owned(), "13:15 nothing can be reached on port 0 | "),
        (
            "discovery: strict_dns\n  endpoints: [a:1, A:1]".to_owned(),
            "13:20 A:1 is an endpoint of this cluster already | each name once; it is on line 13",
        ),
        (
            "discovery: logical_dns\n  endpoints: [a:1, b:1]".to_owned(),
            "13:20 a second endpoint of a cluster with `discovery: logical_dns` | one name;",
        ),
        (
            strict("dns_lookup_family: v4"),
            "14:22 `v4` is not among the choices | auto, v4_only, v6_only, v4_preferred, all",
        ),
        (strict("dns_refresh_rate: 0s"), "14:21 `0s` is out of range | 1ms to "),
        (strict("dns_failure_refresh_rate: {}"), "14:29 a failure refresh rate without `base_interval` | "),
        (
            strict("dns_failure_refresh_rate: { base_interval: 2s, max_interval: 1s }"),
            "14:50 `max_interval` is shorter than `base_interval` | at least the base_interval of 2s",
        ),
        (strict("dns_resolvers: ['unix:/a']"), "14:19 a name server on a unix socket | ip:port or [v6]:port"),
        (strict("respect_dns_ttl: maybe"), "14:20 `maybe` is not a boolean | true or false"),
    ] {
        let found = problems(&with(&keys));
        assert!(found.first().is_some_and(|line| line.starts_with(expected)), "{keys}: {found:#?}");
        assert_eq!(found.len(), 1, "{keys}: {found:#?}");
    }
}

#[test]
fn name_servers_are_bounded() {
    let servers = |count: usize| {
        let list = (1..=count).map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(", ");
        problems(&with(&format!("discovery: strict_dns\n  endpoints: [a:1]\n  dns_resolvers: [{list}]")))
    };
    assert_eq!([15, 16, 17].map(|count| servers(count).len()), [0, 0, 1]);
    assert!(servers(17)[0].contains("at most 16"));
}
