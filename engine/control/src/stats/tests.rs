//! What comes out for counters that went up.

use super::*;
use crate::config::{Overrides, parse};
use std::sync::Arc;

fn facts() -> ProcessFacts {
    ProcessFacts {
        version: "1.2.3",
        engine: "epoll",
        engine_reason: "auto: io_uring_setup: \"no\"".to_owned(),
        workers: 2,
        uptime_seconds: 5,
        live: true,
        state: 0,
        config_version: 1,
        reloads: 0,
        reload_failures: 0,
        access_log_written: 0,
        access_log_lost: 0,
        admin_connections_refused: 0,
    }
}

/// Nothing is searched for.
fn of<'c>(ledger: &'c Ledger, snapshot: &'c Snapshot) -> Counted<'c> {
    Counted { ledger, snapshot, search: Box::leak(Box::default()) }
}

fn counted() -> (Ledger, Arc<Snapshot>) {
    let text = "listeners:
- name: 'we\"b'
  address: 127.0.0.1:80
  protocol: http
  virtual_hosts: [{ domains: ['*'], routes: [{ match: {}, cluster: api }] }]
- { name: db, address: 127.0.0.1:81, protocol: tcp, cluster: db }
clusters:
- { name: api, endpoints: [127.0.0.1:1, 127.0.0.1:2] }
- { name: db, endpoints: [127.0.0.1:3] }
";
    let snapshot = Arc::new(parse("test", text, &Overrides::default()).unwrap().snapshot);
    let mut ledger = Ledger::new(2);
    for update in ledger.apply(&snapshot) {
        update.listeners[0].requests_total.add(2);
        update.listeners[0].responses[1].add(2);
        update.listeners[0].process_time.record(12);
        update.listeners[0].process_time.record(70_000_000);
        update.listeners[1].connections_active.add(1);
        update.clusters[0].counters.requests_total.add(2);
        update.clusters[0].counters.responses[4].add(1);
        update.clusters[0].counters.request_time.record(1500);
    }
    for core in ledger.cores() {
        core.engine.turns.add(7);
        core.core.body_bytes_copied.add(9);
    }
    (ledger, snapshot)
}

#[test]
fn prometheus_has_envoys_names_and_the_sums_of_all_cores() {
    let (ledger, snapshot) = counted();
    let text = prometheus(&of(&ledger, &snapshot), &facts());
    for line in [
        "# HELP sidering_http_downstream_rq_total Requests.",
        "# TYPE sidering_http_downstream_rq_total counter",
        r#"sidering_http_downstream_rq_total{http_conn_manager_prefix="we\"b"} 4"#,
        r#"sidering_http_downstream_rq_xx{response_code_class="2",http_conn_manager_prefix="we\"b"} 4"#,
        r#"sidering_listener_downstream_cx_active{listener_address="127.0.0.1_81",listener_name="db"} 2"#,
        r#"sidering_cluster_upstream_rq_total{cluster_name="api"} 4"#,
        r#"sidering_cluster_upstream_rq_xx{response_code_class="5",cluster_name="api"} 2"#,
        r#"sidering_cluster_membership_healthy{cluster_name="api"} 2"#,
        "# TYPE sidering_process_time histogram",
        r#"sidering_process_time_bucket{http_conn_manager_prefix="we\"b",le="0.007"} 0"#,
        r#"sidering_process_time_bucket{http_conn_manager_prefix="we\"b",le="0.015"} 2"#,
        r#"sidering_process_time_bucket{http_conn_manager_prefix="we\"b",le="67108.863"} 2"#,
        r#"sidering_process_time_bucket{http_conn_manager_prefix="we\"b",le="+Inf"} 4"#,
        r#"sidering_process_time_sum{http_conn_manager_prefix="we\"b"} 140000.024"#,
        r#"sidering_process_time_count{http_conn_manager_prefix="we\"b"} 4"#,
        r#"sidering_cluster_upstream_rq_time_sum{cluster_name="api"} 3"#,
        r#"sidering_engine{engine="epoll"} 1"#,
        r#"sidering_engine_info{engine="epoll",reason="auto: io_uring_setup: \"no\""} 1"#,
        r#"sidering_core_turns{core="1"} 7"#,
        "sidering_body_bytes_copied 18",
        "sidering_server_live 1",
        "sidering_server_uptime 5",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(!text.contains(r#"tcp_prefix="we"#) && !text.contains(r#"http_conn_manager_prefix="db""#));
}

#[test]
fn each_family_is_told_once_and_every_line_is_a_number() {
    let (ledger, snapshot) = counted();
    let text = prometheus(&of(&ledger, &snapshot), &facts());
    let mut types: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    let count = types.len();
    types.sort_unstable();
    types.dedup();
    assert_eq!(types.len(), count);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("sidering_") && value.parse::<f64>().is_ok(), "{line}");
    }
    let memory = text.lines().find(|line| line.starts_with("sidering_server_memory_allocated ")).unwrap();
    assert!(!memory.ends_with(" 0"), "{memory}");
}

#[test]
fn plain_stats_read_like_envoys() {
    let (ledger, snapshot) = counted();
    let text = plain(&of(&ledger, &snapshot), &facts(), "", false);
    for line in [
        "cluster.api.upstream_rq_total: 4",
        "cluster.api.upstream_rq_5xx: 2",
        "http.we\"b.downstream_rq_2xx: 4",
        "listener.127.0.0.1_81.downstream_cx_active: 2",
        "cluster.db.upstream_rq_time: No recorded values",
        "cluster.api.upstream_rq_time: P0(1.535) P25(1.535) P50(1.535) P90(1.535) P99(1.535) P99.9(1.535) P100(1.535)",
        "core.0.turns: 7",
        "server.live: 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(text.lines().is_sorted());
    let filtered = plain(&of(&ledger, &snapshot), &facts(), "cluster.api", true);
    assert!(
        filtered.lines().all(|line| line.starts_with("cluster.api.") && !line.ends_with(": 0")),
        "{filtered}"
    );
    assert!(filtered.lines().count() > 3);
}

#[test]
fn calls_are_told_by_method_and_added_up_over_cores() {
    let (_, snapshot) = counted();
    let mut ledger = Ledger::counting_methods(2, 2);
    ledger.apply(&snapshot);
    for core in ledger.cores() {
        let calls = &core.core.calls;
        for (service, method) in
            [("com.a.Facade", "hello"), ("a \"b\"\n\u{7f}", "x"), ("com.a.Facade", "more")]
        {
            let place = calls.begin("bolt", service.as_bytes(), method.as_bytes(), true);
            calls.end(place, Some(4), 1500);
        }
    }
    let text = prometheus(&of(&ledger, &snapshot), &facts());
    for line in [
        r#"sidering_rpc_downstream_rq_total{protocol="bolt",service="com.a.Facade",method="hello"} 2"#,
        r#"sidering_rpc_downstream_rq_xx{response_code_class="5",protocol="bolt",service="com.a.Facade",method="hello"} 2"#,
        r#"sidering_rpc_downstream_rq_time_count{protocol="bolt",service="com.a.Facade",method="hello"} 2"#,
        r#"sidering_rpc_downstream_rq_total{protocol="bolt",service="a \"b\"__",method="x"} 2"#,
        r#"sidering_rpc_downstream_rq_total{protocol="other",service="other",method="other"} 2"#,
    ] {
        assert!(text.lines().any(|known| known == line), "{line}: {text}");
    }
    assert!(!text.contains("more"));
    let text = plain(&of(&ledger, &snapshot), &facts(), "rpc.", true);
    for line in
        ["rpc.bolt.com.a.Facade.hello.downstream_rq_total: 2", "rpc.other.other.other.downstream_rq_5xx: 2"]
    {
        assert!(text.lines().any(|known| known == line), "{line}: {text}");
    }
}
