//! From an authority to the virtual host that takes it, as Envoy chooses: an exact domain, the longest `*.suffix`, the
//! longest `prefix.*`, `*`. Each is found by a walk down a tree, however many there are.

use super::trie::{Entry, Trie};
use crate::config::VirtualHost;

/// The longest authority that is looked up; longer ones only match `*`. A DNS name has at most 253 bytes.
pub(super) const LONGEST_AUTHORITY: usize = 255;

#[derive(Debug, Default)]
pub(super) struct Domains {
    /// Exact domains, and those of `prefix.*` as `prefix.`.
    forward: Trie,
    /// Those of `*.suffix` as `xiffus.`.
    backward: Trie,
    any: Option<u32>,
    only_any: bool,
    /// Some domain names a port or a version: only then is what was sent looked up with its own.
    names_ports: bool,
}

/// What an authority is, and so what may stand behind its last colon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Authority {
    /// A host: a port.
    Host,
    /// The service of a call: its version, of whatever form (SOFA's `com.example.Facade:1.0`).
    Service,
}

impl Domains {
    /// Of checked virtual hosts: no domain stands in two of them.
    pub(super) fn compile(hosts: &[VirtualHost]) -> Domains {
        let (mut forward, mut backward, mut any) = (vec![], vec![], None);
        let domains = hosts
            .iter()
            .zip(0u32..)
            .flat_map(|(host, at)| host.domains.iter().map(move |domain| (domain, at)));
        for (domain, host) in domains {
            let domain = domain.to_ascii_lowercase();
            if domain == "*" {
                any = any.or(Some(host));
            } else if let Some(suffix) = domain.strip_prefix('*') {
                let key = suffix.bytes().rev().collect();
                backward.push(Entry { key, prefix: Some(host), exact: None });
            } else if let Some(prefix) = domain.strip_suffix('*') {
                forward.push(Entry { key: prefix.as_bytes().into(), prefix: Some(host), exact: None });
            } else {
                forward.push(Entry { key: domain.as_bytes().into(), prefix: None, exact: Some(host) });
            }
        }
        let only_any = forward.is_empty() && backward.is_empty();
        let names_ports = hosts.iter().flat_map(|host| &host.domains).any(|domain| domain.contains(':'));
        Domains {
            forward: Trie::build(merged(forward)),
            backward: Trie::build(merged(backward)),
            any,
            only_any,
            names_ports,
        }
    }

    /// The virtual host. What was sent is looked up with its port (or version) first and without it then.
    pub(super) fn find(&self, authority: &[u8], what: Authority) -> Option<u32> {
        if self.only_any {
            return self.any;
        }
        let mut lower = [0; LONGEST_AUTHORITY];
        let Some(lower) = lower.get_mut(..authority.len()) else { return self.any };
        lower.copy_from_slice(authority);
        lower.make_ascii_lowercase();
        let port = authority.len() - bare(lower, what).len();
        let short = &lower[..lower.len() - port];
        let mut prefix = None;
        let exact = self.forward.walk(short, |host, length| prefix = longer(short, length, host).or(prefix));
        let with_port = if port > 0 && self.names_ports { self.forward.walk(lower, |_, _| {}) } else { None };
        with_port.or(exact).or_else(|| self.suffix(lower, port)).or(prefix).or(self.any)
    }

    fn suffix(&self, lower: &mut [u8], port: usize) -> Option<u32> {
        lower.reverse();
        let longest = |text: &[u8]| {
            let mut suffix = None;
            self.backward.walk(text, |host, length| suffix = longer(text, length, host).or(suffix));
            suffix
        };
        let with_port = if port > 0 && self.names_ports { longest(lower) } else { None };
        with_port.or_else(|| longest(&lower[port..]))
    }
}

/// A wildcard stands for at least one byte.
fn longer(text: &[u8], length: usize, host: u32) -> Option<u32> {
    (text.len() > length).then_some(host)
}

/// One entry for each key, whose first values count.
fn merged(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by(|one, other| one.key.cmp(&other.key));
    entries.dedup_by(|next, kept| {
        let same = next.key == kept.key;
        if same {
            kept.prefix = kept.prefix.or(next.prefix);
            kept.exact = kept.exact.or(next.exact);
        }
        same
    });
    entries
}

/// The authority without its port or version.
fn bare(authority: &[u8], what: Authority) -> &[u8] {
    match memchr::memrchr(b':', authority) {
        Some(colon)
            if what == Authority::Service || authority[colon + 1..].iter().all(u8::is_ascii_digit) =>
        {
            &authority[..colon]
        }
        _ => authority,
    }
}
