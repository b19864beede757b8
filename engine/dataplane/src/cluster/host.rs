//! The hosts of a cluster on one core: a table in which an endpoint keeps its index while its cluster has it, and beyond that
//! for as long as a connection or a request refers to it. It picks nothing.

use super::lb::Candidates;
use crate::config::Endpoint;
use crate::io::{Address, ConnId};
use crate::observe::counters::EndpointCounters;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// What does not change about an endpoint. Nobody else gets its index while anybody has this.
#[derive(Debug)]
pub struct Host {
    pub index: u32,
    pub address: Address,
    /// The address as text.
    pub name: Box<str>,
    pub counters: Arc<EndpointCounters>,
}

/// The hosts of a cluster: its members, in the order of its endpoints, and those that were and still have something to finish.
/// The latter are at most as many as there are connections and requests when the members change.
#[derive(Debug, Default)]
pub struct HostTable {
    entries: Vec<Option<Entry>>,
    members: Vec<u32>,
    leaving: Vec<u32>,
    free: Vec<u32>,
}

/// A host and this core's connections to it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) host: Rc<Host>,
    pub(super) weight: u32,
    pub(super) is_member: bool,
    /// The last one used is taken first, so that the others can time out.
    pub(super) idle: Vec<ConnId>,
    pub(super) connections: u32,
}

impl HostTable {
    /// Makes these the members, with their counters at the same index. Who was a member under the same address keeps its place
    /// and its connections; an address that is there twice counts once. Tells whether a balancer must be made anew.
    pub fn update(&mut self, endpoints: &[Endpoint], counters: &[Arc<EndpointCounters>]) -> bool {
        let before = std::mem::take(&mut self.members);
        let mut known = HashMap::with_capacity(before.len());
        for &index in before.iter().chain(&self.leaving) {
            if let Some(entry) = &mut self.entries[index as usize] {
                entry.is_member = false;
                known.insert(entry.host.address.clone(), index);
            }
        }
        let mut has_changed = false;
        for (endpoint, counters) in endpoints.iter().zip(counters) {
            let same =
                known.get(&endpoint.address).copied().filter(|index| self.counts_with(*index, counters));
            let index = same.unwrap_or_else(|| self.insert(endpoint, counters));
            known.insert(endpoint.address.clone(), index);
            let Some(entry) = self.entry_mut(index) else { continue };
            if std::mem::replace(&mut entry.is_member, true) {
                continue;
            }
            has_changed |= std::mem::replace(&mut entry.weight, endpoint.weight) != endpoint.weight;
            self.members.push(index);
        }
        has_changed |= self.members != before;
        self.leaving.extend(before);
        self.sweep();
        has_changed
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
        let host = Host {
            index,
            address: endpoint.address.clone(),
            name: endpoint.address.to_string().into(),
            counters: Arc::clone(counters),
        };
        let entry = Entry {
            host: Rc::new(host),
            weight: endpoint.weight,
            is_member: false,
            idle: Vec::new(),
            connections: 0,
        };
        self.entries[index as usize] = Some(entry);
        index
    }

    /// Gives the places of those that have left and have nothing any more to others.
    fn sweep(&mut self) {
        for index in std::mem::take(&mut self.leaving) {
            match self.entry(index) {
                Some(entry) if entry.is_member => {}
                Some(entry) if entry.connections > 0 || Rc::strong_count(&entry.host) > 1 => {
                    self.leaving.push(index);
                }
                _ => {
                    self.entries[index as usize] = None;
                    self.free.push(index);
                }
            }
        }
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

    /// The members as balancers see them.
    pub fn candidates(&self) -> Candidates<'_> {
        Candidates::new(self, &self.members)
    }
}
