//! What routes do with requests, in the words of the configuration file.

use super::dump::{cluster_name, retry};
use super::dump_bridge;
use crate::config::{show_bytes, show_ms, show_share};
use crate::json::Json;
use sidering_dataplane::config::{
    Cluster, FieldSource, Forward, HashPolicy, HashSource, Redirect, RedirectPath, RouteAction,
};
use sidering_dataplane::route::Substitution;
use std::sync::Arc;

pub(super) fn action(json: &mut Json, action: &RouteAction, clusters: &[Arc<Cluster>]) {
    match action {
        RouteAction::Forward(forward) => write_forward(json, forward, clusters),
        RouteAction::DirectResponse { status, body } => json.key("direct_response").object(|json| {
            json.key("status").number(u64::from(*status));
            if !body.is_empty() {
                json.key("body").text(&String::from_utf8_lossy(body));
            }
        }),
        RouteAction::Redirect(redirect) => json.key("redirect").object(|json| write_redirect(json, redirect)),
    }
}

fn write_forward(json: &mut Json, forward: &Forward, clusters: &[Arc<Cluster>]) {
    write_clusters(json, forward, clusters);
    if let Some(rewrite) = &forward.rewrite {
        json.key("rewrite").object(|json| {
            optional(json, "prefix", rewrite.prefix.as_deref());
            substitution(json, rewrite.regex.as_deref());
            optional(json, "host", rewrite.host.as_deref());
            optional(json, "host_header", rewrite.host_header.as_deref());
        });
    }
    json.key("timeout").text(&show_ms(forward.timeout_ms));
    if let Some(idle_timeout_ms) = forward.idle_timeout_ms {
        json.key("idle_timeout").text(&show_ms(idle_timeout_ms));
    }
    if forward.max_stream_duration_ms > 0 {
        json.key("max_stream_duration").text(&show_ms(forward.max_stream_duration_ms));
    }
    if let Some(bytes) = forward.buffer_bytes {
        json.key("buffer_bytes").text(&show_bytes(u64::from(bytes)));
    }
    if let Some(mirror) = &forward.mirror {
        json.key("mirror").object(|json| {
            json.key("cluster").text(cluster_name(clusters, mirror.cluster.0));
            json.key("percent").decimal(&show_share(mirror.share));
        });
    }
    if let Some(policy) = &forward.retry {
        json.key("retry").object(|json| retry(json, policy));
    }
    if let Some(rule) = &forward.bridge {
        json.key("bridge").object(|json| dump_bridge::write(json, rule));
    }
    if !forward.hash.is_empty() {
        json.key("hash").list(&forward.hash, |json, policy| json.object(|json| write_hash(json, policy)));
    }
    if !forward.subset.is_empty() {
        json.key("subset").object(|json| {
            for (name, value) in &forward.subset {
                json.key(name).text(value);
            }
        });
    }
}

fn write_clusters(json: &mut Json, forward: &Forward, clusters: &[Arc<Cluster>]) {
    if let Some(header) = &forward.cluster_header {
        json.key("cluster_header").text(source_name(&header.source));
        json.key("cluster_not_found_response_code").number(u64::from(header.not_found_status));
    } else if forward.weighted_clusters.is_empty() {
        json.key("cluster").text(cluster_name(clusters, forward.cluster.0));
    } else {
        json.key("weighted_clusters").list(&forward.weighted_clusters, |json, weighted| {
            json.object(|json| {
                json.key("name").text(cluster_name(clusters, weighted.cluster.0));
                json.key("weight").number(u64::from(weighted.weight));
            });
        });
    }
}

fn write_hash(json: &mut Json, policy: &HashPolicy) {
    match &policy.source {
        HashSource::Header(source) => json.key("header").text(source_name(source)),
        HashSource::Cookie(cookie) => json.key("cookie").object(|json| {
            json.key("name").text(&cookie.name);
            if let Some(seconds) = cookie.ttl_seconds {
                json.key("ttl").text(&show_ms(seconds * 1000));
            }
            optional(json, "path", Some(cookie.path.as_str()).filter(|path| !path.is_empty()));
        }),
        HashSource::Query(name) => json.key("query").text(name),
        HashSource::Source => json.key("source").boolean(true),
    }
    json.key("terminal").boolean(policy.terminal);
}

fn source_name(source: &FieldSource) -> &str {
    match source {
        FieldSource::Method => ":method",
        FieldSource::Path => ":path",
        FieldSource::Authority => ":authority",
        FieldSource::Field(name) => name,
    }
}

fn write_redirect(json: &mut Json, redirect: &Redirect) {
    optional(json, "scheme", redirect.scheme);
    optional(json, "host", redirect.host.as_deref());
    if let Some(port) = redirect.port {
        json.key("port").number(u64::from(port));
    }
    match &redirect.path {
        RedirectPath::Same => {}
        RedirectPath::Whole(path) => json.key("path").text(path),
        RedirectPath::Prefix(prefix) => json.key("prefix").text(prefix),
        RedirectPath::Regex(regex) => substitution(json, Some(regex)),
    }
    json.key("strip_query").boolean(redirect.strip_query);
    json.key("status").number(u64::from(redirect.status));
}

fn substitution(json: &mut Json, substitution: Option<&Substitution>) {
    if let Some(substitution) = substitution {
        json.key("regex").object(|json| {
            json.key("pattern").text(substitution.pattern());
            json.key("substitution").text(substitution.replacement());
        });
    }
}

pub(super) fn optional(json: &mut Json, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        json.key(key).text(value);
    }
}
