//! Reads a response head into offsets. What it cannot frame with certainty it refuses, since a wrong guess would hand
//! one client another client's bytes.

use std::mem::MaybeUninit;

use super::fields;
use super::framing::{self, Coding};
use super::gather::{Rewrite, Step};
use super::incoming::{Incoming, body_of};
use super::options::{self, ConnectionOptions};
use super::place::Place;
use super::{Kind, malformed, refused};
use crate::codec::ProtocolError;
use crate::message::{BodyLength, FieldName, FieldSpan, Fields, ResponseHead, Version};
use crate::registry::{CodecOptions, MAX_HEADERS};

/// The bytes of `HTTP/1.1 200`.
const STATUS_END: usize = 12;

/// Where the parts of a response head stand, and what they mean.
#[derive(Debug)]
pub(super) struct ResponseLayout {
    pub status: u16,
    version: Version,
    reason: Place,
    body: BodyLength,
    /// What follows the head; an interim response is followed by another head.
    pub incoming: Incoming,
    /// Whether the server lets the connection outlive the exchange.
    pub persists: bool,
}

impl ResponseLayout {
    /// The head, lent from the bytes and spans that it was read from.
    pub(super) fn head<'a>(&self, bytes: &'a [u8], spans: &'a [FieldSpan]) -> ResponseHead<'a> {
        ResponseHead {
            rpc: None,
            status: self.status,
            version: self.version,
            reason: self.reason.in_bytes(bytes),
            fields: Fields::new(bytes, spans),
            body: self.body,
        }
    }
}

/// Reads the head at the front of `bytes` of the response to a request of this kind.
///
/// Errors: for whatever breaks RFC 9112; the caller maps them all to 502.
pub(super) fn read(
    bytes: &[u8],
    kind: Kind,
    options: &CodecOptions,
    spans: &mut Vec<FieldSpan>,
) -> Result<Step<ResponseLayout>, ProtocolError> {
    if bytes.first().is_some_and(|&byte| byte != b'H') {
        return Err(malformed("no status line"));
    }
    let mut slots = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; MAX_HEADERS as usize];
    let allowed = usize::from(options.headers.min(MAX_HEADERS));
    let mut response = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let outcome = parser.parse_response_with_uninit_headers(&mut response, bytes, &mut slots[..allowed]);
    let length = match outcome {
        Ok(httparse::Status::Partial) => return Ok(Step::Partial { decide_at: usize::MAX }),
        Ok(httparse::Status::Complete(length)) => length,
        Err(error) => return Err(describe(error)),
    };
    let head = &bytes[..length];
    let notes = fields::index(head, response.headers, spans)?;
    if notes.bare_line_feed {
        if options.lenient_line_ends {
            return Ok(Step::Rewrite(Rewrite::LineEnds));
        }
        return Err(malformed("a line of the head ends with LF alone"));
    }
    let version = if response.version == Some(0) { Version::Http10 } else { Version::Http11 };
    let status = response.code.unwrap_or(0);
    if !(100..=599).contains(&status) {
        return Err(malformed("a status outside 100 to 599"));
    }
    let coding = framing::read(head, spans, &notes, version)?;
    let connection =
        if notes.connection { options::read(head, spans)? } else { ConnectionOptions::default() };
    let (body, incoming) = frame(status, kind, coding)?;
    let mut persists = connection.persists(version) && incoming != Incoming::UntilClose;
    if is_always_bodiless(status) && !matches!(coding, Coding::Absent | Coding::Length(0)) {
        // The server announces a body where there cannot be one. Perhaps it sends it, so nothing may follow.
        persists = false;
    }
    if is_always_bodiless(status) {
        drop_length(spans);
    }
    let layout = ResponseLayout { status, version, reason: reason_in(head, spans), body, incoming, persists };
    Ok(Step::Whole { layout, length })
}

/// Where the body ends (RFC 9112 section 6.3).
fn frame(status: u16, kind: Kind, coding: Coding) -> Result<(BodyLength, Incoming), ProtocolError> {
    Ok(match (status, kind) {
        (101, Kind::Upgrade) | (200..=299, Kind::Connect) => (BodyLength::Streamed, Incoming::Tunnel),
        (101, _) => return Err(malformed("101 without a request for it")),
        (100..=199, _) => (BodyLength::None, Incoming::Head),
        (204 | 304, _) | (_, Kind::Head) => (BodyLength::None, Incoming::EndDue),
        _ if coding == Coding::Absent => (BodyLength::Streamed, Incoming::UntilClose),
        _ => (body_of(coding), Incoming::for_body(body_of(coding))),
    })
}

/// Whether a status never has a body, nor may announce one (RFC 9110 sections 8.6 and 15.2); 304 may.
fn is_always_bodiless(status: u16) -> bool {
    status < 200 || status == 204
}

fn drop_length(spans: &mut [FieldSpan]) {
    for span in spans {
        span.hop_by_hop |= span.name == FieldName::ContentLength;
    }
}

/// The reason phrase as sent. httparse would hide one with 8-bit bytes.
fn reason_in(head: &[u8], spans: &[FieldSpan]) -> Place {
    let line_end = spans.first().map_or(head.len() - 2, |first| first.line_start as usize) - 2;
    let start = if head[STATUS_END] == b' ' { STATUS_END + 1 } else { STATUS_END };
    Place::new(start, line_end)
}

fn describe(error: httparse::Error) -> ProtocolError {
    match error {
        httparse::Error::TooManyHeaders => refused(431, "the head has more fields than allowed"),
        httparse::Error::HeaderName => malformed("a malformed field name"),
        httparse::Error::HeaderValue => malformed("a malformed field value"),
        httparse::Error::NewLine => malformed("a malformed line end"),
        httparse::Error::Version => malformed("an HTTP version other than 1.0 and 1.1"),
        httparse::Error::Status | httparse::Error::Token => malformed("a malformed status line"),
    }
}
