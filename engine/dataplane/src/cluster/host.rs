//! The hosts of a cluster on one core: a table in which an endpoint keeps its index while its cluster has it, and beyond that
//! for as long as a connection or a request refers to it. It picks nothing.

use super::Outcome;
use super::address_index::AddressIndex;
use super::lb::{Candidates, Ewma};
use super::outlier::{Reached, Rows};
use crate::config::{Endpoint, HealthFlags, HostHealth, Metadata, OutlierDetection, SlowStart};
use crate::io::{Address, ConnId, Time};
use crate::neighbours::IdleBoard;
use crate::observe::counters::EndpointCounters;
use std::rc::Rc;
use std::sync::Arc;

/// What does not change about an endpoint. Nobody else gets its index while anybody has this. A logical host that gets another
/// address is told anew, under its index; who has this goes on with the address it had.
#[derive(Debug)]
pub struct Host {
    pub index: u32,
    pub address: Address,
    /// The address as text.
    pub name: Box<str>,
    pub counters: Arc<EndpointCounters>,
    /// It is the same whatever its address, and may have alternates.
    pub is_logical: bool,
    pub alternates: Arc<[Address]>,
    /// Shared by all that the host was told as.
    lease: Rc<()>,
}

impl Host {
    fn new(index: u32, endpoint: &Endpoint, counters: &Arc<EndpointCounters>, lease: Rc<()>) -> Rc<Host> {
        Rc::new(Host {
            index,
            address: endpoint.address.clone(),
            name: endpoint.address.to_string().into(),
            counters: Arc::clone(counters),
            is_logical: endpoint.is_logical,
            alternates: endpoint.alternates.clone().unwrap_or_default(),
            lease,
        })
    }

    fn has_addresses_of(&self, endpoint: &Endpoint) -> bool {
        self.address == endpoint.address
            && *self.alternates == **endpoint.alternates.as_ref().unwrap_or(&Arc::default())
    }

    /// The host under one of its addresses: 0 is its own, 1 the first alternate.
    pub fn at(self: &Rc<Self>, number: usize) -> Option<Rc<Host>> {
        let Some(alternate) = number.checked_sub(1) else { return Some(Rc::clone(self)) };
        let address = self.alternates.get(alternate)?.clone();
        Some(Rc::new(Host {
            index: self.index,
            name: address.to_string().into(),
            address,
            counters: Arc::clone(&self.counters),
            is_logical: self.is_logical,
            alternates: Arc::clone(&self.alternates),
            lease: Rc::clone(&self.lease),
        }))
    }
}

/// The hosts of a cluster: its members, in the order of its endpoints, and those that were and still have something to finish.
/// The latter are at most as many as there are connections and requests when the members change.
#[derive(Debug, Default)]
pub struct HostTable {
    entries: Vec<Option<Entry>>,
    members: Vec<u32>,
    leaving: Vec<u32>,
    free: Vec<u32>,
    /// Of members and of those that leave.
    by_address: AddressIndex,
    /// The one that is the same whatever its address.
    logical: Option<u32>,
    /// The names of zones. One that has no hosts any more keeps its place.
    zones: Vec<Arc<str>>,
    slow_start: Option<SlowStart>,
    /// When members or their health changed last.
    changed: Time,
    /// It has had its first members.
    is_settled: bool,
}

const NO_ZONE: u32 = u32::MAX;

/// A host and this core's connections to it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) host: Rc<Host>,
    pub(super) weight: u32,
    pub(super) priority: u32,
    /// Its place among the names, [`NO_ZONE`] if it is not known.
    zone: u32,
    pub(super) metadata: Metadata,
    pub(super) health: HealthFlags,
    pub(super) is_member: bool,
    /// It was no member when the members changed last.
    has_left: bool,
    /// When it came or was well again; `None` is long ago.
    since: Option<Time>,
    pub(super) ewma: Ewma,
    /// Its place on the board of idle connections.
    pub(super) board_slot: u16,
    /// For outlier detection.
    rows: Rows,
    /// The last one used is taken first, so that the others can time out.
    pub(super) idle: Vec<ConnId>,
    pub(super) connections: u32,
    /// Of them, those that are not established.
    pub(super) connecting: u32,
    /// What has been learned of the silence that its connections may keep; 0 is nothing yet.
    pub(super) heartbeat_ms: u32,
    /// It has ever answered one.
    pub(super) answers_heartbeats: bool,
    /// Those that carry exchanges and may carry more; they are not idle. A handful.
    pub(super) shared: Vec<ConnId>,
}

impl Entry {
    /// Whether anybody but the table has the host, under whichever address.
    fn is_referred_to(&self) -> bool {
        Rc::strong_count(&self.host) > 1 || Rc::strong_count(&self.host.lease) > 1
    }
}

/// The address of the host at an index that is in use.
fn address_in<'t>(entries: &'t [Option<Entry>]) -> impl Fn(u32) -> Option<&'t Address> {
    move |index| entries[index as usize].as_ref().map(|entry| &entry.host.address)
}

impl HostTable {
    /// An empty one.
    pub fn new(slow_start: Option<SlowStart>) -> Self {
        HostTable { slow_start, ..HostTable::default() }
    }

    /// Makes these the members, with their counters at the same index. Who was a member under the same address, or is a
    /// logical host under whichever, keeps its place, its connections and its health; one that is there twice counts once.
    pub fn update(&mut self, endpoints: &[Endpoint], counters: &[Arc<EndpointCounters>], now: Time) {
        self.changed = now;
        let before = std::mem::take(&mut self.members);
        self.members.reserve_exact(endpoints.len());
        if self.entries.is_empty() {
            self.entries.reserve_exact(endpoints.len());
        }
        for &index in &before {
            if let Some(entry) = &mut self.entries[index as usize] {
                entry.is_member = false;
            }
        }
        for (endpoint, counters) in endpoints.iter().zip(counters) {
            let known = if endpoint.is_logical { self.logical } else { self.known(&endpoint.address) };
            let same = known.filter(|index| self.counts_with(*index, counters));
            let index = same.unwrap_or_else(|| self.insert(endpoint, counters));
            let Some(entry) = self.entry_mut(index) else { continue };
            if std::mem::replace(&mut entry.is_member, true) {
                continue;
            }
            if !entry.host.has_addresses_of(endpoint) {
                let moved = Host::new(index, endpoint, counters, Rc::clone(&entry.host.lease));
                let before = entry.host.address.clone();
                self.by_address.remove(&before, address_in(&self.entries));
                if let Some(entry) = self.entry_mut(index) {
                    entry.host = moved;
                }
                self.by_address.insert(index, address_in(&self.entries));
            }
            let zone = self.intern(endpoint.zone.as_ref());
            let Some(entry) = self.entry_mut(index) else { continue };
            (entry.weight, entry.priority, entry.zone) = (endpoint.weight, endpoint.priority, zone);
            entry.metadata = Arc::clone(&endpoint.metadata);
            if std::mem::take(&mut entry.has_left) {
                entry.health = endpoint.health;
                entry.since = Some(now);
            }
            self.members.push(index);
        }
        self.is_settled |= !self.members.is_empty();
        self.leaving.extend(before);
        self.sweep();
    }

    /// The host with this address, whether it is a member or leaves.
    fn known(&self, address: &Address) -> Option<u32> {
        self.by_address.get(address, address_in(&self.entries))
    }

    /// Who left before and came back meanwhile with other counters would be counted twice.
    fn counts_with(&self, index: u32, counters: &Arc<EndpointCounters>) -> bool {
        self.entry(index).is_some_and(|entry| Arc::ptr_eq(&entry.host.counters, counters))
    }

    fn insert(&mut self, endpoint: &Endpoint, counters: &Arc<EndpointCounters>) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            self.entries.len() as u32 - 1
        });
        let zone = self.intern(endpoint.zone.as_ref());
        let entry = Entry {
            zone,
            metadata: Arc::clone(&endpoint.metadata),
            host: Host::new(index, endpoint, counters, Rc::default()),
            weight: endpoint.weight,
            priority: endpoint.priority,
            health: endpoint.health,
            is_member: false,
            has_left: false,
            // The first ones all begin at once.
            since: self.is_settled.then_some(self.changed),
            ewma: Ewma::default(),
            board_slot: IdleBoard::slot_of(&endpoint.address),
            rows: Rows::default(),
            idle: Vec::new(),
            connections: 0,
            connecting: 0,
            heartbeat_ms: 0,
            answers_heartbeats: false,
            shared: Vec::new(),
        };
        self.entries[index as usize] = Some(entry);
        self.by_address.insert(index, address_in(&self.entries));
        if endpoint.is_logical {
            self.logical = Some(index);
        }
        index
    }

    fn intern(&mut self, zone: Option<&Arc<str>>) -> u32 {
        let Some(name) = zone else { return NO_ZONE };
        self.zone_named(name).unwrap_or_else(|| {
            self.zones.push(Arc::clone(name));
            self.zones.len() as u32 - 1
        })
    }

    /// Where a host stands.
    pub(super) fn zone(&self, index: u32) -> u32 {
        self.entry(index).map_or(NO_ZONE, |entry| entry.zone)
    }

    pub(super) fn zone_named(&self, name: &str) -> Option<u32> {
        self.zones.iter().position(|known| **known == *name).map(|at| at as u32)
    }

    pub(super) fn zone_name(&self, zone: u32) -> Option<&Arc<str>> {
        self.zones.get(zone as usize)
    }

    /// Gives the places of those that have left and have nothing any more to others.
    fn sweep(&mut self) {
        for index in std::mem::take(&mut self.leaving) {
            match self.entry_mut(index) {
                Some(entry) if entry.is_member => {}
                Some(entry) if entry.connections > 0 || entry.is_referred_to() => {
                    entry.has_left = true;
                    self.leaving.push(index);
                }
                _ => self.free(index),
            }
        }
    }

    fn free(&mut self, index: u32) {
        self.logical = self.logical.filter(|logical| *logical != index);
        if let Some(host) = self.get(index).cloned()
            && self.known(&host.address) == Some(index)
        {
            self.by_address.remove(&host.address, address_in(&self.entries));
        }
        self.entries[index as usize] = None;
        self.free.push(index);
    }

    pub(super) fn entry(&self, index: u32) -> Option<&Entry> {
        self.entries.get(index as usize)?.as_ref()
    }

    pub(super) fn entry_mut(&mut self, index: u32) -> Option<&mut Entry> {
        self.entries.get_mut(index as usize)?.as_mut()
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().flatten()
    }

    /// The idle connections of those that are no members any more.
    pub(super) fn idle_of_leaving(&mut self) -> Vec<ConnId> {
        let leaving = self.leaving.iter().filter_map(|index| self.entry(*index));
        leaving.flat_map(|entry| &entry.idle).copied().collect()
    }

    /// The members, by index, in the order of the cluster's endpoints.
    pub fn members(&self) -> &[u32] {
        &self.members
    }

    /// The host at an index.
    pub fn get(&self, index: u32) -> Option<&Rc<Host>> {
        self.entry(index).map(|entry| &entry.host)
    }

    /// Whether the cluster has the endpoint now.
    pub fn is_member(&self, index: u32) -> bool {
        self.entry(index).is_some_and(|entry| entry.is_member)
    }

    /// The member with this address.
    pub fn find(&self, address: &Address) -> Option<u32> {
        self.known(address).filter(|index| self.is_member(*index))
    }

    /// Where the board tells of its idle connections; `None` if those lead to different addresses.
    pub(crate) fn board_slot(&self, index: u32) -> Option<u16> {
        self.entry(index).filter(|entry| !entry.host.is_logical).map(|entry| entry.board_slot)
    }

    /// What is known against the endpoint.
    pub fn health(&self, index: u32) -> HealthFlags {
        self.entry(index).map_or(HealthFlags::default(), |entry| entry.health)
    }

    /// Tells what was known against it before, if there is such an endpoint.
    pub(super) fn set_health(&mut self, index: u32, health: HealthFlags, now: Time) -> Option<HealthFlags> {
        self.changed = now;
        let entry = self.entry_mut(index)?;
        let before = std::mem::replace(&mut entry.health, health);
        if before.health() == HostHealth::Unhealthy && health.health() != HostHealth::Unhealthy {
            entry.since = Some(now);
        }
        if before.without(health).has_any(HealthFlags::FAILED_OUTLIER_CHECK) {
            entry.rows.clear();
        }
        Some(before)
    }

    /// An attempt at the endpoint took so long.
    pub(super) fn observe(&mut self, index: u32, now: Time, micros: u64) {
        if let Some(entry) = self.entry_mut(index) {
            entry.ewma.observe(now, micros);
        }
    }

    /// When members or their health changed last.
    pub fn changed(&self) -> Time {
        self.changed
    }

    /// What part of the endpoint's weight counts now.
    pub(super) fn slow_start_share(&self, index: u32, now: Time) -> f64 {
        let since = self.entry(index).and_then(|entry| entry.since);
        match (self.slow_start, since) {
            (Some(slow), Some(since)) => slow.share(now.micros_since(since)),
            _ => 1.0,
        }
    }

    /// When the last of these endpoints will be through with its slow start, if any is in it.
    pub(super) fn slow_until(&self, hosts: &[u32]) -> Option<Time> {
        let window_ms = self.slow_start?.window_ms;
        let since = hosts.iter().filter_map(|host| self.entry(*host)?.since).max()?;
        Some(since.after_ms(window_ms)).filter(|until| *until > self.changed)
    }

    /// Takes in how an attempt at the endpoint went.
    pub(super) fn count_result(
        &mut self,
        index: u32,
        outcome: Outcome,
        config: &OutlierDetection,
    ) -> Reached {
        let Some(entry) = self.entry_mut(index) else { return Reached::default() };
        entry.rows.record(outcome, config, &entry.host.counters)
    }

    /// The members as balancers see them.
    pub fn candidates(&self) -> Candidates<'_> {
        Candidates::new(self, &self.members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::lb::testing::endpoints;

    fn counters(count: usize) -> Vec<Arc<EndpointCounters>> {
        (0..count).map(|_| Arc::default()).collect()
    }

    #[test]
    fn an_endpoint_keeps_its_place_while_anybody_refers_to_it() {
        let (all, counters) = (endpoints(&[1, 1, 1]), counters(3));
        let mut table = HostTable::default();
        table.update(&all, &counters, Time::default());
        let held = table.get(0).cloned();
        table.update(&all[1..], &counters[1..], Time::default());
        assert_eq!((table.members(), table.is_member(0)), (&[1, 2][..], false));
        assert_eq!(table.find(&all[0].address), None);
        table.update(&all, &counters, Time::default());
        assert_eq!((table.members(), table.find(&all[0].address)), (&[0, 1, 2][..], Some(0)));
        drop(held);
        table.update(&all[1..], &counters[1..], Time::default());
        assert!(table.get(0).is_none());
        let other = &endpoints(&[1, 1, 1, 1])[3];
        table.update(
            &[all[1].clone(), other.clone()],
            &[Arc::clone(&counters[1]), Arc::default()],
            Time::default(),
        );
        assert_eq!(table.members(), [1, 0], "in its place");
    }

    /// Nobody tells of the health of endpoints that the cluster does not have.
    #[test]
    fn health_stays_with_a_member_and_is_told_anew_of_one_that_comes_back() {
        let (mut all, counters) = (endpoints(&[1, 1]), counters(2));
        let mut table = HostTable::default();
        table.update(&all, &counters, Time::default());
        let failed = HealthFlags::FAILED_ACTIVE_CHECK;
        assert_eq!(
            [0, 1, 2].map(|host| table.set_health(host, failed, Time::default())),
            [Some(HealthFlags::NONE), Some(HealthFlags::NONE), None]
        );
        let held = table.get(0).cloned();
        all[1].weight = 2;
        table.update(&all[1..], &counters[1..], Time::default());
        assert_eq!(table.health(1), failed, "it stays");
        all[0].health = HealthFlags::DRAINING;
        table.update(&all, &counters, Time::default());
        assert_eq!((table.health(0), table.health(1)), (HealthFlags::DRAINING, failed));
        drop(held);
    }
}
