//! What the engine itself knows to be so: what the machine's own counters are held against.

use sidering_dataplane::io::Address;

/// Connections accepted on one listener.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListenerTruth {
    /// Told to the machine, and not closed by it.
    pub(crate) open: u64,
    pub(crate) told: u64,
    /// When it was last told that accepting failed.
    pub(crate) accept_failed_at: Option<u64>,
    /// Payload told as received on its connections, relayed bytes included.
    pub(crate) received_bytes: u64,
    pub(crate) sent_bytes: u64,
}

/// Connections to one cluster as one configuration had it.
#[derive(Clone, Debug)]
pub(crate) struct ClusterTruth {
    /// The cluster's number, and which of its configurations this is.
    pub(crate) cluster: usize,
    pub(crate) max_connections: u64,
    pub(crate) connect_timeout_ms: u64,
    /// The bound on what an open connection may go without being told anything.
    pub(crate) addresses: Vec<Address>,
    /// Further ones of the first endpoint.
    pub(crate) alternates: Vec<Address>,
    pub(crate) open: Vec<u64>,
    pub(crate) opened: Vec<u64>,
    /// Connects that failed, be it at once.
    pub(crate) refused: u64,
    pub(crate) failed: u64,
    pub(crate) received_bytes: u64,
    /// The configuration at hand has it; and the version that had it last.
    pub(crate) is_current: bool,
    /// It was replaced and is there again, while its predecessor may have something to finish.
    pub(crate) came_back: bool,
    /// Which addresses are endpoints of it, as far as the machine has been told.
    pub(crate) is_member: Vec<bool>,
    /// Which are said to be unhealthy, as far as the machine has been told; and with how few healthy ones all are used.
    pub(crate) is_unwell: Vec<bool>,
    pub(crate) panic_threshold_percent: u32,
    /// There are always several, so that one of them may be down.
    pub(crate) has_several: bool,
    pub(crate) seen_version: u64,
}

/// Everything the engine counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Truth {
    pub(crate) listeners: Vec<ListenerTruth>,
    pub(crate) clusters: Vec<ClusterTruth>,
    pub(crate) relayed_bytes: u64,
}

/// Which addresses of a cluster are endpoints of it, and which are unhealthy.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    /// Its place in the books.
    pub(crate) at: usize,
    pub(crate) is_member: Vec<bool>,
    pub(crate) is_unwell: Vec<bool>,
}

impl ClusterTruth {
    /// Whether too few endpoints are healthy to look at health at all.
    pub(crate) fn is_in_panic(&self) -> bool {
        let members = self.is_member.iter().filter(|is_member| **is_member).count();
        let both = self.is_member.iter().zip(&self.is_unwell);
        let healthy = both.filter(|(is_member, is_unwell)| **is_member && !**is_unwell).count();
        healthy * 140 / members.max(1) < 100
            && healthy * 100 < self.panic_threshold_percent as usize * members.max(1)
    }

    /// Whether requests to it find nobody.
    pub(crate) fn serves_nobody(&self) -> bool {
        let both = || self.is_member.iter().zip(&self.is_unwell);
        let is_empty = !both().any(|(is_member, _)| *is_member);
        is_empty || !self.is_in_panic() && both().all(|(is_member, is_unwell)| !is_member || *is_unwell)
    }
}

impl Truth {
    /// The cluster's configuration and the endpoint that an address belongs to.
    pub(crate) fn endpoint(&self, address: &Address) -> Option<(usize, usize)> {
        self.clusters.iter().enumerate().find_map(|(at, cluster)| {
            let endpoint = cluster.addresses.iter().position(|known| known == address);
            let further = || cluster.alternates.contains(address).then_some(0);
            Some((at, endpoint.or_else(further)?))
        })
    }

    pub(crate) fn listener(&mut self, id: u32) -> &mut ListenerTruth {
        let at = id as usize;
        if at >= self.listeners.len() {
            self.listeners.resize_with(at + 1, ListenerTruth::default);
        }
        &mut self.listeners[at]
    }

    /// Connections open to a cluster, whatever the configuration.
    pub(crate) fn open_to(&self, cluster: usize) -> u64 {
        let of = self.clusters.iter().filter(|known| known.cluster == cluster);
        of.flat_map(|known| &known.open).sum()
    }

    /// Connections open to one endpoint of a cluster, whatever the configuration.
    pub(crate) fn open_to_endpoint(&self, cluster: usize, endpoint: usize) -> u64 {
        let of = self.clusters.iter().filter(|known| known.cluster == cluster);
        of.filter_map(|known| known.open.get(endpoint)).sum()
    }
}
