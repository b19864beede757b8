//! How much of a cluster's traffic goes to which priority, and whether health is looked at there: Envoy's arithmetic, in
//! whole per cents. It knows no hosts.
//!
//! Envoy's documents: "Priority levels", "Panic threshold", "Degraded endpoints".

use crate::config::PriorityPolicy;

/// How many hosts a priority has, and how many of them are of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Availability {
    pub(super) hosts: usize,
    pub(super) healthy: usize,
    pub(super) degraded: usize,
}

/// The share of one priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct PriorityLoad {
    pub(super) healthy_percent: u32,
    pub(super) degraded_percent: u32,
    /// Its hosts are used whatever their health.
    pub(super) is_in_panic: bool,
}

/// The shares of all priorities: they come to 100 % together. There is at least one priority.
pub(super) fn distribute(availability: &[Availability], policy: PriorityPolicy) -> Vec<PriorityLoad> {
    let percent = |some: usize, hosts: usize| {
        let factor = u64::from(policy.overprovisioning_percent);
        (factor * some as u64).checked_div(hosts as u64).map_or(0, |percent| percent.min(100) as u32)
    };
    let healthy: Vec<u32> = availability.iter().map(|of| percent(of.healthy, of.hosts)).collect();
    let degraded: Vec<u32> = availability.iter().map(|of| percent(of.degraded, of.hosts)).collect();
    let total = healthy.iter().chain(&degraded).sum::<u32>().min(100);
    let mut loads = vec![PriorityLoad::default(); availability.len()];
    if total == 0 && policy.panic_threshold_percent == 0 {
        // Nobody will be found there, but the request has to go somewhere.
        loads[0].healthy_percent = 100;
        return loads;
    }
    share_out(&mut loads, &healthy, &degraded, total);
    // As long as there is enough somewhere, priorities that have little are spared instead.
    if total < 100 {
        let threshold = policy.panic_threshold_percent;
        loads
            .iter_mut()
            .zip(availability)
            .for_each(|(load, of)| load.is_in_panic = is_in_panic(*of, threshold));
    }
    if loads.iter().all(|load| load.is_in_panic) {
        share_out_by_size(&mut loads, availability);
    }
    loads
}

fn is_in_panic(of: Availability, threshold_percent: u32) -> bool {
    (of.healthy + of.degraded) * 100 < threshold_percent as usize * of.hosts.max(1)
}

/// To the healthy hosts of each priority in turn as much as they bear, then to degraded ones. What rounding has left goes to
/// the first that gets anything.
fn share_out(loads: &mut [PriorityLoad], healthy: &[u32], degraded: &[u32], total: u32) {
    let mut left = if total == 0 { 0 } else { 100 };
    let mut take = |bears: u32| {
        let share = left.min((bears * 100).checked_div(total).unwrap_or(0));
        left -= share;
        share
    };
    loads.iter_mut().zip(healthy).for_each(|(load, bears)| load.healthy_percent = take(*bears));
    loads.iter_mut().zip(degraded).for_each(|(load, bears)| load.degraded_percent = take(*bears));
    if let Some(first) = healthy.iter().position(|bears| *bears > 0) {
        loads[first].healthy_percent += left;
    } else if let Some(first) = degraded.iter().position(|bears| *bears > 0) {
        loads[first].degraded_percent += left;
    }
}

/// Where health counts nowhere, the number of hosts does.
fn share_out_by_size(loads: &mut [PriorityLoad], availability: &[Availability]) {
    let hosts: usize = availability.iter().map(|of| of.hosts).sum();
    let mut left = 100;
    for (load, of) in loads.iter_mut().zip(availability) {
        load.healthy_percent = (100 * of.hosts).checked_div(hosts).unwrap_or(0) as u32;
        load.degraded_percent = 0;
        left -= load.healthy_percent;
    }
    let first = availability.iter().position(|of| of.hosts > 0).unwrap_or(0);
    loads[first].healthy_percent += left;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shares of healthy hosts, with those priorities marked that are in panic, for per cents of 100 hosts each.
    fn loads(healthy: &[usize], policy: PriorityPolicy) -> (Vec<u32>, Vec<bool>) {
        let of = |healthy: &usize| Availability { hosts: 100, healthy: *healthy, degraded: 0 };
        let availability: Vec<Availability> = healthy.iter().map(of).collect();
        let loads = distribute(&availability, policy);
        assert_eq!(loads.iter().map(|load| load.healthy_percent + load.degraded_percent).sum::<u32>(), 100);
        (
            loads.iter().map(|load| load.healthy_percent).collect(),
            loads.iter().map(|load| load.is_in_panic).collect(),
        )
    }

    fn shares(healthy: &[usize]) -> Vec<u32> {
        loads(healthy, PriorityPolicy { panic_threshold_percent: 0, ..PriorityPolicy::default() }).0
    }

    /// The three tables of "Priority levels". Of the rows with a total below 100 they tell what comes without a panic.
    #[test]
    fn traffic_overflows_to_the_next_priority() {
        for (healthy, expected) in [
            ([100, 100], [100, 0]),
            ([72, 100], [100, 0]),
            ([71, 100], [99, 1]),
            ([50, 100], [70, 30]),
            ([25, 100], [35, 65]),
            ([0, 100], [0, 100]),
            ([72, 72], [100, 0]),
            ([71, 71], [99, 1]),
            ([50, 50], [70, 30]),
            ([25, 25], [50, 50]),
        ] {
            assert_eq!(shares(&healthy), expected, "{healthy:?}");
        }
        for (healthy, expected) in [
            ([100, 100, 100], [100, 0, 0]),
            ([72, 72, 100], [100, 0, 0]),
            ([71, 71, 100], [99, 1, 0]),
            ([50, 50, 100], [70, 30, 0]),
            ([25, 100, 100], [35, 65, 0]),
            ([25, 25, 100], [35, 35, 30]),
            // The documents round this one differently than Envoy does: 35 + 35 + 28 = 98, and 35 of 98 is 35.7.
            ([25, 25, 20], [37, 35, 28]),
        ] {
            assert_eq!(shares(&healthy), expected, "{healthy:?}");
        }
    }

    /// The tables of "Panic threshold", where they agree with the rule that the same page gives.
    #[test]
    fn panics_begin_where_all_priorities_together_have_too_little() {
        for (healthy, expected, panics) in [
            ([72, 100], [100, 0], [false, false]),
            ([0, 100], [0, 100], [false, false]),
            ([72, 72], [100, 0], [false, false]),
            ([71, 71], [99, 1], [false, false]),
            ([50, 60], [70, 30], [false, false]),
            ([25, 100], [35, 65], [false, false]),
            ([25, 25], [50, 50], [true, true]),
            ([5, 65], [8, 92], [true, false]),
            ([0, 0], [50, 50], [true, true]),
        ] {
            let policy = PriorityPolicy::default();
            assert_eq!(loads(&healthy, policy), (expected.to_vec(), panics.to_vec()), "{healthy:?}");
        }
    }

    #[test]
    fn the_threshold_itself_is_no_panic() {
        for (threshold, healthy, is_in_panic) in [
            (50, 49, true),
            (50, 50, false),
            (50, 51, false),
            (0, 0, false),
            (100, 71, true),
            (100, 72, false),
        ] {
            let policy = PriorityPolicy { panic_threshold_percent: threshold, ..PriorityPolicy::default() };
            assert_eq!(loads(&[healthy], policy), (vec![100], vec![is_in_panic]), "{healthy} of {threshold}");
        }
    }

    /// 100 hosts are to bear exactly what they bear: what fails is missed at once.
    #[test]
    fn the_factor_decides_when_it_overflows() {
        let policy = PriorityPolicy { overprovisioning_percent: 100, ..PriorityPolicy::default() };
        assert_eq!(loads(&[99, 100], policy).0, [99, 1]);
        let policy = PriorityPolicy { overprovisioning_percent: 200, ..PriorityPolicy::default() };
        assert_eq!(loads(&[50, 100], policy).0, [100, 0]);
        assert_eq!(loads(&[49, 100], policy).0, [98, 2]);
    }

    /// Envoy's comment: 10 / 20 / 10 % of health and 20 / 10 / 0 % of it degraded give 16 / 28 / 14 and 28 / 14 / 0.
    #[test]
    fn degraded_hosts_get_what_healthy_ones_cannot_bear() {
        let of = |healthy, degraded| Availability { hosts: 100, healthy, degraded };
        let policy = PriorityPolicy { panic_threshold_percent: 0, overprovisioning_percent: 100 };
        let loads = distribute(&[of(10, 20), of(20, 10), of(10, 0)], policy);
        let healthy: Vec<u32> = loads.iter().map(|load| load.healthy_percent).collect();
        let degraded: Vec<u32> = loads.iter().map(|load| load.degraded_percent).collect();
        assert_eq!((healthy, degraded), (vec![16, 28, 14], vec![28, 14, 0]));
        let loads = distribute(&[of(0, 100)], PriorityPolicy::default());
        assert_eq!((loads[0].degraded_percent, loads[0].is_in_panic), (100, false));
        let loads = distribute(&[of(50, 50)], PriorityPolicy::default());
        assert_eq!((loads[0].healthy_percent, loads[0].degraded_percent), (70, 30));
    }

    /// The number of hosts decides where all are in panic; an empty priority gets nothing unless all are empty.
    #[test]
    fn a_total_panic_goes_by_size() {
        let of = |hosts| Availability { hosts, healthy: 0, degraded: 0 };
        let shares = |availability: &[Availability]| -> Vec<u32> {
            let loads = distribute(availability, PriorityPolicy::default());
            loads.iter().map(|load| load.healthy_percent).collect()
        };
        assert_eq!(shares(&[of(30), of(10)]), [75, 25]);
        assert_eq!(shares(&[of(0), of(1), of(2)]), [0, 34, 66]);
        assert_eq!(shares(&[of(0), of(0)]), [100, 0]);
        assert_eq!(shares(&[of(0)]), [100]);
    }
}
