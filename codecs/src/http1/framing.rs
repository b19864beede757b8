//! Where a message's body ends, by its fields alone (RFC 9112 section 6). It accepts one way of saying it, once.

use super::fields::{Notes, Single, value_of};
use super::{malformed, refused};
use crate::codec::ProtocolError;
use crate::message::{FieldSpan, Version};

/// What Content-Length and Transfer-Encoding say together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Coding {
    /// Neither is there.
    Absent,
    /// Content-Length, in bytes.
    Length(u64),
    /// Transfer-Encoding: chunked.
    Chunked,
}

/// Reads both fields.
///
/// Errors: 400 for both at once, for a field sent twice, for a length that is not a decimal number below 2^64, and for
/// Transfer-Encoding on HTTP/1.0; 501 for any coding but `chunked` alone.
pub(super) fn read(
    head: &[u8],
    spans: &[FieldSpan],
    notes: &Notes,
    version: Version,
) -> Result<Coding, ProtocolError> {
    match (notes.content_length, notes.transfer_encoding) {
        (Single::Absent, Single::Absent) => Ok(Coding::Absent),
        (Single::Once(index), Single::Absent) => decimal(value_of(head, &spans[index]))
            .map(Coding::Length)
            .ok_or(malformed("Content-Length is not a number of bytes")),
        (Single::Repeated, Single::Absent) => Err(malformed("more than one Content-Length")),
        (Single::Absent, Single::Once(index)) => {
            if version == Version::Http10 {
                return Err(malformed("Transfer-Encoding on HTTP/1.0"));
            }
            match value_of(head, &spans[index]) {
                value if value.eq_ignore_ascii_case(b"chunked") => Ok(Coding::Chunked),
                b"" => Err(malformed("Transfer-Encoding is empty")),
                _ => Err(refused(501, "a transfer coding other than chunked")),
            }
        }
        (Single::Absent, Single::Repeated) => Err(malformed("more than one Transfer-Encoding")),
        _ => Err(malformed("Content-Length together with Transfer-Encoding")),
    }
}

/// The number that decimal digits, and nothing else, spell.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, &byte| {
        if !byte.is_ascii_digit() {
            return None;
        }
        number.checked_mul(10)?.checked_add(u64::from(byte - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn only_digits_below_two_to_the_64() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        for wrong in ["", "18446744073709551616", "+5", "-1", "0x5", "5,5", "5 5", " 5", "1e3"] {
            assert_eq!(decimal(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
