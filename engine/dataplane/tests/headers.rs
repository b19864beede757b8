//! Header rules in the life of a request: requests, answers, answers of the proxy's own, and heads at their bounds.

mod support;

use sidering_dataplane::config::*;
use sidering_dataplane::filter::{FilterConfig, fault};
use sidering_dataplane::route::RouteTable;
use support::*;

fn header(name: &str, pieces: Vec<HeaderPiece>) -> HeaderValue {
    HeaderValue { name: name.into(), value: HeaderTemplate { source: String::new(), pieces } }
}

fn text(text: &str) -> HeaderPiece {
    HeaderPiece::Text(text.into())
}

fn of_request(name: &str) -> HeaderPiece {
    let first = FieldSource::Field(name.into());
    HeaderPiece::Value(HeaderOperator::Request(FieldValue { first, second: None, limit: None }))
}

fn add(name: &str, pieces: Vec<HeaderPiece>) -> HeaderOperations {
    HeaderOperations { add: vec![header(name, pieces)], ..HeaderOperations::default() }
}

fn set(name: &str, pieces: Vec<HeaderPiece>) -> HeaderOperations {
    HeaderOperations { set: vec![header(name, pieces)], ..HeaderOperations::default() }
}

/// The listener's own rules, and bounds for its requests' heads.
fn ruled(request: HeaderOperations, response: HeaderOperations, limits: (u32, u16)) -> Snapshot {
    let mut snapshot = http(1);
    let ListenerKind::Http(http) = &mut snapshot.listeners[0].kind else { panic!("not http") };
    http.headers = Some(Box::new(HeaderRules { request, response }));
    (http.codec.header_bytes, http.codec.headers) = limits;
    snapshot
}

const ROOMY: (u32, u16) = (64 * 1024, 100);

fn nothing() -> HeaderOperations {
    HeaderOperations::default()
}

#[test]
fn a_request_too_large_with_what_is_added_is_refused() {
    // `Host: h` and `x: ...` with their line ends: 9 and 5 bytes beside the value.
    let request = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
    for (bytes, fields, status) in [
        (113, 10, "431"),
        (114, 10, "forwarded"),
        (115, 10, "forwarded"),
        (114, 1, "431"),
        (114, 2, "forwarded"),
    ] {
        let rules = add("x", vec![text(&"v".repeat(100))]);
        let mut bench = Bench::new(ruled(rules, nothing(), (bytes, fields)));
        let client = bench.client();
        bench.receive(client, request);
        if status == "forwarded" {
            let upstream = bench.connected();
            assert!(bench.flush_text(upstream).contains("\r\nx: vvv"), "{bytes} {fields}");
            continue;
        }
        assert!(bench.io.connects.is_empty(), "{bytes} {fields}");
        let answer = bench.flush_text(client);
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        assert!(answer.ends_with("\r\n\r\nrequest headers too large with added\n"), "{answer}");
        // The next one is not the worse for it.
        assert!(!bench.is_closed(client));
        bench.receive(client, b"GET /direct HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(bench.flush_text(client).starts_with("HTTP/1.1 204 "));
        bench.assert_empty();
    }
}

#[test]
fn an_answer_too_large_with_what_is_added_becomes_502() {
    // `x: ...` is 5 bytes beside its value, the answer's own line is 19. An answer that tells what went wrong has room for
    // more of it, and goes out without where it has not.
    for (length, status, is_there) in [
        (65_511, 200, true),
        (65_512, 200, true),
        (65_513, 502, true),
        (65_531, 502, true),
        (65_532, 502, false),
    ] {
        let rules = add("x", vec![text(&"v".repeat(length))]);
        let mut bench = Bench::new(ruled(nothing(), rules, ROOMY));
        let client = bench.client();
        bench.receive(client, b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
        let upstream = bench.connected();
        bench.flush(upstream);
        bench.receive(upstream, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let answer = bench.flush_text(client).replace(&"v".repeat(length), "V");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{length}: {answer}");
        assert_eq!(answer.contains("\r\nx: V\r\n"), is_there, "{length}: {answer}");
        let body = if status == 200 { "ok" } else { "response headers too large with added\n" };
        assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{length}: {answer}");
        assert_eq!(bench.cluster.response_errors.get(), 0, "it is not the upstream's fault");
        bench.assert_empty();
    }
}

#[test]
fn what_an_answer_asks_of_a_request_is_bounded() {
    let twelve = add("x", vec![of_request("x-big"); 12]);
    for (length, is_right) in [(5000, true), (5600, false)] {
        let mut bench = Bench::new(ruled(nothing(), twelve.clone(), ROOMY));
        let client = bench.client();
        let big = "b".repeat(length);
        bench.receive(client, format!("GET /direct HTTP/1.1\r\nHost: h\r\nX-Big: {big}\r\n\r\n").as_bytes());
        let answer = bench.flush_text(client);
        let status = if is_right { "HTTP/1.1 204 " } else { "HTTP/1.1 431 " };
        assert!(answer.starts_with(status), "{length}: {}", &answer[..80]);
        assert_eq!(answer.matches("bbbb").count() > 0, is_right);
        bench.assert_empty();
    }
}

#[test]
fn every_answer_of_a_request_with_a_route_is_changed() {
    let value = vec![HeaderPiece::Value(HeaderOperator::ResponseCode), text(" "), of_request("x-a")];
    let rules = set("x-seen", value);
    // By the route, by a filter, by the upstream's failure.
    let mut aborting = ruled(nothing(), rules.clone(), ROOMY);
    let ListenerKind::Http(http) = &mut aborting.listeners[0].kind else { panic!("not http") };
    let abort = Some(fault::Abort::Fixed { status: 418, share: Share::ALL });
    let config = FilterConfig::Fault(Box::new(fault::Config { abort, ..fault::Config::default() }));
    http.filters = vec![ChainedFilter { config, disabled: false }];
    for (snapshot, path, expected) in [
        (ruled(nothing(), rules.clone(), ROOMY), "/direct", "204 1"),
        (aborting, "/a", "418 1"),
        (ruled(nothing(), rules.clone(), ROOMY), "/a", "503 1"),
    ] {
        let mut bench = Bench::new(snapshot);
        let client = bench.client();
        bench.receive(client, format!("GET {path} HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n\r\n").as_bytes());
        if expected.starts_with("503") {
            bench.connect_failed(sidering_dataplane::io::IoError::Refused);
        }
        let answer = bench.flush_text(client);
        assert!(answer.contains(&format!("\r\nx-seen: {expected}\r\n")), "{answer}");
        bench.assert_empty();
    }
    // One that no route took is left alone, as is one that was not understood.
    let mut snapshot = ruled(nothing(), rules, ROOMY);
    let ListenerKind::Http(http) = &mut snapshot.listeners[0].kind else { panic!("not http") };
    let mut hosts = http.routes.virtual_hosts().to_vec();
    hosts[0].domains = vec!["h".into()];
    http.routes = RouteTable::compile(hosts).into();
    let mut bench = Bench::new(snapshot);
    let client = bench.client();
    for (request, status) in [(&b"GET / HTTP/1.1\r\nHost: other\r\n\r\n"[..], 404), (b"GET\r\n\r\n", 400)] {
        bench.receive(client, request);
        let answer = bench.flush_text(client);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(!answer.contains("x-seen"), "{answer}");
    }
}

#[test]
fn the_type_of_an_own_answers_body_can_be_set() {
    let rules = set("Content-Type", vec![text("application/json")]);
    let mut bench = Bench::new(ruled(nothing(), rules, ROOMY));
    let client = bench.client();
    bench.receive(client, b"TRACE /direct HTTP/1.1\r\nHost: h\r\n\r\n");
    let answer = bench.flush_text(client).to_lowercase();
    // No route was asked for.
    assert!(answer.contains("content-type: text/plain"), "{answer}");
    bench.receive(client, b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    bench.connect_failed(sidering_dataplane::io::IoError::Refused);
    let answer = bench.flush_text(client).to_lowercase();
    assert_eq!(answer.matches("content-type:").count(), 1, "{answer}");
    assert!(answer.contains("content-type: application/json"), "{answer}");
}

#[test]
fn interim_answers_are_left_alone_and_upgrades_are_not() {
    let mut bench = Bench::new(ruled(nothing(), set("x-seen", vec![text("1")]), ROOMY));
    let client = bench.client();
    bench.receive(client, b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    let upstream = bench.connected();
    bench.flush(upstream);
    bench.receive(upstream, b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n");
    assert!(!bench.flush_text(client).contains("x-seen"));
    bench.receive(
        upstream,
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    let answer = bench.flush_text(client);
    assert!(answer.contains("x-seen: 1\r\n"), "{answer}");
}
