//! What a codec said, owned, so that whole conversations can be compared and printed.

use sidering_codecs::{BodyLength, Event, Fields, RequestHead, ResponseHead, Version};
use std::fmt;
use std::ops::Deref;

/// Bytes that print as text.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Bytes(pub Vec<u8>);

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Bytes(bytes.to_vec())
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "\"{}\"", self.0.escape_ascii())
    }
}

/// One thing a codec said. Neighbouring data is one, since where it is cut means nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    Request(Request),
    Response(Response),
    Data(Bytes),
    Trailers(Vec<Field>),
    End,
    Refused(u16),
}

/// A request head.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    pub method: Bytes,
    pub version: Version,
    pub authority: Bytes,
    pub path: Bytes,
    pub authority_overrides_host: bool,
    pub fields: Vec<Field>,
    pub body: BodyLength,
    pub upgrade: Option<Bytes>,
    pub expects_continue: bool,
}

/// A response head.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    pub status: u16,
    pub version: Version,
    pub reason: Bytes,
    pub fields: Vec<Field>,
    pub body: BodyLength,
}

/// A field of a head or of trailers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    pub name: Bytes,
    pub value: Bytes,
    pub hop_by_hop: bool,
}

impl Field {
    /// Whether this is its name, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

impl Request {
    /// Whether payload follows.
    pub fn has_body(&self) -> bool {
        !matches!(self.body, BodyLength::None | BodyLength::Sized(0))
    }

    fn of(head: &RequestHead<'_>) -> Self {
        Request {
            method: head.method.as_bytes().into(),
            version: head.version,
            authority: head.authority.into(),
            path: head.path.into(),
            authority_overrides_host: head.authority_overrides_host,
            fields: fields_of(&head.fields),
            body: head.body,
            upgrade: head.upgrade.map(Bytes::from),
            expects_continue: head.expects_continue,
        }
    }
}

impl Response {
    /// Whether another head follows.
    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }

    fn of(head: &ResponseHead<'_>) -> Self {
        Response {
            status: head.status,
            version: head.version,
            reason: head.reason.into(),
            fields: fields_of(&head.fields),
            body: head.body,
        }
    }
}

/// The event, owned.
pub fn said(event: &Event<'_>) -> Said {
    match event {
        Event::Request { head, .. } => Said::Request(Request::of(head)),
        Event::Response { head, .. } => Said::Response(Response::of(head)),
        Event::Data { bytes, .. } => Said::Data((*bytes).into()),
        Event::Trailers { fields, .. } => Said::Trailers(fields_of(fields)),
        Event::End { .. } => Said::End,
        Event::Reset { .. } | Event::Control(_) | Event::Stray => {
            panic!("HTTP/1 has neither exchanges that end alone nor messages of the connection")
        }
    }
}

/// Puts one more thing behind what was said, merging data.
pub fn push(all: &mut Vec<Said>, one: Said) {
    match (all.last_mut(), one) {
        (Some(Said::Data(before)), Said::Data(more)) => before.0.extend_from_slice(&more),
        (_, one) => all.push(one),
    }
}

/// All payload.
pub fn payload(all: &[Said]) -> Vec<u8> {
    let pieces = all.iter().filter_map(|one| match one {
        Said::Data(bytes) => Some(&**bytes),
        _ => None,
    });
    pieces.collect::<Vec<_>>().concat()
}

fn fields_of(fields: &Fields<'_>) -> Vec<Field> {
    let own = |field: sidering_codecs::Field<'_>| {
        let line = field.line;
        let (name, value) = (field.name, field.value);
        assert!(line.starts_with(name) && line[name.len()] == b':', "a line begins with its name");
        assert!(line.ends_with(b"\r\n"), "a line ends with CRLF");
        let behind = &line[name.len() + 1..line.len() - 2];
        assert_eq!(Bytes::from(behind.trim_ascii()), Bytes::from(value), "a line's value is its value");
        assert!(!behind.iter().any(|byte| b"\r\n\0".contains(byte)), "a line is one line");
        Field { name: name.into(), value: value.into(), hop_by_hop: field.hop_by_hop }
    };
    fields.iter().map(own).collect()
}
