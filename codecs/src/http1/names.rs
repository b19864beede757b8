//! Tells field names apart by length and a case-insensitive comparison. It hashes nothing and allocates nothing.

use crate::message::FieldName;

/// The well-known name, or [`FieldName::Other`]. `name` must be a token.
pub(super) fn classify(name: &[u8]) -> FieldName {
    let (candidate, known): (&[u8], FieldName) =
        match (name.len(), name.first().map_or(0, |byte| byte | 0x20)) {
            (2, b't') => (b"te", FieldName::Te),
            (3, b'v') => (b"via", FieldName::Via),
            (4, b'h') => (b"host", FieldName::Host),
            (4, b'd') => (b"date", FieldName::Date),
            (6, b'e') => (b"expect", FieldName::Expect),
            (6, b's') => (b"server", FieldName::Server),
            (7, b'u') => (b"upgrade", FieldName::Upgrade),
            (7, b't') => (b"trailer", FieldName::Trailer),
            (10, b'c') => (b"connection", FieldName::Connection),
            (10, b'k') => (b"keep-alive", FieldName::KeepAlive),
            (10, b'u') => (b"user-agent", FieldName::UserAgent),
            (12, b'x') => (b"x-request-id", FieldName::XRequestId),
            (14, b'c') => (b"content-length", FieldName::ContentLength),
            (15, b'x') => (b"x-forwarded-for", FieldName::XForwardedFor),
            (16, b'p') => (b"proxy-connection", FieldName::ProxyConnection),
            (17, b't') => (b"transfer-encoding", FieldName::TransferEncoding),
            (17, b'x') => (b"x-forwarded-proto", FieldName::XForwardedProto),
            (18, b'p') => (b"proxy-authenticate", FieldName::ProxyAuthenticate),
            (19, b'p') => (b"proxy-authorization", FieldName::ProxyAuthorization),
            _ => return FieldName::Other,
        };
    if is_same(name, candidate) { known } else { FieldName::Other }
}

/// Whether `token` is `lower`, of the same length, in some case, by words instead of bytes. Setting bit 5 lowers
/// letters and leaves the hyphen alone; among the bytes of a token it makes no other byte look like either.
fn is_same(token: &[u8], lower: &[u8]) -> bool {
    fn by_words<const N: usize>(token: &[u8], lower: &[u8]) -> bool {
        let same = |token: &[u8; N], lower: &[u8; N]| token.map(|byte| byte | 0x20) == *lower;
        let (tokens, lowers) = (token.as_chunks::<N>().0, lower.as_chunks::<N>().0);
        // The last word overlaps the one before it.
        tokens.iter().zip(lowers).all(|(token, lower)| same(token, lower))
            && token
                .last_chunk::<N>()
                .zip(lower.last_chunk::<N>())
                .is_some_and(|(token, lower)| same(token, lower))
    }
    match lower.len() {
        8.. => by_words::<8>(token, lower),
        4..8 => by_words::<4>(token, lower),
        _ => token.eq_ignore_ascii_case(lower),
    }
}

/// Whether fields of this name end at this hop even if `Connection` does not nominate them (RFC 9110 section 7.6.1).
pub(super) fn is_hop_by_hop(name: FieldName) -> bool {
    matches!(
        name,
        FieldName::Connection
            | FieldName::TransferEncoding
            | FieldName::KeepAlive
            | FieldName::ProxyConnection
            | FieldName::Te
            | FieldName::Upgrade
    )
}

/// Whether `Connection` must not nominate this field: dropping it would change whom the message is for, where it
/// ends, or who is taken to have sent it.
pub(super) fn is_protected_from_nomination(name: &[u8]) -> bool {
    const PROTECTED: [&[u8]; 7] = [
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"authorization",
        b"proxy-authorization",
        b"cookie",
        b"forwarded",
    ];
    starts_with(name, b"x-forwarded-")
        || PROTECTED.iter().any(|protected| name.eq_ignore_ascii_case(protected))
}

/// Whether a field must not stand in trailers (RFC 9110 section 6.5.1): framing, routing, request modifiers,
/// authentication, response controls, and how to read the content.
pub(super) fn is_forbidden_in_trailers(name: &[u8]) -> bool {
    const FORBIDDEN: [&[u8]; 32] = [
        b"age",
        b"authorization",
        b"cache-control",
        b"connection",
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"content-type",
        b"cookie",
        b"date",
        b"expect",
        b"expires",
        b"forwarded",
        b"host",
        b"http2-settings",
        b"keep-alive",
        b"location",
        b"max-forwards",
        b"pragma",
        b"range",
        b"retry-after",
        b"set-cookie",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"vary",
        b"via",
        b"warning",
        b"www-authenticate",
        b"x-real-ip",
        b"x-request-id",
    ];
    const PREFIXES: [&[u8]; 3] = [b"x-forwarded-", b"proxy-", b"if-"];
    PREFIXES.iter().any(|prefix| starts_with(name, prefix))
        || FORBIDDEN.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden))
}

/// Whether every byte may stand in a token (RFC 9110 section 5.6.2), and there is at least one.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

/// Whether a byte may stand in a token.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn starts_with(name: &[u8], prefix: &[u8]) -> bool {
    name.len() >= prefix.len() && name[..prefix.len()].eq_ignore_ascii_case(prefix)
}

#[cfg(test)]
mod tests {
    use super::{classify, is_forbidden_in_trailers, is_protected_from_nomination};
    use crate::message::FieldName;

    #[test]
    fn every_name_is_told_in_any_case() {
        let names: [(&str, FieldName); 19] = [
            ("Host", FieldName::Host),
            ("Connection", FieldName::Connection),
            ("Content-Length", FieldName::ContentLength),
            ("Transfer-Encoding", FieldName::TransferEncoding),
            ("Keep-Alive", FieldName::KeepAlive),
            ("Proxy-Connection", FieldName::ProxyConnection),
            ("Proxy-Authenticate", FieldName::ProxyAuthenticate),
            ("Proxy-Authorization", FieldName::ProxyAuthorization),
            ("TE", FieldName::Te),
            ("Trailer", FieldName::Trailer),
            ("Upgrade", FieldName::Upgrade),
            ("Expect", FieldName::Expect),
            ("Via", FieldName::Via),
            ("Date", FieldName::Date),
            ("Server", FieldName::Server),
            ("User-Agent", FieldName::UserAgent),
            ("X-Forwarded-For", FieldName::XForwardedFor),
            ("X-Forwarded-Proto", FieldName::XForwardedProto),
            ("X-Request-Id", FieldName::XRequestId),
        ];
        for (name, known) in names {
            assert_eq!(classify(name.as_bytes()), known);
            assert_eq!(classify(name.to_lowercase().as_bytes()), known);
            assert_eq!(classify(name.to_uppercase().as_bytes()), known);
            assert_eq!(classify(&name.as_bytes()[1..]), FieldName::Other);
            assert_eq!(classify(format!("{name}x").as_bytes()), FieldName::Other);
        }
        assert_eq!(classify(b""), FieldName::Other);
    }

    #[test]
    fn prefixes_count() {
        assert!(is_protected_from_nomination(b"X-Forwarded-Anything"));
        assert!(!is_protected_from_nomination(b"x-forwarded"));
        assert!(is_forbidden_in_trailers(b"If-Match"));
        assert!(!is_forbidden_in_trailers(b"grpc-status"));
    }
}
