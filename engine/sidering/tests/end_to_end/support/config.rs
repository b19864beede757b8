//! Writes configurations. Every port is 0, so that no two tests are in each other's way.

use std::fmt::Display;
use std::path::Path;

/// A configuration under construction; texts are YAML in flow style.
#[derive(Clone)]
pub(crate) struct Config {
    settings: Vec<String>,
    listeners: Vec<(String, String)>,
    clusters: Vec<String>,
}

impl Config {
    /// One worker on the engine that the suite is about, an admin address, an access log in the proxy's folder.
    pub(crate) fn new() -> Self {
        let settings = vec!["workers: 1".to_owned(), format!("engine: {}", crate::ENGINE)];
        Config { settings, listeners: vec![], clusters: vec![] }
    }

    /// One HTTP listener `web` that sends everything to `address`.
    pub(crate) fn http_to(address: impl Display) -> Self {
        Config::new().http("web", "", "{ match: {}, cluster: api }").cluster("api", address, "")
    }

    /// One TCP listener `raw` in front of `address`.
    pub(crate) fn tcp_to(address: impl Display) -> Self {
        Config::new().tcp("raw", "").cluster("api", address, "")
    }

    /// A line of the top level; one with the same key is replaced.
    pub(crate) fn set(mut self, line: &str) -> Self {
        let key = |line: &str| line.split(':').next().map(str::to_owned);
        self.settings.retain(|known| key(known) != key(line));
        self.settings.push(line.to_owned());
        self
    }

    /// An HTTP listener with further keys and the routes of its only virtual host.
    pub(crate) fn http(self, name: &str, keys: &str, routes: &str) -> Self {
        self.http_hosts(name, keys, &format!("{{ domains: [\"*\"], routes: [{routes}] }}"))
    }

    /// An HTTP listener with further keys and its virtual hosts.
    pub(crate) fn http_hosts(self, name: &str, keys: &str, hosts: &str) -> Self {
        self.listener(name, "http", &join(keys, &format!("virtual_hosts: [{hosts}]")))
    }

    /// An HTTP listener and its chain of route tables.
    pub(crate) fn http_chain(self, name: &str, chain: &str) -> Self {
        self.listener(name, "http", &format!("route_chain: [{chain}]"))
    }

    /// A listener for calls and its chain of route tables.
    pub(crate) fn rpc_chain(self, name: &str, protocol: &str, chain: &str) -> Self {
        self.listener(name, protocol, &format!("route_chain: [{chain}]"))
    }

    /// A listener for calls with further keys and the routes of its only virtual host.
    pub(crate) fn rpc(self, name: &str, protocol: &str, keys: &str, routes: &str) -> Self {
        self.rpc_hosts(name, protocol, keys, &format!("{{ domains: [\"*\"], routes: [{routes}] }}"))
    }

    /// A listener for calls with further keys and its virtual hosts.
    pub(crate) fn rpc_hosts(self, name: &str, protocol: &str, keys: &str, hosts: &str) -> Self {
        self.listener(name, protocol, &join(keys, &format!("virtual_hosts: [{hosts}]")))
    }

    /// A TCP listener with further keys, in front of the cluster `api`.
    pub(crate) fn tcp(self, name: &str, keys: &str) -> Self {
        self.listener(name, "tcp", &join(keys, "cluster: api"))
    }

    fn listener(mut self, name: &str, protocol: &str, keys: &str) -> Self {
        let text = format!("{{ name: {name}, address: \"127.0.0.1:0\", protocol: {protocol}, {keys} }}");
        self.listeners.push((name.to_owned(), text));
        self
    }

    /// Puts all listeners on another address.
    pub(crate) fn listen_on(mut self, address: &str) -> Self {
        for (_, text) in &mut self.listeners {
            *text = text.replace("127.0.0.1:0", address);
        }
        self
    }

    /// A cluster with one endpoint and further keys.
    pub(crate) fn cluster(mut self, name: &str, address: impl Display, keys: &str) -> Self {
        self.clusters
            .push(format!("{{ {} }}", join(&format!("name: {name}, endpoints: [\"{address}\"]"), keys)));
        self
    }

    /// A cluster with several endpoints, each an address or a mapping, and further keys.
    pub(crate) fn cluster_of(mut self, name: &str, endpoints: &[String], keys: &str) -> Self {
        let endpoints = format!("name: {name}, endpoints: [{}]", endpoints.join(", "));
        self.clusters.push(format!("{{ {} }}", join(&endpoints, keys)));
        self
    }

    /// A cluster with nothing but these keys.
    pub(crate) fn cluster_with(mut self, keys: &str) -> Self {
        self.clusters.push(format!("{{ {keys} }}"));
        self
    }

    /// The names of the listeners.
    pub(crate) fn listeners(&self) -> impl Iterator<Item = &str> {
        self.listeners.iter().map(|(name, _)| name.as_str())
    }

    /// The file's text; `folder` takes the access log.
    pub(crate) fn text(&self, folder: &Path) -> String {
        let mut text = format!(
            "admin: {{ address: \"127.0.0.1:0\" }}\naccess_log: {{ path: {}, format: json }}\n",
            folder.join("access.log").display()
        );
        for line in &self.settings {
            text += &format!("{line}\n");
        }
        text += "listeners:\n";
        for (_, listener) in &self.listeners {
            text += &format!("- {listener}\n");
        }
        if !self.clusters.is_empty() {
            text += "clusters:\n";
        }
        for cluster in &self.clusters {
            text += &format!("- {cluster}\n");
        }
        text
    }
}

fn join(first: &str, second: &str) -> String {
    [first, second].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ")
}
