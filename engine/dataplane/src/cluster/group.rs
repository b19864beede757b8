//! Hosts that a request may go to alike, and the balancer that chooses among them. Which hosts those are is up to others.

use super::lb::{Balancer, Candidates, HashTable};
use super::{HostTable, PickRequest};
use crate::config::LoadBalancing;
use crate::io::Time;
use std::rc::Rc;

/// With more changes than this at once a group is made anew.
const CHANGES: usize = 64;

/// What all groups of a cluster have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupKind {
    pub(super) lb: LoadBalancing,
    pub(super) is_weighted: bool,
    /// Spreads the first picks of the cores.
    pub(super) start: usize,
}

/// Some hosts of a table.
#[derive(Debug)]
pub(super) struct Group {
    kind: GroupKind,
    /// In the order of their indices.
    hosts: Vec<u32>,
    balancer: Balancer,
    /// Of these hosts and others, for balancers by hash.
    hashed: Option<Rc<HashTable>>,
    /// When the last host is through with its slow start.
    slow_until: Option<Time>,
}

impl Group {
    /// `hosts` in the order of their indices.
    pub(super) fn new(
        kind: GroupKind,
        table: &HostTable,
        hosts: Vec<u32>,
        hashed: Option<Rc<HashTable>>,
    ) -> Self {
        let balancer = Balancer::new(kind.lb, kind.is_weighted, Candidates::new(table, &hosts), kind.start);
        let slow_until = table.slow_until(&hosts);
        let mut group = Group { kind, hosts, balancer, hashed, slow_until: None };
        group.begin_slowly(table, slow_until);
        group
    }

    /// From now on weights change with time, until then.
    fn begin_slowly(&mut self, table: &HostTable, until: Option<Time>) {
        let Some(until) = until else { return };
        if self.slow_until.is_none() {
            let Some(slow) = Balancer::slow(self.kind.lb, Candidates::new(table, &self.hosts)) else {
                return;
            };
            self.balancer = slow;
        }
        self.slow_until = self.slow_until.max(Some(until));
    }

    fn end_slow_start(&mut self, table: &HostTable, now: Time) {
        if self.slow_until.is_some_and(|until| until <= now) {
            let candidates = Candidates::new(table, &self.hosts);
            let GroupKind { lb, is_weighted, start } = self.kind;
            self.balancer = Balancer::new(lb, is_weighted, candidates, start);
            self.slow_until = None;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.hosts.len()
    }

    pub(super) fn insert(&mut self, table: &HostTable, host: u32) {
        if let Err(position) = self.hosts.binary_search(&host) {
            self.hosts.insert(position, host);
            self.balancer.insert(Candidates::new(table, &self.hosts), position);
            self.begin_slowly(table, table.slow_until(&[host]));
        }
    }

    pub(super) fn remove(&mut self, host: u32) {
        if let Ok(position) = self.hosts.binary_search(&host) {
            self.hosts.remove(position);
            self.balancer.remove(host, position, self.hosts.len());
        }
    }

    /// Makes it a group of these, in the order of their indices; whoever stays keeps its turn, unless too much changes.
    pub(super) fn update(
        &mut self,
        kind: GroupKind,
        table: &HostTable,
        hosts: Vec<u32>,
        hashed: Option<Rc<HashTable>>,
    ) {
        let changes = if kind == self.kind { changes(&self.hosts, &hosts) } else { None };
        match changes {
            Some(changes) => {
                self.hashed = hashed;
                for (host, is_new) in changes {
                    if is_new { self.insert(table, host) } else { self.remove(host) }
                }
            }
            None => {
                *self = Group::new(GroupKind { start: self.balancer.turn(), ..kind }, table, hosts, hashed);
                self.kind = kind;
            }
        }
    }

    /// A host for a request: none of those to be avoided as long as there is another.
    #[inline]
    pub(super) fn pick(&mut self, table: &HostTable, request: &PickRequest<'_>) -> Option<u32> {
        if let Some(hashed) = &self.hashed {
            return self.pick_by_hash(hashed, request);
        }
        if self.slow_until.is_some() {
            self.end_slow_start(table, request.now);
        }
        let candidates = Candidates::new(table, &self.hosts).at(request.now);
        let first = self.balancer.pick(candidates, request.random)?;
        if !request.avoid.contains(&first) {
            return Some(first);
        }
        // One of a large weight may have several turns in a row.
        let second = self.balancer.pick(candidates, request.random.rotate_left(17))?;
        let at = self.hosts.binary_search(&second).unwrap_or(0);
        let mut others = self.hosts[at..].iter().chain(&self.hosts[..at]).copied();
        others.find(|host| !request.avoid.contains(host)).or(Some(first))
    }

    fn pick_by_hash(&self, hashed: &HashTable, request: &PickRequest<'_>) -> Option<u32> {
        if self.hosts.is_empty() {
            return None;
        }
        // Without a hash any will do, as in Envoy.
        let hash = request.hash.unwrap_or(request.random);
        let is_here = |host: &u32| self.hosts.binary_search(host).is_ok();
        let found = hashed.pick(hash, |host| is_here(&host) && !request.avoid.contains(&host));
        found.or_else(|| hashed.pick(hash, |host| is_here(&host)))
    }
}

/// Who goes and who (`true`) comes; `None` if that is more than [`CHANGES`]. Both lists are in order.
fn changes(before: &[u32], after: &[u32]) -> Option<Vec<(u32, bool)>> {
    let mut changes = Vec::new();
    let (mut old, mut new) = (before.iter().peekable(), after.iter().peekable());
    while changes.len() <= CHANGES {
        let change = match (old.peek(), new.peek()) {
            (None, None) => return Some(changes),
            (Some(&&left), Some(&&right)) if left == right => {
                old.next();
                new.next();
                continue;
            }
            (Some(&&left), right) if right.is_none_or(|right| left < **right) => {
                old.next();
                (left, false)
            }
            (_, right) => {
                let come = right.map_or(0, |right| **right);
                new.next();
                (come, true)
            }
        };
        changes.push(change);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::lb::testing::{endpoints, hosts};
    use crate::config::SlowStart;
    use std::sync::Arc;

    const KIND: GroupKind = GroupKind { lb: LoadBalancing::RoundRobin, is_weighted: false, start: 0 };

    fn request() -> PickRequest<'static> {
        PickRequest::default()
    }

    #[test]
    fn changes_are_found_up_to_a_bound() {
        assert_eq!(changes(&[1, 3, 5], &[1, 3, 5]), Some(vec![]));
        assert_eq!(
            changes(&[1, 3, 5], &[0, 3, 4, 9]),
            Some(vec![(0, true), (1, false), (4, true), (5, false), (9, true)])
        );
        assert_eq!(changes(&[2], &[]), Some(vec![(2, false)]));
        let many = |count: usize| (0..count as u32).collect::<Vec<_>>();
        assert_eq!(changes(&[], &many(CHANGES - 1)).map(|changes| changes.len()), Some(CHANGES - 1));
        assert_eq!(changes(&[], &many(CHANGES)).map(|changes| changes.len()), Some(CHANGES));
        assert_eq!(changes(&[], &many(CHANGES + 1)), None);
    }

    /// However many come and go, it is the turn of whoever it was.
    #[test]
    fn the_turn_stays_when_others_come_and_go() {
        for (count, next) in [(10, 2), (200, 2)] {
            let table = hosts(&vec![1; count]);
            let mut group = Group::new(KIND, &table, (0..4).collect(), None);
            assert_eq!([group.pick(&table, &request()), group.pick(&table, &request())], [Some(0), Some(1)]);
            group.update(KIND, &table, (0..count as u32).collect(), None);
            assert_eq!(group.pick(&table, &request()), Some(next));
            assert_eq!(group.len(), count);
        }
    }

    #[test]
    fn whoever_goes_is_not_picked() {
        let table = hosts(&[1, 1, 1]);
        let mut group = Group::new(KIND, &table, vec![0, 1, 2], None);
        group.remove(1);
        group.remove(1);
        let picks: Vec<_> = (0..4).filter_map(|_| group.pick(&table, &request())).collect();
        assert_eq!(picks, [0, 2, 0, 2]);
        group.insert(&table, 1);
        group.insert(&table, 1);
        let picks: Vec<_> = (0..3).filter_map(|_| group.pick(&table, &request())).collect();
        assert_eq!(picks, [0, 1, 2]);
    }

    /// It has a tenth of its weight at first, half of it half-way, and all of it in the end.
    #[test]
    fn whoever_comes_in_slow_start_gets_its_share_little_by_little() {
        let slow = SlowStart { window_ms: 10_000, aggression: 1.0, min_weight_percent: 10.0 };
        let all = endpoints(&[1, 1, 1]);
        let counters: Vec<_> = all.iter().map(|_| Arc::default()).collect();
        for lb in [LoadBalancing::RoundRobin, LoadBalancing::LeastRequest] {
            let mut table = HostTable::new(Some(slow));
            table.update(&all[..2], &counters[..2], Time::default());
            let kind = GroupKind { lb, ..KIND };
            let mut group = Group::new(kind, &table, vec![0, 1], None);
            assert_eq!(group.slow_until, None, "the first ones begin at once");
            let came = Time { micros: 5_000_000 };
            table.update(&all, &counters, came);
            group.insert(&table, 2);
            let mut share = |after_ms| {
                let now = came.after_ms(after_ms);
                let picks = (0..2100_u64).filter_map(|turn| {
                    let random = turn.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                    group.pick(&table, &PickRequest { now, random, ..PickRequest::default() })
                });
                picks.filter(|host| *host == 2).count()
            };
            for (after_ms, expected) in [(0, 100), (5_000, 420), (9_999, 700), (10_000, 700)] {
                let is = share(after_ms);
                assert!(is.abs_diff(expected) <= 60, "{lb:?} after {after_ms} ms: {is}");
            }
            assert_eq!(group.slow_until, None, "it is over");
        }
    }
}
