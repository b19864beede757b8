//! Which endpoint of a cluster a request goes to, and the next one if that has failed it.

use super::lb::PENALTY_MICROS;
use super::subsets::Found;
use super::{CoreCluster, LocalZones, Outcome, Pick, Standstill, ZoneChoice};
use crate::config::{HealthFlags, LoadBalancing};
use crate::io::Time;
use crate::message::HealthChange;
use std::rc::Rc;

/// What a balancer may go by.
#[derive(Debug, Clone, Copy, Default)]
pub struct PickRequest<'a> {
    pub now: Time,
    /// Requests with the same hash go to the same endpoint where the balancer goes by it.
    pub hash: Option<u64>,
    /// Only endpoints that have these metadata, in the order of their keys, where the cluster has subsets.
    pub subset: &'a [(String, String)],
    /// Endpoints that have failed the request already.
    pub avoid: &'a [u32],
    /// A random number, a new one for each pick.
    pub random: u64,
}

impl CoreCluster {
    /// An endpoint for a request: none of those to be avoided as long as there is another one that will do. `None` if there is
    /// none, or none that is of use.
    #[inline]
    pub fn pick(&mut self, request: &PickRequest<'_>) -> Option<u32> {
        let pick = self.find(request)?;
        if pick.is_panic {
            self.counters.lb_healthy_panic.add(1);
        }
        if self.priorities.is_zone_aware() {
            self.count_zone(pick.zone);
        }
        Some(pick.host)
    }

    #[inline]
    fn find(&mut self, request: &PickRequest<'_>) -> Option<Pick> {
        let found = match &mut self.subsets {
            Some(subsets) => subsets.pick(&self.hosts, request),
            None => Found::Any,
        };
        match found {
            Found::Any if self.subsets.is_none() => self.priorities.pick(&self.hosts, request),
            Found::Any => {
                self.counters.lb_subsets_fallback.add(1);
                self.priorities.pick(&self.hosts, request)
            }
            Found::Subset(pick) => {
                self.counters.lb_subsets_selected.add(1);
                pick
            }
            Found::Default(pick) => {
                self.counters.lb_subsets_fallback.add(1);
                pick
            }
            Found::Nothing => None,
        }
    }

    fn count_zone(&self, zone: Option<ZoneChoice>) {
        let counters = &self.counters;
        match (zone, self.priorities.standstill()) {
            (Some(ZoneChoice::Direct), _) => counters.lb_zone_routing_all_directly.add(1),
            (Some(ZoneChoice::Sampled), _) => counters.lb_zone_routing_sampled.add(1),
            (Some(ZoneChoice::Cross(_)), _) => counters.lb_zone_routing_cross_zone.add(1),
            (Some(ZoneChoice::NoCapacity), _) => {
                counters.lb_zone_routing_cross_zone.add(1);
                counters.lb_zone_no_capacity_left.add(1);
            }
            (None, Some(Standstill::LocalClusterNotOk)) => counters.lb_local_cluster_not_ok.add(1),
            (None, Some(Standstill::ClusterTooSmall)) => counters.lb_zone_cluster_too_small.add(1),
            (None, _) => {}
        }
    }

    /// The local cluster has other hosts, or they are in other health.
    pub fn set_local_zones(&mut self, local: &Rc<LocalZones>) {
        self.priorities.set_local_zones(&self.hosts, local);
        if let Some(subsets) = &mut self.subsets {
            subsets.set_local_zones(&self.hosts, local);
        }
    }

    /// Whether a request may go to the endpoint now.
    pub fn admits(&self, endpoint: u32) -> bool {
        self.priorities.admits(&self.hosts, endpoint)
    }

    /// Whether a request that waits may go to any endpoint, as long as that is admitted.
    pub fn takes_any(&self, request: &PickRequest<'_>) -> bool {
        !(self.config.lb.is_hashed() && request.hash.is_some()) && self.subsets.is_none()
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
            if let Some(subsets) = &mut self.subsets {
                subsets.on_health(&self.hosts, host, before.health());
            }
        }
    }
}
