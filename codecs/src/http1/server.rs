//! The downstream side: decodes requests and encodes responses, one exchange at a time. It never reads a request
//! before the previous one is answered, which is what keeps pipelined and upgraded bytes apart.

use super::incoming::{self, Incoming, Part};
use super::local_reply::{ReplyFraming, write_reply};
use super::outgoing::Outgoing;
use super::write::LengthRule;
use super::{Kind, gather, malformed, request, status, write};
use crate::carry::Carry;
use crate::codec::{Codec, Event, Grant, InputEnd, ProtocolError, Scratch, StreamId};
use crate::edits::Edits;
use crate::message::{BodyLength, FieldName, Fields, RequestHead, ResponseHead, Version};
use crate::registry::CodecOptions;

/// At most this many empty lines are overlooked in front of a request (RFC 9112 section 2.2). 400 beyond.
const MAX_EMPTY_LINES: u8 = 2;

/// A downstream connection's codec.
pub(super) struct Server {
    options: CodecOptions,
    /// Counts requests; the current or latest one's stream.
    exchange: u64,
    carry: Carry,
    incoming: Incoming,
    outgoing: Outgoing,
    /// Of the current request.
    kind: Kind,
    version: Version,
    empty_lines: u8,
    /// Neither side has yet said or done what ends the connection after the current exchange.
    is_reusable: bool,
    /// We announce the end of the connection with the next head.
    is_closing: bool,
}

impl Server {
    pub(super) fn new(options: CodecOptions) -> Self {
        Server {
            options,
            exchange: 0,
            carry: Carry::default(),
            incoming: Incoming::Head,
            outgoing: Outgoing::Idle,
            kind: Kind::Plain,
            version: Version::Http11,
            empty_lines: 0,
            is_reusable: true,
            is_closing: false,
        }
    }

    fn decode_head<'s, 'i: 's>(
        &'s mut self,
        scratch: &'s mut Scratch,
        input: &mut &'i [u8],
    ) -> Result<Option<Event<'s>>, ProtocolError> {
        self.skip_empty_lines(input).map_err(|error| self.fail(error))?;
        if input.is_empty() {
            return Ok(None);
        }
        let (options, spans) = (&self.options, &mut scratch.spans);
        let bound = options.header_bytes as usize;
        let read = |bytes: &[u8]| request::read(bytes, options, spans);
        let gathered =
            gather::gather(&mut self.carry, input, bound, read).map_err(|error| self.fail(error))?;
        let Some(gather::Gathered { layout, lent }) = gathered else { return Ok(None) };
        self.exchange += 1;
        self.incoming = Incoming::for_body(layout.body);
        self.outgoing = Outgoing::Head;
        self.kind = layout.kind;
        self.version = layout.version();
        self.empty_lines = 0;
        self.is_reusable &= layout.persists;
        let bytes = lent.unwrap_or_else(|| self.carry.lend());
        let head = layout.head(bytes, &scratch.spans);
        Ok(Some(Event::Request { stream: StreamId(self.exchange), head }))
    }

    /// Reads nothing more.
    fn fail(&mut self, error: ProtocolError) -> ProtocolError {
        self.incoming = Incoming::Done;
        self.is_reusable = false;
        self.carry.release();
        error
    }

    /// Overlooks a few empty lines in front of a request. Only the CR of a cut one is ever held.
    fn skip_empty_lines(&mut self, input: &mut &[u8]) -> Result<(), ProtocolError> {
        loop {
            let holds_return = match self.carry.bytes() {
                b"" => false,
                b"\r" => true,
                _ => return Ok(()),
            };
            let rest = match (holds_return, *input) {
                (true, [b'\n', rest @ ..]) | (false, [b'\r', b'\n', rest @ ..]) => rest,
                (false, [b'\n', rest @ ..]) if self.options.lenient_line_ends => rest,
                (false, [b'\r']) => {
                    self.carry.take(input, 1, 1);
                    return Ok(());
                }
                (_, []) => return Ok(()),
                (true, _) | (false, [b'\r' | b'\n', ..]) => {
                    return Err(malformed("a malformed line end in front of the request"));
                }
                (false, _) => return Ok(()),
            };
            self.carry.release();
            *input = rest;
            self.empty_lines += 1;
            if self.empty_lines > MAX_EMPTY_LINES {
                return Err(malformed("too many empty lines in front of the request"));
            }
        }
    }

    /// The request's end was told: what follows depends on how far the response is.
    fn on_request_told(&mut self) {
        self.incoming = match self.outgoing {
            Outgoing::Tunnel => Incoming::Tunnel,
            Outgoing::Idle => self.after_exchange(),
            _ => Incoming::Done,
        };
    }

    fn after_exchange(&self) -> Incoming {
        if self.is_reusable() { Incoming::Head } else { Incoming::Done }
    }

    /// The response is whole, or given up.
    fn on_response_ended(&mut self, is_whole: bool) {
        self.outgoing = Outgoing::Idle;
        self.is_reusable &= is_whole;
        match self.incoming {
            Incoming::Done => self.incoming = self.after_exchange(),
            // Nothing is missing of the request but the telling.
            Incoming::EndDue | Incoming::Head => {}
            // The rest of the request will not be read.
            _ => self.is_reusable = false,
        }
    }

    /// How the response's end is known, and what becomes of its Content-Length.
    fn frame_response(&mut self, head: &ResponseHead<'_>) -> (Outgoing, LengthRule) {
        match (head.status, self.kind, head.body) {
            (101, Kind::Upgrade, _) | (200..=299, Kind::Connect, _) => (Outgoing::Tunnel, LengthRule::Drop),
            (100..=199 | 204, _, _) => (Outgoing::Empty, LengthRule::Drop),
            (304, _, _) | (_, Kind::Head, BodyLength::None | BodyLength::Streamed) => {
                (Outgoing::Empty, LengthRule::Keep)
            }
            (_, Kind::Head, BodyLength::Sized(length)) => (Outgoing::Empty, LengthRule::Exactly(length)),
            (_, _, BodyLength::None) => (Outgoing::Empty, LengthRule::Exactly(0)),
            (_, _, BodyLength::Streamed) if self.version == Version::Http10 => {
                (Outgoing::UntilClose, LengthRule::Drop)
            }
            (_, _, body) => (Outgoing::for_body(body), LengthRule::for_body(body)),
        }
    }

    /// The line that tells the client whether the connection goes on; 1.1 clients take that for granted.
    fn connection_line(&self) -> &'static [u8] {
        if !self.is_reusable() {
            b"connection: close\r\n"
        } else if self.version == Version::Http10 {
            b"connection: keep-alive\r\n"
        } else {
            b""
        }
    }

    fn encode_interim(&self, head: &ResponseHead<'_>, edits: &Edits, out: &mut Vec<u8>) {
        if self.version != Version::Http10 {
            write::status_line(head.status, reason_of(head), out);
            write::edited_lines(&head.fields, edits, false, LengthRule::Drop, out);
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Begins the tunnel in the direction from the client, unless the request's end must be told before.
    fn open_tunnel(&mut self) {
        self.is_reusable = false;
        if self.incoming == Incoming::Done {
            self.incoming = Incoming::Tunnel;
        }
    }
}

impl Codec for Server {
    fn decode<'s, 'i: 's>(
        &'s mut self,
        scratch: &'s mut Scratch,
        input: &mut &'i [u8],
    ) -> Result<Option<Event<'s>>, ProtocolError> {
        self.carry.release_lent();
        if self.incoming == Incoming::Head {
            return self.decode_head(scratch, input);
        }
        let spans = &mut scratch.spans;
        let part = self.incoming.next_part(&mut self.carry, spans, &self.options, input);
        let part = part.map_err(|error| self.fail(error))?;
        if matches!(part, Part::End) {
            self.on_request_told();
        }
        Ok(incoming::event(part, StreamId(self.exchange), &mut self.carry, spans))
    }

    fn decode_end(&mut self) -> Result<InputEnd, ProtocolError> {
        self.is_reusable = false;
        match self.incoming {
            Incoming::Head if !self.carry.is_empty() => Err(malformed("the connection ended within a head")),
            Incoming::Idle | Incoming::Head | Incoming::Done => Ok(InputEnd::Idle),
            Incoming::EndDue | Incoming::Tunnel | Incoming::UntilClose => {
                self.incoming = Incoming::Done;
                Ok(InputEnd::Message(StreamId(self.exchange)))
            }
            Incoming::Sized(_) | Incoming::Chunked(_) => Err(malformed("the connection ended within a body")),
        }
    }

    fn open(&mut self) -> Option<StreamId> {
        None
    }

    fn encode_request(
        &mut self,
        _: StreamId,
        _: &RequestHead<'_>,
        _: &Edits,
        _: &mut Vec<u8>,
    ) -> Result<(), ProtocolError> {
        Ok(())
    }

    fn encode_response(
        &mut self,
        _: StreamId,
        head: &ResponseHead<'_>,
        edits: &Edits,
        out: &mut Vec<u8>,
    ) -> Result<(), ProtocolError> {
        if self.outgoing != Outgoing::Head {
            return Ok(());
        }
        if head.is_interim() {
            self.encode_interim(head, edits, out);
            return Ok(());
        }
        let (outgoing, rule) = self.frame_response(head);
        self.outgoing = outgoing;
        self.is_reusable &= outgoing != Outgoing::UntilClose;
        // An error that overtakes its request's body is the last answer: the client should stop sending and read it.
        self.is_closing |=
            head.status >= 400 && matches!(self.incoming, Incoming::Sized(_) | Incoming::Chunked(_));
        out.reserve(head.fields.bytes().len() + edits.added().bytes().len() + 128);
        write::status_line(head.status, reason_of(head), out);
        write::edited_lines(&head.fields, edits, false, rule, out);
        if outgoing == Outgoing::Chunked {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
        }
        if outgoing == Outgoing::Tunnel {
            if let (101, Some(field)) = (head.status, head.fields.find(FieldName::Upgrade)) {
                write::upgrade(field.value, out);
            }
            self.open_tunnel();
        } else {
            out.extend_from_slice(self.connection_line());
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn encode_data(&mut self, _: StreamId, payload: &[u8], out: &mut Vec<u8>) -> Grant {
        self.outgoing.encode_data(payload.len(), out)
    }

    fn encode_trailers(&mut self, _: StreamId, fields: &Fields<'_>, out: &mut Vec<u8>) {
        self.outgoing.encode_trailers(fields, out);
    }

    fn encode_end(&mut self, _: StreamId, out: &mut Vec<u8>) {
        if self.outgoing != Outgoing::Idle {
            let is_whole = self.outgoing.encode_end(out);
            self.on_response_ended(is_whole);
        }
    }

    fn encode_local_reply(
        &mut self,
        stream: Option<StreamId>,
        status: u16,
        extra: &[u8],
        body: &[u8],
        out: &mut Vec<u8>,
    ) {
        let may_begin = match self.outgoing {
            Outgoing::Head => true,
            Outgoing::Idle => stream.is_none(),
            // A second head would be read as part of the response under way.
            _ => false,
        };
        let request_is_whole = matches!(self.incoming, Incoming::Done | Incoming::EndDue);
        let answers = |kind| self.outgoing == Outgoing::Head && self.kind == kind;
        // To the client this opens a tunnel, whatever the head says of a length: the body is all that goes through it.
        let is_tunnel = answers(Kind::Connect) && (200..=299).contains(&status);
        let omits_body = answers(Kind::Head);
        self.is_reusable &= stream.is_some() && may_begin && request_is_whole && !is_tunnel;
        if may_begin {
            let connection_line = self.connection_line();
            let framing = ReplyFraming { omits_body, omits_length: is_tunnel, connection_line };
            write_reply(status, extra, body, framing, out);
        }
        if stream.is_none() {
            self.incoming = Incoming::Done;
            self.carry.release();
        }
        self.on_response_ended(may_begin);
    }

    fn close_after_current(&mut self) {
        self.is_closing = true;
    }

    fn is_reusable(&self) -> bool {
        self.is_reusable && !self.is_closing
    }

    fn is_idle(&self) -> bool {
        let receives_nothing = match self.incoming {
            Incoming::Idle | Incoming::Done => true,
            Incoming::Head => self.carry.is_empty(),
            _ => false,
        };
        receives_nothing && self.outgoing == Outgoing::Idle
    }

    fn relayable_in(&self) -> Option<u64> {
        self.incoming.relayable()
    }

    fn relayable_out(&self) -> bool {
        self.outgoing.is_relayable()
    }

    fn skip_in(&mut self, length: u64) {
        self.incoming.skip(length);
    }

    fn skip_out(&mut self, length: u64) {
        self.outgoing.skip(length);
    }
}

/// The phrase as sent; HTTP/2 has none, so the standard one stands in.
fn reason_of<'a>(head: &ResponseHead<'a>) -> &'a [u8] {
    if head.version == Version::Http2 { status::reason_phrase(head.status) } else { head.reason }
}
