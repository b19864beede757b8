//! Whether a connection's first bytes are HTTP/1's. It looks at the method alone, so that it may not refuse what the codec would
//! answer properly.

use super::names::is_token_byte;
use super::request::MAX_METHOD_BYTES;
use crate::detection::Detection;

/// A request line begins with a method (RFC 9110 section 9.1), a space, and a target of visible characters.
pub fn detect(first: &[u8]) -> Detection {
    let method = first.iter().take(MAX_METHOD_BYTES + 1).take_while(|byte| is_token_byte(**byte)).count();
    match (method, first.get(method), first.get(method + 1)) {
        (0, None, _) => Detection::NeedMore,
        (1..=MAX_METHOD_BYTES, None, _) => Detection::NeedMore,
        (1..=MAX_METHOD_BYTES, Some(b' '), None) => Detection::NeedMore,
        (1..=MAX_METHOD_BYTES, Some(b' '), Some(b'!'..=b'~')) => Detection::Match,
        _ => Detection::NoMatch,
    }
}

#[cfg(test)]
mod tests {
    use super::detect;
    use crate::detection::Detection::{self, Match, NeedMore, NoMatch};

    #[test]
    fn a_method_a_space_and_a_target() {
        let long = [b"M".repeat(64), b" /".to_vec()].concat();
        let too_long = b"M".repeat(65);
        let cases: [(&[u8], Detection); 12] = [
            (b"", NeedMore),
            (b"G", NeedMore),
            (b"GET", NeedMore),
            (b"GET ", NeedMore),
            (b"GET /", Match),
            (b"OPTIONS *", Match),
            (b"M-SEARCH http://a", Match),
            (b"GET  /", NoMatch),
            (b"GET\t/", NoMatch),
            (b" GET /", NoMatch),
            (&long, Match),
            (&too_long, NoMatch),
        ];
        for (first, expected) in cases {
            assert_eq!(detect(first), expected, "{}", first.escape_ascii());
        }
    }
}
