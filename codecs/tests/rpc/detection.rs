//! The protocols of the registry, asked in their order about a connection's first bytes.

use crate::frames::thrift;
use crate::proxy::KINDS;
use sidering_codecs::registry::protocols;
use sidering_codecs::rpc::Detection;

/// The name of the first protocol that does not rule these bytes out, and whether it is sure.
fn first_to_claim(first: &[u8]) -> Option<(&'static str, bool)> {
    protocols().find_map(|protocol| match (protocol.detect)(first) {
        Detection::Match => Some((protocol.name, true)),
        Detection::NeedMore => Some((protocol.name, false)),
        Detection::NoMatch => None,
    })
}

/// Asked about ever more bytes, the first sure answer is this one.
fn is_told_as(bytes: &[u8], name: &str) {
    let mut claims = (0..=bytes.len()).map(|length| first_to_claim(&bytes[..length]));
    let sure = claims.find(|claim| claim.is_none_or(|(_, is_sure)| is_sure));
    assert_eq!(sure, Some(Some((name, true))), "{}", bytes.escape_ascii());
    assert_eq!(first_to_claim(bytes), Some((name, true)), "{}", bytes.escape_ascii());
}

#[test]
fn every_protocol_is_told_from_the_others_at_whatever_cut() {
    for kind in KINDS {
        is_told_as(&kind.request(), kind.protocol);
    }
    is_told_as(&thrift(1, 1, b""), "thrift");
    is_told_as(b"GET / HTTP/1.1\r\n", "http1");
    is_told_as(b"CONNECT a:1 HTTP/1.1\r\n", "http1");
}

#[test]
fn what_nobody_speaks_is_claimed_by_nobody() {
    // TLS, SSH behind its first word, HTTP/1 with a tab, noise.
    for bytes in
        [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"[..], b"SSH-2.0-x\r\n", b"GET\t/ HTTP/1.1", &[0xff; 20]]
    {
        assert_eq!(first_to_claim(bytes), None, "{}", bytes.escape_ascii());
    }
}
