//! Many clients at once: wrk without an error, the admin interface beside it, several workers at work.

use crate::support::nginx::Nginx;
use crate::support::peers::program;
use crate::support::{Config, Proxy, turns, until};
use rustix::process::Signal;
use serde_json::Value;
use std::process::{Command, Stdio};

/// Runs wrk for two seconds with `meanwhile` beside it; tells what it printed.
fn wrk(url: &str, meanwhile: impl FnOnce()) -> String {
    let mut command = Command::new(program("wrk"));
    command.args(["-t", "1", "-c", "64", "-d", "2s", "--timeout", "10s", url]);
    let wrk = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("wrk starts");
    meanwhile();
    let output = wrk.wait_with_output().expect("it is our child");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    said
}

#[track_caller]
fn assert_no_errors(said: &str) {
    assert!(!said.contains("Socket errors") && !said.contains("Non-2xx"), "{said}");
    let requests =
        said.lines().find_map(|line| line.trim().split_once(" requests in")).map(|(count, _)| count);
    let requests: u64 = requests.and_then(|count| count.trim().parse().ok()).unwrap_or(0);
    assert!(requests > 1000, "{said}");
}

#[test]
fn wrk_sees_no_error_and_the_admin_interface_answers_beside_it() {
    let _turn = turns::heavy();
    let nginx = Nginx::start();
    let proxy = Proxy::start(&Config::http_to(nginx.address()));
    let said = wrk(&proxy.url("/hello"), || {
        until("traffic", || {
            (proxy.metrics().sum_where("sidering_cluster_upstream_rq_total", "\"api\"") > 1000.0)
                .then_some(())
        });
        assert_eq!(proxy.admin("/ready"), (200, "LIVE\n".to_owned()));
        let json = |path: &str| -> Value {
            let (status, text) = proxy.admin(path);
            assert_eq!(status, 200, "{path}: {text}");
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
        };
        assert_eq!(json("/server_info")["state"], "LIVE");
        assert!(json("/config_dump").is_object());
        let (status, clusters) = proxy.admin("/clusters");
        assert!(status == 200 && clusters.contains(&nginx.address().to_string()), "{clusters}");
    });
    assert_no_errors(&said);
    drop(nginx);
    proxy.assert_home();
}

#[test]
fn reloads_under_load_cost_no_request() {
    let _turn = turns::heavy();
    let nginx = Nginx::start();
    let config = Config::http_to(nginx.address()).set("workers: 2");
    let proxy = Proxy::start(&config);
    let said = wrk(&proxy.url("/hello"), || {
        for round in 1..=10 {
            // The cluster is another one each time: its connections are replaced under way.
            let cluster = format!("pool: {{ max_connections: {} }}", 100 + round);
            let routes = "{ match: {}, cluster: api }";
            let next = Config::new().set("workers: 2").http("web", "", routes);
            let next = next.cluster("api", nginx.address(), &cluster);
            proxy.write_config(&next.text(proxy.folder()));
            proxy.signal(Signal::HUP);
            until("the new configuration on all cores", || {
                let metrics = proxy.metrics();
                let behind = metrics.sum("sidering_core_snapshot_version") < 2.0 * f64::from(round + 1);
                (!behind).then_some(())
            });
        }
    });
    assert_no_errors(&said);
    drop(nginx);
    proxy.assert_home();
}

#[test]
fn several_workers_serve_side_by_side() {
    let _turn = turns::heavy();
    let nginx = Nginx::start();
    let proxy = Proxy::start(&Config::http_to(nginx.address()).set("workers: 2"));
    assert_no_errors(&wrk(&proxy.url("/hello"), || ()));
    // Counters are read one after the other: only at rest do they fit together.
    let metrics = until("the last requests to end", || {
        let metrics = proxy.metrics();
        (metrics.sum_where("sidering_http_downstream_rq_active", "") == 0.0).then_some(metrics)
    });
    let turns = |core: u32| metrics.sum_where("sidering_core_turns", &format!("=\"{core}\""));
    assert!(turns(0) > 100.0 && turns(1) > 100.0, "both have worked: {} and {}", turns(0), turns(1));
    let (requests, answers) = (
        metrics.sum_where("sidering_cluster_upstream_rq_total", "\"api\""),
        metrics.sum_where("sidering_http_downstream_rq_total", ""),
    );
    assert!(requests > 1000.0 && answers >= requests, "{requests} upstream, {answers} downstream");
    drop(nginx);
    proxy.assert_home();
}
