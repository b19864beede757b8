//! Intervals, the traffic in them, and clusters that change meanwhile.

use super::*;
use sidering_dataplane::config::{Endpoint, HealthFlags, OutlierDetection};
use sidering_dataplane::io::Address;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

fn host(number: u16) -> Address {
    Address::Ip(([127, 0, 0, 1], number).into())
}

fn endpoints(numbers: impl IntoIterator<Item = u16>) -> Vec<Endpoint> {
    numbers.into_iter().map(|number| Endpoint::new(host(number))).collect()
}

fn config(interval_ms: u64) -> Arc<OutlierDetection> {
    let base_ejection_ms = 50;
    Arc::new(OutlierDetection {
        interval_ms,
        base_ejection_ms,
        max_ejected_percent: 100,
        ..OutlierDetection::default()
    })
}

fn watch(hosts: u16) -> Watch {
    let mut watch = Watch::default();
    watch.set_cluster("c", Some(&config(100)), &endpoints(1..=hosts), 0);
    watch
}

/// What has been counted in all, by endpoint.
#[derive(Default)]
struct Counts(RefCell<HashMap<Address, Volume>>);

impl Counts {
    fn add(&self, number: u16, total: u64, successes: u64) {
        let mut counts = self.0.borrow_mut();
        let volume = counts.entry(host(number)).or_default();
        volume.total += total;
        volume.successes += successes;
    }

    fn sweep(&self, watch: &mut Watch, now_ms: u64) -> Option<Vec<(Address, Decision)>> {
        let counted = |_: &str, address: &Address| Traffic {
            external: self.0.borrow().get(address).copied().unwrap_or_default(),
            ..Traffic::default()
        };
        let swept = watch.sweep_next(&counted, now_ms, &mut || 0)?;
        Some(swept.sweep.outliers.into_iter().map(|(address, _, decision)| (address, decision)).collect())
    }
}

fn is_ejected(watch: &Watch, number: u16) -> bool {
    watch.flags("c", &host(number)) == HealthFlags::FAILED_OUTLIER_CHECK
}

fn row(watch: &mut Watch, number: u16, now_ms: u64) -> Decision {
    watch.on_row("c", &host(number), Detection::Consecutive5xx, now_ms, &mut || 0)
}

#[test]
fn each_interval_is_judged_by_its_own_traffic() {
    let (mut watch, counts) = (watch(5), Counts::default());
    (1..=5).for_each(|number| counts.add(number, 100, 100));
    assert_eq!(counts.sweep(&mut watch, 99), None, "the interval is not over");
    assert_eq!(counts.sweep(&mut watch, 100), Some(vec![]));
    assert_eq!(watch.next_end_ms(), Some(200));
    (1..=5).for_each(|number| counts.add(number, 100, if number == 3 { 20 } else { 100 }));
    assert_eq!(counts.sweep(&mut watch, 200), Some(vec![(host(3), Decision::Ejected)]));
    assert!(is_ejected(&watch, 3) && watch.ejected("c") == 1);
    (1..=5).for_each(|number| counts.add(number, 49, 0));
    assert_eq!(counts.sweep(&mut watch, 300), Some(vec![]), "too few requests; and the first one is over");
    assert!(!is_ejected(&watch, 3));
}

#[test]
fn a_row_ejects_at_once() {
    let mut watch = watch(5);
    assert_eq!(row(&mut watch, 2, 7), Decision::Ejected);
    assert!(is_ejected(&watch, 2));
    assert_eq!(row(&mut watch, 9, 7), Decision::Ignored);
    assert_eq!(watch.on_row("d", &host(1), Detection::Consecutive5xx, 7, &mut || 0), Decision::Ignored);
    assert!(!watch.on_active_success("c", &host(1), 8));
    assert!(watch.on_active_success("c", &host(2), 8));
    assert!(!is_ejected(&watch, 2));
}

#[test]
fn a_change_of_endpoints_ends_neither_ejections_nor_the_interval() {
    let (mut watch, counts) = (watch(3), Counts::default());
    row(&mut watch, 2, 10);
    watch.set_cluster("c", Some(&config(100)), &endpoints(2..=6), 50);
    assert!(is_ejected(&watch, 2));
    assert_eq!(watch.next_end_ms(), Some(100));
    counts.sweep(&mut watch, 100);
    assert!(!is_ejected(&watch, 2), "50 ms are over");
    watch.set_cluster("c", Some(&config(30)), &endpoints(2..=6), 110);
    assert_eq!(watch.next_end_ms(), Some(140), "another interval begins anew");
}

#[test]
fn counters_that_begin_anew_are_no_negative_traffic() {
    let (mut watch, counts) = (watch(5), Counts::default());
    (1..=5).for_each(|number| counts.add(number, 1000, 1000));
    counts.sweep(&mut watch, 100);
    counts.0.borrow_mut().clear();
    (1..=5).for_each(|number| counts.add(number, 200, if number == 1 { 0 } else { 200 }));
    assert_eq!(counts.sweep(&mut watch, 200), Some(vec![(host(1), Decision::Ejected)]));
}

#[test]
fn without_detection_nobody_is_ejected() {
    let mut watch = watch(3);
    row(&mut watch, 2, 10);
    watch.set_cluster("c", None, &endpoints(1..=3), 20);
    assert!(!is_ejected(&watch, 2));
    assert_eq!(watch.next_end_ms(), None);
    watch.set_cluster("c", Some(&config(100)), &endpoints(1..=3), 30);
    watch.set_cluster("d", Some(&config(100)), &endpoints(1..=3), 40);
    watch.retain(&|name| name == "d");
    assert_eq!(watch.next_end_ms(), Some(140));
    assert_eq!(row(&mut watch, 1, 50), Decision::Ignored);
}
