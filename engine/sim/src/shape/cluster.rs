//! One cluster of a configuration: its endpoints, how they are, and how it is connected to.

use crate::choices::Choices;
use crate::plan::Outliers;
use sidering_dataplane::config::*;
use sidering_dataplane::io::Address;
use std::sync::Arc;

/// Addresses of a cluster; endpoints are some of them.
pub(crate) const ENDPOINTS: usize = 5;
/// The most further addresses of a logical host.
pub(crate) const ALTERNATES: usize = 3;

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
    /// Which have failed too often.
    pub(super) ejected: [bool; ENDPOINTS],
    /// Of a logical host, the only one then: its further addresses.
    alternates: Option<usize>,
    /// It is the logical host that was there before, under another address: what is connected to that one stays.
    pub(super) has_moved: bool,
    heartbeat: Option<Heartbeat>,
}

impl ClusterShape {
    /// One of this protocol.
    pub(super) fn new(protocol: &'static str, generation: u8, is_calm: bool, choices: &mut Choices) -> Self {
        let pool = PoolLimits {
            max_connections: choices.pick(&[8, 1, 2, 3]),
            max_pending: if is_calm { 5000 } else { choices.pick(&[100, 0, 1, 2]) },
            idle_timeout_ms: choices.pick(&[3000, 300, 20]),
            shares_idle: false,
        };
        let weights = if choices.chance(20) { [3, 1, 2, 1, 4] } else { [1; ENDPOINTS] };
        let alternates = choices.chance(20).then(|| choices.below(ALTERNATES + 1));
        let count = if alternates.is_some() { 1 } else { choices.between(1, 3) };
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
            has_several: count > 1 || alternates.is_some_and(|alternates| alternates > 0),
            connect_timeout_ms: if is_calm { 10_000 } else { choices.pick(&[500, 100, 1500]) },
            pool,
            weights,
            lb,
            slow_start: choices.chance(20).then_some(slow_start),
            panic_threshold_percent: choices.pick(&[50, 50, 0, 100]),
            unwell: [false; ENDPOINTS],
            ejected: [false; ENDPOINTS],
            alternates,
            has_moved: false,
            heartbeat: heartbeat(protocol, is_calm, choices),
        }
    }

    /// Whether both are a logical host, and nothing but its address tells them apart.
    pub(super) fn is_same_host_as(&self, other: &ClusterShape) -> bool {
        let is_logical = self.alternates.is_some() && other.alternates.is_some();
        is_logical && self.config(0, 0, None).differs_in_endpoints_only(&other.config(0, 0, None))
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
            is_logical: self.alternates.is_some(),
            alternates: self.alternates.map(|count| self.all_alternates(number)[..count].into()),
            ..Endpoint::new(self.address(number, at))
        };
        self.members().map(endpoint)
    }

    pub(super) fn health(&self, at: usize) -> HealthFlags {
        let unwell = if self.unwell[at] { HealthFlags::FAILED_DISCOVERY } else { HealthFlags::NONE };
        let ejected = if self.ejected[at] { HealthFlags::FAILED_OUTLIER_CHECK } else { HealthFlags::NONE };
        unwell.with(ejected)
    }

    pub(super) fn is_unwell(&self) -> [bool; ENDPOINTS] {
        std::array::from_fn(|at| self.unwell[at] || self.ejected[at])
    }

    /// As it comes back: nobody is ejected.
    pub(super) fn readmitted(self) -> Self {
        ClusterShape { ejected: [false; ENDPOINTS], ..self }
    }

    /// All further addresses that a logical host may have.
    pub(super) fn all_alternates(&self, number: usize) -> Vec<Address> {
        let address = |at| Address::Ip(([10, number as u8, self.generation, 100 + at as u8], 80).into());
        (0..ALTERNATES).map(address).collect()
    }

    /// Endpoints come and go, or weigh something else.
    pub(super) fn change_endpoints(&mut self, is_calm: bool, choices: &mut Choices) {
        if self.alternates.is_some() {
            // Its name has other addresses now.
            self.alternates = Some(choices.between(usize::from(self.has_several), ALTERNATES));
            return;
        }
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

    pub(super) fn config(&self, number: usize, max_retries: u32, outliers: Option<Outliers>) -> Cluster {
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
            heartbeat: self.heartbeat,
            circuit_breaker: CircuitBreaker { max_retries, ..CircuitBreaker::default() },
            outlier_detection: outliers.map(|outliers| Arc::new(detection(outliers))),
            ..Cluster::default()
        }
    }
}

/// Idle connections of calls are asked whether they are still there.
fn heartbeat(protocol: &str, is_calm: bool, choices: &mut Choices) -> Option<Heartbeat> {
    if matches!(protocol, "http1" | "tcp") || choices.chance(30) {
        return None;
    }
    let interval_ms = choices.pick(&[1000, 20, 5]);
    let timeout_ms = if is_calm { 2_000 } else { choices.pick(&[200, 50, 2000]) };
    Some(Heartbeat { interval_ms, max_interval_ms: 2 * interval_ms, timeout_ms })
}

fn detection(outliers: Outliers) -> OutlierDetection {
    OutlierDetection {
        consecutive_5xx: outliers.in_row,
        consecutive_gateway_failure: outliers.in_row,
        consecutive_local_origin_failure: outliers.in_row,
        split_local_origin: outliers.splits,
        ..OutlierDetection::default()
    }
}
