//! What a configuration that waits does, and what is done meanwhile.

use super::*;
use crate::control::Reload;
use crate::cores::{Event, Signal};
use crate::discovery::{Found, Outcome};
use crate::health::{self, active::CheckResult};
use crate::test_cores::{Orders, start, take};
use sidering_dataplane::config::Endpoint;
use sidering_dataplane::io::Address;
use std::borrow::Cow;
use std::fs::write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

struct Bench {
    control: Control,
    orders: Orders,
    path: PathBuf,
    _folder: TempDir,
}

/// One checked endpoint, a listener at `address`.
fn file(address: &str, endpoint: u16) -> String {
    let check = "health_check: { tcp: {}, healthy: 1, unhealthy: 1 }";
    let cluster = format!("{{ name: c, endpoints: [127.0.0.1:{endpoint}], {check} }}");
    format!(
        "listeners: [{{ name: l, address: '{address}', protocol: tcp, cluster: c }}]\nclusters: [{cluster}]\n"
    )
}

const ANY: &str = "127.0.0.1:0";

impl Bench {
    fn start(text: &str) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        write(&path, text).unwrap();
        let (control, orders) = start(&path).unwrap();
        Bench { control, orders, path, _folder: folder }
    }

    fn reload(&mut self, text: &str) -> Reload {
        write(&self.path, text).unwrap();
        self.control.reload()
    }

    /// Ends all checks that are due, and then does what the loop does. The ports that were checked.
    fn check(&mut self, result: CheckResult) -> (Vec<u16>, Next) {
        let mut begun = vec![];
        while let health::Next::Check(due) = self.control.checks.next(u64::MAX) {
            begun.push(due);
        }
        let mut ports = vec![];
        for due in begun {
            let Address::Ip(address) = due.address else { panic!("an IP address") };
            ports.push(address.port());
            self.control.on_checked(due.id, &health::Outcome { result, reason: Cow::Borrowed("") });
        }
        ports.sort_unstable();
        (ports, self.tend(0))
    }

    fn tend(&mut self, now_ms: u64) -> Next {
        self.control.tell_health();
        if self.control.poll_warmed(now_ms) { self.control.handle(Event::Warmed) } else { Next::GoOn }
    }

    fn told(&self) -> Vec<String> {
        take(&self.orders).0
    }
}

/// An address that was free a moment ago.
fn free() -> String {
    TcpListener::bind(ANY).unwrap().local_addr().unwrap().to_string()
}

#[test]
fn nothing_is_open_before_the_first_configuration_is_warm() {
    let address = free();
    let mut bench = Bench::start(&file(&address, 1));
    assert_eq!(bench.tend(0), Next::GoOn);
    assert!(bench.told().is_empty());
    assert_eq!(bench.control.life.phase(), Phase::Initializing);
    drop(TcpListener::bind(&address).expect("nobody is there"));
    assert_eq!(bench.check(CheckResult::Network).0, [1]);
    assert_eq!(bench.told(), ["0: listen 0", "1: listen 0", "0: apply 1", "1: apply 1"]);
    assert_eq!(bench.control.life.phase(), Phase::Live);
    assert_eq!(bench.control.facts().reloads, 0);
    assert_eq!(bench.control.handle(Event::Warmed), Next::GoOn, "a late word of it means nothing");
}

#[test]
fn the_wait_is_bounded() {
    let mut bench = Bench::start(&file(ANY, 1));
    let ends_at_ms = bench.control.warming_ends_ms().unwrap();
    assert!(ends_at_ms <= bench.control.now_ms() + WARMING_MOST_MS);
    bench.tend(ends_at_ms - 1);
    assert!(bench.told().is_empty());
    assert!(bench.control.poll_warmed(ends_at_ms) && !bench.control.poll_warmed(ends_at_ms + 1), "told once");
    bench.control.handle(Event::Warmed);
    let (short, update) = take(&bench.orders);
    assert_eq!(short[2..], ["0: apply 1", "1: apply 1"]);
    let health = update.unwrap().snapshot.clusters[0].endpoints[0].health;
    assert_eq!(health.names().collect::<Vec<_>>(), ["failed_active_hc", "pending_active_hc"]);
    bench.check(CheckResult::Network);
    assert_eq!(bench.told(), ["0: health 1 failed_active_hc", "1: health 1 failed_active_hc"]);
}

#[test]
fn a_reload_waits_while_the_old_configuration_goes_on() {
    let mut bench = Bench::start(&file(ANY, 1));
    bench.check(CheckResult::Success);
    bench.told();
    assert_eq!(bench.reload(&file(ANY, 2)), Reload::Warming);
    assert!(bench.told().is_empty());
    assert_eq!(bench.control.snapshot.version, 1);
    assert_eq!(bench.check(CheckResult::Success).0, [1, 2], "those in use are checked, too");
    assert_eq!(bench.told(), ["0: apply 2", "1: apply 2"]);
    assert_eq!(bench.control.facts().reloads, 1);
}

#[test]
fn the_last_configuration_is_the_one_that_comes() {
    let mut bench = Bench::start(&file(ANY, 1));
    bench.check(CheckResult::Success);
    bench.told();
    assert_eq!(bench.reload(&file(ANY, 2)), Reload::Warming);
    assert_eq!(bench.reload(&file(ANY, 3)), Reload::Warming);
    assert_eq!(bench.reload("nonsense"), Reload::Refused);
    assert_eq!(bench.check(CheckResult::Success).0, [1, 3], "whom the first of them had is nobody's");
    assert_eq!(bench.told(), ["0: apply 2", "1: apply 2"]);
    assert_eq!(bench.reload(&file(ANY, 4)), Reload::Warming);
    assert_eq!(bench.reload(&file(ANY, 3)), Reload::Applied, "back to what is known");
    assert_eq!(bench.told(), ["0: apply 3", "1: apply 3"]);
    assert_eq!(bench.check(CheckResult::Success).0, [3]);
    assert!(bench.told().is_empty());
}

#[test]
fn what_cannot_be_opened_is_told_before_the_wait_and_after_it() {
    let taken = TcpListener::bind(ANY).unwrap();
    let taken = (taken.local_addr().unwrap().to_string(), taken);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yaml");
    write(&path, file(&taken.0, 1)).unwrap();
    assert!(start(&path).err().unwrap()[0].contains(&taken.0));

    let address = free();
    let mut bench = Bench::start(&file(&address, 1));
    let thief = TcpListener::bind(&address).unwrap();
    assert_eq!(bench.check(CheckResult::Success).1, Next::Leave(1));
    assert_eq!(bench.told(), ["0: stop", "1: stop"]);
    drop(thief);

    let mut bench = Bench::start(&file(ANY, 1));
    bench.check(CheckResult::Success);
    bench.told();
    assert_eq!(bench.reload(&file(&taken.0, 2)), Reload::Refused);
    assert_eq!(bench.reload(&file(&address, 2)), Reload::Warming);
    let thief = TcpListener::bind(&address).unwrap();
    assert_eq!(bench.check(CheckResult::Success).1, Next::GoOn);
    assert!(bench.told().is_empty());
    assert_eq!((bench.control.snapshot.version, bench.control.facts().reload_failures), (1, 2));
    drop(thief);
}

#[test]
fn a_drain_ends_the_wait() {
    let mut bench = Bench::start(&file(ANY, 1));
    assert!(matches!(bench.control.handle(Event::Signal(Signal::Terminate)), Next::WatchDrain(_)));
    assert_eq!(bench.told(), ["0: drain", "1: drain"]);
    assert_eq!(bench.check(CheckResult::Success).0, [0; 0]);
    assert!(bench.told().is_empty());
    assert_eq!(bench.reload(&file(ANY, 1)), Reload::Refused);
}

#[test]
fn endpoints_that_are_found_are_checked_before_anybody_meets_them() {
    let named =
        |name: &str| file(ANY, 1).replace("[127.0.0.1:1]", &format!("[{name}:80], discovery: strict_dns"));
    let mut bench = Bench::start(&named("a.test"));
    let found = |bench: &Bench, index: usize, port: u16| {
        let discovery = Arc::clone(&bench.control.search.subscribe().borrow()[index]);
        let endpoint = Endpoint::new(Address::Ip(([127, 0, 0, 1], port).into()));
        Event::Found(Found { discovery, outcome: Outcome::Endpoints([endpoint].into()), is_complete: true })
    };
    assert_eq!(bench.check(CheckResult::Success).0, [0; 0]);
    assert!(bench.told().is_empty(), "nothing is found yet");
    bench.control.handle(found(&bench, 0, 5));
    bench.tend(0);
    assert!(bench.told().is_empty(), "nobody is checked yet");
    assert_eq!(bench.check(CheckResult::Success).0, [5]);
    let (short, update) = take(&bench.orders);
    assert_eq!(short[2..], ["0: apply 1", "1: apply 1"]);
    let endpoints = &update.unwrap().snapshot.clusters[0].endpoints;
    assert_eq!(endpoints[0].health.names().count(), 0, "it is healthy");

    assert_eq!(bench.reload(&named("b.test")), Reload::Warming);
    let searches = bench.control.search.subscribe().borrow().clone();
    let is_new = |discovery: &Arc<crate::discovery::Discovery>| format!("{discovery:?}").contains("b.test");
    let index = searches.iter().position(is_new).unwrap();
    bench.control.handle(found(&bench, index, 6));
    assert_eq!(bench.check(CheckResult::Network).0, [5, 6]);
    let (short, update) = take(&bench.orders);
    assert_eq!(short[short.len() - 2..], ["0: apply 2", "1: apply 2"]);
    assert_eq!(update.unwrap().snapshot.clusters[0].endpoints[0].address.to_string(), "127.0.0.1:6");
}
