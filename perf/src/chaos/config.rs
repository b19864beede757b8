//! What Sidering is told about the origins: retries, outlier detection and active checks, as for origins that nobody trusts.

use std::fmt::Write;
use std::net::SocketAddr;

use super::origin::Origin;

pub(super) fn of(listen: SocketAddr, origins: &[Origin], lb: &str) -> String {
    let mut endpoints = String::new();
    for origin in origins {
        // Writing to a String cannot fail.
        let _ = write!(endpoints, "\"{}\", ", origin.address);
    }
    format!(
        r#"admin: null
listeners:
- name: web
  address: {listen}
  protocol: http1
  virtual_hosts:
  - domains: ["*"]
    routes:
    - match: {{ prefix: / }}
      cluster: origins
      timeout: 5s
      retry: {{ on: [connect-failure, reset, 5xx], attempts: 4, per_try_timeout: 250ms }}
clusters:
- name: origins
  lb: {lb}
  endpoints: [{endpoints}]
  connect_timeout: 250ms
  circuit_breaker: {{ max_retries: 1000 }}
  outlier_detection: {{ consecutive_errors: 3, interval: 500ms, base_ejection: 1s, max_ejection: 2s, max_ejected_percent: 50 }}
"#
    )
}
