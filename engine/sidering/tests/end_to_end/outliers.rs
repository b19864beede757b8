//! Outlier detection: a flaky upstream is ejected from all cores for what it answers, and comes back.

use crate::support::web::reply;
use crate::support::{Config, Origin, Proxy, until};
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const WELL: usize = 0;
const ERRORS: usize = 1;
const RESETS: usize = 2;

/// An origin that says its number, or what `mood` makes of it, and counts its requests.
struct Flaky {
    origin: Origin,
    mood: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
}

impl Flaky {
    fn start(number: usize) -> Flaky {
        let (mood, asked) = (Arc::new(AtomicUsize::new(WELL)), Arc::new(AtomicUsize::new(0)));
        let (now, count) = (Arc::clone(&mood), Arc::clone(&asked));
        let origin = Origin::start(move |wire, _| {
            loop {
                wire.head()?;
                count.fetch_add(1, Ordering::SeqCst);
                match now.load(Ordering::SeqCst) {
                    ERRORS => reply(wire, 500, "flaky")?,
                    RESETS => return wire.try_clone()?.reset(),
                    _ => reply(wire, 200, &number.to_string())?,
                }
            }
        });
        Flaky { origin, mood, asked }
    }

    fn set(&self, mood: usize) {
        self.mood.store(mood, Ordering::SeqCst);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn config(flaky: &[Flaky], workers: u32, detection: &str) -> Config {
    let config = Config::new().set(&format!("workers: {workers}"));
    let config = config.http("web", "", "{ match: {}, cluster: api }");
    let addresses: Vec<String> = flaky.iter().map(|flaky| format!("\"{}\"", flaky.origin)).collect();
    config.cluster_of("api", &addresses, &format!("outlier_detection: {{ {detection} }}"))
}

/// Requests on a connection each, so that all cores take part; the statuses.
fn ask(proxy: &Proxy, requests: usize) -> Vec<u16> {
    let ask = |_| {
        let mut wire = proxy.connect("web");
        // One that is not sent again by itself.
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").unwrap();
        wire.response().unwrap().status()
    };
    (0..requests).map(ask).collect()
}

fn has_flags(proxy: &Proxy, origin: &Origin, flags: &str) -> bool {
    proxy.admin("/clusters").1.contains(&format!("api::{origin}::health_flags::{flags}\n"))
}

/// Requests until the endpoint is ejected.
#[track_caller]
fn until_ejected(proxy: &Proxy, origin: &Origin) {
    until("an ejection", || {
        ask(proxy, 12);
        has_flags(proxy, origin, "/failed_outlier_check").then_some(())
    });
}

/// Ejected for 30 seconds at least: within the test it does not come back.
const LONG: &str = "consecutive_errors: 3, interval: 10ms";
const SHORT: &str = "consecutive_errors: 3, interval: 10ms, base_ejection: 100ms, max_ejection: 100ms";

#[test]
fn errors_in_a_row_eject_from_all_cores() {
    let flaky = [0, 1, 2].map(Flaky::start);
    let proxy = Proxy::start(&config(&flaky, 2, LONG));
    assert!(ask(&proxy, 60).iter().all(|status| *status == 200));
    flaky[1].set(ERRORS);
    until_ejected(&proxy, &flaky[1].origin);
    // All cores have heard of it once requests go around it.
    until("nobody to ask it", || {
        let before = flaky[1].asked();
        ask(&proxy, 24);
        (flaky[1].asked() == before).then_some(())
    });
    assert!(ask(&proxy, 100).iter().all(|status| *status == 200));
    let metrics = proxy.metrics();
    let count = |name: &str| metrics.sum(&format!("sidering_cluster_outlier_detection_ejections_{name}"));
    assert_eq!([count("active"), count("enforced_total"), count("enforced_consecutive_5xx")], [1.0; 3]);
    assert_eq!(metrics.sum("sidering_cluster_membership_healthy"), 2.0);
    let line =
        format!("outlier detection cluster=api endpoint={} ejected (consecutive_5xx)", flaky[1].origin);
    assert!(proxy.said().contains(&line), "{}", proxy.said());
}

#[test]
fn an_endpoint_comes_back_and_a_bad_one_is_ejected_again() {
    let flaky = [0, 1, 2].map(Flaky::start);
    let proxy = Proxy::start(&config(&flaky, 2, SHORT));
    flaky[0].set(ERRORS);
    let ejections = || proxy.metrics().sum("sidering_cluster_outlier_detection_ejections_enforced_total");
    until("three ejections", || {
        ask(&proxy, 12);
        (ejections() >= 3.0).then_some(())
    });
    flaky[0].set(WELL);
    until("its return", || has_flags(&proxy, &flaky[0].origin, "healthy").then_some(()));
    let before = flaky[0].asked();
    until("traffic for it", || {
        ask(&proxy, 12);
        (flaky[0].asked() > before).then_some(())
    });
    assert!(proxy.said().contains(&format!("endpoint={} back", flaky[0].origin)));
}

#[test]
fn resets_count_and_no_more_than_may_be_are_ejected() {
    let flaky = [0, 1, 2, 3].map(Flaky::start);
    let proxy = Proxy::start(&config(&flaky, 1, &format!("{LONG}, max_ejected_percent: 50")));
    flaky.iter().for_each(|flaky| flaky.set(RESETS));
    let count =
        |name: &str| proxy.metrics().sum(&format!("sidering_cluster_outlier_detection_ejections_{name}"));
    until("an overflow", || {
        ask(&proxy, 12);
        (count("overflow") >= 1.0).then_some(())
    });
    assert_eq!(count("active"), 2.0);
}

#[test]
fn a_reload_that_changes_something_else_ends_no_ejection() {
    let flaky = [0, 1, 2].map(Flaky::start);
    let before = config(&flaky, 1, LONG);
    let proxy = Proxy::start(&before);
    flaky[2].set(ERRORS);
    until_ejected(&proxy, &flaky[2].origin);
    // The pool of another size makes it another cluster for the cores.
    let after = before
        .text(proxy.folder())
        .replace("outlier_detection", "pool: { max_pending: 7 }, outlier_detection");
    proxy.write_config(&after);
    proxy.signal(Signal::HUP);
    until("the new configuration", || {
        proxy.admin("/clusters").1.contains("max_pending_requests::7").then_some(())
    });
    assert!(has_flags(&proxy, &flaky[2].origin, "/failed_outlier_check"));
    flaky[2].set(WELL);
    until("the core to have it", || {
        (proxy.metrics().sum("sidering_core_snapshot_version") == 2.0).then_some(())
    });
    let asked = flaky[2].asked();
    ask(&proxy, 30);
    assert_eq!(flaky[2].asked(), asked);
}
