//! What a mesh asks of a proxy on every request, in each proxy's own words: 1,000 routes of which the last is taken, five
//! rules on header fields, two weighted clusters, the endpoint with the least requests, and retries.

use super::configs::{self, ADMIN_OFF, Task, envoy_address};
use std::fmt::Write;

const ROUTES: u32 = 1_000;

/// The prefixes of all routes but the last.
fn others() -> impl Iterator<Item = String> {
    (1..ROUTES).map(|number| format!("/service-{number}/"))
}

pub(super) fn ours(task: &Task) -> String {
    let Task { listen, origin, second_origin, .. } = task;
    let mut text = format!(
        "{ADMIN_OFF}listeners:\n- name: web\n  address: {listen}\n  protocol: http1\n  virtual_hosts:\n  - domains: [\"*\"]\n    routes:\n"
    );
    for prefix in others() {
        let _ = writeln!(text, "    - {{ match: {{ prefix: {prefix} }}, cluster: stable }}");
    }
    let _ = write!(
        text,
        r#"    - match: {{ prefix: /bytes }}
      weighted_clusters: [{{ name: stable, weight: 90 }}, {{ name: gray, weight: 10 }}]
      retry: {{ on: [connect-failure, 5xx], attempts: 2 }}
      request_headers: {{ set: {{ x-route: "1" }}, add: {{ x-zone: z }}, remove: [x-debug] }}
      response_headers: {{ set: {{ x-served-by: proxy }}, remove: [x-origin] }}
clusters:
- {{ name: stable, lb: least_request, endpoints: ["{origin}", "{second_origin}"] }}
- {{ name: gray, lb: least_request, endpoints: ["{origin}", "{second_origin}"] }}
"#
    );
    text
}

/// Its nearest equivalent: `split_clients` for the weights, `least_conn`, and the next server on an error.
pub(super) fn nginx(task: &Task) -> String {
    let Task { listen, origin, second_origin, .. } = task;
    let mut text = String::from(
        "  split_clients \"${connection}a${connection_requests}\" $pool { 90% stable; * gray; }\n",
    );
    for name in ["stable", "gray"] {
        text += &configs::nginx_upstream(name, "    least_conn;\n", &[*origin, *second_origin]);
    }
    let _ = writeln!(text, "  server {{\n    listen {listen} backlog=16384;");
    for prefix in others() {
        text += &configs::nginx_location(&prefix, "stable", "");
    }
    let rules = "      proxy_set_header X-Route 1;\n      proxy_set_header X-Zone z;\n      proxy_set_header X-Debug \"\";\n      \
                 add_header X-Served-By proxy;\n      proxy_hide_header X-Origin;\n      \
                 proxy_next_upstream error timeout http_500 http_502 http_503 http_504;\n      proxy_next_upstream_tries 3;\n";
    text += &configs::nginx_location("/bytes", "$pool", rules);
    text + "  }\n"
}

pub(super) fn envoy(task: &Task) -> String {
    let Task { listen, origin, second_origin, .. } = task;
    let mut text = configs::envoy_front(*listen);
    for prefix in others() {
        let _ = writeln!(
            text,
            "              - {{ match: {{ prefix: {prefix} }}, route: {{ cluster: stable }} }}"
        );
    }
    text += r#"              - match: { prefix: /bytes }
                route:
                  weighted_clusters: { clusters: [{ name: stable, weight: 90 }, { name: gray, weight: 10 }] }
                  retry_policy: { retry_on: "connect-failure,5xx", num_retries: 2 }
                request_headers_to_add:
                - { header: { key: x-route, value: "1" }, append_action: OVERWRITE_IF_EXISTS_OR_ADD }
                - { header: { key: x-zone, value: z }, append_action: APPEND_IF_EXISTS_OR_ADD }
                request_headers_to_remove: [x-debug]
                response_headers_to_add:
                - { header: { key: x-served-by, value: proxy }, append_action: OVERWRITE_IF_EXISTS_OR_ADD }
                response_headers_to_remove: [x-origin]
  clusters:
"#;
    for name in ["stable", "gray"] {
        let (first, second) = (envoy_address(*origin), envoy_address(*second_origin));
        let _ = write!(
            text,
            r#"  - name: {name}
    type: STATIC
    connect_timeout: 5s
    lb_policy: LEAST_REQUEST
    load_assignment:
      cluster_name: {name}
      endpoints:
      - lb_endpoints: [{{ endpoint: {{ address: {first} }} }}, {{ endpoint: {{ address: {second} }} }}]
"#
        );
    }
    text
}
