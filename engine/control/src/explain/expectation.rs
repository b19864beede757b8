//! What a user expects of the routes, held against what becomes of each request. Reading the file is
//! [`crate::config::expectations`].

use super::question::Question;
use super::{ExplainError, Explanation, explain};
use sidering_dataplane::config::Snapshot;
use std::sync::Arc;

/// A request and what it should lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    pub question: Question,
    /// Where it stands in its file.
    pub line: u32,
    pub column: u32,
    pub expected: Vec<Expected>,
}

/// One thing that is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    pub wanted: Wanted,
    /// Any of these; nothing at all if it is empty.
    pub values: Vec<String>,
    /// Where it stands in its file.
    pub line: u32,
    pub column: u32,
}

/// What of an explanation is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    Listener,
    VirtualHost,
    /// The route's index.
    Route,
    /// The route's line in the configuration.
    Line,
    Action,
    Cluster,
    Endpoint,
    Status,
    /// The location of a redirect.
    Redirect,
    Body,
    Details,
    /// The path that the endpoint sees.
    Path,
    /// The Host that the endpoint sees.
    Host,
    /// A header that the endpoint sees.
    RequestHeader(String),
    ResponseHeader(String),
}

/// An expectation that was not met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub line: u32,
    pub column: u32,
    /// What was expected and what there was.
    pub message: String,
}

impl Wanted {
    fn name(&self) -> String {
        match self {
            Wanted::Listener => "listener".to_owned(),
            Wanted::VirtualHost => "virtual_host".to_owned(),
            Wanted::Route => "route".to_owned(),
            Wanted::Line => "line".to_owned(),
            Wanted::Action => "action".to_owned(),
            Wanted::Cluster => "cluster".to_owned(),
            Wanted::Endpoint => "endpoint".to_owned(),
            Wanted::Status => "status".to_owned(),
            Wanted::Redirect => "redirect".to_owned(),
            Wanted::Body => "body".to_owned(),
            Wanted::Details => "details".to_owned(),
            Wanted::Path => "path".to_owned(),
            Wanted::Host => "host".to_owned(),
            Wanted::RequestHeader(name) => format!("request header {name}"),
            Wanted::ResponseHeader(name) => format!("response header {name}"),
        }
    }

    /// What there is of it; `None` for nothing.
    fn actual(&self, explanation: &Explanation) -> Option<String> {
        let seen = explanation.exchanges.iter().rev().find_map(|exchange| exchange.seen());
        match self {
            Wanted::Listener => Some(explanation.listener.clone()),
            Wanted::VirtualHost => explanation.virtual_host.clone(),
            Wanted::Route => explanation.route.map(|route| route.index.to_string()),
            Wanted::Line => explanation.route.map(|route| route.line.to_string()),
            Wanted::Action => Some(explanation.action.to_owned()),
            Wanted::Cluster => explanation.cluster.clone(),
            Wanted::Endpoint => explanation.endpoint.clone(),
            Wanted::Status => Some(explanation.status.to_string()),
            Wanted::Redirect => explanation.redirect.clone(),
            Wanted::Body => Some(explanation.body.clone()),
            Wanted::Details => Some(explanation.details.clone()),
            Wanted::Path => seen.map(|seen| seen.path.clone()),
            Wanted::Host => seen.map(|seen| seen.authority.clone()),
            Wanted::RequestHeader(name) => seen.and_then(|seen| field(&seen.headers, name)),
            Wanted::ResponseHeader(name) => field(&explanation.answer, name),
        }
    }
}

/// What of the expectation does not hold.
pub fn check(snapshot: &Arc<Snapshot>, expectation: &Expectation) -> Result<Vec<Failure>, ExplainError> {
    let explanation = explain(snapshot, &expectation.question)?;
    Ok(expectation.expected.iter().filter_map(|expected| failure(expected, &explanation)).collect())
}

fn failure(expected: &Expected, explanation: &Explanation) -> Option<Failure> {
    let actual = expected.wanted.actual(explanation);
    let holds = match &actual {
        Some(actual) => expected.values.contains(actual),
        None => expected.values.is_empty(),
    };
    if holds {
        return None;
    }
    let wanted = if expected.values.is_empty() { "none".to_owned() } else { expected.values.join(" or ") };
    let route = match explanation.route {
        Some(route) => format!("route {} on line {}", route.index, route.line),
        None => "no route".to_owned(),
    };
    let (name, actual) = (expected.wanted.name(), actual.as_deref().unwrap_or("none"));
    let message = format!("{name}: expected {wanted}, got {actual} ({route}, {})", explanation.details);
    Some(Failure { line: expected.line, column: expected.column, message })
}

/// The values of a field, joined.
fn field(fields: &[(String, String)], name: &str) -> Option<String> {
    let named = fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
    let values: Vec<&str> = named.map(|(_, value)| value.as_str()).collect();
    (!values.is_empty()).then(|| values.join(","))
}
