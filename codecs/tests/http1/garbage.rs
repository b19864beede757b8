//! Whatever a peer sends, and however it is cut, nothing panics and every refusal has a status we know.

use proptest::prelude::*;
use sidering_codecs::Codec;

use super::support::{Seen, client_that_sent, in_pieces, server};

const STATUSES: [u16; 8] = [400, 413, 414, 417, 431, 501, 502, 505];

fn survives(mut codec: Box<dyn Codec>, bytes: &[u8], piece: usize) {
    let seen = in_pieces(&mut *codec, bytes.chunks(piece));
    if let Some(Seen::Refused(status)) = seen.last() {
        assert!(STATUSES.contains(status), "{status}");
        assert!(!codec.is_reusable());
    }
    let _ = codec.decode_end();
    let mut out = Vec::new();
    codec.encode_local_reply(None, 400, b"", b"why", &mut out);
    codec.close_after_current();
    assert!(!codec.is_reusable());
}

/// Pieces of HTTP, so that random bytes get past the first line.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<&[u8]> = vec![
        b"GET / HTTP/1.1\r\n",
        b"POST http://a?b HTTP/1.2\r\n",
        b"CONNECT a:1 HTTP/1.1\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"Host: a\r\n",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close, upgrade, x\r\n",
        b"Upgrade: websocket\r\n",
        b"Expect: 100-continue\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"3\r\nabc\r\n",
        b"0\r\n",
        b"x: y\r\n",
    ];
    let one = prop_oneof![
        4 => prop::sample::select(known).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(one, 0..16).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), piece in 1usize..50) {
        survives(server(), &bytes, piece);
        survives(client_that_sent("GET"), &bytes, piece);
    }

    #[test]
    fn random_fragments(bytes in fragments(), piece in 1usize..50) {
        survives(server(), &bytes, piece);
        survives(client_that_sent("GET"), &bytes, piece);
        survives(client_that_sent("CONNECT"), &bytes, piece);
    }

    #[test]
    fn random_fragments_say_the_same_in_pieces(bytes in fragments(), piece in 1usize..50) {
        let whole = in_pieces(&mut *server(), [bytes.as_slice()]);
        let pieces = in_pieces(&mut *server(), bytes.chunks(piece));
        // A refusal may come later in pieces, once the line it stands in has ended; never something else instead.
        let common = pieces.len();
        prop_assert!(pieces.len() <= whole.len());
        prop_assert_eq!(&pieces[..], &whole[..common]);
    }
}
