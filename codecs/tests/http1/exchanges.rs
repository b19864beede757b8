//! One exchange at a time: pipelining, early responses, and when a connection may be used again.

use sidering_codecs::{BodyLength, Codec, Edits, InputEnd, Scratch, StreamId};

use super::support::{
    Seen, answer, client, client_that_sent, decode, refusal, response_head, send_request, server, text,
};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn after(bytes: &[u8]) -> Box<dyn Codec> {
    let mut server = server();
    decode(&mut *server, &mut { bytes }, &mut Vec::new());
    server
}

#[test]
fn pipelined_requests_wait_for_the_answer() {
    let bytes = [GET, GET, b"GET /3"].concat();
    let mut input = bytes.as_slice();
    let mut server = server();
    let mut seen = Vec::new();
    for left in [GET.len() + 6, 6] {
        decode(&mut *server, &mut input, &mut seen);
        assert!(!server.is_idle());
        assert_eq!(input.len(), left, "the next request stays with the caller");
        answer(&mut *server);
        assert!(server.is_reusable());
    }
    assert_eq!(seen.len(), 4);
    decode(&mut *server, &mut input, &mut seen);
    assert!(input.is_empty() && seen.len() == 4);
    assert!(!server.is_idle(), "a head is partly there");
}

#[test]
fn streams_count_exchanges_from_one() {
    let mut server = server();
    let mut client = client();
    let mut scratch = Scratch::default();
    for exchange in 1..4 {
        let mut input = GET;
        let Ok(Some(event)) = server.decode(&mut scratch, &mut input) else { panic!("a request") };
        assert!(
            matches!(event, sidering_codecs::Event::Request { stream: StreamId(id), .. } if id == exchange)
        );
        answer(&mut *server);
        decode(&mut *server, &mut input, &mut Vec::new());

        assert!(client.is_idle());
        send_request(&mut *client, "GET");
        assert_eq!(client.open(), None, "one at a time");
        let mut input: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";
        decode(&mut *client, &mut input, &mut Vec::new());
        assert!(client.is_idle() && client.is_reusable());
        if exchange == 3 {
            assert_eq!(client.open(), Some(StreamId(4)));
            assert!(!client.is_idle(), "an opened exchange is under way");
        }
    }
}

#[test]
fn an_answer_before_the_end_was_told_keeps_the_connection() {
    let mut server = server();
    let mut scratch = Scratch::default();
    let bytes = [GET, GET].concat();
    let mut input = bytes.as_slice();
    assert!(matches!(server.decode(&mut scratch, &mut input), Ok(Some(_))));
    answer(&mut *server);
    let mut seen = Vec::new();
    decode(&mut *server, &mut input, &mut seen);
    assert!(matches!(seen.as_slice(), [Seen::End, Seen::Request(_), Seen::End]), "{seen:?}");
}

#[test]
fn an_early_answer_ends_the_connection() {
    for framing in ["Content-Length: 9\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc"] {
        let mut server = after(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}").as_bytes());
        assert!(server.is_reusable());
        answer(&mut *server);
        assert!(!server.is_reusable(), "{framing}");
    }
}

#[test]
fn who_closes() {
    // request lines, whether it persists, the line that the client is told
    let rows = [
        ("1.1", "", true, ""),
        ("1.1", "Connection: keep-alive\r\n", true, ""),
        ("1.1", "Connection: Close\r\n", false, "connection: close\r\n"),
        ("1.1", "Connection: x, close, keep-alive\r\n", false, "connection: close\r\n"),
        ("1.0", "", false, "connection: close\r\n"),
        ("1.0", "Connection: Keep-Alive\r\n", true, "connection: keep-alive\r\n"),
        ("1.0", "Connection: keep-alive, close\r\n", false, "connection: close\r\n"),
    ];
    for (version, lines, persists, told) in rows {
        let mut server = after(format!("GET / HTTP/{version}\r\nHost: a\r\n{lines}\r\n").as_bytes());
        let out = answer(&mut *server);
        assert_eq!(text(&out), format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{told}\r\n"));
        assert_eq!(server.is_reusable(), persists, "{version} {lines}");
        assert!(server.is_idle());
        let mut next = GET;
        let mut seen = Vec::new();
        decode(&mut *server, &mut next, &mut seen);
        assert_eq!(seen.is_empty(), !persists, "a closing connection is not read");
    }
}

#[test]
fn closing_is_announced_with_the_next_head() {
    let mut server = server();
    server.close_after_current();
    let mut input = GET;
    let mut seen = Vec::new();
    decode(&mut *server, &mut input, &mut seen);
    assert_eq!(seen.len(), 2, "a request that came nevertheless is served");
    assert_eq!(
        text(&answer(&mut *server)),
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    assert!(!server.is_reusable() && server.is_idle());

    let mut client = client();
    let stream = client.open().expect("free");
    client.close_after_current();
    let mut out = Vec::new();
    let head = super::support::request_head("GET", BodyLength::None);
    client.encode_request(stream, &head, &Edits::default(), &mut out).expect("the head can be said");
    assert!(text(&out).ends_with("\r\nconnection: close\r\n\r\n"));
    assert!(!client.is_reusable());
}

#[test]
fn a_response_cut_short_ends_the_connection() {
    let mut server = after(GET);
    let mut out = Vec::new();
    server
        .encode_response(StreamId(1), &response_head(200, BodyLength::Sized(5)), &Edits::default(), &mut out)
        .expect("the head can be said");
    assert_eq!(server.encode_data(StreamId(1), b"abc", &mut out).allowed, 3);
    server.encode_end(StreamId(1), &mut out);
    assert!(!server.is_reusable());

    let mut server = after(GET);
    server.encode_end(StreamId(1), &mut out);
    assert!(!server.is_reusable(), "no response at all");
}

#[test]
fn payload_beyond_the_announced_length_is_not_granted() {
    let mut server = after(GET);
    let mut out = Vec::new();
    server
        .encode_response(StreamId(1), &response_head(200, BodyLength::Sized(5)), &Edits::default(), &mut out)
        .expect("the head can be said");
    assert!(server.relayable_out());
    server.skip_out(2);
    for (asked, granted) in [(2, 2), (9, 1), (1, 0)] {
        assert_eq!(server.encode_data(StreamId(1), &vec![0; asked], &mut out).allowed, granted);
    }
    server.encode_end(StreamId(1), &mut out);
    assert!(server.is_reusable());
}

#[test]
fn unsolicited_bytes_spoil_an_upstream_connection() {
    let stray: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";
    let mut fresh = client();
    let mut opened = client();
    let _ = opened.open();
    let mut answered = client_that_sent("GET");
    decode(&mut *answered, &mut &b"HTTP/1.1 204 No\r\n\r\n"[..], &mut Vec::new());
    assert!(answered.is_idle());
    for client in [&mut fresh, &mut opened, &mut answered] {
        let mut seen = Vec::new();
        decode(&mut **client, &mut { stray }, &mut seen);
        assert_eq!(refusal(&seen), Some(502));
        assert!(!client.is_reusable());
        assert_eq!(client.open(), None);
    }
}

#[test]
fn a_response_before_the_request_is_sent_whole() {
    let mut client = client();
    let stream = client.open().expect("free");
    let mut out = Vec::new();
    let head = super::support::request_head("POST", BodyLength::Sized(3));
    client.encode_request(stream, &head, &Edits::default(), &mut out).expect("the head can be said");
    let mut seen = Vec::new();
    decode(&mut *client, &mut &b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"[..], &mut seen);
    assert_eq!(seen.last(), Some(&Seen::End));
    assert!(!client.is_idle());
    assert_eq!(client.encode_data(stream, b"abc", &mut out).allowed, 3);
    client.encode_end(stream, &mut out);
    assert!(client.is_idle() && client.is_reusable());
}

#[test]
fn what_the_end_of_input_means_upstream() {
    let rows: [(&[u8], Result<InputEnd, ()>); 8] = [
        (b"", Err(())),
        (b"HTTP/1.1 200", Err(())),
        (b"HTTP/1.1 100 Continue\r\n\r\n", Err(())),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na", Err(())),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", Ok(InputEnd::Idle)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", Err(())),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil here", Ok(InputEnd::Message(StreamId(1)))),
        (b"HTTP/1.1 200 OK\r\n\r\n", Ok(InputEnd::Message(StreamId(1)))),
    ];
    for (bytes, expected) in rows {
        let mut client = client_that_sent("GET");
        decode(&mut *client, &mut { bytes }, &mut Vec::new());
        assert_eq!(client.decode_end().map_err(|_| ()), expected, "{}", text(bytes));
        assert!(!client.is_reusable());
    }
    assert_eq!(client().decode_end(), Ok(InputEnd::Idle));
}
