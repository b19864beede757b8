//! One cluster of a configuration: its endpoints, how they are, and how it is connected to.

use crate::choices::Choices;
use sidering_dataplane::config::*;
use sidering_dataplane::io::Address;

/// Addresses of a cluster; endpoints are some of them.
pub(crate) const ENDPOINTS: usize = 5;

/// One cluster now.
#[derive(Clone, Debug)]
pub(crate) struct ClusterShape {
    pub(crate) protocol: &'static str,
    pub(super) generation: u8,
    /// The newest generation that there was, and what was there before this one.
    pub(super) newest: u8,
    pub(super) previous: Option<Box<ClusterShape>>,
    /// Which of its addresses are endpoints now; and whether there are always several.
    pub(super) members: [bool; ENDPOINTS],
    pub(super) has_several: bool,
    pub(super) connect_timeout_ms: u64,
    pub(crate) pool: PoolLimits,
    weights: [u32; ENDPOINTS],
    lb: LoadBalancing,
    slow_start: Option<SlowStart>,
    pub(super) panic_threshold_percent: u32,
    /// Which of its addresses are said to be unhealthy.
    pub(super) unwell: [bool; ENDPOINTS],
}

impl ClusterShape {
    /// One of this protocol.
    pub(super) fn new(protocol: &'static str, generation: u8, is_calm: bool, choices: &mut Choices) -> Self {
        let pool = PoolLimits {
            max_connections: choices.pick(&[8, 1, 2, 3]),
            max_pending: if is_calm { 100 } else { choices.pick(&[100, 0, 1, 2]) },
            idle_timeout_ms: choices.pick(&[3000, 300, 20]),
        };
        let weights = if choices.chance(20) { [3, 1, 2, 1, 4] } else { [1; ENDPOINTS] };
        let count = choices.between(1, 3);
        let lb = choices.pick(&[
            LoadBalancing::RoundRobin,
            LoadBalancing::LeastRequest,
            LoadBalancing::Random,
            LoadBalancing::PeakEwma,
            LoadBalancing::RingHash(RingSizes { minimum: 16, maximum: 64 }),
            LoadBalancing::Maglev,
        ]);
        let slow_start = SlowStart { window_ms: 1000, aggression: 1.0, min_weight_percent: 10.0 };
        ClusterShape {
            protocol,
            generation,
            newest: generation,
            previous: None,
            members: std::array::from_fn(|at| at < count),
            has_several: count > 1,
            connect_timeout_ms: if is_calm { 10_000 } else { choices.pick(&[500, 100, 1500]) },
            pool,
            weights,
            lb,
            slow_start: choices.chance(20).then_some(slow_start),
            panic_threshold_percent: choices.pick(&[50, 50, 0, 100]),
            unwell: [false; ENDPOINTS],
        }
    }

    pub(super) fn address(&self, number: usize, at: usize) -> Address {
        Address::Ip(([10, number as u8, self.generation, at as u8], 80).into())
    }

    /// The addresses that are endpoints, by number.
    pub(crate) fn members(&self) -> impl Iterator<Item = usize> {
        (0..ENDPOINTS).filter(|at| self.members[*at])
    }

    pub(crate) fn endpoints_of(&self, number: usize) -> impl Iterator<Item = Endpoint> {
        let endpoint = move |at| Endpoint {
            weight: self.weights[at],
            health: self.health(at),
            ..Endpoint::new(self.address(number, at))
        };
        self.members().map(endpoint)
    }

    pub(super) fn health(&self, at: usize) -> HealthFlags {
        if self.unwell[at] { HealthFlags::FAILED_DISCOVERY } else { HealthFlags::NONE }
    }

    /// Endpoints come and go, or weigh something else.
    pub(super) fn change_endpoints(&mut self, is_calm: bool, choices: &mut Choices) {
        if choices.chance(30) {
            self.weights = choices.pick(&[[1; ENDPOINTS], [3, 1, 2, 1, 1], [1, 5, 5, 2, 1]]);
        }
        for _ in 0..choices.between(1, 3) {
            let at = choices.below(ENDPOINTS);
            self.members[at] = !self.members[at];
        }
        if !is_calm && choices.one_in(12) {
            self.members = [false; ENDPOINTS];
        }
        let least = if !is_calm { 0 } else { 1 + usize::from(self.has_several) };
        for at in 0..ENDPOINTS {
            self.members[at] |= self.members().count() < least;
        }
    }

    pub(super) fn config(&self, number: usize, max_retries: u32) -> Cluster {
        Cluster {
            name: format!("c{number}"),
            protocol: self.protocol,
            endpoints: self.endpoints_of(number).collect(),
            lb: self.lb,
            slow_start: self.slow_start,
            priorities: PriorityPolicy {
                panic_threshold_percent: self.panic_threshold_percent,
                ..PriorityPolicy::default()
            },
            connect_timeout_ms: self.connect_timeout_ms,
            pool: self.pool.clone(),
            circuit_breaker: CircuitBreaker { max_retries, ..CircuitBreaker::default() },
            ..Cluster::default()
        }
    }
}
