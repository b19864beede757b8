//! How endpoints are checked and ejected, in the words of the configuration file.

use crate::config::show_ms;
use crate::json::Json;
use sidering_codecs::registry::{Protocol, protocol};
use sidering_dataplane::config::{
    Cluster, HealthCheck, Heartbeat, HttpProbe, OutlierDetection, Probe, TcpProbe,
};

pub(super) fn health(json: &mut Json, cluster: &Cluster) {
    let known = protocol(cluster.protocol);
    if known.is_some_and(Protocol::has_heartbeats) {
        json.key("heartbeat").object(|json| write_heartbeat(json, cluster.heartbeat.as_ref()));
    }
    if let Some(check) = &cluster.health_check {
        json.key("health_check").object(|json| write_check(json, check));
    }
    if let Some(detection) = &cluster.outlier_detection {
        json.key("outlier_detection").object(|json| write_detection(json, detection));
    }
}

fn write_heartbeat(json: &mut Json, heartbeat: Option<&Heartbeat>) {
    json.key("interval").text(&show_ms(heartbeat.map_or(0, |heartbeat| heartbeat.interval_ms)));
    if let Some(heartbeat) = heartbeat {
        json.key("max_interval").text(&show_ms(heartbeat.max_interval_ms));
        json.key("timeout").text(&show_ms(heartbeat.timeout_ms));
    }
}

fn write_detection(json: &mut Json, detection: &OutlierDetection) {
    json.key("consecutive_errors").number(u64::from(detection.consecutive_5xx));
    json.key("consecutive_gateway_errors").number(u64::from(detection.consecutive_gateway_failure));
    json.key("consecutive_local_origin_errors").number(u64::from(detection.consecutive_local_origin_failure));
    json.key("split_local_origin_errors").boolean(detection.split_local_origin);
    json.key("interval").text(&show_ms(detection.interval_ms));
    json.key("base_ejection").text(&show_ms(detection.base_ejection_ms));
    json.key("max_ejection").text(&show_ms(detection.max_ejection_ms));
    json.key("max_ejection_jitter").text(&show_ms(detection.max_ejection_jitter_ms));
    json.key("max_ejected_percent").number(u64::from(detection.max_ejected_percent));
    json.key("always_eject_one_host").boolean(detection.always_eject_one);
    json.key("success_rate").object(|json| {
        json.key("minimum_hosts").number(u64::from(detection.success_rate.minimum_hosts));
        json.key("request_volume").number(detection.success_rate.request_volume);
        json.key("stdev_factor").number(u64::from(detection.success_rate.stdev_factor));
    });
    json.key("failure_percentage").object(|json| {
        json.key("threshold").number(u64::from(detection.failure_percentage.threshold_percent));
        json.key("minimum_hosts").number(u64::from(detection.failure_percentage.minimum_hosts));
        json.key("request_volume").number(detection.failure_percentage.request_volume);
    });
    let enforcing = &detection.enforcing;
    json.key("enforcing").object(|json| {
        for (key, percent) in [
            ("consecutive_errors", enforcing.consecutive_5xx),
            ("consecutive_gateway_errors", enforcing.consecutive_gateway_failure),
            ("consecutive_local_origin_errors", enforcing.consecutive_local_origin_failure),
            ("success_rate", enforcing.success_rate),
            ("local_origin_success_rate", enforcing.local_origin_success_rate),
            ("failure_percentage", enforcing.failure_percentage),
            ("local_origin_failure_percentage", enforcing.local_origin_failure_percentage),
        ] {
            json.key(key).number(u64::from(percent));
        }
    });
    json.key("successful_active_check_unejects_host").boolean(detection.active_check_unejects);
}

fn write_check(json: &mut Json, check: &HealthCheck) {
    match &check.probe {
        Probe::Http(http) => json.key("http").object(|json| write_http(json, http)),
        Probe::Tcp(tcp) => json.key("tcp").object(|json| write_tcp(json, tcp)),
        Probe::Heartbeat(_) => json.key("heartbeat").object(|_| {}),
    }
    let pace = &check.pace;
    for (key, ms) in [
        ("timeout", check.timeout_ms),
        ("interval", pace.interval_ms),
        ("unhealthy_interval", pace.unhealthy_interval_ms),
        ("unhealthy_edge_interval", pace.unhealthy_edge_interval_ms),
        ("healthy_edge_interval", pace.healthy_edge_interval_ms),
        ("no_traffic_interval", pace.no_traffic_interval_ms),
        ("no_traffic_healthy_interval", pace.no_traffic_healthy_interval_ms),
        ("initial_jitter", check.initial_jitter_ms),
        ("interval_jitter", pace.interval_jitter_ms),
    ] {
        json.key(key).text(&show_ms(ms));
    }
    json.key("interval_jitter_percent").number(u64::from(pace.interval_jitter_percent));
    json.key("healthy").number(u64::from(pace.healthy_threshold));
    json.key("unhealthy").number(u64::from(pace.unhealthy_threshold));
}

fn write_http(json: &mut Json, http: &HttpProbe) {
    json.key("path").text(&http.path);
    json.key("method").text(&http.method);
    if let Some(host) = &http.host {
        json.key("host").text(host);
    }
    for (key, ranges) in [("expected_statuses", &http.expected), ("retriable_statuses", &http.retriable)] {
        if !ranges.is_empty() {
            json.key(key).list(ranges, |json, (from, to)| json.text(&format!("{from}-{to}")));
        }
    }
}

fn write_tcp(json: &mut Json, tcp: &TcpProbe) {
    if !tcp.send.is_empty() {
        json.key("send").object(|json| write_bytes(json, &tcp.send));
    }
    if !tcp.receive.is_empty() {
        json.key("receive").list(&tcp.receive, |json, bytes| json.object(|json| write_bytes(json, bytes)));
    }
}

/// Any bytes: as a text they could be no JSON.
fn write_bytes(json: &mut Json, bytes: &[u8]) {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    json.key("hex").text(&digits);
}
