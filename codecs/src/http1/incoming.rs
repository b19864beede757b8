//! The body being received: which bytes of the input are payload, and when the message is whole. It knows nothing of
//! requests and responses.

use super::chunked::{Chunked, Piece};
use super::fields;
use super::framing::Coding;
use super::gather::{Step, gather};
use super::{malformed, names, refused};
use crate::carry::Carry;
use crate::codec::{Event, ProtocolError, StreamId};
use crate::message::{BodyLength, FieldSpan, Fields};
use crate::registry::{CodecOptions, MAX_HEADERS};

/// Where receiving stands.
///
/// ```text
///            +-- interim --+
///            v             |
/// Idle --> Head -----------+
///  ^         +--> Sized ------ all received ---+
///  |         +--> Chunked ---- all received ---+--> EndDue --End told--+
///  |         +--> no body ---------------------+                       v
///  |         +--> UntilClose --- FIN -------------------------------> Done
///  |         +--> Tunnel ------- FIN -------------------------------> Done
///  +-------- the other direction has ended too (a server goes to Head) -+
/// ```
///
/// A server reaches Tunnel from Done instead, when it has sent the head that opens it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Incoming {
    /// No exchange is open, so that any byte is one too many (client side only).
    Idle,
    /// A head is expected, or partly there.
    Head,
    /// This many payload bytes, at least one, are still to come.
    Sized(u64),
    /// Chunks, then trailers, are still to come.
    Chunked(Chunked),
    /// Everything up to the end of the connection is payload.
    UntilClose,
    /// The bytes are no longer HTTP.
    Tunnel,
    /// The message is whole, but its end has not been told.
    EndDue,
    /// The message's end has been told, and the other direction is still under way; or nothing more will be read.
    Done,
}

/// The next part of a body.
pub(super) enum Part<'i> {
    /// Payload, never empty.
    Data(&'i [u8]),
    /// Trailers, whose spans are in the scratch space; their bytes are in the input, or else in the carry.
    Trailers(Option<&'i [u8]>),
    /// The message is whole.
    End,
    /// More bytes are needed.
    More,
}

impl Incoming {
    /// What follows a head whose body this is.
    pub(super) fn for_body(body: BodyLength) -> Self {
        match body {
            BodyLength::None | BodyLength::Sized(0) => Incoming::EndDue,
            BodyLength::Sized(length) => Incoming::Sized(length),
            BodyLength::Streamed => Incoming::Chunked(Chunked::new()),
        }
    }

    /// Takes the next part from `input`.
    ///
    /// Errors: 400 for broken chunks or trailers, 431 for trailers over the head's bounds.
    pub(super) fn next_part<'i>(
        &mut self,
        carry: &mut Carry,
        spans: &mut Vec<FieldSpan>,
        options: &CodecOptions,
        input: &mut &'i [u8],
    ) -> Result<Part<'i>, ProtocolError> {
        match self {
            Incoming::Idle | Incoming::Head | Incoming::Done => Ok(Part::More),
            Incoming::EndDue => Ok(Part::End),
            Incoming::Sized(remaining) => {
                let available = u64::try_from(input.len()).unwrap_or(u64::MAX).min(*remaining);
                self.skip(available);
                Ok(take(input, available as usize))
            }
            Incoming::UntilClose | Incoming::Tunnel => Ok(take(input, input.len())),
            Incoming::Chunked(chunked) => match chunked.decode(input)? {
                Piece::Data(bytes) => Ok(Part::Data(bytes)),
                Piece::More => Ok(Part::More),
                Piece::Trailers => {
                    let part = take_trailers(carry, spans, options, input)?;
                    if !matches!(part, Part::More) {
                        *self = Incoming::EndDue;
                    }
                    Ok(part)
                }
            },
        }
    }

    /// Counts `length` payload bytes as received.
    pub(super) fn skip(&mut self, length: u64) {
        if let Incoming::Sized(remaining) = self {
            *remaining = remaining.saturating_sub(length);
            if *remaining == 0 {
                *self = Incoming::EndDue;
            }
        }
    }

    /// See [`Codec::relayable_in`](crate::codec::Codec::relayable_in).
    pub(super) fn relayable(&self) -> Option<u64> {
        match self {
            Incoming::Sized(remaining) => Some(*remaining),
            Incoming::Tunnel => Some(u64::MAX),
            _ => None,
        }
    }
}

/// Tells a part as an event; an end is told by the caller, who knows what follows it.
pub(super) fn event<'s>(
    part: Part<'s>,
    stream: StreamId,
    carry: &'s mut Carry,
    spans: &'s [FieldSpan],
) -> Option<Event<'s>> {
    match part {
        Part::Data(bytes) => Some(Event::Data { stream, bytes }),
        Part::Trailers(lent) => {
            let bytes = lent.unwrap_or_else(|| carry.lend());
            Some(Event::Trailers { stream, fields: Fields::new(bytes, spans) })
        }
        Part::End => Some(Event::End { stream }),
        Part::More => None,
    }
}

/// What a head's coding says of a body that is there.
pub(super) fn body_of(coding: Coding) -> BodyLength {
    match coding {
        Coding::Absent => BodyLength::None,
        Coding::Length(length) => BodyLength::Sized(length),
        Coding::Chunked => BodyLength::Streamed,
    }
}

fn take<'i>(input: &mut &'i [u8], length: usize) -> Part<'i> {
    let (data, rest) = input.split_at(length);
    *input = rest;
    if data.is_empty() { Part::More } else { Part::Data(data) }
}

fn take_trailers<'i>(
    carry: &mut Carry,
    spans: &mut Vec<FieldSpan>,
    options: &CodecOptions,
    input: &mut &'i [u8],
) -> Result<Part<'i>, ProtocolError> {
    if carry.is_empty() {
        if let Some(rest) = input.strip_prefix(b"\r\n") {
            *input = rest;
            return Ok(Part::End);
        }
        if input.is_empty() {
            return Ok(Part::More);
        }
    }
    let bound = options.header_bytes as usize;
    let gathered = gather(carry, input, bound, |section| read_trailers(section, spans, options))?;
    Ok(match gathered {
        None => Part::More,
        Some(_) if spans.is_empty() => {
            carry.release();
            Part::End
        }
        Some(found) => Part::Trailers(found.lent),
    })
}

fn read_trailers(
    section: &[u8],
    spans: &mut Vec<FieldSpan>,
    options: &CodecOptions,
) -> Result<Step<()>, ProtocolError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS as usize];
    let allowed = usize::from(options.headers.min(MAX_HEADERS));
    let (length, headers) = match httparse::parse_headers(section, &mut headers[..allowed]) {
        Ok(httparse::Status::Complete(parsed)) => parsed,
        Ok(httparse::Status::Partial) => return Ok(Step::Partial { decide_at: usize::MAX }),
        Err(httparse::Error::TooManyHeaders) => return Err(refused(431, "too many trailer fields")),
        Err(_) => return Err(malformed("a malformed trailer field")),
    };
    let notes = fields::index(&section[..length], headers, spans)?;
    if notes.bare_line_feed {
        return Err(malformed("a bare LF in the trailers"));
    }
    for (span, header) in spans.iter_mut().zip(headers) {
        span.hop_by_hop |= names::is_forbidden_in_trailers(header.name.as_bytes());
    }
    Ok(Step::Whole { layout: (), length })
}
