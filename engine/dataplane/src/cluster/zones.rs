//! The hosts of a priority by zone, for clusters that are aware of zones: which of them a request may go to.

use super::group::{Group, GroupKind};
use super::lb::HashTable;
use super::zone_routing::{ZoneChoice, ZoneRouting, ZoneSize};
use super::{HostTable, LocalZones, PickRequest};
use crate::config::{HostHealth, ZoneAware};
use std::rc::Rc;

/// Hosts by zone.
#[derive(Debug)]
pub(super) struct Zones {
    config: ZoneAware,
    panic_threshold_percent: u32,
    /// The own zone first, whether it has hosts or not.
    zones: Vec<Zone>,
    /// `None`: zones are not looked at.
    routing: Option<ZoneRouting>,
    standstill: Option<Standstill>,
}

/// Why zones are not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standstill {
    /// One zone only, here or there.
    OneZone,
    /// The local cluster has no hosts in the own zone, or is in a panic.
    LocalClusterNotOk,
    ClusterTooSmall,
}

#[derive(Debug)]
struct Zone {
    /// As the table of hosts has it.
    zone: u32,
    hosts: usize,
    healthy: Group,
    degraded: Group,
}

impl Zones {
    /// Of these hosts, in the order of their indices.
    pub(super) fn new(
        (config, panic_threshold_percent): (&ZoneAware, u32),
        kind: GroupKind,
        table: &HostTable,
        hosts: &[u32],
        hashed: Option<&Rc<HashTable>>,
    ) -> Self {
        let mut numbers = vec![table.zone_named(&config.zone).unwrap_or(u32::MAX)];
        let mut members: Vec<Vec<u32>> = vec![Vec::new()];
        for &host in hosts {
            let zone = table.zone(host);
            let at = numbers.iter().position(|known| *known == zone).unwrap_or_else(|| {
                numbers.push(zone);
                members.push(Vec::new());
                members.len() - 1
            });
            members[at].push(host);
        }
        let zone = |(zone, hosts): (u32, Vec<u32>)| {
            let group = |health| {
                let of_health = hosts.iter().copied().filter(|host| table.health(*host).health() == health);
                Group::new(kind, table, of_health.collect(), hashed.cloned())
            };
            let (healthy, degraded) = (group(HostHealth::Healthy), group(HostHealth::Degraded));
            Zone { zone, hosts: hosts.len(), healthy, degraded }
        };
        let zones = numbers.into_iter().zip(members).map(zone).collect();
        Zones { config: config.clone(), panic_threshold_percent, zones, routing: None, standstill: None }
    }

    /// A host has come to be of this health, or not to be.
    pub(super) fn insert(&mut self, table: &HostTable, host: u32, health: HostHealth) {
        if let Some(group) = self.group_of(table, host, health) {
            group.insert(table, host);
        }
    }

    pub(super) fn remove(&mut self, table: &HostTable, host: u32, health: HostHealth) {
        if let Some(group) = self.group_of(table, host, health) {
            group.remove(host);
        }
    }

    fn group_of(&mut self, table: &HostTable, host: u32, health: HostHealth) -> Option<&mut Group> {
        let zone = table.zone(host);
        let zone = self.zones.iter_mut().find(|known| known.zone == zone)?;
        zone.group(health)
    }

    /// Works out how much stays, after hosts or the local cluster's zones have changed.
    pub(super) fn distribute(&mut self, table: &HostTable, local: &LocalZones) {
        let sizes: Vec<ZoneSize> = self.zones.iter().map(|zone| zone.size(table, local)).collect();
        self.standstill = self.standstill(&sizes, local);
        let is_on = self.standstill.is_none();
        self.routing = is_on.then(|| ZoneRouting::new(&sizes, self.config.is_forced));
    }

    fn standstill(&self, sizes: &[ZoneSize], local: &LocalZones) -> Option<Standstill> {
        let healthy: usize = sizes.iter().map(|size| size.upstream).sum();
        let there = self.zones.iter().filter(|zone| zone.hosts > 0).count();
        if there < 2 || local.len() < 2 && !self.config.is_forced {
            return Some(Standstill::OneZone);
        }
        // By force it does not matter who sends.
        if !self.config.is_forced
            && (local.is_in_panic(self.panic_threshold_percent) || local.hosts_in(&self.config.zone) == 0)
        {
            return Some(Standstill::LocalClusterNotOk);
        }
        (healthy < self.config.min_cluster_size as usize).then_some(Standstill::ClusterTooSmall)
    }

    /// Why zones are not looked at, if so.
    pub(super) fn why_not(&self) -> Option<Standstill> {
        self.standstill
    }

    /// A host of the zone that the request is to go to; `None` if any zone will do.
    pub(super) fn pick(
        &mut self,
        table: &HostTable,
        request: &PickRequest<'_>,
        health: HostHealth,
    ) -> Option<(u32, ZoneChoice)> {
        let routing = self.routing.as_ref()?;
        // Other digits than those that choose priorities and hosts.
        let random = request.random.wrapping_mul(0xD6E8_FEB8_6659_FD93).rotate_left(23);
        if random % 100 >= u64::from(self.config.routing_enabled_percent) {
            return None;
        }
        let random = random.wrapping_mul(0x2545_F491_4F6C_DD1D);
        let choice = routing.choose((random >> 32) as u32, random as u32);
        let at = match choice {
            ZoneChoice::Direct | ZoneChoice::Sampled => 0,
            ZoneChoice::Cross(at) => at,
            ZoneChoice::NoCapacity => (random >> 20) as usize % self.zones.len(),
        };
        let host = self.zones.get_mut(at)?.group(health)?.pick(table, request)?;
        // One that has failed the request already is no reason to stay.
        (!request.avoid.contains(&host)).then_some((host, choice))
    }
}

impl Zone {
    fn group(&mut self, health: HostHealth) -> Option<&mut Group> {
        match health {
            HostHealth::Healthy => Some(&mut self.healthy),
            HostHealth::Degraded => Some(&mut self.degraded),
            HostHealth::Unhealthy => None,
        }
    }

    fn size(&self, table: &HostTable, local: &LocalZones) -> ZoneSize {
        let name = table.zone_name(self.zone);
        ZoneSize { upstream: self.healthy.len(), local: name.map_or(0, |name| local.healthy_in(name)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::PrioritySet;
    use crate::cluster::lb::testing::{Random, endpoints, within_bounds};
    use crate::config::{Cluster, Endpoint, HealthFlags};
    use crate::io::Time;
    use std::sync::Arc;

    fn in_zones(zones: &[&str]) -> Vec<Endpoint> {
        let mut endpoints = endpoints(&vec![1; zones.len()]);
        for (endpoint, zone) in endpoints.iter_mut().zip(zones) {
            endpoint.zone = Some(Arc::from(*zone));
        }
        endpoints
    }

    fn table(zones: &[&str]) -> HostTable {
        let mut table = HostTable::default();
        let counters: Vec<_> = zones.iter().map(|_| Arc::default()).collect();
        table.update(&in_zones(zones), &counters, Time::default());
        table
    }

    struct Bench {
        table: HostTable,
        set: PrioritySet,
        random: Random,
    }

    impl Bench {
        /// Zone `a` is the own one.
        fn new(change: impl Fn(&mut ZoneAware), upstream: &[&str], local: &[&str]) -> Self {
            let mut zone_aware = ZoneAware {
                zone: "a".into(),
                routing_enabled_percent: 100,
                min_cluster_size: 3,
                fails_on_panic: false,
                is_forced: false,
            };
            change(&mut zone_aware);
            let table = table(upstream);
            let config = Cluster { zone_aware: Some(zone_aware), ..Cluster::default() };
            let mut set = PrioritySet::new(&config, &table, 0);
            set.set_local_zones(&table, &Rc::new(LocalZones::of(&self::table(local))));
            Bench { table, set, random: Random::new(5) }
        }

        fn fail(&mut self, host: u32) {
            let before = self.table.set_health(host, HealthFlags::DRAINING, Time::default()).unwrap();
            self.set.on_health(&self.table, host, before.health());
        }

        fn shares(&mut self, avoid: &[u32]) -> Vec<u32> {
            let mut shares = vec![0; self.table.members().len()];
            for _ in 0..10_000 {
                let request = PickRequest { random: self.random.next(), avoid, ..PickRequest::default() };
                shares[self.set.pick(&self.table, &request).unwrap().host as usize] += 1;
            }
            shares
        }
    }

    #[test]
    fn requests_stay_in_a_zone_that_bears_them() {
        let mut bench = Bench::new(|_| {}, &["b", "a", "a", "b"], &["a", "b"]);
        assert_eq!(bench.shares(&[]), [0, 5000, 5000, 0]);
        assert_eq!(bench.shares(&[1])[1], 0);
        // Half of the capacity is gone: 1 of 3 here against 1 of 2 that sends.
        bench.fail(1);
        let shares = bench.shares(&[]);
        assert!(shares[1] == 0 && within_bounds(shares[2], 10_000, 0.6666), "{shares:?}");
        assert!(shares[0].abs_diff(shares[3]) <= 1, "{shares:?}");
        // It has failed the request: another zone is better than that.
        assert_eq!(bench.shares(&[2])[2], 0);
    }

    #[test]
    fn zones_are_not_looked_at_where_that_would_do_harm() {
        let spread = |bench: &mut Bench, why| {
            assert_eq!(bench.set.standstill(), Some(why));
            let shares = bench.shares(&[]);
            assert!(shares.iter().all(|share| share.abs_diff(2500) <= 1), "{why:?}: {shares:?}");
        };
        let zones = ["a", "a", "b", "b"];
        let small = |zone_aware: &mut ZoneAware| zone_aware.min_cluster_size = 5;
        spread(&mut Bench::new(small, &zones, &["a", "b"]), Standstill::ClusterTooSmall);
        spread(&mut Bench::new(|_| {}, &["a"; 4], &["a", "b"]), Standstill::OneZone);
        spread(&mut Bench::new(|_| {}, &zones, &["a", "a"]), Standstill::OneZone);
        spread(&mut Bench::new(|_| {}, &zones, &["b", "c"]), Standstill::LocalClusterNotOk);
        let mut off = Bench::new(|zone_aware| zone_aware.routing_enabled_percent = 0, &zones, &["a", "b"]);
        assert_eq!(off.shares(&[]), [2500; 4]);
    }

    #[test]
    fn by_force_all_stay_until_nobody_is_there() {
        let forced = |zone_aware: &mut ZoneAware| zone_aware.is_forced = true;
        let mut bench = Bench::new(forced, &["a", "b", "b", "b"], &[]);
        assert_eq!(bench.shares(&[]), [10_000, 0, 0, 0]);
        bench.fail(0);
        let shares = bench.shares(&[]);
        assert!(shares[0] == 0 && shares[1..].iter().all(|share| *share > 2500), "{shares:?}");
    }

    #[test]
    fn in_a_panic_zones_do_not_matter_and_may_fail_the_request() {
        for fails in [false, true] {
            let change = |zone_aware: &mut ZoneAware| zone_aware.fails_on_panic = fails;
            let mut bench = Bench::new(change, &["a", "a", "b", "b"], &["a", "b"]);
            (0..3).for_each(|host| bench.fail(host));
            let picked = bench.set.pick(&bench.table, &PickRequest::default());
            assert_eq!(picked.is_none(), fails);
        }
    }
}
