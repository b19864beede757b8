//! Formats against records.

use super::*;
use sidering_dataplane::config::Cluster;
use sidering_dataplane::observe::access_log::{ResponseFlags, capture};

fn snapshot() -> Snapshot {
    let cluster = Cluster { name: "api".to_owned(), ..Cluster::default() };
    Snapshot { version: 1, clusters: vec![cluster.into()], ..Snapshot::default() }
}

fn record<'c>(captured: &'c [u8]) -> AccessRecord<'c> {
    AccessRecord {
        start_micros: 123_456,
        duration_micros: 7_900,
        upstream_micros: 5_100,
        received_bytes: 3,
        sent_bytes: 42,
        status: 503,
        flags: ResponseFlags::UPSTREAM_CONNECTION_FAILURE.with(ResponseFlags::UPSTREAM_RETRY_LIMIT_EXCEEDED),
        snapshot_version: 1,
        listener: 0,
        route_line: 12,
        cluster: 0,
        method: b"GET",
        path: b"/a?b=\"c\"",
        protocol: b"HTTP/1.1",
        authority: b"example.com",
        downstream_peer: b"[::1]:5000",
        upstream_host: b"10.0.0.1:8080",
        details: b"connect_failure",
        captured,
        ..AccessRecord::default()
    }
}

fn line(format: &str, values: &[Option<&[u8]>]) -> String {
    let mut captured = vec![];
    values.iter().for_each(|value| capture(*value, &mut captured));
    let mut out = vec![];
    Format::parse(format).unwrap().write(
        &record(&captured),
        Some(&snapshot()),
        1_709_251_199_000_000,
        &mut out,
    );
    String::from_utf8(out).unwrap()
}

#[test]
fn the_default_text_is_envoys() {
    let fields = Format::parse("text").unwrap().fields;
    assert_eq!(
        fields.request_fields,
        ["x-envoy-original-path", "x-forwarded-for", "user-agent", "x-request-id"]
    );
    assert!(fields.response_fields.is_empty());
    assert_eq!(
        line("text", &[None, None, Some(b"curl/8\n\"x"), Some(b"id")]),
        "[2024-02-29T23:59:59.123Z] \"GET /a?b=\\x22c\\x22 HTTP/1.1\" 503 UF,URX 3 42 7 5 \"-\" \
         \"curl/8\\x0a\\x22x\" \"id\" \"example.com\" \"10.0.0.1:8080\"\n"
    );
}

#[test]
fn json_lines_are_json() {
    let line = line("json", &[Some(b"/old"), None, Some(b"a\xff\"b"), None]);
    let read: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(read["response_code"], 503);
    assert_eq!(read["path"], "/old");
    assert_eq!(read["user_agent"], "a\u{fffd}\"b");
    assert_eq!(read["x_forwarded_for"], serde_json::Value::Null);
    assert_eq!(read["upstream_host"], "10.0.0.1:8080");
    assert_eq!(read["upstream_cluster"], "api");
    assert_eq!(read["route_line"], 12);
    assert!(line.starts_with("{\"start_time\":\"2024-02-29T23:59:59.123Z\",\"method\":\"GET\","), "{line}");
    assert_eq!(line.matches('\n').count(), 1);
}

#[test]
fn custom_strings() {
    assert_eq!(line("%RESPONSE_CODE% 100%%", &[]), "503 100%\n");
    assert_eq!(
        line("%REQ(A?B):3%|%RESP(C)%|%RESP(:STATUS)%\n", &[None, Some(b"12345"), Some(b"c")]),
        "123|c|503\n"
    );
    assert_eq!(
        line("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_REMOTE_ADDRESS%", &[]),
        "::1 [::1]:5000\n"
    );
    assert_eq!(line("%START_TIME(%s.%3f)% %RESPONSE_CODE_DETAILS%", &[]), "1709251199.123 connect_failure\n");
}

#[test]
fn mistakes_are_told_with_their_place() {
    let wrong = |format: &str| {
        let error = Format::parse(format).unwrap_err();
        (error.offset, error.width, error.expected)
    };
    assert_eq!(wrong("a %RESPONSE_COD% b"), (2, 14, "an operator; did you mean %RESPONSE_CODE%?".to_owned()));
    assert_eq!(wrong("é%REQ%").0, 1);
    assert!(wrong("%REQ(X%").2.contains("parenthesis"));
    assert!(wrong("%REQ(X):%").2.contains("LENGTH"));
    assert!(wrong("%REQ(a b)%").2.contains("header field"));
    assert!(wrong("%DURATION").2.contains("%%"));
    assert!(wrong("%START_TIME(%Q)%").2.contains("%Y"));
    assert!(wrong("jsn").2.contains("json"));
}

#[test]
fn a_record_of_a_forgotten_snapshot_is_still_written() {
    let mut out = vec![];
    Format::parse("%UPSTREAM_HOST% %UPSTREAM_CLUSTER% %REQ(X)%").unwrap().write(
        &record(&[]),
        None,
        0,
        &mut out,
    );
    assert_eq!(out, b"10.0.0.1:8080 - -\n");
}

#[test]
fn what_calls_say_of_themselves() {
    let operators = "%RPC_SERVICE% %RPC_METHOD% %RPC_VERSION% %RPC_GROUP% %RPC_STATUS% %RPC_TIMEOUT%";
    let of_call = AccessRecord {
        service: b"com.a.Facade:1.0",
        version: b"1.0",
        group: b"gray",
        rpc_status: Some(-3),
        rpc_timeout_ms: Some(3000),
        ..record(&[])
    };
    let of_silent_call = AccessRecord { method: b"ping", rpc_status: Some(0), ..AccessRecord::default() };
    for (record, expected) in [
        (of_call, "com.a.Facade:1.0 GET 1.0 gray -3 3000\n"),
        (of_silent_call, "- ping - - 0 -\n"),
        (record(&[]), "- - - - - -\n"),
    ] {
        let mut out = vec![];
        Format::parse(operators).unwrap().write(&record, Some(&snapshot()), 0, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        let mut out = vec![];
        Format::parse("json").unwrap().write(&record, Some(&snapshot()), 0, &mut out);
        let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(read["rpc_status"].as_i64(), record.rpc_status.map(i64::from));
        assert_eq!(read["rpc_timeout"].as_i64(), record.rpc_timeout_ms.map(i64::from));
        let service = std::str::from_utf8(record.service).unwrap();
        assert_eq!(read["rpc_service"].as_str(), Some(service).filter(|service| !service.is_empty()));
    }
    assert!(Format::parse("%RPC_GROUP%").unwrap().fields.rpc_group);
    assert!(!Format::parse("%RPC_VERSION%").unwrap().fields.rpc_group);
}
