//! What access control is configured with.

use crate::config::{Cidr, HeaderMatch, StringMatch};

/// Rules that are enforced, and others that are only counted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// `None`: everything is let through.
    pub rules: Option<Rules>,
    pub shadow_rules: Option<Rules>,
}

/// Policies, and what a request that fulfils one of them is in for.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    pub action: Action,
    /// By name, in the order of names: the first that takes a request decides.
    pub policies: Vec<Policy>,
}

/// What happens to requests that a policy takes, and to those that none does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Let through; all others are denied.
    Allow,
    /// Denied; all others are let through.
    Deny,
    /// All are let through; it is counted which a policy takes.
    Log,
}

/// Takes requests for which one of the permissions and one of the principals holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    pub name: String,
    /// What is done.
    pub permissions: Vec<Condition>,
    /// Who does it.
    pub principals: Vec<Condition>,
}

/// A condition on a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    Any,
    All(Vec<Condition>),
    AnyOf(Vec<Condition>),
    Not(Box<Condition>),
    Header(HeaderMatch),
    /// On the path without query.
    UrlPath(StringMatch),
    /// One of these methods.
    Methods(Vec<String>),
    /// The address of the connection's other end.
    DirectRemoteIp(Cidr),
    /// The client's address: where `use_remote_address` is off and there is an X-Forwarded-For, the last one in it.
    RemoteIp(Cidr),
}
