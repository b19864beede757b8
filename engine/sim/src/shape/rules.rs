//! Header rules, a few at each level. What they come to is checked by the peers, who know them from `crate::rules`.

use crate::rules::{ADDED, ANSWERED, DROPPED, STAMP};
use sidering_dataplane::config::*;

/// One field goes, one says whose request it is.
pub(super) fn of_route() -> HeaderRules {
    let stamp = vec![request(FieldSource::Field("x-tag".into())), text("@"), request(FieldSource::Method)];
    let request = HeaderOperations {
        remove: vec![DROPPED.into()],
        set: vec![value(STAMP, stamp)],
        add: vec![value(ADDED, vec![text("route")])],
    };
    HeaderRules { request, response: HeaderOperations::default() }
}

/// The answer tells of both heads.
pub(super) fn of_host() -> HeaderRules {
    let status = HeaderPiece::Value(HeaderOperator::ResponseCode);
    let answered = vec![status, text(" to "), request(FieldSource::Field("x-tag".into()))];
    HeaderRules {
        request: adding(ADDED, "host"),
        response: HeaderOperations { set: vec![value(ANSWERED, answered)], ..HeaderOperations::default() },
    }
}

pub(super) fn of_listener() -> HeaderRules {
    let response = HeaderOperations { remove: vec![DROPPED.into()], ..HeaderOperations::default() };
    HeaderRules { request: adding(ADDED, "listener"), response }
}

/// A field with this text.
pub(super) fn adding(name: &str, of: &str) -> HeaderOperations {
    HeaderOperations { add: vec![value(name, vec![text(of)])], ..HeaderOperations::default() }
}

fn value(name: &str, pieces: Vec<HeaderPiece>) -> HeaderValue {
    HeaderValue { name: name.into(), value: HeaderTemplate { source: String::new(), pieces } }
}

fn text(text: &str) -> HeaderPiece {
    HeaderPiece::Text(text.into())
}

fn request(first: FieldSource) -> HeaderPiece {
    HeaderPiece::Value(HeaderOperator::Request(FieldValue { first, second: None, limit: None }))
}
