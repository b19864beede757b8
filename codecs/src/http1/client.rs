//! The upstream side: encodes requests and decodes responses, one exchange at a time. It never lets a connection be
//! used again on which a byte came that no request had asked for.

use super::incoming::{self, Incoming, Part};
use super::outgoing::Outgoing;
use super::write::LengthRule;
use super::{Kind, gather, malformed, response, write};
use crate::carry::Carry;
use crate::codec::{Codec, Event, Grant, InputEnd, ProtocolError, Scratch, StreamId};
use crate::edits::Edits;
use crate::message::{FieldName, Fields, Method, RequestHead, ResponseHead};
use crate::registry::CodecOptions;

/// At most this many interim responses to one request; more are an error.
const MAX_INTERIM_RESPONSES: u8 = 16;

/// An upstream connection's codec.
pub(super) struct Client {
    options: CodecOptions,
    /// Counts requests; the current or latest one's stream.
    exchange: u64,
    carry: Carry,
    incoming: Incoming,
    outgoing: Outgoing,
    /// Of the current request.
    kind: Kind,
    interim_responses: u8,
    /// Neither side has yet said or done what ends the connection after the current exchange.
    is_reusable: bool,
    /// We announce the end of the connection with the next head.
    is_closing: bool,
}

impl Client {
    pub(super) fn new(options: CodecOptions) -> Self {
        Client {
            options,
            exchange: 0,
            carry: Carry::default(),
            incoming: Incoming::Idle,
            outgoing: Outgoing::Idle,
            kind: Kind::Plain,
            interim_responses: 0,
            is_reusable: true,
            is_closing: false,
        }
    }

    fn decode_head<'s, 'i: 's>(
        &'s mut self,
        scratch: &'s mut Scratch,
        input: &mut &'i [u8],
    ) -> Result<Option<Event<'s>>, ProtocolError> {
        if input.is_empty() {
            return Ok(None);
        }
        let (options, kind, spans) = (&self.options, self.kind, &mut scratch.spans);
        let bound = options.header_bytes as usize;
        let read = |bytes: &[u8]| response::read(bytes, kind, options, spans);
        let gathered =
            gather::gather(&mut self.carry, input, bound, read).map_err(|error| self.fail(error))?;
        let Some(gather::Gathered { layout, lent }) = gathered else { return Ok(None) };
        if layout.incoming == Incoming::Head {
            self.interim_responses += 1;
            if self.interim_responses > MAX_INTERIM_RESPONSES {
                return Err(self.fail(malformed("too many interim responses")));
            }
        }
        self.incoming = layout.incoming;
        self.is_reusable &= layout.persists;
        if layout.incoming == Incoming::Tunnel {
            self.outgoing = Outgoing::Tunnel;
            self.is_reusable = false;
        }
        let bytes = lent.unwrap_or_else(|| self.carry.lend());
        let head = layout.head(bytes, &scratch.spans);
        Ok(Some(Event::Response { stream: StreamId(self.exchange), head }))
    }

    /// Reads nothing more. Whoever failed to answer properly is a bad gateway, whatever the rule broken.
    fn fail(&mut self, error: ProtocolError) -> ProtocolError {
        self.incoming = Incoming::Done;
        self.is_reusable = false;
        self.carry.release();
        ProtocolError { status: 502, ..error }
    }

    fn on_response_told(&mut self) {
        self.incoming = if self.outgoing == Outgoing::Idle { Incoming::Idle } else { Incoming::Done };
    }

    /// Writes the request line, with the path or authority that `edits` set.
    fn write_request_line(head: &RequestHead<'_>, edits: &Edits, out: &mut Vec<u8>) {
        out.extend_from_slice(head.method.as_bytes());
        out.push(b' ');
        let target = if head.method == Method::Connect {
            edits.authority().unwrap_or(head.authority)
        } else {
            match edits.path().unwrap_or(head.path) {
                b"" => b"/",
                path => path,
            }
        };
        out.extend_from_slice(target);
        out.extend_from_slice(b" HTTP/1.1\r\n");
    }
}

/// The authority for a new Host line; none if the head's own line may pass.
fn new_host<'a>(head: &RequestHead<'a>, edits: &'a Edits) -> Option<&'a [u8]> {
    let loses_its_own = || {
        let mut spans = head.fields.spans().iter().enumerate();
        spans.any(|(index, span)| span.name == FieldName::Host && edits.is_removed(index))
    };
    if let Some(authority) = edits.authority() {
        return Some(authority);
    }
    let must_be_written = head.authority_overrides_host || edits.removes_fields() && loses_its_own();
    must_be_written.then_some(head.authority)
}

impl Codec for Client {
    fn decode<'s, 'i: 's>(
        &'s mut self,
        scratch: &'s mut Scratch,
        input: &mut &'i [u8],
    ) -> Result<Option<Event<'s>>, ProtocolError> {
        self.carry.release_lent();
        match self.incoming {
            Incoming::Head => return self.decode_head(scratch, input),
            Incoming::Idle | Incoming::Done if !input.is_empty() => {
                return Err(self.fail(malformed("unsolicited response bytes")));
            }
            _ => {}
        }
        let spans = &mut scratch.spans;
        let part = self.incoming.next_part(&mut self.carry, spans, &self.options, input);
        let part = part.map_err(|error| self.fail(error))?;
        if matches!(part, Part::End) {
            self.on_response_told();
        }
        Ok(incoming::event(part, StreamId(self.exchange), &mut self.carry, spans))
    }

    fn decode_end(&mut self) -> Result<InputEnd, ProtocolError> {
        self.is_reusable = false;
        match self.incoming {
            Incoming::Idle | Incoming::Done => Ok(InputEnd::Idle),
            Incoming::EndDue | Incoming::UntilClose | Incoming::Tunnel => {
                self.on_response_told();
                Ok(InputEnd::Message(StreamId(self.exchange)))
            }
            Incoming::Head | Incoming::Sized(_) | Incoming::Chunked(_) => {
                Err(ProtocolError { status: 502, reason: "the connection ended within a response" })
            }
        }
    }

    fn open(&mut self) -> Option<StreamId> {
        if !self.is_idle() || !self.is_reusable() {
            return None;
        }
        self.exchange += 1;
        self.outgoing = Outgoing::Head;
        self.interim_responses = 0;
        Some(StreamId(self.exchange))
    }

    fn encode_request(
        &mut self,
        _: StreamId,
        head: &RequestHead<'_>,
        edits: &Edits,
        out: &mut Vec<u8>,
    ) -> Result<(), ProtocolError> {
        if self.outgoing != Outgoing::Head {
            return Ok(());
        }
        let upgrade = head.upgrade.filter(|_| edits.keeps_upgrade());
        self.kind = match head.method {
            Method::Head => Kind::Head,
            Method::Connect => Kind::Connect,
            _ if upgrade.is_some() => Kind::Upgrade,
            _ => Kind::Plain,
        };
        self.incoming = Incoming::Head;
        self.outgoing = Outgoing::for_body(head.body);
        out.reserve(head.fields.bytes().len() + edits.added().bytes().len() + 128);
        Self::write_request_line(head, edits, out);
        let host = new_host(head, edits);
        if let Some(authority) = host {
            write::line(b"host", authority, out);
        }
        write::edited_lines(&head.fields, edits, host.is_some(), LengthRule::for_body(head.body), out);
        if self.outgoing == Outgoing::Chunked {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
        }
        if let Some(protocols) = upgrade {
            write::upgrade(protocols, out);
        } else if self.is_closing {
            out.extend_from_slice(b"connection: close\r\n");
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn encode_response(
        &mut self,
        _: StreamId,
        _: &ResponseHead<'_>,
        _: &Edits,
        _: &mut Vec<u8>,
    ) -> Result<(), ProtocolError> {
        Ok(())
    }

    fn encode_data(&mut self, _: StreamId, payload: &[u8], out: &mut Vec<u8>) -> Grant {
        self.outgoing.encode_data(payload.len(), out)
    }

    fn encode_trailers(&mut self, _: StreamId, fields: &Fields<'_>, out: &mut Vec<u8>) {
        self.outgoing.encode_trailers(fields, out);
    }

    fn encode_end(&mut self, _: StreamId, out: &mut Vec<u8>) {
        if self.outgoing == Outgoing::Idle {
            return;
        }
        self.is_reusable &= self.outgoing.encode_end(out);
        if self.incoming == Incoming::Done {
            self.incoming = Incoming::Idle;
        }
    }

    fn encode_local_reply(&mut self, _: Option<StreamId>, _: u16, _: &[u8], _: &[u8], _: &mut Vec<u8>) {}

    fn close_after_current(&mut self) {
        self.is_closing = true;
    }

    fn is_reusable(&self) -> bool {
        self.is_reusable && !self.is_closing
    }

    fn is_idle(&self) -> bool {
        self.incoming == Incoming::Idle && self.outgoing == Outgoing::Idle
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
