//! The parts of an HTTP/1 head that say where its body ends.

use memchr::{memchr, memmem};

/// The longest head accepted; a longer one is taken for a peer that doesn't speak HTTP.
pub(crate) const MAX_HEAD_BYTES: usize = 64 * 1024;

/// What the fields of one head say about its body and its connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Framing {
    pub(crate) content_length: Option<u64>,
    pub(crate) chunked: bool,
    pub(crate) close: bool,
}

/// The bytes a head takes, its empty line included, once all of it is there.
pub(crate) fn head_bytes(bytes: &[u8]) -> Option<usize> {
    memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// The first line of a head, without its line end.
pub(crate) fn first_line(head: &[u8]) -> &[u8] {
    let end = memchr(b'\r', head).unwrap_or(head.len());
    &head[..end]
}

/// Reads the framing fields of a complete head; None if a field that matters makes no sense.
pub(crate) fn framing(head: &[u8]) -> Option<Framing> {
    let mut framing = Framing::default();
    for line in head.split(|&byte| byte == b'\n').skip(1) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        let colon = memchr(b':', line)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            framing.content_length = Some(decimal(value)?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            framing.chunked = value.to_ascii_lowercase().ends_with(b"chunked");
        } else if name.eq_ignore_ascii_case(b"connection") {
            framing.close = value.eq_ignore_ascii_case(b"close");
        }
    }
    Some(framing)
}

/// A decimal number that is digits and nothing else.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_length_and_close_whatever_the_case() {
        let head = b"HTTP/1.1 200 OK\r\nContent-LENGTH: 12\r\nconnection:  Close \r\n\r\n";
        let expected = Framing { content_length: Some(12), chunked: false, close: true };
        assert_eq!(framing(head), Some(expected));
        assert_eq!(head_bytes(head), Some(head.len()));
        assert_eq!(head_bytes(&head[..head.len() - 1]), None);
    }

    #[test]
    fn refuses_a_length_that_is_no_number() {
        assert_eq!(framing(b"HTTP/1.1 200 OK\r\ncontent-length: 1x\r\n\r\n"), None);
        assert_eq!(framing(b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n"), None);
    }
}
