//! What a server codec writes: response heads, framing, and answers of the proxy's own.

use sidering_codecs::{BodyLength, Codec, Edits, Event, FieldName, Grant, Scratch, StreamId, Version};

use super::support::{client_that_sent, decode, response_head, server, text};

const STREAM: StreamId = StreamId(1);

fn asked(method: &str, version: &str, lines: &str) -> Box<dyn Codec> {
    let mut server = server();
    let bytes = format!("{method} / HTTP/{version}\r\nHost: a\r\n{lines}\r\n");
    decode(&mut *server, &mut bytes.as_bytes(), &mut Vec::new());
    server
}

/// What a client that asked so gets when an upstream answers with these bytes; only the head.
fn relayed(method: &str, version: &str, upstream: &[u8], edits: &Edits) -> String {
    let mut client = client_that_sent(method);
    let mut server = asked(method, version, "");
    let (mut scratch, mut input, mut out) = (Scratch::default(), upstream, Vec::new());
    let Ok(Some(Event::Response { head, .. })) = client.decode(&mut scratch, &mut input) else {
        panic!("a response")
    };
    server.encode_response(STREAM, &head, edits, &mut out).expect("the head can be said");
    text(&out)
}

#[test]
fn heads_by_body_method_and_version() {
    // method, client's version, what the upstream says behind the status line, what goes out behind it
    let rows = [
        ("GET", "1.1", "Content-Length: 3\r\nA: b\r\n", "Content-Length: 3\r\nA: b\r\n"),
        ("GET", "1.1", "Transfer-Encoding: chunked\r\nA: b\r\n", "A: b\r\ntransfer-encoding: chunked\r\n"),
        ("GET", "1.1", "A: b\r\n", "A: b\r\ntransfer-encoding: chunked\r\n"),
        ("GET", "1.0", "A: b\r\n", "A: b\r\nconnection: close\r\n"),
        ("GET", "1.0", "Transfer-Encoding: chunked\r\n", "connection: close\r\n"),
        ("GET", "1.0", "Content-Length: 3\r\n", "Content-Length: 3\r\nconnection: close\r\n"),
        ("HEAD", "1.1", "Content-Length: 3\r\n", "Content-Length: 3\r\n"),
        ("HEAD", "1.1", "Transfer-Encoding: chunked\r\nA: b\r\n", "A: b\r\n"),
        (
            "GET",
            "1.1",
            "Connection: close, X\r\nContent-Length: 0\r\nX: y\r\nZ: z\r\n",
            "Content-Length: 0\r\nZ: z\r\n",
        ),
        (
            "GET",
            "1.1",
            "Keep-Alive: 5\r\nA: 1\r\nUpgrade: h2\r\nA: 2\r\nContent-Length: 0\r\n",
            "A: 1\r\nA: 2\r\nContent-Length: 0\r\n",
        ),
    ];
    for (method, version, lines, expected) in rows {
        let upstream = format!("HTTP/1.1 200 Fine\r\n{lines}\r\n");
        let out = relayed(method, version, upstream.as_bytes(), &Edits::default());
        assert_eq!(out, format!("HTTP/1.1 200 Fine\r\n{expected}\r\n"), "{method} {version} {lines}");
    }
}

#[test]
fn heads_by_status() {
    let rows = [
        ("204 No", "Content-Length: 0\r\nA: b\r\n", "A: b\r\n"),
        ("304 Same", "Content-Length: 9\r\nETag: b\r\n", "Content-Length: 9\r\nETag: b\r\n"),
        ("304 Same", "ETag: b\r\n", "ETag: b\r\n"),
        ("103 Hints", "Link: b\r\n", "Link: b\r\n"),
        ("100 Continue", "", ""),
    ];
    for (status, lines, expected) in rows {
        let upstream = format!("HTTP/1.1 {status}\r\n{lines}\r\n");
        let out = relayed("GET", "1.1", upstream.as_bytes(), &Edits::default());
        assert_eq!(out, format!("HTTP/1.1 {status}\r\n{expected}\r\n"), "{status} {lines}");
    }
    assert_eq!(relayed("GET", "1.0", b"HTTP/1.1 103 Hints\r\n\r\n", &Edits::default()), "", "1.0 knows none");
}

#[test]
fn edits_apply() {
    let mut edits = Edits::default();
    edits.remove(1);
    edits.add(b"x-new", b"n");
    let upstream = b"HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\nC: 3\r\nContent-Length: 4\r\nD: 5\r\n\r\n";
    assert_eq!(
        relayed("GET", "1.1", upstream, &edits),
        "HTTP/1.1 200 OK\r\nA: 1\r\nC: 3\r\nContent-Length: 4\r\nD: 5\r\nx-new: n\r\n\r\n"
    );
    edits.clear();
    edits.remove(3);
    assert_eq!(
        relayed("GET", "1.1", upstream, &edits),
        "HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 5\r\ncontent-length: 4\r\n\r\n",
        "the framing is not a filter's to take away"
    );
}

#[test]
fn heads_of_our_own() {
    let rows = [
        ("GET", 200, BodyLength::Sized(5), "content-length: 5\r\n"),
        ("GET", 200, BodyLength::None, "content-length: 0\r\n"),
        ("GET", 204, BodyLength::None, ""),
        ("GET", 304, BodyLength::None, ""),
        ("HEAD", 200, BodyLength::Sized(5), "content-length: 5\r\n"),
        ("HEAD", 200, BodyLength::None, ""),
        ("GET", 200, BodyLength::Streamed, "transfer-encoding: chunked\r\n"),
    ];
    for (method, status, body, expected) in rows {
        let mut server = asked(method, "1.1", "");
        let mut out = Vec::new();
        server
            .encode_response(STREAM, &response_head(status, body), &Edits::default(), &mut out)
            .expect("the head can be said");
        assert_eq!(
            text(&out),
            format!("HTTP/1.1 {status} OK\r\n{expected}\r\n"),
            "{method} {status} {body:?}"
        );
    }
    let mut server = asked("GET", "1.1", "");
    let mut head = response_head(404, BodyLength::Sized(0));
    (head.version, head.reason) = (Version::Http2, b"");
    let mut out = Vec::new();
    server.encode_response(STREAM, &head, &Edits::default(), &mut out).expect("the head can be said");
    assert_eq!(text(&out), "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
}

#[test]
fn chunks_are_framed_around_payload() {
    let mut server = asked("GET", "1.1", "");
    let mut out = Vec::new();
    server
        .encode_response(STREAM, &response_head(200, BodyLength::Streamed), &Edits::default(), &mut out)
        .expect("the head can be said");
    assert!(!server.relayable_out());
    for (length, framing) in [(1, "1\r\n"), (15, "f\r\n"), (16, "10\r\n"), (65_536, "10000\r\n")] {
        out.clear();
        let grant = server.encode_data(STREAM, &vec![0; length], &mut out);
        assert_eq!(grant, Grant { allowed: length, suffix: b"\r\n" });
        assert_eq!(text(&out), framing);
    }
    out.clear();
    server.encode_end(STREAM, &mut out);
    assert_eq!(text(&out), "0\r\n\r\n");
    server.encode_end(STREAM, &mut out);
    assert_eq!(text(&out), "0\r\n\r\n", "once");
}

#[test]
fn trailers_go_where_there_is_room() {
    let mut edits = Edits::default();
    edits.add_parts(FieldName::Other, b"checksum", &[b"4", b"2"]);
    let rows = [
        ("1.1", BodyLength::Streamed, "0\r\nchecksum: 42\r\n\r\n"),
        ("1.0", BodyLength::Streamed, ""),
        ("1.1", BodyLength::Sized(0), ""),
    ];
    for (version, body, expected) in rows {
        let mut server = asked("GET", version, "");
        let mut out = Vec::new();
        server
            .encode_response(STREAM, &response_head(200, body), &Edits::default(), &mut out)
            .expect("the head can be said");
        out.clear();
        server.encode_trailers(STREAM, &edits.added(), &mut out);
        server.encode_end(STREAM, &mut out);
        assert_eq!(text(&out), expected, "{version} {body:?}");
    }
}

#[test]
fn only_one_head_goes_out() {
    let mut server = asked("GET", "1.1", "");
    let mut out = Vec::new();
    let head = response_head(200, BodyLength::Sized(3));
    server.encode_response(STREAM, &head, &Edits::default(), &mut out).expect("the head can be said");
    let length = out.len();
    server.encode_response(STREAM, &head, &Edits::default(), &mut out).expect("the head can be said");
    server.encode_local_reply(Some(STREAM), 502, b"", b"late", &mut out);
    assert_eq!(out.len(), length, "a second head would be read as payload");
    assert!(!server.is_reusable());
}

fn assert_local_reply(request: (&str, &str, &str), status: u16, extra: &str, body: &str, expected: &str) {
    let (method, version, lines) = request;
    let mut server = asked(method, version, lines);
    let mut out = Vec::new();
    server.encode_local_reply(Some(STREAM), status, extra.as_bytes(), body.as_bytes(), &mut out);
    assert_eq!(text(&out), format!("HTTP/1.1 {expected}"), "{request:?}");
    assert_eq!(server.is_reusable(), !expected.contains("connection: close"), "{request:?}");
    assert_eq!(server.is_idle(), !lines.contains("Content-Length"), "the reply ended the exchange");
}

#[test]
fn local_replies() {
    let get = ("GET", "1.1", "");
    assert_local_reply(get, 404, "", "", "404 Not Found\r\ncontent-length: 0\r\n\r\n");
    assert_local_reply(
        get,
        404,
        "",
        "gone",
        "404 Not Found\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\ngone",
    );
    assert_local_reply(
        ("HEAD", "1.1", ""),
        503,
        "",
        "why",
        "503 Service Unavailable\r\ncontent-type: text/plain\r\ncontent-length: 3\r\n\r\n",
    );
    assert_local_reply(get, 204, "", "no", "204 No Content\r\n\r\n");
    assert_local_reply(
        get,
        301,
        "location: /b\r\n",
        "",
        "301 Moved Permanently\r\ncontent-length: 0\r\nlocation: /b\r\n\r\n",
    );
}

#[test]
fn local_replies_say_whether_the_connection_goes_on() {
    assert_local_reply(
        ("GET", "1.0", ""),
        404,
        "",
        "",
        "404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    );
    assert_local_reply(
        ("GET", "1.0", "Connection: keep-alive\r\n"),
        404,
        "",
        "",
        "404 Not Found\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n",
    );
    // The rest of the body will not be read.
    assert_local_reply(
        ("PUT", "1.1", "Content-Length: 9\r\n"),
        413,
        "",
        "",
        "413 Content Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    );
}

#[test]
fn a_reply_to_what_was_not_understood_closes() {
    for partial in ["", "GET / HT"] {
        let mut server = server();
        decode(&mut *server, &mut partial.as_bytes(), &mut Vec::new());
        let mut out = Vec::new();
        server.encode_local_reply(None, 408, b"", b"slow", &mut out);
        assert_eq!(
            text(&out),
            "HTTP/1.1 408 Request Timeout\r\ncontent-type: text/plain\r\ncontent-length: 4\r\nconnection: close\r\n\r\nslow"
        );
        assert!(!server.is_reusable() && server.is_idle());
        let mut next: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut seen = Vec::new();
        decode(&mut *server, &mut next, &mut seen);
        assert!(seen.is_empty());
    }
}
