//! Load balancers: one file each. They see endpoints, not connections, and keep their state per core.

mod candidates;
mod hash_key;
mod least_request;
mod maglev;
mod random;
mod ring_hash;
mod round_robin;
#[cfg(test)]
pub(super) mod testing;
mod turns;
mod weighted_round_robin;

pub use candidates::Candidates;
pub use hash_key::hash;
pub use least_request::LeastRequest;
pub use maglev::{LARGEST_COUNT, Maglev, TABLE_SIZE};
pub use ring_hash::{DEFAULT_RING_SIZES, RingHash, RingSizes};
pub use round_robin::RoundRobin;
pub use weighted_round_robin::WeightedRoundRobin;

use crate::config::LoadBalancing;

/// A balancer on one core. Its candidates come and go one by one: what it knows of the others stays.
#[derive(Debug)]
pub enum Balancer {
    RoundRobin(RoundRobin),
    WeightedRoundRobin(WeightedRoundRobin),
    LeastRequest(LeastRequest),
    Random,
}

impl Balancer {
    /// `start` spreads the first picks of the cores.
    pub fn new(kind: LoadBalancing, is_weighted: bool, candidates: Candidates<'_>, start: usize) -> Self {
        match kind {
            LoadBalancing::RoundRobin if is_weighted => {
                Balancer::WeightedRoundRobin(WeightedRoundRobin::new(candidates, start))
            }
            LoadBalancing::RoundRobin => Balancer::RoundRobin(RoundRobin::new(start, candidates.len())),
            LoadBalancing::LeastRequest => Balancer::LeastRequest(LeastRequest::new(candidates, is_weighted)),
            LoadBalancing::Random => Balancer::Random,
        }
    }

    /// One of the candidates; `None` only if there is none at all.
    pub fn pick(&mut self, candidates: Candidates<'_>, random: u64) -> Option<u32> {
        match self {
            Balancer::RoundRobin(balancer) => {
                balancer.pick(candidates.len()).map(|position| candidates.hosts()[position])
            }
            Balancer::WeightedRoundRobin(balancer) => balancer.pick(candidates),
            Balancer::LeastRequest(balancer) => balancer.pick(candidates, random),
            Balancer::Random => random::pick(candidates, random),
        }
    }

    /// There is one more candidate, at this position.
    pub fn insert(&mut self, candidates: Candidates<'_>, position: usize) {
        let host = candidates.hosts()[position];
        match self {
            Balancer::RoundRobin(balancer) => balancer.insert(position),
            Balancer::WeightedRoundRobin(balancer) => balancer.insert(candidates, host),
            Balancer::LeastRequest(balancer) => balancer.insert(candidates, host),
            Balancer::Random => {}
        }
    }

    /// This candidate, which was at this position, is none any more; so many are left.
    pub fn remove(&mut self, host: u32, position: usize, left: usize) {
        match self {
            Balancer::RoundRobin(balancer) => balancer.remove(position, left),
            Balancer::WeightedRoundRobin(balancer) => balancer.remove(host),
            Balancer::LeastRequest(balancer) => balancer.remove(host),
            Balancer::Random => {}
        }
    }

    /// Where one that takes its place is to start.
    pub fn turn(&self) -> usize {
        match self {
            Balancer::RoundRobin(balancer) => balancer.next(),
            _ => 0,
        }
    }
}
