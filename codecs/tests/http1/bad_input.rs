//! Table 4.1 of bad-input.md, row by row: what may not pass, and with which status it is answered.

use super::support::{Seen, refusal, served};

/// A request with these lines behind the request line, and Host.
fn with(lines: &str) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n").into_bytes()
}

fn assert_refused(rows: &[(&str, &[u8], u16)]) {
    for (name, bytes, status) in rows {
        let seen = served(bytes);
        assert_eq!(refusal(&seen), Some(*status), "{name}: {seen:?}");
        assert!(!seen.contains(&Seen::End), "{name}: nothing may end well");
    }
}

#[test]
fn request_lines() {
    assert_refused(&[
        ("fragment", b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("space in target", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("two spaces", b"GET  /a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("tab", b"GET\t/a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("8-bit path", b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("8-bit path, no UTF-8", b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("control byte", b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("DEL", b"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("escaped NUL", b"GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("escaped NUL behind another escape", b"GET /%20%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("no token as method", b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("8-bit method", b"G\xc4T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("no method", b" / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("no form", b"GET path HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("asterisk with GET", b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("authority form with GET", b"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("CONNECT with a path", b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("CONNECT without port", b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("CONNECT with an empty port", b"CONNECT a: HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("CONNECT with a body", b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", 400),
        ("user information", b"GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("no authority", b"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("other scheme", b"GET ftp://a/x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("HTTP/2.0", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("HTTP/3", b"GET / HTTP/3\r\nHost: a\r\n\r\n", 505),
        ("HTTP/0.9 by name", b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
        ("0.9", b"GET /\r\n", 400),
        ("0.9 with a space", b"GET / \r\n", 400),
        ("lower-case version", b"GET / http/1.1\r\nHost: a\r\n\r\n", 400),
        ("version with two digits", b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400),
        ("version with another two digits", b"GET / HTTP/1.21\r\nHost: a\r\n\r\n", 400),
        ("preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        ("garbage", b"\x00\x01\x02\x03", 400),
    ]);
}

#[test]
fn field_lines() {
    assert_refused(&[
        ("bare LF at the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
        ("bare LF at a field", b"GET / HTTP/1.1\r\nHost: a\nb: c\r\n\r\n", 400),
        ("bare LF at the last field", b"GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
        ("bare LF as empty line", b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
        ("bare LF everywhere", b"GET / HTTP/1.1\nHost: a\n\n", 400),
        ("bare CR in a value", &with("a: b\rc\r\n"), 400),
        ("bare CR at a line's end", &with("a: b\r\r\n"), 400),
        ("NUL in a value", &with("a: b\0c\r\n"), 400),
        ("obsolete folding", &with("a: b\r\n c\r\n"), 400),
        ("folding with a tab", &with("a: b\r\n\tc\r\n"), 400),
        ("no colon", &with("abc\r\n"), 400),
        ("space before the colon", &with("a : b\r\n"), 400),
        ("space in the name", &with("a b: c\r\n"), 400),
        ("space before the first name", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
        ("empty name", &with(": b\r\n"), 400),
        ("name in parentheses", &with("(a): b\r\n"), 400),
        ("8-bit name", b"GET / HTTP/1.1\r\nHost: a\r\n\xe4: b\r\n\r\n", 400),
        ("NUL in a name", b"GET / HTTP/1.1\r\nHost: a\r\na\0: b\r\n\r\n", 400),
    ]);
}

#[test]
fn hosts() {
    let host = |value: &str| format!("GET / HTTP/1.1\r\nHost: {value}\r\n\r\n").into_bytes();
    assert_refused(&[
        ("none", b"GET / HTTP/1.1\r\n\r\n", 400),
        ("none with an absolute target", b"GET http://a/ HTTP/1.1\r\n\r\n", 400),
        ("two", b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("two on 1.0", b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("path", &host("a/b@c"), 400),
        ("user", &host("b@c"), 400),
        ("list", &host("a, b"), 400),
        ("list without space", &host("t.example,evil"), 400),
        ("space", &host("a b"), 400),
        ("port in letters", &host("a:b"), 400),
        ("port with a sign", &host("a:+80"), 400),
        ("port too big", &host("a:65536"), 400),
        ("two ports", &host("a:1:2"), 400),
        ("port alone", &host(":80"), 400),
        ("unclosed literal", &host("[::1"), 400),
        ("literal with text behind", &host("[::1]x"), 400),
        ("empty literal", &host("[]"), 400),
        ("broken escape", &host("a%2"), 400),
        ("escaped NUL", &host("a%00"), 400),
        ("query", &host("a?b"), 400),
        ("fragment", &host("a#b"), 400),
        ("backslash", &host("a\\b"), 400),
        ("8-bit", b"GET / HTTP/1.1\r\nHost: \xe4\r\n\r\n", 400),
        ("invalid beside an absolute target", b"GET http://a/ HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    ]);
}

#[test]
fn framing() {
    assert_refused(&[
        ("both", &with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400),
        ("both, the other way", &with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400),
        ("both with another coding", &with("Transfer-Encoding: gzip\r\nContent-Length: 5\r\n"), 400),
        ("equal lengths", &with("Content-Length: 5\r\nContent-Length: 5\r\n"), 400),
        ("list of lengths", &with("Content-Length: 5, 5\r\n"), 400),
        ("different lengths", &with("Content-Length: 5\r\nContent-Length: 6\r\n"), 400),
        ("plus", &with("Content-Length: +5\r\n"), 400),
        ("minus", &with("Content-Length: -1\r\n"), 400),
        ("hexadecimal", &with("Content-Length: 0x5\r\n"), 400),
        ("empty", &with("Content-Length: \r\n"), 400),
        ("space within", &with("Content-Length: 5 5\r\n"), 400),
        ("overflow", &with("Content-Length: 18446744073709551616\r\n"), 400),
        ("more overflow", &with("Content-Length: 18446744073709551621\r\n"), 400),
        ("xchunked", &with("Transfer-Encoding: xchunked\r\n"), 501),
        ("chunked, identity", &with("Transfer-Encoding: chunked, identity\r\n"), 501),
        ("gzip, chunked", &with("Transfer-Encoding: gzip, chunked\r\n"), 501),
        ("identity", &with("Transfer-Encoding: identity\r\n"), 501),
        ("chunked with a parameter", &with("Transfer-Encoding: chunked;a=b\r\n"), 501),
        ("quoted", &with("Transfer-Encoding: \"chunked\"\r\n"), 501),
        ("empty coding", &with("Transfer-Encoding:\r\n"), 400),
        ("coding twice", &with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400),
        ("vertical tab", &with("Transfer-Encoding: \x0bchunked\r\n"), 400),
        ("vertical tab behind", &with("Transfer-Encoding: chunked\x0b\r\n"), 400),
        ("space before the colon", &with("Transfer-Encoding : chunked\r\n"), 400),
        ("on 1.0", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ]);
}

#[test]
fn chunks() {
    let chunked = |body: &str| with(&format!("Transfer-Encoding: chunked\r\n\r\n{body}"));
    assert_refused(&[
        ("bare LF behind the size", &chunked("5\nabcde\r\n0\r\n\r\n"), 400),
        ("bare LF behind an extension", &chunked("5;a\nabcde\r\n0\r\n\r\n"), 400),
        ("bare CR in an extension", &chunked("5;a\rb\r\nabcde\r\n0\r\n\r\n"), 400),
        ("NUL in an extension", &chunked("5;a\0\r\nabcde\r\n0\r\n\r\n"), 400),
        ("prefix", &chunked("0x5\r\nabcde\r\n0\r\n\r\n"), 400),
        ("sign", &chunked("+5\r\nabcde\r\n0\r\n\r\n"), 400),
        ("space before", &chunked(" 5\r\nabcde\r\n0\r\n\r\n"), 400),
        ("space behind", &chunked("5 \r\nabcde\r\n0\r\n\r\n"), 400),
        ("empty size", &chunked("\r\nabcde\r\n0\r\n\r\n"), 400),
        ("extension without size", &chunked(";a\r\n0\r\n\r\n"), 400),
        ("overflow", &chunked("10000000000000000\r\n"), 400),
        ("more overflow", &chunked("fffffffffffffffff\r\n"), 400),
        ("no CRLF behind the data", &chunked("5\r\nabcdef\r\n0\r\n\r\n"), 400),
        ("bare LF behind the data", &chunked("5\r\nabcde\n0\r\n\r\n"), 400),
        ("bare CR behind the data", &chunked("5\r\nabcde\r0\r\n\r\n"), 400),
        ("extension of 20 KB", &chunked(&format!("5;{}\r\nabcde\r\n0\r\n\r\n", "a".repeat(20_000))), 400),
        ("bare LF at a trailer", &chunked("0\r\na: b\n\r\n"), 400),
        ("bare LF as the end", &chunked("0\r\n\n"), 400),
        ("trailer without colon", &chunked("0\r\nabc\r\n\r\n"), 400),
        ("folded trailer", &chunked("0\r\na: b\r\n c\r\n\r\n"), 400),
    ]);
}

#[test]
fn sizes() {
    let long_target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(20_000));
    let fields = |count: usize| with(&"a: b\r\n".repeat(count));
    assert_refused(&[
        ("target of 20 KB", long_target.as_bytes(), 414),
        ("field of 100 KB", &with(&format!("a: {}\r\n", "b".repeat(100_000))), 431),
        ("150 fields", &fields(150), 431),
        ("2000 fields", &fields(2000), 431),
        ("long method", &[b"M".repeat(65).as_slice(), b" / HTTP/1.1\r\nHost: a\r\n\r\n"].concat(), 501),
    ]);
}

#[test]
fn connection_options() {
    let nominating = |name: &str| with(&format!("Connection: close, {name}\r\n"));
    assert_refused(&[
        ("Host", &nominating("Host"), 400),
        ("Content-Length", &nominating("content-length"), 400),
        ("Transfer-Encoding", &nominating("Transfer-Encoding"), 400),
        ("X-Forwarded-For", &nominating("X-Forwarded-For"), 400),
        ("X-Forwarded-Proto", &nominating("x-forwarded-proto"), 400),
        ("Forwarded", &nominating("Forwarded"), 400),
        ("Authorization", &nominating("authorization"), 400),
        ("Cookie", &nominating("Cookie"), 400),
        ("no token", &nominating("a b"), 400),
        ("pseudo-header", &nominating(":path"), 400),
        ("in a second field", &with("Connection: close\r\nConnection: host\r\n"), 400),
    ]);
}

#[test]
fn expectations() {
    assert_refused(&[
        ("unknown", &with("Expect: banana\r\n"), 417),
        ("list", &with("Expect: 100-continue, banana\r\n"), 417),
        ("two", &with("Expect: 100-continue\r\nExpect: 100-continue\r\n"), 417),
        ("unknown on 1.0", b"GET / HTTP/1.0\r\nExpect: banana\r\n\r\n", 417),
        ("empty", &with("Expect:\r\n"), 417),
    ]);
}
