//! What local rate limiting is configured with.

use crate::config::{HeaderMatch, Share as Fraction};

/// Which requests take tokens of which buckets.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Taken from by requests that no descriptor takes, or by all. `None`: only descriptors limit.
    pub token_bucket: Option<Limit>,
    /// Requests that take tokens at all.
    pub enabled: Fraction,
    /// Of those without a token, the ones that are refused.
    pub enforced: Fraction,
    /// 400..=599.
    pub status: u16,
    /// Whether requests that a descriptor takes need a token of `token_bucket`, too.
    pub always_consume_default: bool,
    /// Answers tell limit, remainder and time to the next fill.
    pub tells_limits: bool,
    /// What descriptors are made of. At most [`MOST_RULES`].
    pub rules: Vec<Vec<Action>>,
    pub descriptors: Vec<Descriptor>,
    /// Keys that each descriptor without a value has buckets for, on each core.
    pub most_keys: u32,
    /// The cores that share each bucket.
    pub cores: u32,
}

/// Descriptors that one request can be taken by.
pub const MOST_RULES: usize = 8;

impl Default for Config {
    fn default() -> Self {
        Config {
            token_bucket: None,
            enabled: Fraction::ALL,
            enforced: Fraction::ALL,
            status: 429,
            always_consume_default: true,
            tells_limits: false,
            rules: vec![],
            descriptors: vec![],
            most_keys: 1024,
            cores: 1,
        }
    }
}

/// A bucket, of all cores together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// 1..=2^32 - 1. Full at first.
    pub max_tokens: u64,
    /// 1..=2^32 - 1.
    pub tokens_per_fill: u64,
    /// At least 50.
    pub fill_interval_ms: u64,
}

/// Makes an entry of a descriptor out of a request: a key and a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// `remote_address`: the client's.
    RemoteAddress,
    /// The value of a header. Without the header there is no descriptor.
    RequestHeader { name: String, key: String },
    /// The same value always.
    Generic { key: String, value: String },
    /// The value if the request fulfils the conditions, or, with `expect` off, if it does not. Else there is no descriptor.
    HeaderMatch { key: String, value: String, expect: bool, headers: Vec<HeaderMatch> },
}

impl Action {
    /// The key of its entry.
    pub fn key(&self) -> &str {
        match self {
            Action::RemoteAddress => "remote_address",
            Action::RequestHeader { key, .. }
            | Action::Generic { key, .. }
            | Action::HeaderMatch { key, .. } => key,
        }
    }
}

/// Descriptors with these entries take tokens of this bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Descriptor {
    /// Keys with values; without a value, every value has a bucket of its own.
    pub entries: Vec<(String, Option<String>)>,
    pub token_bucket: Limit,
}
