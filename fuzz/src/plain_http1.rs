//! A plain reading of one HTTP/1.1 message from bytes that are all at hand, as the strictest receiver would: it decides
//! where a message that a codec wrote ends. It shares no code with the codec.

use crate::plain_chunks::{self, Line, Outcome, split_field};
use crate::said::Bytes;

/// What the bytes are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reading {
    /// A message; it took so many bytes.
    Whole(Message, usize),
    /// The bytes end within the message.
    Cut,
    /// They are no message that every receiver would read alike.
    Wrong(&'static str),
}

/// A message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// The start line, without its CRLF.
    pub start: Bytes,
    pub fields: Vec<Line>,
    pub framing: Framing,
    pub payload: Bytes,
    pub trailers: Vec<Line>,
}

/// How the end of the payload is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// There is none, whatever the fields say.
    None,
    Length(u64),
    Chunked,
    /// By the end of the connection: everything belongs to it.
    UntilClose,
}

/// What the message is, as far as that decides on its framing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Request,
    Response {
        /// The request was HEAD.
        to_head: bool,
        /// The request was CONNECT.
        to_connect: bool,
    },
}

impl Message {
    /// The values of all fields of this name.
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        values(&self.fields, name)
    }
}

/// Reads the message at the front of the bytes.
pub fn read(bytes: &[u8], role: Role) -> Reading {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Reading::Cut };
    let head = &bytes[..end + 2];
    let mut lines = Vec::new();
    for line in head.split_inclusive(|&byte| byte == b'\n') {
        let Some(line) = line.strip_suffix(b"\r\n") else { return Reading::Wrong("a bare LF") };
        if line.iter().any(|byte| b"\r\0".contains(byte)) {
            return Reading::Wrong("a bare CR, or a NUL");
        }
        lines.push(line);
    }
    let start = lines[0];
    let Some(fields) = lines[1..].iter().map(|line| split_field(line)).collect::<Option<Vec<Line>>>() else {
        return Reading::Wrong("a field line that is none");
    };
    let framing = match role {
        Role::Request => request_framing(start, &fields),
        Role::Response { to_head, to_connect } => response_framing(start, &fields, to_head, to_connect),
    };
    match framing {
        Ok(framing) => read_body(bytes, end + 4, start, fields, framing),
        Err(reason) => Reading::Wrong(reason),
    }
}

fn request_framing(start: &[u8], fields: &[Line]) -> Result<Framing, &'static str> {
    let words: Vec<&[u8]> = start.split(|&byte| byte == b' ').collect();
    let [method, target, version] = words.as_slice() else { return Err("no request line") };
    let is_visible = target.iter().all(|&byte| byte > b' ' && byte < 0x7f);
    if !plain_chunks::is_token(method) || target.is_empty() || !is_visible || *version != b"HTTP/1.1" {
        return Err("a broken request line");
    }
    if values(fields, "host").len() != 1 {
        return Err("not exactly one Host");
    }
    Ok(coding(fields)?.unwrap_or(Framing::None))
}

fn response_framing(
    start: &[u8],
    fields: &[Line],
    to_head: bool,
    to_connect: bool,
) -> Result<Framing, &'static str> {
    let status = match start.strip_prefix(b"HTTP/1.1 ") {
        Some([digits @ .., b' ']) | Some(digits) if digits.len() == 3 => digits,
        Some([a, b, c, b' ', ..]) => &[*a, *b, *c],
        _ => return Err("no status line"),
    };
    let status: u16 =
        std::str::from_utf8(status).ok().and_then(|text| text.parse().ok()).ok_or("no status")?;
    let coding = coding(fields)?;
    if (status < 200 || status == 204 || to_connect && status < 300) && coding.is_some() {
        return Err("framing where there is no body");
    }
    match status {
        101 => Ok(Framing::UntilClose),
        200..=299 if to_connect => Ok(Framing::UntilClose),
        100..=199 | 204 | 304 => Ok(Framing::None),
        200..=599 if to_head => Ok(Framing::None),
        200..=599 => Ok(coding.unwrap_or(Framing::UntilClose)),
        _ => Err("a status that means nothing"),
    }
}

fn coding(fields: &[Line]) -> Result<Option<Framing>, &'static str> {
    let (lengths, codings) = (values(fields, "content-length"), values(fields, "transfer-encoding"));
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Ok(None),
        ([digits], []) if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            let text = std::str::from_utf8(digits).map_err(|_| "digits")?;
            text.parse().map(|length| Some(Framing::Length(length))).map_err(|_| "a length beyond 64 bits")
        }
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Some(Framing::Chunked)),
        _ => Err("more than one way to frame, or an unknown one"),
    }
}

fn read_body(
    bytes: &[u8],
    start_of_body: usize,
    start: &[u8],
    fields: Vec<Line>,
    framing: Framing,
) -> Reading {
    let body = &bytes[start_of_body..];
    let (payload, trailers, length) = match framing {
        Framing::None => (vec![], vec![], 0),
        Framing::UntilClose => (body.to_vec(), vec![], body.len()),
        Framing::Length(length) if length > body.len() as u64 => return Reading::Cut,
        Framing::Length(length) => (body[..length as usize].to_vec(), vec![], length as usize),
        Framing::Chunked => {
            let chunks = plain_chunks::read(body, usize::MAX, usize::MAX);
            match chunks.outcome {
                Outcome::Whole { trailers, length } => (chunks.payload, trailers, length),
                Outcome::Cut | Outcome::CutInTrailers => return Reading::Cut,
                Outcome::Wrong | Outcome::WrongInTrailers => return Reading::Wrong("broken chunks"),
            }
        }
    };
    let message = Message { start: start.into(), fields, framing, payload: Bytes(payload), trailers };
    Reading::Whole(message, start_of_body + length)
}

fn values<'f>(fields: &'f [Line], name: &str) -> Vec<&'f [u8]> {
    let same = fields.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name.as_bytes()));
    same.map(|(_, value)| value.as_slice()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Framing, Reading, Role, read};

    const RESPONSE: Role = Role::Response { to_head: false, to_connect: false };

    fn framing(bytes: &str, role: Role) -> Option<(Framing, usize)> {
        match read(bytes.as_bytes(), role) {
            Reading::Whole(message, length) => Some((message.framing, bytes.len() - length)),
            _ => None,
        }
    }

    #[test]
    fn requests_end_where_they_say() {
        let request = |lines: &str| framing(&format!("PUT / HTTP/1.1\r\nHost: a\r\n{lines}"), Role::Request);
        assert_eq!(request("\r\nnext"), Some((Framing::None, 4)));
        assert_eq!(request("Content-Length: 3\r\n\r\nabcd"), Some((Framing::Length(3), 1)));
        assert_eq!(
            request("Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nG"),
            Some((Framing::Chunked, 1))
        );
        for wrong in [
            "Content-Length: 3\r\n\r\nab",
            "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "Host: a\r\n\r\n",
            "a b\r\n\r\n",
            "a: b\nc: d\r\n\r\n",
        ] {
            assert_eq!(request(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn responses_end_where_they_say() {
        let rows = [
            ("HTTP/1.1 200 OK\r\n\r\nabc", RESPONSE, Some((Framing::UntilClose, 0))),
            ("HTTP/1.1 204 \r\n\r\nabc", RESPONSE, Some((Framing::None, 3))),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
                Role::Response { to_head: true, to_connect: false },
                Some((Framing::None, 0)),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
                Role::Response { to_head: false, to_connect: true },
                None,
            ),
            ("HTTP/1.1 204 OK\r\nContent-Length: 0\r\n\r\n", RESPONSE, None),
            ("HTTP/1.1 20 OK\r\n\r\n", RESPONSE, None),
        ];
        for (bytes, role, expected) in rows {
            assert_eq!(framing(bytes, role), expected, "{bytes:?}");
        }
    }
}
