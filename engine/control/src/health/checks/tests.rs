//! Whom checks come to, when, and what is left of them when the configuration changes.

use super::super::active::CheckResult::{Network, Success};
use super::*;
use sidering_dataplane::config::{CheckPace, Probe, TcpProbe};

fn address(port: usize) -> Address {
    Address::Ip(([127, 0, 0, 1], port as u16).into())
}

fn endpoints(ports: impl IntoIterator<Item = usize>) -> Vec<Endpoint> {
    ports.into_iter().map(|port| Endpoint::new(address(port))).collect()
}

fn check(interval_ms: u64) -> Arc<HealthCheck> {
    let pace = CheckPace::every(interval_ms, 2, 2);
    Arc::new(HealthCheck {
        probe: Probe::Tcp(TcpProbe::default()),
        timeout_ms: 10,
        initial_jitter_ms: 0,
        pace,
    })
}

/// Checks of one cluster with these ports.
fn checks(ports: impl IntoIterator<Item = usize>) -> Checks {
    let mut checks = Checks::default();
    set(&mut checks, Some(&check(100)), ports, &[]);
    checks
}

fn set(
    checks: &mut Checks,
    check: Option<&Arc<HealthCheck>>,
    ports: impl IntoIterator<Item = usize>,
    before: &[Endpoint],
) {
    checks.set_cluster("c", check, &endpoints(ports), before, 0, &mut || 0);
}

/// All that are due now, as port and name.
fn due(checks: &mut Checks, now_ms: u64) -> Vec<(Address, TargetId)> {
    let mut due = vec![];
    while let Next::Check(next) = checks.next(now_ms) {
        due.push((next.address, next.id));
    }
    due
}

fn end(checks: &mut Checks, id: TargetId, result: CheckResult, now_ms: u64) -> Option<Judged> {
    checks.on_result(id, result, &|_| true, now_ms, &mut || 0)
}

fn is_healthy(checks: &Checks, address: &Address) -> bool {
    checks.flags("c", address) == HealthFlags::default()
}

fn healthy(checks: &Checks, ports: &[usize]) -> Vec<bool> {
    ports.iter().map(|&port| is_healthy(checks, &address(port))).collect()
}

#[test]
fn each_endpoint_is_checked_at_once_and_then_at_its_interval() {
    let mut checks = checks([1, 2]);
    let pending = HealthFlags::FAILED_ACTIVE_CHECK.with(HealthFlags::PENDING_ACTIVE_CHECK);
    assert_eq!(checks.flags("c", &address(1)), pending);
    let first = due(&mut checks, 0);
    assert_eq!(first.len(), 2);
    assert!(matches!(checks.next(0), Next::Idle), "both are under way");
    let judged = end(&mut checks, first[0].1, Success, 7).unwrap();
    assert!(judged.is_healthy && judged.has_changed && judged.is_first);
    end(&mut checks, first[1].1, Network, 9).unwrap();
    assert!(is_healthy(&checks, &first[0].0));
    assert_eq!(checks.flags("c", &first[1].0), HealthFlags::FAILED_ACTIVE_CHECK);
    assert!(matches!(checks.next(106), Next::Wait(107)));
    assert_eq!(due(&mut checks, 107), [first[0].clone()]);
    assert_eq!(due(&mut checks, 109), [first[1].clone()]);
}

#[test]
fn so_many_checks_are_under_way_at_once() {
    for endpoints in [RUNNING_MOST - 1, RUNNING_MOST, RUNNING_MOST + 1] {
        let mut checks = checks(1..=endpoints);
        let begun = due(&mut checks, 0);
        assert_eq!(begun.len(), endpoints.min(RUNNING_MOST), "{endpoints}");
        assert!(matches!(checks.next(0), Next::Idle));
        end(&mut checks, begun[0].1, Success, 0);
        assert_eq!(due(&mut checks, 0).len(), endpoints - begun.len(), "{endpoints}");
    }
}

#[test]
fn ten_thousand_endpoints_all_get_their_turn() {
    let mut checks = checks(1..=10_000);
    let mut seen = HashSet::new();
    loop {
        let begun = due(&mut checks, 0);
        if begun.is_empty() {
            break;
        }
        assert!(begun.len() <= RUNNING_MOST);
        for (address, id) in begun {
            assert!(seen.insert(address), "nobody is checked twice");
            end(&mut checks, id, Success, 0);
        }
    }
    assert_eq!(seen.len(), 10_000);
}

#[test]
fn who_stays_keeps_its_state_and_who_goes_is_forgotten() {
    let mut checks = checks([1, 2, 3]);
    for (address, id) in due(&mut checks, 0) {
        end(&mut checks, id, if address == self::address(2) { Network } else { Success }, 0);
    }
    set(&mut checks, Some(&check(100)), [2, 3, 4], &endpoints([1, 2, 3]));
    assert_eq!(healthy(&checks, &[2, 3, 4]), [false, true, false], "the new one waits for its first check");
    assert_eq!(due(&mut checks, 0).len(), 1, "only the new one is due at once");
    assert_eq!(due(&mut checks, 100).len(), 2);
    assert_eq!(checks.targets.len(), 3);
}

#[test]
fn a_result_of_an_endpoint_that_is_gone_means_nothing() {
    let mut checks = checks([1]);
    let begun = due(&mut checks, 0);
    set(&mut checks, Some(&check(100)), [2], &[]);
    assert_eq!(end(&mut checks, begun[0].1, Success, 0), None);
    assert_eq!(healthy(&checks, &[2]), [false]);
    assert_eq!(due(&mut checks, 0).len(), 1);
    assert!(checks.queue.is_empty());
}

#[test]
fn another_check_goes_on_from_what_is_known() {
    let mut checks = checks([1, 2]);
    for (address, id) in due(&mut checks, 0) {
        end(&mut checks, id, if address == self::address(2) { Network } else { Success }, 0);
    }
    set(&mut checks, Some(&check(50)), [1, 2], &endpoints([1, 2]));
    assert_eq!(healthy(&checks, &[1, 2]), [true, false]);
    assert_eq!(due(&mut checks, 0).len(), 2, "and begins at once");
    assert_eq!((checks.queue.len(), checks.targets.len()), (0, 2));
}

#[test]
fn checks_that_are_new_to_a_cluster_in_use_begin_with_healthy_endpoints() {
    let mut checks = Checks::default();
    set(&mut checks, None, [1, 2], &[]);
    assert_eq!(healthy(&checks, &[1, 2]), [true, true]);
    set(&mut checks, Some(&check(100)), [1, 2, 3], &endpoints([1, 2]));
    assert_eq!(healthy(&checks, &[1, 2, 3]), [true, true, false]);
    let begun = due(&mut checks, 0);
    let (_, id) = begun.iter().find(|(found, _)| *found == address(1)).unwrap();
    end(&mut checks, *id, Network, 0);
    assert_eq!(healthy(&checks, &[1]), [true], "the threshold is 2");
    set(&mut checks, None, [1, 2, 3], &[]);
    assert_eq!(healthy(&checks, &[1, 2, 3]), [true, true, true], "nobody looks any more");
    assert!(checks.targets.is_empty() && checks.queue.is_empty());
}

#[test]
fn the_first_checks_are_spread_up_to_the_jitter() {
    let spread = Arc::new(HealthCheck { initial_jitter_ms: 50, ..HealthCheck::clone(&check(100)) });
    for (random, at_ms) in [(0, 0), (50, 50), (51, 0)] {
        let mut checks = Checks::default();
        checks.set_cluster("c", Some(&spread), &endpoints([1]), &[], 0, &mut || random);
        assert!(at_ms == 0 || matches!(checks.next(at_ms - 1), Next::Wait(_)));
        assert_eq!(due(&mut checks, at_ms).len(), 1, "{random}");
    }
}

#[test]
fn a_cluster_that_is_gone_is_checked_no_more() {
    let mut checks = checks([1, 2]);
    checks.retain(&|name| name == "c");
    assert_eq!(checks.targets.len(), 2);
    checks.retain(&|name| name != "c");
    assert!(checks.targets.is_empty() && checks.queue.is_empty() && checks.clusters.is_empty());
    assert_eq!(healthy(&checks, &[1]), [true]);
}
