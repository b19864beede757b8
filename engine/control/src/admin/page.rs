//! Pages that only show.

use super::{Query, dump};
use crate::config::show_address;
use crate::control::Control;
use crate::garbage;
use crate::http_server::Answer;
use crate::json::Json;
use crate::lifecycle::Phase;
use crate::stats::{self, Counted};
use sidering_dataplane::config::HealthFlags;
use sidering_dataplane::observe::counters::{Counter, EndpointCounters};
use std::fmt::Write;

/// A page as long as this leaves enough memory behind to be worth giving back at once.
const LARGE_BYTES: usize = 1 << 20;

pub(super) fn ready(control: &Control, _: &Query<'_>) -> Answer {
    let phase = control.life.phase();
    let status = if phase == Phase::Live { 200 } else { 503 };
    Answer::text(status, format!("{}\n", phase.name()))
}

pub(super) fn live(_: &Control, _: &Query<'_>) -> Answer {
    Answer::text(200, "LIVE\n".to_owned())
}

pub(super) fn stats(control: &Control, query: &Query<'_>) -> Answer {
    if query.get("format") == Some("prometheus") {
        return prometheus(control, query);
    }
    let filter = query.get("filter").unwrap_or("");
    let used_only = query.get("usedonly").is_some();
    Answer::text(200, stats::plain(&counted(control), &control.facts(), filter, used_only))
}

fn counted(control: &Control) -> Counted<'_> {
    let setup = &control.setup;
    Counted { ledger: &setup.ledger, snapshot: &control.snapshot, search: &control.search }
}

pub(super) fn prometheus(control: &Control, _: &Query<'_>) -> Answer {
    let body = stats::prometheus(&counted(control), &control.facts());
    if body.len() >= LARGE_BYTES {
        garbage::give_back_soon();
    }
    Answer { content_type: "text/plain; version=0.0.4; charset=utf-8", ..Answer::text(200, body) }
}

pub(super) fn listeners(control: &Control, query: &Query<'_>) -> Answer {
    let listeners = &control.snapshot.listeners;
    if query.get("format") == Some("json") {
        return Answer::json(Json::document(|json| {
            json.key("listener_statuses").list(listeners, |json, listener| {
                json.object(|json| {
                    json.key("name").text(&listener.name);
                    json.key("local_address").text(&show_address(&listener.address));
                    json.key("protocol").text(listener.protocol());
                });
            });
        }));
    }
    let lines =
        listeners.iter().map(|listener| format!("{}::{}\n", listener.name, show_address(&listener.address)));
    Answer::text(200, lines.collect())
}

/// Envoy's lines: `cluster::endpoint::what::value`.
pub(super) fn clusters(control: &Control, _: &Query<'_>) -> Answer {
    let mut text = String::new();
    for cluster in &control.snapshot.clusters {
        let name = &cluster.name;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name}::default_priority::max_connections::{}", cluster.pool.max_connections);
        let _ =
            writeln!(text, "{name}::default_priority::max_pending_requests::{}", cluster.pool.max_pending);
        let breaker = &cluster.circuit_breaker;
        if breaker.max_requests != u32::MAX {
            let _ = writeln!(text, "{name}::default_priority::max_requests::{}", breaker.max_requests);
        }
        let _ = writeln!(text, "{name}::default_priority::max_retries::{}", breaker.max_retries);
        for endpoint in control.search.of(name).into_iter().flat_map(|endpoints| endpoints.iter()) {
            let (address, identity) = (show_address(&endpoint.address), endpoint.identity());
            let sum = |counter: fn(&EndpointCounters) -> &Counter| {
                let counters = control.setup.ledger.endpoint(name, &identity);
                counters.map(|counters| counter(counters).get()).fold(0, u64::wrapping_add)
            };
            for (what, value) in [
                ("cx_active", sum(|counters| &counters.connections_active)),
                ("cx_connect_fail", sum(|counters| &counters.connect_failures)),
                ("cx_total", sum(|counters| &counters.connections_total)),
                ("rq_active", sum(|counters| &counters.requests_active)),
                ("rq_error", sum(|counters| &counters.requests_error)),
                ("rq_total", sum(|counters| &counters.requests_total)),
                ("weight", u64::from(endpoint.weight)),
            ] {
                let _ = writeln!(text, "{name}::{address}::{what}::{value}");
            }
            let hostname = endpoint.hostname.as_deref().unwrap_or("");
            let _ = writeln!(text, "{name}::{address}::hostname::{hostname}");
            let flags = show_flags(control.health_flags(name, endpoint));
            let _ = writeln!(text, "{name}::{address}::health_flags::{flags}");
        }
    }
    Answer::text(200, text)
}

/// As Envoy writes them.
fn show_flags(flags: HealthFlags) -> String {
    let set: String = flags.names().map(|name| format!("/{name}")).collect();
    if set.is_empty() { "healthy".to_owned() } else { set }
}

pub(super) fn config_dump(control: &Control, _: &Query<'_>) -> Answer {
    Answer::json(Json::document(|json| {
        json.key("version").number(control.snapshot.version);
        json.key("configuration")
            .object(|json| dump::write(json, &control.settings, &control.snapshot, &control.search));
    }))
}

pub(super) fn server_info(control: &Control, _: &Query<'_>) -> Answer {
    let facts = control.facts();
    let engine = &control.setup.engine;
    Answer::json(Json::document(|json| {
        json.key("version").text(facts.version);
        json.key("state").text(control.life.phase().name());
        json.key("uptime_current_epoch").text(&format!("{}s", facts.uptime_seconds));
        json.key("uptime_all_epochs").text(&format!("{}s", facts.uptime_seconds));
        json.key("engine").text(engine.name);
        json.key("engine_reason").text(&engine.reason);
        json.key("engine_details").text(&engine.details);
        json.key("workers").number(facts.workers);
        json.key("pid").number(u64::from(std::process::id()));
        json.key("config_version").number(facts.config_version);
        json.key("command_line").list(&control.setup.command_line, |json, word| json.text(word));
    }))
}
