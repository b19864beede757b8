//! Descriptors at work: which buckets a request takes tokens of, and for which values. Looking allocates nothing.

use super::config::{Action, Config};
use crate::config::HeaderMatch;
use crate::filter::RequestView;
use std::io::Write;

/// What makes a descriptor, and the configured descriptors that it may be.
pub(super) struct Rule {
    actions: Vec<Maker>,
    /// Those that name all values first.
    candidates: Vec<Candidate>,
}

enum Maker {
    RemoteAddress,
    RequestHeader(Box<[u8]>),
    Generic(Box<[u8]>),
    HeaderMatch { value: Box<[u8]>, expect: bool, headers: Vec<HeaderMatch> },
}

struct Candidate {
    descriptor: usize,
    /// One for each action; `None`: any.
    values: Vec<Option<Box<[u8]>>>,
}

/// Compiles the rules of a configuration. Keys are known beforehand, so that only values are compared later.
pub(super) fn compile(config: &Config) -> Vec<Rule> {
    config.rules.iter().map(|actions| Rule::compile(actions, config)).collect()
}

impl Rule {
    fn compile(actions: &[Action], config: &Config) -> Rule {
        let fits = |entries: &[(String, Option<String>)]| {
            entries.iter().map(|(key, _)| key.as_str()).eq(actions.iter().map(Action::key))
        };
        let descriptors =
            config.descriptors.iter().enumerate().filter(|(_, descriptor)| fits(&descriptor.entries));
        let bytes = |value: &Option<String>| value.as_ref().map(|value| value.as_bytes().into());
        let candidate = |(descriptor, known): (usize, &super::config::Descriptor)| Candidate {
            descriptor,
            values: known.entries.iter().map(|(_, value)| bytes(value)).collect(),
        };
        let mut candidates: Vec<_> = descriptors.map(candidate).collect();
        candidates.sort_by_key(|candidate| candidate.values.iter().any(Option::is_none));
        Rule { actions: actions.iter().map(Maker::compile).collect(), candidates }
    }

    /// The configured descriptor that takes the request; `key` then has the values that have buckets of their own.
    pub(super) fn find(&self, request: &RequestView<'_>, key: &mut Vec<u8>) -> Option<usize> {
        let candidate = self.candidates.iter().find(|candidate| {
            key.clear();
            self.actions
                .iter()
                .zip(&candidate.values)
                .all(|(action, wanted)| action.fits(request, wanted.as_deref(), key))
        })?;
        Some(candidate.descriptor)
    }
}

impl Maker {
    fn compile(action: &Action) -> Maker {
        match action {
            Action::RemoteAddress => Maker::RemoteAddress,
            Action::RequestHeader { name, .. } => Maker::RequestHeader(name.as_bytes().into()),
            Action::Generic { value, .. } => Maker::Generic(value.as_bytes().into()),
            Action::HeaderMatch { value, expect, headers, .. } => Maker::HeaderMatch {
                value: value.as_bytes().into(),
                expect: *expect,
                headers: headers.clone(),
            },
        }
    }

    /// Whether there is a value and it is the one wanted. Where any is, it is added to the key.
    fn fits(&self, request: &RequestView<'_>, wanted: Option<&[u8]>, key: &mut Vec<u8>) -> bool {
        let mut compare = |value: &[u8]| match wanted {
            Some(wanted) => value == wanted,
            None => {
                // With its length, so that no two lists of values are one key.
                key.extend_from_slice(&(value.len() as u32).to_be_bytes());
                key.extend_from_slice(value);
                true
            }
        };
        match self {
            Maker::RemoteAddress => {
                let mut text = [0; 64];
                let mut left = &mut text[..];
                let Some(address) = request.remote_address() else { return false };
                let _ = write!(left, "{}", address.to_canonical());
                let length = 64 - left.len();
                compare(&text[..length])
            }
            Maker::RequestHeader(name) => request.with_value(name, |value| value.is_some_and(compare)),
            Maker::Generic(value) => compare(value),
            Maker::HeaderMatch { value, expect, headers } => {
                headers.iter().all(|header| request.fulfils(header)) == *expect && compare(value)
            }
        }
    }
}
