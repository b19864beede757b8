//! What the counters of filters are called outside, after Envoy. Tables and nothing else.

use super::metric::Kind;
use super::names::Numbers;
use sidering_dataplane::observe::counters::ListenerCounters;

/// A filter by its name in the configuration, and its numbers.
pub(super) const FILTERS: &[(&str, Numbers<ListenerCounters>)] = &[
    ("fault", FAULT),
    ("rbac", RBAC),
    ("cors", CORS),
    ("local_rate_limit", LOCAL_RATE_LIMIT),
    ("concurrency_limit", CONCURRENCY_LIMIT),
    ("adaptive_concurrency", ADAPTIVE_CONCURRENCY),
    ("compressor", COMPRESSOR),
    ("decompressor", DECOMPRESSOR),
];

const FAULT: Numbers<ListenerCounters> = &[
    ("http_fault_delays_injected", "fault.delays_injected", Kind::Counter, "Requests delayed.", |l| {
        &l.filters.fault.delays_injected
    }),
    ("http_fault_aborts_injected", "fault.aborts_injected", Kind::Counter, "Requests aborted.", |l| {
        &l.filters.fault.aborts_injected
    }),
    (
        "http_fault_faults_overflow",
        "fault.faults_overflow",
        Kind::Counter,
        "Faults not injected because of max_active_faults.",
        |l| &l.filters.fault.faults_overflow,
    ),
    (
        "http_fault_active_faults",
        "fault.active_faults",
        Kind::Gauge,
        "Requests with a fault under way.",
        |l| &l.filters.fault.active_faults,
    ),
];

const RBAC: Numbers<ListenerCounters> = &[
    ("http_rbac_allowed", "rbac.allowed", Kind::Counter, "Requests let through.", |l| {
        &l.filters.rbac.allowed
    }),
    ("http_rbac_denied", "rbac.denied", Kind::Counter, "Requests denied.", |l| &l.filters.rbac.denied),
    (
        "http_rbac_shadow_allowed",
        "rbac.shadow_allowed",
        Kind::Counter,
        "Requests that the shadow rules would let through.",
        |l| &l.filters.rbac.shadow_allowed,
    ),
    (
        "http_rbac_shadow_denied",
        "rbac.shadow_denied",
        Kind::Counter,
        "Requests that the shadow rules would deny.",
        |l| &l.filters.rbac.shadow_denied,
    ),
    (
        "http_rbac_logged",
        "rbac.logged",
        Kind::Counter,
        "Requests that a policy with the action log took.",
        |l| &l.filters.rbac.logged,
    ),
    (
        "http_rbac_not_logged",
        "rbac.not_logged",
        Kind::Counter,
        "Requests that no policy with the action log took.",
        |l| &l.filters.rbac.not_logged,
    ),
];

const CORS: Numbers<ListenerCounters> = &[
    (
        "http_cors_origin_valid",
        "cors.origin_valid",
        Kind::Counter,
        "Requests of origins that may ask.",
        |l| &l.filters.cors.origin_valid,
    ),
    (
        "http_cors_origin_invalid",
        "cors.origin_invalid",
        Kind::Counter,
        "Requests of origins that may not ask.",
        |l| &l.filters.cors.origin_invalid,
    ),
];

const LOCAL_RATE_LIMIT: Numbers<ListenerCounters> = &[
    (
        "http_local_rate_limit_enabled",
        "http_local_rate_limit.enabled",
        Kind::Counter,
        "Requests that needed a token.",
        |l| &l.filters.local_rate_limit.enabled,
    ),
    (
        "http_local_rate_limit_ok",
        "http_local_rate_limit.ok",
        Kind::Counter,
        "Requests that got a token.",
        |l| &l.filters.local_rate_limit.ok,
    ),
    (
        "http_local_rate_limit_rate_limited",
        "http_local_rate_limit.rate_limited",
        Kind::Counter,
        "Requests without a token, refused or not.",
        |l| &l.filters.local_rate_limit.rate_limited,
    ),
    (
        "http_local_rate_limit_enforced",
        "http_local_rate_limit.enforced",
        Kind::Counter,
        "Requests refused for want of a token.",
        |l| &l.filters.local_rate_limit.enforced,
    ),
    (
        "http_local_rate_limit_keys",
        "http_local_rate_limit.keys",
        Kind::Gauge,
        "Values with a token bucket of their own.",
        |l| &l.filters.local_rate_limit.keys,
    ),
    (
        "http_local_rate_limit_keys_overflow",
        "http_local_rate_limit.keys_overflow",
        Kind::Counter,
        "Requests whose value shared a token bucket for want of room.",
        |l| &l.filters.local_rate_limit.keys_overflow,
    ),
];

const CONCURRENCY_LIMIT: Numbers<ListenerCounters> = &[
    (
        "http_concurrency_limit_active",
        "concurrency_limit.active",
        Kind::Gauge,
        "Requests under way that have a place.",
        |l| &l.filters.concurrency_limit.active,
    ),
    (
        "http_concurrency_limit_rejected",
        "concurrency_limit.rejected",
        Kind::Counter,
        "Requests refused because as many as may be were under way.",
        |l| &l.filters.concurrency_limit.rejected,
    ),
];

const ADAPTIVE_CONCURRENCY: Numbers<ListenerCounters> = &[
    (
        "http_adaptive_concurrency_gradient_controller_rq_blocked",
        "adaptive_concurrency.gradient_controller.rq_blocked",
        Kind::Counter,
        "Requests refused because the limit was reached.",
        |l| &l.filters.adaptive_concurrency.rq_blocked,
    ),
    (
        "http_adaptive_concurrency_gradient_controller_concurrency_limit",
        "adaptive_concurrency.gradient_controller.concurrency_limit",
        Kind::Gauge,
        "The limits of all controllers together.",
        |l| &l.filters.adaptive_concurrency.concurrency_limit,
    ),
    (
        "http_adaptive_concurrency_gradient_controller_min_rtt_calculation_active",
        "adaptive_concurrency.gradient_controller.min_rtt_calculation_active",
        Kind::Gauge,
        "Controllers that measure minRTT.",
        |l| &l.filters.adaptive_concurrency.min_rtt_calculation_active,
    ),
    (
        "http_adaptive_concurrency_gradient_controller_active",
        "adaptive_concurrency.gradient_controller.active",
        Kind::Gauge,
        "Requests under way.",
        |l| &l.filters.adaptive_concurrency.active,
    ),
];

const COMPRESSOR: Numbers<ListenerCounters> = &[
    ("http_compressor_compressed", "compressor.compressed", Kind::Counter, "Answers compressed.", |l| {
        &l.filters.compressor.compressed
    }),
    (
        "http_compressor_not_compressed",
        "compressor.not_compressed",
        Kind::Counter,
        "Answers with a body that stayed as it was.",
        |l| &l.filters.compressor.not_compressed,
    ),
    (
        "http_compressor_no_accept_header",
        "compressor.no_accept_header",
        Kind::Counter,
        "Answers that could have been compressed, had the client said what it accepts.",
        |l| &l.filters.compressor.no_accept_header,
    ),
    (
        "http_compressor_header_identity",
        "compressor.header_identity",
        Kind::Counter,
        "Answers whose client preferred them as they are.",
        |l| &l.filters.compressor.header_identity,
    ),
    (
        "http_compressor_header_not_valid",
        "compressor.header_not_valid",
        Kind::Counter,
        "Answers whose client accepts no coding that there is.",
        |l| &l.filters.compressor.header_not_valid,
    ),
    (
        "http_compressor_content_length_too_small",
        "compressor.content_length_too_small",
        Kind::Counter,
        "Answers too short to be compressed.",
        |l| &l.filters.compressor.content_length_too_small,
    ),
    (
        "http_compressor_pool_overflow",
        "compressor.pool_overflow",
        Kind::Counter,
        "Answers not compressed because as many as may be were.",
        |l| &l.filters.compressor.pool_overflow,
    ),
    (
        "http_compressor_total_uncompressed_bytes",
        "compressor.total_uncompressed_bytes",
        Kind::Counter,
        "Bytes of bodies before compression.",
        |l| &l.filters.compressor.total_uncompressed_bytes,
    ),
    (
        "http_compressor_total_compressed_bytes",
        "compressor.total_compressed_bytes",
        Kind::Counter,
        "Bytes of bodies behind compression.",
        |l| &l.filters.compressor.total_compressed_bytes,
    ),
];

const DECOMPRESSOR: Numbers<ListenerCounters> = &[
    (
        "http_decompressor_decompressed",
        "decompressor.decompressed",
        Kind::Counter,
        "Answers decompressed.",
        |l| &l.filters.decompressor.decompressed,
    ),
    (
        "http_decompressor_not_decompressed",
        "decompressor.not_decompressed",
        Kind::Counter,
        "Answers with a body that stayed as it was.",
        |l| &l.filters.decompressor.not_decompressed,
    ),
    (
        "http_decompressor_errors",
        "decompressor.errors",
        Kind::Counter,
        "Bodies that were broken or became too large, and were cut off.",
        |l| &l.filters.decompressor.errors,
    ),
    (
        "http_decompressor_pool_overflow",
        "decompressor.pool_overflow",
        Kind::Counter,
        "Answers not decompressed because as many as may be were.",
        |l| &l.filters.decompressor.pool_overflow,
    ),
    (
        "http_decompressor_total_compressed_bytes",
        "decompressor.total_compressed_bytes",
        Kind::Counter,
        "Bytes of bodies before decompression.",
        |l| &l.filters.decompressor.total_compressed_bytes,
    ),
    (
        "http_decompressor_total_uncompressed_bytes",
        "decompressor.total_uncompressed_bytes",
        Kind::Counter,
        "Bytes of bodies behind decompression.",
        |l| &l.filters.decompressor.total_uncompressed_bytes,
    ),
];
