//! Which endpoints of a cluster are ejected for what they answer. Plain data.

/// Passive health: Envoy's `OutlierDetection`, with its defaults and units
/// (envoy.config.cluster.v3.OutlierDetection). Percentages are 0..=100.
#[derive(Debug, Clone, PartialEq)]
pub struct OutlierDetection {
    /// Consecutive 5xx answers until a host is an outlier; 0 never.
    pub consecutive_5xx: u32,
    /// Consecutive 502, 503 and 504; 0 never.
    pub consecutive_gateway_failure: u32,
    /// Consecutive failures of our own making (connect, reset, timeout); counted in split mode only; 0 never.
    pub consecutive_local_origin_failure: u32,
    /// Split mode: errors of local origin are counted apart from those that the endpoint answered.
    pub split_local_origin: bool,
    /// Between two sweeps; never 0.
    pub interval_ms: u64,
    /// An ejection lasts this long times the ejections in a row; never 0.
    pub base_ejection_ms: u64,
    /// No ejection lasts longer, jitter aside; at least `base_ejection_ms`.
    pub max_ejection_ms: u64,
    /// Up to this much, at random, is added to each ejection.
    pub max_ejection_jitter_ms: u64,
    pub max_ejected_percent: u32,
    /// Whether one host may be ejected where `max_ejected_percent` allows none.
    pub always_eject_one: bool,
    pub success_rate: SuccessRate,
    pub failure_percentage: FailurePercentage,
    pub enforcing: Enforcing,
    /// Whether a successful active check ends an ejection.
    pub active_check_unejects: bool,
}

/// Hosts that do worse than the others of their cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct SuccessRate {
    pub minimum_hosts: u32,
    /// Requests that a host needs in an interval to be looked at.
    pub request_volume: u64,
    /// In thousandths: 1900 stands for 1.9 standard deviations below the mean.
    pub stdev_factor: u32,
}

/// Hosts that do worse than a fixed bound.
#[derive(Debug, Clone, PartialEq)]
pub struct FailurePercentage {
    pub threshold_percent: u32,
    pub minimum_hosts: u32,
    /// Requests that a host needs in an interval to be looked at.
    pub request_volume: u64,
}

/// The chance, in per cent, that an outlier found in each way is ejected.
#[derive(Debug, Clone, PartialEq)]
pub struct Enforcing {
    pub consecutive_5xx: u32,
    pub consecutive_gateway_failure: u32,
    pub consecutive_local_origin_failure: u32,
    pub success_rate: u32,
    pub local_origin_success_rate: u32,
    pub failure_percentage: u32,
    pub local_origin_failure_percentage: u32,
}

impl OutlierDetection {
    /// Of a cluster with heartbeats that says nothing else: nobody is ejected for what it answers, only for what it does not,
    /// and half of them at most.
    #[must_use]
    pub fn by_heartbeats() -> Self {
        OutlierDetection {
            consecutive_5xx: 0,
            consecutive_gateway_failure: 0,
            consecutive_local_origin_failure: 0,
            max_ejected_percent: 50,
            ..OutlierDetection::default()
        }
    }
}

impl Default for OutlierDetection {
    fn default() -> Self {
        OutlierDetection {
            consecutive_5xx: 5,
            consecutive_gateway_failure: 5,
            consecutive_local_origin_failure: 5,
            split_local_origin: false,
            interval_ms: 10_000,
            base_ejection_ms: 30_000,
            max_ejection_ms: 300_000,
            max_ejection_jitter_ms: 0,
            max_ejected_percent: 10,
            always_eject_one: true,
            success_rate: SuccessRate { minimum_hosts: 5, request_volume: 100, stdev_factor: 1900 },
            failure_percentage: FailurePercentage {
                threshold_percent: 85,
                minimum_hosts: 5,
                request_volume: 50,
            },
            enforcing: Enforcing {
                consecutive_5xx: 100,
                consecutive_gateway_failure: 0,
                consecutive_local_origin_failure: 100,
                success_rate: 100,
                local_origin_success_rate: 100,
                failure_percentage: 0,
                local_origin_failure_percentage: 0,
            },
            active_check_unejects: true,
        }
    }
}
