//! Endpoints behind names: one cluster's names are resolved again and again, each at its own pace, and all their addresses
//! together are its endpoints. What is kept of whom when a name means nothing any more follows Envoy's documents.

use super::resolver::{Answer, ResolveError, Resolver};
use super::schedule::Schedule;
use super::supervisor::Report;
use super::{DnsSource, Outcome};
use sidering_dataplane::config::Endpoint;
use sidering_dataplane::io::Address;
use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Between two attempts to set a resolver up, which fails where /etc/resolv.conf does.
const SETUP_PAUSE: Duration = Duration::from_secs(5);

/// Addresses of a logical host that are tried for one connection.
const MOST_TURNS: usize = 16;

/// What is known of a cluster's names.
struct Names {
    source: DnsSource,
    known: RefCell<Known>,
    report: Report,
}

/// Of each target, in their order.
struct Known {
    addresses: Vec<Vec<IpAddr>>,
    /// Whether there was an answer or a failure yet.
    is_tried: Vec<bool>,
}

/// Resolves the names of one cluster until it is dropped.
pub(super) async fn follow(source: DnsSource, resolver: Result<Rc<Resolver>, ResolveError>, report: Report) {
    let resolver = match resolver {
        Ok(resolver) => resolver,
        Err(error) => set_up(&source, error, &report).await,
    };
    let count = source.targets.len();
    let known = RefCell::new(Known { addresses: vec![vec![]; count], is_tried: vec![false; count] });
    let names = Rc::new(Names { source, known, report });
    let mut tasks = JoinSet::new();
    for target in 0..names.source.targets.len() {
        tasks.spawn_local(Rc::clone(&names).follow(target, Rc::clone(&resolver)));
    }
    while tasks.join_next().await.is_some() {}
}

async fn set_up(source: &DnsSource, mut error: ResolveError, report: &Report) -> Rc<Resolver> {
    loop {
        report.tell(Outcome::Failed(error.to_string()), true).await;
        sleep(SETUP_PAUSE).await;
        match Resolver::new(&source.servers, source.family) {
            Ok(resolver) => return Rc::new(resolver),
            Err(again) => error = again,
        }
    }
}

impl Names {
    async fn follow(self: Rc<Self>, target: usize, resolver: Rc<Resolver>) {
        let host = &self.source.targets[target].host;
        if let Ok(address) = host.parse() {
            self.take(target, vec![address]).await;
            return;
        }
        let mut schedule = Schedule::new(self.source.refresh.clone());
        loop {
            let wait_ms = match resolver.resolve(host).await {
                Ok(answer) => {
                    let wait_ms = schedule.after_answer(answer.ttl_ms, random());
                    self.take_answer(target, answer).await;
                    wait_ms
                }
                Err(error) => {
                    self.tell(target, Outcome::Failed(error.to_string())).await;
                    schedule.after_failure(random())
                }
            };
            sleep(Duration::from_millis(wait_ms)).await;
        }
    }

    async fn take_answer(&self, target: usize, answer: Answer) {
        if answer.cut_off > 0 {
            let (host, most) = (&self.source.targets[target].host, super::resolver::MOST_ADDRESSES);
            crate::log::warning(format_args!(
                "`{host}` has {} addresses more than the {most} that are taken",
                answer.cut_off
            ));
        }
        self.take(target, answer.addresses).await;
    }

    /// The addresses of a target are these. What other targets have not told yet is not waited for.
    async fn take(&self, target: usize, addresses: Vec<IpAddr>) {
        let endpoints = {
            let mut known = self.known.borrow_mut();
            // A logical host keeps its last address whatever comes, a strict cluster has what its names mean now.
            if !(self.source.is_logical && addresses.is_empty()) {
                known.addresses[target] = addresses;
            }
            endpoints(&self.source, &known.addresses)
        };
        self.tell(target, Outcome::Endpoints(endpoints.into())).await;
    }

    async fn tell(&self, target: usize, outcome: Outcome) {
        let is_complete = {
            let mut known = self.known.borrow_mut();
            known.is_tried[target] = true;
            known.is_tried.iter().all(|is_tried| *is_tried)
        };
        self.report.tell(outcome, is_complete).await;
    }
}

/// All addresses as endpoints, each once, in the order of the targets.
pub(super) fn endpoints(source: &DnsSource, addresses: &[Vec<IpAddr>]) -> Vec<Endpoint> {
    let mut seen = HashSet::new();
    let mut endpoints = vec![];
    for (target, addresses) in source.targets.iter().zip(addresses) {
        let with_port = |ip| Address::Ip(SocketAddr::new(ip, target.port));
        if source.is_logical {
            let mut addresses = in_turn(addresses).into_iter().map(with_port);
            endpoints.extend(addresses.next().map(|address| Endpoint {
                address,
                alternates: Some(addresses.collect()),
                ..target.template.clone()
            }));
            continue;
        }
        let mut addresses = addresses.clone();
        // Name servers rotate them, which is no change.
        addresses.sort_unstable();
        let new = addresses.into_iter().map(with_port).filter(|address| seen.insert(address.clone()));
        endpoints.extend(new.map(|address| Endpoint { address, ..target.template.clone() }));
    }
    endpoints
}

/// The order in which the addresses of a logical host are tried: the families in turn, that of the first one first (RFC 8305
/// section 4).
fn in_turn(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let first_is_v6 = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (first, second): (Vec<IpAddr>, Vec<IpAddr>) =
        addresses.iter().copied().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut turns = vec![];
    while turns.len() < MOST_TURNS {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            break;
        }
        turns.extend(pair.into_iter().flatten());
    }
    turns.truncate(MOST_TURNS);
    turns
}

/// Seeded by the system for each call.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests;
