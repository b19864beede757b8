//! Which endpoint of a cluster a request goes to, and the next one if that has failed it.

use super::CoreCluster;
use crate::config::HealthFlags;
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

    /// What is known about endpoints has changed. Requests and connections that they have stay with them.
    pub fn change_health(&mut self, changes: &[HealthChange]) {
        for change in changes {
            if let Some(host) = self.hosts.find(&change.address) {
                self.set_health(host, self.hosts.health(host).without(change.clear).with(change.set));
            }
        }
    }

    /// What is known about an endpoint now.
    pub fn set_health(&mut self, host: u32, health: HealthFlags) {
        if let Some(before) = self.hosts.set_health(host, health) {
            self.priorities.on_health(&self.hosts, host, before.health());
        }
    }
}
