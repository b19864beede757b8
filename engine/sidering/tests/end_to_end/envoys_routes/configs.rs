//! Reads routes.txt, and writes what both proxies are started with.

use super::CLUSTERS;
use crate::support::{Config, Origin};

/// A virtual host in both languages.
pub(super) struct Host {
    domains: Vec<String>,
    ours: Vec<String>,
    envoys: Vec<String>,
    /// Further keys.
    own_keys: String,
    envoys_keys: String,
}

/// Listeners, and what they do with paths: normalise, merge slashes.
const LISTENERS: [(&str, bool, bool); 3] =
    [("web", true, false), ("merge", true, true), ("raw", false, false)];

pub(super) fn read(text: &str) -> Vec<Host> {
    let mut hosts: Vec<Host> = vec![];
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        let host = hosts.last_mut();
        match (kind, host) {
            ("host", _) => {
                let domains = rest.split(' ').map(str::to_owned).collect();
                let (own_keys, envoys_keys) = Default::default();
                hosts.push(Host { domains, ours: vec![], envoys: vec![], own_keys, envoys_keys });
            }
            ("<", Some(host)) => host.ours.push(rest.to_owned()),
            ("<<", Some(host)) => host.own_keys = format!(", {rest}"),
            (">>", Some(host)) => host.envoys_keys = format!(", {rest}"),
            (">", Some(host)) => host.envoys.push(rest.to_owned()),
            _ => panic!("neither host nor route: {line}"),
        }
    }
    for host in &hosts {
        assert_eq!(host.ours.len(), host.envoys.len(), "{:?}: each route in both languages", host.domains);
    }
    hosts
}

pub(super) fn ours(hosts: &[Host], origins: &[Origin]) -> Config {
    let hosts: Vec<String> = hosts
        .iter()
        .map(|host| {
            format!("{{ domains: {:?}, routes: [{}]{} }}", host.domains, host.ours.join(", "), host.own_keys)
        })
        .collect();
    let mut config = Config::new();
    for (name, normalize, merge) in LISTENERS {
        let keys = format!("normalize_path: {normalize}, merge_slashes: {merge}");
        config = config.http_hosts(name, &keys, &hosts.join(", "));
    }
    for (name, origin) in CLUSTERS.iter().zip(origins) {
        config = config.cluster(name, origin, "");
    }
    config
}

pub(super) fn envoys(hosts: &[Host], origins: &[Origin]) -> String {
    let host = |(number, host): (usize, &Host)| {
        let (domains, routes, keys) = (&host.domains, host.envoys.join(", "), &host.envoys_keys);
        format!(r#"{{ "name": "host-{number}", "domains": {domains:?}, "routes": [{routes}]{keys} }}"#)
    };
    let hosts = hosts.iter().enumerate().map(host).collect::<Vec<_>>().join(", ");
    let listeners =
        LISTENERS.map(|(name, normalize, merge)| listener(name, normalize, merge, &hosts)).join(", ");
    let cluster = |(name, origin): (&&str, &Origin)| {
        let address = address("127.0.0.1", origin.address().port());
        format!(
            r#"{{ "name": "{name}", "type": "STATIC", "connect_timeout": "5s", "load_assignment": {{
              "cluster_name": "{name}", "endpoints": [{{ "lb_endpoints": [{{
                "endpoint": {{ "address": {address} }} }}] }}] }} }}"#
        )
    };
    let clusters = CLUSTERS.iter().zip(origins).map(cluster).collect::<Vec<_>>().join(", ");
    let admin = address("127.0.0.1", 0);
    format!(
        r#"{{ "admin": {{ "address": {admin} }}, "static_resources": {{
          "listeners": [{listeners}], "clusters": [{clusters}] }} }}"#
    )
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
