//! Every bound, one below it, at it, and one above it.

use sidering_codecs::registry::{CodecOptions, MAX_HEADERS};

use super::support::{
    Seen, client, client_with, decode, in_pieces, refusal, send_request, served_with, server_with,
};

fn assert_bound(name: &str, options: CodecOptions, bytes: &[u8], expected: Option<u16>) {
    assert_eq!(refusal(&served_with(options, bytes)), expected, "{name}, whole");
    let by_bytes = in_pieces(&mut *server_with(options), bytes.chunks(1));
    assert_eq!(refusal(&by_bytes), expected, "{name}, byte by byte");
}

#[test]
fn header_bytes() {
    for extra in [-1i64, 0, 1] {
        let options = CodecOptions { header_bytes: 200, ..CodecOptions::default() };
        let frame = "GET / HTTP/1.1\r\nHost: a\r\nb: \r\n\r\n".len() as i64;
        let filling = "x".repeat((200 - frame + extra) as usize);
        let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\nb: {filling}\r\n\r\n");
        let expected = (extra > 0).then_some(431);
        assert_bound("head", options, bytes.as_bytes(), expected);
        let with_body =
            bytes.replace("GET", "PUT").replace("Host: a\r\nb", "Host: a\r\nContent-Length: 900\r\nb");
        let options = CodecOptions { header_bytes: 221, ..options };
        assert_bound("head before a body", options, (with_body + &"y".repeat(900)).as_bytes(), expected);
    }
}

#[test]
fn header_bytes_are_counted_while_the_head_is_incomplete() {
    let options = CodecOptions { header_bytes: 200, ..CodecOptions::default() };
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nb: {}", "x".repeat(300));
    for (length, expected) in [(199, None), (200, Some(431)), (201, Some(431))] {
        assert_bound("incomplete head", options, &head.as_bytes()[..length], expected);
    }
}

#[test]
fn header_count() {
    for limit in [3, 100, MAX_HEADERS] {
        for (count, expected) in [(limit - 1, None), (limit, None), (limit + 1, Some(431))] {
            let options = CodecOptions { headers: limit, ..CodecOptions::default() };
            let fields = "b: c\r\n".repeat(usize::from(count) - 1);
            let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            assert_bound("fields", options, bytes.as_bytes(), expected);
            let incomplete = &bytes.as_bytes()[..bytes.len() - 2];
            assert_bound("fields of an incomplete head", options, incomplete, expected);
        }
    }
    let options = CodecOptions { headers: u16::MAX, ..CodecOptions::default() };
    let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "b: c\r\n".repeat(usize::from(MAX_HEADERS)));
    assert_bound("more than can be allowed", options, bytes.as_bytes(), Some(431));
}

#[test]
fn uri_bytes() {
    for (length, expected) in [(49, None), (50, None), (51, Some(414))] {
        let options = CodecOptions { uri_bytes: 50, ..CodecOptions::default() };
        let target = format!("/{}", "x".repeat(length - 1));
        let bytes = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_bound("target", options, bytes.as_bytes(), expected);
        assert_bound("incomplete target", options, format!("PROPFIND {target}").as_bytes(), expected);
    }
}

#[test]
fn method_bytes() {
    for (length, expected) in [(63, None), (64, None), (65, Some(501))] {
        let bytes = format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(length));
        assert_bound("method", CodecOptions::default(), bytes.as_bytes(), expected);
        assert_bound("incomplete method", CodecOptions::default(), "M".repeat(length).as_bytes(), expected);
    }
}

#[test]
fn connection_options() {
    for (count, expected) in [(63, None), (64, None), (65, Some(400))] {
        let bytes =
            format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {}\r\n\r\n", vec!["b"; count].join(","));
        assert_bound("options", CodecOptions::default(), bytes.as_bytes(), expected);
    }
}

#[test]
fn trailers() {
    let options = CodecOptions { header_bytes: 100, headers: 4, ..CodecOptions::default() };
    let head = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
    for (count, expected) in [(3, None), (4, None), (5, Some(431))] {
        let bytes = format!("{head}{}\r\n", "b: c\r\n".repeat(count));
        assert_bound("trailer fields", options, bytes.as_bytes(), expected);
    }
    for (length, expected) in [(99, None), (100, None), (101, Some(431))] {
        let bytes = format!("{head}b: {}\r\n\r\n", "c".repeat(length - 7));
        assert_bound("trailer bytes", options, bytes.as_bytes(), expected);
    }
}

#[test]
fn interim_responses() {
    for (count, expected) in [(15, None), (16, None), (17, Some(502))] {
        let mut client = client();
        // The count begins anew with each request.
        for _ in 0..2 {
            send_request(&mut *client, "GET");
            let interim = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(count);
            let bytes = format!("{interim}HTTP/1.1 204 No Content\r\n\r\n");
            let mut seen = Vec::new();
            decode(&mut *client, &mut bytes.as_bytes(), &mut seen);
            assert_eq!(refusal(&seen), expected, "{count} interim responses");
            if expected.is_some() {
                break;
            }
        }
    }
}

#[test]
fn response_heads() {
    let options = CodecOptions { header_bytes: 100, headers: 4, ..CodecOptions::default() };
    let read = |bytes: &str| {
        let mut client = client_with(options);
        send_request(&mut *client, "GET");
        let seen = in_pieces(&mut *client, bytes.as_bytes().chunks(1));
        assert!(matches!(seen.first(), Some(Seen::Response { .. } | Seen::Refused(_))));
        refusal(&seen)
    };
    for (count, expected) in [(3, None), (4, None), (5, Some(502))] {
        assert_eq!(read(&format!("HTTP/1.1 204 No\r\n{}\r\n", "b: c\r\n".repeat(count))), expected);
    }
    for (length, expected) in [(99, None), (100, None), (101, Some(502))] {
        let frame = "HTTP/1.1 204 No\r\nb: \r\n\r\n".len();
        assert_eq!(read(&format!("HTTP/1.1 204 No\r\nb: {}\r\n\r\n", "c".repeat(length - frame))), expected);
    }
}

#[test]
fn a_dribbled_head_costs_linear_work() {
    // 64 KiB in single bytes: reading everything anew at each byte would take minutes in a debug build.
    let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\nb: {}\r\n\r\n", "x".repeat(60_000));
    let seen = in_pieces(&mut *server_with(CodecOptions::default()), bytes.as_bytes().chunks(1));
    assert_eq!(seen.len(), 2);
}
