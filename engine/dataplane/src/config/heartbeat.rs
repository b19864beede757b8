//! Heartbeats on idle upstream connections: how often, and what is thought of a peer that does not answer. It sends nothing.

/// When an idle connection of a protocol that has heartbeats is asked whether it is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// From the last call or heartbeat to the next one, at first. An endpoint whose idle connections are cut is asked more
    /// often, down to [`SHORTEST_MS`](Self::SHORTEST_MS); while it answers, less and less often.
    pub interval_ms: u64,
    /// It is never longer than this.
    pub max_interval_ms: u64,
    /// An answer takes no longer; else the connection is closed, and its endpoint ejected if it
    /// has ever answered one.
    pub timeout_ms: u64,
}

impl Heartbeat {
    /// The shortest interval that cut connections lead to.
    pub const SHORTEST_MS: u64 = 1_000;

    /// The interval after one of `interval_ms` that was answered.
    #[must_use]
    pub fn longer(&self, interval_ms: u64) -> u64 {
        (interval_ms + interval_ms / 4).min(self.max_interval_ms)
    }

    /// The interval after a connection was cut that had been silent for `silent_ms`.
    #[must_use]
    pub fn shorter(&self, interval_ms: u64, silent_ms: u64) -> u64 {
        (silent_ms.min(interval_ms) / 2).max(Self::SHORTEST_MS).min(interval_ms)
    }
}

impl Default for Heartbeat {
    /// Fifteen seconds, as SOFABolt's clients have it, and up to a minute.
    fn default() -> Self {
        Heartbeat { interval_ms: 15_000, max_interval_ms: 60_000, timeout_ms: 5_000 }
    }
}

#[cfg(test)]
mod tests {
    use super::Heartbeat;

    #[test]
    fn intervals_grow_to_their_bound_and_shrink_to_theirs() {
        let heartbeat = Heartbeat { interval_ms: 4_000, max_interval_ms: 6_000, timeout_ms: 1 };
        assert_eq!(heartbeat.longer(4_000), 5_000);
        assert_eq!(heartbeat.longer(5_000), 6_000);
        assert_eq!(heartbeat.longer(6_000), 6_000);
        assert_eq!(heartbeat.shorter(6_000, 5_000), 2_500);
        assert_eq!(heartbeat.shorter(2_500, 9_000), 1_250);
        assert_eq!(heartbeat.shorter(1_250, 1_250), 1_000);
        assert_eq!(heartbeat.shorter(1_000, 10), 1_000);
    }
}
