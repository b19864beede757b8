//! A cluster's hosts by priority and health: which of them a request may go to. It opens no connections, and looks at nothing
//! but what changed when the health of a host does.

use super::group::{Group, GroupKind};
use super::lb::{Candidates, HashTable};
use super::priority_load::{Availability, PriorityLoad, distribute};
use super::zones::{Standstill, Zones};
use super::{HostTable, LocalZones, PickRequest, ZoneChoice};
use crate::config::{Cluster, HostHealth, LoadBalancing, PriorityPolicy, ZoneAware};
use std::rc::Rc;

/// All priorities.
#[derive(Debug)]
pub struct PrioritySet {
    lb: LoadBalancing,
    policy: PriorityPolicy,
    start: usize,
    /// By priority; at least one.
    sets: Vec<HostSet>,
    loads: Vec<PriorityLoad>,
    zone_aware: Option<ZoneAware>,
    /// Of the first priority, as in Envoy.
    zones: Option<Box<Zones>>,
    local_zones: Rc<LocalZones>,
}

/// The hosts of one priority.
#[derive(Debug)]
struct HostSet {
    kind: GroupKind,
    /// In the order of their indices.
    hosts: Vec<u32>,
    hashed: Option<Rc<HashTable>>,
    healthy: Group,
    /// From its first degraded host on.
    degraded: Option<Box<Group>>,
    /// Of all hosts, from its first panic on.
    panic: Option<Box<Group>>,
}

/// A host that was found, and whether it was for want of healthy ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pick {
    pub host: u32,
    pub is_panic: bool,
    pub zone: Option<ZoneChoice>,
}

impl PrioritySet {
    /// `start` spreads the first picks of the cores.
    pub fn new(config: &Cluster, table: &HostTable, start: usize) -> Self {
        let mut set = PrioritySet::empty(config, start);
        set.update(table, table.members());
        set
    }

    /// One without hosts.
    pub fn empty(config: &Cluster, start: usize) -> Self {
        PrioritySet {
            lb: config.lb,
            policy: config.priorities,
            start,
            sets: Vec::new(),
            loads: Vec::new(),
            zone_aware: config.zone_aware.clone(),
            zones: None,
            local_zones: Rc::default(),
        }
    }

    /// Makes these its hosts, in the cluster's order, or takes their weights and priorities over.
    pub fn update(&mut self, table: &HostTable, members: &[u32]) {
        let mut hosts: Vec<Vec<u32>> = vec![Vec::new()];
        for &host in members {
            let priority = table.entry(host).map_or(0, |entry| entry.priority as usize);
            if priority >= hosts.len() {
                hosts.resize_with(priority + 1, Vec::new);
            }
            hosts[priority].push(host);
        }
        self.sets.truncate(hosts.len());
        // Most clusters have one, and with thousands of them room for more would be the most of their memory.
        self.sets.reserve_exact(hosts.len() - self.sets.len());
        for (priority, hosts) in hosts.into_iter().enumerate() {
            let is_weighted = Candidates::new(table, &hosts).weights_differ();
            let kind = GroupKind { lb: self.lb, is_weighted, start: self.start };
            match self.sets.get_mut(priority) {
                Some(set) => set.update(kind, table, hosts),
                None => self.sets.push(HostSet::new(kind, table, hosts)),
            }
        }
        let threshold = self.policy.panic_threshold_percent;
        let first = &self.sets[0];
        let zones =
            |config| Zones::new((config, threshold), first.kind, table, &first.hosts, first.hashed.as_ref());
        self.zones = self.zone_aware.as_ref().map(zones).map(Box::new);
        self.distribute(table);
    }

    /// The local cluster has other hosts, or they are in other health.
    pub fn set_local_zones(&mut self, table: &HostTable, local: &Rc<LocalZones>) {
        self.local_zones = Rc::clone(local);
        if let Some(zones) = &mut self.zones {
            zones.distribute(table, local);
        }
    }

    /// Whether it goes by zones.
    pub fn is_zone_aware(&self) -> bool {
        self.zone_aware.is_some()
    }

    /// Why zones are not looked at, if they should be.
    pub fn standstill(&self) -> Option<Standstill> {
        self.zones.as_ref()?.why_not()
    }

    /// A host's health has changed, in the table already.
    pub fn on_health(&mut self, table: &HostTable, host: u32, before: HostHealth) {
        let Some(entry) = table.entry(host).filter(|entry| entry.is_member) else { return };
        let now = entry.health.health();
        if now == before {
            return;
        }
        let Some(set) = self.sets.get_mut(entry.priority as usize) else { return };
        if let Some(group) = set.group(before) {
            group.remove(host);
        }
        set.insert(table, host, now);
        if let Some(zones) = self.zones.as_mut().filter(|_| entry.priority == 0) {
            zones.remove(table, host, before);
            zones.insert(table, host, now);
        }
        self.distribute(table);
    }

    fn distribute(&mut self, table: &HostTable) {
        if let Some(zones) = &mut self.zones {
            zones.distribute(table, &self.local_zones);
        }
        let availability: Vec<Availability> = self.sets.iter().map(HostSet::availability).collect();
        self.loads = distribute(&availability, self.policy);
        for (set, load) in self.sets.iter_mut().zip(&self.loads) {
            if load.is_in_panic && set.panic.is_none() {
                let group = Group::new(set.kind, table, set.hosts.clone(), set.hashed.clone());
                set.panic = Some(Box::new(group));
            }
        }
    }

    /// Whether some host is healthy or degraded.
    pub fn has_healthy(&self) -> bool {
        self.sets.iter().any(|set| set.healthy.len() + set.degraded_len() > 0)
    }

    /// A host for a request: none of those to be avoided as long as there is another one that will do.
    #[inline]
    pub fn pick(&mut self, table: &HostTable, request: &PickRequest<'_>) -> Option<Pick> {
        let (priority, health) = self.choose(request.hash.unwrap_or(request.random));
        let set = &mut self.sets[priority];
        let is_panic = self.loads[priority].is_in_panic;
        if is_panic && self.zone_aware.as_ref().is_some_and(|zone_aware| zone_aware.fails_on_panic) {
            return None;
        }
        if let Some(zones) = self.zones.as_mut().filter(|_| priority == 0 && !is_panic)
            && let Some((host, zone)) = zones.pick(table, request, health)
        {
            return Some(Pick { host, is_panic, zone: Some(zone) });
        }
        let group = if is_panic { set.panic.as_deref_mut() } else { set.group(health) };
        group?.pick(table, request).map(|host| Pick { host, is_panic, zone: None })
    }

    /// How many hosts it has.
    pub fn len(&self) -> usize {
        self.sets.iter().map(|set| set.hosts.len()).sum()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a request may go to the host now.
    pub fn admits(&self, table: &HostTable, host: u32) -> bool {
        let Some(entry) = table.entry(host).filter(|entry| entry.is_member) else { return false };
        let load = self.loads.get(entry.priority as usize).copied().unwrap_or_default();
        let percent = match entry.health.health() {
            _ if load.is_in_panic => load.healthy_percent,
            HostHealth::Healthy => load.healthy_percent,
            HostHealth::Degraded => load.degraded_percent,
            HostHealth::Unhealthy => 0,
        };
        percent > 0
    }

    /// A priority by its load, and which of its hosts.
    #[inline]
    fn choose(&self, random: u64) -> (usize, HostHealth) {
        if self.loads[0].healthy_percent == 100 {
            return (0, HostHealth::Healthy);
        }
        // Other digits than those by which a host is chosen.
        let mut left = (random.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32 % 100;
        let healthy = self.loads.iter().map(|load| (load.healthy_percent, HostHealth::Healthy)).enumerate();
        let degraded =
            self.loads.iter().map(|load| (load.degraded_percent, HostHealth::Degraded)).enumerate();
        for (priority, (percent, health)) in healthy.chain(degraded) {
            if left < percent {
                return (priority, health);
            }
            left -= percent;
        }
        (0, HostHealth::Healthy)
    }
}

impl HostSet {
    /// `hosts` in the cluster's order.
    fn new(kind: GroupKind, table: &HostTable, mut hosts: Vec<u32>) -> Self {
        let hashed = hash_table(kind.lb, table, &hosts, None);
        hosts.sort_unstable();
        let healthy = Group::new(kind, table, of_health(table, &hosts, HostHealth::Healthy), hashed.clone());
        let degraded = of_health(table, &hosts, HostHealth::Degraded);
        let degraded =
            (!degraded.is_empty()).then(|| Box::new(Group::new(kind, table, degraded, hashed.clone())));
        HostSet { kind, hosts, hashed, healthy, degraded, panic: None }
    }

    /// `hosts` in the cluster's order.
    fn update(&mut self, kind: GroupKind, table: &HostTable, mut hosts: Vec<u32>) {
        let hashed = hash_table(kind.lb, table, &hosts, self.hashed.take());
        hosts.sort_unstable();
        let of = |health| of_health(table, &hosts, health);
        self.healthy.update(kind, table, of(HostHealth::Healthy), hashed.clone());
        let degraded = of(HostHealth::Degraded);
        match &mut self.degraded {
            Some(group) => group.update(kind, table, degraded, hashed.clone()),
            None if degraded.is_empty() => {}
            None => self.degraded = Some(Box::new(Group::new(kind, table, degraded, hashed.clone()))),
        }
        if let Some(panic) = &mut self.panic {
            panic.update(kind, table, hosts.clone(), hashed.clone());
        }
        (self.kind, self.hosts, self.hashed) = (kind, hosts, hashed);
    }

    fn group(&mut self, health: HostHealth) -> Option<&mut Group> {
        match health {
            HostHealth::Healthy => Some(&mut self.healthy),
            HostHealth::Degraded => self.degraded.as_deref_mut(),
            HostHealth::Unhealthy => None,
        }
    }

    fn insert(&mut self, table: &HostTable, host: u32, health: HostHealth) {
        match health {
            HostHealth::Healthy => self.healthy.insert(table, host),
            HostHealth::Degraded => {
                let empty = || Box::new(Group::new(self.kind, table, vec![], self.hashed.clone()));
                self.degraded.get_or_insert_with(empty).insert(table, host);
            }
            HostHealth::Unhealthy => {}
        }
    }

    fn degraded_len(&self) -> usize {
        self.degraded.as_ref().map_or(0, |group| group.len())
    }

    fn availability(&self) -> Availability {
        let (hosts, healthy, degraded) = (self.hosts.len(), self.healthy.len(), self.degraded_len());
        Availability { hosts, healthy, degraded }
    }
}

/// The table for balancers by hash; the one that there was if it is of the same hosts.
fn hash_table(
    lb: LoadBalancing,
    table: &HostTable,
    hosts: &[u32],
    before: Option<Rc<HashTable>>,
) -> Option<Rc<HashTable>> {
    if !lb.is_hashed() {
        return None;
    }
    let weighted = |host: &u32| (*host, table.entry(*host).map_or(1, |entry| entry.weight));
    let hosts: Vec<(u32, u32)> = hosts.iter().map(weighted).collect();
    let before = before.filter(|before| before.is_of(&hosts));
    before.or_else(|| HashTable::new(lb, table, hosts).map(Rc::new))
}

fn of_health(table: &HostTable, hosts: &[u32], health: HostHealth) -> Vec<u32> {
    hosts.iter().copied().filter(|host| table.health(*host).health() == health).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::lb::testing::{Random, endpoints, within_bounds};
    use crate::config::{HealthFlags, RingSizes};
    use crate::io::Time;
    use crate::observe::counters::EndpointCounters;
    use std::sync::Arc;

    const FAILED: HealthFlags = HealthFlags::FAILED_ACTIVE_CHECK;
    const DEGRADED: HealthFlags = HealthFlags::DEGRADED_DISCOVERY;

    /// A set with hosts of these weights and priorities, and its table.
    struct Bench {
        table: HostTable,
        counters: Vec<Arc<EndpointCounters>>,
        set: PrioritySet,
        random: Random,
    }

    impl Bench {
        fn new(lb: LoadBalancing, threshold: u32, hosts: &[(u32, u32)]) -> Self {
            let mut endpoints = endpoints(&hosts.iter().map(|(weight, _)| *weight).collect::<Vec<_>>());
            for (endpoint, (_, priority)) in endpoints.iter_mut().zip(hosts) {
                endpoint.priority = *priority;
            }
            let mut table = HostTable::default();
            let counters: Vec<_> = (0..8).map(|_| Arc::default()).collect();
            table.update(&endpoints, &counters, Time::default());
            let priorities =
                PriorityPolicy { panic_threshold_percent: threshold, ..PriorityPolicy::default() };
            let set = PrioritySet::new(&Cluster { lb, priorities, ..Cluster::default() }, &table, 0);
            Bench { table, counters, set, random: Random::new(3) }
        }

        fn set_health(&mut self, host: u32, health: HealthFlags) {
            let before = self.table.set_health(host, health, Time::default()).unwrap();
            self.set.on_health(&self.table, host, before.health());
        }

        fn pick(&mut self, avoid: &[u32]) -> Option<Pick> {
            let random = self.random.next();
            self.set.pick(&self.table, &PickRequest { avoid, random, ..PickRequest::default() })
        }

        fn shares(&mut self, picks: u32) -> Vec<u32> {
            let mut shares = vec![0; self.table.members().len()];
            for _ in 0..picks {
                let picked = self.pick(&[]).unwrap().host;
                assert!(self.set.admits(&self.table, picked));
                shares[picked as usize] += 1;
            }
            shares
        }
    }

    const RING: LoadBalancing = LoadBalancing::RingHash(RingSizes { minimum: 1024, maximum: 1024 });
    const KINDS: [LoadBalancing; 6] = [
        LoadBalancing::RoundRobin,
        LoadBalancing::LeastRequest,
        LoadBalancing::Random,
        LoadBalancing::PeakEwma,
        RING,
        LoadBalancing::Maglev,
    ];

    #[test]
    fn unhealthy_hosts_are_left_alone_until_they_are_well() {
        for lb in KINDS {
            for weights in [[1, 1, 1], [1, 2, 3]] {
                let mut bench = Bench::new(lb, 50, &weights.map(|weight| (weight, 0)));
                bench.set_health(1, FAILED);
                assert!(!bench.set.admits(&bench.table, 1));
                let shares = bench.shares(300);
                assert_eq!(shares[1], 0, "{lb:?}");
                assert!(shares[0] >= 60 && shares[2] >= 60, "{lb:?}: {shares:?}");
                bench.set_health(1, HealthFlags::default());
                assert!(bench.shares(300)[1] >= 60, "{lb:?}");
            }
        }
    }

    #[test]
    fn what_has_failed_is_avoided_while_there_is_another() {
        for lb in KINDS {
            for weights in [[1, 1, 1, 1], [100, 1, 1, 1]] {
                let mut bench = Bench::new(lb, 50, &weights.map(|weight| (weight, 0)));
                for _ in 0..200 {
                    assert_eq!(bench.pick(&[0, 2, 3]).unwrap().host, 1, "{lb:?} {weights:?}");
                }
                assert!(
                    bench.pick(&[0, 1, 2, 3]).is_some(),
                    "{lb:?}: all have failed, and one of them gets it"
                );
                bench.set_health(1, FAILED);
                assert_ne!(bench.pick(&[0, 2, 3]).unwrap().host, 1, "{lb:?}: better again than to the sick");
            }
        }
    }

    #[test]
    fn with_too_few_healthy_hosts_all_are_used() {
        let mut bench = Bench::new(LoadBalancing::RoundRobin, 50, &[(1, 0); 4]);
        bench.set_health(0, FAILED);
        bench.set_health(1, FAILED);
        assert_eq!(bench.shares(100), [0, 0, 50, 50], "half of them are enough");
        bench.set_health(2, FAILED);
        assert!(bench.pick(&[]).unwrap().is_panic);
        let shares = bench.shares(100);
        assert!(shares.iter().all(|share| *share == 25), "{shares:?}");
        bench.set_health(2, HealthFlags::default());
        assert_eq!(bench.shares(100), [0, 0, 50, 50], "the panic is over");
        assert!(!bench.pick(&[]).unwrap().is_panic);
    }

    #[test]
    fn without_a_panic_nobody_is_picked_where_nobody_is_well() {
        let mut bench = Bench::new(LoadBalancing::Random, 0, &[(1, 0); 2]);
        bench.set_health(0, FAILED);
        bench.set_health(1, FAILED);
        assert_eq!(bench.pick(&[]), None);
        for lb in KINDS {
            assert_eq!(Bench::new(lb, 50, &[]).pick(&[]), None);
        }
    }

    #[test]
    fn priorities_share_by_their_loads() {
        let hosts = [(1, 0), (1, 0), (1, 1), (1, 1)];
        let mut bench = Bench::new(LoadBalancing::RoundRobin, 50, &hosts);
        assert_eq!(bench.shares(100), [50, 50, 0, 0]);
        assert!(!bench.set.admits(&bench.table, 2));
        bench.set_health(0, FAILED);
        let shares = bench.shares(10_000);
        assert!(shares[0] == 0 && within_bounds(shares[1], 10_000, 0.7), "{shares:?}");
        assert!(shares[2].abs_diff(shares[3]) <= 1, "{shares:?}");
        bench.set_health(1, FAILED);
        assert_eq!(bench.shares(100), [0, 0, 50, 50]);
    }

    #[test]
    fn degraded_hosts_are_the_second_choice() {
        let mut bench = Bench::new(LoadBalancing::RoundRobin, 50, &[(1, 0); 4]);
        bench.set_health(0, DEGRADED);
        assert_eq!(bench.shares(90), [0, 30, 30, 30]);
        bench.set_health(1, DEGRADED);
        let shares = bench.shares(10_000);
        assert!(within_bounds(shares[0] + shares[1], 10_000, 0.3), "{shares:?}");
        bench.set_health(2, DEGRADED);
        bench.set_health(3, DEGRADED);
        let shares = bench.shares(100);
        assert!(shares.iter().all(|share| *share == 25), "{shares:?}");
    }

    /// A host that stays in the cluster keeps its health; a panic sees who came meanwhile.
    #[test]
    fn hosts_come_and_go_by_priority_and_health() {
        let mut bench = Bench::new(LoadBalancing::RoundRobin, 50, &[(1, 0); 3]);
        (0..3).for_each(|host| bench.set_health(host, FAILED));
        assert_eq!(bench.shares(9), [3; 3]);
        let mut endpoints = endpoints(&[1, 1, 1, 1]);
        endpoints[3].health = FAILED;
        bench.table.update(&endpoints, &bench.counters, Time::default());
        bench.set.update(&bench.table, bench.table.members());
        let picks: std::collections::HashSet<u32> = (0..8).map(|_| bench.pick(&[]).unwrap().host).collect();
        assert_eq!(picks.len(), 4);
    }

    /// To the same host, to another one while that is unwell, and to that again.
    #[test]
    fn requests_with_the_same_hash_stay_together() {
        for lb in [RING, LoadBalancing::Maglev] {
            let mut bench = Bench::new(lb, 50, &[(1, 0); 4]);
            let picks = |bench: &mut Bench, avoid: &[u32]| {
                let (hash, random) = (Some(77), bench.random.next());
                let request = PickRequest { hash, random, avoid, ..PickRequest::default() };
                bench.set.pick(&bench.table, &request).unwrap().host
            };
            let first = picks(&mut bench, &[]);
            assert!((0..20).all(|_| picks(&mut bench, &[]) == first), "{lb:?}");
            let next = picks(&mut bench, &[first]);
            assert_ne!(next, first, "{lb:?}");
            bench.set_health(first, FAILED);
            assert!((0..20).all(|_| picks(&mut bench, &[]) == next), "{lb:?}");
            bench.set_health(first, HealthFlags::NONE);
            assert_eq!(picks(&mut bench, &[]), first, "{lb:?}");
        }
    }
}
