//! Upgrade and CONNECT: bytes behind the request are held until the answer says what they are.

use sidering_codecs::{BodyLength, Codec, Edits, Event, Fields, InputEnd, Scratch, StreamId};

use super::support::{
    Seen, answer, client, client_that_sent, decode, only_request, payload, refusal, response_head, served,
    server, text,
};

const WEBSOCKET: &[u8] =
    b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n";
const CONNECT: &[u8] = b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n";

fn upgrade_of(lines: &str) -> Option<String> {
    only_request(&served(format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n").as_bytes())).upgrade.clone()
}

#[test]
fn which_upgrades_count() {
    let rows = [
        ("Connection: upgrade\r\nUpgrade: websocket\r\n", Some("websocket")),
        ("Connection: Upgrade\r\nUpgrade: a/1, b\r\n", Some("a/1, b")),
        ("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n", Some("websocket")),
        ("Upgrade: websocket\r\n", None),
        ("Connection: upgrade\r\n", None),
        ("Connection: upgrade\r\nUpgrade:\r\n", None),
        ("Connection: upgrade\r\nUpgrade: h2c\r\n", None),
        ("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: H2C\r\nHTTP2-Settings: x\r\n", None),
        ("Connection: upgrade\r\nUpgrade: websocket, h2c\r\n", None),
        ("Connection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n", None),
        ("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n", None),
        ("Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n", None),
    ];
    for (lines, expected) in rows {
        assert_eq!(upgrade_of(lines).as_deref(), expected, "{lines}");
    }
    let on_http_10 = served(b"GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(only_request(&on_http_10).upgrade, None);
    let head = served(b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(only_request(&head).upgrade, None, "a response without body cannot become a tunnel");
}

#[test]
fn bytes_behind_an_upgrade_wait_and_then_are_a_tunnel() {
    let bytes = [WEBSOCKET, b"\x81\x05hello"].concat();
    let mut input = bytes.as_slice();
    let mut server = server();
    let mut seen = Vec::new();
    decode(&mut *server, &mut input, &mut seen);
    assert_eq!(input, b"\x81\x05hello");
    assert_eq!((server.relayable_in(), server.relayable_out()), (None, false));

    // The 101 comes from an upstream, as its codec reads it.
    let (mut upstream, _) = client_that_asked(WEBSOCKET);
    let mut scratch = Scratch::default();
    let mut answer: &[u8] =
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX: y\r\n\r\nframes";
    let Ok(Some(Event::Response { head, .. })) = upstream.decode(&mut scratch, &mut answer) else {
        panic!("a response")
    };
    assert_eq!((head.status, head.is_interim()), (101, false));
    let mut out = Vec::new();
    server.encode_response(StreamId(1), &head, &Edits::default(), &mut out).expect("the head can be said");
    assert_eq!(
        text(&out),
        "HTTP/1.1 101 Switching Protocols\r\nX: y\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    );
    assert_tunnel(&mut *server, &mut input, b"\x81\x05hello");
    assert_tunnel(&mut *upstream, &mut answer, b"frames");
}

fn assert_tunnel(codec: &mut dyn Codec, input: &mut &[u8], expected: &[u8]) {
    let mut seen = Vec::new();
    decode(codec, input, &mut seen);
    assert_eq!(seen, [Seen::Data(expected.to_vec())]);
    assert_eq!((codec.relayable_in(), codec.relayable_out()), (Some(u64::MAX), true));
    let mut out = Vec::new();
    let grant = codec.encode_data(StreamId(1), &[0; 1000], &mut out);
    assert_eq!((grant.allowed, grant.suffix, out.len()), (1000, &b""[..], 0));
    codec.skip_in(1 << 40);
    codec.skip_out(1 << 40);
    assert!(!codec.is_idle() && !codec.is_reusable());
    assert_eq!(codec.decode_end(), Ok(InputEnd::Message(StreamId(1))));
    assert!(codec.relayable_out(), "the other direction goes on");
    codec.encode_end(StreamId(1), &mut out);
    assert!(out.is_empty() && codec.is_idle());
}

/// A client that sent this request on with its Upgrade, and what it sent.
fn client_that_asked(request: &[u8]) -> (Box<dyn Codec>, Vec<u8>) {
    let (mut client, mut server) = (client(), server());
    let (mut scratch, mut input, mut out) = (Scratch::default(), request, Vec::new());
    let Ok(Some(Event::Request { head, .. })) = server.decode(&mut scratch, &mut input) else {
        panic!("a request")
    };
    let mut edits = Edits::default();
    edits.keep_upgrade();
    let stream = client.open().expect("free");
    client.encode_request(stream, &head, &edits, &mut out).expect("the head can be said");
    client.encode_end(stream, &mut out);
    (client, out)
}

#[test]
fn an_upgrade_passes_only_when_kept() {
    let (_, out) = client_that_asked(WEBSOCKET);
    assert_eq!(
        text(&out),
        "GET /chat HTTP/1.1\r\nHost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    );
    let (mut client, out) = client_that_asked(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(text(&out), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut seen = Vec::new();
    decode(&mut *client, &mut &b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n"[..], &mut seen);
    assert_eq!(refusal(&seen), Some(502), "101 without being asked");
}

#[test]
fn after_another_answer_the_bytes_are_the_next_request() {
    let bytes = [WEBSOCKET, b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
    let mut input = bytes.as_slice();
    let mut server = server();
    let mut seen = Vec::new();
    decode(&mut *server, &mut input, &mut seen);
    assert_eq!(seen.len(), 2);
    answer(&mut *server);
    decode(&mut *server, &mut input, &mut seen);
    assert_eq!(only_request(&seen[2..]).path, "/next");
    assert!(server.is_reusable());
}

#[test]
fn interim_responses_open_no_tunnel() {
    let mut server = server();
    let bytes = [WEBSOCKET, b"x"].concat();
    let mut input = bytes.as_slice();
    decode(&mut *server, &mut input, &mut Vec::new());
    let mut out = Vec::new();
    server
        .encode_response(StreamId(1), &response_head(103, BodyLength::None), &Edits::default(), &mut out)
        .expect("the head can be said");
    assert_eq!(text(&out), "HTTP/1.1 103 OK\r\n\r\n");
    decode(&mut *server, &mut input, &mut Vec::new());
    assert_eq!(input, b"x");
}

#[test]
fn connect_opens_a_tunnel_with_any_2xx() {
    for status in [200, 204, 299] {
        let bytes = [CONNECT, b"hello"].concat();
        let mut input = bytes.as_slice();
        let mut server = server();
        let mut seen = Vec::new();
        decode(&mut *server, &mut input, &mut seen);
        let request = only_request(&seen);
        assert_eq!((request.authority.as_str(), request.path.as_str(), input), ("a:443", "", &b"hello"[..]));
        let mut out = Vec::new();
        let head = response_head(status, BodyLength::Streamed);
        server
            .encode_response(StreamId(1), &head, &Edits::default(), &mut out)
            .expect("the head can be said");
        assert_eq!(text(&out), format!("HTTP/1.1 {status} OK\r\n\r\n"), "neither length nor coding");
        assert_tunnel(&mut *server, &mut input, b"hello");
    }
}

#[test]
fn connect_refused_goes_on_as_http() {
    let bytes = [CONNECT, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
    let mut input = bytes.as_slice();
    let mut server = server();
    let mut seen = Vec::new();
    decode(&mut *server, &mut input, &mut seen);
    server.encode_local_reply(Some(StreamId(1)), 404, b"", b"", &mut Vec::new());
    decode(&mut *server, &mut input, &mut seen);
    assert_eq!(only_request(&seen[2..]).method, "GET");
}

#[test]
fn connect_upstream() {
    let mut client = client_that_sent("CONNECT");
    let mut input: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbytes";
    let mut scratch = Scratch::default();
    assert!(matches!(client.decode(&mut scratch, &mut input), Ok(Some(Event::Response { .. }))));
    assert_tunnel(&mut *client, &mut input, b"bytes");

    let mut client = client_that_sent("CONNECT");
    let mut seen = Vec::new();
    decode(&mut *client, &mut &b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"[..], &mut seen);
    assert_eq!(payload(&seen), b"no");
    assert!(client.is_idle() && client.is_reusable());
}

#[test]
fn a_tunnel_begins_after_the_request_was_told() {
    let bytes = [CONNECT, b"hello"].concat();
    let mut input = bytes.as_slice();
    let mut server = server();
    let mut scratch = Scratch::default();
    assert!(matches!(server.decode(&mut scratch, &mut input), Ok(Some(Event::Request { .. }))));
    let head = response_head(200, BodyLength::Streamed);
    assert_eq!(head.fields.len(), Fields::default().len());
    server
        .encode_response(StreamId(1), &head, &Edits::default(), &mut Vec::new())
        .expect("the head can be said");
    let mut seen = Vec::new();
    decode(&mut *server, &mut input, &mut seen);
    assert_eq!(seen, [Seen::End, Seen::Data(b"hello".to_vec())]);
}
