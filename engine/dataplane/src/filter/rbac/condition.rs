//! Conditions at work. They look at a request and change nothing.

use super::Condition;
use crate::config::{Cidr, HeaderMatch, StringMatch};
use crate::filter::RequestView;

/// A compiled [`Condition`].
pub(super) enum Compiled {
    Any,
    All(Vec<Compiled>),
    AnyOf(Vec<Compiled>),
    Not(Box<Compiled>),
    Header(HeaderMatch),
    UrlPath(StringMatch),
    Methods(Vec<Box<[u8]>>),
    DirectRemoteIp(Cidr),
    RemoteIp(Cidr),
}

impl Compiled {
    pub(super) fn new(condition: &Condition) -> Self {
        let all = |conditions: &[Condition]| conditions.iter().map(Compiled::new).collect();
        match condition {
            Condition::Any => Compiled::Any,
            Condition::All(conditions) => Compiled::All(all(conditions)),
            Condition::AnyOf(conditions) => Compiled::AnyOf(all(conditions)),
            Condition::Not(condition) => Compiled::Not(Box::new(Compiled::new(condition))),
            Condition::Header(header) => Compiled::Header(header.clone()),
            Condition::UrlPath(path) => Compiled::UrlPath(path.clone()),
            Condition::Methods(methods) => {
                Compiled::Methods(methods.iter().map(|method| method.as_bytes().into()).collect())
            }
            Condition::DirectRemoteIp(block) => Compiled::DirectRemoteIp(*block),
            Condition::RemoteIp(block) => Compiled::RemoteIp(*block),
        }
    }

    pub(super) fn holds(&self, request: &RequestView<'_>) -> bool {
        match self {
            Compiled::Any => true,
            Compiled::All(conditions) => conditions.iter().all(|condition| condition.holds(request)),
            Compiled::AnyOf(conditions) => conditions.iter().any(|condition| condition.holds(request)),
            Compiled::Not(condition) => !condition.holds(request),
            Compiled::Header(header) => request.fulfils(header),
            Compiled::UrlPath(path) => path.takes(path_of(request.path())),
            Compiled::Methods(methods) => methods.iter().any(|method| **method == *request.method()),
            Compiled::DirectRemoteIp(block) => request.peer.is_some_and(|peer| block.contains(peer.ip())),
            Compiled::RemoteIp(block) => {
                request.remote_address().is_some_and(|address| block.contains(address))
            }
        }
    }
}

/// Up to the query, or to a fragment, which does not belong into a request.
fn path_of(path: &[u8]) -> &[u8] {
    memchr::memchr2(b'?', b'#', path).map_or(path, |end| &path[..end])
}

pub(super) fn looks_at_addresses(condition: &Condition) -> bool {
    any(condition, &|condition| matches!(condition, Condition::DirectRemoteIp(_) | Condition::RemoteIp(_)))
}

pub(super) fn looks_at_paths(condition: &Condition) -> bool {
    any(condition, &|condition| match condition {
        Condition::UrlPath(_) => true,
        Condition::Header(header) => header.looks_at_path(),
        _ => false,
    })
}

/// The client's address may stand in X-Forwarded-For.
pub(super) fn looks_at_fields(condition: &Condition) -> bool {
    any(condition, &|condition| match condition {
        Condition::Header(header) => header.looks_at_field(),
        Condition::RemoteIp(_) => true,
        _ => false,
    })
}

/// Whether the condition, or one that lies in it, is such a one.
fn any(condition: &Condition, is_such: &dyn Fn(&Condition) -> bool) -> bool {
    match condition {
        Condition::All(conditions) | Condition::AnyOf(conditions) => {
            conditions.iter().any(|condition| any(condition, is_such))
        }
        Condition::Not(condition) => any(condition, is_such),
        condition => is_such(condition),
    }
}
