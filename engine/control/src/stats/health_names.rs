//! What control counts about the health of a cluster's endpoints, and what that is called outside, after Envoy.

use super::metric::Kind;
use super::names::Numbers;
use crate::health::outlier::Detection;
use sidering_dataplane::observe::counters::Counter;

/// Of one cluster.
#[derive(Debug, Default)]
pub struct HealthCounters {
    /// Checks that have ended.
    pub attempt: Counter,
    pub success: Counter,
    /// Of all kinds.
    pub failure: Counter,
    /// Of them, no connection, one cut off, or no answer in time.
    pub network_failure: Counter,
    /// Gauge: endpoints that are healthy by their checks.
    pub healthy: Counter,
    /// Gauge: endpoints that traffic may go to.
    pub members_healthy: Counter,
    /// Gauge: endpoints that are ejected.
    pub ejections_active: Counter,
    pub ejections_enforced_total: Counter,
    /// Outliers that were not ejected because too many were.
    pub ejections_overflow: Counter,
    /// By the way in which they were found.
    pub ejections_enforced: [Counter; Detection::ALL.len()],
    pub ejections_detected: [Counter; Detection::ALL.len()],
}

/// Of clusters with checks.
pub(super) const HEALTH_CHECK: Numbers<HealthCounters> = &[
    (
        "cluster_health_check_attempt",
        "health_check.attempt",
        Kind::Counter,
        "Health checks that have ended.",
        |h| &h.attempt,
    ),
    (
        "cluster_health_check_success",
        "health_check.success",
        Kind::Counter,
        "Health checks that were passed.",
        |h| &h.success,
    ),
    (
        "cluster_health_check_failure",
        "health_check.failure",
        Kind::Counter,
        "Health checks that were not passed, for whatever reason.",
        |h| &h.failure,
    ),
    (
        "cluster_health_check_network_failure",
        "health_check.network_failure",
        Kind::Counter,
        "Health checks without a whole answer in time.",
        |h| &h.network_failure,
    ),
    (
        "cluster_health_check_healthy",
        "health_check.healthy",
        Kind::Gauge,
        "Endpoints that are healthy by their checks.",
        |h| &h.healthy,
    ),
];

/// Of clusters with outlier detection.
pub(super) const OUTLIER_DETECTION: Numbers<HealthCounters> = &[
    (
        "cluster_outlier_detection_ejections_active",
        "outlier_detection.ejections_active",
        Kind::Gauge,
        "Endpoints that are ejected.",
        |h| &h.ejections_active,
    ),
    (
        "cluster_outlier_detection_ejections_enforced_total",
        "outlier_detection.ejections_enforced_total",
        Kind::Counter,
        "Ejections, however the outlier was found.",
        |h| &h.ejections_enforced_total,
    ),
    (
        "cluster_outlier_detection_ejections_overflow",
        "outlier_detection.ejections_overflow",
        Kind::Counter,
        "Outliers not ejected because of max_ejected_percent.",
        |h| &h.ejections_overflow,
    ),
    (
        "cluster_outlier_detection_ejections_enforced_consecutive_5xx",
        "outlier_detection.ejections_enforced_consecutive_5xx",
        Kind::Counter,
        "Ejections of outliers found by consecutive 5xx.",
        |h| &h.ejections_enforced[Detection::Consecutive5xx as usize],
    ),
    (
        "cluster_outlier_detection_ejections_enforced_consecutive_gateway_failure",
        "outlier_detection.ejections_enforced_consecutive_gateway_failure",
        Kind::Counter,
        "Ejections of outliers found by consecutive gateway failure.",
        |h| &h.ejections_enforced[Detection::ConsecutiveGatewayFailure as usize],
    ),
    (
        "cluster_outlier_detection_ejections_enforced_consecutive_local_origin_failure",
        "outlier_detection.ejections_enforced_consecutive_local_origin_failure",
        Kind::Counter,
        "Ejections of outliers found by consecutive local origin failure.",
        |h| &h.ejections_enforced[Detection::ConsecutiveLocalOriginFailure as usize],
    ),
    (
        "cluster_outlier_detection_ejections_enforced_success_rate",
        "outlier_detection.ejections_enforced_success_rate",
        Kind::Counter,
        "Ejections of outliers found by success rate.",
        |h| &h.ejections_enforced[Detection::SuccessRate as usize],
    ),
    (
        "cluster_outlier_detection_ejections_enforced_local_origin_success_rate",
        "outlier_detection.ejections_enforced_local_origin_success_rate",
        Kind::Counter,
        "Ejections of outliers found by local origin success rate.",
        |h| &h.ejections_enforced[Detection::LocalOriginSuccessRate as usize],
    ),
    (
        "cluster_outlier_detection_ejections_enforced_failure_percentage",
        "outlier_detection.ejections_enforced_failure_percentage",
        Kind::Counter,
        "Ejections of outliers found by failure percentage.",
        |h| &h.ejections_enforced[Detection::FailurePercentage as usize],
    ),
    (
        "cluster_outlier_detection_ejections_enforced_local_origin_failure_percentage",
        "outlier_detection.ejections_enforced_local_origin_failure_percentage",
        Kind::Counter,
        "Ejections of outliers found by local origin failure percentage.",
        |h| &h.ejections_enforced[Detection::LocalOriginFailurePercentage as usize],
    ),
    (
        "cluster_outlier_detection_ejections_detected_consecutive_5xx",
        "outlier_detection.ejections_detected_consecutive_5xx",
        Kind::Counter,
        "Outliers found, ejected or not, by consecutive 5xx.",
        |h| &h.ejections_detected[Detection::Consecutive5xx as usize],
    ),
    (
        "cluster_outlier_detection_ejections_detected_consecutive_gateway_failure",
        "outlier_detection.ejections_detected_consecutive_gateway_failure",
        Kind::Counter,
        "Outliers found, ejected or not, by consecutive gateway failure.",
        |h| &h.ejections_detected[Detection::ConsecutiveGatewayFailure as usize],
    ),
    (
        "cluster_outlier_detection_ejections_detected_consecutive_local_origin_failure",
        "outlier_detection.ejections_detected_consecutive_local_origin_failure",
        Kind::Counter,
        "Outliers found, ejected or not, by consecutive local origin failure.",
        |h| &h.ejections_detected[Detection::ConsecutiveLocalOriginFailure as usize],
    ),
    (
        "cluster_outlier_detection_ejections_detected_success_rate",
        "outlier_detection.ejections_detected_success_rate",
        Kind::Counter,
        "Outliers found, ejected or not, by success rate.",
        |h| &h.ejections_detected[Detection::SuccessRate as usize],
    ),
    (
        "cluster_outlier_detection_ejections_detected_local_origin_success_rate",
        "outlier_detection.ejections_detected_local_origin_success_rate",
        Kind::Counter,
        "Outliers found, ejected or not, by local origin success rate.",
        |h| &h.ejections_detected[Detection::LocalOriginSuccessRate as usize],
    ),
    (
        "cluster_outlier_detection_ejections_detected_failure_percentage",
        "outlier_detection.ejections_detected_failure_percentage",
        Kind::Counter,
        "Outliers found, ejected or not, by failure percentage.",
        |h| &h.ejections_detected[Detection::FailurePercentage as usize],
    ),
    (
        "cluster_outlier_detection_ejections_detected_local_origin_failure_percentage",
        "outlier_detection.ejections_detected_local_origin_failure_percentage",
        Kind::Counter,
        "Outliers found, ejected or not, by local origin failure percentage.",
        |h| &h.ejections_detected[Detection::LocalOriginFailurePercentage as usize],
    ),
    (
        "cluster_outlier_detection_ejections_enforced_heartbeat",
        "outlier_detection.ejections_enforced_heartbeat",
        Kind::Counter,
        "Ejections by missed heartbeats.",
        |h| &h.ejections_enforced[Detection::Heartbeat as usize],
    ),
    (
        "cluster_outlier_detection_ejections_detected_heartbeat",
        "outlier_detection.ejections_detected_heartbeat",
        Kind::Counter,
        "Outliers found, ejected or not, by missed heartbeats.",
        |h| &h.ejections_detected[Detection::Heartbeat as usize],
    ),
];
