//! Dubbo as a [`Layout`].

use super::body::{read_attachments, read_invocation};
use super::header::{BODY_LENGTH_OFFSET, HEADER_BYTES, HESSIAN2, Header, ID_OFFSET, malformed};
use super::status;
use crate::bridge::{Bridge, DUBBO};
use crate::codec::ProtocolError;
use crate::edits::Edits;
use crate::hessian2::{HessianError, begin_map, end_map, write_int, write_string, write_text};
use crate::message::FieldSpan;
use crate::rpc::{Call, Detection, Frame, FrameKind, Layout, NewCall, PoolMode, Scan, ScanLimits, Span};
use std::ops::Range;

/// The body of an event that announces that a server takes no more calls.
const READ_ONLY: u8 = b'R';
/// What an answer without a value consists of (DubboCodec.RESPONSE_NULL_VALUE).
const NULL_VALUE: i32 = 2;
/// A null, the body of a heartbeat.
const NULL: u8 = b'N';

/// Apache Dubbo.
#[derive(Debug)]
pub struct Dubbo;

impl Layout for Dubbo {
    const NAME: &'static str = "dubbo";
    const POOL_MODE: PoolMode = PoolMode::Multiplex;
    const ID_BITS: u32 = 64;
    const REPLY_REPEATS_HEAD: bool = false;
    // Dubbo's servers send it when they end, and its clients obey (`HeaderExchangeServer`, `HeartbeatHandler`).
    const IS_GO_AWAY_KNOWN: bool = true;
    const CAN_CHANGE_FIELDS: bool = false;
    const BRIDGE: Option<Bridge> = Some(DUBBO);

    fn detect(first: &[u8]) -> Detection {
        match (Header::begins(first), first.len()) {
            (false, _) => Detection::NoMatch,
            (true, 0 | 1) => Detection::NeedMore,
            (true, _) => Detection::Match,
        }
    }

    fn scan(bytes: &[u8], limits: &ScanLimits) -> Result<Scan, ProtocolError> {
        let Some(header) = Header::read(bytes)? else { return Ok(Scan::More(HEADER_BYTES)) };
        let total = HEADER_BYTES as u64 + u64::from(header.body_bytes);
        let body = &bytes[HEADER_BYTES..bytes.len().min(usize::try_from(total).unwrap_or(usize::MAX))];
        let is_whole = HEADER_BYTES + body.len() == total as usize;
        let mut kind = header.kind();
        let mut head_bytes = HEADER_BYTES as u32;
        match kind {
            FrameKind::Request | FrameKind::OneWay if header.serialization == HESSIAN2 => {
                match read_invocation(body, HEADER_BYTES) {
                    Ok(invocation)
                        if invocation.length <= (limits.head_bytes as usize).saturating_sub(HEADER_BYTES) =>
                    {
                        head_bytes += invocation.length as u32;
                    }
                    Ok(_) => {}
                    // The reply says so; see `read`.
                    Err(HessianError::Cut) if is_whole => {}
                    Err(HessianError::Cut) if bytes.len() >= limits.head_bytes as usize => {}
                    Err(HessianError::Cut) => return Ok(Scan::more(bytes.len(), total as usize)),
                    Err(_) => {}
                }
            }
            FrameKind::Ping | FrameKind::Pong | FrameKind::Notice => {
                let limit = u64::from(limits.head_bytes);
                if total > limit {
                    return Err(ProtocolError {
                        status: 431,
                        reason: "a Dubbo event above the limit of header bytes",
                    });
                }
                if !is_whole {
                    return Ok(Scan::More(total as usize));
                }
                head_bytes = total as u32;
                if kind != FrameKind::Pong && says_read_only(body) {
                    kind = FrameKind::GoAway;
                }
            }
            _ => {}
        }
        let sees_all = limits.wants_late_fields
            && header.serialization == HESSIAN2
            && matches!(kind, FrameKind::Request | FrameKind::OneWay)
            && total <= u64::from(limits.head_bytes);
        if sees_all && !is_whole {
            return Ok(Scan::More(total as usize));
        }
        Ok(Scan::Frame(Frame {
            kind,
            dialect: 0,
            serialization: header.serialization,
            id: header.id,
            head_bytes,
            seen_bytes: if sees_all { total as u32 } else { head_bytes },
            payload_bytes: total - u64::from(head_bytes),
            trailer_bytes: 0,
            timeout_ms: None,
            status: if kind == FrameKind::Response { status::to_http(header.status) } else { 0 },
            own_status: i32::from(header.status),
        }))
    }

    fn read(
        frame: &Frame,
        seen: &[u8],
        max_fields: u16,
        fields: &mut Vec<FieldSpan>,
    ) -> Result<Call, ProtocolError> {
        let is_call = matches!(frame.kind, FrameKind::Request | FrameKind::OneWay);
        if !is_call || frame.serialization != HESSIAN2 {
            return Ok(Call::default());
        }
        let body = seen.get(HEADER_BYTES..).unwrap_or_default();
        let mut invocation = read_invocation(body, HEADER_BYTES).map_err(|_| {
            malformed("a Dubbo call does not begin with five strings within the limit of header bytes")
        })?;
        if u64::from(frame.seen_bytes) == frame.total_bytes() {
            read_attachments(seen, HEADER_BYTES, &mut invocation, max_fields, fields)?;
            invocation.call.timeout_ms = timeouts(seen, fields).find_map(|place| number_of(&seen[place]));
        }
        Ok(invocation.call)
    }

    fn write_head(
        _: &Frame,
        head: &[u8],
        _: &[FieldSpan],
        id: u64,
        _: &Edits,
        out: &mut Vec<u8>,
    ) -> Result<(), ProtocolError> {
        let begin = out.len();
        out.extend_from_slice(head);
        if let Some(place) = out.get_mut(begin + ID_OFFSET..begin + BODY_LENGTH_OFFSET) {
            place.copy_from_slice(&id.to_be_bytes());
        }
        Ok(())
    }

    /// Digits with zeros in front, which Java's `Integer.parseInt` and its likes read: nothing moves.
    fn write_timeout(frame: &Frame, written: &mut [u8], timeout_ms: u32) {
        let is_whole = written.len() as u64 == frame.total_bytes() && frame.serialization == HESSIAN2;
        let body = written.get(HEADER_BYTES..).unwrap_or_default();
        let Some(mut invocation) = read_invocation(body, HEADER_BYTES).ok().filter(|_| is_whole) else {
            return;
        };
        let mut fields = vec![];
        if read_attachments(written, HEADER_BYTES, &mut invocation, u16::MAX, &mut fields).is_err() {
            return;
        }
        let places: Vec<Range<usize>> = timeouts(written, &fields).collect();
        for place in places {
            let digits = format!("{timeout_ms:0width$}", width = place.len());
            // It is no more than what stood there.
            if digits.len() == place.len() {
                written[place].copy_from_slice(digits.as_bytes());
            }
        }
    }

    fn write_call(call: &NewCall<'_>, id: u64, out: &mut Vec<u8>) -> bool {
        let begin = out.len();
        Header { is_event: false, ..event(id, !call.is_one_way) }.write(out);
        for text in ["2.0.2", call.service, call.version, call.method, call.descriptor] {
            write_string(text, out);
        }
        if !call.descriptor.is_empty() {
            out.extend_from_slice(call.payload);
        }
        begin_map(out);
        let group = Some(("group", call.group)).filter(|(_, group)| !group.is_empty());
        let given = call.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in group.into_iter().chain(given) {
            write_string(name, out);
            write_string(value, out);
        }
        end_map(out);
        set_body_length(begin, out);
        true
    }

    fn write_reply(request: &Frame, _: &[u8], status: u16, text: &[u8], out: &mut Vec<u8>) {
        let begin = out.len();
        answer(request, status::from_http(status)).write(out);
        if (200..300).contains(&status) {
            write_int(NULL_VALUE, out);
        } else {
            write_text(text, out);
        }
        set_body_length(begin, out);
    }

    fn own_status(status: u16) -> i32 {
        i32::from(status::from_http(status))
    }

    fn write_ping(_: u8, id: u64, out: &mut Vec<u8>) -> bool {
        let begin = out.len();
        event(id, true).write(out);
        out.push(NULL);
        set_body_length(begin, out);
        true
    }

    fn write_pong(ping: &Frame, _: &[u8], out: &mut Vec<u8>) {
        let begin = out.len();
        Header { is_event: true, ..answer(ping, status::from_http(200)) }.write(out);
        out.push(NULL);
        set_body_length(begin, out);
    }

    fn write_go_away(_: u8, id: u64, out: &mut Vec<u8>) -> bool {
        let begin = out.len();
        event(id, false).write(out);
        write_text(&[READ_ONLY], out);
        set_body_length(begin, out);
        true
    }
}

/// Where attachments say how long the caller waits: Dubbo's `timeout`, and `_TO`, by which newer ones ask to count it down.
fn timeouts<'f>(bytes: &'f [u8], fields: &'f [FieldSpan]) -> impl Iterator<Item = Range<usize>> + 'f {
    let name = |span: &FieldSpan| Span { start: span.line_start, len: u32::from(span.name_len) }.of(bytes);
    let named = fields.iter().filter(move |span| matches!(name(span), b"timeout" | b"_TO"));
    named.map(|span| span.value_start as usize..(span.value_start + span.value_len) as usize)
}

fn number_of(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|&number| number > 0)
}

/// What bridging reads of a whole answer.
pub(crate) struct AnswerHeader<'a> {
    pub(crate) is_ok: bool,
    /// Dubbo's own.
    pub(crate) status: u8,
    pub(crate) http_status: u16,
    pub(crate) body: &'a [u8],
}

/// Reads an answer's header; `None` if the frame is no whole answer in hessian2.
pub(crate) fn read_answer_header(frame: &[u8]) -> Option<AnswerHeader<'_>> {
    let header = Header::read(frame).ok()??;
    let body = frame.get(HEADER_BYTES..HEADER_BYTES + header.body_bytes as usize)?;
    let is_answer = header.kind() == FrameKind::Response && header.serialization == HESSIAN2;
    let http_status = status::to_http(header.status);
    is_answer.then_some(AnswerHeader { is_ok: http_status == 200, status: header.status, http_status, body })
}

/// Whether an event's body is the string `R`.
fn says_read_only(body: &[u8]) -> bool {
    crate::hessian2::Reader::new(body).text() == Ok(&[READ_ONLY])
}

fn answer(request: &Frame, status: u8) -> Header {
    Header {
        is_request: false,
        is_two_way: false,
        is_event: false,
        serialization: HESSIAN2,
        status,
        id: request.id,
        body_bytes: 0,
    }
}

fn event(id: u64, is_two_way: bool) -> Header {
    Header {
        is_request: true,
        is_two_way,
        is_event: true,
        serialization: HESSIAN2,
        status: 0,
        id,
        body_bytes: 0,
    }
}

/// Enters the length of the body of the frame that begins at `begin`.
fn set_body_length(begin: usize, out: &mut [u8]) {
    let length = (out.len() - begin - HEADER_BYTES) as u32;
    out[begin + BODY_LENGTH_OFFSET..begin + HEADER_BYTES].copy_from_slice(&length.to_be_bytes());
}
