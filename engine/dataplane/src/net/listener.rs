//! A listener as one core runs it: its configuration, its compiled routes, its counters and its count of connections.

use crate::cluster::ClusterKeys;
use crate::config::{
    ClusterIndex, Detection, HeaderOperator, HeaderRules, HttpListener, HttpOptions, Listener, ListenerKind,
    ListenerLimits, RouteAction, Snapshot,
};
use crate::filter::coding::CodingPool;
use crate::filter::local_rate_limit::shares::RateLimits;
use crate::filter::{Chain, Parts};
use crate::io::{Address, ListenerId};
use crate::net::known_routes::{KnownRoutes, leaves_calls};
use crate::observe::counters::ListenerCounters;
use crate::route::split::Splits;
use crate::route::{RouteTable, Routed};
use sidering_codecs::registry::{Protocol, protocol};
use sidering_codecs::rpc::PoolMode;
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
    /// `None` if its requests are no calls, or something is done to all of them, or their routes depend on more than is known.
    known_routes: Option<KnownRoutes>,
    /// Indices of the snapshot's clusters in the order of their names; empty if no route looks for one by its name.
    clusters_by_name: Box<[u32]>,
}

/// Which of a listener's speakers a connection is one of: of a listener with one protocol its own one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Speaker(u8);

impl Speaker {
    /// The listener itself.
    pub const OWN: Self = Speaker(0);
    /// None: its listener has been configured anew without it.
    pub const GONE: Self = Speaker(u8::MAX);

    /// The one at this place of a listener that detects protocols, which are fewer than 255.
    pub fn detected(at: usize) -> Self {
        Speaker(at as u8 + 1)
    }
}

/// What a listener has in common with its speakers.
#[derive(Clone, Copy)]
struct Shared<'a> {
    snapshot: &'a Arc<Snapshot>,
    counters: &'a Arc<ListenerCounters>,
    cluster_keys: &'a ClusterKeys,
}

impl Shared<'_> {
    /// A listener for requests of this protocol.
    fn speaker(
        self,
        mut config: Listener,
        protocol: &'static Protocol,
        filters: Option<Chain>,
    ) -> Option<Rc<CoreListener>> {
        let ListenerKind::Http(http) = &mut config.kind else { return None };
        let is_detected = http.detection.take().is_some();
        http.protocol = protocol.name;
        let mut filters = filters;
        if is_detected && protocol.is_rpc {
            http.options = HttpOptions::default();
            filters = filters.map(|chain| chain.for_calls());
        }
        let (routes, splits) = (Arc::clone(&http.routes), Splits::new(&http.routes));
        Some(self.listener(config, CoreListenerKind::Http { protocol, routes, splits, filters }))
    }

    fn listener(self, config: Listener, kind: CoreListenerKind) -> Rc<CoreListener> {
        let protocol = match &kind {
            CoreListenerKind::Http { protocol, .. } => protocol.name,
            _ => "",
        };
        let is_named = names_clusters(&config);
        let headers = header_needs(&config);
        let known_routes =
            (headers.is_none() && takes_plain_calls(&config, &kind)).then(KnownRoutes::default);
        Rc::new(CoreListener {
            snapshot: Arc::clone(self.snapshot),
            counters: Arc::clone(self.counters),
            cluster_keys: Rc::clone(self.cluster_keys.of(protocol)),
            headers,
            known_routes,
            clusters_by_name: if is_named { by_name(self.snapshot) } else { Box::default() },
            config,
            kind,
        })
    }
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
    /// Requests of one of several protocols, or bytes.
    Auto { speakers: Box<[Rc<CoreListener>]>, detection: Box<Detection> },
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
        cluster_keys: &ClusterKeys,
        rate_limits: &Rc<RateLimits>,
        codings: &Rc<CodingPool>,
    ) -> Option<Rc<Self>> {
        let config = snapshot.listeners[index].clone();
        let shared = Shared { snapshot, counters, cluster_keys };
        let ListenerKind::Http(http) = &config.kind else {
            let ListenerKind::Tcp { cluster } = config.kind else { return None };
            return Some(shared.listener(config, CoreListenerKind::Tcp { cluster }));
        };
        let chain = Chain::compile(http, &Parts { counters, rate_limits, codings });
        let Some(detection) = http.detection.clone() else {
            return shared.speaker(config.clone(), protocol(http.protocol)?, chain);
        };
        let speaker = |name: &&str| {
            let protocol = protocol(name)?;
            shared.speaker(config.clone(), protocol, chain.clone())
        };
        let speakers: Option<Box<[_]>> = detection.protocols.iter().map(speaker).collect();
        let kind = CoreListenerKind::Auto { speakers: speakers?, detection };
        Some(shared.listener(config, kind))
    }

    /// What speaks the protocol of the connections that are told so; `None` if it does not speak it any more.
    pub fn speaking(listener: &Rc<Self>, speaker: Speaker) -> Option<&Rc<Self>> {
        match (speaker, &listener.kind) {
            (Speaker::OWN, _) => Some(listener),
            (Speaker(at), CoreListenerKind::Auto { speakers, .. }) => speakers.get(usize::from(at) - 1),
            _ => None,
        }
    }

    /// The one of its speakers that speaks the protocol of this name.
    pub fn speaker_of(&self, protocol: &str) -> Option<Speaker> {
        match &self.kind {
            CoreListenerKind::Tcp { .. } => None,
            CoreListenerKind::Http { protocol: own, .. } => (own.name == protocol).then_some(Speaker::OWN),
            CoreListenerKind::Auto { speakers, .. } => {
                speakers.iter().position(|speaker| speaker.protocol_name() == protocol).map(Speaker::detected)
            }
        }
    }

    /// The protocol of all its connections; empty if there is none.
    pub fn protocol_name(&self) -> &'static str {
        match &self.kind {
            CoreListenerKind::Http { protocol, .. } => protocol.name,
            CoreListenerKind::Tcp { .. } | CoreListenerKind::Auto { .. } => "",
        }
    }

    /// Whether its connections speak this protocol.
    pub fn speaks(&self, protocol: &'static Protocol) -> bool {
        matches!(&self.kind, CoreListenerKind::Http { protocol: own, .. } if std::ptr::eq(*own, protocol))
    }

    /// Whether connections of the one may be the other's as they are.
    pub fn speaks_as(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (
                CoreListenerKind::Auto { detection: one, .. },
                CoreListenerKind::Auto { detection: other, .. },
            ) => one.protocols == other.protocols,
            (CoreListenerKind::Auto { .. }, _) | (_, CoreListenerKind::Auto { .. }) => false,
            _ => self.protocol_name() == other.protocol_name(),
        }
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
            known_routes: None,
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
            CoreListenerKind::Tcp { .. } | CoreListenerKind::Auto { .. } => None,
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
            CoreListenerKind::Tcp { .. } | CoreListenerKind::Auto { .. } => 0,
        }
    }

    /// The routes of its calls that were found before, if the method says all that is needed to find one.
    pub fn known_routes(&self) -> Option<&KnownRoutes> {
        self.known_routes.as_ref()
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

/// Whether nothing but a route, and that by the method, decides what becomes of a call.
fn takes_plain_calls(config: &Listener, kind: &CoreListenerKind) -> bool {
    let (ListenerKind::Http(http), CoreListenerKind::Http { protocol, routes, .. }) = (&config.kind, kind)
    else {
        return false;
    };
    let has_many = protocol.is_rpc && protocol.pool == PoolMode::Multiplex;
    has_many && routes.goes_by_method() && leaves_calls(&http.options)
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
