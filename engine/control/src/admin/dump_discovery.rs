//! Where endpoints are found, in the words of the configuration file.

use super::dump::endpoint;
use crate::config::show_ms;
use crate::discovery::resolver::LookupFamily;
use crate::discovery::{Discovery, DnsSource, EndpointSource};
use crate::json::Json;
use std::net::IpAddr;

pub(super) fn write(json: &mut Json, discovery: &Discovery) {
    match &discovery.source {
        EndpointSource::Dns(source) => dns(json, source),
        EndpointSource::File(path) => json.key("endpoints_file").text(&path.to_string_lossy()),
    }
}

fn dns(json: &mut Json, source: &DnsSource) {
    json.key("discovery").text(if source.is_logical { "logical_dns" } else { "strict_dns" });
    json.key("endpoints").list(&source.targets, |json, target| {
        let is_v6 = matches!(target.host.parse(), Ok(IpAddr::V6(_)));
        let host = if is_v6 { format!("[{}]", target.host) } else { target.host.clone() };
        json.object(|json| endpoint(json, &format!("{host}:{}", target.port), &target.template));
    });
    let family = LookupFamily::NAMED.iter().find(|(_, family)| *family == source.family);
    json.key("dns_lookup_family").text(family.map_or("", |(name, _)| name));
    let refresh = &source.refresh;
    json.key("dns_refresh_rate").text(&show_ms(refresh.refresh_ms));
    json.key("dns_min_refresh_rate").text(&show_ms(refresh.min_refresh_ms));
    if let Some(failure) = &refresh.failure {
        json.key("dns_failure_refresh_rate").object(|json| {
            json.key("base_interval").text(&show_ms(failure.base_ms));
            json.key("max_interval").text(&show_ms(failure.max_ms));
        });
    }
    json.key("dns_jitter").text(&show_ms(refresh.jitter_ms));
    json.key("respect_dns_ttl").boolean(refresh.respect_ttl);
    if !source.servers.is_empty() {
        json.key("dns_resolvers").list(&source.servers, |json, server| json.text(&server.to_string()));
    }
}
