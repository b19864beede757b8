//! A listener as one core runs it: its configuration, its compiled routes, its counters and its count of connections.

use crate::config::{
    ClusterIndex, HeaderOperator, HeaderRules, HttpListener, Listener, ListenerKind, ListenerLimits,
    RouteAction, Snapshot,
};
use crate::filter::coding::CodingPool;
use crate::filter::local_rate_limit::shares::RateLimits;
use crate::filter::{Chain, Parts};
use crate::io::{Address, ListenerId};
use crate::observe::counters::ListenerCounters;
use crate::route::split::Splits;
use crate::route::{RouteTable, Routed};
use sidering_codecs::registry::{Protocol, protocol};
use std::rc::Rc;
use std::sync::Arc;

/// One listener under one configuration. Streams in flight keep the one they began with.
pub struct CoreListener {
    pub config: Listener,
    pub snapshot: Arc<Snapshot>,
    pub counters: Arc<ListenerCounters>,
    /// The core's key of each of the snapshot's clusters.
    pub cluster_keys: Rc<[u32]>,
    pub kind: CoreListenerKind,
    /// `None` if no header rule stands anywhere in it.
    headers: Option<HeaderNeeds>,
    /// Indices of the snapshot's clusters in the order of their names; empty if no route looks for one by its name.
    clusters_by_name: Box<[u32]>,
}

/// What header rules need of their listener.
struct HeaderNeeds {
    address: Box<str>,
    asks_peer: bool,
}

/// What the listener's connections carry.
pub enum CoreListenerKind {
    /// `cluster` is an index into the snapshot's clusters.
    Tcp { cluster: ClusterIndex },
    Http {
        protocol: &'static Protocol,
        routes: Arc<RouteTable>,
        /// Whose turn it is among the weighted clusters of its routes.
        splits: Splits,
        /// `None` if it has no filter.
        filters: Option<Chain>,
    },
}

impl CoreListener {
    /// Compiles the listener at `index` of the snapshot. A protocol the registry lacks cannot come out of a checked
    /// configuration; its listener would refuse every connection, so `None` is told.
    pub fn compile(
        snapshot: &Arc<Snapshot>,
        index: usize,
        counters: &Arc<ListenerCounters>,
        cluster_keys: &Rc<[u32]>,
        rate_limits: &Rc<RateLimits>,
        codings: &Rc<CodingPool>,
    ) -> Option<Rc<Self>> {
        let config = snapshot.listeners[index].clone();
        let kind = match &config.kind {
            ListenerKind::Tcp { cluster } => CoreListenerKind::Tcp { cluster: *cluster },
            ListenerKind::Http(http) => CoreListenerKind::Http {
                protocol: protocol(http.protocol)?,
                routes: Arc::clone(&http.routes),
                splits: Splits::new(&http.routes),
                filters: Chain::compile(http, &Parts { counters, rate_limits, codings }),
            },
        };
        let (snapshot, counters) = (Arc::clone(snapshot), Arc::clone(counters));
        let cluster_keys = Rc::clone(cluster_keys);
        let headers = header_needs(&config);
        let clusters_by_name = if names_clusters(&config) { by_name(&snapshot) } else { Box::default() };
        Some(Rc::new(CoreListener {
            config,
            snapshot,
            counters,
            cluster_keys,
            kind,
            headers,
            clusters_by_name,
        }))
    }

    /// What stands in for the listener of a connection that outlived it: it routes nothing.
    pub fn gone() -> Rc<Self> {
        let limits = ListenerLimits {
            max_connections: 0,
            request_headers_timeout_ms: 15_000,
            request_timeout_ms: 0,
            stream_idle_timeout_ms: 300_000,
            idle_timeout_ms: 60_000,
            held_up_timeout_ms: 1_000,
        };
        let config = Listener {
            id: ListenerId(u32::MAX),
            name: String::new(),
            address: Address::Ip(([0, 0, 0, 0], 0).into()),
            limits,
            kind: ListenerKind::Tcp { cluster: ClusterIndex(u32::MAX) },
        };
        Rc::new(CoreListener {
            config,
            snapshot: Arc::default(),
            counters: Arc::default(),
            cluster_keys: Rc::from([]),
            kind: CoreListenerKind::Tcp { cluster: ClusterIndex(u32::MAX) },
            headers: None,
            clusters_by_name: Box::default(),
        })
    }

    /// The listener's index in its snapshot, `u32::MAX` if it has none.
    pub fn snapshot_index(&self) -> u32 {
        let at = self.snapshot.listeners.iter().position(|listener| listener.id == self.config.id);
        at.map_or(u32::MAX, |at| at as u32)
    }

    /// The index in the snapshot of the cluster with this key, `u32::MAX` if it has none.
    pub fn cluster_index(&self, key: u32) -> u32 {
        self.cluster_keys.iter().position(|&known| known == key).map_or(u32::MAX, |at| at as u32)
    }

    /// The cluster of this name, where a route looks for clusters by their names.
    pub fn cluster_named(&self, name: &[u8]) -> Option<ClusterIndex> {
        let clusters = &self.snapshot.clusters;
        let found = self
            .clusters_by_name
            .binary_search_by(|index| clusters[*index as usize].name.as_bytes().cmp(name))
            .ok()?;
        Some(ClusterIndex(self.clusters_by_name[found]))
    }

    /// The listener's filters, if it has any.
    pub fn chain(&self) -> Option<&Chain> {
        match &self.kind {
            CoreListenerKind::Http { filters, .. } => filters.as_ref(),
            CoreListenerKind::Tcp { .. } => None,
        }
    }

    /// The route at a place (virtual host and route) that its table has told.
    pub fn routed(&self, place: Option<(u32, u32)>) -> Option<Routed<'_>> {
        let CoreListenerKind::Http { routes, .. } = &self.kind else { return None };
        let (virtual_host, index) = place.map(|(host, route)| (host as usize, route as usize))?;
        Some(Routed { virtual_host, index, route: routes.route(virtual_host, index)? })
    }

    /// Whose turn it is among the weighted clusters of a route.
    pub fn pick_weighted(&self, route: &Routed<'_>) -> usize {
        match &self.kind {
            CoreListenerKind::Http { splits, .. } => splits.pick(route),
            CoreListenerKind::Tcp { .. } => 0,
        }
    }

    /// Whether there is any header rule in it.
    pub fn has_header_rules(&self) -> bool {
        self.headers.is_some()
    }

    /// Whether any of its header rules asks for the peer's address.
    pub fn asks_peer(&self) -> bool {
        self.headers.as_ref().is_some_and(|headers| headers.asks_peer)
    }

    /// Its address as text, where header rules may ask for it.
    pub fn address_text(&self) -> &str {
        self.headers.as_ref().map_or("", |headers| &headers.address)
    }

    /// The HTTP part of the configuration; `None` on TCP listeners.
    pub fn http(&self) -> Option<&crate::config::HttpListener> {
        match &self.config.kind {
            ListenerKind::Http(http) => Some(http),
            ListenerKind::Tcp { .. } => None,
        }
    }
}

fn names_clusters(config: &Listener) -> bool {
    let ListenerKind::Http(http) = &config.kind else { return false };
    http.routes.virtual_hosts().iter().flat_map(|host| &host.routes).any(
        |route| matches!(&route.action, RouteAction::Forward(forward) if forward.cluster_header.is_some()),
    )
}

fn by_name(snapshot: &Snapshot) -> Box<[u32]> {
    let mut indices: Box<[u32]> = (0..snapshot.clusters.len() as u32).collect();
    indices.sort_unstable_by_key(|index| &snapshot.clusters[*index as usize].name);
    indices
}

fn header_needs(config: &Listener) -> Option<HeaderNeeds> {
    let ListenerKind::Http(http) = &config.kind else { return None };
    let mut rules = header_rules(http).peekable();
    rules.peek()?;
    let operators = rules.flat_map(|rules| rules.request.operators().chain(rules.response.operators()));
    let asks_peer = operators.into_iter().any(HeaderOperator::asks_peer);
    let address = match &config.address {
        Address::Ip(ip) => ip.to_string(),
        Address::Unix(path) => path.to_string_lossy().into_owned(),
    };
    Some(HeaderNeeds { address: address.into(), asks_peer })
}

fn header_rules(http: &HttpListener) -> impl Iterator<Item = &HeaderRules> {
    let hosts = http.routes.virtual_hosts().iter();
    let special = hosts.flat_map(|host| {
        host.routes.iter().filter_map(|route| route.headers.as_deref()).chain(host.headers.as_deref())
    });
    special.chain(http.headers.as_deref())
}
