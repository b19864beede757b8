//! Which endpoint of a cluster a request goes to, and the next one if that has failed it.

use super::CoreCluster;

/// What a balancer may go by.
#[derive(Debug, Clone, Copy)]
pub struct PickRequest<'a> {
    /// Endpoints that have failed the request already.
    pub avoid: &'a [u32],
    /// A random number, a new one for each pick.
    pub random: u64,
}

impl CoreCluster {
    /// An endpoint for a request: none of those to be avoided as long as there is another.
    pub fn pick(&mut self, request: &PickRequest<'_>) -> Option<u32> {
        let first = self.balance(request.random)?;
        if !request.avoid.contains(&first) {
            return Some(first);
        }
        // One of a large weight may have several turns in a row.
        let second = self.balance(request.random.rotate_left(17))?;
        let members = self.hosts.members();
        let at = members.iter().position(|member| *member == second)?;
        let mut others = members[at..].iter().chain(&members[..at]).copied();
        others.find(|endpoint| !request.avoid.contains(endpoint)).or(Some(first))
    }

    fn balance(&mut self, random: u64) -> Option<u32> {
        let position = self.balancer.pick(self.hosts.candidates(), random)?;
        self.hosts.members().get(position).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Cluster, Endpoint, LoadBalancing};
    use crate::io::Address;
    use crate::message::ClusterUpdate;
    use std::sync::Arc;

    const KINDS: [LoadBalancing; 3] =
        [LoadBalancing::RoundRobin, LoadBalancing::LeastRequest, LoadBalancing::Random];

    fn cluster(lb: LoadBalancing, weights: &[u32]) -> CoreCluster {
        let address = |at| Address::Ip(([127, 0, 0, 1], at as u16 + 1).into());
        let endpoint = |(at, weight): (usize, &u32)| Endpoint { address: address(at), weight: *weight };
        let endpoints = weights.iter().enumerate().map(endpoint).collect();
        let counters = weights.iter().map(|_| Arc::default()).collect();
        let update = ClusterUpdate { endpoints: counters, ..ClusterUpdate::default() };
        CoreCluster::new(Cluster { endpoints, lb, ..Cluster::default() }, &update, 0, 1)
    }

    #[test]
    fn what_has_failed_is_avoided_while_there_is_another() {
        for lb in KINDS {
            for weights in [&[1, 1, 1, 1][..], &[100, 1, 1, 1]] {
                let mut cluster = cluster(lb, weights);
                for turn in 0..200_u64 {
                    let random = turn.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                    let picked = cluster.pick(&PickRequest { avoid: &[0, 2, 3], random });
                    assert_eq!(picked, Some(1), "{lb:?} {weights:?}");
                }
                let picked = cluster.pick(&PickRequest { avoid: &[0, 1, 2, 3], random: 5 });
                assert!(picked.is_some(), "{lb:?}: all have failed, and one of them gets it");
            }
        }
    }

    #[test]
    fn without_endpoints_nobody_is_picked() {
        for lb in KINDS {
            assert_eq!(cluster(lb, &[]).pick(&PickRequest { avoid: &[], random: 1 }), None);
        }
    }
}
