//! Filters in the life of a request: answers of theirs, delays, and what may happen meanwhile.

mod support;

use sidering_dataplane::config::*;
use sidering_dataplane::filter::{FilterConfig, cors, fault, rbac};
use sidering_dataplane::io::*;
use sidering_dataplane::route::RouteTable;
use std::sync::Arc;
use support::*;

const REQUEST: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const DELAY_MS: u64 = 200;

fn chain(filters: Vec<FilterConfig>) -> Snapshot {
    with_chain(http(1), filters)
}

fn with_chain(mut snapshot: Snapshot, filters: Vec<FilterConfig>) -> Snapshot {
    let ListenerKind::Http(http) = &mut snapshot.listeners[0].kind else { panic!("not http") };
    http.filters = filters.into_iter().map(|config| ChainedFilter { config, disabled: false }).collect();
    snapshot
}

fn fault(delay_ms: Option<u64>, status: Option<u16>) -> FilterConfig {
    let delay = delay_ms.map(|ms| fault::Delay::Fixed { ms, share: Share::ALL });
    let abort = status.map(|status| fault::Abort::Fixed { status, share: Share::ALL });
    FilterConfig::Fault(Box::new(fault::Config { delay, abort, ..fault::Config::default() }))
}

fn deny_path(prefix: &str) -> FilterConfig {
    let pattern = StringPattern::Prefix(prefix.into());
    let path = rbac::Condition::UrlPath(StringMatch { pattern, ignore_case: false });
    let policy = rbac::Policy {
        name: "closed".into(),
        permissions: vec![path],
        principals: vec![rbac::Condition::Any],
    };
    let rules = Some(rbac::Rules { action: rbac::Action::Deny, policies: vec![policy] });
    FilterConfig::Rbac(Box::new(rbac::Config { rules, shadow_rules: None }))
}

fn cors_for(origin: &str) -> FilterConfig {
    let pattern = StringPattern::Exact(origin.into());
    let allow_origin = vec![StringMatch { pattern, ignore_case: false }];
    FilterConfig::Cors(Box::new(cors::Config { allow_origin, ..cors::Config::default() }))
}

/// Active faults, and those counted up to now: delays and aborts.
fn faults(bench: &Bench) -> (u64, u64, u64) {
    let counters = &bench.listener.filters.fault;
    (counters.active_faults.get(), counters.delays_injected.get(), counters.aborts_injected.get())
}

#[test]
fn an_abort_answers_and_the_connection_lives_on() {
    let mut bench = Bench::new(chain(vec![fault(None, Some(503))]));
    let client = bench.client();
    for _ in 0..2 {
        bench.receive(client, b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
        let answer = bench.flush_text(client);
        assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nfault filter abort"), "{answer}");
    }
    assert!(bench.io.connects.is_empty() && !bench.is_closed(client));
    assert_eq!(faults(&bench), (0, 0, 2));
    bench.assert_empty();
}

#[test]
fn a_delayed_request_goes_on_when_its_time_has_come_and_not_before() {
    let mut bench = Bench::new(chain(vec![fault(Some(DELAY_MS), None)]));
    let client = bench.client();
    bench.receive(client, b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc");
    bench.advance_ms(DELAY_MS - 10);
    bench.receive(client, b"def");
    assert!(bench.io.connects.is_empty());
    assert_eq!(faults(&bench), (1, 1, 0));
    bench.advance_ms(11);
    let upstream = bench.connected();
    let sent = bench.flush_text(upstream);
    assert!(sent.starts_with("POST /a HTTP/1.1\r\n") && sent.ends_with("\r\n\r\nabcdef"), "{sent}");
    bench.receive(upstream, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert!(bench.flush_text(client).ends_with("\r\n\r\nok"));
    assert_eq!(faults(&bench), (0, 1, 0));
    bench.assert_empty();
}

#[test]
fn a_delayed_request_takes_an_idle_connection_and_the_next_one_is_served_behind_it() {
    let mut bench = Bench::new(http(1));
    let client = bench.client();
    bench.receive(client, REQUEST);
    let upstream = bench.connected();
    bench.flush(upstream);
    bench.receive(upstream, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    bench.flush(client);
    bench.apply(chain(vec![fault(Some(DELAY_MS), None)]));
    bench.receive(client, &[REQUEST, REQUEST].concat());
    for _ in 0..2 {
        bench.advance_ms(DELAY_MS + 1);
        let sent = bench.flush_text(upstream);
        assert_eq!(sent.matches("GET /a").count(), 1, "{sent}");
        bench.receive(upstream, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        assert!(bench.flush_text(client).starts_with("HTTP/1.1 200"));
    }
    assert_eq!(bench.io.connects.len(), 1);
    bench.assert_empty();
}

#[test]
fn a_delay_may_end_in_an_abort_and_a_direct_response_may_be_delayed() {
    let mut bench = Bench::new(chain(vec![fault(Some(DELAY_MS), Some(500))]));
    let client = bench.client();
    bench.receive(client, REQUEST);
    assert_eq!(bench.flush_text(client), "");
    bench.advance_ms(DELAY_MS + 1);
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 500"));
    assert_eq!(faults(&bench), (0, 1, 1));
    bench.apply(chain(vec![fault(Some(DELAY_MS), None)]));
    bench.receive(client, b"GET /direct HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(bench.flush_text(client), "");
    bench.advance_ms(DELAY_MS + 1);
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 204"));
    bench.receive(client, REQUEST);
    bench.advance_ms(DELAY_MS + 1);
    let upstream = bench.connected();
    bench.receive(upstream, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 200"));
    bench.assert_empty();
}

#[test]
fn a_client_that_goes_away_meanwhile_is_forgotten() {
    let mut bench = Bench::new(chain(vec![fault(Some(DELAY_MS), None)]));
    let client = bench.client();
    bench.receive(client, REQUEST);
    bench.end(client, Err(IoError::Reset));
    assert_eq!(faults(&bench), (0, 1, 0));
    bench.advance_ms(DELAY_MS + 1);
    assert!(bench.io.connects.is_empty() && bench.is_closed(client));
    bench.assert_empty();
}

#[test]
fn a_delay_is_bounded_by_the_idle_timeout_and_counts_towards_no_other() {
    let mut bench = Bench::new(chain(vec![fault(Some(30_000), None)]));
    let client = bench.client();
    bench.receive(client, REQUEST);
    bench.advance_ms(limits().stream_idle_timeout_ms + 1);
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 504"));
    bench.assert_empty();
    // The route's timeout of 5 s begins behind the delay.
    let mut bench = Bench::new(chain(vec![fault(Some(6_000), None)]));
    let client = bench.client();
    bench.receive(client, REQUEST);
    bench.advance_ms(6_001);
    let upstream = bench.connected();
    bench.advance_ms(4_900);
    assert_eq!(bench.flush_text(client), "");
    bench.receive(upstream, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 200"));
    bench.assert_empty();
}

/// Two clusters, "origin" and "other"; all requests go to `to`.
fn two_clusters(to: u32, endpoints: [u16; 2]) -> Snapshot {
    let mut snapshot = http(endpoints[0]);
    snapshot.clusters.push(Cluster { name: "other".into(), ..cluster(endpoints[1], "http1") }.into());
    let ListenerKind::Http(http) = &mut snapshot.listeners[0].kind else { panic!("not http") };
    let mut hosts = http.routes.virtual_hosts().to_vec();
    for route in &mut hosts[0].routes {
        if let RouteAction::Forward(forward) = &mut route.action {
            forward.cluster = ClusterIndex(to);
        }
    }
    http.routes = RouteTable::compile(hosts).into();
    snapshot
}

#[test]
fn a_request_delayed_over_a_reload_goes_to_the_cluster_of_its_name() {
    let delayed = || with_chain(two_clusters(1, [1, 2]), vec![fault(Some(DELAY_MS), None)]);
    let mut bench = Bench::new(delayed());
    let client = bench.client();
    bench.receive(client, REQUEST);
    // Both clusters are made anew, the first of them in the place of the second.
    let mut swapped = two_clusters(0, [3, 4]);
    swapped.clusters.swap(0, 1);
    for cluster in &mut swapped.clusters {
        let port = if cluster.name == "other" { 9000 } else { 9500 };
        Arc::make_mut(cluster).endpoints =
            vec![Endpoint::new(Address::Ip(([127, 0, 0, 1], port).into()))].into();
    }
    bench.apply(swapped);
    bench.advance_ms(DELAY_MS + 1);
    let upstream = bench.connected();
    assert_eq!(bench.io.socket(upstream).address, Some(Address::Ip(([127, 0, 0, 1], 9000).into())));
    // Without one of its name there is nowhere to go.
    let mut bench = Bench::new(delayed());
    let client = bench.client();
    bench.receive(client, REQUEST);
    bench.apply(http(2));
    bench.advance_ms(DELAY_MS + 1);
    assert!(bench.io.connects.is_empty());
    assert!(bench.flush_text(client).contains("cluster not found"));
    bench.assert_empty();
}

#[test]
fn a_denial_comes_before_the_route_and_answers_pass_the_chain() {
    let mut bench = Bench::new(chain(vec![cors_for("https://a"), deny_path("/closed")]));
    let client = bench.client();
    bench.receive(client, b"GET /closed HTTP/1.1\r\nHost: h\r\nOrigin: https://a\r\n\r\n");
    let answer = bench.flush_text(client);
    assert!(answer.starts_with("HTTP/1.1 403") && answer.ends_with("RBAC: access denied"), "{answer}");
    assert!(answer.contains("access-control-allow-origin: https://a\r\n"), "{answer}");
    bench.receive(client, b"GET /open HTTP/1.1\r\nHost: h\r\nOrigin: https://a\r\n\r\n");
    let upstream = bench.connected();
    bench
        .receive(upstream, b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 0\r\n\r\n");
    let answer = bench.flush_text(client);
    assert_eq!(answer.to_lowercase().matches("access-control-allow-origin").count(), 1, "{answer}");
    assert!(answer.contains("access-control-allow-origin: https://a\r\n"), "{answer}");
    let rbac = &bench.listener.filters.rbac;
    assert_eq!((rbac.allowed.get(), rbac.denied.get()), (1, 1));
    bench.assert_empty();
}

#[test]
fn requests_that_no_route_takes_meet_the_listeners_filters() {
    let mut snapshot = chain(vec![deny_path("/closed")]);
    let ListenerKind::Http(http) = &mut snapshot.listeners[0].kind else { panic!("not http") };
    let domains = vec!["*".into()];
    http.routes = RouteTable::compile(vec![VirtualHost { domains, ..VirtualHost::default() }]).into();
    let mut bench = Bench::new(snapshot);
    let client = bench.client();
    for (path, status) in [("/closed", "403"), ("/open", "404")] {
        bench.receive(client, format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
        let answer = bench.flush_text(client);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
    }
}

#[test]
fn a_path_is_judged_as_it_is_sent_on() {
    let mut snapshot = chain(vec![deny_path("/closed")]);
    let ListenerKind::Http(http) = &mut snapshot.listeners[0].kind else { panic!("not http") };
    http.options.normalize_path = true;
    let mut bench = Bench::new(snapshot);
    let client = bench.client();
    bench.receive(client, b"GET /open/../%63losed/x HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(bench.flush_text(client).starts_with("HTTP/1.1 403"));
}
