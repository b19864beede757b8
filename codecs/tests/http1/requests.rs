//! What a server codec makes of requests that may pass.

use sidering_codecs::registry::CodecOptions;
use sidering_codecs::{BodyLength, Codec, Scratch, Version};

use super::support::{Seen, SeenRequest, answer, decode, only_request, refusal, served, served_with, server};

fn request(bytes: &[u8]) -> SeenRequest {
    only_request(&served(bytes)).clone()
}

fn is_hop_by_hop(request: &SeenRequest, name: &str) -> bool {
    let mut fields = request.fields.iter();
    fields.find(|field| field.0 == name).unwrap_or_else(|| panic!("no {name} in {request:?}")).2
}

#[test]
fn a_plain_request() {
    let seen = served(b"GET /a?b=c HTTP/1.1\r\nHost: a.test:8080\r\nX-One:  two \t\r\nEmpty:\r\n\r\n");
    let [Seen::Request(request), Seen::End] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!(request.method, "GET");
    assert_eq!(request.version, Version::Http11);
    assert_eq!(request.authority, "a.test:8080");
    assert_eq!(request.path, "/a?b=c");
    assert!(!request.overrides_host);
    assert_eq!(request.body, BodyLength::None);
    assert_eq!(request.upgrade, None);
    assert!(!request.expects_continue);
    let expected = [("Host", "a.test:8080"), ("X-One", "two"), ("Empty", "")];
    assert_eq!(request.fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned(), false)));
}

#[test]
fn any_token_is_a_method() {
    for method in ["GET", "get", "PROPFIND", "x", "M-SEARCH", "!#$%&'*+-.^_`|~", &"M".repeat(64)] {
        let bytes = format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(request(bytes.as_bytes()).method, method);
    }
}

#[test]
fn later_versions_of_1_are_read_as_1_1() {
    for minor in 1..=9 {
        let bytes = format!("GET / HTTP/1.{minor}\r\nHost: a\r\n\r\n");
        assert_eq!(request(bytes.as_bytes()).version, Version::Http11, "1.{minor}");
    }
    assert_eq!(request(b"GET / HTTP/1.0\r\n\r\n").version, Version::Http10);
}

#[test]
fn target_forms() {
    // target, Host, authority, path, whether Host is overridden
    let rows: [(&str, &str, &str, &str, &str, bool); 16] = [
        ("GET", "/", "a", "a", "/", false),
        ("GET", "/a/../b//%2f\\|\"?x=http://b/", "a", "a", "/a/../b//%2f\\|\"?x=http://b/", false),
        ("GET", "http://a/x", "a", "a", "/x", false),
        ("GET", "HTTP://A/x", "a", "A", "/x", false),
        ("GET", "http://b/x", "a", "b", "/x", true),
        ("GET", "https://b:8443/x?y", "a", "b:8443", "/x?y", true),
        ("GET", "http://a:80/", "a", "a:80", "/", true),
        ("GET", "http://a", "a", "a", "/", false),
        ("GET", "http://a?x=y", "a", "a", "/?x=y", false),
        ("GET", "http://[::1]:80/", "a", "[::1]:80", "/", true),
        ("OPTIONS", "*", "a", "a", "*", false),
        ("OPTIONS", "/x", "a", "a", "/x", false),
        ("OPTIONS", "http://a", "a", "a", "*", false),
        ("OPTIONS", "http://a/", "a", "a", "/", false),
        ("CONNECT", "b:443", "a", "b:443", "", true),
        ("CONNECT", "a:443", "a:443", "a:443", "", false),
    ];
    for (method, target, host, authority, path, overrides) in rows {
        let bytes = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let request = request(bytes.as_bytes());
        assert_eq!(
            (request.authority.as_str(), request.path.as_str(), request.overrides_host),
            (authority, path, overrides),
            "{method} {target}"
        );
    }
}

#[test]
fn hosts_that_may_pass() {
    let hosts =
        ["", "a", "A.B", "a:", "a:0", "a:65535", "127.0.0.1:80", "[::1]", "[fe80::1]:8080", "a_b", "a%20b"];
    for host in hosts {
        let bytes = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let request = request(bytes.as_bytes());
        assert_eq!(request.authority, host);
        assert!(!request.overrides_host);
    }
    let without = request(b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!((without.authority.as_str(), without.overrides_host), ("", true), "1.0 needs none");
    let absolute = request(b"GET http://a/ HTTP/1.0\r\n\r\n");
    assert_eq!((absolute.authority.as_str(), absolute.overrides_host), ("a", true));
}

#[test]
fn values_that_may_pass() {
    let request = request(b"GET / HTTP/1.1\r\nHost: a\r\na_b: c\td\r\nc: \xe4\xff\"\\\r\n\r\n");
    assert_eq!(request.fields[1].1, "c\td");
    assert_eq!(request.fields[2].1, "\u{fffd}\u{fffd}\"\\");
}

#[test]
fn connection_level_fields_end_here() {
    let request = request(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive , X-Secret,,\r\nX-Secret: s\r\nx-secret: t\r\n\
          TE: trailers\r\nTrailer: x\r\nKeep-Alive: 5\r\nProxy-Connection: close\r\nUpgrade: h2c\r\n\
          Proxy-Authorization: b\r\nX-Other: o\r\n\r\n",
    );
    for name in ["Connection", "X-Secret", "x-secret", "TE", "Keep-Alive", "Proxy-Connection", "Upgrade"] {
        assert!(is_hop_by_hop(&request, name), "{name}");
    }
    for name in ["Host", "Trailer", "Proxy-Authorization", "X-Other"] {
        assert!(!is_hop_by_hop(&request, name), "{name}");
    }
    assert_eq!(request.upgrade, None);
}

#[test]
fn expecting_100() {
    let with_body = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-Continue\r\n\r\n";
    let told = request(with_body);
    assert!(told.expects_continue);
    assert!(!is_hop_by_hop(&told, "Expect"), "the upstream is asked");
    let on_http_10 = request(b"POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n");
    assert!(!on_http_10.expects_continue);
    assert!(is_hop_by_hop(&on_http_10, "Expect"));
    let without_body = request(b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n");
    assert!(!without_body.expects_continue, "there is nothing to wait with");
}

#[test]
fn lenient_line_ends_are_mended() {
    let options = CodecOptions { lenient_line_ends: true, ..CodecOptions::default() };
    let seen = served_with(options, b"\nPOST / HTTP/1.1\nHost: a\r\nContent-Length: 2\nb: c\n\nxy");
    let [Seen::Request(request), Seen::Data(body), Seen::End] = seen.as_slice() else { panic!("{seen:?}") };
    // Each line was recorded, and thereby checked to end with CRLF.
    assert_eq!(request.fields.len(), 3);
    assert_eq!(body, b"xy");
    let chunked = b"POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n1\nx\r\n0\r\n\r\n";
    assert_eq!(refusal(&served_with(options, chunked)), Some(400), "never within chunks");
    let trailers = b"POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n0\r\na: b\n\r\n";
    assert_eq!(refusal(&served_with(options, trailers)), Some(400), "nor behind them");
}

#[test]
fn empty_lines_in_front() {
    for (count, is_accepted) in [(0, true), (1, true), (2, true), (3, false)] {
        let bytes = format!("{}GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\r\n".repeat(count));
        assert_eq!(refusal(&served(bytes.as_bytes())), (!is_accepted).then_some(400), "{count} lines");
    }
    for wrong in ["\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", "\r\r\n"] {
        assert_eq!(refusal(&served(wrong.as_bytes())), Some(400), "{wrong:?}");
    }
    let mut server = server();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let mut input: &[u8] = b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
        decode(&mut *server, &mut input, &mut seen);
        answer(&mut *server);
    }
    assert_eq!(seen.len(), 4, "each request has its own allowance: {seen:?}");
}

#[test]
fn a_refused_connection_is_not_read_again() {
    let mut server = server();
    let mut scratch = Scratch::default();
    let mut input: &[u8] = b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert!(server.decode(&mut scratch, &mut input).is_err());
    assert!(!server.is_reusable());
    let mut input: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert!(matches!(server.decode(&mut scratch, &mut input), Ok(None)));
    assert_eq!(input.len(), 27, "untouched");
}

#[test]
fn codecs_stay_small() {
    for codec in [server(), super::support::client()] {
        let bytes = size_of_val::<dyn Codec>(&*codec);
        assert!(bytes <= 96, "{bytes} bytes for each idle connection");
    }
}
