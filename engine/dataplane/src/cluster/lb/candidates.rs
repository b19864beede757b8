//! What a balancer sees of an endpoint: its weight, and how busy this core keeps it. It sees no connections.

use super::Ewma;
use crate::cluster::HostTable;
use crate::io::Time;

/// Some of a cluster's hosts, in an order of their own.
#[derive(Debug, Clone, Copy)]
pub struct Candidates<'a> {
    table: &'a HostTable,
    hosts: &'a [u32],
    now: Time,
}

impl<'a> Candidates<'a> {
    /// Those of these indices in the table, as of its last change.
    pub fn new(table: &'a HostTable, hosts: &'a [u32]) -> Self {
        Candidates { table, hosts, now: table.changed() }
    }

    /// As of now.
    pub fn at(self, now: Time) -> Self {
        Candidates { now, ..self }
    }

    /// The time that they are looked at.
    pub fn now(&self) -> Time {
        self.now
    }

    /// By index in the table.
    pub fn hosts(&self) -> &'a [u32] {
        self.hosts
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// The share of a host, relative to the others.
    pub fn weight(&self, host: u32) -> u32 {
        self.table.entry(host).map_or(1, |entry| entry.weight)
    }

    /// The share of a host, less while it is in slow start.
    pub fn weight_now(&self, host: u32) -> f64 {
        f64::from(self.weight(host)) * self.table.slow_start_share(host, self.now)
    }

    /// What the answers of a host took.
    pub fn ewma(&self, host: u32) -> Ewma {
        self.table.entry(host).map_or(Ewma::default(), |entry| entry.ewma)
    }

    /// Requests of this core that a host has in hand.
    pub fn active_requests(&self, host: u32) -> u64 {
        self.table.entry(host).map_or(0, |entry| entry.host.counters.requests_active.get())
    }

    /// Whether any share is another than the first one's.
    pub fn weights_differ(&self) -> bool {
        let Some((first, others)) = self.hosts.split_first() else { return false };
        others.iter().any(|host| self.weight(*host) != self.weight(*first))
    }
}

/// Makes an index below `count` of 32 random bits, without a division. `count` is the length of a list, far below 2^32.
pub(super) fn scale(random: u32, count: usize) -> usize {
    ((u64::from(random) * count as u64) >> 32) as usize
}
