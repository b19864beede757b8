//! Why it was this cluster and this endpoint, in words. The choice itself was the data plane's.

use super::lab::Outcome;
use super::peer::Reached;
use super::question::Question;
use crate::admin::lb_name;
use crate::config::{show_address, show_ms};
use sidering_dataplane::config::{
    Cluster, Forward, Listener, ListenerKind, LoadBalancing, Route, RouteAction, Snapshot,
};

/// The reasons; empty where there was no choice to make.
#[derive(Debug, Default)]
pub(super) struct Choice {
    pub(super) cluster_reason: String,
    pub(super) endpoint_reason: String,
}

pub(super) fn reasons(
    snapshot: &Snapshot,
    listener: &Listener,
    route: Option<&Route>,
    cluster: Option<&Cluster>,
    outcome: &Outcome,
    question: &Question,
) -> Choice {
    let Some(cluster) = cluster else { return Choice::default() };
    let cluster_reason = match route.map(|route| &route.action) {
        Some(RouteAction::Forward(forward)) => cluster_reason(snapshot, forward, cluster),
        _ => fallback_reason(listener),
    };
    let endpoint_reason = endpoint_reason(cluster, outcome, question);
    Choice { cluster_reason, endpoint_reason }
}

/// Why a connection without a request went somewhere.
fn fallback_reason(listener: &Listener) -> String {
    let ListenerKind::Http(http) = &listener.kind else { return String::new() };
    http.detection.as_ref().map_or_else(String::new, |detection| {
        format!("the client said nothing for {}: no protocol was detected", show_ms(detection.timeout_ms))
    })
}

/// Also what becomes of a request on its way there.
fn cluster_reason(snapshot: &Snapshot, forward: &Forward, cluster: &Cluster) -> String {
    let chosen = choice_reason(snapshot, forward, cluster);
    let Some(bridge) = &forward.bridge else { return chosen };
    let bridged =
        format!("a bridge: requests become {} calls of {}", cluster.protocol, bridge.service.service);
    if chosen.is_empty() { bridged } else { format!("{chosen}; {bridged}") }
}

fn choice_reason(snapshot: &Snapshot, forward: &Forward, cluster: &Cluster) -> String {
    if forward.cluster_header.is_some() {
        return "the request names it".to_owned();
    }
    let total: u64 = forward.weighted_clusters.iter().map(|weighted| u64::from(weighted.weight)).sum();
    let named = |at: u32| snapshot.clusters.get(at as usize).map(|cluster| cluster.name.as_str());
    let own =
        forward.weighted_clusters.iter().find(|weighted| named(weighted.cluster.0) == Some(&cluster.name));
    match own {
        Some(own) => format!(
            "weight {} of {total}: in exact proportion, and this is the first request of a core; --count N shows more",
            own.weight
        ),
        None => String::new(),
    }
}

fn endpoint_reason(cluster: &Cluster, outcome: &Outcome, question: &Question) -> String {
    let count = cluster.endpoints.len();
    let source = question.world.sources.get(&cluster.name);
    let own = || outcome.exchanges.iter().filter(|exchange| exchange.belongs_to(Some(cluster)));
    let Some(last) = own().next_back() else {
        return match count {
            0 => source.map_or_else(|| "the cluster has no endpoint".to_owned(), String::clone),
            _ => format!("none of {count} was asked: {}", outcome.details),
        };
    };
    let mut parts = vec![];
    if count == 1 {
        parts.push("the only one".to_owned());
    } else {
        parts.push(format!("{} over {count} endpoints", algorithm(cluster)));
        let total: u64 = cluster.endpoints.iter().map(|endpoint| u64::from(endpoint.weight)).sum();
        let weight = cluster.endpoints.iter().find(|endpoint| endpoint.address == last.address);
        if let Some(endpoint) = weight.filter(|_| total != count as u64) {
            parts.push(format!("weight {} of {total}", endpoint.weight));
        }
    }
    parts.extend(source.cloned());
    let tried: Vec<String> =
        own().rev().skip(1).map(|exchange| tried(&exchange.address, &exchange.outcome)).collect();
    parts.extend(tried.into_iter().rev());
    if question.world.down.is_empty() && question.world.unhealthy.is_empty() && count > 1 {
        parts.push("all are taken for healthy (--down, --unhealthy ADDRESS)".to_owned());
    }
    parts.join("; ")
}

fn tried(address: &sidering_dataplane::io::Address, outcome: &Reached) -> String {
    let address = show_address(address);
    match outcome {
        Reached::Refused => format!("{address} refused before"),
        Reached::Bytes => format!("{address} was connected before"),
        Reached::Asked(seen) => format!("{address} answered {} before", seen.status),
    }
}

fn algorithm(cluster: &Cluster) -> String {
    let name = lb_name(cluster);
    match &cluster.lb {
        LoadBalancing::LeastRequest | LoadBalancing::Random => format!("{name}, by chance (--random N)"),
        _ => name.to_owned(),
    }
}
