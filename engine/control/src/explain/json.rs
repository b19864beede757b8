//! An explanation as JSON for machines.

use super::peer::{Exchange, Reached};
use super::tally::Share;
use super::{Explanation, Place};
use crate::config::show_address;
use crate::json::Json;

/// The members of an explanation, into an object that is open.
pub fn write(json: &mut Json, explanation: &Explanation) {
    json.key("listener").text(&explanation.listener);
    json.key("listener_reason").text(&explanation.listener_reason);
    optional(json, "virtual_host", explanation.virtual_host.as_deref());
    json.key("route_tables").list(&explanation.route_tables, |json, name| json.text(name));
    json.key("passed_on")
        .list(&explanation.passed_on, |json, place| json.object(|json| write_place(json, *place)));
    json.key("not_matched").list(&explanation.refused, |json, refused| {
        json.object(|json| {
            write_place(json, refused.place);
            json.key("reason").text(&refused.reason);
            json.key("request").text(&refused.had);
        });
    });
    match explanation.route {
        Some(place) => json.key("route").object(|json| write_place(json, place)),
        None => json.key("route").null(),
    }
    json.key("action").text(explanation.action);
    optional(json, "cluster", explanation.cluster.as_deref());
    json.key("cluster_reason").text(&explanation.cluster_reason);
    optional(json, "endpoint", explanation.endpoint.as_deref());
    json.key("endpoint_reason").text(&explanation.endpoint_reason);
    optional(json, "redirect", explanation.redirect.as_deref());
    json.key("status").number(u64::from(explanation.status));
    json.key("details").text(&explanation.details);
    json.key("flags").list(&explanation.flags, |json, flag| json.text(flag));
    json.key("delay_ms").number(explanation.delay_ms);
    json.key("requests")
        .list(&explanation.exchanges, |json, exchange| json.object(|json| asked(json, exchange)));
    json.key("response_headers").list(&explanation.answer, field);
    json.key("body").text(&explanation.body);
}

/// The shares of many requests, into an object that is open.
pub fn write_tally(json: &mut Json, shares: &[Share]) {
    json.key("shares").list(shares, |json, share| {
        json.object(|json| {
            json.key("requests").number(u64::from(share.requests));
            json.key("status").number(u64::from(share.status));
            optional(json, "cluster", share.cluster.as_deref());
            optional(json, "endpoint", share.endpoint.as_deref());
        });
    });
}

fn asked(json: &mut Json, exchange: &Exchange) {
    json.key("endpoint").text(&show_address(&exchange.address));
    match &exchange.outcome {
        Reached::Refused => json.key("connected").boolean(false),
        Reached::Bytes => json.key("connected").boolean(true),
        Reached::Asked(seen) => {
            json.key("connected").boolean(true);
            json.key("method").text(&seen.method);
            json.key("path").text(&seen.path);
            json.key("authority").text(&seen.authority);
            json.key("headers").list(&seen.headers, field);
            json.key("body_bytes").number(seen.body_bytes as u64);
            json.key("status").number(u64::from(seen.status));
        }
    }
}

fn field(json: &mut Json, (name, value): &(String, String)) {
    json.object(|json| {
        json.key("name").text(name);
        json.key("value").text(value);
    });
}

fn write_place(json: &mut Json, place: Place) {
    json.key("index").number(place.index as u64);
    json.key("line").number(u64::from(place.line));
}

fn optional(json: &mut Json, key: &str, value: Option<&str>) {
    match value {
        Some(value) => json.key(key).text(value),
        None => json.key(key).null(),
    }
}
