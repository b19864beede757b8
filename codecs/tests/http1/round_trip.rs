//! What one codec writes, the other reads: requests to a server codec, responses to a client codec.

use proptest::prelude::*;
use sidering_codecs::{BodyLength, Codec, Edits, Event, FieldName, Fields, Method, Scratch, StreamId};

use super::support::{
    Seen, client, client_that_sent, decode, in_pieces, only_request, payload, request_head, response_head,
    served, server, text,
};

#[derive(Clone, Debug)]
enum Body {
    None,
    Sized(Vec<Vec<u8>>),
    Streamed { pieces: Vec<Vec<u8>>, trailers: Vec<(String, String)> },
}

impl Body {
    fn length(&self) -> BodyLength {
        match self {
            Body::None => BodyLength::None,
            Body::Sized(pieces) => BodyLength::Sized(pieces.concat().len() as u64),
            Body::Streamed { .. } => BodyLength::Streamed,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Body::None => Vec::new(),
            Body::Sized(pieces) | Body::Streamed { pieces, .. } => pieces.concat(),
        }
    }

    fn trailers(&self) -> &[(String, String)] {
        match self {
            Body::Streamed { trailers, .. } => trailers,
            _ => &[],
        }
    }
}

fn body() -> impl Strategy<Value = Body> {
    let pieces = || prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..6);
    let trailers = prop::collection::vec(("x-[a-z]{1,8}", "[!-~]{0,10}"), 0..4);
    prop_oneof![
        Just(Body::None),
        pieces().prop_map(Body::Sized),
        (pieces(), trailers).prop_map(|(pieces, trailers)| Body::Streamed { pieces, trailers }),
    ]
}

/// Sends the body, with the payload where the caller would send it itself.
fn send_body(codec: &mut dyn Codec, body: &Body, out: &mut Vec<u8>) {
    let stream = StreamId(1);
    if let Body::Sized(pieces) | Body::Streamed { pieces, .. } = body {
        for piece in pieces {
            let grant = codec.encode_data(stream, piece, out);
            assert_eq!(grant.allowed, piece.len());
            out.extend_from_slice(piece);
            out.extend_from_slice(grant.suffix);
        }
    }
    if !body.trailers().is_empty() {
        let mut lines = Edits::default();
        for (name, value) in body.trailers() {
            lines.add(name.as_bytes(), value.as_bytes());
        }
        codec.encode_trailers(stream, &lines.added(), out);
    }
    codec.encode_end(stream, out);
}

fn assert_body(seen: &[Seen], body: &Body) {
    assert_eq!(payload(seen), body.bytes());
    assert_eq!(seen.last(), Some(&Seen::End));
    let trailers: Vec<_> = seen.iter().filter(|seen| matches!(seen, Seen::Trailers(_))).collect();
    let expected: Vec<_> =
        body.trailers().iter().map(|(name, value)| (name.clone(), value.clone(), false)).collect();
    match trailers.as_slice() {
        [] => assert!(expected.is_empty()),
        [Seen::Trailers(fields)] => assert_eq!(*fields, expected),
        _ => panic!("more than one trailer section"),
    }
}

proptest! {
    #[test]
    fn requests(
        body in body(),
        method in prop::sample::select(vec!["GET", "POST", "x"]),
        lines in prop::collection::vec(("x-[a-z]{1,8}", "[!-~]([ -~]{0,10}[!-~])?"), 0..5),
        piece in 1usize..100,
    ) {
        let mut edits = Edits::default();
        for (name, value) in &lines {
            edits.add(name.as_bytes(), value.as_bytes());
        }
        let (mut client, mut out) = (client(), Vec::new());
        let stream = client.open().expect("free");
        client.encode_request(stream, &request_head(method, body.length()), &edits, &mut out).expect("the head can be said");
        send_body(&mut *client, &body, &mut out);
        prop_assert!(client.is_reusable());

        let seen = in_pieces(&mut *server(), out.chunks(piece));
        let request = only_request(&seen);
        prop_assert_eq!(&request.method, method);
        prop_assert_eq!(&request.authority, "example.test:80");
        prop_assert_eq!(request.body, body.length());
        for (name, value) in lines {
            prop_assert!(request.fields.contains(&(name, value, false)));
        }
        assert_body(&seen, &body);
    }

    #[test]
    fn responses(body in body(), status in 200u16..=599, piece in 1usize..100) {
        let (mut server, mut out) = (server(), Vec::new());
        decode(&mut *server, &mut &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], &mut Vec::new());
        let is_bodiless = matches!(status, 204 | 304);
        let body = if is_bodiless { Body::None } else { body };
        server.encode_response(StreamId(1), &response_head(status, body.length()), &Edits::default(), &mut out).expect("the head can be said");
        send_body(&mut *server, &body, &mut out);
        prop_assert!(server.is_reusable() && server.is_idle());

        let mut client = client_that_sent("GET");
        let seen = in_pieces(&mut *client, out.chunks(piece));
        let Some(Seen::Response { status: told, .. }) = seen.first() else { panic!("{seen:?}") };
        prop_assert_eq!(*told, status);
        assert_body(&seen, &body);
        prop_assert!(client.is_idle() && client.is_reusable());
    }
}

/// What an upstream gets of these bytes, with these edits.
fn forwarded(bytes: &[u8], edits: &Edits) -> String {
    let (mut server, mut client) = (server(), client());
    let (mut scratch, mut input, mut out) = (Scratch::default(), bytes, Vec::new());
    let Ok(Some(Event::Request { head, .. })) = server.decode(&mut scratch, &mut input) else {
        panic!("a request")
    };
    let stream = client.open().expect("free");
    client.encode_request(stream, &head, edits, &mut out).expect("the head can be said");
    text(&out)
}

#[test]
fn request_heads_as_they_are_forwarded() {
    let rows = [
        ("GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n"),
        ("GET / HTTP/1.1\r\nB: c\r\nhOsT:  a \r\n\r\n", "GET / HTTP/1.1\r\nB: c\r\nhOsT:  a \r\n\r\n"),
        ("GET / HTTP/1.0\r\nB: c\r\n\r\n", "GET / HTTP/1.1\r\nhost: \r\nB: c\r\n\r\n"),
        ("GET / HTTP/1.4\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("GET http://b/x HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n", "GET /x HTTP/1.1\r\nhost: b\r\nB: c\r\n\r\n"),
        ("GET http://a?x HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?x HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("CONNECT b:1 HTTP/1.1\r\nHost: b:1\r\n\r\n", "CONNECT b:1 HTTP/1.1\r\nHost: b:1\r\n\r\n"),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\nB: c\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nB: c\r\ntransfer-encoding: chunked\r\n\r\n",
        ),
        (
            "GET / HTTP/1.1\r\nConnection: close, x\r\nHost: a\r\nX: y\r\nTE: trailers\r\nB: c\r\nUpgrade: h2c\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n",
        ),
    ];
    for (bytes, expected) in rows {
        assert_eq!(forwarded(bytes.as_bytes(), &Edits::default()), expected);
    }
}

#[test]
fn request_heads_with_edits() {
    let bytes = b"GET /old HTTP/1.1\r\nA: 1\r\nHost: a\r\nB: 2\r\nC: 3\r\n\r\n";
    let mut edits = Edits::default();
    edits.set_path(b"/new?x");
    edits.set_authority(b"b:80");
    edits.remove(2);
    edits.add_parts(FieldName::XForwardedFor, b"x-forwarded-for", &[b"1.2.3.4"]);
    assert_eq!(
        forwarded(bytes, &edits),
        "GET /new?x HTTP/1.1\r\nhost: b:80\r\nA: 1\r\nC: 3\r\nx-forwarded-for: 1.2.3.4\r\n\r\n"
    );
    edits.clear();
    edits.remove(1);
    assert_eq!(
        forwarded(bytes, &edits),
        "GET /old HTTP/1.1\r\nhost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n",
        "a request has a Host whatever a filter removes"
    );
    edits.clear();
    edits.set_authority(b"c:9");
    assert_eq!(
        forwarded(b"CONNECT b:1 HTTP/1.1\r\nHost: b:1\r\n\r\n", &edits),
        "CONNECT c:9 HTTP/1.1\r\nhost: c:9\r\n\r\n"
    );
}

#[test]
fn a_length_that_the_body_belies_is_written_anew() {
    let head = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
    let (mut server, mut scratch, mut input) = (server(), Scratch::default(), &head[..]);
    let Ok(Some(Event::Request { mut head, .. })) = server.decode(&mut scratch, &mut input) else {
        panic!("a request")
    };
    for (body, expected) in [
        (BodyLength::Sized(3), "Content-Length: 3\r\n"),
        (BodyLength::Sized(4), "content-length: 4\r\n"),
        (BodyLength::Streamed, "transfer-encoding: chunked\r\n"),
        (BodyLength::None, ""),
    ] {
        head.body = body;
        let (mut client, mut out) = (client(), Vec::new());
        let stream = client.open().expect("free");
        client.encode_request(stream, &head, &Edits::default(), &mut out).expect("the head can be said");
        assert_eq!(text(&out), format!("PUT / HTTP/1.1\r\nHost: a\r\n{expected}\r\n"));
    }
}

#[test]
fn an_encoded_request_is_what_a_strict_server_takes() {
    let mut client = client();
    let out = super::support::send_request(&mut *client, "DELETE");
    let seen = served(&out);
    assert_eq!(only_request(&seen).method, text(Method::Delete.as_bytes()));
    assert_eq!(Fields::default().len() + 1, only_request(&seen).fields.len());
}
