//! What each counter is called outside, after Envoy. Tables and nothing else.

use super::metric::Kind;
use crate::discovery::SearchCounters;
use sidering_dataplane::observe::counters::{
    ClusterCounters, CoreCounters, Counter, EngineCounters, ListenerCounters,
};
use sidering_dataplane::observe::histogram::Histogram;
use sidering_dataplane::observe::methods::MethodCounters;

/// A number of one thing, by name: its metric's name behind the group's, its kind, its help, where it is counted.
pub(super) type Numbers<C> =
    &'static [(&'static str, &'static str, Kind, &'static str, fn(&C) -> &Counter)];
pub(super) type Times<C> = &'static [(&'static str, &'static str, &'static str, fn(&C) -> &Histogram)];

pub(super) const LISTENER: Numbers<ListenerCounters> = &[
    ("listener_downstream_cx_total", "downstream_cx_total", Kind::Counter, "Connections accepted.", |l| {
        &l.connections_total
    }),
    ("listener_downstream_cx_active", "downstream_cx_active", Kind::Gauge, "Connections open.", |l| {
        &l.connections_active
    }),
    (
        "listener_downstream_cx_overflow",
        "downstream_cx_overflow",
        Kind::Counter,
        "Connections closed at once because of max_connections.",
        |l| &l.connections_overflow,
    ),
    (
        "listener_downstream_cx_accept_paused",
        "downstream_cx_accept_paused",
        Kind::Counter,
        "Times accepting paused because no descriptor was left.",
        |l| &l.accept_paused,
    ),
];
/// Of listeners that find out what their connections speak.
pub(super) const DETECTION: Numbers<ListenerCounters> = &[
    (
        "listener_downstream_cx_undetected",
        "downstream_cx_undetected",
        Kind::Counter,
        "Connections whose first bytes are none of the listener's protocols.",
        |l| &l.connections_unknown,
    ),
    (
        "listener_downstream_pre_cx_timeout",
        "downstream_pre_cx_timeout",
        Kind::Counter,
        "Connections that did not tell their protocol in time.",
        |l| &l.detection_timeouts,
    ),
];
pub(super) const HTTP: Numbers<ListenerCounters> = &[
    ("http_downstream_cx_total", "downstream_cx_total", Kind::Counter, "Connections accepted.", |l| {
        &l.connections_total
    }),
    ("http_downstream_cx_active", "downstream_cx_active", Kind::Gauge, "Connections open.", |l| {
        &l.connections_active
    }),
    (
        "http_downstream_cx_protocol_error",
        "downstream_cx_protocol_error",
        Kind::Counter,
        "Requests that broke the protocol.",
        |l| &l.protocol_errors,
    ),
    (
        "http_downstream_cx_rx_bytes_total",
        "downstream_cx_rx_bytes_total",
        Kind::Counter,
        "Bytes received from downstream.",
        |l| &l.received_bytes,
    ),
    (
        "http_downstream_cx_tx_bytes_total",
        "downstream_cx_tx_bytes_total",
        Kind::Counter,
        "Bytes sent to downstream.",
        |l| &l.sent_bytes,
    ),
    ("http_downstream_rq_total", "downstream_rq_total", Kind::Counter, "Requests.", |l| &l.requests_total),
    ("http_downstream_rq_active", "downstream_rq_active", Kind::Gauge, "Requests under way.", |l| {
        &l.requests_active
    }),
    (
        "http_downstream_rq_max_duration_reached",
        "downstream_rq_max_duration_reached",
        Kind::Counter,
        "Requests ended because of their route's max_stream_duration.",
        |l| &l.durations_reached,
    ),
    (
        "http_downstream_rq_timeout",
        "downstream_rq_timeout",
        Kind::Counter,
        "Requests or connections ended by a timeout of the listener.",
        |l| &l.timeouts,
    ),
];
pub(super) const HTTP_TIMES: Times<ListenerCounters> = &[
    (
        "http_downstream_rq_time",
        "downstream_rq_time",
        "Milliseconds from a request's first byte to the last byte of its response.",
        |l| &l.request_time,
    ),
    (
        "process_time",
        "process_time",
        "Milliseconds that a request spent inside the proxy itself, waiting for neither peer.",
        |l| &l.process_time,
    ),
];
pub(super) const TCP: Numbers<ListenerCounters> = &[
    ("tcp_downstream_cx_total", "downstream_cx_total", Kind::Counter, "Connections accepted.", |l| {
        &l.connections_total
    }),
    (
        "tcp_downstream_cx_rx_bytes_total",
        "downstream_cx_rx_bytes_total",
        Kind::Counter,
        "Bytes received from downstream.",
        |l| &l.received_bytes,
    ),
    (
        "tcp_downstream_cx_tx_bytes_total",
        "downstream_cx_tx_bytes_total",
        Kind::Counter,
        "Bytes sent to downstream.",
        |l| &l.sent_bytes,
    ),
    (
        "tcp_downstream_cx_timeout",
        "downstream_cx_timeout",
        Kind::Counter,
        "Connections ended by a timeout of the listener.",
        |l| &l.timeouts,
    ),
];
pub(super) const CLUSTER: Numbers<ClusterCounters> = &[
    ("cluster_upstream_cx_total", "upstream_cx_total", Kind::Counter, "Connections opened.", |c| {
        &c.connections_total
    }),
    ("cluster_upstream_cx_active", "upstream_cx_active", Kind::Gauge, "Connections open.", |c| {
        &c.connections_active
    }),
    ("cluster_upstream_cx_idle", "upstream_cx_idle", Kind::Gauge, "Connections that wait in a pool.", |c| {
        &c.connections_idle
    }),
    (
        "cluster_upstream_cx_handed_over",
        "upstream_cx_handed_over",
        Kind::Counter,
        "Connections that one core got of another.",
        |c| &c.handovers,
    ),
    (
        "cluster_upstream_cx_handover_declined",
        "upstream_cx_handover_declined",
        Kind::Counter,
        "Times a core asked another one for a connection, and got none or too late.",
        |c| &c.handovers_declined,
    ),
    (
        "cluster_upstream_cx_connect_fail",
        "upstream_cx_connect_fail",
        Kind::Counter,
        "Connections that could not be opened.",
        |c| &c.connect_failures,
    ),
    (
        "cluster_upstream_cx_connect_timeout",
        "upstream_cx_connect_timeout",
        Kind::Counter,
        "Connections not opened within connect_timeout.",
        |c| &c.connect_timeouts,
    ),
    (
        "cluster_upstream_cx_rx_bytes_total",
        "upstream_cx_rx_bytes_total",
        Kind::Counter,
        "Bytes received from upstream.",
        |c| &c.received_bytes,
    ),
    (
        "cluster_upstream_cx_tx_bytes_total",
        "upstream_cx_tx_bytes_total",
        Kind::Counter,
        "Bytes sent to upstream.",
        |c| &c.sent_bytes,
    ),
    ("cluster_upstream_rq_total", "upstream_rq_total", Kind::Counter, "Requests sent.", |c| {
        &c.requests_total
    }),
    ("cluster_upstream_rq_active", "upstream_rq_active", Kind::Gauge, "Requests under way.", |c| {
        &c.requests_active
    }),
    (
        "cluster_upstream_rq_pending_active",
        "upstream_rq_pending_active",
        Kind::Gauge,
        "Requests that wait for a connection.",
        |c| &c.requests_pending,
    ),
    (
        "cluster_upstream_rq_pending_overflow",
        "upstream_rq_pending_overflow",
        Kind::Counter,
        "Requests refused because of max_pending or max_requests.",
        |c| &c.requests_overflow,
    ),
    (
        "cluster_upstream_rq_retry",
        "upstream_rq_retry",
        Kind::Counter,
        "Requests sent again by a retry policy.",
        |c| &c.retries,
    ),
    (
        "cluster_upstream_rq_retry_success",
        "upstream_rq_retry_success",
        Kind::Counter,
        "Retried requests whose answer was no reason for another retry.",
        |c| &c.retries_succeeded,
    ),
    (
        "cluster_upstream_rq_retry_overflow",
        "upstream_rq_retry_overflow",
        Kind::Counter,
        "Retries refused by the circuit breaker or the retry budget.",
        |c| &c.retries_overflow,
    ),
    (
        "cluster_upstream_rq_retry_limit_exceeded",
        "upstream_rq_retry_limit_exceeded",
        Kind::Counter,
        "Failures with a reason for a retry, and none left.",
        |c| &c.retries_exhausted,
    ),
    (
        "cluster_upstream_rq_retry_backoff_exponential",
        "upstream_rq_retry_backoff_exponential",
        Kind::Counter,
        "Retries that waited for an exponential back-off.",
        |c| &c.retries_backed_off,
    ),
    (
        "cluster_retry_or_shadow_abandoned",
        "retry_or_shadow_abandoned",
        Kind::Counter,
        "Requests whose body was too long to be kept for retries and mirrors.",
        |c| &c.retries_abandoned,
    ),
    (
        "cluster_upstream_rq_shadow_dropped",
        "upstream_rq_shadow_dropped",
        Kind::Counter,
        "Requests that were to be mirrored to the cluster, and found no room there.",
        |c| &c.shadows_dropped,
    ),
    (
        "cluster_upstream_rq_retry_active",
        "upstream_rq_retry_active",
        Kind::Gauge,
        "Retries under way, those that back off included.",
        |c| &c.retries_active,
    ),
    (
        "cluster_upstream_rq_retry_stale",
        "upstream_rq_retry_stale",
        Kind::Counter,
        "Requests sent again because their pooled connection was closed.",
        |c| &c.requests_retried_stale,
    ),
    (
        "cluster_upstream_rq_stray",
        "upstream_rq_stray",
        Kind::Counter,
        "Answers to requests that were not under way, or no longer.",
        |c| &c.stray_answers,
    ),
    (
        "cluster_upstream_heartbeat",
        "upstream_heartbeat",
        Kind::Counter,
        "Heartbeats sent on idle connections.",
        |c| &c.heartbeats,
    ),
    (
        "cluster_upstream_heartbeat_missed",
        "upstream_heartbeat_missed",
        Kind::Counter,
        "Heartbeats that were not answered in time.",
        |c| &c.heartbeats_missed,
    ),
    (
        "cluster_upstream_rq_per_try_timeout",
        "upstream_rq_per_try_timeout",
        Kind::Counter,
        "Attempts not answered within the timeout of one try.",
        |c| &c.per_try_timeouts,
    ),
    (
        "cluster_upstream_rq_timeout",
        "upstream_rq_timeout",
        Kind::Counter,
        "Requests not answered within their timeout.",
        |c| &c.request_timeouts,
    ),
    (
        "cluster_lb_healthy_panic",
        "lb_healthy_panic",
        Kind::Counter,
        "Picks among all endpoints of a priority because too few were healthy.",
        |c| &c.lb_healthy_panic,
    ),
    (
        "cluster_lb_subsets_selected",
        "lb_subsets_selected",
        Kind::Counter,
        "Picks in the subset that a request wants.",
        |c| &c.lb_subsets_selected,
    ),
    (
        "cluster_lb_subsets_fallback",
        "lb_subsets_fallback",
        Kind::Counter,
        "Picks by the fallback policy of subsets.",
        |c| &c.lb_subsets_fallback,
    ),
    (
        "cluster_lb_zone_routing_all_directly",
        "lb_zone_routing_all_directly",
        Kind::Counter,
        "Requests that stayed in their zone, as all do.",
        |c| &c.lb_zone_routing_all_directly,
    ),
    (
        "cluster_lb_zone_routing_sampled",
        "lb_zone_routing_sampled",
        Kind::Counter,
        "Requests that stayed in their zone, as some do.",
        |c| &c.lb_zone_routing_sampled,
    ),
    (
        "cluster_lb_zone_routing_cross_zone",
        "lb_zone_routing_cross_zone",
        Kind::Counter,
        "Requests that went to another zone.",
        |c| &c.lb_zone_routing_cross_zone,
    ),
    (
        "cluster_lb_zone_cluster_too_small",
        "lb_zone_cluster_too_small",
        Kind::Counter,
        "Requests whose zone was not looked at because the cluster is too small.",
        |c| &c.lb_zone_cluster_too_small,
    ),
    (
        "cluster_lb_local_cluster_not_ok",
        "lb_local_cluster_not_ok",
        Kind::Counter,
        "Requests whose zone was not looked at because the local cluster has nobody there, or is in a panic.",
        |c| &c.lb_local_cluster_not_ok,
    ),
    (
        "cluster_lb_zone_no_capacity_left",
        "lb_zone_no_capacity_left",
        Kind::Counter,
        "Requests that went to any zone because rounding left no room.",
        |c| &c.lb_zone_no_capacity_left,
    ),
    (
        "cluster_upstream_rq_rx_reset",
        "upstream_rq_rx_reset",
        Kind::Counter,
        "Responses cut short or broken by the upstream.",
        |c| &c.response_errors,
    ),
];
pub(super) const CLUSTER_TIMES: Times<ClusterCounters> = &[(
    "cluster_upstream_rq_time",
    "upstream_rq_time",
    "Milliseconds from a request's head sent to the end of its response.",
    |c| &c.request_time,
)];
/// How the search for a cluster's endpoints goes: all of them count up.
type SearchNumbers = &'static [(&'static str, &'static str, &'static str, fn(&SearchCounters) -> u64)];

/// Of clusters whose endpoints are searched for.
pub(super) const SEARCH: SearchNumbers = &[
    ("cluster_update_attempt", "update_attempt", "Attempts to find the endpoints.", |s| s.update_attempt),
    ("cluster_update_success", "update_success", "Attempts that had an answer.", |s| s.update_success),
    ("cluster_update_failure", "update_failure", "Attempts that failed.", |s| s.update_failure),
    ("cluster_update_empty", "update_empty", "Answers without any endpoint.", |s| s.update_empty),
    ("cluster_update_no_rebuild", "update_no_rebuild", "Answers that changed no endpoint.", |s| {
        s.update_no_rebuild
    }),
];
/// Added up over the cores.
pub(super) const CORE: Numbers<CoreCounters> = &[
    (
        "body_bytes_copied",
        "body_bytes_copied",
        Kind::Counter,
        "Body bytes copied in user space: 0 on the plain paths.",
        |c| &c.body_bytes_copied,
    ),
    (
        "tail_bytes_copied",
        "tail_bytes_copied",
        Kind::Counter,
        "Body bytes of small tails copied behind their head.",
        |c| &c.tail_bytes_copied,
    ),
    (
        "replay_bytes_copied",
        "replay_bytes_copied",
        Kind::Counter,
        "Body bytes of requests that were copied to be sent again if need be; long ones are held instead.",
        |c| &c.replay_bytes_copied,
    ),
    (
        "held_bytes_copied",
        "held_bytes_copied",
        Kind::Counter,
        "Body bytes copied because their message had to wait for a connection or its turn; long ones are held instead.",
        |c| &c.held_bytes_copied,
    ),
    (
        "body_bytes_relayed",
        "body_bytes_relayed",
        Kind::Counter,
        "Body bytes that went by inside the kernel.",
        |c| &c.body_bytes_relayed,
    ),
    (
        "access_log_dropped",
        "access_log_dropped",
        Kind::Counter,
        "Access-log records dropped because the log thread was behind.",
        |c| &c.access_log_dropped,
    ),
    (
        "notices_dropped",
        "notices_dropped",
        Kind::Counter,
        "Notices of outliers dropped because the control thread was behind.",
        |c| &c.notices_dropped,
    ),
    ("streams_active", "streams_active", Kind::Gauge, "Requests and tunnels under way.", |c| {
        &c.streams_active
    }),
    (
        "connections_active",
        "connections_active",
        Kind::Gauge,
        "Connections of the data plane, both sides.",
        |c| &c.connections_active,
    ),
    ("timers", "timers", Kind::Gauge, "Timers pending.", |c| &c.timers),
];
/// Added up over the cores.
pub(super) const ENGINE: Numbers<EngineCounters> = &[
    (
        "slots_in_use",
        "slots_in_use",
        Kind::Gauge,
        "Receive buffers held by the data plane or by sends in flight.",
        |e| &e.slots_in_use,
    ),
    ("slot_bytes", "slot_bytes", Kind::Gauge, "Bytes of receive buffers backed by memory.", |e| {
        &e.slot_bytes
    }),
    ("receives_parked", "receives_parked", Kind::Gauge, "Receives waiting for a buffer.", |e| {
        &e.receives_parked
    }),
    (
        "receives_parked_total",
        "receives_parked_total",
        Kind::Counter,
        "Times a receive had to wait for a buffer.",
        |e| &e.receives_parked_total,
    ),
    (
        "completion_queue_overflows",
        "completion_queue_overflows",
        Kind::Counter,
        "Times the kernel's completion queue overflowed.",
        |e| &e.completion_queue_overflows,
    ),
    (
        "multishot_rearms",
        "multishot_rearms",
        Kind::Counter,
        "Multishot operations that the kernel ended without being asked to.",
        |e| &e.multishot_rearms,
    ),
    ("short_sends", "short_sends", Kind::Counter, "Sends of which the kernel took only a part.", |e| {
        &e.short_sends
    }),
    (
        "late_completions",
        "late_completions",
        Kind::Counter,
        "Completions for connections already closed.",
        |e| &e.late_completions,
    ),
    ("relayed_bytes", "relayed_bytes", Kind::Counter, "Bytes moved by the kernel relay.", |e| {
        &e.relayed_bytes
    }),
    (
        "engine_connections",
        "engine_connections",
        Kind::Gauge,
        "Connections the engine holds, closing ones included.",
        |e| &e.connections,
    ),
];
/// Core by core.
pub(super) const EACH_CORE: Numbers<CoreCounters> = &[
    (
        "core_connections_active",
        "connections_active",
        Kind::Gauge,
        "Connections of the data plane, both sides, on one core.",
        |c| &c.connections_active,
    ),
    (
        "core_streams_active",
        "streams_active",
        Kind::Gauge,
        "Requests and tunnels under way on one core.",
        |c| &c.streams_active,
    ),
    (
        "core_snapshot_version",
        "snapshot_version",
        Kind::Gauge,
        "Version of the configuration in use on one core.",
        |c| &c.snapshot_version,
    ),
];
/// Core by core.
pub(super) const EACH_ENGINE: Numbers<EngineCounters> = &[
    ("core_turns", "turns", Kind::Counter, "Turns of the loop of one core, each one system call.", |e| {
        &e.turns
    }),
    ("core_completions", "completions", Kind::Counter, "Completions handled on one core.", |e| {
        &e.completions
    }),
];

/// Of a method of a service.
pub(super) const METHOD: Numbers<MethodCounters> =
    &[("rpc_downstream_rq_total", "downstream_rq_total", Kind::Counter, "Calls.", |m| &m.requests)];
pub(super) const METHOD_TIMES: Times<MethodCounters> = &[(
    "rpc_downstream_rq_time",
    "downstream_rq_time",
    "Milliseconds from a call's first byte to the last byte of its answer.",
    |m| &m.time,
)];
