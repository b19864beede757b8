//! From a name to its addresses: by /etc/hosts, then by the name servers of the system or of the configuration. It
//! keeps no answer; how long one holds is the schedule's business.

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RecordType;
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Hosts, TokioResolver};
use std::collections::HashSet;
use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Addresses of one name that are taken; the answer says how many were cut off.
pub const MOST_ADDRESSES: usize = 1024;
/// One query to one name server; there are two attempts.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);
/// What the resolver says of answers that carry no TTL of their own, such as those of /etc/hosts: a day.
const NO_TTL_SECONDS: u32 = 86_400;

/// Which addresses are asked for, as Envoy's `dns_lookup_family`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LookupFamily {
    /// IPv6, and IPv4 if there is none.
    #[default]
    Auto,
    V4Only,
    V6Only,
    /// IPv4, and IPv6 if there is none.
    V4Preferred,
    /// Both.
    All,
}

impl LookupFamily {
    /// All of them, by the names the configuration writes.
    pub const NAMED: [(&str, LookupFamily); 5] = [
        ("auto", LookupFamily::Auto),
        ("v4_only", LookupFamily::V4Only),
        ("v6_only", LookupFamily::V6Only),
        ("v4_preferred", LookupFamily::V4Preferred),
        ("all", LookupFamily::All),
    ];

    /// What is asked for in turn, and whether the second is asked for although the first gave something.
    fn types(self) -> (&'static [RecordType], bool) {
        match self {
            LookupFamily::Auto => (&[RecordType::AAAA, RecordType::A], false),
            LookupFamily::V4Only => (&[RecordType::A], false),
            LookupFamily::V6Only => (&[RecordType::AAAA], false),
            LookupFamily::V4Preferred => (&[RecordType::A, RecordType::AAAA], false),
            LookupFamily::All => (&[RecordType::A, RecordType::AAAA], true),
        }
    }
}

/// What a name means now. No address at all is an answer, too: the name is not there, or has none of the family.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// As the name server ordered them, each once.
    pub addresses: Vec<IpAddr>,
    /// The shortest of them; `None` if they carry none.
    pub ttl_ms: Option<u64>,
    /// Addresses beyond [`MOST_ADDRESSES`].
    pub cut_off: usize,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    #[error(
        "the resolver cannot be set up: {0}; check /etc/resolv.conf, or name servers with `dns_resolvers`"
    )]
    Setup(NetError),
    #[error("`{name}` cannot be resolved: {source}")]
    Lookup { name: String, source: NetError },
}

/// Resolves names. Needs a tokio runtime around it when it is used.
pub struct Resolver {
    inner: TokioResolver,
    family: LookupFamily,
    /// Domains that are tried behind a name that is not whole, and how many dots make one that is.
    search: Vec<String>,
    ndots: usize,
    hosts_path: PathBuf,
}

impl Resolver {
    /// `servers`: none are those of the system, with its search domains.
    pub fn new(servers: &[SocketAddr], family: LookupFamily) -> Result<Resolver, ResolveError> {
        let (mut config, mut options) = if servers.is_empty() {
            read_system_conf().map_err(ResolveError::Setup)?
        } else {
            let servers = servers.iter().map(|server| name_server(*server)).collect();
            (ResolverConfig::from_parts(None, vec![], servers), ResolverOpts::default())
        };
        let search = std::mem::take(&mut config.search).iter().map(ToString::to_string).collect();
        let ndots = options.ndots;
        adjust(&mut options);
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let inner = builder.with_options(options).build().map_err(ResolveError::Setup)?;
        Ok(Resolver { inner, family, search, ndots, hosts_path: PathBuf::from("/etc/hosts") })
    }

    /// The addresses of a name now. A failure counts as one unless there is an address in spite of it: taken for an
    /// empty answer it would remove endpoints that are well.
    pub async fn resolve(&self, name: &str) -> Result<Answer, ResolveError> {
        let mut resolver = self.inner.clone();
        resolver.set_hosts(Arc::new(self.hosts()));
        let mut failure = None;
        for candidate in candidates(name, &self.search, self.ndots) {
            let answer = self.ask(&resolver, &candidate, &mut failure).await;
            if !answer.addresses.is_empty() {
                return Ok(answer);
            }
        }
        match failure {
            Some(source) => Err(ResolveError::Lookup { name: name.to_owned(), source }),
            None => Ok(Answer::default()),
        }
    }

    /// The addresses of one whole name; the first failure of all is kept.
    async fn ask(&self, resolver: &TokioResolver, name: &str, failure: &mut Option<NetError>) -> Answer {
        let (types, all) = self.family.types();
        let mut addresses = vec![];
        let mut ttl_seconds = None;
        for kind in types {
            if !addresses.is_empty() && !all {
                break;
            }
            match resolver.lookup(name, *kind).await {
                Ok(found) => {
                    let records = found.answers();
                    addresses.extend(records.iter().filter_map(|record| record.data.ip_addr()));
                    ttl_seconds = records.iter().map(|record| record.ttl).chain(ttl_seconds).min();
                }
                Err(error) if error.is_no_records_found() => {}
                Err(error) => *failure = failure.take().or(Some(error)),
            }
        }
        let ttl_seconds = ttl_seconds.filter(|seconds| *seconds < NO_TTL_SECONDS);
        bounded(addresses, ttl_seconds.map(|seconds| u64::from(seconds) * 1000))
    }

    /// Read each time: the file may have changed, and is small. One that cannot be read has no names.
    fn hosts(&self) -> Hosts {
        let mut hosts = Hosts::default();
        if let Ok(file) = File::open(&self.hosts_path) {
            let _ = hosts.read_hosts_conf(file);
        }
        hosts
    }
}

/// The whole names that a name may stand for, in the order of resolv.conf(5).
fn candidates(name: &str, search: &[String], ndots: usize) -> Vec<String> {
    if name.ends_with('.') {
        return vec![name.to_owned()];
    }
    let itself = format!("{name}.");
    let searched = search.iter().map(|domain| format!("{name}.{}.", domain.trim_end_matches('.')));
    if name.matches('.').count() >= ndots {
        std::iter::once(itself).chain(searched).collect()
    } else {
        searched.chain([itself]).collect()
    }
}

fn name_server(server: SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    connections.iter_mut().for_each(|connection| connection.port = server.port());
    NameServerConfig::new(server.ip(), true, connections)
}

fn adjust(options: &mut ResolverOpts) {
    options.cache_size = 0;
    options.timeout = QUERY_TIMEOUT;
    options.attempts = 2;
}

fn bounded(mut addresses: Vec<IpAddr>, ttl_ms: Option<u64>) -> Answer {
    let mut seen = HashSet::with_capacity(addresses.len());
    addresses.retain(|address| seen.insert(*address));
    let cut_off = addresses.len().saturating_sub(MOST_ADDRESSES);
    addresses.truncate(MOST_ADDRESSES);
    Answer { addresses, ttl_ms, cut_off }
}

#[cfg(test)]
mod tests;
