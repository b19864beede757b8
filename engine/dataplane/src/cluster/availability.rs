//! Whether a cluster can serve at all: what chains of route tables ask before they send a request there.

use super::CoreCluster;

impl CoreCluster {
    /// Whether some endpoint, of whatever priority, is healthy or at least degraded. Those that only a panic would use do not
    /// count.
    #[must_use]
    pub fn has_healthy_endpoint(&self) -> bool {
        self.priorities.has_healthy()
    }
}
