//! Whether a request is what a route asks for, and if not, what it lacks. One reading serves lookups and explanations.

use super::request::{RequestView, RpcView};
use crate::config::{
    Cidr, Conditions, HeaderMatch, PathMatch, QueryMatch, RouteMatch, RpcMatch, Share, StringMatch,
};
use sidering_codecs::Fields;

/// The first thing about a request that is not as a route asks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mismatch<'a> {
    /// It is a CONNECT and the route takes none, or the other way around.
    Connect,
    Path(&'a PathMatch),
    Method(&'a [String]),
    Header(&'a HeaderMatch),
    Query(&'a QueryMatch),
    Source(&'a [Cidr]),
    Grpc,
    RuntimeFraction(Share),
    /// Which of the neutral fields it was.
    Rpc(&'static str),
}

/// What `view` lacks to be taken; `None` if the route takes it.
pub(super) fn mismatch<'a>(matcher: &'a RouteMatch, view: &RequestView<'_>) -> Option<Mismatch<'a>> {
    if matcher.connect != view.is_connect {
        return Some(Mismatch::Connect);
    }
    if !takes_path(&matcher.path, view.bare_path(), view.is_connect) {
        return Some(Mismatch::Path(&matcher.path));
    }
    matcher.conditions.as_deref().and_then(|conditions| unmet(conditions, view))
}

fn takes_path(rule: &PathMatch, path: &[u8], is_connect: bool) -> bool {
    match rule {
        PathMatch::Any => true,
        PathMatch::Exact(exact) => path == exact.as_bytes(),
        // CONNECT has no path, and OPTIONS asks `*` of the server as a whole.
        PathMatch::Prefix(prefix) if prefix == "/" => is_connect || path.starts_with(b"/") || path == b"*",
        PathMatch::Prefix(prefix) => path.starts_with(prefix.as_bytes()),
        PathMatch::Regex(pattern) => pattern.matches(path),
        PathMatch::Template(template) => template.matches(path),
    }
}

/// The cheap conditions come first.
fn unmet<'a>(conditions: &'a Conditions, view: &RequestView<'_>) -> Option<Mismatch<'a>> {
    let Conditions { methods, headers, query, sources, grpc, runtime_fraction, rpc } = conditions;
    if !methods.is_empty() && !methods.iter().any(|method| method.as_bytes() == view.method) {
        return Some(Mismatch::Method(methods));
    }
    if let Some(share) = runtime_fraction.filter(|share| !share.takes(view.random)) {
        return Some(Mismatch::RuntimeFraction(share));
    }
    if !sources.is_empty()
        && !view.source.is_some_and(|source| sources.iter().any(|range| range.contains(source)))
    {
        return Some(Mismatch::Source(sources));
    }
    if *grpc && !is_grpc(&view.fields) {
        return Some(Mismatch::Grpc);
    }
    if let Some(name) = rpc.as_deref().and_then(|rpc| unmet_rpc(rpc, view.rpc.as_ref())) {
        return Some(Mismatch::Rpc(name));
    }
    if let Some(header) = headers.iter().find(|header| !holds(header, view)) {
        return Some(Mismatch::Header(header));
    }
    query.iter().find(|query| !has(query, view)).map(Mismatch::Query)
}

fn has(rule: &QueryMatch, view: &RequestView<'_>) -> bool {
    let found = view.query(rule.name.as_bytes());
    found.is_some_and(|text| rule.value.as_ref().is_none_or(|value| value.takes(text)))
}

fn holds(rule: &HeaderMatch, view: &RequestView<'_>) -> bool {
    rule.takes(values(view, rule.name.as_bytes()))
}

fn is_grpc(fields: &Fields<'_>) -> bool {
    let Some(field) = fields.find_by_name(b"content-type") else { return false };
    matches!(field.value.strip_prefix(b"application/grpc"), Some([] | [b'+', ..]))
}

fn unmet_rpc(rule: &RpcMatch, view: Option<&RpcView<'_>>) -> Option<&'static str> {
    let empty = RpcView::default();
    let known = view.unwrap_or(&empty);
    let parts = [
        ("service", &rule.service, known.service),
        ("method", &rule.method, known.method),
        ("version", &rule.version, known.version),
        ("group", &rule.group, known.group),
    ];
    // An empty field is one that the request does not have.
    let lacks = |rule: &StringMatch, text: &[u8]| text.is_empty() || !rule.takes(text);
    parts
        .into_iter()
        .find(|(_, rule, text)| rule.as_ref().is_some_and(|rule| lacks(rule, text)))
        .map(|(name, ..)| name)
}

/// What a name means that is no field's: a part of the request.
fn part<'v>(view: &RequestView<'v>, name: &[u8]) -> Option<&'v [u8]> {
    match name {
        b":method" => Some(view.method),
        b":path" => Some(view.path),
        b":authority" | b"host" => Some(view.authority),
        _ => None,
    }
}

/// The values of this name, one for each field.
pub(super) fn values<'v>(view: &RequestView<'v>, name: &'v [u8]) -> impl Iterator<Item = &'v [u8]> + use<'v> {
    let part = part(view, name);
    // A part stands for any field of its name.
    let fields = part.is_none().then(|| view.fields.iter()).into_iter().flatten();
    let named = fields.filter(move |field| is_named(field.name, name)).map(|field| field.value);
    part.into_iter().chain(named)
}

/// Most names differ in length or in their first byte.
fn is_named(name: &[u8], lower: &[u8]) -> bool {
    name.len() == lower.len() && name.eq_ignore_ascii_case(lower)
}
