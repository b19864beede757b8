//! What fuzzing found (fuzz/README.md), each as the smallest case.

use sidering_codecs::StreamId;

use super::support::{Seen, decode, in_pieces, server, text};

const STREAM: StreamId = StreamId(1);

#[test]
fn a_reply_of_our_own_to_connect_never_passes_for_a_tunnel_that_goes_on_as_http() {
    // By http1_requests: the reply had a length, and what the client sent into its tunnel was read as a request.
    let bytes = b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for (status, expected) in [
        (200, "200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\nhello"),
        (204, "204 No Content\r\nconnection: close\r\n\r\n"),
        (300, "300 Multiple Choices\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello"),
    ] {
        let (mut server, mut input, mut seen, mut out) = (server(), &bytes[..], Vec::new(), Vec::new());
        decode(&mut *server, &mut input, &mut seen);
        server.encode_local_reply(Some(STREAM), status, b"", b"hello", &mut out);
        assert_eq!(text(&out), format!("HTTP/1.1 {expected}"));
        decode(&mut *server, &mut input, &mut seen);
        assert_eq!((server.is_reusable(), seen.len()), (status == 300, if status == 300 { 4 } else { 2 }));
    }
}

#[test]
fn a_method_that_is_no_token_is_refused_for_that_however_long_it_goes_on() {
    // By http1_requests: 501 for the whole, 400 for single bytes.
    let bytes = [b"G@".as_slice(), &[b'T'; 100], b" / HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
    for piece in [1, 2, 65, bytes.len()] {
        assert_eq!(in_pieces(&mut *server(), bytes.chunks(piece)), [Seen::Refused(400)], "pieces of {piece}");
    }
}
