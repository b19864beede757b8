//! Reads how the endpoints of a cluster are checked: `health_check`.

use super::problem::Problems;
use super::section::{Section, integer, list, scalar, text};
use super::tree::{Tree, Value};
use sidering_dataplane::config::{CheckPace, HealthCheck, HttpProbe, Probe, TCP, TcpProbe};

const KINDS: &str = "one of `http: { path: /healthz }`, `tcp: {}`, `heartbeat: {}`";
const LATER_KINDS: &[&str] = &["grpc"];
const STATUSES: &str = "statuses such as 200 or 200-299";
const BYTES: &str = "a text, or `{ hex: 00ff }`";
/// Bytes of a payload: one segment, more or less.
const MOST_BYTES: usize = 1024;
const MOST_PAYLOADS: usize = 16;

/// Defaults where the format has none of Envoy's to follow: it asks for all four there.
const INTERVAL_MS: u64 = 5000;
const TIMEOUT_MS: u64 = 1000;
const HEALTHY: u64 = 2;
const UNHEALTHY: u64 = 3;
const MOST_IN_A_ROW: u64 = 1000;

/// `None` if there is a problem with what cannot be guessed.
pub(super) fn check(tree: &Tree, problems: &Problems) -> Option<HealthCheck> {
    let mut section = Section::open("a health check", tree, problems);
    let probe = probe(&mut section);
    let timeout_ms = section.duration_ms("timeout", 1, TIMEOUT_MS);
    let initial_jitter_ms = section.duration_ms("initial_jitter", 0, 0);
    let pace = pace(&mut section);
    section.finish();
    Some(HealthCheck { probe: probe?, timeout_ms, initial_jitter_ms, pace })
}

fn probe(section: &mut Section<'_>) -> Option<Probe> {
    section.later(LATER_KINDS);
    let problems = section.problems;
    match (section.find("http"), section.find("tcp"), section.find("heartbeat")) {
        (Some(http), None, None) => self::http(http, problems).map(Probe::Http),
        (None, Some(tcp), None) => Some(Probe::Tcp(self::tcp(tcp, problems))),
        (None, None, Some(heartbeat)) => {
            Section::open("a heartbeat check", heartbeat, problems).finish();
            // Which protocol's is settled once all listeners have been read.
            Some(Probe::Heartbeat(TCP))
        }
        (_, Some(second), _) | (_, None, Some(second)) => {
            problems.error(second.place, "two kinds of checks", KINDS);
            None
        }
        (None, None, None) => {
            if !LATER_KINDS.iter().any(|kind| section.place_of(kind).is_some()) {
                section.lacks(&["http", "tcp", "heartbeat"], "a health check without a kind", KINDS);
            }
            None
        }
    }
}

fn pace(section: &mut Section<'_>) -> CheckPace {
    let interval_ms = section.duration_ms("interval", 1, INTERVAL_MS);
    let healthy = section.integer("healthy", 1..=MOST_IN_A_ROW, HEALTHY) as u32;
    let unhealthy = section.integer("unhealthy", 1..=MOST_IN_A_ROW, UNHEALTHY) as u32;
    let every = CheckPace::every(interval_ms, healthy, unhealthy);
    let unhealthy_interval_ms = section.duration_ms("unhealthy_interval", 1, interval_ms);
    let no_traffic_interval_ms = section.duration_ms("no_traffic_interval", 1, every.no_traffic_interval_ms);
    CheckPace {
        unhealthy_interval_ms,
        unhealthy_edge_interval_ms: section.duration_ms("unhealthy_edge_interval", 1, unhealthy_interval_ms),
        healthy_edge_interval_ms: section.duration_ms("healthy_edge_interval", 1, interval_ms),
        no_traffic_interval_ms,
        no_traffic_healthy_interval_ms: section.duration_ms(
            "no_traffic_healthy_interval",
            1,
            no_traffic_interval_ms,
        ),
        interval_jitter_ms: section.duration_ms("interval_jitter", 0, 0),
        interval_jitter_percent: section.integer("interval_jitter_percent", 0..=100, 0) as u32,
        ..every
    }
}

fn http(tree: &Tree, problems: &Problems) -> Option<HttpProbe> {
    let mut section = Section::open("an HTTP check", tree, problems);
    let path = section.require("path", "a path such as /healthz").and_then(|tree| path(tree, problems));
    let method = section.choice("method", METHODS, &[]).unwrap_or("GET").to_owned();
    let host = section.find("host").and_then(|tree| host(tree, problems));
    let expected = section.find("expected_statuses").map(|tree| statuses(tree, problems));
    let retriable = section.find("retriable_statuses").map(|tree| statuses(tree, problems));
    section.finish();
    Some(HttpProbe {
        method,
        path: path?,
        host,
        expected: expected.unwrap_or_else(|| vec![(200, 200)]),
        retriable: retriable.unwrap_or_default(),
    })
}

/// Envoy's, but CONNECT and TRACE: methods that an endpoint answers with a message of its own.
const METHODS: &[(&str, &str)] = &[
    ("GET", "GET"),
    ("HEAD", "HEAD"),
    ("POST", "POST"),
    ("PUT", "PUT"),
    ("DELETE", "DELETE"),
    ("OPTIONS", "OPTIONS"),
];

fn path(tree: &Tree, problems: &Problems) -> Option<String> {
    let expected = "a path that begins with /, as it goes into the request line";
    let given = text(tree, expected, problems)?;
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if !given.starts_with('/') || !given.bytes().all(fits) {
        problems.error(tree.place, format!("{} is not a path", tree.describe()), expected);
        return None;
    }
    Some(given.to_owned())
}

fn host(tree: &Tree, problems: &Problems) -> Option<String> {
    let expected = "a host, with or without a port";
    let given = text(tree, expected, problems)?;
    let fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'?' | b'#' | b'@');
    if given.is_empty() || !given.bytes().all(fits) {
        problems.error(tree.place, format!("{} is not a host", tree.describe()), expected);
        return None;
    }
    Some(given.to_owned())
}

fn statuses(tree: &Tree, problems: &Problems) -> Vec<(u16, u16)> {
    list(tree, "statuses", problems).iter().filter_map(|tree| status_range(tree, problems)).collect()
}

/// `200`, or `200-299`.
fn status_range(tree: &Tree, problems: &Problems) -> Option<(u16, u16)> {
    let Some((from, to)) = scalar(tree).and_then(|text| text.split_once('-')) else {
        return integer(tree, 100..=599, problems).map(|status| (status as u16, status as u16));
    };
    match (from.trim().parse(), to.trim().parse()) {
        (Ok(from), Ok(to)) if from <= to && from >= 100 && to <= 599 => Some((from, to)),
        _ => {
            problems.error(tree.place, format!("{} is no range of statuses", tree.describe()), STATUSES);
            None
        }
    }
}

fn tcp(tree: &Tree, problems: &Problems) -> TcpProbe {
    let mut section = Section::open("a TCP check", tree, problems);
    let send = section.find("send").and_then(|tree| bytes(tree, problems)).unwrap_or_default();
    let receive = section.find("receive").map_or(&[][..], |tree| {
        let payloads = list(tree, "payloads", problems);
        if payloads.len() > MOST_PAYLOADS {
            problems.error(
                tree.place,
                format!("{} payloads", payloads.len()),
                format!("at most {MOST_PAYLOADS}"),
            );
        }
        payloads
    });
    let receive = receive.iter().filter_map(|tree| bytes(tree, problems)).collect();
    section.finish();
    TcpProbe { send, receive }
}

/// A text as it stands, or bytes in hexadecimal digits.
fn bytes(tree: &Tree, problems: &Problems) -> Option<Vec<u8>> {
    let bytes = if matches!(tree.value, Value::Mapping(_)) {
        let mut section = Section::open("a payload", tree, problems);
        let digits = section.require("hex", "hexadecimal digits");
        let bytes = digits.and_then(|digits| scalar(digits).and_then(from_hex));
        if let (None, Some(digits)) = (&bytes, digits) {
            problems.error(digits.place, format!("{} is not hexadecimal", digits.describe()), BYTES);
        }
        section.finish();
        bytes?
    } else {
        text(tree, BYTES, problems)?.as_bytes().to_vec()
    };
    if bytes.is_empty() || bytes.len() > MOST_BYTES {
        let expected = format!("1 to {MOST_BYTES} bytes");
        problems.error(tree.place, format!("a payload of {} bytes", bytes.len()), expected);
        return None;
    }
    Some(bytes)
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, parse};
    use sidering_dataplane::config::Cluster;

    fn read(check: &str) -> Result<Cluster, String> {
        let text = format!(
            "listeners: [{{ name: l, address: 127.0.0.1:0, protocol: tcp, cluster: c }}]\n\
             clusters: [{{ name: c, endpoints: [127.0.0.1:1], health_check: {check} }}]"
        );
        let loaded = parse("test", &text, &Overrides::default()).map_err(|report| report.to_string())?;
        Ok(Cluster::clone(&loaded.snapshot.clusters[0]))
    }

    fn check_of(text: &str) -> HealthCheck {
        let cluster = read(text).unwrap();
        HealthCheck::clone(cluster.health_check.as_deref().expect("a check"))
    }

    #[test]
    fn what_is_not_said_is_the_default() {
        let check = check_of("{ http: { path: /healthz } }");
        let http = HttpProbe {
            method: "GET".to_owned(),
            path: "/healthz".to_owned(),
            host: None,
            expected: vec![(200, 200)],
            retriable: vec![],
        };
        let pace = CheckPace::every(5000, 2, 3);
        assert_eq!(
            check,
            HealthCheck { probe: Probe::Http(http), timeout_ms: 1000, initial_jitter_ms: 0, pace }
        );
        assert_eq!(check_of("{ tcp: {} }").probe, Probe::Tcp(TcpProbe::default()));
    }

    #[test]
    fn intervals_follow_each_other_as_in_envoy() {
        let pace =
            check_of("{ tcp: {}, interval: 7s, unhealthy_interval: 2s, no_traffic_interval: 9s }").pace;
        assert_eq!(pace.healthy_edge_interval_ms, 7000);
        assert_eq!(pace.unhealthy_edge_interval_ms, 2000);
        assert_eq!(pace.no_traffic_healthy_interval_ms, 9000);
    }

    #[test]
    fn statuses_and_payloads() {
        let check = check_of(
            "{ http: { path: /, host: a.test, expected_statuses: [204, 200-202], retriable_statuses: [503] } }",
        );
        let Probe::Http(http) = check.probe else { panic!("an HTTP check") };
        assert_eq!((http.expected, http.retriable), (vec![(204, 204), (200, 202)], vec![(503, 503)]));
        let check = check_of(r#"{ tcp: { send: "PING\r\n", receive: [+PONG, { hex: 0d0A }] } }"#);
        let receive = vec![b"+PONG".to_vec(), b"\r\n".to_vec()];
        assert_eq!(check.probe, Probe::Tcp(TcpProbe { send: b"PING\r\n".to_vec(), receive }));
    }

    #[test]
    fn mistakes_are_named() {
        for (check, words) in [
            ("{}", "a health check without a kind"),
            ("{ interval: 5s }", "one of `http: { path: /healthz }`, `tcp: {}`, `heartbeat: {}`"),
            ("{ http: { path: / }, tcp: {} }", "two kinds of checks"),
            ("{ tcp: {}, heartbeat: {} }", "two kinds of checks"),
            ("{ heartbeat: {} }", "a heartbeat of tcp, which has none"),
            ("{ heartbeat: { a: 1 } }", "unknown key `a`"),
            ("{ grpc: {} }", "`grpc` is in the format but not in this version"),
            ("{ http: {} }", "an HTTP check without `path`"),
            ("{ http: { path: healthz } }", "is not a path"),
            ("{ http: { path: / , expected_statuses: [600] } }", "out of range"),
            ("{ http: { path: / , expected_statuses: [300-200] } }", "is no range of statuses"),
            ("{ tcp: { send: { hex: 0 } } }", "is not hexadecimal"),
            ("{ tcp: { send: '' } }", "a payload of 0 bytes"),
            ("{ tcp: {}, interval: 0 }", "out of range"),
            ("{ tcp: {}, healthy: 0 }", "out of range"),
            ("{ tcp: {}, intervall: 5s }", "did you mean `interval`?"),
        ] {
            let report = read(check).expect_err(check);
            assert!(report.contains(words), "{check}: {report}");
        }
    }

    #[test]
    fn a_payload_has_a_bound() {
        let probe = |bytes| read(&format!("{{ tcp: {{ send: {} }} }}", "a".repeat(bytes)));
        assert!(probe(MOST_BYTES - 1).is_ok() && probe(MOST_BYTES).is_ok());
        assert!(probe(MOST_BYTES + 1).unwrap_err().contains("1 to 1024 bytes"));
    }
}
