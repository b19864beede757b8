//! Many clusters, each with a route of its own, in each proxy's own words. The route that is asked for stands first or last.

use super::configs::{self, ADMIN_OFF, Task, envoy_address};
use std::fmt::Write;

/// Prefixes and the numbers of their clusters, in order.
fn routes(count: u32, is_last: bool) -> Vec<(String, u32)> {
    let asked_for = if is_last { count - 1 } else { 0 };
    let prefix = |number| {
        if number == asked_for { "/bytes".to_owned() } else { format!("/service-{number}/") }
    };
    (0..count).map(|number| (prefix(number), number)).collect()
}

pub(super) fn ours(task: &Task, count: u32, is_last: bool) -> String {
    let Task { listen, origin, .. } = task;
    let mut text = format!(
        "{ADMIN_OFF}listeners:\n- name: web\n  address: {listen}\n  protocol: http1\n  virtual_hosts:\n  - domains: [\"*\"]\n    routes:\n"
    );
    for (prefix, number) in routes(count, is_last) {
        let _ = writeln!(text, "    - {{ match: {{ prefix: {prefix} }}, cluster: c{number} }}");
    }
    text += "clusters:\n";
    for number in 0..count {
        let _ = writeln!(text, "- {{ name: c{number}, endpoints: [\"{origin}\"] }}");
    }
    text
}

pub(super) fn nginx(task: &Task, count: u32, is_last: bool) -> String {
    let Task { listen, origin, .. } = task;
    let mut text = String::new();
    for number in 0..count {
        text += &configs::nginx_upstream(&format!("c{number}"), "", &[*origin]);
    }
    let _ = writeln!(text, "  server {{\n    listen {listen} backlog=16384;");
    for (prefix, number) in routes(count, is_last) {
        text += &configs::nginx_location(&prefix, &format!("c{number}"), "");
    }
    text + "  }\n"
}

pub(super) fn envoy(task: &Task, count: u32, is_last: bool) -> String {
    let Task { listen, origin, .. } = task;
    let mut text = configs::envoy_front(*listen);
    for (prefix, number) in routes(count, is_last) {
        let _ = writeln!(
            text,
            "              - {{ match: {{ prefix: {prefix} }}, route: {{ cluster: c{number} }} }}"
        );
    }
    text += "  clusters:\n";
    let address = envoy_address(*origin);
    for number in 0..count {
        let _ = writeln!(
            text,
            "  - {{ name: c{number}, type: STATIC, connect_timeout: 5s, load_assignment: {{ cluster_name: c{number}, \
             endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {address} }} }}] }}] }} }}"
        );
    }
    text
}
