//! What a balancer sees of an endpoint: its weight, and how busy this core keeps it. It sees no connections.

use crate::config::Endpoint;
use crate::observe::counters::EndpointCounters;

/// The endpoints of a cluster, with what this core counts for them at the same index.
#[derive(Debug, Clone, Copy)]
pub struct Candidates<'a> {
    pub endpoints: &'a [Endpoint],
    /// One that is missing is taken for idle.
    pub counters: &'a [EndpointCounters],
}

impl Candidates<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.endpoints.len()
    }

    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        self.endpoints.is_empty()
    }

    /// Requests of this core that the endpoint has in hand.
    pub fn active_requests(&self, index: usize) -> u64 {
        self.counters.get(index).map_or(0, |counters| counters.requests_active.get())
    }
}

/// Whether any endpoint's share is another than the first one's.
pub(super) fn weights_differ(endpoints: &[Endpoint]) -> bool {
    endpoints.windows(2).any(|pair| pair[0].weight != pair[1].weight)
}

/// Makes an index below `count` of 32 random bits, without a division. `count` is the length of a list, far below 2^32.
pub(super) fn scale(random: u32, count: usize) -> usize {
    ((u64::from(random) * count as u64) >> 32) as usize
}
