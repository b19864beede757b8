//! Writes the pieces that heads and chunks are made of. It copies unchanged field lines in runs and decides nothing.

use super::fields::value_of;
use super::framing::decimal;
use crate::edits::Edits;
use crate::message::{BodyLength, FieldName, FieldSpan, Fields};

/// Copies the lines that are not hop-by-hop and that `passes` lets through; neighbours go in one piece.
#[inline]
pub(super) fn lines(
    fields: &Fields<'_>,
    mut passes: impl FnMut(usize, &FieldSpan) -> bool,
    out: &mut Vec<u8>,
) {
    let bytes = fields.bytes();
    let (mut run_start, mut run_end) = (0, 0);
    for (index, span) in fields.spans().iter().enumerate() {
        if span.hop_by_hop || !passes(index, span) {
            continue;
        }
        if span.line_start as usize != run_end {
            out.extend_from_slice(&bytes[run_start..run_end]);
            run_start = span.line_start as usize;
        }
        run_end = span.line_end as usize;
    }
    out.extend_from_slice(&bytes[run_start..run_end]);
}

/// What to do with Content-Length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LengthRule {
    /// No such line: the message has no body, or chunks.
    Drop,
    /// The head's own lines, if any: they tell of a body that is not sent.
    Keep,
    /// Exactly one line with this number, the head's own if it says so.
    Exactly(u64),
}

impl LengthRule {
    /// The rule for a message whose body is sent.
    pub(super) fn for_body(body: BodyLength) -> Self {
        match body {
            BodyLength::Sized(length) => LengthRule::Exactly(length),
            BodyLength::None | BodyLength::Streamed => LengthRule::Drop,
        }
    }
}

/// Writes a head's fields as `edits` change them, without Host if `drops_host`, and with the Content-Length that
/// `rule` asks for.
pub(super) fn edited_lines(
    fields: &Fields<'_>,
    edits: &Edits,
    drops_host: bool,
    rule: LengthRule,
    out: &mut Vec<u8>,
) {
    let removes = edits.removes_fields();
    let mut has_length = false;
    let passes = |index: usize, span: &FieldSpan| {
        let suits = match span.name {
            FieldName::ContentLength => match rule {
                LengthRule::Drop => false,
                LengthRule::Keep => true,
                LengthRule::Exactly(length) => {
                    !has_length && decimal(value_of(fields.bytes(), span)) == Some(length)
                }
            },
            FieldName::Host => !drops_host,
            _ => true,
        };
        let passes = suits && !(removes && edits.is_removed(index));
        has_length |= passes && span.name == FieldName::ContentLength;
        passes
    };
    lines(fields, passes, out);
    out.extend_from_slice(edits.added().bytes());
    if let (LengthRule::Exactly(length), false) = (rule, has_length) {
        content_length(length, out);
    }
}

/// Writes `name: value` as a line.
pub(super) fn line(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Writes a Content-Length line.
pub(super) fn content_length(length: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"content-length: ");
    number::<10>(length, out);
    out.extend_from_slice(b"\r\n");
}

/// Writes the lines that ask for, or agree to, another protocol.
pub(super) fn upgrade(protocols: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"connection: upgrade\r\n");
    line(b"upgrade", protocols, out);
}

/// Writes the line in front of a chunk of `length` bytes.
pub(super) fn chunk_size(length: usize, out: &mut Vec<u8>) {
    number::<16>(length as u64, out);
    out.extend_from_slice(b"\r\n");
}

/// Writes a status line; a status outside 100..=999 is the caller's mistake and becomes 500.
pub(super) fn status_line(status: u16, reason: &[u8], out: &mut Vec<u8>) {
    let status = if (100..=999).contains(&status) { status } else { 500 };
    out.extend_from_slice(b"HTTP/1.1 ");
    let digit = |value: u16| b'0' + (value % 10) as u8;
    out.extend_from_slice(&[digit(status / 100), digit(status / 10), digit(status), b' ']);
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
}

/// Writes a number without going through the formatting machinery, which costs tens of nanoseconds.
fn number<const BASE: u64>(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b"0123456789abcdef"[(value % BASE) as usize];
        value /= BASE;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use super::{number, status_line};

    #[test]
    fn numbers_as_the_formatter_writes_them() {
        for value in [0, 1, 9, 10, 15, 16, 255, 256, 65_535, u64::MAX] {
            let mut out = Vec::new();
            number::<10>(value, &mut out);
            out.push(b' ');
            number::<16>(value, &mut out);
            assert_eq!(String::from_utf8(out), Ok(format!("{value} {value:x}")));
        }
    }

    #[test]
    fn a_status_always_has_three_digits() {
        for (status, expected) in [(99, "500"), (100, "100"), (999, "999"), (1000, "500")] {
            let mut out = Vec::new();
            status_line(status, b"Why", &mut out);
            assert_eq!(String::from_utf8(out), Ok(format!("HTTP/1.1 {expected} Why\r\n")));
        }
    }
}
