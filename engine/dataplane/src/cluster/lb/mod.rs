//! Load balancers: one file each. They see endpoints, not connections, and keep their state per core.

mod candidates;
mod hash_key;
mod hash_table;
mod least_request;
mod maglev;
mod peak_ewma;
mod random;
mod ring_hash;
mod round_robin;
mod schedule;
#[cfg(test)]
pub(super) mod testing;
mod turns;
mod weighted_round_robin;

pub use crate::config::RingSizes;
pub use candidates::Candidates;
pub use hash_key::hash;
pub use hash_table::HashTable;
pub use least_request::LeastRequest;
pub use maglev::{LARGEST_COUNT, Maglev, TABLE_SIZE};
pub use peak_ewma::Ewma;
pub(in crate::cluster) use peak_ewma::PENALTY_MICROS;
pub use ring_hash::RingHash;
pub use round_robin::RoundRobin;
pub use schedule::Schedule;
pub use weighted_round_robin::WeightedRoundRobin;

use crate::config::LoadBalancing;

/// A balancer on one core. Its candidates come and go one by one: what it knows of the others stays.
#[derive(Debug)]
pub enum Balancer {
    RoundRobin(RoundRobin),
    WeightedRoundRobin(WeightedRoundRobin),
    LeastRequest(LeastRequest),
    Random,
    PeakEwma,
    /// Some weights change with time.
    Scheduled(Schedule),
}

impl Balancer {
    /// While hosts are in slow start; `None` for kinds that do not go by it.
    pub fn slow(kind: LoadBalancing, candidates: Candidates<'_>) -> Option<Self> {
        match kind {
            LoadBalancing::RoundRobin => Some(Balancer::Scheduled(Schedule::new(candidates, false))),
            LoadBalancing::LeastRequest => Some(Balancer::Scheduled(Schedule::new(candidates, true))),
            _ => None,
        }
    }

    /// `start` spreads the first picks of the cores.
    pub fn new(kind: LoadBalancing, is_weighted: bool, candidates: Candidates<'_>, start: usize) -> Self {
        match kind {
            LoadBalancing::RoundRobin if is_weighted => {
                Balancer::WeightedRoundRobin(WeightedRoundRobin::new(candidates, start))
            }
            LoadBalancing::RoundRobin => Balancer::RoundRobin(RoundRobin::new(start, candidates.len())),
            LoadBalancing::LeastRequest => Balancer::LeastRequest(LeastRequest::new(candidates, is_weighted)),
            LoadBalancing::PeakEwma => Balancer::PeakEwma,
            // Those by hash have tables for it.
            LoadBalancing::Random | LoadBalancing::RingHash(_) | LoadBalancing::Maglev => Balancer::Random,
        }
    }

    /// One of the candidates; `None` only if there is none at all.
    #[inline]
    pub fn pick(&mut self, candidates: Candidates<'_>, random: u64) -> Option<u32> {
        match self {
            Balancer::RoundRobin(balancer) => {
                balancer.pick(candidates.len()).map(|position| candidates.hosts()[position])
            }
            Balancer::WeightedRoundRobin(balancer) => balancer.pick(candidates),
            Balancer::LeastRequest(balancer) => balancer.pick(candidates, random),
            Balancer::Random => random::pick(candidates, random),
            Balancer::PeakEwma => peak_ewma::pick(candidates, random),
            Balancer::Scheduled(schedule) => schedule.pick(candidates),
        }
    }

    /// There is one more candidate, at this position.
    pub fn insert(&mut self, candidates: Candidates<'_>, position: usize) {
        let host = candidates.hosts()[position];
        match self {
            Balancer::RoundRobin(balancer) => balancer.insert(position),
            Balancer::WeightedRoundRobin(balancer) => balancer.insert(candidates, host),
            Balancer::LeastRequest(balancer) => balancer.insert(candidates, host),
            Balancer::Scheduled(schedule) => schedule.insert(candidates, host),
            Balancer::Random | Balancer::PeakEwma => {}
        }
    }

    /// This candidate, which was at this position, is none any more; so many are left.
    pub fn remove(&mut self, host: u32, position: usize, left: usize) {
        match self {
            Balancer::RoundRobin(balancer) => balancer.remove(position, left),
            Balancer::WeightedRoundRobin(balancer) => balancer.remove(host),
            Balancer::LeastRequest(balancer) => balancer.remove(host),
            Balancer::Scheduled(schedule) => schedule.remove(host),
            Balancer::Random | Balancer::PeakEwma => {}
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
