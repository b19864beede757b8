//! The table by which hosts are picked for a request's hash. It has all hosts of a priority whatever their health: one that is
//! not to be picked is passed over, so that only its own requests go elsewhere and nothing is built when health changes. (Envoy
//! builds its tables anew of the healthy hosts.)

use super::{Maglev, RingHash};
use crate::cluster::HostTable;
use crate::config::{Endpoint, LoadBalancing};

/// So many places of the table are looked at before the hosts are gone through in their order.
const PROBES: u32 = 64;

/// A table; it never changes.
#[derive(Debug)]
pub struct HashTable {
    table: Table,
    /// The hosts and their weights, in the cluster's order.
    hosts: Vec<(u32, u32)>,
}

#[derive(Debug)]
enum Table {
    Ring(RingHash),
    Maglev(Maglev),
}

impl HashTable {
    /// Of these hosts with their weights, in the cluster's order; `None` if the balancer does not go by hashes.
    pub fn new(lb: LoadBalancing, table: &HostTable, hosts: Vec<(u32, u32)>) -> Option<Self> {
        let endpoint = |(host, weight): &(u32, u32)| {
            Some(Endpoint { weight: *weight, ..Endpoint::new(table.get(*host)?.address.clone()) })
        };
        let endpoints = || hosts.iter().filter_map(endpoint).collect::<Vec<_>>();
        let table = match lb {
            LoadBalancing::RingHash(sizes) => Table::Ring(RingHash::new(&endpoints(), sizes)),
            LoadBalancing::Maglev => Table::Maglev(Maglev::new(&endpoints())),
            _ => return None,
        };
        Some(HashTable { table, hosts })
    }

    /// Whether it is a table of just these.
    pub fn is_of(&self, hosts: &[(u32, u32)]) -> bool {
        self.hosts == hosts
    }

    /// The host for a request's hash, or the next one that will do. Where few will, this takes as long as there are hosts.
    pub fn pick(&self, hash: u64, will_do: impl Fn(u32) -> bool) -> Option<u32> {
        for attempt in 0..PROBES {
            let position = match &self.table {
                Table::Ring(ring) => ring.pick(hash, attempt)?,
                Table::Maglev(maglev) => maglev.pick(hash, attempt)?,
            };
            let host = self.hosts.get(position)?.0;
            if will_do(host) {
                return Some(host);
            }
        }
        let at = hash.checked_rem(self.hosts.len() as u64)? as usize;
        let mut others = self.hosts[at..].iter().chain(&self.hosts[..at]).map(|(host, _)| *host);
        others.find(|host| will_do(*host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::lb::hash;
    use crate::cluster::lb::testing::{hosts, within_bounds};
    use crate::config::RingSizes;

    const KINDS: [LoadBalancing; 2] =
        [LoadBalancing::RingHash(RingSizes { minimum: 1024, maximum: 8192 }), LoadBalancing::Maglev];

    fn keys() -> impl Iterator<Item = u64> {
        (0..10_000_u64).map(|key| hash(&key.to_le_bytes(), 0))
    }

    #[test]
    fn only_requests_of_a_host_that_will_not_do_go_elsewhere() {
        let table = hosts(&[1; 10]);
        for lb in KINDS {
            let hashed = HashTable::new(lb, &table, (0..10).map(|host| (host, 1)).collect()).unwrap();
            let mut moved = [0; 10];
            for key in keys() {
                let (before, after) = (hashed.pick(key, |_| true), hashed.pick(key, |host| host != 4));
                assert!(before == after || before == Some(4), "{lb:?}");
                if before == Some(4) {
                    moved[after.unwrap() as usize] += 1;
                }
            }
            let total: u32 = moved.iter().sum();
            assert!((600..1400).contains(&total) && moved[4] == 0, "{lb:?}: {moved:?}");
            let receivers = moved.iter().filter(|count| **count > 0).count();
            assert!(receivers > 5, "{lb:?}: they are spread: {moved:?}");
        }
    }

    #[test]
    fn the_last_one_left_is_found() {
        let table = hosts(&[1; 500]);
        for lb in KINDS {
            let hashed = HashTable::new(lb, &table, (0..500).map(|host| (host, 1)).collect()).unwrap();
            assert!(keys().take(100).all(|key| hashed.pick(key, |host| host == 77) == Some(77)), "{lb:?}");
            assert_eq!(hashed.pick(1, |_| false), None);
            let empty = HashTable::new(lb, &table, vec![]).unwrap();
            assert_eq!(empty.pick(1, |_| true), None);
        }
    }

    #[test]
    fn shares_follow_weights() {
        let table = hosts(&[1, 3]);
        for lb in KINDS {
            let hashed = HashTable::new(lb, &table, vec![(0, 1), (1, 3)]).unwrap();
            let second = keys().filter(|key| hashed.pick(*key, |_| true) == Some(1)).count() as u32;
            // The places of a ring are as random as hashes are: 1,024 of them, not 10,000 draws.
            let fits = matches!(lb, LoadBalancing::Maglev) && within_bounds(second, 10_000, 0.75)
                || (6800..8200).contains(&second);
            assert!(fits, "{lb:?}: {second}");
        }
    }
}
