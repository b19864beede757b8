//! Reads listeners.

use super::chain::{self, Parts};
use super::cluster::Clusters;
use super::detection;
use super::filter;
use super::header;
use super::problem::{Place, Problems};
use super::protocol::{self, Spoken};
use super::section::{Section, address, choice, list, name, text};
use super::settings::Settings;
use super::tree::{Tree, Value};
use super::units;
use sidering_codecs::registry::{self, CodecOptions, MAX_HEADERS, Protocol};
use sidering_dataplane::config::{
    AUTO, ChainedFilter, ClusterIndex, EnvoyHeaders, HttpListener, HttpOptions, Listener, ListenerKind,
    ListenerLimits, TCP, Underscores, VirtualHost,
};
use sidering_dataplane::filter::FilterConfig;
use sidering_dataplane::io::{Address, ListenerId};
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// Bounds of the bounds.
const HEADER_BYTES: std::ops::RangeInclusive<u64> = 1024..=1024 * 1024;
const URI_BYTES: std::ops::RangeInclusive<u64> = 64..=1024 * 1024;
const CONNECTIONS: std::ops::RangeInclusive<u64> = 1..=10_000_000;

/// Where messages are routed.
const ROUTED_KEYS: &[&str] =
    &["filters", "request_headers", "response_headers", "virtual_hosts", "route_chain"];
/// Where the messages are those of HTTP.
const HTTP_KEYS: &[&str] = &[
    "use_remote_address",
    "generate_request_id",
    "via",
    "upgrades",
    "underscores",
    "normalize_path",
    "merge_slashes",
    "envoy_headers",
    "lenient_line_ends",
];
/// Where not every client knows the message.
const RPC_KEYS: &[&str] = &["go_away"];
const OF_GO_AWAY: &str = "listeners with `protocol: bolt`: only there it is a matter of choice";
/// Where what is spoken is found out.
const DETECTION_KEYS: &[&str] = &["detection"];
const ROUTED_LIMITS: &[&str] =
    &["header_bytes", "headers", "request_headers_timeout", "request_timeout", "stream_idle_timeout"];
const HTTP_LIMITS: &[&str] = &["uri_bytes"];
const RPC_LIMITS: &[&str] = &["held_up_timeout"];
const OF_ROUTED: &str = "listeners with `protocol: http` or a protocol of calls";
const OF_HTTP: &str = "listeners with `protocol: http`";
const OF_RPC: &str = "listeners with a protocol of calls";
const OF_AUTO: &str = "listeners with `protocol: auto`";

/// Reads all listeners. Their ids are their places in the list.
pub(super) fn listeners(
    tree: Option<&Tree>,
    settings: &Settings,
    clusters: &mut Clusters,
    parts: &Parts<'_>,
    problems: &Problems,
) -> Vec<Listener> {
    let mut names = HashMap::new();
    let mut addresses = HashMap::new();
    let mut listeners: Vec<Listener> = vec![];
    for item in tree.map_or(&[][..], |tree| list(tree, "listeners", problems)) {
        let (mut listener, places) = listener(item, settings.workers, clusters, parts, problems);
        listener.id = ListenerId(listeners.len() as u32);
        if !listener.name.is_empty() {
            once(&mut names, listener.name.clone(), places.name, "the name", problems);
        }
        // Port 0 is another port each time.
        if let Some(place) = places.address.filter(|_| !is_port_zero(&listener.address)) {
            let address = units::show_address(&listener.address);
            if settings.admin.as_ref() == Some(&listener.address) {
                let message = format!("the address {address} is that of `admin`");
                problems.error(place, message, "another one, here or in `admin: { address: .. }`");
            }
            once(&mut addresses, address, place, "the address", problems);
        }
        listeners.push(listener);
    }
    listeners
}

/// Whether the system picks the port.
pub(crate) fn is_port_zero(address: &Address) -> bool {
    matches!(address, Address::Ip(ip) if ip.port() == 0)
}

struct Places {
    name: Place,
    /// `None` if the address could not be read.
    address: Option<Place>,
}

fn listener(
    tree: &Tree,
    workers: u32,
    clusters: &mut Clusters,
    parts: &Parts<'_>,
    problems: &Problems,
) -> (Listener, Places) {
    let mut section = Section::open("a listener", tree, problems);
    let name_tree = section.require("name", "a name for logs and metrics");
    let address_tree = section.require("address", units::ADDRESS);
    let read = address_tree.and_then(|tree| address(tree, problems));
    let spoken = section
        .require("protocol", "tcp, http, a protocol of calls such as bolt, or auto")
        .and_then(|tree| choice(tree, &Spoken::of_listeners(), protocol::LATER, problems));
    section.later(&["tls"]);
    let spoken = spoken.or_else(|| guess(&section));
    let (limits, codec) = limits(section.find("limits"), workers, spoken, problems);
    let kind = kind(&mut section, spoken, codec, workers, clusters, parts);
    section.finish();
    let places = Places {
        name: name_tree.map_or(tree.place, |tree| tree.place),
        address: address_tree.filter(|_| read.is_some()).map(|tree| tree.place),
    };
    let name = name_tree.and_then(|tree| name(tree, problems)).unwrap_or_default();
    let address = read.unwrap_or(Address::Ip(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))));
    (Listener { id: ListenerId(0), name, address, limits, kind }, places)
}

/// What a listener with a wrong protocol was probably meant to be, so that the rest of it is judged all the same.
fn guess(section: &Section<'_>) -> Option<Spoken> {
    if section.place_of("virtual_hosts").or(section.place_of("route_chain")).is_some() {
        return Spoken::http();
    }
    section.place_of("cluster").map(|_| Spoken::Bytes)
}

fn kind(
    section: &mut Section<'_>,
    spoken: Option<Spoken>,
    codec: CodecOptions,
    workers: u32,
    clusters: &mut Clusters,
    parts: &Parts<'_>,
) -> ListenerKind {
    let problems = section.problems;
    match spoken {
        Some(Spoken::Bytes) => {
            let cluster = section.require("cluster", "the name of the cluster that takes the bytes");
            section.misplaced(ROUTED_KEYS, OF_ROUTED);
            section.misplaced(HTTP_KEYS, OF_HTTP);
            section.misplaced(RPC_KEYS, OF_GO_AWAY);
            section.misplaced(DETECTION_KEYS, OF_AUTO);
            let cluster = cluster.map_or(ClusterIndex(0), |tree| clusters.refer(tree, TCP, problems));
            ListenerKind::Tcp { cluster }
        }
        Some(Spoken::Messages(protocol)) => {
            section.misplaced(&["cluster"], "routes; a listener with `protocol: tcp` has one of its own");
            section.misplaced(DETECTION_KEYS, OF_AUTO);
            let spoken = [protocol.name];
            let reading = Reading { protocol: protocol.name, spoken: &spoken, codec, workers, parts };
            ListenerKind::Http(Box::new(routed(section, reading, protocol.is_rpc, clusters)))
        }
        Some(Spoken::Detected) => {
            let detection = detection::read(section, clusters);
            clusters.detect(&detection.protocols);
            let reading = Reading { protocol: AUTO, spoken: &detection.protocols, codec, workers, parts };
            let http = routed(section, reading, false, clusters);
            ListenerKind::Http(Box::new(HttpListener { detection: Some(Box::new(detection)), ..http }))
        }
        None => {
            section.settle(ROUTED_KEYS);
            section.settle(HTTP_KEYS);
            section.settle(RPC_KEYS);
            section.settle(DETECTION_KEYS);
            section.settle(&["cluster"]);
            ListenerKind::Tcp { cluster: ClusterIndex(0) }
        }
    }
}

/// What a listener's routes are read by.
struct Reading<'a, 't> {
    protocol: &'static str,
    /// What its connections speak.
    spoken: &'a [&'static str],
    codec: CodecOptions,
    workers: u32,
    parts: &'a Parts<'t>,
}

fn routed(
    section: &mut Section<'_>,
    reading: Reading<'_, '_>,
    is_rpc: bool,
    clusters: &mut Clusters,
) -> HttpListener {
    let Reading { protocol, spoken, mut codec, workers, parts } = reading;
    let problems = section.problems;
    let filters = section.find("filters");
    let filters = filters.map_or(vec![], |tree| filter::chain(tree, protocol, workers, problems));
    let headers = header::rules(section, protocol);
    let chain = filter::Chain { filters: &filters, protocol, workers };
    let around = chain::Around { protocol, filters: chain, parts };
    let routes = Arc::new(chain::routes(section, clusters, &around));
    let mut spoken = spoken.iter().filter_map(|name| registry::protocol(name));
    if spoken.any(Protocol::has_optional_go_away) {
        codec.go_away = section.boolean("go_away", false);
    } else {
        section.misplaced(RPC_KEYS, OF_GO_AWAY);
    }
    let options = if is_rpc {
        section.misplaced(HTTP_KEYS, OF_HTTP);
        HttpOptions::default()
    } else {
        codec.lenient_line_ends = section.boolean("lenient_line_ends", false);
        http_options(section, &filters, routes.virtual_hosts())
    };
    HttpListener { protocol, detection: None, codec, options, filters, headers, routes }
}

fn limits(
    tree: Option<&Tree>,
    workers: u32,
    spoken: Option<Spoken>,
    problems: &Problems,
) -> (ListenerLimits, CodecOptions) {
    let nothing = Tree { place: Place::default(), value: Value::Mapping(vec![]) };
    let mut section = Section::open("limits", tree.unwrap_or(&nothing), problems);
    let max_connections = section.integer("max_connections", CONNECTIONS, 50_000);
    let idle_timeout_ms = section.duration_ms("idle_timeout", 0, 3_600_000);
    if matches!(spoken, Some(Spoken::Bytes)) {
        section.misplaced(ROUTED_LIMITS, OF_ROUTED);
        section.misplaced(HTTP_LIMITS, OF_HTTP);
    } else if spoken.is_some_and(Spoken::is_rpc) {
        section.misplaced(HTTP_LIMITS, OF_HTTP);
    }
    if spoken.is_some_and(|spoken| !spoken.has_calls()) {
        section.misplaced(RPC_LIMITS, OF_RPC);
    }
    let codec = CodecOptions::default();
    let header_bytes = section.size_bytes("header_bytes", HEADER_BYTES, u64::from(codec.header_bytes));
    let headers = section.integer("headers", 1..=u64::from(MAX_HEADERS), u64::from(codec.headers));
    let uri_bytes = section.size_bytes("uri_bytes", URI_BYTES, u64::from(codec.uri_bytes).min(header_bytes));
    if let Some(place) = section.place_of("uri_bytes").filter(|_| uri_bytes > header_bytes) {
        let expected = format!("at most `header_bytes`, {}", units::show_bytes(header_bytes));
        problems.error(place, "a request target larger than the head it stands in", expected);
    }
    let limits = ListenerLimits {
        max_connections: max_connections.div_ceil(u64::from(workers.max(1))) as u32,
        request_headers_timeout_ms: section.duration_ms("request_headers_timeout", 0, 15_000),
        request_timeout_ms: section.duration_ms("request_timeout", 0, 0),
        stream_idle_timeout_ms: section.duration_ms("stream_idle_timeout", 0, 300_000),
        idle_timeout_ms,
        held_up_timeout_ms: section.duration_ms("held_up_timeout", 0, 1_000),
    };
    section.finish();
    let codec = CodecOptions {
        header_bytes: header_bytes as u32,
        headers: headers as u16,
        uri_bytes: uri_bytes as u32,
        ..CodecOptions::DEFAULT
    };
    (limits, codec)
}

const ENVOY_HEADERS: [(&str, EnvoyHeaders); 3] =
    [("ignore", EnvoyHeaders::Ignore), ("obey", EnvoyHeaders::Obey), ("strip", EnvoyHeaders::Strip)];

fn http_options(
    section: &mut Section<'_>,
    filters: &[ChainedFilter],
    virtual_hosts: &[VirtualHost],
) -> HttpOptions {
    let problems = section.problems;
    let underscores =
        [("allow", Underscores::Allow), ("reject", Underscores::Reject), ("drop", Underscores::Drop)];
    let normalize_path = looks_at_paths(filters, virtual_hosts);
    HttpOptions {
        use_remote_address: section.boolean("use_remote_address", false),
        generate_request_id: section.boolean("generate_request_id", true),
        via: section.find("via").and_then(|tree| via(tree, problems)),
        upgrades: section
            .find("upgrades")
            .map_or(vec!["websocket".to_owned()], |tree| upgrades(tree, problems)),
        underscores: section.choice("underscores", &underscores, &[]).unwrap_or(Underscores::Allow),
        normalize_path: section.boolean("normalize_path", normalize_path),
        merge_slashes: section.boolean("merge_slashes", false),
        envoy_headers: section.choice("envoy_headers", &ENVOY_HEADERS, &[]).unwrap_or_default(),
    }
}

/// Whether any route or filter tells paths apart: a rule on paths holds only if all spellings of a path are one.
fn looks_at_paths(filters: &[ChainedFilter], virtual_hosts: &[VirtualHost]) -> bool {
    let routes = || virtual_hosts.iter().flat_map(|host| &host.routes);
    let special = virtual_hosts.iter().map(|host| &host.filters).chain(routes().map(|route| &route.filters));
    let special = special.flatten().filter_map(|special| special.config.as_ref());
    let mut configs = filters.iter().map(|filter| &filter.config).chain(special);
    configs.any(FilterConfig::looks_at_paths) || routes().any(|route| route.matcher.looks_at_path())
}

fn via(tree: &Tree, problems: &Problems) -> Option<String> {
    let given = text(tree, "a name for Via", problems)?;
    if units::is_token(given) {
        return Some(given.to_owned());
    }
    problems.error(
        tree.place,
        format!("{} is no name for Via", tree.describe()),
        "letters, digits, - . _ and the like",
    );
    None
}

/// An empty list is allowed: nothing may be upgraded to.
fn upgrades(tree: &Tree, problems: &Problems) -> Vec<String> {
    if matches!(&tree.value, Value::Sequence(items) if items.is_empty()) {
        return vec![];
    }
    let mut upgrades = vec![];
    for item in list(tree, "protocols", problems) {
        let Some(given) = text(item, "a protocol such as websocket", problems) else { continue };
        if units::is_token(given) {
            upgrades.push(given.to_ascii_lowercase());
        } else {
            problems.error(
                item.place,
                format!("{} is not a protocol", item.describe()),
                "a name such as websocket",
            );
        }
    }
    upgrades
}

fn once(seen: &mut HashMap<String, u32>, key: String, place: Place, what: &str, problems: &Problems) {
    if let Some(line) = seen.get(&key) {
        let expected = format!("each once; the first is on line {line}");
        problems.error(place, format!("{what} `{key}` is taken by another listener"), expected);
        return;
    }
    seen.insert(key, place.line);
}
