//! Which endpoint of a cluster a request goes to, and the next one if that has failed it.

use super::lb::PENALTY_MICROS;
use super::{CoreCluster, Outcome};
use crate::config::{HealthFlags, LoadBalancing};
use crate::io::Time;
use crate::message::HealthChange;

/// What a balancer may go by.
#[derive(Debug, Clone, Copy, Default)]
pub struct PickRequest<'a> {
    pub now: Time,
    /// Requests with the same hash go to the same endpoint where the balancer goes by it.
    pub hash: Option<u64>,
    /// Endpoints that have failed the request already.
    pub avoid: &'a [u32],
    /// A random number, a new one for each pick.
    pub random: u64,
}

impl CoreCluster {
    /// An endpoint for a request: none of those to be avoided as long as there is another one that will do. `None` if there is
    /// none, or none that is of use.
    pub fn pick(&mut self, request: &PickRequest<'_>) -> Option<u32> {
        let pick = self.priorities.pick(&self.hosts, request)?;
        if pick.is_panic {
            self.counters.lb_healthy_panic.add(1);
        }
        Some(pick.host)
    }

    /// Whether a request may go to the endpoint now.
    pub fn admits(&self, endpoint: u32) -> bool {
        self.priorities.admits(&self.hosts, endpoint)
    }

    /// Whether a request that waits may go to any endpoint, as long as that is admitted.
    pub fn takes_any(&self, request: &PickRequest<'_>) -> bool {
        !(self.config.lb.is_hashed() && request.hash.is_some())
    }

    /// An attempt at an endpoint took so long. Nobody but peak EWMA cares.
    pub fn record_latency(&mut self, endpoint: u32, outcome: Outcome, now: Time, micros: u64) {
        if self.config.lb != LoadBalancing::PeakEwma {
            return;
        }
        match outcome {
            Outcome::Status(status) if status < 500 => self.hosts.observe(endpoint, now, micros),
            Outcome::Abandoned => {}
            _ => self.hosts.observe(endpoint, now, micros.max(PENALTY_MICROS)),
        }
    }

    /// What is known about endpoints has changed. Requests and connections that they have stay with them.
    pub fn change_health(&mut self, changes: &[HealthChange], now: Time) {
        for change in changes {
            if let Some(host) = self.hosts.find(&change.address) {
                let health = self.hosts.health(host).without(change.clear).with(change.set);
                self.set_health(host, health, now);
            }
        }
    }

    /// What is known about an endpoint now.
    pub fn set_health(&mut self, host: u32, health: HealthFlags, now: Time) {
        if let Some(before) = self.hosts.set_health(host, health, now) {
            self.priorities.on_health(&self.hosts, host, before.health());
        }
    }
}
