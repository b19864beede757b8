//! How a cluster's requests are spread over its endpoints.

use std::sync::Arc;

/// A load balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoadBalancing {
    /// In turn; where weights differ, in proportion to them.
    #[default]
    RoundRobin,
    /// The less busy of two.
    LeastRequest,
    /// Any, whatever its weight.
    Random,
    /// Of two the one that is expected to answer sooner.
    PeakEwma,
    /// By the request's hash, on a ring.
    RingHash(RingSizes),
    /// By the request's hash, in a table.
    Maglev,
}

impl LoadBalancing {
    /// Whether it goes by the request's hash.
    pub fn is_hashed(self) -> bool {
        matches!(self, LoadBalancing::RingHash(_) | LoadBalancing::Maglev)
    }
}

/// Bounds of the number of places on a ring: 16 bytes each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingSizes {
    pub minimum: u64,
    /// Not below `minimum`.
    pub maximum: u64,
}

impl RingSizes {
    /// Envoy's bound, and its `maximum_ring_size` where nothing else is said: 8 Mi.
    pub const LARGEST: u64 = 8 * 1024 * 1024;
}

impl Default for RingSizes {
    /// Envoy's.
    fn default() -> Self {
        RingSizes { minimum: 1024, maximum: RingSizes::LARGEST }
    }
}

/// Requests stay in the zone that they come from as far as it bears them (Envoy's `zone_aware_lb_config`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneAware {
    /// The one that this proxy stands in.
    pub zone: Arc<str>,
    /// Of the requests, as many go by zones; at most 100.
    pub routing_enabled_percent: u32,
    /// With fewer healthy endpoints zones are not looked at.
    pub min_cluster_size: u32,
    /// Rather no endpoint than an unhealthy one.
    pub fails_on_panic: bool,
    /// All requests stay as long as there is a healthy endpoint, whatever it bears
    /// (`force_locality_direct_routing`).
    pub is_forced: bool,
}

/// An endpoint that is new, or well again, gets its share little by little (Envoy's `slow_start_config`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlowStart {
    /// Never 0.
    pub window_ms: u64,
    /// 1 is linear; with more the share is larger at first. Above 0.
    pub aggression: f64,
    /// Of its weight, at least; up to 100.
    pub min_weight_percent: f64,
}

impl SlowStart {
    /// What part of its weight counts when it has been there for so long.
    pub fn share(&self, elapsed_micros: u64) -> f64 {
        // Envoy counts in whole milliseconds, and the first one in full.
        let elapsed_ms = (elapsed_micros / 1000).max(1);
        if elapsed_ms >= self.window_ms {
            return 1.0;
        }
        let time = elapsed_ms as f64 / self.window_ms as f64;
        time.powf(1.0 / self.aggression).max(self.min_weight_percent / 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Envoy's documents: weight * max(min_weight_percent, time_factor ^ (1 / aggression)).
    #[test]
    fn the_share_grows_with_time() {
        let share = |aggression, percent_of_window: u64| {
            let slow = SlowStart { window_ms: 60_000, aggression, min_weight_percent: 10.0 };
            slow.share(percent_of_window * 600_000)
        };
        for (aggression, percent, expected) in [
            (1.0, 0, 0.1),
            (1.0, 5, 0.1),
            (1.0, 25, 0.25),
            (1.0, 99, 0.99),
            (1.0, 100, 1.0),
            (1.0, 200, 1.0),
            (2.0, 25, 0.5),
            (0.5, 50, 0.25),
            (0.5, 10, 0.1),
        ] {
            let is = share(aggression, percent);
            assert!((is - expected).abs() < 1e-9, "{aggression} {percent}: {is}");
        }
    }
}
