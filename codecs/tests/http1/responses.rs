//! What a client codec makes of responses, and what it refuses to hand on.

use sidering_codecs::BodyLength;

use super::support::{Seen, client_that_sent, decode, payload, refusal, text};

fn received(method: &str, bytes: &[u8]) -> (Vec<Seen>, bool) {
    let mut client = client_that_sent(method);
    let mut seen = Vec::new();
    decode(&mut *client, &mut { bytes }, &mut seen);
    (seen, client.is_reusable())
}

#[test]
fn bodies_by_status_method_and_fields() {
    let length = BodyLength::Sized(3);
    let (none, streamed) = (BodyLength::None, BodyLength::Streamed);
    // method, status, lines, the body told, whether the end is told at once, whether the connection may be reused
    let rows = [
        ("GET", 200, "Content-Length: 3\r\n", length, false, true),
        ("GET", 200, "Content-Length: 0\r\n", BodyLength::Sized(0), true, true),
        ("GET", 200, "Transfer-Encoding: chunked\r\n", streamed, false, true),
        ("GET", 200, "", streamed, false, false),
        ("GET", 404, "Content-Length: 3\r\nConnection: close\r\n", length, false, false),
        ("HEAD", 200, "Content-Length: 3\r\n", none, true, true),
        ("HEAD", 200, "Transfer-Encoding: chunked\r\n", none, true, true),
        ("HEAD", 200, "", none, true, true),
        ("GET", 304, "Content-Length: 3\r\n", none, true, true),
        ("GET", 204, "", none, true, true),
        ("GET", 204, "Content-Length: 0\r\n", none, true, true),
        ("GET", 204, "Content-Length: 3\r\n", none, true, false),
        ("GET", 204, "Transfer-Encoding: chunked\r\n", none, true, false),
        ("GET", 205, "Content-Length: 3\r\n", length, false, true),
    ];
    for (method, status, lines, body, ends, reusable) in rows {
        let (seen, is_reusable) =
            received(method, format!("HTTP/1.1 {status} Why\r\n{lines}\r\n").as_bytes());
        let Some(Seen::Response { status: told, body: told_body, .. }) = seen.first() else {
            panic!("{seen:?}")
        };
        assert_eq!((*told, *told_body), (status, body), "{method} {status} {lines}");
        assert_eq!(seen.last() == Some(&Seen::End), ends, "{method} {status} {lines}");
        assert_eq!(is_reusable, reusable, "{method} {status} {lines}");
    }
}

#[test]
fn http_10_upstreams() {
    for (lines, reusable) in [
        ("Content-Length: 1\r\n", false),
        ("Content-Length: 1\r\nConnection: keep-alive\r\n", true),
        ("Connection: keep-alive\r\n", false),
    ] {
        let (seen, is_reusable) = received("GET", format!("HTTP/1.0 200 OK\r\n{lines}\r\nx").as_bytes());
        assert_eq!(payload(&seen), b"x");
        assert_eq!(is_reusable, reusable, "{lines}");
    }
}

#[test]
fn lengths_that_may_not_pass_are_marked() {
    for (status, passes) in [(200, true), (304, true), (204, false), (103, false)] {
        let (seen, _) =
            received("HEAD", format!("HTTP/1.1 {status} OK\r\nContent-Length: 3\r\n\r\n").as_bytes());
        let Some(Seen::Response { fields, .. }) = seen.first() else { panic!("{seen:?}") };
        assert_eq!(!fields[0].2, passes, "{status}");
    }
}

#[test]
fn interim_responses_are_told_one_by_one() {
    let (seen, reusable) = received(
        "GET",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
          HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
    );
    let statuses: Vec<_> = seen
        .iter()
        .filter_map(|seen| match seen {
            Seen::Response { status, .. } => Some(*status),
            _ => None,
        })
        .collect();
    assert_eq!(statuses, [100, 103, 200]);
    assert_eq!(seen.iter().filter(|seen| **seen == Seen::End).count(), 1);
    assert!(reusable);
}

#[test]
fn reason_phrases_as_sent() {
    for (line, expected) in [
        ("HTTP/1.1 200 OK", "OK"),
        ("HTTP/1.1 200 ", ""),
        ("HTTP/1.1 200", ""),
        ("HTTP/1.1 200 All is\twell!", "All is\twell!"),
        ("HTTP/1.1 200  OK", " OK"),
        ("HTTP/1.1 200 Schön", "Schön"),
    ] {
        for lines in ["", "A: b\r\n"] {
            let (seen, _) = received("HEAD", format!("{line}\r\n{lines}\r\n").as_bytes());
            let Some(Seen::Response { reason, .. }) = seen.first() else { panic!("{line}: {seen:?}") };
            assert_eq!(reason, expected, "{line}");
        }
    }
}

#[test]
fn what_is_not_handed_on() {
    let with = |lines: &str| format!("HTTP/1.1 200 OK\r\n{lines}\r\n").into_bytes();
    let chunked = |body: &str| with(&format!("Transfer-Encoding: chunked\r\n\r\n{body}"));
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("both framings", with("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n")),
        ("equal lengths", with("Content-Length: 3\r\nContent-Length: 3\r\n")),
        ("list of lengths", with("Content-Length: 3, 3\r\n")),
        ("no length", with("Content-Length: x\r\n")),
        ("other coding", with("Transfer-Encoding: gzip, chunked\r\n")),
        ("coding on 1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec()),
        ("bare LF", b"HTTP/1.1 200 OK\nA: b\n\n".to_vec()),
        ("bare CR", with("A: b\rc\r\n")),
        ("NUL", with("A: b\0c\r\n")),
        ("folding", with("A: b\r\n c\r\n")),
        ("space before the colon", with("A : b\r\n")),
        ("no colon", with("A\r\n")),
        ("NUL in the phrase", b"HTTP/1.1 200 O\0K\r\n\r\n".to_vec()),
        ("no HTTP", b"SSH-2.0-x\r\n".to_vec()),
        ("empty line in front", b"\r\nHTTP/1.1 200 OK\r\n\r\n".to_vec()),
        ("HTTP/2.0", b"HTTP/2.0 200 OK\r\n\r\n".to_vec()),
        ("HTTP/1.2", b"HTTP/1.2 200 OK\r\n\r\n".to_vec()),
        ("status of two digits", b"HTTP/1.1 99 OK\r\n\r\n".to_vec()),
        ("status of four digits", b"HTTP/1.1 2000 OK\r\n\r\n".to_vec()),
        ("status 099", b"HTTP/1.1 099 OK\r\n\r\n".to_vec()),
        ("status 600", b"HTTP/1.1 600 OK\r\n\r\n".to_vec()),
        ("status 000", b"HTTP/1.1 000 OK\r\n\r\n".to_vec()),
        ("two spaces", b"HTTP/1.1  200 OK\r\n\r\n".to_vec()),
        ("101 unasked", b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n".to_vec()),
        ("nominated length", with("Content-Length: 3\r\nConnection: content-length\r\n")),
        ("broken chunk", chunked("x\r\n")),
        ("chunk with bare LF", chunked("1\na\r\n0\r\n\r\n")),
        ("broken trailer", chunked("0\r\nabc\r\n\r\n")),
    ];
    for (name, bytes) in rows {
        let (seen, reusable) = received("GET", &bytes);
        assert_eq!(refusal(&seen), Some(502), "{name}: {seen:?} for {}", text(&bytes));
        assert!(!reusable, "{name}");
    }
}

#[test]
fn the_edge_statuses_may_pass() {
    for status in [200, 299, 300, 418, 599] {
        let (seen, _) =
            received("GET", format!("HTTP/1.1 {status} OK\r\nContent-Length: 0\r\n\r\n").as_bytes());
        assert_eq!(seen.len(), 2, "{status}");
    }
}
