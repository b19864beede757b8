//! The health of endpoints as whoever looks after it tells the data plane. It judges nothing.

use std::fmt::{self, Debug, Formatter};

/// What is known against a host (Envoy's `Host::HealthFlag`). None of it: healthy.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct HealthFlags(u8);

/// What the flags of a host come to, best first (Envoy's `Host::Health`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostHealth {
    Healthy,
    /// Used where too few are healthy.
    Degraded,
    /// Used in a panic only.
    Unhealthy,
}

impl HealthFlags {
    /// Nothing.
    pub const NONE: HealthFlags = HealthFlags(0);
    /// An active health check failed as often as it may.
    pub const FAILED_ACTIVE_CHECK: HealthFlags = HealthFlags(1);
    /// Outlier detection has ejected it.
    pub const FAILED_OUTLIER_CHECK: HealthFlags = HealthFlags(1 << 1);
    /// Discovery says that it is unhealthy.
    pub const FAILED_DISCOVERY: HealthFlags = HealthFlags(1 << 2);
    /// It is to get no new requests.
    pub const DRAINING: HealthFlags = HealthFlags(1 << 3);
    /// An active health check was answered that it is degraded.
    pub const DEGRADED_ACTIVE_CHECK: HealthFlags = HealthFlags(1 << 4);
    /// Discovery says that it is degraded.
    pub const DEGRADED_DISCOVERY: HealthFlags = HealthFlags(1 << 5);
    /// No active health check has been answered yet. It goes with `FAILED_ACTIVE_CHECK` and alone means nothing.
    pub const PENDING_ACTIVE_CHECK: HealthFlags = HealthFlags(1 << 6);

    const UNHEALTHY: HealthFlags = HealthFlags::FAILED_ACTIVE_CHECK
        .with(HealthFlags::FAILED_OUTLIER_CHECK)
        .with(HealthFlags::FAILED_DISCOVERY)
        .with(HealthFlags::DRAINING);
    const DEGRADED: HealthFlags = HealthFlags::DEGRADED_ACTIVE_CHECK.with(HealthFlags::DEGRADED_DISCOVERY);
    /// As Envoy's admin page names them.
    const NAMES: [(HealthFlags, &str); 7] = [
        (HealthFlags::FAILED_ACTIVE_CHECK, "failed_active_hc"),
        (HealthFlags::FAILED_OUTLIER_CHECK, "failed_outlier_check"),
        (HealthFlags::FAILED_DISCOVERY, "failed_eds_health"),
        (HealthFlags::DRAINING, "eds_status_draining"),
        (HealthFlags::DEGRADED_ACTIVE_CHECK, "degraded_active_hc"),
        (HealthFlags::DEGRADED_DISCOVERY, "degraded_eds_health"),
        (HealthFlags::PENDING_ACTIVE_CHECK, "pending_active_hc"),
    ];

    /// These and the others.
    pub const fn with(self, others: HealthFlags) -> HealthFlags {
        HealthFlags(self.0 | others.0)
    }

    /// These without the others.
    pub const fn without(self, others: HealthFlags) -> HealthFlags {
        HealthFlags(self.0 & !others.0)
    }

    /// Whether any of the others is among these.
    pub const fn has_any(self, others: HealthFlags) -> bool {
        self.0 & others.0 != 0
    }

    /// What they come to.
    pub fn health(self) -> HostHealth {
        if self.has_any(HealthFlags::UNHEALTHY) {
            HostHealth::Unhealthy
        } else if self.has_any(HealthFlags::DEGRADED) {
            HostHealth::Degraded
        } else {
            HostHealth::Healthy
        }
    }

    /// The names of those that are set, as Envoy's admin page has them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let set = HealthFlags::NAMES.into_iter().filter(move |(flag, _)| self.has_any(*flag));
        set.map(|(_, name)| name)
    }
}

impl Debug for HealthFlags {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_flag_decides() {
        let failed = HealthFlags::FAILED_ACTIVE_CHECK.with(HealthFlags::PENDING_ACTIVE_CHECK);
        let degraded = HealthFlags::DEGRADED_DISCOVERY;
        for (flags, health) in [
            (HealthFlags::default(), HostHealth::Healthy),
            (HealthFlags::PENDING_ACTIVE_CHECK, HostHealth::Healthy),
            (degraded, HostHealth::Degraded),
            (HealthFlags::DEGRADED_ACTIVE_CHECK, HostHealth::Degraded),
            (failed, HostHealth::Unhealthy),
            (failed.with(degraded), HostHealth::Unhealthy),
            (failed.with(degraded).without(failed), HostHealth::Degraded),
            (HealthFlags::FAILED_OUTLIER_CHECK, HostHealth::Unhealthy),
            (HealthFlags::FAILED_DISCOVERY, HostHealth::Unhealthy),
            (HealthFlags::DRAINING, HostHealth::Unhealthy),
        ] {
            assert_eq!(flags.health(), health, "{flags:?}");
        }
        assert!(failed.names().eq(["failed_active_hc", "pending_active_hc"]));
    }
}
