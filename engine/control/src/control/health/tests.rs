//! Results of checks as cores, metrics and `/clusters` see them.

use super::*;
use crate::control::Reload;
use crate::cores::Event;
use crate::health::{Next, active::CheckResult::*};
use crate::test_cores::{Orders, start, take};
use sidering_dataplane::observe::counters::Counter;
use std::fs::write;
use std::path::PathBuf;
use tempfile::TempDir;

struct Bench {
    control: Control,
    orders: Orders,
    path: PathBuf,
    _folder: TempDir,
}

fn file(endpoints: &str, check: &str) -> String {
    format!(
        "listeners: [{{ name: l, address: '127.0.0.1:0', protocol: tcp, cluster: c }}]\n\
         clusters: [{{ name: other, endpoints: [127.0.0.1:9] }}, {{ name: c, endpoints: [{endpoints}]{check} }}]\n"
    )
}

const TCP: &str = ", health_check: { tcp: {}, healthy: 1, unhealthy: 1, no_traffic_interval: 1ms }";
const TWO: &str = "127.0.0.1:1, 127.0.0.1:2";

impl Bench {
    fn start(text: &str) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        write(&path, text).unwrap();
        let (control, orders) = start(&path).unwrap();
        Bench { control, orders, path, _folder: folder }
    }

    /// What both cores were told of health since the last call.
    fn told(&self) -> Vec<String> {
        let (short, _) = take(&self.orders);
        let health = |core: &str| {
            let lines = short.iter().filter_map(|line| line.strip_prefix(core));
            lines.filter_map(|line| line.strip_prefix(": health ")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(health("0"), health("1"));
        health("0")
    }

    /// The flags of the endpoints in the configuration that the cores were told last.
    fn applied(&self) -> Vec<String> {
        let snapshot = take(&self.orders).1.expect("a configuration").snapshot;
        let flags = snapshot.clusters[1].endpoints.iter().map(|endpoint| endpoint.health);
        let show = |flags: HealthFlags| flags.names().map(|name| format!("/{name}")).collect::<String>();
        flags.map(show).map(|text| if text.is_empty() { "healthy".to_owned() } else { text }).collect()
    }

    /// Ends the next check of each endpoint with the result of its port.
    fn check(&mut self, result: impl Fn(u16) -> CheckResult) {
        let mut begun = vec![];
        while let Next::Check(due) = self.control.checks.next(u64::MAX) {
            begun.push(due);
        }
        for due in begun {
            let Address::Ip(address) = due.address else { panic!("an IP address") };
            let outcome = Outcome { result: result(address.port()), reason: "".into() };
            self.control.on_checked(due.id, &outcome);
        }
        self.control.tell_health();
        if self.control.poll_warmed(0) {
            self.control.handle(Event::Warmed);
        }
    }

    fn reload(&mut self, text: &str) -> Reload {
        write(&self.path, text).unwrap();
        self.control.reload()
    }

    fn numbers(&self) -> [u64; 6] {
        let health = self.control.setup.ledger.health("c").unwrap();
        [
            &health.attempt,
            &health.success,
            &health.failure,
            &health.network_failure,
            &health.healthy,
            &health.members_healthy,
        ]
        .map(Counter::get)
    }
}

#[test]
fn cores_hear_of_what_changed_in_one_message_each() {
    let mut bench = Bench::start(&file(TWO, TCP));
    bench.check(|_| Success);
    assert_eq!(bench.applied(), ["healthy"; 2]);
    assert_eq!(bench.numbers(), [2, 2, 0, 0, 2, 2]);
    bench.check(|port| if port == 1 { Network } else { Success });
    assert_eq!(bench.told(), ["1 failed_active_hc"]);
    bench.check(|port| if port == 1 { Unexpected } else { Success });
    assert_eq!(bench.told(), [""; 0], "nothing has changed");
    assert_eq!(bench.numbers(), [6, 4, 2, 1, 1, 1]);
}

#[test]
fn a_reload_goes_on_from_what_is_known() {
    let mut bench = Bench::start(&file(TWO, TCP));
    let results = |port| if port == 1 { Success } else { Network };
    bench.check(results);
    assert_eq!(bench.applied(), ["healthy", "/failed_active_hc"]);
    assert_eq!(bench.reload(&file("127.0.0.1:1, 127.0.0.1:2, 127.0.0.1:3", TCP)), Reload::Warming);
    bench.check(results);
    assert_eq!(bench.applied(), ["healthy", "/failed_active_hc", "/failed_active_hc"]);
    assert_eq!(bench.reload(&file("127.0.0.1:3, 127.0.0.1:2", TCP)), Reload::Applied, "nobody is new");
    assert_eq!(bench.applied(), ["/failed_active_hc"; 2]);
    assert_eq!(bench.reload(&file(TWO, &TCP.replace("1ms", "2ms"))), Reload::Warming);
    bench.check(|_| Success);
    assert_eq!(bench.applied(), ["healthy"; 2], "rows begin anew under another check");
    assert_eq!(bench.reload(&file("127.0.0.1:1, 127.0.0.1:2, 127.0.0.1:3", "")), Reload::Applied);
    assert_eq!(bench.applied(), ["healthy"; 3], "without checks all are healthy");
    assert_eq!(bench.numbers()[5], 3);
    assert_eq!(bench.reload(&file("127.0.0.1:1, 127.0.0.1:3", TCP)), Reload::Warming);
    assert_eq!(bench.reload("nonsense"), Reload::Refused);
    bench.check(|_| Success);
    assert_eq!(bench.applied(), ["healthy"; 2]);
    assert_eq!(bench.numbers()[4], 2, "a refused configuration changes nothing");
}

#[test]
fn clusters_without_checks_are_told_nothing() {
    let mut bench = Bench::start(&file(TWO, ""));
    bench.check(|_| unreachable!("nobody is checked"));
    assert_eq!(bench.told(), [""; 0]);
    assert_eq!(bench.numbers()[5], 2);
}
