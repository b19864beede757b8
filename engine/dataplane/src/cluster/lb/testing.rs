//! What the balancers' tests share: endpoints, random numbers that repeat, and how far chance may stray.

use crate::cluster::HostTable;
use crate::config::Endpoint;
use crate::io::{Address, Time};
use std::sync::Arc;

/// Endpoints on ports from 1, of these weights.
pub(in crate::cluster) fn endpoints(weights: &[u32]) -> Vec<Endpoint> {
    let endpoint = |(at, weight): (usize, &u32)| Endpoint {
        weight: *weight,
        ..Endpoint::new(Address::Ip(([127, 0, 0, 1], at as u16 + 1).into()))
    };
    weights.iter().enumerate().map(endpoint).collect()
}

/// A table with them.
pub(in crate::cluster) fn hosts(weights: &[u32]) -> HostTable {
    let mut hosts = HostTable::default();
    let counters: Vec<_> = weights.iter().map(|_| Arc::default()).collect();
    hosts.update(&endpoints(weights), &counters, Time::default());
    hosts
}

/// The worker's generator (xorshift64*).
pub(in crate::cluster) struct Random(u64);

impl Random {
    pub(in crate::cluster) fn new(seed: u64) -> Self {
        Random(seed | 1)
    }

    pub(in crate::cluster) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

/// Whether a count is within five standard deviations of its binomial distribution's mean.
pub(in crate::cluster) fn within_bounds(count: u32, tries: u32, share: f64) -> bool {
    let mean = f64::from(tries) * share;
    let deviation = (mean * (1.0 - share)).sqrt();
    (f64::from(count) - mean).abs() < 5.0 * deviation
}
