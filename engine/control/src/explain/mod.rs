//! What becomes of a request under a configuration, and why: `sidering explain`. The request is carried by the data plane
//! itself, on an engine in memory; only the reasons are worked out here, and what they lead to is held against what the
//! data plane did. It opens no socket.

mod choice;
mod engine;
mod expectation;
mod json;
mod lab;
mod listener;
mod misses;
mod peer;
mod question;
mod tally;
mod text;

pub use expectation::{Expectation, Expected, Failure, Wanted, check};
pub use json::{write as write_json, write_tally as write_tally_json};
pub use question::{Question, World};
pub use tally::{Share, tally};
pub use text::{write as write_text, write_tally as write_tally_text};

use crate::config::show_address;
use choice::Choice;
use lab::{Lab, Outcome};
use peer::Exchange;
use sidering_codecs::{Codec, Event, RequestHead, Scratch};
use sidering_dataplane::config::{
    ClusterIndex, Endpoint, HostHealth, HttpListener, Listener, ListenerKind, Route, RouteAction, Snapshot,
};
use sidering_dataplane::route::normalize::normalize;
use sidering_dataplane::route::{RequestView, RouteTable};
use std::sync::Arc;

/// Why there is no explanation.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ExplainError {
    #[error("{0}")]
    NoListener(String),
    #[error("the request did not come to an end in {0} steps: please report it with the configuration")]
    Endless(u32),
    #[error(
        "the data plane took the route on line {actual}, and the rules lead to line {explained}: please report \
         it with the configuration"
    )]
    Disagreement { actual: u32, explained: u32 },
}

/// The way of one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    pub listener: String,
    pub listener_address: String,
    pub listener_reason: String,
    /// The domain that took the request's authority, as it stands in the file.
    pub virtual_host: Option<String>,
    /// The route tables that were asked, of a listener with a chain of them.
    pub route_tables: Vec<String>,
    pub refused: Vec<Refused>,
    /// Routes that took the request, but none of their clusters had a healthy endpoint: the next table was asked.
    pub passed_on: Vec<Place>,
    pub route: Option<Place>,
    /// `cluster`, `redirect`, `direct_response` or `none`.
    pub action: &'static str,
    pub cluster: Option<String>,
    pub cluster_reason: String,
    /// The address that was asked last.
    pub endpoint: Option<String>,
    pub endpoint_reason: String,
    /// Every exchange with an endpoint, those that found nobody included.
    pub exchanges: Vec<Exchange>,
    /// What the client got; 0 on a TCP listener.
    pub status: u16,
    /// Names and values of the answer's fields.
    pub answer: Vec<(String, String)>,
    /// A redirect's location.
    pub redirect: Option<String>,
    /// The answer's body, if it is not an endpoint's.
    pub body: String,
    /// Response flags, as in the access log.
    pub flags: Vec<&'static str>,
    /// As in the access log.
    pub details: String,
    /// How long filters and back-offs held the request.
    pub delay_ms: u64,
}

/// Where a route is: its index in the virtual host, and its line in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub index: usize,
    pub line: u32,
}

/// A route that did not take the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub place: Place,
    /// The condition that failed.
    pub reason: String,
    /// What the request had.
    pub had: String,
}

/// Carries the request through the data plane and tells what became of it.
pub fn explain(snapshot: &Arc<Snapshot>, question: &Question) -> Result<Explanation, ExplainError> {
    let snapshot = &question.world.marked(snapshot);
    let (index, listener_reason) = listener::choose(&snapshot.listeners, question)?;
    let listener = &snapshot.listeners[index];
    let outcome = Lab::new(snapshot, question).ask(index, question)?;
    let way = match &listener.kind {
        ListenerKind::Http(http) if !outcome.is_unrouted() => routed(snapshot, http, question),
        _ => Way::default(),
    };
    if let (actual, Some(Place { line: explained, .. })) = (outcome.route_line, way.route)
        && actual != explained
    {
        return Err(ExplainError::Disagreement { actual, explained });
    }
    Ok(put_together(snapshot, listener, listener_reason, question, outcome, way))
}

/// What the rules say.
#[derive(Debug, Default)]
struct Way<'a> {
    tables: Vec<String>,
    passed_on: Vec<Place>,
    virtual_host: Option<String>,
    refused: Vec<Refused>,
    route: Option<Place>,
    found: Option<&'a Route>,
}

/// Asks the route table that the data plane asks, with the head that its codec reads.
fn routed<'a>(snapshot: &Snapshot, http: &'a HttpListener, question: &Question) -> Way<'a> {
    let Some(protocol) = question.protocol() else { return Way::default() };
    let mut codec = (protocol.server)(http.codec);
    let (bytes, mut scratch) = (question.bytes(), Scratch::default());
    let mut input = bytes.as_slice();
    match Codec::decode(&mut *codec, &mut scratch, &mut input) {
        Ok(Some(Event::Request { head, .. })) => way_of(snapshot, http, &head, question),
        // The data plane refuses it before any route is asked.
        _ => Way::default(),
    }
}

fn way_of<'a>(
    snapshot: &Snapshot,
    http: &'a HttpListener,
    head: &RequestHead<'_>,
    question: &Question,
) -> Way<'a> {
    let mut normalized = vec![];
    let changed =
        http.options.normalize_path && normalize(head.path, http.options.merge_slashes, &mut normalized);
    let mut view = RequestView::of_head(head, if changed { &normalized } else { head.path });
    view.source = question.world.source;
    view.random = question.world.first_random();
    let explained = http.routes.explain_serving(&view, |route| serves(snapshot, route));
    let refused = explained.refused.iter().map(|considered| Refused {
        place: Place { index: considered.index, line: considered.route.line },
        reason: misses::reason(&considered.mismatch, &view),
        had: misses::had(&considered.mismatch, &view),
    });
    let passed_on = explained
        .passed_on
        .iter()
        .filter(|found| explained.found.is_none_or(|last| last.route.line != found.route.line));
    Way {
        tables: explained.tables.iter().filter(|name| !name.is_empty()).map(ToString::to_string).collect(),
        passed_on: passed_on.map(|found| Place { index: found.index, line: found.route.line }).collect(),
        virtual_host: explained.virtual_host.and_then(|host| domain(&http.routes, host, &view)),
        refused: refused.collect(),
        route: explained.found.map(|found| Place { index: found.index, line: found.route.line }),
        found: explained.found.map(|found| found.route),
    }
}

/// Whether some cluster of the route has a healthy endpoint, as the data plane asks where a chain passes on.
fn serves(snapshot: &Snapshot, route: &Route) -> bool {
    let RouteAction::Forward(forward) = &route.action else { return true };
    let healthy = |cluster: ClusterIndex| {
        let cluster = snapshot.clusters.get(cluster.0 as usize);
        let is_fit = |endpoint: &Endpoint| endpoint.health.health() != HostHealth::Unhealthy;
        cluster.is_some_and(|cluster| cluster.endpoints.iter().any(is_fit))
    };
    let weighted = &forward.weighted_clusters;
    match weighted.is_empty() {
        true => healthy(forward.cluster),
        false => weighted.iter().any(|weighted| weighted.weight > 0 && healthy(weighted.cluster)),
    }
}

/// Which of a virtual host's domains took the authority: the same lookup, over a table of one domain each.
fn domain(routes: &RouteTable, host: usize, view: &RequestView<'_>) -> Option<String> {
    let domains = &routes.virtual_hosts().get(host)?.domains;
    let alone = |domain: &String| sidering_dataplane::config::VirtualHost {
        domains: vec![domain.clone()],
        ..Default::default()
    };
    let table = RouteTable::compile(domains.iter().map(alone).collect());
    let taken = table.explain(view).virtual_host?;
    domains.get(taken).cloned()
}

fn put_together(
    snapshot: &Snapshot,
    listener: &Listener,
    listener_reason: String,
    question: &Question,
    outcome: Outcome,
    way: Way<'_>,
) -> Explanation {
    let cluster = outcome.cluster.and_then(|index| snapshot.clusters.get(index)).map(|cluster| &**cluster);
    let replied = outcome.exchanges.is_empty() && outcome.cluster.is_none();
    let action = match (&listener.kind, way.found.map(|route| &route.action)) {
        _ if outcome.cluster.is_some() => "cluster",
        (ListenerKind::Http(_), Some(RouteAction::Redirect(_))) if replied && outcome.is_configured() => {
            "redirect"
        }
        (ListenerKind::Http(_), Some(RouteAction::DirectResponse { .. })) if outcome.is_configured() => {
            "direct_response"
        }
        _ => "none",
    };
    let Choice { cluster_reason, endpoint_reason } =
        choice::reasons(snapshot, listener, way.found, cluster, &outcome, question);
    let own = outcome.exchanges.iter().rev().find(|exchange| exchange.belongs_to(cluster));
    let endpoint = own.map(|exchange| show_address(&exchange.address));
    let location =
        || outcome.answer.iter().find(|(name, _)| name == "location").map(|(_, value)| value.clone());
    let redirect = if action == "redirect" { location() } else { None };
    let body = if action == "cluster" && own.is_some() { String::new() } else { outcome.body.clone() };
    Explanation {
        listener: listener.name.clone(),
        listener_address: show_address(&listener.address),
        listener_reason,
        virtual_host: way.virtual_host,
        route_tables: way.tables,
        refused: way.refused,
        passed_on: way.passed_on,
        route: way.route,
        action,
        cluster: cluster.map(|cluster| cluster.name.clone()),
        cluster_reason,
        endpoint,
        endpoint_reason,
        redirect,
        body,
        exchanges: outcome.exchanges,
        status: outcome.status,
        answer: outcome.answer,
        flags: outcome.flags,
        details: outcome.details,
        delay_ms: outcome.delay_ms,
    }
}

#[cfg(test)]
mod tests;
