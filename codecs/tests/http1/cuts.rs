//! However the network cuts the bytes, the same is said of them.

use proptest::prelude::*;
use sidering_codecs::Codec;
use sidering_codecs::registry::CodecOptions;

use super::support::{Seen, client_that_sent, in_pieces, server_with};

/// Bytes and the codec that is to read them.
struct Sample {
    bytes: Vec<u8>,
    codec: fn() -> Box<dyn Codec>,
}

/// Bounds so low that samples reach them.
fn low() -> Box<dyn Codec> {
    server_with(CodecOptions { header_bytes: 256, headers: 4, uri_bytes: 32, ..CodecOptions::DEFAULT })
}

fn lenient() -> Box<dyn Codec> {
    server_with(CodecOptions { lenient_line_ends: true, ..CodecOptions::default() })
}

fn samples() -> Vec<Sample> {
    let long_target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(40));
    let exact_target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(31));
    let bad_target = format!("GET /{}\x01{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(9), "x".repeat(40));
    let long_field = format!("GET / HTTP/1.1\r\nHost: a\r\nb: {}\r\n\r\n", "x".repeat(300));
    let requests: [&str; 29] = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.3\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.21\r\nHost: a\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET http://b?c HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT b:1 HTTP/1.1\r\nHost: a\r\n\r\nbytes of the tunnel",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcdeGET / HTTP/1.1\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nb: c\r\nHost: d\r\n\r\nrest",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nb: c\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x01\x02",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\r\nb: c\rd\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nb : c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nb: c\r\n d\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nb: 1\r\nb: 2\r\nb: 3\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nb: 1\r\nb: 2\r\nb: 3\r\nb: 4\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "G@T / HTTP/1.1\r\nHost: a\r\n\r\n",
        &long_target,
        &exact_target,
        &bad_target,
        &long_field,
    ];
    let plain = || client_that_sent("GET");
    let responses: [&str; 9] = [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n",
        "HTTP/1.0 200\r\n\r\nuntil the end",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd",
        "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc",
        "\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 99 OK\r\n\r\n",
        "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
    ];
    let mut all = Vec::new();
    for bytes in requests {
        for codec in [low, lenient, super::support::server] {
            all.push(Sample { bytes: bytes.as_bytes().to_vec(), codec });
        }
    }
    for bytes in responses {
        all.push(Sample { bytes: bytes.as_bytes().to_vec(), codec: plain });
    }
    all
}

/// What is said of the sample cut at these places. What follows an error is never read, so that it may stay away.
fn said(sample: &Sample, cuts: &[usize]) -> Vec<Seen> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for &cut in cuts {
        pieces.push(&sample.bytes[start..cut]);
        start = cut;
    }
    pieces.push(&sample.bytes[start..]);
    in_pieces(&mut *(sample.codec)(), pieces)
}

#[test]
fn two_pieces() {
    for sample in samples() {
        let whole = said(&sample, &[]);
        assert!(!whole.is_empty());
        for cut in 0..=sample.bytes.len() {
            assert_eq!(
                said(&sample, &[cut]),
                whole,
                "{:?} cut at {cut}",
                sample.bytes.escape_ascii().to_string()
            );
        }
    }
}

#[test]
fn single_bytes() {
    for sample in samples() {
        let cuts: Vec<usize> = (1..sample.bytes.len()).collect();
        assert_eq!(said(&sample, &cuts), said(&sample, &[]), "{:?}", sample.bytes.escape_ascii().to_string());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_pieces(places in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        for sample in samples() {
            let mut cuts: Vec<usize> = places.iter().map(|place| place.index(sample.bytes.len() + 1)).collect();
            cuts.sort_unstable();
            let (pieces, whole) = (said(&sample, &cuts), said(&sample, &[]));
            prop_assert_eq!(pieces, whole, "{:?} cut at {:?}", sample.bytes.escape_ascii().to_string(), cuts);
        }
    }
}

#[test]
fn a_cut_head_frees_its_memory() {
    let mut server = super::support::server();
    let seen = in_pieces(&mut *server, [&b"GET / HT"[..], b"TP/1.1\r\nHost: a\r\n\r\n"]);
    assert_eq!(seen.len(), 2);
    super::support::answer(&mut *server);
    assert!(server.is_idle(), "idle means that nothing is carried");
}
