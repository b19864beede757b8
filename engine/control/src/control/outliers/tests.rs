//! Outliers as cores, metrics and the admin pages see them.

use super::*;
use crate::control::Reload;
use crate::test_cores::{Orders, start_cold, take};
use sidering_dataplane::config::HealthFlags;
use sidering_dataplane::message::Update;
use tempfile::TempDir;

struct Bench {
    control: Control,
    orders: Orders,
    update: Update,
    _folder: TempDir,
}

impl Bench {
    /// A cluster `c` of these many endpoints, on ports from 1 on.
    fn start(endpoints: usize, detection: &str, more: &str) -> Bench {
        let addresses: Vec<String> = (1..=endpoints).map(|port| format!("127.0.0.1:{port}")).collect();
        let text = format!(
            "listeners: [{{ name: l, address: '127.0.0.1:0', protocol: tcp, cluster: c }}]\n\
             clusters: [{{ name: c, endpoints: [{}], outlier_detection: {{ {detection} }}{more} }}]\n",
            addresses.join(", ")
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        std::fs::write(&path, text).unwrap();
        let (control, orders) = start_cold(&path).unwrap();
        let update = take(&orders).1.expect("a configuration");
        Bench { control, orders, update, _folder: folder }
    }

    fn notice(&mut self, port: u16, kind: RowKind) {
        let endpoint = Address::Ip(([127, 0, 0, 1], port).into());
        self.control.on_notice(&Notice::FailuresInRow { cluster: "c".to_owned(), endpoint, kind });
        self.control.tell_health();
    }

    /// Ends intervals until the cores are told something; what core 0 is told.
    fn told_by_intervals(&mut self) -> String {
        loop {
            self.control.end_intervals();
            self.control.tell_health();
            if let Some(told) = self.told() {
                return told;
            }
        }
    }

    fn told(&self) -> Option<String> {
        let (short, _) = take(&self.orders);
        short.iter().find_map(|line| line.strip_prefix("0: health ").map(str::to_owned))
    }

    fn count(&self, name: &str) -> u64 {
        let facts = self.control.facts();
        let wanted = format!("cluster.c.outlier_detection.{name}");
        let (ledger, search) = (&self.control.setup.ledger, &self.control.search);
        let counted = crate::stats::Counted { ledger, snapshot: &self.control.snapshot, search };
        let text = crate::stats::plain(&counted, &facts, &wanted, false);
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{wanted}: ")));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }
}

#[test]
fn a_row_on_any_core_ejects_on_all_at_once() {
    let mut bench = Bench::start(2, "max_ejected_percent: 50", "");
    bench.notice(1, RowKind::ServerErrors);
    assert_eq!(bench.told().as_deref(), Some("1 failed_outlier_check"));
    let all = ["ejections_active", "ejections_enforced_total", "ejections_enforced_consecutive_5xx"];
    assert_eq!(all.map(|name| bench.count(name)), [1, 1, 1]);
    // Another core sees the same row, and the other endpoint may not go, too.
    bench.notice(1, RowKind::ServerErrors);
    bench.notice(2, RowKind::ServerErrors);
    assert_eq!(bench.told(), None);
    assert_eq!(bench.count("ejections_overflow"), 1);
    assert_eq!(bench.count("ejections_detected_consecutive_5xx"), 2);
    assert_eq!(bench.count("ejections_enforced_total"), 1);
}

#[test]
fn what_is_not_enforced_is_only_counted() {
    let mut bench = Bench::start(2, "", "");
    bench.notice(1, RowKind::GatewayFailures);
    assert_eq!(bench.told(), None);
    assert_eq!(bench.count("ejections_detected_consecutive_gateway_failure"), 1);
    assert_eq!(bench.count("ejections_enforced_consecutive_gateway_failure"), 0);
    bench.notice(9, RowKind::ServerErrors);
    assert_eq!(bench.count("ejections_detected_consecutive_5xx"), 0, "it is no endpoint of the cluster");
}

#[test]
fn an_ejection_ends_with_an_interval() {
    let mut bench = Bench::start(2, "interval: 1ms, base_ejection: 1ms", "");
    bench.notice(2, RowKind::ServerErrors);
    bench.told();
    assert_eq!(bench.told_by_intervals(), "2 healthy");
    assert_eq!(bench.count("ejections_active"), 0);
    assert_eq!(bench.count("ejections_enforced_total"), 1);
}

#[test]
fn the_counts_of_all_cores_make_the_success_rate() {
    let mut bench = Bench::start(5, "interval: 1ms, max_ejected_percent: 50", "");
    // Too few on this core alone, of which the other one's are as many again.
    for (port, endpoint) in bench.update.clusters[0].endpoints.iter().enumerate() {
        endpoint.results.add(100);
        endpoint.results_failed.add(if port == 3 { 60 } else { 0 });
    }
    assert_eq!(bench.told_by_intervals(), "4 failed_outlier_check");
    assert_eq!(bench.count("ejections_enforced_success_rate"), 1);
    assert_eq!(bench.count("ejections_detected_failure_percentage"), 0);
}

#[test]
fn failure_percentage_is_told_and_ejects_where_it_is_enforced() {
    let detection = "interval: 1ms, success_rate: { minimum_hosts: 9 }, max_ejected_percent: 50, \
         failure_percentage: { threshold: 60, minimum_hosts: 2, request_volume: 10 }, \
         enforcing: { failure_percentage: 100 }";
    let mut bench = Bench::start(2, detection, "");
    bench.update.clusters[0].endpoints[1].results.add(10);
    bench.update.clusters[0].endpoints[1].results_failed.add(6);
    bench.update.clusters[0].endpoints[0].results.add(10);
    bench.update.clusters[0].endpoints[0].results_failed.add(5);
    assert_eq!(bench.told_by_intervals(), "2 failed_outlier_check");
    assert_eq!(bench.count("ejections_enforced_failure_percentage"), 1);
}

#[test]
fn a_check_that_succeeds_ends_an_ejection() {
    use crate::health::active::CheckResult;
    use crate::health::{Next, Outcome};
    let check = ", health_check: { tcp: {}, no_traffic_interval: 1ms }";
    let mut bench = Bench::start(1, "", check);
    let Next::Check(due) = bench.control.checks.next(u64::MAX) else { panic!("a check is due") };
    bench.notice(1, RowKind::ServerErrors);
    assert_eq!(bench.told().unwrap(), "1 failed_active_hc failed_outlier_check pending_active_hc");
    bench.control.on_checked(due.id, &Outcome { result: CheckResult::Success, reason: "".into() });
    bench.control.tell_health();
    assert_eq!(bench.told().unwrap(), "1 healthy");
    assert_eq!(bench.count("ejections_active"), 0);
}

#[test]
fn a_reload_ends_no_ejection() {
    let mut bench = Bench::start(2, "", "");
    bench.notice(2, RowKind::ServerErrors);
    assert_eq!(bench.control.reload(), Reload::Applied);
    let flags: Vec<bool> = {
        let update = take(&bench.orders).1.expect("a configuration");
        let endpoints = &update.snapshot.clusters[0].endpoints;
        endpoints.iter().map(|endpoint| endpoint.health == HealthFlags::FAILED_OUTLIER_CHECK).collect()
    };
    assert_eq!(flags, [false, true]);
    assert_eq!(bench.count("ejections_active"), 1);
}
