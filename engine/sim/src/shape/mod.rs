//! The configuration of a run as it is now, and the snapshots made of it. Every cluster that changes gets addresses of its
//! own, so that each connection tells which configuration it belongs to.

mod cluster;
mod routes;
mod rules;
mod zones;

pub(crate) use cluster::{ALTERNATES, ENDPOINTS};

use crate::choices::Choices;
use crate::engine::truth::{ClusterTruth, Membership, Truth};
use crate::plan::{Outliers, Plan};
use crate::rules::Off;
use cluster::ClusterShape;
use sidering_codecs::registry::CodecOptions;
use sidering_dataplane::config::*;
use sidering_dataplane::io::{Address, ListenerId};
use sidering_dataplane::message::HealthChange;
use std::sync::Arc;

/// HTTP, bytes, and HTTP once more on a listener that may go away.
pub(crate) const HTTP: u32 = 0;
pub(crate) const RAW: u32 = 1;
pub(crate) const SECOND: u32 = 2;

/// How long a head may take in runs that are not calm.
const HEADERS_TIMEOUTS_MS: &[u64] = &[2000, 700];

/// The whole configuration now.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    version: u64,
    pub(crate) clusters: Vec<ClusterShape>,
    pub(crate) limits: ListenerLimits,
    pub(crate) route_timeout_ms: u64,
    pub(crate) drain_timeout_ms: u64,
    pub(crate) has_second: bool,
    has_raw: bool,
    protocol: &'static str,
    options: HttpOptions,
    codec: CodecOptions,
    ends_connect: bool,
    is_calm: bool,
    retry: Option<RetryPolicy>,
    retries_max: u32,
    buffer_bytes: u32,
    has_rules: bool,
    zones: Option<Off>,
    outliers: Option<Outliers>,
}

impl Shape {
    /// The first one of a run.
    pub(crate) fn new(plan: &Plan, choices: &mut Choices) -> Self {
        let is_calm = plan.is_calm;
        let protocols = (0..plan.http_clusters).map(|_| plan.protocol).chain(["tcp"]);
        let clusters = protocols.map(|protocol| ClusterShape::new(protocol, 0, is_calm, choices)).collect();
        let mut timeout = |calm: u64, rough: &[u64]| if is_calm { calm } else { choices.pick(rough) };
        let limits = ListenerLimits {
            request_headers_timeout_ms: timeout(20_000, HEADERS_TIMEOUTS_MS),
            request_timeout_ms: timeout(60_000, &[4000, 1500, 0]),
            stream_idle_timeout_ms: timeout(60_000, &[5000, 2000, 400]),
            idle_timeout_ms: timeout(60_000, &[6000, 1000]),
            held_up_timeout_ms: 1000,
            max_connections: if is_calm { 100 } else { choices.pick(&[100, 100, 100, 5, 2, 1]) as u32 },
        };
        let options = HttpOptions {
            use_remote_address: plan.forwards_address,
            generate_request_id: plan.makes_ids,
            via: choices.chance(30).then(|| "sim".into()),
            upgrades: vec!["websocket".into()],
            underscores: Underscores::Allow,
            normalize_path: plan.normalizes,
            merge_slashes: choices.chance(30),
            envoy_headers: EnvoyHeaders::Ignore,
        };
        Shape {
            version: 1,
            clusters,
            limits,
            route_timeout_ms: if is_calm { 60_000 } else { choices.pick(&[4000, 1000, 2000]) },
            drain_timeout_ms: if is_calm { 60_000 } else { choices.pick(&[8000, 500, 50]) },
            has_second: choices.chance(50),
            has_raw: true,
            protocol: plan.protocol,
            options,
            codec: CodecOptions {
                header_bytes: 4096,
                headers: 40,
                uri_bytes: 1024,
                late_fields: choices.chance(40),
                go_away: choices.chance(50),
                ..Default::default()
            },
            ends_connect: plan.ends_connect,
            is_calm,
            retry: plan.retry.clone(),
            retries_max: plan.retries_max,
            buffer_bytes: plan.buffer_bytes,
            has_rules: plan.has_rules,
            zones: plan.zones,
            outliers: plan.outliers,
        }
    }

    /// Something about it changes.
    pub(crate) fn change(&mut self, choices: &mut Choices) {
        self.version += 1;
        if choices.chance(60) {
            self.has_second = !self.has_second;
        }
        if choices.chance(15) {
            self.has_raw = !self.has_raw;
        }
        for shape in &mut self.clusters {
            if choices.chance(60) {
                let next = match shape.previous.take() {
                    // What was there before comes back.
                    Some(previous) if choices.chance(40) => previous.readmitted(),
                    _ => ClusterShape::new(shape.protocol, shape.newest + 1, self.is_calm, choices),
                };
                let newest = shape.newest.max(next.generation);
                let previous = std::mem::replace(shape, next);
                shape.has_moved = shape.is_same_host_as(&previous);
                shape.previous = Some(Box::new(previous));
                shape.newest = newest;
            } else if choices.chance(50) {
                shape.change_endpoints(self.is_calm, choices);
            }
        }
        if choices.chance(30) {
            self.options.via = Some(format!("sim{}", self.version));
        }
        if !self.is_calm && choices.chance(30) {
            self.limits.max_connections = choices.pick(&[100, 2, 4]);
        }
        if !self.is_calm && choices.chance(30) {
            // Every reload comes before the shortest of them is over, so that the last one decides.
            self.limits.request_headers_timeout_ms = choices.pick(HEADERS_TIMEOUTS_MS);
        }
    }

    /// Other endpoints of a cluster, and nothing else; tells its number.
    pub(crate) fn change_endpoints(&mut self, choices: &mut Choices) -> usize {
        let number = choices.below(self.clusters.len());
        self.clusters[number].change_endpoints(self.is_calm, choices);
        number
    }

    /// Other health of endpoints of a cluster, which need not be there; tells the cluster's number and which.
    pub(crate) fn change_health(&mut self, choices: &mut Choices) -> (usize, Vec<HealthChange>) {
        let number = choices.below(self.clusters.len());
        let shape = &mut self.clusters[number];
        let changed: Vec<usize> = (0..choices.between(1, 3)).map(|_| choices.below(ENDPOINTS)).collect();
        for at in &changed {
            shape.unwell[*at] = !shape.unwell[*at];
        }
        let change = |at: usize| {
            let unwell = if shape.unwell[at] { HealthFlags::FAILED_DISCOVERY } else { HealthFlags::NONE };
            let well = HealthFlags::FAILED_DISCOVERY.without(unwell);
            HealthChange { address: shape.address(number, at), set: unwell, clear: well }
        };
        (number, changed.into_iter().map(change).collect())
    }

    /// An endpoint that fails is ejected, if it is there and is not; tells the number of its cluster, and what is new.
    pub(crate) fn eject(&mut self, address: &Address) -> Option<(usize, HealthChange)> {
        let place = |(number, shape): (usize, &ClusterShape)| {
            let at = shape.members().find(|at| shape.address(number, *at) == *address)?;
            Some((number, at))
        };
        let (number, at) = self.clusters.iter().enumerate().find_map(place)?;
        let is_new = !std::mem::replace(&mut self.clusters[number].ejected[at], true);
        is_new.then(|| {
            (
                number,
                HealthChange {
                    address: address.clone(),
                    set: HealthFlags::FAILED_OUTLIER_CHECK,
                    clear: HealthFlags::NONE,
                },
            )
        })
    }

    /// Nobody is ejected any more; tells who was, by cluster.
    pub(crate) fn readmit(&mut self) -> Vec<(usize, Vec<HealthChange>)> {
        let readmit = |(number, shape): (usize, &mut ClusterShape)| {
            let ejected = std::mem::take(&mut shape.ejected);
            let change = |at| HealthChange {
                address: shape.address(number, at),
                set: HealthFlags::NONE,
                clear: HealthFlags::FAILED_OUTLIER_CHECK,
            };
            (number, (0..ENDPOINTS).filter(|at| ejected[*at]).map(change).collect())
        };
        let all = self.clusters.iter_mut().enumerate().map(readmit);
        all.filter(|(_, changes): &(usize, Vec<HealthChange>)| !changes.is_empty()).collect()
    }

    /// The longest that a connection may go without anything happening on it, by any timeout.
    pub(crate) fn longest_timeout_ms(&self) -> u64 {
        let limits = &self.limits;
        // Lingering takes 5 s, a connection whose listener is gone 15 s.
        let fixed = 15_000;
        let pools = self.clusters.iter().map(|cluster| cluster.pool.idle_timeout_ms).max().unwrap_or(0);
        let all = [
            limits.request_headers_timeout_ms,
            limits.request_timeout_ms,
            limits.stream_idle_timeout_ms,
            limits.idle_timeout_ms,
            self.route_timeout_ms,
            pools,
            fixed,
        ];
        all.into_iter().max().unwrap_or(fixed)
    }

    /// Listeners that it has.
    pub(crate) fn listeners(&self) -> Vec<u32> {
        let all = [(HTTP, true), (RAW, self.has_raw), (SECOND, self.has_second)];
        all.into_iter().filter(|(_, is_there)| *is_there).map(|(id, _)| id).collect()
    }

    /// Tells the books which addresses belong to whom.
    pub(crate) fn enter(&self, truth: &mut Truth) {
        for (number, shape) in self.clusters.iter().enumerate() {
            let addresses: Vec<Address> = (0..ENDPOINTS).map(|at| shape.address(number, at)).collect();
            let at = truth.endpoint(&addresses[0]).map(|(at, _)| at);
            let stays = shape.has_moved && at.is_none_or(|at| truth.clusters[at].is_current);
            for known in truth.clusters.iter_mut().filter(|known| known.cluster == number && !stays) {
                known.is_current = false;
            }
            if let Some(at) = at {
                let known = &mut truth.clusters[at];
                known.is_current = true;
                if known.seen_version + 1 < self.version {
                    known.came_back = true;
                    // Its predecessor may still finish what it has, under bounds of its own.
                    known.max_connections += u64::from(shape.pool.max_connections);
                }
                known.seen_version = self.version;
                continue;
            }
            truth.clusters.push(ClusterTruth {
                cluster: number,
                max_connections: u64::from(shape.pool.max_connections),
                connect_timeout_ms: shape.connect_timeout_ms,
                open: vec![0; addresses.len()],
                opened: vec![0; addresses.len()],
                addresses,
                alternates: shape.all_alternates(number),
                refused: 0,
                failed: 0,
                is_current: true,
                came_back: false,
                is_member: vec![false; ENDPOINTS],
                is_unwell: vec![false; ENDPOINTS],
                panic_threshold_percent: shape.panic_threshold_percent,
                has_several: shape.has_several,
                seen_version: self.version,
                received_bytes: 0,
            });
        }
    }

    /// Which addresses are endpoints of the clusters that the books have as current, and which are unhealthy.
    pub(crate) fn memberships(&self, truth: &Truth) -> Vec<Membership> {
        let current = truth.clusters.iter().enumerate().filter(|(_, known)| known.is_current);
        let membership = |(at, known): (usize, &ClusterTruth)| {
            let shape = &self.clusters[known.cluster];
            Membership { at, is_member: shape.members.to_vec(), is_unwell: shape.is_unwell().to_vec() }
        };
        current.map(membership).collect()
    }

    /// The snapshot that says so.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let clusters = self
            .clusters
            .iter()
            .enumerate()
            .map(|(number, shape)| shape.config(number, self.retries_max, self.outliers))
            .map(Arc::new)
            .collect();
        Snapshot {
            version: self.version,
            listeners: self.listeners().into_iter().map(|id| self.listener(id)).collect(),
            clusters,
            local_cluster: None,
            drain_timeout_ms: self.drain_timeout_ms,
            access_log: Some(AccessLogFields {
                rpc_group: false,
                request_fields: vec!["x-tag".into()],
                response_fields: vec!["x-tag".into()],
            }),
            cores: 1,
        }
    }

    fn listener(&self, id: u32) -> Listener {
        let raw = ClusterIndex(self.clusters.len() as u32 - 1);
        let kind = if id == RAW { ListenerKind::Tcp { cluster: raw } } else { self.http(raw) };
        let address = Address::Ip(([127, 0, 0, 1], 9000 + id as u16).into());
        Listener { id: ListenerId(id), name: format!("l{id}"), address, limits: self.limits.clone(), kind }
    }
}
