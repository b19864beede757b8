//! How request bodies end, and what may be relayed of them unseen.

use sidering_codecs::{BodyLength, Event, InputEnd, Scratch, StreamId};

use super::support::{Seen, answer, decode, only_request, served, server};

#[test]
fn no_body_without_a_word_about_it() {
    let seen = served(b"POST / HTTP/1.1\r\nHost: a\r\n\r\nxyz");
    assert_eq!(only_request(&seen).body, BodyLength::None);
    assert_eq!(seen[1..], [Seen::End]);
}

#[test]
fn sized_bodies() {
    for length in ["0", "00", "1", "5", "00005"] {
        let count: usize = length.parse().expect("a number");
        let body = "x".repeat(count);
        let seen = served(
            format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}yz").as_bytes(),
        );
        assert_eq!(only_request(&seen).body, BodyLength::Sized(count as u64));
        assert!(!only_request(&seen).fields[1].2, "Content-Length passes");
        let mut expected = vec![Seen::Data(body.into_bytes()), Seen::End];
        expected.retain(|seen| *seen != Seen::Data(Vec::new()));
        assert_eq!(seen[1..], expected);
    }
}

#[test]
fn chunked_bodies() {
    let seen = served(
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n\
          5;name=value\r\nabcde\r\n00A\r\n0123456789\r\n0;last\r\n\r\n",
    );
    assert_eq!(only_request(&seen).body, BodyLength::Streamed);
    assert!(only_request(&seen).fields[1].2, "the framing is ours to write");
    assert_eq!(seen[1..], [Seen::Data(b"abcde0123456789".to_vec()), Seen::End]);
}

#[test]
fn trailers_pass_but_for_forbidden_ones() {
    let seen = served(
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\
          Checksum: 1\r\nHost: evil\r\nContent-Length: 5\r\nTransfer-Encoding: gzip\r\nAuthorization: x\r\n\
          X-Forwarded-For: 1\r\nIf-Match: *\r\ngrpc-status: 0\r\n\r\n",
    );
    let [_, Seen::Trailers(fields), Seen::End] = seen.as_slice() else { panic!("{seen:?}") };
    let passing: Vec<_> = fields.iter().filter(|field| !field.2).map(|field| field.0.as_str()).collect();
    assert_eq!(passing, ["Checksum", "grpc-status"]);
    assert_eq!(fields.len(), 8, "the others are marked, not hidden");
}

#[test]
fn payload_is_lent_and_never_copied() {
    let input = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let mut server = server();
    let mut scratch = Scratch::default();
    let mut rest: &[u8] = input;
    let mut pieces = 0;
    while let Some(event) = server.decode(&mut scratch, &mut rest).expect("valid") {
        if let Event::Data { bytes, .. } = event {
            assert!(input.as_ptr_range().contains(&bytes.as_ptr()));
            pieces += 1;
        }
    }
    assert_eq!(pieces, 1);
}

#[test]
fn sized_bodies_may_be_relayed() {
    let mut server = server();
    let mut seen = Vec::new();
    let mut input: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc";
    decode(&mut *server, &mut input, &mut seen);
    assert_eq!(server.relayable_in(), Some(97));
    server.skip_in(90);
    assert_eq!(server.relayable_in(), Some(7));
    server.skip_in(7);
    assert_eq!(server.relayable_in(), None);
    decode(&mut *server, &mut input, &mut seen);
    assert_eq!(seen.last(), Some(&Seen::End), "the end is due without another byte");
    answer(&mut *server);
    assert!(server.is_idle() && server.is_reusable());
}

#[test]
fn chunked_bodies_may_not_be_relayed() {
    let mut server = server();
    let mut input: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc";
    decode(&mut *server, &mut input, &mut Vec::new());
    assert_eq!(server.relayable_in(), None);
    assert!(!server.relayable_out(), "no head was sent yet");
}

#[test]
fn what_the_end_of_input_means() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\n";
    let rows = [
        (String::new(), Ok(InputEnd::Idle)),
        ("\r\n".to_owned(), Ok(InputEnd::Idle)),
        ("POST".to_owned(), Err(())),
        (format!("{head}Content-Length: 3\r\n\r\nab"), Err(())),
        (format!("{head}Content-Length: 3\r\n\r\nabc"), Ok(InputEnd::Idle)),
        (format!("{head}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"), Err(())),
        (format!("{head}Transfer-Encoding: chunked\r\n\r\n0\r\n"), Err(())),
        (format!("{head}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), Ok(InputEnd::Idle)),
    ];
    for (bytes, expected) in rows {
        let mut server = server();
        decode(&mut *server, &mut bytes.as_bytes(), &mut Vec::new());
        assert_eq!(server.decode_end().map_err(|_| ()), expected, "{bytes:?}");
        assert!(!server.is_reusable());
    }
}

#[test]
fn the_end_of_input_may_come_before_the_end_was_told() {
    let mut server = server();
    let mut scratch = Scratch::default();
    let mut input: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert!(matches!(server.decode(&mut scratch, &mut input), Ok(Some(Event::Request { .. }))));
    assert_eq!(server.decode_end(), Ok(InputEnd::Message(StreamId(1))));
}
