//! Splits a route's requests over weighted clusters in exact proportion. It knows no request and draws no lots.

use super::table::{RouteTable, Routed};
use crate::config::{Route, RouteAction, WeightedCluster};
use std::cell::Cell;

/// The turns of all weighted clusters of a table, on one core.
#[derive(Debug)]
pub struct Splits {
    /// By virtual host and route; a host without weighted clusters has none.
    hosts: Box<[HostSplits]>,
}

type HostSplits = Box<[Option<Box<Split>>]>;

impl Splits {
    /// All at their beginning.
    #[must_use]
    pub fn new(table: &RouteTable) -> Self {
        Splits { hosts: table.virtual_hosts().iter().map(|host| splits(&host.routes)).collect() }
    }

    /// Which of its weighted clusters gets the next request of a route; 0 if it has none.
    #[must_use]
    pub fn pick(&self, route: &Routed<'_>) -> usize {
        let host = self.hosts.get(route.virtual_host);
        let split = host.and_then(|splits| splits.get(route.index)?.as_ref());
        split.map_or(0, |split| split.pick())
    }
}

/// Nothing at all where no route of the host has weighted clusters.
fn splits(routes: &[Route]) -> HostSplits {
    let split = |route: &Route| match &route.action {
        RouteAction::Forward(forward) => Split::new(&forward.weighted_clusters).map(Box::new),
        _ => None,
    };
    let splits: HostSplits = routes.iter().map(split).collect();
    if splits.iter().all(Option::is_none) { Box::default() } else { splits }
}

/// The turn of one route on one core. In any run of as many requests as the weights add up to, that begins where such a
/// run ended, each cluster gets exactly its weight, spread out (smooth weighted round robin). A reload begins anew.
#[derive(Debug)]
pub struct Split {
    weights: Box<[i64]>,
    total: i64,
    /// Compiled routes are shared by the streams of a core, and only one of them is routed at a time.
    credits: Box<[Cell<i64>]>,
}

impl Split {
    /// `None` for a route without weighted clusters.
    pub fn new(clusters: &[WeightedCluster]) -> Option<Split> {
        if clusters.is_empty() {
            return None;
        }
        let weights: Box<[i64]> = clusters.iter().map(|cluster| i64::from(cluster.weight)).collect();
        let credits = weights.iter().map(|_| Cell::new(0)).collect();
        Some(Split { total: weights.iter().sum(), weights, credits })
    }

    /// The place of the next request's cluster among those given.
    pub fn pick(&self) -> usize {
        let mut richest = 0;
        let mut most = i64::MIN;
        for (index, (weight, credit)) in self.weights.iter().zip(&self.credits).enumerate() {
            credit.set(credit.get() + weight);
            // Without a weight it owes nothing and gets nothing, whatever the others have.
            if *weight > 0 && credit.get() > most {
                (richest, most) = (index, credit.get());
            }
        }
        let credit = &self.credits[richest];
        credit.set(credit.get() - self.total);
        richest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ClusterIndex;

    fn split(weights: &[u32]) -> Split {
        let cluster = |(at, &weight)| WeightedCluster { cluster: ClusterIndex(at as u32), weight };
        Split::new(&weights.iter().enumerate().map(cluster).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn every_round_is_exact() {
        for weights in [&[90, 10][..], &[1], &[5, 1, 1], &[0, 3, 0, 2], &[1, 999_999], &[7; 64]] {
            let split = split(weights);
            let total: u32 = weights.iter().sum();
            for _ in 0..2 {
                let mut got = vec![0; weights.len()];
                (0..total).for_each(|_| got[split.pick()] += 1);
                assert_eq!(got, weights);
            }
        }
    }

    #[test]
    fn at_no_time_is_a_cluster_a_whole_request_away_from_its_share() {
        let split = split(&[90, 10]);
        let mut gray = 0.0;
        for sent in 1..=1000 {
            gray += if split.pick() == 1 { 1.0 } else { 0.0 };
            assert!((gray - f64::from(sent) / 10.0_f64).abs() < 1.0, "{gray} of {sent}");
        }
    }

    #[test]
    fn the_largest_weights_do_not_overflow() {
        let split = split(&[u32::MAX; 64]);
        assert_eq!((0..128).map(|_| split.pick()).filter(|&picked| picked == 63).count(), 2);
    }

    #[test]
    fn no_clusters_no_split() {
        assert!(Split::new(&[]).is_none());
    }
}
