//! Where a core keeps the clusters of a configuration, by their places in it. A cluster that speaks whatever the client does is
//! kept once for each protocol, each with connections, turns and bounds of its own.

use std::rc::Rc;

/// The keys of one configuration's clusters.
#[derive(Debug, Clone)]
pub struct ClusterKeys {
    /// Those of no protocol in particular.
    any: Rc<[u32]>,
    /// By protocol; empty if no cluster speaks what the client does.
    by_protocol: Vec<(&'static str, Rc<[u32]>)>,
}

impl Default for ClusterKeys {
    fn default() -> Self {
        ClusterKeys { any: Rc::from([]), by_protocol: vec![] }
    }
}

impl ClusterKeys {
    /// `rows` has for each cluster its key, or one for each of `protocols`.
    pub fn new(rows: &[Vec<u32>], protocols: &[&'static str]) -> Self {
        let column = |at: usize| rows.iter().map(|row| row.get(at).copied().unwrap_or(row[0])).collect();
        let has_several = rows.iter().any(|row| row.len() > 1);
        let protocols = if has_several { protocols } else { &[] };
        let by_protocol = protocols.iter().enumerate().map(|(at, name)| (*name, column(at))).collect();
        ClusterKeys { any: column(0), by_protocol }
    }

    /// Those that requests of a protocol go by.
    pub fn of(&self, protocol: &str) -> &Rc<[u32]> {
        let found = self.by_protocol.iter().find(|(name, _)| *name == protocol);
        found.map_or(&self.any, |(_, keys)| keys)
    }

    /// Whether these keys are some of them.
    pub fn has(&self, keys: &Rc<[u32]>) -> bool {
        Rc::ptr_eq(keys, &self.any) || self.by_protocol.iter().any(|(_, known)| Rc::ptr_eq(known, keys))
    }

    /// One key of the cluster, where the protocol does not matter.
    pub fn first(&self, cluster: u32) -> Option<u32> {
        self.any.get(cluster as usize).copied()
    }

    /// All keys of the cluster, each once.
    pub fn all(&self, cluster: u32) -> Vec<u32> {
        let mut keys: Vec<u32> = self.first(cluster).into_iter().collect();
        for (_, column) in &self.by_protocol {
            keys.extend(column.get(cluster as usize));
        }
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::ClusterKeys;
    use std::rc::Rc;

    #[test]
    fn a_cluster_has_one_key_or_one_for_each_protocol() {
        let keys = ClusterKeys::new(&[vec![4], vec![7, 2], vec![5]], &["http1", "bolt"]);
        assert_eq!(**keys.of("http1"), [4, 7, 5]);
        assert_eq!(**keys.of("bolt"), [4, 2, 5]);
        assert_eq!(**keys.of("auto"), [4, 7, 5]);
        assert_eq!((keys.all(0), keys.all(1), keys.all(3)), (vec![4], vec![2, 7], vec![]));
        assert!(keys.has(keys.of("bolt")) && !keys.has(&Rc::from([4, 2, 5])));
        let plain = ClusterKeys::new(&[vec![0], vec![1]], &["http1", "bolt"]);
        assert!(Rc::ptr_eq(plain.of("http1"), plain.of("bolt")), "nothing is told apart that is the same");
        assert_eq!((plain.first(1), plain.first(2)), (Some(1), None));
    }
}
