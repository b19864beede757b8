//! Reads routes.txt, and writes what both proxies are started with.

use super::ORIGINS;
use crate::support::{Config, Origin};

/// What both are started with, in both languages.
#[derive(Default)]
pub(super) struct Routes {
    hosts: Vec<Host>,
    /// Those of several endpoints; each origin has a cluster of its own name, too.
    clusters: Vec<Cluster>,
}

#[derive(Default)]
struct Host {
    domains: Vec<String>,
    ours: Vec<String>,
    envoys: Vec<String>,
    further: Keys,
}

#[derive(Default)]
struct Cluster {
    name: String,
    endpoints: Vec<Endpoint>,
    further: Keys,
}

struct Endpoint {
    origin: usize,
    metadata: Vec<(String, String)>,
}

/// Keys that follow others.
#[derive(Default)]
struct Keys {
    ours: String,
    envoys: String,
}

/// Listeners, and what they do with paths: normalise, merge slashes.
const LISTENERS: [(&str, bool, bool); 3] =
    [("web", true, false), ("merge", true, true), ("raw", false, false)];

pub(super) fn read(text: &str) -> Routes {
    let mut routes = Routes::default();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (kind, routes.hosts.last_mut()) {
            ("cluster", None) => routes.clusters.push(Cluster::read(rest)),
            ("host", _) => {
                let domains = rest.split(' ').map(str::to_owned).collect();
                routes.hosts.push(Host { domains, ..Host::default() });
            }
            ("<<", _) => routes.last_keys().ours = rest.to_owned(),
            (">>", _) => routes.last_keys().envoys = rest.to_owned(),
            ("<", Some(host)) => host.ours.push(rest.to_owned()),
            (">", Some(host)) => host.envoys.push(rest.to_owned()),
            _ => panic!("neither cluster, host nor route: {line}"),
        }
    }
    for host in &routes.hosts {
        assert_eq!(host.ours.len(), host.envoys.len(), "{:?}: each route in both languages", host.domains);
    }
    let alone = |(origin, name): (usize, &&str)| Cluster {
        name: (*name).to_owned(),
        endpoints: vec![Endpoint { origin, metadata: vec![] }],
        ..Cluster::default()
    };
    routes.clusters.extend(ORIGINS.iter().enumerate().map(alone));
    routes
}

impl Routes {
    /// Of what was begun last: clusters stand before the hosts.
    fn last_keys(&mut self) -> &mut Keys {
        let host = self.hosts.last_mut().map(|host| &mut host.further);
        let cluster = self.clusters.last_mut().map(|cluster| &mut cluster.further);
        host.or(cluster).expect("keys of something")
    }
}

impl Cluster {
    /// `NAME ORIGIN ORIGIN/KEY=VALUE/KEY=VALUE`
    fn read(text: &str) -> Cluster {
        let mut words = text.split(' ');
        let name = words.next().unwrap_or_default().to_owned();
        let endpoint = |word: &str| {
            let mut parts = word.split('/');
            let origin = ORIGINS.iter().position(|name| Some(*name) == parts.clone().next());
            let metadata = parts.by_ref().skip(1).map(|part| {
                let (key, value) = part.split_once('=').expect("KEY=VALUE");
                (key.to_owned(), value.to_owned())
            });
            Endpoint { metadata: metadata.collect(), origin: origin.expect("the name of an origin") }
        };
        Cluster { name, endpoints: words.map(endpoint).collect(), further: Keys::default() }
    }
}

pub(super) fn ours(routes: &Routes, origins: &[Origin]) -> Config {
    let host = |host: &Host| {
        let (domains, routes) = (&host.domains, host.ours.join(", "));
        format!("{{ domains: {domains:?}, routes: [{routes}]{} }}", behind(&host.further.ours))
    };
    let hosts: Vec<String> = routes.hosts.iter().map(host).collect();
    let mut config = Config::new();
    for (name, normalize, merge) in LISTENERS {
        let keys = format!("normalize_path: {normalize}, merge_slashes: {merge}");
        config = config.http_hosts(name, &keys, &hosts.join(", "));
    }
    for cluster in &routes.clusters {
        let endpoint = |endpoint: &Endpoint| {
            let metadata: Vec<String> =
                endpoint.metadata.iter().map(|(key, value)| format!("{key}: {value}")).collect();
            let metadata = match metadata.is_empty() {
                true => String::new(),
                false => format!(", metadata: {{ {} }}", metadata.join(", ")),
            };
            format!("{{ address: {}{metadata} }}", origins[endpoint.origin])
        };
        let endpoints: Vec<String> = cluster.endpoints.iter().map(endpoint).collect();
        config = config.cluster_of(&cluster.name, &endpoints, &cluster.further.ours);
    }
    config
}

pub(super) fn envoys(routes: &Routes, origins: &[Origin]) -> String {
    let host = |(number, host): (usize, &Host)| {
        let (domains, routes, keys) = (&host.domains, host.envoys.join(", "), behind(&host.further.envoys));
        format!(r#"{{ "name": "host-{number}", "domains": {domains:?}, "routes": [{routes}]{keys} }}"#)
    };
    let hosts = routes.hosts.iter().enumerate().map(host).collect::<Vec<_>>().join(", ");
    let listeners =
        LISTENERS.map(|(name, normalize, merge)| listener(name, normalize, merge, &hosts)).join(", ");
    let endpoint = |endpoint: &Endpoint| {
        let address = address("127.0.0.1", origins[endpoint.origin].address().port());
        let metadata: Vec<String> =
            endpoint.metadata.iter().map(|(key, value)| format!(r#""{key}": "{value}""#)).collect();
        format!(
            r#"{{ "endpoint": {{ "address": {address} }},
              "metadata": {{ "filter_metadata": {{ "envoy.lb": {{ {} }} }} }} }}"#,
            metadata.join(", ")
        )
    };
    let cluster = |cluster: &Cluster| {
        let (name, keys) = (&cluster.name, behind(&cluster.further.envoys));
        let endpoints = cluster.endpoints.iter().map(endpoint).collect::<Vec<_>>().join(", ");
        format!(
            r#"{{ "name": "{name}", "type": "STATIC", "connect_timeout": "5s"{keys}, "load_assignment": {{
              "cluster_name": "{name}", "endpoints": [{{ "lb_endpoints": [{endpoints}] }}] }} }}"#
        )
    };
    let clusters = routes.clusters.iter().map(cluster).collect::<Vec<_>>().join(", ");
    let admin = address("127.0.0.1", 0);
    format!(
        r#"{{ "admin": {{ "address": {admin} }}, "static_resources": {{
          "listeners": [{listeners}], "clusters": [{clusters}] }} }}"#
    )
}

fn behind(keys: &str) -> String {
    if keys.is_empty() { String::new() } else { format!(", {keys}") }
}

/// Ports in hosts are ignored, as ours are where no domain names one.
fn listener(name: &str, normalize: bool, merge: bool, hosts: &str) -> String {
    let filters = "type.googleapis.com/envoy.extensions.filters";
    let address = address("127.0.0.1", 0);
    format!(
        r#"{{ "name": "{name}", "address": {address}, "filter_chains": [{{ "filters": [{{
          "name": "http", "typed_config": {{
            "@type": "{filters}.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "{name}", "normalize_path": {normalize}, "merge_slashes": {merge},
            "http_filters": [{{ "name": "router", "typed_config": {{
              "@type": "{filters}.http.router.v3.Router", "suppress_envoy_headers": true }} }}],
            "route_config": {{ "ignore_port_in_host_matching": true, "virtual_hosts": [{hosts}] }} }} }}] }}] }}"#
    )
}

fn address(ip: &str, port: u16) -> String {
    format!(r#"{{ "socket_address": {{ "address": "{ip}", "port_value": {port} }} }}"#)
}
