//! The same request many times over on one core: how weights, chance and balancers share it out.

use super::lab::Lab;
use super::question::Question;
use super::{ExplainError, listener};
use crate::config::show_address;
use sidering_dataplane::config::Snapshot;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Requests that had the same fate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    pub cluster: Option<String>,
    pub endpoint: Option<String>,
    pub status: u16,
    pub requests: u32,
}

/// Asks `count` times and tells the shares, the largest first.
pub fn tally(snapshot: &Arc<Snapshot>, question: &Question, count: u32) -> Result<Vec<Share>, ExplainError> {
    let (at, _) = listener::choose(&snapshot.listeners, question)?;
    let mut lab = Lab::new(&question.world.marked(snapshot), question);
    let mut counts = BTreeMap::new();
    for _ in 0..count {
        let outcome = lab.ask(at, question)?;
        let cluster =
            outcome.cluster.and_then(|index| snapshot.clusters.get(index)).map(|cluster| &**cluster);
        let own = outcome.exchanges.iter().rev().find(|exchange| exchange.belongs_to(cluster));
        let fate = (outcome.cluster, own.map(|exchange| show_address(&exchange.address)), outcome.status);
        *counts.entry(fate).or_insert(0) += 1;
    }
    let name = |index: usize| snapshot.clusters.get(index).map(|cluster| cluster.name.clone());
    let share = |((cluster, endpoint, status), requests): ((Option<usize>, _, _), _)| Share {
        cluster: cluster.and_then(name),
        endpoint,
        status,
        requests,
    };
    let mut shares: Vec<Share> = counts.into_iter().map(share).collect();
    shares.sort_by_key(|share| std::cmp::Reverse(share.requests));
    Ok(shares)
}
