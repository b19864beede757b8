//! The configuration that each proxy gets for the same task.

use std::net::SocketAddr;
use std::path::Path;

use super::{brain, many};
use crate::call::Protocol;

/// What a proxy is to do: listen here, forward there.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) listen: SocketAddr,
    pub(crate) origin: SocketAddr,
    /// The same answers from another port.
    pub(crate) second_origin: SocketAddr,
    pub(crate) setup: Setup,
    /// Where ours is asked for its counters; the others have none.
    pub(crate) admin: Option<SocketAddr>,
    /// Downstream connections to hold at once.
    pub(crate) connections: u32,
}

/// What a proxy is set up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setup {
    /// Plain TCP to the origin.
    Stream,
    /// Calls of this protocol to an origin that echoes, nothing else.
    Calls(Protocol),
    /// HTTP/1 to the origin, nothing else.
    Plain,
    /// HTTP/1 with what a mesh asks for on every request; see [`super::brain`].
    Brain,
    /// As many clusters and routes; the route that is asked for is the first or the last of them. See [`super::many`].
    Many { count: u32, is_last: bool },
}

/// Connections to the origin that stay open for reuse: at least as many as any case has requests in flight.
pub(super) const UPSTREAM_KEPT: u32 = 128;

/// Two of ours run side by side, and the others have no admin address either.
pub(super) const ADMIN_OFF: &str = "admin: null\n";

pub(crate) fn ours(task: &Task) -> String {
    let Task { listen, origin, setup, .. } = task;
    match setup {
        Setup::Brain => return brain::ours(task),
        Setup::Many { count, is_last } => return many::ours(task, *count, *is_last),
        Setup::Calls(protocol) => return calls(task, *protocol),
        Setup::Stream => return relay(task),
        Setup::Plain => {}
    }
    let clusters = our_cluster(*origin);
    format!(
        r#"{ADMIN_OFF}listeners:
- name: web
  address: {listen}
  protocol: http1
  virtual_hosts:
  - domains: ["*"]
    routes:
    - match: {{ prefix: / }}
      cluster: origin
{clusters}"#
    )
}

/// Bytes to the origin, whatever they are.
pub(crate) fn relay(task: &Task) -> String {
    let Task { listen, origin, .. } = task;
    let (admin, clusters) = (our_admin(task), our_cluster(*origin));
    format!(
        "{admin}listeners:\n- name: stream\n  address: {listen}\n  protocol: tcp\n  cluster: origin\n{clusters}"
    )
}

/// Every call to the origin, whatever its service.
fn calls(task: &Task, protocol: Protocol) -> String {
    let Task { listen, origin, .. } = task;
    let (admin, clusters, protocol) = (our_admin(task), our_cluster(*origin), protocol.name());
    format!(
        r#"{admin}listeners:
- name: calls
  address: {listen}
  protocol: {protocol}
  virtual_hosts:
  - domains: ["*"]
    routes:
    - match: {{}}
      cluster: origin
{clusters}"#
    )
}

fn our_admin(task: &Task) -> String {
    task.admin
        .map_or_else(|| ADMIN_OFF.to_owned(), |address| format!("admin: {{ address: \"{address}\" }}\n"))
}

fn our_cluster(origin: SocketAddr) -> String {
    format!("clusters:\n- name: origin\n  endpoints: [\"{origin}\"]\n")
}

/// Debian's nginx.conf with one worker, no access log, upstream connections kept, and room for the connections.
/// Its limit of requests per connection is lifted on both sides, in nginx's favour.
pub(crate) fn nginx(task: &Task, folder: &Path) -> String {
    let Task { listen, origin, setup, connections, .. } = task;
    let folder = folder.display();
    // Debian's own number unless the case needs more: nginx allocates for all of them at the start.
    let worker_connections = if *connections > 300 { 16_384 } else { 768 };
    let common = format!(
        "daemon off;\nuser www-data;\nworker_processes 1;\npid {folder}/nginx.pid;\nerror_log {folder}/nginx-error.log;\n\
         include /etc/nginx/modules-enabled/*.conf;\nevents {{ worker_connections {worker_connections}; }}\n"
    );
    if *setup == Setup::Stream {
        return format!("{common}stream {{\n  server {{ listen {listen}; proxy_pass {origin}; }}\n}}\n");
    }
    let server = match setup {
        Setup::Brain => brain::nginx(task),
        Setup::Many { count, is_last } => many::nginx(task, *count, *is_last),
        // Nobody but ours takes part in cases of calls.
        Setup::Plain | Setup::Stream | Setup::Calls(_) => {
            let upstream = nginx_upstream("origin", "", &[*origin]);
            let location = nginx_location("/", "origin", "");
            format!("{upstream}  server {{\n    listen {listen} backlog=16384;\n{location}  }}\n")
        }
    };
    format!(
        r#"{common}http {{
  sendfile on;
  tcp_nopush on;
  types_hash_max_size 2048;
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  gzip on;
  access_log off;
  client_body_temp_path {folder}/nginx-body;
  proxy_temp_path {folder}/nginx-proxy;
  fastcgi_temp_path {folder}/nginx-fastcgi;
  uwsgi_temp_path {folder}/nginx-uwsgi;
  scgi_temp_path {folder}/nginx-scgi;
  keepalive_requests 100000000;
{server}}}
"#
    )
}

/// A group of origins with connections that are kept; `balancer` is a line such as `least_conn;`.
pub(super) fn nginx_upstream(name: &str, balancer: &str, origins: &[SocketAddr]) -> String {
    let servers: String = origins.iter().map(|origin| format!("    server {origin};\n")).collect();
    format!(
        "  upstream {name} {{\n{balancer}{servers}    keepalive {UPSTREAM_KEPT};\n    keepalive_requests 100000000;\n  }}\n"
    )
}

/// A location that is passed on; `more` are further lines.
pub(super) fn nginx_location(path: &str, upstream: &str, more: &str) -> String {
    format!(
        "    location {path} {{\n      proxy_pass http://{upstream};\n      proxy_http_version 1.1;\n      \
         proxy_set_header Connection \"\";\n{more}    }}\n"
    )
}

pub(crate) fn haproxy(task: &Task) -> String {
    let Task { listen, origin, setup, connections, .. } = task;
    let is_stream = *setup == Setup::Stream;
    let mode = if is_stream { "tcp" } else { "http" };
    let reuse = if is_stream { "" } else { "  http-reuse always\n" };
    // HAProxy gives up kept origin connections when descriptors, counted from maxconn, get scarce: leave it plenty.
    // The system's limit can be too low for two per connection, though idle ones take only one.
    let maxconn = (connections + 200).max(4096);
    format!(
        "global\n  nbthread 1\n  maxconn {maxconn}\n  no strict-limits\n\
         defaults\n  mode {mode}\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
         frontend front\n  bind {listen} backlog 16384\n  maxconn {maxconn}\n  default_backend origin\n\
         backend origin\n{reuse}  server origin {origin}\n"
    )
}

pub(crate) fn envoy(task: &Task) -> String {
    let Task { listen, origin, setup, .. } = task;
    match setup {
        Setup::Brain => return brain::envoy(task),
        Setup::Many { count, is_last } => return many::envoy(task, *count, *is_last),
        Setup::Plain | Setup::Stream | Setup::Calls(_) => {}
    }
    let filter = if *setup == Setup::Stream { ENVOY_STREAM } else { ENVOY_HTTP };
    format!(
        r#"static_resources:
  listeners:
  - name: front
    address: {listen_address}
    filter_chains:
    - filters:
{filter}  clusters:
  - name: origin
    type: STATIC
    connect_timeout: 5s
    load_assignment:
      cluster_name: origin
      endpoints:
      - lb_endpoints:
        - endpoint:
            address: {origin_address}
"#,
        listen_address = envoy_address(*listen),
        origin_address = envoy_address(*origin),
    )
}

const ENVOY_STREAM: &str = r#"      - name: envoy.filters.network.tcp_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: front
          cluster: origin
"#;

const ENVOY_HTTP: &str = r#"      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          codec_type: HTTP1
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: { prefix: / }
                route: { cluster: origin }
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
"#;

/// A listener of Envoy's, up to its routes.
pub(super) fn envoy_front(listen: SocketAddr) -> String {
    format!(
        r#"static_resources:
  listeners:
  - name: front
    address: {}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          codec_type: HTTP1
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
"#,
        envoy_address(listen)
    )
}

pub(super) fn envoy_address(address: SocketAddr) -> String {
    format!("{{ socket_address: {{ address: {}, port_value: {} }} }}", address.ip(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(setup: Setup, connections: u32) -> Task {
        let listen = SocketAddr::from(([127, 0, 0, 1], 4001));
        let origin = SocketAddr::from(([127, 0, 0, 1], 4002));
        let second_origin = SocketAddr::from(([127, 0, 0, 1], 4003));
        Task { listen, origin, second_origin, setup, admin: None, connections }
    }

    #[test]
    fn every_config_names_both_ports() {
        let many = Setup::Many { count: 3, is_last: true };
        for setup in [Setup::Plain, Setup::Stream, Setup::Brain, many] {
            let task = task(setup, 64);
            let texts = [ours(&task), nginx(&task, Path::new("/t")), haproxy(&task), envoy(&task)];
            for text in texts {
                assert!(text.contains("4001") && text.contains("4002"), "{text}");
            }
        }
    }

    #[test]
    fn ours_follows_the_native_configuration() {
        assert_eq!(
            ours(&task(Setup::Stream, 1)),
            "admin: null\nlisteners:\n- name: stream\n  address: 127.0.0.1:4001\n  protocol: tcp\n  cluster: origin\n\
             clusters:\n- name: origin\n  endpoints: [\"127.0.0.1:4002\"]\n"
        );
        assert!(ours(&task(Setup::Plain, 1)).contains("    - match: { prefix: / }\n      cluster: origin\n"));
    }

    #[test]
    fn limits_are_raised_where_a_case_needs_it() {
        assert!(nginx(&task(Setup::Plain, 64), Path::new("/t")).contains("worker_connections 768"));
        assert!(nginx(&task(Setup::Plain, 10_000), Path::new("/t")).contains("worker_connections 16384"));
        assert!(haproxy(&task(Setup::Plain, 64)).contains("maxconn 4096"));
        assert!(haproxy(&task(Setup::Plain, 10_000)).contains("maxconn 10200"));
    }
}
