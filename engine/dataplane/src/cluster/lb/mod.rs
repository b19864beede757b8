//! Load balancers: one file each. They see endpoints, not connections, and keep their state per core.

mod candidates;
mod hash_key;
mod least_request;
mod maglev;
mod random;
mod ring_hash;
mod round_robin;
#[cfg(test)]
mod testing;
mod weighted_round_robin;

pub use candidates::Candidates;
pub use hash_key::hash;
pub use least_request::LeastRequest;
pub use maglev::{LARGEST_COUNT, Maglev, TABLE_SIZE};
pub use ring_hash::{DEFAULT_RING_SIZES, RingHash, RingSizes};
pub use round_robin::RoundRobin;
pub use weighted_round_robin::WeightedRoundRobin;

use crate::config::LoadBalancing;

/// A cluster's balancer on one core.
#[derive(Debug)]
pub enum Balancer {
    RoundRobin(RoundRobin),
    WeightedRoundRobin(WeightedRoundRobin),
    LeastRequest(LeastRequest),
    Random,
}

impl Balancer {
    /// `start` spreads the first picks of the cores.
    pub fn new(kind: LoadBalancing, candidates: Candidates<'_>, start: usize) -> Self {
        match kind {
            LoadBalancing::RoundRobin if candidates.weights_differ() => {
                Balancer::WeightedRoundRobin(WeightedRoundRobin::new(&candidates.weights(), start))
            }
            LoadBalancing::RoundRobin => Balancer::RoundRobin(RoundRobin::new(start, candidates.len())),
            LoadBalancing::LeastRequest => Balancer::LeastRequest(LeastRequest::new(candidates)),
            LoadBalancing::Random => Balancer::Random,
        }
    }

    /// A position among the candidates, which are those it was made for; `None` only if there is none at all.
    pub fn pick(&mut self, candidates: Candidates<'_>, random: u64) -> Option<usize> {
        match self {
            Balancer::RoundRobin(balancer) => balancer.pick(candidates.len()),
            Balancer::WeightedRoundRobin(balancer) => balancer.pick(),
            Balancer::LeastRequest(balancer) => balancer.pick(candidates, random),
            Balancer::Random => random::pick(candidates, random),
        }
    }
}
