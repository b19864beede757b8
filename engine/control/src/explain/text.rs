//! An explanation as text for people.

use super::peer::{Exchange, Reached};
use super::question::Question;
use super::tally::Share;
use super::{Explanation, Place};
use crate::config::show_address;
use std::fmt::Write;

/// So many routes that did not match are shown, unless all are asked for: the last ones, next to the one that did.
const SHOWN_ROUTES: usize = 20;
const BODY_CHARACTERS: usize = 200;

/// The whole way, from the listener to the answer.
#[must_use]
pub fn write(explanation: &Explanation, question: &Question, all: bool) -> String {
    let mut text = Text::default();
    text.line("request", &question.words);
    let listener = format!("{} ({})", explanation.listener, explanation.listener_address);
    text.line("listener", &with(&listener, &explanation.listener_reason));
    if !question.method.is_empty() {
        write_route(&mut text, explanation, all);
    }
    text.line("action", explanation.action);
    if let Some(cluster) = &explanation.cluster {
        text.line("cluster", &with(cluster, &explanation.cluster_reason));
        let endpoint = explanation.endpoint.as_deref().unwrap_or("none");
        text.line("endpoint", &with(endpoint, &explanation.endpoint_reason));
    }
    for exchange in &explanation.exchanges {
        write_exchange(&mut text, exchange);
    }
    write_answer(&mut text, explanation);
    text.out
}

/// How many went where.
#[must_use]
pub fn write_tally(shares: &[Share], question: &Question) -> String {
    let total: u32 = shares.iter().map(|share| share.requests).sum();
    let mut out = format!("{total} times {}\n", question.words);
    for share in shares {
        let percent = f64::from(share.requests) * 100.0 / f64::from(total.max(1));
        let (cluster, endpoint) = (share.cluster.as_deref(), share.endpoint.as_deref());
        let _ = writeln!(
            out,
            "{:>9} {percent:>6.2} %  status {}  cluster {}  endpoint {}",
            share.requests,
            share.status,
            cluster.unwrap_or("none"),
            endpoint.unwrap_or("none")
        );
    }
    out
}

#[derive(Default)]
struct Text {
    out: String,
}

impl Text {
    fn line(&mut self, name: &str, value: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.out, "{:<14}{value}", format!("{name}:"));
    }

    fn more(&mut self, value: &str) {
        let _ = writeln!(self.out, "{:<14}{value}", "");
    }
}

fn write_route(text: &mut Text, explanation: &Explanation, all: bool) {
    if !explanation.route_tables.is_empty() {
        text.line("route tables", &explanation.route_tables.join(", "));
    }
    text.line(
        "virtual host",
        explanation.virtual_host.as_deref().unwrap_or("none: no domain takes the host"),
    );
    let hidden = if all { 0 } else { explanation.refused.len().saturating_sub(SHOWN_ROUTES) };
    if hidden > 0 {
        text.line("not matched", &format!("{hidden} routes before these (--all shows them)"));
    }
    for (number, refused) in explanation.refused.iter().skip(hidden).enumerate() {
        let line = format!("route {}: {}; {}", place(refused.place), refused.reason, refused.had);
        if number == 0 && hidden == 0 { text.line("not matched", &line) } else { text.more(&line) }
    }
    for passed_on in &explanation.passed_on {
        text.line(
            "passed on",
            &format!("route {}: no cluster of it has a healthy endpoint", place(*passed_on)),
        );
    }
    let route = explanation.route.map_or_else(|| "none".to_owned(), place);
    text.line("route", &route);
}

fn write_exchange(text: &mut Text, exchange: &Exchange) {
    let address = show_address(&exchange.address);
    match &exchange.outcome {
        Reached::Refused => text.line("asked", &format!("{address}, which refuses the connection")),
        Reached::Bytes => text.line("connected", &format!("{address}, which gets the client's bytes")),
        Reached::Asked(seen) => {
            text.line("asked", &format!("{address}, which answers {} (--answer STATUS)", seen.status));
            let target = if seen.path.is_empty() { &seen.authority } else { &seen.path };
            text.more(&format!("  {} {target}", seen.method));
            for (name, value) in &seen.headers {
                text.more(&format!("  {name}: {value}"));
            }
        }
    }
}

fn write_answer(text: &mut Text, explanation: &Explanation) {
    let mut reason = explanation.details.clone();
    if !explanation.flags.is_empty() {
        reason = format!("{reason}, flags {}", explanation.flags.join(","));
    }
    if explanation.delay_ms > 0 {
        reason = format!("{reason}, after {} ms", explanation.delay_ms);
    }
    if explanation.status != 0 {
        text.line("status", &with(&explanation.status.to_string(), &reason));
    }
    for (name, value) in &explanation.answer {
        text.more(&format!("  {name}: {value}"));
    }
    if !explanation.body.is_empty() {
        let shown: String = explanation.body.chars().take(BODY_CHARACTERS).collect();
        text.line("body", &shown.escape_debug().to_string());
    }
}

fn place(place: Place) -> String {
    format!("{} (line {})", place.index, place.line)
}

fn with(what: &str, reason: &str) -> String {
    if reason.is_empty() { what.to_owned() } else { format!("{what}: {reason}") }
}
