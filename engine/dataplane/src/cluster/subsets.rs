//! The subsets of a cluster's hosts, each with priorities, health and a balancer of its own: Envoy's subset load balancer. It
//! opens no connections.
//!
//! Envoy's documents: "Load Balancer Subsets". A request that names values for just the keys of a selector goes to the hosts
//! that have them all; any other one, and one whose subset has no hosts, falls back.

use super::{HostTable, LocalZones, Pick, PickRequest, PrioritySet};
use crate::config::{
    Cluster, HostHealth, Metadata, SubsetFallback, SubsetPolicy, SubsetSelector, has_keys, restrict,
};
use rustc_hash::FxBuildHasher;
use std::collections::HashMap;
use std::rc::Rc;

/// The subsets of one cluster on one core. There are at most as many of each selector as there are hosts.
#[derive(Debug)]
pub(super) struct Subsets {
    policy: SubsetPolicy,
    /// By selector.
    selected: Vec<HashMap<Metadata, PrioritySet, FxBuildHasher>>,
    /// Of the hosts that have the values of the default subset, and others besides.
    default: PrioritySet,
}

/// What a request comes to among the subsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A host of its subset, if one is of use.
    Subset(Option<Pick>),
    /// A host of the default subset, if one is of use.
    Default(Option<Pick>),
    /// Any host will do.
    Any,
    Nothing,
}

impl Subsets {
    pub(super) fn new(config: &Cluster, table: &HostTable, start: usize) -> Option<Self> {
        let policy = config.subsets.clone()?;
        let selected = policy.selectors.iter().map(|_| HashMap::default()).collect();
        let mut subsets = Subsets { policy, selected, default: PrioritySet::empty(config, start) };
        subsets.update(config, table, start);
        Some(subsets)
    }

    /// Members of the table have changed. Subsets that stay keep what they have; those without hosts are forgotten.
    pub(super) fn update(&mut self, config: &Cluster, table: &HostTable, start: usize) {
        for (selector, sets) in self.policy.selectors.iter().zip(&mut self.selected) {
            let mut members: HashMap<Metadata, Vec<u32>, FxBuildHasher> = HashMap::default();
            for &host in table.members() {
                if let Some(subset) = subset_of(table, host, selector) {
                    members.entry(subset).or_default().push(host);
                }
            }
            sets.retain(|subset, _| members.contains_key(subset));
            for (subset, hosts) in members {
                let set = sets.entry(subset).or_insert_with(|| PrioritySet::empty(config, start));
                set.update(table, &hosts);
            }
        }
        let default = &self.policy.default_subset;
        let is_default = |host: &u32| has_all(table, *host, default);
        let hosts: Vec<u32> = table.members().iter().copied().filter(is_default).collect();
        self.default.update(table, &hosts);
    }

    /// A host's health has changed, in the table already: the subsets that it is in are told.
    pub(super) fn on_health(&mut self, table: &HostTable, host: u32, before: HostHealth) {
        for (selector, sets) in self.policy.selectors.iter().zip(&mut self.selected) {
            let set = subset_of(table, host, selector).and_then(|subset| sets.get_mut(&subset));
            if let Some(set) = set {
                set.on_health(table, host, before);
            }
        }
        if has_all(table, host, &self.policy.default_subset) {
            self.default.on_health(table, host, before);
        }
    }

    pub(super) fn set_local_zones(&mut self, table: &HostTable, local: &Rc<LocalZones>) {
        self.selected
            .iter_mut()
            .flat_map(HashMap::values_mut)
            .for_each(|set| set.set_local_zones(table, local));
        self.default.set_local_zones(table, local);
    }

    /// What the request comes to. A subset whose hosts are all unwell is there nevertheless, as in Envoy.
    pub(super) fn pick(&mut self, table: &HostTable, request: &PickRequest<'_>) -> Found {
        let is_it = |selector: &SubsetSelector| has_keys(request.subset, &selector.keys);
        let Some(at) = self.policy.selectors.iter().position(is_it) else {
            return self.fall_back(table, request, None);
        };
        if let Some(set) = self.selected[at].get_mut(request.subset) {
            return Found::Subset(set.pick(table, request));
        }
        self.fall_back(table, request, Some(at))
    }

    fn fall_back(&mut self, table: &HostTable, request: &PickRequest<'_>, at: Option<usize>) -> Found {
        let own = at.and_then(|at| self.policy.selectors[at].fallback.as_ref());
        match own.unwrap_or(&self.policy.fallback) {
            SubsetFallback::NoFallback => Found::Nothing,
            SubsetFallback::AnyEndpoint => Found::Any,
            SubsetFallback::DefaultSubset if self.default.is_empty() => Found::Nothing,
            SubsetFallback::DefaultSubset => Found::Default(self.default.pick(table, request)),
            SubsetFallback::KeysSubset(keys) => {
                // With fewer keys each time this comes to an end.
                match restrict(request.subset, keys) {
                    Some(fewer) => self.pick(table, &PickRequest { subset: &fewer, ..*request }),
                    None => Found::Nothing,
                }
            }
        }
    }
}

fn subset_of(table: &HostTable, host: u32, selector: &SubsetSelector) -> Option<Metadata> {
    table.entry(host).and_then(|entry| restrict(&entry.metadata, &selector.keys))
}

fn has_all(table: &HostTable, host: u32, subset: &Metadata) -> bool {
    let Some(entry) = table.entry(host) else { return false };
    subset.iter().all(|value| entry.metadata.contains(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::lb::testing::endpoints;
    use crate::config::{Endpoint, HealthFlags, metadata};
    use crate::io::Time;
    use std::sync::Arc;

    /// The example of Envoy's documents: hosts e1 to e7 by stage, version, type and xlarge.
    const HOSTS: [&[(&str, &str)]; 7] = [
        &[("stage", "prod"), ("version", "1.0"), ("type", "std"), ("xlarge", "true")],
        &[("stage", "prod"), ("version", "1.0"), ("type", "std")],
        &[("stage", "prod"), ("version", "1.1"), ("type", "std")],
        &[("stage", "prod"), ("version", "1.1"), ("type", "std")],
        &[("stage", "prod"), ("version", "1.0"), ("type", "bigmem")],
        &[("stage", "prod"), ("version", "1.1"), ("type", "bigmem")],
        &[("stage", "dev"), ("version", "1.2-pre"), ("type", "std")],
    ];
    const SELECTORS: [&[&str]; 4] =
        [&["stage", "type"], &["stage", "version"], &["version"], &["version", "xlarge"]];

    fn values(values: &[(&str, &str)]) -> Metadata {
        metadata(values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    fn described() -> Vec<Endpoint> {
        let mut endpoints = endpoints(&[1; 7]);
        for (endpoint, host) in endpoints.iter_mut().zip(HOSTS) {
            endpoint.metadata = values(host);
        }
        endpoints
    }

    struct Bench {
        config: Cluster,
        table: HostTable,
        subsets: Subsets,
    }

    impl Bench {
        fn new(fallback: SubsetFallback, of_version: Option<SubsetFallback>) -> Self {
            let selector = |keys: &&[&str]| SubsetSelector {
                keys: keys.iter().map(|key| (*key).to_owned()).collect(),
                fallback: of_version
                    .clone()
                    .filter(|_| keys.len() == 2 && keys[0] == "stage" && keys[1] == "version"),
            };
            let default_subset = values(&[("stage", "prod"), ("version", "1.0"), ("type", "std")]);
            let selectors = SELECTORS.iter().map(selector).collect();
            let policy = SubsetPolicy { selectors, fallback, default_subset };
            let config = Cluster { subsets: Some(policy), ..Cluster::default() };
            let mut table = HostTable::default();
            let counters: Vec<_> = (0..7).map(|_| Arc::default()).collect();
            table.update(&described(), &counters, Time::default());
            let subsets = Subsets::new(&config, &table, 0).unwrap();
            Bench { config, table, subsets }
        }

        /// The numbers of the hosts that requests with these values go to, as the documents count them.
        fn hosts(&mut self, wanted: &[(&str, &str)]) -> Vec<u32> {
            let wanted = values(wanted);
            let picks = (0..14).filter_map(|_| {
                match self
                    .subsets
                    .pick(&self.table, &PickRequest { subset: &wanted, ..PickRequest::default() })
                {
                    Found::Subset(pick) | Found::Default(pick) => pick.map(|pick| pick.host + 1),
                    Found::Any => Some(0),
                    Found::Nothing => None,
                }
            });
            let mut hosts: Vec<u32> = picks.collect();
            hosts.sort_unstable();
            hosts.dedup();
            hosts
        }
    }

    /// The table of the documents.
    #[test]
    fn requests_go_to_the_hosts_that_have_the_values() {
        let mut bench = Bench::new(SubsetFallback::DefaultSubset, None);
        for (wanted, hosts) in [
            (&[("stage", "prod"), ("type", "std")][..], &[1, 2, 3, 4][..]),
            (&[("type", "bigmem"), ("stage", "prod")], &[5, 6]),
            (&[("stage", "dev"), ("type", "std")], &[7]),
            (&[("stage", "prod"), ("version", "1.0")], &[1, 2, 5]),
            (&[("stage", "prod"), ("version", "1.1")], &[3, 4, 6]),
            (&[("stage", "dev"), ("version", "1.2-pre")], &[7]),
            (&[("version", "1.0")], &[1, 2, 5]),
            (&[("version", "1.2-pre")], &[7]),
            (&[("version", "1.0"), ("xlarge", "true")], &[1]),
            // To the default subset: nobody has that, no selector has these keys, and nothing is wanted.
            (&[("version", "2.0")], &[1, 2]),
            (&[("xlarge", "true")], &[1, 2]),
            (&[], &[1, 2]),
        ] {
            assert_eq!(bench.hosts(wanted), hosts, "{wanted:?}");
        }
    }

    #[test]
    fn what_no_subset_has_falls_back_as_it_is_told() {
        let nobody = [("stage", "prod"), ("version", "2.0")];
        assert_eq!(Bench::new(SubsetFallback::NoFallback, None).hosts(&nobody), []);
        assert_eq!(Bench::new(SubsetFallback::AnyEndpoint, None).hosts(&nobody), [0]);
        let mut bench = Bench::new(SubsetFallback::NoFallback, Some(SubsetFallback::AnyEndpoint));
        assert_eq!(bench.hosts(&nobody), [0], "the selector's own");
        assert_eq!(bench.hosts(&[("version", "2.0")]), [], "and not another one's");
        let keys = SubsetFallback::KeysSubset(vec!["version".to_owned()]);
        let mut bench = Bench::new(SubsetFallback::NoFallback, Some(keys));
        assert_eq!(bench.hosts(&[("stage", "dev"), ("version", "1.1")]), [3, 4, 6], "by its version only");
        assert_eq!(bench.hosts(&nobody), []);
    }

    #[test]
    fn subsets_follow_health_and_members() {
        let mut bench = Bench::new(SubsetFallback::NoFallback, None);
        let version = [("version", "1.1")];
        let before = bench.table.set_health(2, HealthFlags::DRAINING, Time::default()).unwrap();
        bench.subsets.on_health(&bench.table, 2, before.health());
        assert_eq!(bench.hosts(&version), [4, 6]);
        let mut fewer = described();
        fewer.drain(3..6);
        let counters: Vec<_> = fewer.iter().map(|_| Arc::default()).collect();
        bench.table.update(&fewer, &counters, Time::default());
        bench.subsets.update(&bench.config, &bench.table, 0);
        assert_eq!(bench.subsets.selected[1].len(), 3);
        fewer.remove(3);
        bench.table.update(&fewer, &counters[..3], Time::default());
        bench.subsets.update(&bench.config, &bench.table, 0);
        assert_eq!(bench.hosts(&[("version", "1.2-pre")]), [0; 0]);
        assert_eq!(bench.subsets.selected[1].len(), 2, "it is forgotten");
    }
}
