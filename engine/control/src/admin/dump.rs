//! The configuration in use, in the words of the configuration file: since JSON is YAML, it is one.

use super::dump_action::{action, optional};
use super::dump_discovery;
use super::dump_filters::{chain, overrides};
use super::dump_headers::rules;
use super::dump_health::health;
use super::{dump_balancing, dump_chain, dump_match};
use crate::config::{Settings, show_address, show_bytes, show_ms};
use crate::discovery::{Discovery, EndpointSearch};
use crate::json::Json;
use sidering_codecs::registry::{Protocol, protocol};
use sidering_codecs::rpc::PoolMode;
use sidering_dataplane::config::{
    CircuitBreaker, Cluster, Detection, Endpoint, EnvoyHeaders, HttpListener, Listener, ListenerKind,
    LoadBalancing, RetryPolicy, Route, Snapshot, Underscores, VirtualHost,
};
use sidering_dataplane::io::ConnectOptions;
use std::sync::Arc;

pub(super) fn write(json: &mut Json, settings: &Settings, snapshot: &Snapshot, search: &EndpointSearch) {
    json.key("workers").number(u64::from(settings.workers));
    json.key("engine").text(settings.engine.name());
    match &settings.admin {
        Some(address) => json.key("admin").object(|json| json.key("address").text(&show_address(address))),
        None => json.key("admin").null(),
    }
    dump_balancing::node(json, snapshot);
    json.key("drain_timeout").text(&show_ms(snapshot.drain_timeout_ms));
    if let Some(log) = &settings.access_log {
        json.key("access_log").object(|json| {
            json.key("path").text(&log.path.to_string_lossy());
            json.key("format").text(&log.format.source);
        });
    }
    json.key("rpc_metrics")
        .object(|json| json.key("max_methods").number(u64::from(settings.max_rpc_methods)));
    let workers = settings.workers;
    json.key("listeners").list(&snapshot.listeners, |json, item| {
        json.object(|json| listener(json, item, workers, &snapshot.clusters));
    });
    dump_chain::write_zones(json, snapshot);
    dump_chain::write_tables(json, snapshot, workers);
    if !snapshot.clusters.is_empty() {
        json.key("clusters").list(&snapshot.clusters, |json, item| {
            let discovery = search.search(&item.name).map(|(discovery, _)| discovery);
            json.object(|json| cluster(json, item, discovery));
        });
    }
}

fn listener(json: &mut Json, listener: &Listener, workers: u32, clusters: &[Arc<Cluster>]) {
    json.key("name").text(&listener.name);
    json.key("address").text(&show_address(&listener.address));
    let limits = &listener.limits;
    let http = match &listener.kind {
        ListenerKind::Tcp { .. } => None,
        ListenerKind::Http(http) => Some(http),
    };
    json.key("protocol").text(listener.protocol());
    json.key("limits").object(|json| {
        // Of the whole process, as configured, but for what rounding up to whole cores added.
        let max_connections = u64::from(limits.max_connections) * u64::from(workers);
        json.key("max_connections").number(max_connections.min(10_000_000));
        json.key("idle_timeout").text(&show_ms(limits.idle_timeout_ms));
        if let Some(http) = http {
            json.key("header_bytes").text(&show_bytes(u64::from(http.codec.header_bytes)));
            json.key("headers").number(u64::from(http.codec.headers));
            if is_rpc(http) {
                json.key("held_up_timeout").text(&show_ms(limits.held_up_timeout_ms));
            } else {
                json.key("uri_bytes").text(&show_bytes(u64::from(http.codec.uri_bytes)));
            }
            json.key("request_headers_timeout").text(&show_ms(limits.request_headers_timeout_ms));
            json.key("request_timeout").text(&show_ms(limits.request_timeout_ms));
            json.key("stream_idle_timeout").text(&show_ms(limits.stream_idle_timeout_ms));
        }
    });
    match &listener.kind {
        ListenerKind::Tcp { cluster } => json.key("cluster").text(cluster_name(clusters, cluster.0)),
        ListenerKind::Http(http) => {
            if let Some(detection) = &http.detection {
                write_detection(json, detection, clusters);
            }
            write_http(json, http, workers, clusters);
        }
    }
}

fn write_detection(json: &mut Json, detection: &Detection, clusters: &[Arc<Cluster>]) {
    if let Some(fallback) = detection.fallback {
        json.key("cluster").text(cluster_name(clusters, fallback.0));
    }
    json.key("detection").object(|json| {
        json.key("protocols").list(&detection.protocols, |json, protocol| json.text(protocol));
        json.key("timeout").text(&show_ms(detection.timeout_ms));
    });
}

fn is_rpc(http: &HttpListener) -> bool {
    protocol(http.protocol).is_some_and(|protocol| protocol.is_rpc)
}

fn write_http(json: &mut Json, http: &HttpListener, workers: u32, clusters: &[Arc<Cluster>]) {
    if !is_rpc(http) {
        write_options(json, http);
    }
    if protocol(http.protocol).is_some_and(Protocol::has_optional_go_away) {
        json.key("go_away").boolean(http.codec.go_away);
    }
    chain(json, &http.filters, workers);
    rules(json, http.headers.as_deref());
    if dump_chain::is_chain(&http.routes) {
        dump_chain::write(json, &http.routes);
    } else {
        virtual_hosts(json, http.routes.virtual_hosts(), workers, clusters);
    }
}

/// What calls have not.
fn write_options(json: &mut Json, http: &HttpListener) {
    let options = &http.options;
    json.key("use_remote_address").boolean(options.use_remote_address);
    json.key("generate_request_id").boolean(options.generate_request_id);
    if let Some(via) = &options.via {
        json.key("via").text(via);
    }
    json.key("upgrades").list(&options.upgrades, |json, upgrade| json.text(upgrade));
    json.key("underscores").text(match options.underscores {
        Underscores::Allow => "allow",
        Underscores::Reject => "reject",
        Underscores::Drop => "drop",
    });
    json.key("normalize_path").boolean(options.normalize_path);
    json.key("merge_slashes").boolean(options.merge_slashes);
    json.key("envoy_headers").text(match options.envoy_headers {
        EnvoyHeaders::Ignore => "ignore",
        EnvoyHeaders::Obey => "obey",
        EnvoyHeaders::Strip => "strip",
    });
    json.key("lenient_line_ends").boolean(http.codec.lenient_line_ends);
}

pub(super) fn virtual_hosts(json: &mut Json, hosts: &[VirtualHost], workers: u32, clusters: &[Arc<Cluster>]) {
    json.key("virtual_hosts").list(hosts, |json, host| {
        json.object(|json| {
            json.key("domains").list(&host.domains, |json, domain| json.text(domain));
            overrides(json, &host.filters, workers);
            rules(json, host.headers.as_deref());
            json.key("routes")
                .list(&host.routes, |json, item| json.object(|json| route(json, item, workers, clusters)));
        });
    });
}

fn route(json: &mut Json, route: &Route, workers: u32, clusters: &[Arc<Cluster>]) {
    json.key("match").object(|json| dump_match::write(json, &route.matcher));
    overrides(json, &route.filters, workers);
    rules(json, route.headers.as_deref());
    action(json, &route.action, clusters);
}

pub(super) fn retry(json: &mut Json, policy: &RetryPolicy) {
    let on: Vec<&str> = policy.on.names().collect();
    json.key("on").list(&on, |json, name| json.text(name));
    json.key("attempts").number(u64::from(policy.attempts));
    json.key("per_try_timeout").text(&show_ms(policy.per_try_timeout_ms));
    json.key("hedge_on_per_try_timeout").boolean(policy.hedge_on_per_try_timeout);
    json.key("back_off").object(|json| {
        json.key("base").text(&show_ms(policy.back_off.base_ms));
        json.key("max").text(&show_ms(policy.back_off.max_ms));
    });
    if !policy.status_codes.is_empty() {
        json.key("status_codes").list(&policy.status_codes, |json, code| json.number(u64::from(*code)));
    }
    if !policy.headers.is_empty() {
        json.key("headers").list(&policy.headers, |json, name| json.text(name));
    }
}

fn circuit_breaker(json: &mut Json, breaker: &CircuitBreaker) {
    if breaker.max_requests != u32::MAX {
        json.key("max_requests").number(u64::from(breaker.max_requests));
    }
    match breaker.retry_budget {
        None => json.key("max_retries").number(u64::from(breaker.max_retries)),
        Some(budget) => json.key("retry_budget").object(|json| {
            json.key("percent").number(u64::from(budget.percent));
            json.key("min_concurrency").number(u64::from(budget.min_concurrency));
        }),
    }
}

fn cluster(json: &mut Json, cluster: &Cluster, discovery: Option<&Discovery>) {
    json.key("name").text(&cluster.name);
    json.key("protocol").text(cluster.protocol);
    match discovery {
        Some(discovery) => dump_discovery::write(json, discovery),
        None => json.key("endpoints").list(&*cluster.endpoints, |json, item| {
            json.object(|json| endpoint(json, &show_address(&item.address), item));
        }),
    }
    json.key("lb").text(lb_name(cluster));
    dump_balancing::write(json, cluster);
    json.key("connect_timeout").text(&show_ms(cluster.connect_timeout_ms));
    json.key("circuit_breaker").object(|json| circuit_breaker(json, &cluster.circuit_breaker));
    write_keepalive(json, &cluster.connect_options);
    json.key("pool").object(|json| {
        json.key("max_connections").number(u64::from(cluster.pool.max_connections));
        json.key("max_pending").number(u64::from(cluster.pool.max_pending));
        json.key("idle_timeout").text(&show_ms(cluster.pool.idle_timeout_ms));
        let spoken = protocol(cluster.protocol);
        if spoken.is_some_and(|spoken| spoken.pool == PoolMode::Multiplex) {
            let shared = &cluster.shared;
            json.key("max_calls_per_connection").number(u64::from(shared.max_calls_per_connection));
            json.key("max_connections_per_endpoint").number(u64::from(shared.max_connections_per_endpoint));
        }
        if spoken.is_some_and(|spoken| !spoken.is_rpc) {
            json.key("share_idle_connections").boolean(cluster.pool.shares_idle);
        }
    });
    health(json, cluster);
}

fn write_keepalive(json: &mut Json, options: &ConnectOptions) {
    let Some(keepalive) = &options.keepalive else { return };
    json.key("upstream_keepalive").object(|json| {
        json.key("idle").text(&show_ms(u64::from(keepalive.idle_seconds) * 1000));
        json.key("interval").text(&show_ms(u64::from(keepalive.interval_seconds) * 1000));
        json.key("probes").number(u64::from(keepalive.probes));
        json.key("user_timeout").text(&show_ms(u64::from(options.user_timeout_ms)));
    });
}

/// One endpoint, with its address as the configuration writes it.
pub(super) fn endpoint(json: &mut Json, address: &str, endpoint: &Endpoint) {
    json.key("address").text(address);
    json.key("weight").number(u64::from(endpoint.weight));
    json.key("priority").number(u64::from(endpoint.priority));
    optional(json, "zone", endpoint.zone.as_deref());
    dump_balancing::metadata(json, "metadata", &endpoint.metadata);
}

pub(super) fn cluster_name(clusters: &[Arc<Cluster>], index: u32) -> &str {
    clusters.get(index as usize).map_or("", |cluster| &cluster.name)
}

/// The load balancer's name in the configuration.
pub(crate) fn lb_name(cluster: &Cluster) -> &'static str {
    match cluster.lb {
        LoadBalancing::RoundRobin => "round_robin",
        LoadBalancing::LeastRequest => "least_request",
        LoadBalancing::Random => "random",
        LoadBalancing::PeakEwma => "peak_ewma",
        LoadBalancing::RingHash(_) => "ring_hash",
        LoadBalancing::Maglev => "maglev",
    }
}
