//! Ejections against the results that Envoy documents.

use super::*;
use sidering_dataplane::config::{Enforcing, FailurePercentage, OutlierDetection, SuccessRate};
use sidering_dataplane::io::Address;

fn host(number: usize) -> Address {
    Address::Ip(([127, 0, 0, 1], number as u16 + 1).into())
}

fn detector(hosts: usize) -> Detector {
    let mut detector = Detector::default();
    detector.set_hosts((0..hosts).map(host));
    detector
}

fn config() -> OutlierDetection {
    OutlierDetection { max_ejected_percent: 100, ..OutlierDetection::default() }
}

fn eject(detector: &mut Detector, number: usize, config: &OutlierDetection, now_ms: u64) -> Decision {
    detector.on_outlier(&host(number), Detection::Consecutive5xx, config, now_ms, &mut || 0)
}

/// A sweep without traffic: who comes back.
fn back(detector: &mut Detector, config: &OutlierDetection, now_ms: u64) -> Vec<Address> {
    detector.sweep(&|_| Traffic::default(), config, now_ms, &mut || 0).back
}

/// A sweep over hosts with this many successes of so many: who is found, as number, way and decision.
fn found(
    successes: &[u64],
    total: u64,
    is_local: bool,
    config: &OutlierDetection,
) -> Vec<(usize, Detection, Decision)> {
    let mut detector = detector(successes.len());
    let traffic = |address: &Address| {
        let number = (0..successes.len()).find(|&number| host(number) == *address).expect("a host");
        let volume = Volume { total, successes: successes[number] };
        match is_local {
            true => Traffic { local: volume, ..Traffic::default() },
            false => Traffic { external: volume, ..Traffic::default() },
        }
    };
    let outliers = detector.sweep(&traffic, config, 0, &mut || 0).outliers;
    let number =
        |address: &Address| (0..successes.len()).find(|&number| host(number) == *address).expect("a host");
    outliers.iter().map(|(address, way, decision)| (number(address), *way, *decision)).collect()
}

#[test]
fn at_most_so_many_per_cent_are_ejected() {
    // Hosts, per cent, whether one may always be: how many of them can be ejected.
    let table = [
        (10, 10, false, 1),
        (10, 9, false, 0),
        (10, 9, true, 1),
        (10, 19, false, 1),
        (10, 20, false, 2),
        (3, 50, true, 1),
        (4, 50, true, 2),
        (1, 10, true, 1),
        (1, 10, false, 0),
        (3, 0, true, 1),
        (3, 0, false, 0),
        (3, 100, true, 3),
    ];
    for (hosts, max_ejected_percent, always_eject_one, expected) in table {
        let config = OutlierDetection { max_ejected_percent, always_eject_one, ..config() };
        let mut detector = detector(hosts);
        let decisions: Vec<Decision> =
            (0..hosts).map(|number| eject(&mut detector, number, &config, 0)).collect();
        let ejected = decisions.iter().filter(|&&decision| decision == Decision::Ejected).count();
        assert_eq!(ejected, expected, "{hosts} hosts, {max_ejected_percent} %, {always_eject_one}");
        assert_eq!(detector.ejected(), expected);
        assert!(decisions[expected..].iter().all(|&decision| decision == Decision::Overflow));
    }
}

#[test]
fn an_ejected_or_unknown_host_is_not_ejected_again() {
    let mut detector = detector(2);
    assert_eq!(eject(&mut detector, 0, &config(), 0), Decision::Ejected);
    assert_eq!(eject(&mut detector, 0, &config(), 1), Decision::Ignored);
    assert_eq!(eject(&mut detector, 7, &config(), 1), Decision::Ignored);
    assert_eq!(detector.ejected(), 1);
}

#[test]
fn enforcing_is_a_chance_of_each_way() {
    let enforcing = Enforcing {
        consecutive_5xx: 1,
        consecutive_gateway_failure: 2,
        consecutive_local_origin_failure: 3,
        success_rate: 4,
        local_origin_success_rate: 5,
        failure_percentage: 6,
        local_origin_failure_percentage: 100,
    };
    let config = OutlierDetection { enforcing, ..config() };
    let ways = [
        (Detection::Consecutive5xx, 1),
        (Detection::ConsecutiveGatewayFailure, 2),
        (Detection::ConsecutiveLocalOriginFailure, 3),
        (Detection::SuccessRate, 4),
        (Detection::LocalOriginSuccessRate, 5),
        (Detection::FailurePercentage, 6),
        (Detection::LocalOriginFailurePercentage, 100),
    ];
    for (way, percent) in ways {
        let ejected = (0..100).filter(|&number| {
            detector(1).on_outlier(&host(0), way, &config, 0, &mut || number) == Decision::Ejected
        });
        assert_eq!(ejected.count(), percent, "{way:?}");
    }
}

#[test]
fn ejections_in_a_row_last_longer_up_to_the_longest() {
    let config = OutlierDetection { base_ejection_ms: 30, max_ejection_ms: 75, ..config() };
    let mut detector = detector(2);
    let mut now_ms = 0;
    for lasts_ms in [30, 60, 75, 75] {
        assert_eq!(eject(&mut detector, 0, &config, now_ms), Decision::Ejected);
        assert_eq!(back(&mut detector, &config, now_ms + lasts_ms - 1), []);
        assert_eq!(back(&mut detector, &config, now_ms + lasts_ms), [host(0)]);
        assert!(!detector.is_ejected(&host(0)));
        now_ms += lasts_ms;
    }
}

#[test]
fn each_interval_without_ejection_takes_one_from_the_row() {
    let config = OutlierDetection { base_ejection_ms: 30, max_ejection_ms: 300, interval_ms: 10, ..config() };
    let mut detector = detector(1);
    for (at_ms, until_ms) in [(0, 30), (30, 90)] {
        eject(&mut detector, 0, &config, at_ms);
        assert_eq!(back(&mut detector, &config, until_ms), [host(0)]);
    }
    // Less than an interval after it came back it is not forgiven, a whole one after it is.
    back(&mut detector, &config, 99);
    back(&mut detector, &config, 100);
    eject(&mut detector, 0, &config, 100);
    assert_eq!(back(&mut detector, &config, 159), []);
    assert_eq!(back(&mut detector, &config, 160), [host(0)]);
    // Enough intervals, and it is as if it never was.
    for now_ms in [170, 180, 190] {
        back(&mut detector, &config, now_ms);
    }
    eject(&mut detector, 0, &config, 200);
    assert_eq!(back(&mut detector, &config, 229), []);
    assert_eq!(back(&mut detector, &config, 230), [host(0)]);
}

#[test]
fn jitter_is_added_up_to_its_bound() {
    let config =
        OutlierDetection { base_ejection_ms: 30, max_ejection_ms: 30, max_ejection_jitter_ms: 5, ..config() };
    for (number, lasts_ms) in [(0, 30), (5, 35), (6, 30)] {
        let mut detector = detector(1);
        let decision = detector.on_outlier(&host(0), Detection::Consecutive5xx, &config, 0, &mut || number);
        assert_eq!(decision, Decision::Ejected);
        assert_eq!(back(&mut detector, &config, lasts_ms - 1), []);
        assert_eq!(back(&mut detector, &config, lasts_ms), [host(0)]);
    }
}

#[test]
fn an_active_check_ends_an_ejection_unless_told_not_to() {
    for active_check_unejects in [true, false] {
        let config = OutlierDetection { active_check_unejects, ..config() };
        let mut detector = detector(2);
        eject(&mut detector, 0, &config, 0);
        assert!(!detector.on_active_success(&host(1), &config, 1));
        assert_eq!(detector.on_active_success(&host(0), &config, 1), active_check_unejects);
        assert_eq!(detector.ejected(), usize::from(!active_check_unejects));
    }
}

#[test]
fn hosts_that_stay_keep_their_past_and_those_that_go_leave_room() {
    let config = OutlierDetection { max_ejected_percent: 50, always_eject_one: false, ..config() };
    let mut detector = detector(4);
    eject(&mut detector, 0, &config, 0);
    eject(&mut detector, 1, &config, 0);
    assert_eq!(eject(&mut detector, 2, &config, 0), Decision::Overflow);
    detector.set_hosts([host(3), host(2), host(1), host(5), host(5)]);
    assert_eq!(detector.ejected(), 1);
    assert!(detector.is_ejected(&host(1)) && !detector.is_ejected(&host(0)));
    assert_eq!(eject(&mut detector, 2, &config, 0), Decision::Ejected);
    assert_eq!(back(&mut detector, &config, 30_000), [host(2), host(1)]);
}

#[test]
fn the_threshold_is_the_documented_one() {
    assert_eq!(ejection_threshold(&[50.0, 100.0, 100.0, 100.0, 100.0], 1900), 52.0);
    assert_eq!(ejection_threshold(&[80.0; 6], 1900), 80.0);
}

#[test]
fn outliers_by_success_rate() {
    let config = OutlierDetection {
        success_rate: SuccessRate { minimum_hosts: 5, request_volume: 100, stdev_factor: 1900 },
        ..config()
    };
    let by_rate = |number| vec![(number, Detection::SuccessRate, Decision::Ejected)];
    assert_eq!(found(&[50, 100, 100, 100, 100], 100, false, &config), by_rate(0));
    assert_eq!(found(&[100, 100, 100, 100, 0], 100, false, &config), by_rate(4));
    // Equal hosts are no outliers, however bad; nor is one among too few, or with too few requests.
    assert_eq!(found(&[20; 5], 100, false, &config), []);
    assert_eq!(found(&[50, 100, 100, 100], 100, false, &config), []);
    assert_eq!(found(&[49, 99, 99, 99, 99], 99, false, &config), []);
    let local = vec![(0, Detection::LocalOriginSuccessRate, Decision::Ejected)];
    assert_eq!(found(&[50, 100, 100, 100, 100], 100, true, &config), local);
}

#[test]
fn outliers_by_failure_percentage() {
    let mut config = OutlierDetection {
        failure_percentage: FailurePercentage { threshold_percent: 85, minimum_hosts: 3, request_volume: 50 },
        ..config()
    };
    config.enforcing.failure_percentage = 100;
    let by_percentage = |number| (number, Detection::FailurePercentage, Decision::Ejected);
    assert_eq!(found(&[15, 16, 100], 100, false, &config), [by_percentage(0)]);
    assert_eq!(found(&[0, 0, 0], 50, false, &config), [0, 1, 2].map(by_percentage));
    assert_eq!(found(&[0, 0, 0], 49, false, &config), []);
    assert_eq!(found(&[0, 0], 50, false, &config), []);
    // By default it is only told.
    config.enforcing.failure_percentage = 0;
    let told = (0, Detection::FailurePercentage, Decision::NotEnforced);
    assert_eq!(found(&[0, 100, 100], 100, false, &config), [told]);
}

#[test]
fn one_host_found_in_two_ways_is_ejected_once() {
    let mut config = config();
    config.enforcing.failure_percentage = 100;
    let by_rate = (0, Detection::SuccessRate, Decision::Ejected);
    assert_eq!(found(&[0, 100, 100, 100, 100], 100, false, &config), [by_rate]);
}
