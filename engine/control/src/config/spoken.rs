//! What of a cluster depends on what it speaks, which may be known only when all listeners have been read: what is on by default, and
//! which keys mean nothing.

use super::problem::{Place, Problems};
use super::tree::Tree;
use sidering_codecs::registry::{Protocol, protocol};
use sidering_codecs::rpc::PoolMode;
use sidering_dataplane::config::{AUTO, Cluster, Heartbeat, Probe};
use std::sync::Arc;

/// Where the keys stand.
#[derive(Default)]
pub(super) struct Asked {
    heartbeat: Option<Place>,
    heartbeat_check: Option<Place>,
    shares_idle: Option<Place>,
    idle_timeout: Option<Place>,
    shared: Vec<(&'static str, Place)>,
}

/// Of `pool`.
const SHARED_KEYS: [&str; 2] = ["max_calls_per_connection", "max_connections_per_endpoint"];
const HEARTBEATS: &str =
    "bolt, dubbo and tars have heartbeats; leave it out, or say which `protocol` the cluster speaks";

impl Asked {
    /// The keys of a cluster.
    pub(super) fn of(cluster: &Tree) -> Asked {
        let inner = |key: &str| cluster.entry(key).map(|entry| &entry.value);
        let place = |tree: Option<&Tree>, key: &str| tree?.entry(key).map(|entry| entry.place);
        let pool = inner("pool");
        Asked {
            heartbeat: place(Some(cluster), "heartbeat"),
            heartbeat_check: place(inner("health_check"), "heartbeat"),
            shares_idle: place(pool, "share_idle_connections"),
            idle_timeout: place(pool, "idle_timeout"),
            shared: SHARED_KEYS.into_iter().filter_map(|key| Some((key, place(pool, key)?))).collect(),
        }
    }

    /// Of a cluster that speaks what the client does. What means nothing to a protocol does nothing there.
    fn settle_any(&self, cluster: &mut Cluster, problems: &Problems) {
        if self.heartbeat.is_none() {
            cluster.heartbeat = Some(Heartbeat::default());
        }
        if let Some(place) = self.heartbeat_check {
            problems.error(place, "a heartbeat of whatever the client speaks", HEARTBEATS);
        }
        if let Some(place) = self.shares_idle.filter(|_| cluster.pool.shares_idle) {
            let message = "`share_idle_connections` of a cluster that speaks what the client does";
            problems.error(
                place,
                message,
                "it in clusters of http1 only: nothing else is handed to another core",
            );
        }
    }

    /// Settles it.
    pub(super) fn settle(&self, cluster: &mut Cluster, problems: &Problems) {
        if cluster.protocol == AUTO {
            self.settle_any(cluster, problems);
            return;
        }
        let spoken = protocol(cluster.protocol);
        if spoken.is_some_and(Protocol::has_heartbeats) {
            if self.heartbeat.is_none() {
                cluster.heartbeat = Some(Heartbeat::default());
            }
            if let Some(check) = &mut cluster.health_check
                && matches!(check.probe, Probe::Heartbeat(_))
            {
                Arc::make_mut(check).probe = Probe::Heartbeat(cluster.protocol);
            }
        } else {
            for place in [self.heartbeat, self.heartbeat_check].into_iter().flatten() {
                let message = format!("a heartbeat of {}, which has none", cluster.protocol);
                problems.error(place, message, HEARTBEATS);
            }
        }
        if spoken.is_none_or(|spoken| spoken.pool != PoolMode::Multiplex) {
            for (key, place) in &self.shared {
                let message =
                    format!("`{key}` of {}, where a connection carries one at a time", cluster.protocol);
                problems.error(
                    *place,
                    message,
                    "it in clusters of bolt, dubbo and the like; else `max_connections`",
                );
            }
        }
        if let Some(place) = self.idle_timeout.filter(|_| spoken.is_none()) {
            let message = "`idle_timeout` of a pool of tcp, where no connection is used twice";
            problems.error(place, message, "`limits: { idle_timeout: .. }` of the listener");
        }
        if let Some(place) = self.shares_idle
            && spoken.is_none_or(|spoken| spoken.is_rpc)
            && cluster.pool.shares_idle
        {
            let message = format!("`share_idle_connections` of {}", cluster.protocol);
            problems.error(
                place,
                message,
                "it in clusters of http1 only: nothing else is handed to another core",
            );
        }
    }
}
