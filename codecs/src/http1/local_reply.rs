//! Writes answers of the proxy's own. It looks at no request and changes no state.

use super::{status, write};

/// What frames a local reply besides its status.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReplyFraming {
    /// HEAD asks for the head alone.
    pub omits_body: bool,
    /// The end of the connection ends the body: a 2xx response to CONNECT has no length (RFC 9110 section 9.3.6).
    pub omits_length: bool,
    /// The line that says whether the connection outlives the reply; may be empty.
    pub connection_line: &'static [u8],
}

/// Writes a whole response with `body` as plain text and `extra` complete header lines.
pub(super) fn write_reply(status: u16, extra: &[u8], body: &[u8], framing: ReplyFraming, out: &mut Vec<u8>) {
    let has_content = !matches!(status, 100..=199 | 204 | 304);
    out.reserve(128 + extra.len() + body.len());
    write::status_line(status, status::reason_phrase(status), out);
    if has_content {
        if !body.is_empty() && !names_content_type(extra) {
            write::line(b"content-type", b"text/plain", out);
        }
        if !framing.omits_length {
            write::content_length(body.len() as u64, out);
        }
    }
    out.extend_from_slice(extra);
    out.extend_from_slice(framing.connection_line);
    out.extend_from_slice(b"\r\n");
    if has_content && !framing.omits_body {
        out.extend_from_slice(body);
    }
}

/// Whether one of these header lines says what the body is.
fn names_content_type(lines: &[u8]) -> bool {
    const NAME: &[u8] = b"content-type:";
    let starts = std::iter::once(0).chain(memchr::memchr_iter(b'\n', lines).map(|end| end + 1));
    starts
        .into_iter()
        .any(|start| lines[start..].get(..NAME.len()).is_some_and(|start| start.eq_ignore_ascii_case(NAME)))
}
