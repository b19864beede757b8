//! The zones of the local cluster, which is the one that this proxy belongs to: who else sends requests as it does. It picks
//! nothing.

use super::HostTable;
use crate::config::HostHealth;
use std::sync::Arc;

/// How many hosts the local cluster has in each zone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LocalZones {
    zones: Vec<LocalZone>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct LocalZone {
    name: Arc<str>,
    hosts: usize,
    healthy: usize,
    degraded: usize,
}

impl LocalZones {
    /// Those of this cluster's hosts, as far as their zone is known.
    pub fn of(table: &HostTable) -> Self {
        let mut zones: Vec<LocalZone> = Vec::new();
        for &host in table.members() {
            let Some(name) = table.zone_name(table.zone(host)) else { continue };
            let at = zones.iter().position(|zone| zone.name == *name).unwrap_or_else(|| {
                zones.push(LocalZone { name: Arc::clone(name), hosts: 0, healthy: 0, degraded: 0 });
                zones.len() - 1
            });
            let health = table.health(host).health();
            zones[at].hosts += 1;
            zones[at].healthy += usize::from(health == HostHealth::Healthy);
            zones[at].degraded += usize::from(health == HostHealth::Degraded);
        }
        LocalZones { zones }
    }

    /// How many zones there are.
    pub(super) fn len(&self) -> usize {
        self.zones.len()
    }

    pub(super) fn hosts_in(&self, name: &str) -> usize {
        self.find(name).map_or(0, |zone| zone.hosts)
    }

    pub(super) fn healthy_in(&self, name: &str) -> usize {
        self.find(name).map_or(0, |zone| zone.healthy)
    }

    /// Whether too few of its hosts are of use to go by them.
    pub(super) fn is_in_panic(&self, threshold_percent: u32) -> bool {
        let hosts: usize = self.zones.iter().map(|zone| zone.hosts).sum();
        let useful: usize = self.zones.iter().map(|zone| zone.healthy + zone.degraded).sum();
        useful * 100 < threshold_percent as usize * hosts.max(1)
    }

    fn find(&self, name: &str) -> Option<&LocalZone> {
        self.zones.iter().find(|zone| *zone.name == *name)
    }
}
