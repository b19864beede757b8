//! Envoy with one cluster behind one listener, to be asked which endpoint it would take. It picks its ports itself.

use super::peers::repository;
use super::process::Process;
use super::wait::until;
use super::wire::Wire;
use std::net::SocketAddr;
use std::process::Command;
use tempfile::TempDir;

pub(crate) struct Envoy {
    _process: Process,
    _folder: TempDir,
    address: SocketAddr,
}

impl Envoy {
    /// Starts Envoy. Requests are hashed by their header `x-key`, and answers name the endpoint in `x-endpoint`. `lb` has
    /// the keys of the cluster that choose the balancer; endpoints are addresses with weights.
    pub(crate) fn hashing(lb: &str, endpoints: &[(SocketAddr, u32)]) -> Envoy {
        let program = repository().join("target/peers/envoy");
        assert!(program.is_file(), "there is no {}: run scripts/peers", program.display());
        let folder = TempDir::new().expect("a temporary folder");
        let (file, admin) = (folder.path().join("envoy.json"), folder.path().join("admin"));
        std::fs::write(&file, config(lb, endpoints)).expect("the folder takes files");
        let mut command = Command::new(program);
        command.args(["--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warning"]);
        command.arg("-c").arg(&file).arg("--admin-address-path").arg(&admin);
        let mut process = Process::start(&mut command);
        let address = until("Envoy to listen", || {
            assert_eq!(process.ended(), None, "Envoy ended: {:?}", process.lines());
            let admin = std::fs::read_to_string(&admin).ok()?.parse().ok()?;
            listener_address(admin)
        });
        Envoy { _process: process, _folder: folder, address }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// `web::127.0.0.1:41234` on Envoy's page, once it listens.
fn listener_address(admin: SocketAddr) -> Option<SocketAddr> {
    let mut wire = Wire::connect(admin).ok()?;
    wire.get("/listeners").ok()?;
    let page = wire.response().ok()?.text();
    let line = page.lines().find_map(|line| line.strip_prefix("web::"))?;
    line.parse().ok().filter(|address: &SocketAddr| address.port() != 0)
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
