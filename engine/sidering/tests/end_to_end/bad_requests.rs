//! Table 4.1 of the reference on bad input, downstream: each row as raw bytes, with the status it must be answered with,
//! and an upstream that sees whether anything of it got through.

use crate::support::web::reply;
use crate::support::{Config, End, Origin, Proxy};

/// A row: a name for failures, the bytes, the status.
type Row<'r> = (&'r str, Vec<u8>, u16);

/// A request with these lines behind Host.
fn with(lines: &str) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n").into_bytes()
}

fn line(line: &str) -> Vec<u8> {
    format!("{line}\r\nHost: a\r\n\r\n").into_bytes()
}

/// An upstream that answers everything and keeps what came.
fn recorder() -> Origin {
    Origin::recording(|wire, _| {
        loop {
            let head = wire.head()?;
            wire.body(&head, |_| {})?;
            reply(wire, 200, "ok")?;
        }
    })
}

/// Each row is answered with its status, the connection ends, and nothing reaches the upstream.
#[track_caller]
fn assert_refused(rows: Vec<Row<'_>>) {
    let origin = recorder();
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wrong = vec![];
    for (name, bytes, status) in rows {
        if let Err(reason) = refused(&proxy, &bytes, status) {
            wrong.push(format!("{name}: {reason}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(origin.seen_text(), "", "nothing of them may reach the upstream");
    let mut good = proxy.connect("web");
    good.get("/good").unwrap();
    assert_eq!(good.response().unwrap().status(), 200, "others are served as ever");
    drop((good, origin));
    proxy.assert_home();
}

/// Sends bytes; they must be answered with `status` and the end of the connection, without a reset that could have
/// destroyed the answer.
fn refused(proxy: &Proxy, bytes: &[u8], status: u16) -> Result<(), String> {
    let mut wire = proxy.connect("web");
    // The proxy may refuse before it has read everything.
    let _ = wire.send(bytes);
    let answer = wire.response().map_err(|error| format!("no answer: {error}"))?;
    if answer.status() != status {
        return Err(format!("{} instead of {status}", answer.status()));
    }
    if answer.head.value("connection") != Some("close") {
        return Err(format!("does not say close: {answer:?}"));
    }
    match wire.rest() {
        Ok((rest, End::Closed)) if rest.is_empty() => Ok(()),
        other => Err(format!("the connection does not just end: {other:?}")),
    }
}

#[test]
fn framing_that_two_could_read_differently() {
    assert_refused(vec![
        ("both", with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400),
        ("both, the other way", with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400),
        ("equal lengths", with("Content-Length: 5\r\nContent-Length: 5\r\n"), 400),
        ("a list of lengths", with("Content-Length: 5, 5\r\n"), 400),
        ("different lengths", with("Content-Length: 5\r\nContent-Length: 6\r\n"), 400),
        ("plus", with("Content-Length: +5\r\n"), 400),
        ("minus", with("Content-Length: -1\r\n"), 400),
        ("hexadecimal", with("Content-Length: 0x5\r\n"), 400),
        ("no length", with("Content-Length:\r\n"), 400),
        ("overflow", with("Content-Length: 18446744073709551621\r\n"), 400),
        ("xchunked", with("Transfer-Encoding: xchunked\r\n"), 501),
        ("chunked, identity", with("Transfer-Encoding: chunked, identity\r\n"), 501),
        ("gzip, chunked", with("Transfer-Encoding: gzip, chunked\r\n"), 501),
        ("twice", with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400),
        ("vertical tab", with("Transfer-Encoding: \x0bchunked\r\n"), 400),
        ("space before the colon", with("Transfer-Encoding : chunked\r\n"), 400),
        ("on 1.0", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(), 400),
    ]);
}

#[test]
fn lines_that_are_none() {
    assert_refused(vec![
        ("bare LF", b"GET / HTTP/1.1\nHost: a\n\n".to_vec(), 400),
        ("bare LF at one field", b"GET / HTTP/1.1\r\nHost: a\nb: c\r\n\r\n".to_vec(), 400),
        ("bare CR in a value", with("a: b\rc\r\n"), 400),
        ("NUL in a value", with("a: b\0c\r\n"), 400),
        ("folding", with("a: b\r\n c\r\n"), 400),
        ("no colon", with("abc\r\n"), 400),
        ("8-bit name", b"GET / HTTP/1.1\r\nHost: a\r\n\xe4: b\r\n\r\n".to_vec(), 400),
        ("space in a name", with("a b: c\r\n"), 400),
        ("space before a colon", with("a : c\r\n"), 400),
        ("no Host", b"GET / HTTP/1.1\r\n\r\n".to_vec(), 400),
        ("two Hosts", with("Host: evil\r\n"), 400),
        ("a Host that is a path", b"GET / HTTP/1.1\r\nHost: a/b@c\r\n\r\n".to_vec(), 400),
        ("Host nominated", with("Connection: Host\r\n"), 400),
        ("Content-Length nominated", with("Connection: close, Content-Length\r\n"), 400),
        ("Transfer-Encoding nominated", with("Connection: Transfer-Encoding\r\n"), 400),
        ("X-Forwarded-For nominated", with("Connection: X-Forwarded-For\r\n"), 400),
        ("an expectation nobody knows", with("Expect: banana\r\n"), 417),
    ]);
}

#[test]
fn targets_methods_and_versions() {
    assert_refused(vec![
        ("escaped NUL", line("GET /a%00b HTTP/1.1"), 400),
        ("fragment", line("GET /a#b HTTP/1.1"), 400),
        ("space", line("GET /a b HTTP/1.1"), 400),
        ("8-bit path", line("GET /\u{e4} HTTP/1.1"), 400),
        ("no token", line("G@T / HTTP/1.1"), 400),
        ("2.0", line("GET / HTTP/2.0"), 505),
        ("0.9", b"GET /\r\n".to_vec(), 400),
        ("preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), 505),
        ("TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), 400),
        ("garbage", b"\x00\x01\x02\x03\xff\xfe".to_vec(), 400),
    ]);
}

#[test]
fn too_much() {
    assert_refused(vec![
        ("target of 20 KB", line(&format!("GET /{} HTTP/1.1", "a".repeat(20_000))), 414),
        ("field of 100 KB", with(&format!("a: {}\r\n", "b".repeat(100_000))), 431),
        ("150 fields", with(&"a: b\r\n".repeat(150)), 431),
        ("2000 fields", with(&"a: b\r\n".repeat(2000)), 431),
        ("a head without end", with(&"a".repeat(200_000)), 431),
        ("empty lines without end", "\r\n".repeat(100).into_bytes(), 400),
    ]);
}

#[test]
fn limits_hold_at_their_bound_and_not_before() {
    let origin = recorder();
    let limits = "limits: { headers: 10, header_bytes: 4KiB, uri_bytes: 1KiB }";
    let config = Config::new().http("web", limits, "{ match: {}, cluster: api }").cluster("api", &origin, "");
    let proxy = Proxy::start(&config);
    let fields = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "a: b\r\n".repeat(count - 1));
    let target = |length: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(length - 1));
    let head = |length: usize| {
        let empty = "GET / HTTP/1.1\r\nHost: a\r\na: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nHost: a\r\na: {}\r\n\r\n", "b".repeat(length - empty))
    };
    for (name, request, status) in [
        ("10 fields", fields(10), 200),
        ("11 fields", fields(11), 431),
        ("target at the bound", target(1024), 200),
        ("target over the bound", target(1025), 414),
        ("head at the bound", head(4096), 200),
        ("head over the bound", head(4097), 431),
    ] {
        let mut wire = proxy.connect("web");
        wire.send(request.as_bytes()).unwrap();
        assert_eq!(wire.response().unwrap().status(), status, "{name}");
    }
}

/// A body that goes wrong: the head may have gone ahead, but the upstream never gets a whole message, nor anything of
/// what stands behind the fault.
#[test]
fn chunks_that_are_none() {
    let long_extension = format!("5;{}\r\nEVIL!\r\n0\r\n\r\n", "a".repeat(20_000));
    let rows = [
        ("bare LF behind a size", "5\nEVIL!\r\n0\r\n\r\n"),
        ("bare LF behind an extension", "5;a\nEVIL!\r\n0\r\n\r\n"),
        ("bare CR in an extension", "5;a\rb\r\nEVIL!\r\n0\r\n\r\n"),
        ("0x5", "0x5\r\nEVIL!\r\n0\r\n\r\n"),
        ("overflow", "10000000000000005\r\nEVIL!\r\n0\r\n\r\n"),
        ("negative", "-5\r\nEVIL!\r\n0\r\n\r\n"),
        ("no line end behind the data", "2\r\nabEVIL!\r\n0\r\n\r\n"),
        ("bare LF behind the data", "2\r\nab\n5\r\nEVIL!\r\n0\r\n\r\n"),
        ("an extension of 20 KB", &long_extension),
        ("a trailer without colon", "0\r\nEVIL!\r\n\r\n"),
    ];
    let origin = recorder();
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wrong = vec![];
    for (name, body) in rows {
        let request = with(&format!("Transfer-Encoding: chunked\r\n\r\n{body}"));
        // `with` ends the head once more behind the body: bytes behind a fault, which must be ignored too.
        if let Err(reason) = refused(&proxy, &request, 400) {
            wrong.push(format!("{name}: {reason}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    proxy_has_no_upstream(&proxy);
    for seen in origin.seen() {
        assert!(!seen.contains("EVIL!") && !seen.contains("\r\n0\r\n"), "got through: {seen:?}");
    }
}

/// Waits until the proxy has closed what it had to the upstream, so that what got there has got there.
fn proxy_has_no_upstream(proxy: &Proxy) {
    crate::support::until("no upstream connection", || {
        let active = proxy.metrics().sum_where("sidering_cluster_upstream_cx_active", "\"api\"");
        (active == 0.0).then_some(())
    });
}

#[test]
fn bare_line_feeds_pass_where_the_listener_is_lenient() {
    let origin = recorder();
    let options = "lenient_line_ends: true";
    let config =
        Config::new().http("web", options, "{ match: {}, cluster: api }").cluster("api", &origin, "");
    let proxy = Proxy::start(&config);
    let mut wire = proxy.connect("web");
    wire.send(b"GET /lenient HTTP/1.1\nHost: a\nx: y\n\n").unwrap();
    assert_eq!(wire.response().unwrap().status(), 200);
    let seen = origin.seen_text();
    assert!(
        seen.starts_with("GET /lenient HTTP/1.1\r\n") && !seen.replace("\r\n", "").contains('\n'),
        "{seen:?}"
    );
}

#[test]
fn methods_that_are_not_for_a_proxy() {
    let origin = recorder();
    let proxy = Proxy::start(&Config::http_to(&origin));
    for (request, status) in [("TRACE / HTTP/1.1", 405), ("CONNECT a:80 HTTP/1.1", 404)] {
        let mut wire = proxy.connect("web");
        wire.send(&line(request)).unwrap();
        assert_eq!(wire.response().unwrap().status(), status, "{request}");
    }
    assert_eq!(origin.seen_text(), "");
}

#[test]
fn what_follows_a_refused_request_is_not_served() {
    let origin = recorder();
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    let request =
        "POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    wire.send(format!("{request}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).unwrap();
    assert_eq!(wire.response().unwrap().status(), 400);
    assert_eq!(wire.assert_ended(), End::Closed);
    assert_eq!(origin.seen_text(), "");
}

#[test]
fn a_good_request_in_front_of_a_bad_one_is_answered() {
    let origin = recorder();
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    wire.send(b"GET /good HTTP/1.1\r\nHost: a\r\n\r\nGET /bad HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        .unwrap();
    assert_eq!(wire.response().unwrap().status(), 200);
    assert_eq!(wire.response().unwrap().status(), 400);
    assert_eq!(wire.assert_ended(), End::Closed);
    let seen = origin.seen_text();
    assert!(seen.contains("/good") && !seen.contains("/bad"), "{seen}");
}
