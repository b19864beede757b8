//! Thrift over frames as a [`Layout`]. Its servers answer the calls of a connection in their order, so each connection carries
//! one call at a time and sequence ids pass unchanged.

use super::header::{self, LENGTH_BYTES};
use super::message::{Encoding, Message, MessageError, MessageType, put_message, read};
use super::{NO_ARGUMENTS, write_exception};
use crate::codec::ProtocolError;
use crate::edits::Edits;
use crate::message::FieldSpan;
use crate::rpc::{Call, Detection, Frame, FrameKind, Layout, NewCall, PoolMode, Scan, ScanLimits, Span};

/// THeader reserves lengths from 0x3fffffff on for another framing, and lengths are signed elsewhere.
const MAX_FRAME_BYTES: u32 = 0x3fff_ffff;
/// The separator of TMultiplexedProtocol between the service's name and the method's.
const MULTIPLEX_SEPARATOR: u8 = b':';

/// Apache Thrift, framed.
#[derive(Debug)]
pub struct Thrift;

impl Layout for Thrift {
    const NAME: &'static str = "thrift";
    const POOL_MODE: PoolMode = PoolMode::PingPong;
    const ID_BITS: u32 = 32;
    const REPLY_REPEATS_HEAD: bool = true;
    const IS_GO_AWAY_KNOWN: bool = false;

    fn detect(first: &[u8]) -> Detection {
        if first.first().is_some_and(|&byte| byte > (MAX_FRAME_BYTES >> 24) as u8) {
            return Detection::NoMatch;
        }
        let Some(begin) = first.get(LENGTH_BYTES..LENGTH_BYTES + 4) else { return Detection::NeedMore };
        let is_binary = matches!(begin, [0x80, 0x01, 0x00, 1..=4]);
        let is_compact =
            matches!(begin, [0x82, second, ..] if second & 0x1f == 1 && (1..=4).contains(&(second >> 5)));
        let is_header = matches!(begin, [0x0f, 0xff, ..]);
        if is_binary || is_compact || is_header { Detection::Match } else { Detection::NoMatch }
    }

    fn scan(bytes: &[u8], limits: &ScanLimits) -> Result<Scan, ProtocolError> {
        let Some(length) = bytes.first_chunk() else { return Ok(Scan::More(LENGTH_BYTES)) };
        let length = u32::from_be_bytes(*length);
        if length > MAX_FRAME_BYTES {
            return Err(ProtocolError { status: 413, reason: "a Thrift frame of 1 GiB or more" });
        }
        let total = LENGTH_BYTES + length as usize;
        let there = &bytes[..bytes.len().min(total)];
        match outline(there) {
            Ok((message, _)) if message.end > limits.head_bytes as usize => Err(too_long()),
            Ok((message, dialect)) => Ok(Scan::Frame(frame_of(&message, dialect, total))),
            Err(MessageError::Cut) if there.len() == total => Err(malformed()),
            Err(MessageError::Cut) if there.len() >= limits.head_bytes as usize => Err(too_long()),
            Err(MessageError::Cut) => Ok(Scan::more(there.len(), total)),
            Err(MessageError::Malformed) => Err(malformed()),
        }
    }

    fn read(
        _: &Frame,
        seen: &[u8],
        max_fields: u16,
        fields: &mut Vec<FieldSpan>,
    ) -> Result<Call, ProtocolError> {
        let (message, dialect) = outline(seen).map_err(|_| malformed())?;
        if dialect & HEADER_DIALECT != 0 {
            let header = header::read(seen).map_err(|_| malformed())?;
            header::read_info(seen, &header, max_fields, fields)?;
        }
        Ok(call_of(message.name, seen))
    }

    fn write_head(
        frame: &Frame,
        head: &[u8],
        fields: &[FieldSpan],
        _: u64,
        edits: &Edits,
        out: &mut Vec<u8>,
    ) -> Result<(), ProtocolError> {
        let is_edited = edits.removes_fields() || !edits.added().is_empty();
        if frame.dialect & HEADER_DIALECT == 0 || !is_edited {
            out.extend_from_slice(head);
            return Ok(());
        }
        let header = header::read(head).map_err(|_| malformed())?;
        let begin = out.len();
        if !header::write(head, &header, fields, edits, out) {
            return Err(ProtocolError {
                status: 431,
                reason: "the info headers of a THeader frame exceed 256 KiB",
            });
        }
        out.extend_from_slice(&head[header.end..]);
        let total = frame.total_bytes() - head.len() as u64 + (out.len() - begin) as u64;
        enter_length(begin, total as usize, out);
        Ok(())
    }

    /// In the binary protocol, and without arguments where none are given.
    fn write_call(call: &NewCall<'_>, id: u64, out: &mut Vec<u8>) -> bool {
        let begin = out.len();
        out.extend_from_slice(&[0; LENGTH_BYTES]);
        let name = match call.service {
            "" => call.method.to_owned(),
            service => format!("{service}:{}", call.method),
        };
        put_message(Encoding::Binary, MessageType::Call, name.as_bytes(), id as i32, out);
        out.extend_from_slice(if call.payload.is_empty() { NO_ARGUMENTS } else { call.payload });
        enter_length(begin, out.len() - begin, out);
        true
    }

    fn write_reply(request: &Frame, head: &[u8], status: u16, text: &[u8], out: &mut Vec<u8>) {
        let begin = out.len();
        let Ok((message, _)) = outline(head) else { return };
        if request.dialect & HEADER_DIALECT != 0 {
            // The request's own header without its info: protocol, no transform, two bytes of padding.
            out.extend_from_slice(&head[..header::HEADER_AT - 2]);
            out.extend_from_slice(&[
                0,
                1,
                if message.encoding == Encoding::Compact { 2 } else { 0 },
                0,
                0,
                0,
            ]);
        } else {
            out.extend_from_slice(&[0; LENGTH_BYTES]);
        }
        write_exception(message.encoding, message.name.of(head), message.sequence_id, status, text, out);
        enter_length(begin, out.len() - begin, out);
    }

    /// An exception, whatever is wrong; a reply otherwise.
    fn own_status(status: u16) -> i32 {
        if status < 300 { MessageType::Reply as i32 } else { MessageType::Exception as i32 }
    }

    fn write_ping(_: u8, _: u64, _: &mut Vec<u8>) -> bool {
        false
    }

    fn write_pong(_: &Frame, _: &[u8], _: &mut Vec<u8>) {}

    fn write_go_away(_: u8, _: u64, _: &mut Vec<u8>) -> bool {
        false
    }
}

/// Bits of a frame's dialect.
const COMPACT_DIALECT: u8 = 1;
const HEADER_DIALECT: u8 = 2;

/// The beginning of a frame's message, and the frame's dialect.
fn outline(bytes: &[u8]) -> Result<(Message, u8), MessageError> {
    let is_header = header::is_header(bytes).ok_or(MessageError::Cut)?;
    let at = if is_header { header::read(bytes)?.end } else { LENGTH_BYTES };
    let message = read(bytes, at)?;
    let mut dialect = if is_header { HEADER_DIALECT } else { 0 };
    if message.encoding == Encoding::Compact {
        dialect |= COMPACT_DIALECT;
    }
    Ok((message, dialect))
}

fn frame_of(message: &Message, dialect: u8, total: usize) -> Frame {
    let (kind, status) = match message.kind {
        MessageType::Call => (FrameKind::Request, 0),
        MessageType::OneWay => (FrameKind::OneWay, 0),
        MessageType::Reply => (FrameKind::Response, 200),
        MessageType::Exception => (FrameKind::Response, 500),
    };
    Frame {
        kind,
        dialect,
        serialization: 0,
        id: u64::from(message.sequence_id.cast_unsigned()),
        head_bytes: message.end as u32,
        seen_bytes: message.end as u32,
        payload_bytes: (total - message.end) as u64,
        trailer_bytes: 0,
        timeout_ms: None,
        status,
        own_status: message.kind as i32,
    }
}

/// The service's and the method's name, where TMultiplexedProtocol has joined them.
fn call_of(name: Span, seen: &[u8]) -> Call {
    match memchr::memchr(MULTIPLEX_SEPARATOR, name.of(seen)) {
        None => Call { method: name, ..Call::default() },
        Some(colon) => {
            let (service, method) = (colon as u32, colon as u32 + 1);
            Call {
                service: Span { start: name.start, len: service },
                method: Span { start: name.start + method, len: name.len - method },
                ..Call::default()
            }
        }
    }
}

fn enter_length(begin: usize, total: usize, out: &mut [u8]) {
    let length = (total - LENGTH_BYTES) as u32;
    out[begin..begin + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
}

fn malformed() -> ProtocolError {
    ProtocolError { status: 400, reason: "not a Thrift message of the binary or compact protocol" }
}

fn too_long() -> ProtocolError {
    ProtocolError { status: 431, reason: "a Thrift head above the limit of header bytes" }
}
