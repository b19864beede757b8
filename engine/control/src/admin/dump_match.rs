//! Which requests a route takes, in the words of the configuration file.

use super::dump_matcher::{cidr, header, string};
use crate::json::Json;
use sidering_dataplane::config::{Conditions, PathMatch, RouteMatch, RpcMatch, Share};

pub(super) fn write(json: &mut Json, matcher: &RouteMatch) {
    match &matcher.path {
        PathMatch::Any => {}
        PathMatch::Exact(path) => json.key("path").text(path),
        PathMatch::Prefix(prefix) => json.key("prefix").text(prefix),
        PathMatch::Regex(pattern) => json.key("regex").text(pattern.source()),
        PathMatch::Template(template) => json.key("template").text(template.source()),
    }
    if matcher.connect {
        json.key("connect").boolean(true);
    }
    if let Some(asked) = &matcher.conditions {
        conditions(json, asked);
    }
}

fn conditions(json: &mut Json, asked: &Conditions) {
    if !asked.methods.is_empty() {
        json.key("methods").list(&asked.methods, |json, method| json.text(method));
    }
    if !asked.headers.is_empty() {
        json.key("headers").list(&asked.headers, |json, item| json.object(|json| header(json, item)));
    }
    if !asked.query.is_empty() {
        json.key("query").list(&asked.query, |json, item| {
            json.object(|json| {
                json.key("name").text(&item.name);
                match &item.value {
                    Some(value) => string(json, value),
                    None => json.key("present").boolean(true),
                }
            });
        });
    }
    if !asked.sources.is_empty() {
        json.key("source").list(&asked.sources, |json, block| json.text(&cidr(*block)));
    }
    if asked.grpc {
        json.key("grpc").boolean(true);
    }
    if let Some(Share(millionths)) = asked.runtime_fraction {
        json.key("runtime_fraction").object(|json| {
            json.key("numerator").number(u64::from(millionths));
            json.key("denominator").text("million");
        });
    }
    if let Some(rpc) = asked.rpc.as_deref() {
        let RpcMatch { service, method, version, group } = rpc;
        for (key, test) in [("service", service), ("method", method), ("version", version), ("group", group)]
        {
            if let Some(test) = test {
                json.key(key).object(|json| string(json, test));
            }
        }
    }
}
