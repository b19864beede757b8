//! Envoy as a process, to be asked what it would do: with a configuration of the test's own, or with one cluster behind one
//! listener. It picks its ports itself.

use super::peers::repository;
use super::process::Process;
use super::wait::until;
use super::wire::Wire;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Mutex;
use tempfile::TempDir;

/// A listener that has been found once stays where it is.
type Addresses = Mutex<HashMap<String, SocketAddr>>;

pub(crate) struct Envoy {
    _process: Process,
    _folder: TempDir,
    admin: SocketAddr,
    addresses: Addresses,
}

impl Envoy {
    /// Requests are hashed by their header `x-key`, and answers name the endpoint in `x-endpoint`. `lb` has the keys of the
    /// cluster that choose the balancer; endpoints are addresses with weights.
    pub(crate) fn hashing(lb: &str, endpoints: &[(SocketAddr, u32)]) -> Envoy {
        Envoy::start(&config(lb, endpoints))
    }

    /// Starts Envoy with this configuration, and waits until it listens.
    pub(crate) fn start(config: &str) -> Envoy {
        let program = repository().join("target/peers/envoy");
        assert!(program.is_file(), "there is no {}: run scripts/peers", program.display());
        let folder = TempDir::new().expect("a temporary folder");
        let (file, admin) = (folder.path().join("envoy.json"), folder.path().join("admin"));
        std::fs::write(&file, config).expect("the folder takes files");
        let mut command = Command::new(program);
        command.args(["--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warning"]);
        command.arg("-c").arg(&file).arg("--admin-address-path").arg(&admin);
        let mut process = Process::start(&mut command);
        let admin = until("Envoy to listen", || {
            assert_eq!(process.ended(), None, "Envoy ended: {:?}", process.lines());
            let admin = std::fs::read_to_string(&admin).ok()?.parse().ok()?;
            listens(admin).then_some(admin)
        });
        Envoy { _process: process, _folder: folder, admin, addresses: Mutex::default() }
    }

    /// The listener `web`.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address_of("web")
    }

    pub(crate) fn address_of(&self, listener: &str) -> SocketAddr {
        let mut addresses = self.addresses.lock().expect("no thread panics with it");
        let address = addresses.entry(listener.to_owned());
        *address.or_insert_with(|| {
            until("Envoy's listener", || {
                let begin = format!("{listener}::");
                page(self.admin, "/listeners")?
                    .lines()
                    .find_map(|line| line.strip_prefix(&begin)?.parse().ok())
            })
        })
    }
}

/// Workers have started: only then the listeners are open.
fn listens(admin: SocketAddr) -> bool {
    let ready = page(admin, "/ready").is_some_and(|page| page.starts_with("LIVE"));
    ready && page(admin, "/listeners").is_some_and(|page| page.lines().all(|line| !line.ends_with(":0")))
}

/// A page of Envoy's admin interface.
fn page(admin: SocketAddr, path: &str) -> Option<String> {
    let mut wire = Wire::connect(admin).ok()?;
    wire.get(path).ok()?;
    Some(wire.response().ok()?.text())
}

fn config(lb: &str, endpoints: &[(SocketAddr, u32)]) -> String {
    let address =
        |ip: &str, port| format!(r#"{{ "socket_address": {{ "address": "{ip}", "port_value": {port} }} }}"#);
    let endpoint = |(endpoint, weight): &(SocketAddr, u32)| {
        let address = address(&endpoint.ip().to_string(), endpoint.port());
        format!(r#"{{ "endpoint": {{ "address": {address} }}, "load_balancing_weight": {weight} }}"#)
    };
    let endpoints = endpoints.iter().map(endpoint).collect::<Vec<_>>().join(", ");
    let any = address("127.0.0.1", 0);
    let filters = "type.googleapis.com/envoy.extensions.filters";
    format!(
        r#"{{ "admin": {{ "address": {any} }}, "static_resources": {{
          "listeners": [{{ "name": "web", "address": {any}, "filter_chains": [{{ "filters": [{{
            "name": "http", "typed_config": {{
              "@type": "{filters}.network.http_connection_manager.v3.HttpConnectionManager",
              "stat_prefix": "web",
              "http_filters": [{{ "name": "router",
                "typed_config": {{ "@type": "{filters}.http.router.v3.Router" }} }}],
              "route_config": {{ "virtual_hosts": [{{ "name": "all", "domains": ["*"], "routes": [{{
                "match": {{ "prefix": "/" }},
                "route": {{ "cluster": "api", "hash_policy": [{{ "header": {{ "header_name": "x-key" }} }}] }},
                "response_headers_to_add": [{{
                  "header": {{ "key": "x-endpoint", "value": "%UPSTREAM_REMOTE_ADDRESS%" }} }}] }}] }}] }} }} }}] }}] }}],
          "clusters": [{{ "name": "api", "type": "STATIC", {lb}, "connect_timeout": "5s",
            "load_assignment": {{ "cluster_name": "api", "endpoints": [{{ "lb_endpoints": [{endpoints}] }}] }} }}] }} }}"#
    )
}
