//! What control makes of what searches find.

use super::*;
use crate::config::{Loaded, Overrides, parse};
use sidering_dataplane::io::Address;

fn loaded(clusters: &str) -> Loaded {
    let text = format!(
        "listeners: [{{ name: a, address: 127.0.0.1:0, protocol: tcp, cluster: one }}]\nclusters: [{clusters}]\n"
    );
    parse("test", &text, &Overrides::default()).unwrap_or_else(|report| panic!("{report}"))
}

fn endpoints(ports: &[u16]) -> Arc<[Endpoint]> {
    ports.iter().map(|port| Endpoint::new(Address::Ip(([127, 0, 0, 1], *port).into()))).collect()
}

fn adopt(search: &mut EndpointSearch, loaded: &Loaded) -> Snapshot {
    let mut snapshot = loaded.snapshot.clone();
    search.fill(&mut snapshot, &loaded.discoveries);
    let endpoints = snapshot.clusters.iter().map(|cluster| Arc::clone(&cluster.endpoints)).collect();
    search.adopt(&snapshot, endpoints, &loaded.discoveries);
    snapshot
}

fn find(
    search: &mut EndpointSearch,
    cluster: &str,
    outcome: Outcome,
) -> Option<(ClusterIndex, Arc<[Endpoint]>)> {
    let discovery = search.discoverer.followed().into_iter().find(|known| known.cluster == cluster).unwrap();
    search.take(Found { discovery, outcome, is_complete: true }).map(|taken| (taken.cluster, taken.now))
}

const TWO: &str =
    "{ name: one, endpoints: [127.0.0.1:1] }, { name: two, discovery: strict_dns, endpoints: [a.test:80] }";

#[test]
fn what_is_found_changes_one_cluster_and_is_counted() {
    let mut search = EndpointSearch::default();
    assert!(adopt(&mut search, &loaded(TWO)).clusters[1].endpoints.is_empty());
    let (index, found) = find(&mut search, "two", Outcome::Endpoints(endpoints(&[5, 6]))).unwrap();
    assert_eq!((index, found.len()), (ClusterIndex(1), 2));
    assert_eq!(search.of("two"), Some(&found));
    assert_eq!(search.of("one").unwrap().len(), 1);
    assert!(find(&mut search, "two", Outcome::Endpoints(endpoints(&[5, 6]))).is_none());
    assert!(find(&mut search, "two", Outcome::Failed("no".to_owned())).is_none());
    assert_eq!(search.of("two"), Some(&found), "a failure keeps them");
    assert_eq!(find(&mut search, "two", Outcome::Endpoints(endpoints(&[]))).unwrap().1.len(), 0);
    let expected = SearchCounters {
        update_attempt: 4,
        update_success: 3,
        update_failure: 1,
        update_empty: 1,
        update_no_rebuild: 1,
    };
    assert_eq!(search.search("two").unwrap().1, expected);
    assert!(search.search("one").is_none());
}

#[test]
fn a_search_that_stays_goes_on_across_configurations() {
    let mut search = EndpointSearch::default();
    adopt(&mut search, &loaded(TWO));
    let before = search.discoverer.followed();
    find(&mut search, "two", Outcome::Endpoints(endpoints(&[5])));
    let turned = "{ name: two, discovery: strict_dns, endpoints: [a.test:80] }, { name: one, endpoints: [127.0.0.1:1] }";
    let snapshot = adopt(&mut search, &loaded(turned));
    assert_eq!(snapshot.clusters[0].endpoints, endpoints(&[5]));
    assert!(Arc::ptr_eq(&before[0], &search.discoverer.followed()[0]));
    assert_eq!(find(&mut search, "two", Outcome::Endpoints(endpoints(&[7]))).unwrap().0, ClusterIndex(0));
}

#[test]
fn another_search_keeps_the_endpoints_until_it_has_an_answer_and_the_old_one_is_not_heard() {
    let mut search = EndpointSearch::default();
    adopt(&mut search, &loaded(TWO));
    let old = search.discoverer.followed().remove(0);
    find(&mut search, "two", Outcome::Endpoints(endpoints(&[5])));
    let other = TWO.replace("a.test", "b.test").replace(
        "{ name: one, endpoints: [127.0.0.1:1] }",
        "{ name: one, discovery: strict_dns, endpoints: [c.test:1] }",
    );
    let snapshot = adopt(&mut search, &loaded(&other));
    assert_eq!(snapshot.clusters[1].endpoints, endpoints(&[5]));
    assert_eq!(snapshot.clusters[0].endpoints, endpoints(&[1]), "what the file listed before");
    let late = Found { discovery: old, outcome: Outcome::Endpoints(endpoints(&[9])), is_complete: true };
    assert!(search.take(late).is_none());
    assert_eq!(search.search("two").unwrap().1.update_attempt, 1, "counters live on, as a cluster's do");
    find(&mut search, "one", Outcome::Failed("no".to_owned()));
    find(&mut search, "two", Outcome::Endpoints(endpoints(&[6])));
    assert_eq!((search.of("one"), search.of("two")), (Some(&endpoints(&[1])), Some(&endpoints(&[6]))));
}

#[test]
fn what_is_found_before_a_configuration_is_in_use_is_in_it() {
    let mut search = EndpointSearch::default();
    let first = loaded(TWO);
    assert!(!search.knows(&first.discoveries));
    search.warm(&first.discoveries);
    assert_eq!((search.is_warm(), search.cold()), (false, vec!["two"]));
    let begun = search.discoverer.followed();
    assert!(find(&mut search, "two", Outcome::Endpoints(endpoints(&[5]))).is_none());
    assert!(search.is_warm());
    assert_eq!(adopt(&mut search, &first).clusters[1].endpoints, endpoints(&[5]));
    assert!(search.knows(&first.discoveries));
    assert!(Arc::ptr_eq(&begun[0], &search.discoverer.followed()[0]), "the search goes on");
    assert_eq!(search.search("two").unwrap().1.update_attempt, 1);
}

#[test]
fn what_is_begun_for_another_configuration_leaves_the_one_in_use_alone_until_then() {
    let mut search = EndpointSearch::default();
    adopt(&mut search, &loaded(TWO));
    let used = search.discoverer.followed().remove(0);
    find(&mut search, "two", Outcome::Endpoints(endpoints(&[5])));
    let other = loaded(&TWO.replace("a.test", "b.test"));
    search.warm(&other.discoveries);
    search.warm(&other.discoveries);
    let both = search.discoverer.followed();
    assert_eq!(both.len(), 2, "one that was begun is not begun again");
    let begun = both.into_iter().find(|known| !Arc::ptr_eq(known, &used)).unwrap();
    let found = |discovery: &Arc<Discovery>, port| {
        let outcome = Outcome::Endpoints(endpoints(&[port]));
        Found { discovery: Arc::clone(discovery), outcome, is_complete: true }
    };
    assert!(search.take(found(&begun, 6)).is_none());
    assert_eq!(search.take(found(&used, 7)).unwrap().now, endpoints(&[7]));
    search.warm(&[]);
    assert!(search.is_warm() && search.discoverer.followed().len() == 1, "it is not to be after all");
    assert!(search.take(found(&begun, 8)).is_none());
    search.warm(&other.discoveries);
    let begun = search.discoverer.followed().into_iter().find(|known| !Arc::ptr_eq(known, &used)).unwrap();
    search.take(found(&begun, 9));
    assert_eq!(adopt(&mut search, &other).clusters[1].endpoints, endpoints(&[9]));
    assert_eq!(search.search("two").unwrap().1.update_attempt, 3, "of both that were in use");
}
