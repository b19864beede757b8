//! Retries, circuit breakers and timeouts: what is understood, and every mistake with its place.

use super::tests::{ROUTE, changed, http, load, problems};
use sidering_dataplane::config::*;

#[test]
fn retries_and_bounds_are_read() {
    let text = r#"
listeners:
- name: web
  address: 127.0.0.1:0
  protocol: http
  envoy_headers: obey
  virtual_hosts:
  - domains: ['*']
    routes:
    - match: { path: /plain }
      cluster: api
    - match: {}
      cluster: api
      idle_timeout: 0s
      max_stream_duration: 1m
      retry:
        on: [connect-failure, retriable-status-codes, retriable-headers, unavailable]
        attempts: 2
        per_try_timeout: 1s
        hedge_on_per_try_timeout: true
        back_off: { base: 10ms }
        status_codes: [418]
        headers: [X-Again]
      buffer_bytes: 2MiB
      mirror: { cluster: other, percent: 12.5 }
clusters:
- name: api
  endpoints: [127.0.0.1:8080]
  circuit_breaker: { max_requests: 10, retry_budget: { percent: 5 } }
- { name: other, endpoints: [127.0.0.1:8080] }
"#;
    let loaded = load(text).unwrap();
    assert!(loaded.report.problems.is_empty(), "{}", loaded.report);
    let snapshot = loaded.snapshot;
    assert_eq!(snapshot.cores, 2);
    let web = http(&snapshot.listeners[0]);
    assert_eq!(web.options.envoy_headers, EnvoyHeaders::Obey);
    let forward = |index: usize| match &web.routes.virtual_hosts()[0].routes[index].action {
        RouteAction::Forward(forward) => forward.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(forward(0), Forward { timeout_ms: 15_000, ..Forward::default() });
    let full = forward(1);
    let mirror = Mirror { cluster: ClusterIndex(1), share: Share(125_000) };
    assert_eq!((forward(0).mirror, full.mirror), (None, Some(mirror)));
    assert_eq!((forward(0).buffer_bytes, full.buffer_bytes), (None, Some(2 << 20)));
    assert_eq!((full.idle_timeout_ms, full.max_stream_duration_ms), (Some(0), 60_000));
    let on = RetryOn::CONNECT_FAILURE
        .with(RetryOn::RETRIABLE_STATUS_CODES)
        .with(RetryOn::RETRIABLE_HEADERS)
        .with(RetryOn::GRPC_UNAVAILABLE);
    let policy = RetryPolicy {
        on,
        attempts: 2,
        per_try_timeout_ms: 1000,
        hedge_on_per_try_timeout: true,
        back_off: BackOff { base_ms: 10, max_ms: 100 },
        status_codes: vec![418],
        headers: vec!["x-again".to_owned()],
    };
    assert_eq!(full.retry.as_deref(), Some(&policy));
    let retry_budget = Some(RetryBudget { percent: 5, min_concurrency: 3 });
    let breaker = CircuitBreaker { max_requests: 10, max_retries: 3, retry_budget };
    assert_eq!(snapshot.clusters[0].circuit_breaker, breaker);
    assert_eq!(snapshot.clusters[1].circuit_breaker, CircuitBreaker::default());
}

#[test]
fn every_mistake_has_its_place() {
    for (from, to, expected) in [
        (
            ROUTE,
            "cluster: api\n      mirror: { percent: 1 }\nclusters",
            "10:15 a mirror without `cluster` | `cluster`: the name of a cluster",
        ),
        (
            ROUTE,
            "direct_response: { status: 200 }\n      mirror: { cluster: api }\nclusters",
            "10:7 `mirror` has no meaning here | it belongs to routes with a cluster",
        ),
        (
            ROUTE,
            "cluster: api\n      retry: {}\nclusters",
            "10:14 a retry policy without `on` | `on`: a list of conditions",
        ),
        (
            ROUTE,
            "cluster: api\n      retry: { on: [5x] }\nclusters",
            "10:21 `5x` is not a condition | did you mean `5xx`?",
        ),
        (
            ROUTE,
            "cluster: api\n      retry: { on: [5xx], attempts: 101 }\nclusters",
            "10:37 101 is out of range | a whole number from 0 to 100",
        ),
        (
            ROUTE,
            "cluster: api\n      retry: { on: [retriable-headers] }\nclusters",
            "10:14 `retriable-headers` without `headers` | `headers`: a list",
        ),
        (
            ROUTE,
            "cluster: api\n      retry: { on: [5xx], status_codes: [503] }\nclusters",
            "10:27 `status_codes` that nobody asks for | `retriable-status-codes` in `on`",
        ),
        (
            ROUTE,
            "cluster: api\n      retry: { on: [5xx], back_off: { base: 1s, max: 10ms } }\nclusters",
            "10:49 a back-off that is over before it has begun | at least `base`",
        ),
        (
            ROUTE,
            "direct_response: { status: 200 }\n      retry: { on: [5xx] }\nclusters",
            "10:7 `retry` has no meaning here | it belongs to routes with a cluster",
        ),
        (
            "- name: api\n",
            "- name: api\n  circuit_breaker: { max_retries: 1, retry_budget: {} }\n",
            "12:22 `max_retries` beside `retry_budget` | one of them",
        ),
        (
            "- name: api\n",
            "- name: api\n  circuit_breaker: { per_host: {} }\n",
            "12:22 `per_host` is in the format but not in this version | no such key yet: leave it out",
        ),
    ] {
        let found = problems(&changed(from, to));
        assert!(found.first().is_some_and(|line| line.starts_with(expected)), "{from} -> {to}: {found:#?}");
    }
}

#[test]
fn hedging_needs_a_timeout_to_hedge_on() {
    for (policy, expected) in [
        ("hedge_on_per_try_timeout: true", Some("10:27 nothing to hedge on | `per_try_timeout`, unless")),
        ("hedge_on_per_try_timeout: false", None),
        ("hedge_on_per_try_timeout: true, per_try_timeout: 1s", None),
        ("hedge_on_per_try_timeout: 1", Some("10:53 ")),
    ] {
        let found = problems(&changed(
            ROUTE,
            &format!("cluster: api\n      retry: {{ on: [5xx], {policy} }}\nclusters"),
        ));
        let suits = match expected {
            Some(expected) => found.first().is_some_and(|line| line.starts_with(expected)),
            None => found.is_empty(),
        };
        assert!(suits, "{policy}: {found:#?}");
    }
}
