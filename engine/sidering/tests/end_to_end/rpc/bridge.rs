//! Requests of HTTP that become calls: what is asked of a provider, and what becomes of requests and answers that are large, late,
//! failing or come in pieces.

use super::bolt::{self, Frame};
use crate::support::access_log::records;
use crate::support::wire::Message;
use crate::support::{Config, Origin, Proxy, Wire, until};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A route with further keys, in front of whoever is the cluster `api`.
fn routes(keys: &str, bridge: &str) -> String {
    format!(
        "{{ match: {{}}, cluster: api, {keys} bridge: {{ service: com.example.Greeter, {bridge} \
         methods: [{{ name: echo, types: [java.lang.String] }}, {{ name: note, one_way: true }}] }} }}"
    )
}

pub(super) fn bridge_to(origin: &Origin, keys: &str, bridge: &str) -> Config {
    Config::new().http("web", "", &routes(keys, bridge)).cluster("api", origin, "protocol: bolt")
}

/// An answer of SOFARPC with this value, which is hessian2 of its dialect.
pub(super) fn answer(frame: &Frame, value: &[u8]) -> Vec<u8> {
    let mut content = b"O\xbecom.alipay.sofa.rpc.core.response.SofaResponse\x91\x0bappResponseo\x90".to_vec();
    content.extend_from_slice(value);
    frame.answer(bolt::SUCCESS, &content).bytes()
}

/// Answers with the last value of each call, which is its only argument.
fn echo(wire: &mut Wire) -> io::Result<()> {
    loop {
        let frame = bolt::read(wire)?;
        const MARK: &[u8] = b"n\x01\x10java.lang.Stringz";
        let end =
            frame.content.windows(MARK.len()).rposition(|window| window == MARK).map(|at| at + MARK.len());
        if frame.kind == bolt::REQUEST
            && let Some(value) = end
        {
            wire.send(&answer(&frame, &frame.content[value..]))?;
        }
    }
}

pub(super) fn post(path: &str, body: &str) -> String {
    let length = body.len();
    let head = "Host: test\r\nContent-Type: application/json; charset=utf-8\r\n";
    format!("POST {path} HTTP/1.1\r\n{head}Content-Length: {length}\r\n\r\n{body}")
}

#[track_caller]
fn ask(wire: &mut Wire, request: &str) -> Message {
    wire.send(request.as_bytes()).unwrap();
    wire.response().unwrap()
}

#[track_caller]
fn assert_no_stream(proxy: &Proxy) {
    until("the end of all streams", || (proxy.metrics().sum("sidering_streams_active") == 0.0).then_some(()));
}

#[test]
fn requests_share_connections_with_calls() {
    let origin = Origin::start(|wire, _| echo(wire));
    let proxy = Proxy::start(&bridge_to(&origin, "", ""));
    let mut wire = proxy.connect("web");
    for body in ["\"a\"", "[\"b\"]"] {
        let answer = ask(&mut wire, &post("/x/echo?q=/y", body));
        assert_eq!((answer.status(), answer.text()), (200, body.trim_matches(['[', ']']).to_owned()));
        assert_eq!(answer.head.value("content-type"), Some("application/json"));
    }
    // Pipelined, the second one behind the first.
    let answers = ask(&mut wire, &(post("/echo", "\"c\"") + &post("/echo", "\"d\""))).text()
        + &wire.response().unwrap().text();
    assert_eq!(answers, "\"c\"\"d\"");
    assert_eq!(origin.accepted(), 1);
    let record = until("its record", || records(&proxy).into_iter().next());
    assert_eq!(
        (
            &record["method"],
            &record["path"],
            &record["protocol"],
            &record["response_code"],
            &record["bytes_sent"]
        ),
        (&"POST".into(), &"/x/echo?q=/y".into(), &"HTTP/1.1".into(), &200.into(), &3.into()),
        "{record}"
    );
    let metrics = proxy.metrics();
    assert_eq!(metrics.sum_where("sidering_cluster_upstream_rq_total", "\"api\""), 4.0);
    drop(wire);
    drop(origin);
    proxy.assert_home();
}

#[test]
fn a_body_may_come_in_pieces_and_be_waited_for() {
    let origin = Origin::start(|wire, _| echo(wire));
    let proxy = Proxy::start(&bridge_to(&origin, "", ""));
    let mut wire = proxy.connect("web");
    let head = "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n";
    wire.send(format!("{head}Expect: 100-continue\r\n\r\n").as_bytes()).unwrap();
    assert_eq!(wire.message().unwrap().status(), 100);
    let long = "x".repeat(100_000);
    for piece in ["\"", &long, "\""] {
        wire.send(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).unwrap();
    }
    // Trailers mean nothing here.
    wire.send(b"0\r\nx: y\r\n\r\n").unwrap();
    assert_eq!(wire.response().unwrap().text(), format!("\"{long}\""));
    assert_eq!(ask(&mut wire, &post("/echo", "\"a\"")).text(), "\"a\"");
}

#[test]
fn bounds_of_a_body() {
    let origin = Origin::start(|wire, _| echo(wire));
    let proxy = Proxy::start(&bridge_to(&origin, "", "max_request_bytes: 1KiB,"));
    for (length, status) in [(1021, 200), (1022, 200), (1023, 413)] {
        let body = format!("\"{}\"", "x".repeat(length));
        assert_eq!(ask(&mut proxy.connect("web"), &post("/echo", &body)).status(), status, "{length}");
        let head = "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
        let chunked = format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        let mut wire = proxy.connect("web");
        let answer = ask(&mut wire, &chunked);
        assert_eq!(answer.status(), status, "{length}");
        assert!(status == 200 || answer.text().contains("1024 bytes"), "{}", answer.text());
    }
    assert_no_stream(&proxy);
}

#[test]
fn bounds_of_an_answer() {
    let origin = Origin::start(|wire, _| echo(wire));
    let proxy = Proxy::start(&bridge_to(&origin, "", "max_response_bytes: 1KiB,"));
    // 20 bytes of a header, 46 of a class, and 66 in front of the text.
    let most = 1024 - 20 - 46 - 66;
    for (length, status) in [(most - 1, 200), (most, 200), (most + 1, 502)] {
        let answer = ask(&mut proxy.connect("web"), &post("/echo", &format!("\"{}\"", "x".repeat(length))));
        assert_eq!(answer.status(), status, "{length}: {}", answer.text());
    }
    // The connection goes on.
    assert_eq!(ask(&mut proxy.connect("web"), &post("/echo", "\"a\"")).status(), 200);
    assert_eq!(origin.accepted(), 1);
}

#[test]
fn what_can_be_no_call_is_refused() {
    let origin = Origin::start(|wire, _| echo(wire));
    let proxy = Proxy::start(&bridge_to(&origin, "", ""));
    let mut wire = proxy.connect("web");
    let json = "Content-Type: application/json\r\n";
    for (line, fields, body, status) in [
        ("GET /echo", "", "", 405),
        ("PUT /echo", json, "\"a\"", 405),
        ("POST /other", json, "\"a\"", 404),
        ("POST /", json, "\"a\"", 404),
        ("POST /echo", "", "\"a\"", 415),
        ("POST /echo", "Content-Type: text/plain\r\n", "\"a\"", 415),
        ("POST /echo", "Content-Type: application/json\r\nContent-Encoding: gzip\r\n", "\"a\"", 415),
        ("POST /echo", json, "a", 400),
        ("POST /echo", json, "1", 400),
        ("POST /echo", json, "[]", 400),
        ("POST /echo", json, "\"a\"", 200),
    ] {
        let request =
            format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len());
        let answer = ask(&mut wire, &request);
        assert_eq!(
            (answer.status(), answer.head.value("content-type")),
            (status, Some("application/json")),
            "{request}"
        );
        assert_eq!(answer.head.value("allow"), (status == 405).then_some("POST"));
    }
    assert_eq!(proxy.metrics().sum_where("sidering_cluster_upstream_rq_total", "\"api\""), 1.0);
}

#[test]
fn the_call_is_told_how_long_it_may_take() {
    let origin = Origin::start(|wire, _| {
        let frame = bolt::read(wire)?;
        assert_eq!(frame.header("sofa_head_target_service"), Some("com.example.Greeter:1.0"));
        let text = frame.timeout_ms.to_string();
        wire.send(&answer(&frame, &[&[text.len() as u8], text.as_bytes()].concat()))
    });
    let proxy = Proxy::start(&bridge_to(&origin, "timeout: 7s,", ""));
    let told = ask(&mut proxy.connect("web"), &post("/echo", "\"\"")).text();
    // Less what it has waited for its connection.
    assert!((1..=7000).contains(&told.trim_matches('"').parse::<u32>().unwrap()), "{told}");
}

#[test]
fn a_call_that_may_be_made_again_is() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let origin = Origin::start(move |wire, _| {
        loop {
            let frame = bolt::read(wire)?;
            match counter.fetch_add(1, Ordering::SeqCst) {
                0 => wire.send(&frame.answer(bolt::THREADPOOL_BUSY, b"").bytes())?,
                // Within its answer.
                1 => {
                    let whole = answer(&frame, b"\x05hello");
                    return wire.send(&whole[..whole.len() - 2]);
                }
                _ => wire.send(&answer(&frame, b"\x05hello"))?,
            }
        }
    });
    let retry = "retry: { on: [retriable-status-codes, reset], status_codes: [503], attempts: 3 },";
    let proxy = Proxy::start(&bridge_to(&origin, retry, ""));
    let said = ask(&mut proxy.connect("web"), &post("/echo", "\"a\""));
    assert_eq!((said.status(), said.text()), (200, "\"hello\"".to_owned()));
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[test]
fn a_provider_that_is_busy_or_ends_says_so() {
    let origin = Origin::start(move |wire, at| {
        let frame = bolt::read(wire)?;
        match at {
            0 => wire.send(&frame.answer(bolt::THREADPOOL_BUSY, b"").bytes()),
            1 => wire.send(&answer(&frame, b"\x05hello")[..30]),
            2 => Ok(()),
            _ => wire.send(&answer(&frame, b"\x05hel")),
        }
    });
    let proxy = Proxy::start(&bridge_to(&origin, "", ""));
    for status in [503, 503, 503] {
        let answer = ask(&mut proxy.connect("web"), &post("/echo", "\"a\""));
        assert_eq!(answer.status(), status);
        assert!(answer.text().starts_with("{\"error\":"), "{}", answer.text());
    }
}

#[test]
fn answers_go_through_filters_and_header_rules() {
    let origin = Origin::start(|wire, _| echo(wire));
    let filters = "filters: [{ name: compressor, libraries: [{ gzip: {} }] }]";
    let routes = routes("response_headers: { set: { x-bridged: \"%RESPONSE_CODE%\" } },", "");
    let config = Config::new().http("web", filters, &routes).cluster("api", &origin, "protocol: bolt");
    let proxy = Proxy::start(&config);
    let body = format!("\"{}\"", "x".repeat(10_000));
    let request = post("/echo", &body).replace("Host: test\r\n", "Host: test\r\nAccept-Encoding: gzip\r\n");
    let answer = ask(&mut proxy.connect("web"), &request);
    assert_eq!(answer.status(), 200);
    assert_eq!(
        (answer.head.value("content-encoding"), answer.head.value("x-bridged")),
        (Some("gzip"), Some("200"))
    );
    assert!(answer.body.len() < 1000);
    let refused = ask(&mut proxy.connect("web"), &post("/echo", "1"));
    assert_eq!((refused.status(), refused.head.value("x-bridged")), (400, Some("400")));
}

#[test]
fn a_mirror_gets_the_call() {
    let origin = Origin::start(|wire, _| echo(wire));
    let mirrored = Origin::start(|wire, _| echo(wire));
    let config = Config::new().http("web", "", &routes("mirror: { cluster: copy },", ""));
    let config =
        config.cluster("api", &origin, "protocol: bolt").cluster("copy", &mirrored, "protocol: bolt");
    let proxy = Proxy::start(&config);
    assert_eq!(ask(&mut proxy.connect("web"), &post("/echo", "\"a\"")).status(), 200);
    until("the copy", || {
        (proxy.metrics().sum_where("sidering_cluster_upstream_rq_total", "\"copy\"") == 1.0).then_some(())
    });
    drop((origin, mirrored));
    proxy.assert_home();
}

#[test]
fn nobody_is_waited_for_who_has_gone() {
    let origin = Origin::start(|wire, _| {
        loop {
            bolt::read(wire)?;
        }
    });
    let proxy = Proxy::start(&bridge_to(&origin, "", ""));
    let mut wire = proxy.connect("web");
    wire.send(post("/echo", "\"a\"").as_bytes()).unwrap();
    until("the call", || (origin.accepted() == 1).then_some(()));
    wire.reset().unwrap();
    let mut cut = proxy.connect("web");
    cut.send(&post("/echo", "\"a\"").as_bytes()[..100]).unwrap();
    drop(cut);
    assert_no_stream(&proxy);
    drop(origin);
    proxy.assert_home();
}

#[test]
fn what_is_one_way_is_accepted() {
    let origin = Origin::recording(|wire, _| echo(wire));
    let proxy = Proxy::start(&bridge_to(&origin, "", ""));
    let mut wire = proxy.connect("web");
    let said = ask(&mut wire, &post("/note", ""));
    assert_eq!((said.status(), said.text()), (202, String::new()));
    assert_eq!(ask(&mut wire, &post("/echo", "\"a\"")).text(), "\"a\"");
    assert_eq!(origin.accepted(), 1);
    assert_no_stream(&proxy);
}
