//! Reads clusters, and keeps their names so that routes can refer to them.

use super::circuit_breaker;
use super::discovery;
use super::health;
use super::heartbeat::heartbeat;
use super::keepalive::connect_options;
use super::load_balancing;
use super::node::Node;
use super::outlier_detection::outlier_detection;
use super::problem::{Place, Problems};
use super::protocol;
use super::section::{Section, choice, list, name};
use super::spoken::Asked;
use super::suggest::nearest;
use super::tree::Tree;
use crate::discovery::{Discovery, EndpointSource};
use sidering_dataplane::config::{
    AUTO, CircuitBreaker, Cluster, ClusterIndex, PoolLimits, SharedLimits, TCP,
};
use sidering_dataplane::io::ConnectOptions;
use std::collections::HashMap;
use std::sync::Arc;

const LARGEST_COUNT: u64 = 10_000_000;
/// The exchanges that a connection's codec can name.
const MOST_CALLS: u64 = 4_095;
/// They are looked through for each call.
const MOST_SHARED: u64 = 256;

/// The clusters of a file under reading.
#[derive(Default)]
pub(super) struct Clusters {
    clusters: Vec<Cluster>,
    /// Of each cluster: whether the file says its protocol.
    explicit: Vec<bool>,
    asked: Vec<Asked>,
    /// Whether anybody refers to it, so that it is known what it speaks.
    is_referred_to: Vec<bool>,
    /// What connections of the listener under reading may speak, if it finds that out.
    detected: Vec<&'static str>,
    names: HashMap<String, u32>,
    discoveries: Vec<Discovery>,
}

impl Clusters {
    pub(super) fn read(tree: Option<&Tree>, node: &Node<'_>, problems: &Problems) -> Clusters {
        let mut read = Clusters::default();
        let mut lines: HashMap<String, u32> = HashMap::new();
        for item in tree.map_or(&[][..], |tree| list(tree, "clusters", problems)) {
            let ReadCluster { cluster, name_place, explicit, source } = cluster(item, node, problems);
            if cluster.name.is_empty() {
                continue;
            }
            if let Some(line) = lines.insert(cluster.name.clone(), name_place.line) {
                let message = format!("a second cluster named `{}`", cluster.name);
                problems.error(name_place, message, format!("another name; the first is on line {line}"));
                lines.insert(cluster.name, line);
                continue;
            }
            let discovery = source.map(|source| Discovery { cluster: cluster.name.clone(), source });
            read.discoveries.extend(discovery);
            read.names.insert(cluster.name.clone(), read.clusters.len() as u32);
            read.clusters.push(cluster);
            read.explicit.push(explicit);
            read.asked.push(Asked::of(item));
            read.is_referred_to.push(false);
        }
        read
    }

    /// The next listener finds out what its connections speak: one of these.
    pub(super) fn detect(&mut self, protocols: &[&'static str]) {
        self.detected = protocols.to_vec();
    }

    /// Any of them may be meant by a listener that speaks `protocol`.
    pub(super) fn refer_to_all(&mut self, protocol: &'static str) {
        self.is_referred_to.fill(true);
        for (cluster, explicit) in self.clusters.iter_mut().zip(&self.explicit) {
            if !explicit {
                cluster.protocol = spoken_for(cluster.protocol, protocol);
            }
        }
    }

    /// What a listener that speaks `protocol` means by a cluster's name. A cluster that does not say its protocol speaks that of
    /// its listener, or whatever the client does if it is asked in several.
    pub(super) fn refer(&mut self, tree: &Tree, protocol: &'static str, problems: &Problems) -> ClusterIndex {
        let Some(given) = name(tree, problems) else { return ClusterIndex(0) };
        let Some(index) = self.names.get(&given).copied() else {
            let expected = match nearest(&given, self.clusters.iter().map(|cluster| cluster.name.as_str())) {
                Some(near) => format!("the name of a cluster; did you mean `{near}`?"),
                None => "the name of a cluster in `clusters`".to_owned(),
            };
            problems.error(tree.place, format!("there is no cluster `{given}`"), expected);
            return ClusterIndex(0);
        };
        self.is_referred_to[index as usize] = true;
        let cluster = &mut self.clusters[index as usize];
        if !self.explicit[index as usize] {
            cluster.protocol = spoken_for(cluster.protocol, protocol);
            return ClusterIndex(index);
        }
        let own = cluster.protocol;
        let is_spoken = match protocol {
            TCP => true,
            AUTO => own == AUTO || self.detected.contains(&own),
            _ => own == AUTO || own == protocol,
        };
        if !is_spoken && protocol == AUTO {
            let message = format!("the cluster `{given}` speaks {own}, which the listener does not detect");
            let expected = format!("{own} in `detection: {{ protocols: .. }}`, or another cluster");
            problems.error(tree.place, message, expected);
        } else if !is_spoken {
            let message = format!("the cluster `{given}` speaks {own}, the listener {protocol}");
            problems.error(tree.place, message, format!("a cluster with `protocol: {protocol}`"));
        }
        ClusterIndex(index)
    }

    /// Whether there is a cluster of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// What the cluster of this name speaks, by its own words.
    pub(super) fn spoken_by(&self, name: &str) -> Option<&'static str> {
        let index = *self.names.get(name)? as usize;
        self.explicit[index].then(|| self.clusters[index].protocol)
    }

    /// The clusters, and how the endpoints of those are found that do not list them.
    pub(super) fn into_parts(mut self, problems: &Problems) -> (Vec<Arc<Cluster>>, Vec<Discovery>) {
        for (index, cluster) in self.clusters.iter_mut().enumerate() {
            if self.explicit[index] || self.is_referred_to[index] {
                self.asked[index].settle(cluster, problems);
            }
        }
        (self.clusters.into_iter().map(Arc::new).collect(), self.discoveries)
    }
}

/// What a cluster speaks that has spoken `before` and is asked in `protocol`, too.
fn spoken_for(before: &'static str, protocol: &'static str) -> &'static str {
    match protocol {
        TCP => before,
        _ if before == TCP || before == protocol => protocol,
        _ => AUTO,
    }
}

struct ReadCluster {
    cluster: Cluster,
    name_place: Place,
    /// Whether the file says its protocol.
    explicit: bool,
    source: Option<EndpointSource>,
}

fn cluster(tree: &Tree, node: &Node<'_>, problems: &Problems) -> ReadCluster {
    let mut section = Section::open("a cluster", tree, problems);
    let name_tree = section.require("name", "a name that routes refer to");
    let given = section.find("protocol");
    let protocol = given.and_then(|tree| choice(tree, &protocol::of_clusters(), protocol::LATER, problems));
    let (endpoints, source) = discovery::read(&mut section);
    let balancing = load_balancing::read(&mut section, node, problems);
    let connect_timeout_ms = section.duration_ms("connect_timeout", 1, 5000);
    let (mut pool, shared) = section
        .find("pool")
        .map_or_else(|| (default_pool(), SharedLimits::default()), |tree| pool(tree, problems));
    let pool_pending =
        section.find("pool").and_then(|tree| tree.entry("max_pending")).map(|entry| entry.place);
    let circuit_breaker = section.find("circuit_breaker").map_or_else(CircuitBreaker::default, |tree| {
        circuit_breaker::read(tree, &mut pool, pool_pending, problems)
    });
    let keepalive = section.find("upstream_keepalive");
    let connect_options =
        keepalive.map_or_else(ConnectOptions::default, |tree| connect_options(tree, problems));
    let health_check =
        section.find("health_check").and_then(|tree| health::check(tree, problems)).map(Arc::new);
    let outlier_detection =
        section.find("outlier_detection").map(|tree| Arc::new(outlier_detection(tree, problems)));
    let heartbeat = section.find("heartbeat").and_then(|tree| heartbeat(tree, problems));
    section.later(&["tls"]);
    section.finish();
    let name_place = name_tree.map_or(tree.place, |tree| tree.place);
    let name = name_tree.and_then(|tree| name(tree, problems)).unwrap_or_default();
    let explicit = protocol.is_some();
    let protocol = protocol.unwrap_or(TCP);
    let cluster = Cluster {
        name,
        protocol,
        endpoints: endpoints.into(),
        connect_timeout_ms,
        connect_options,
        pool,
        circuit_breaker,
        health_check,
        heartbeat,
        shared,
        outlier_detection,
        ..balancing
    };
    ReadCluster { cluster, name_place, explicit, source }
}

fn default_pool() -> PoolLimits {
    PoolLimits { max_connections: 1024, max_pending: 1024, idle_timeout_ms: 60_000, shares_idle: false }
}

fn pool(tree: &Tree, problems: &Problems) -> (PoolLimits, SharedLimits) {
    let default = default_pool();
    let mut section = Section::open("a pool", tree, problems);
    let max_connections =
        section.integer("max_connections", 1..=LARGEST_COUNT, u64::from(default.max_connections));
    let max_pending = section.integer("max_pending", 0..=LARGEST_COUNT, u64::from(default.max_pending));
    let idle_timeout_ms = section.duration_ms("idle_timeout", 0, default.idle_timeout_ms);
    let shares_idle = section.boolean("share_idle_connections", default.shares_idle);
    let shared = SharedLimits::default();
    let most_calls = u64::from(shared.max_calls_per_connection);
    let most_connections = u64::from(shared.max_connections_per_endpoint);
    let shared = SharedLimits {
        max_calls_per_connection: section.integer("max_calls_per_connection", 1..=MOST_CALLS, most_calls)
            as u32,
        max_connections_per_endpoint: section.integer(
            "max_connections_per_endpoint",
            1..=MOST_SHARED,
            most_connections,
        ) as u32,
    };
    section.finish();
    let pool = PoolLimits {
        max_connections: max_connections as u32,
        max_pending: max_pending as u32,
        idle_timeout_ms,
        shares_idle,
    };
    (pool, shared)
}
