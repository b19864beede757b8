//! Random: any endpoint as likely as any other. Weights are not looked at, as in Envoy.

use super::candidates::{Candidates, scale};

/// A host; `None` only if there is none at all.
pub(super) fn pick(candidates: Candidates<'_>, random: u64) -> Option<u32> {
    candidates.hosts().get(scale((random >> 32) as u32, candidates.len())).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::HostTable;
    use crate::cluster::lb::testing::{Random, hosts, within_bounds};

    #[test]
    fn every_endpoint_has_the_same_share_whatever_its_weight() {
        let hosts = hosts(&[1, 1, 1, 97]);
        let candidates = hosts.candidates();
        let mut random = Random::new(7);
        let mut counts = [0; 4];
        for _ in 0..40_000 {
            counts[pick(candidates, random.next()).unwrap() as usize] += 1;
        }
        assert!(counts.iter().all(|count| within_bounds(*count, 40_000, 0.25)), "{counts:?}");
    }

    #[test]
    fn the_ends_of_the_range_are_endpoints() {
        let hosts = hosts(&[1, 1, 1]);
        let candidates = hosts.candidates();
        assert_eq!((pick(candidates, 0), pick(candidates, u64::MAX)), (Some(0), Some(2)));
        assert_eq!(pick(HostTable::default().candidates(), 1), None);
    }
}
