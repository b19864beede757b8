//! Bolt as a [`Layout`].

use super::header::{
    COMMAND_GO_AWAY, COMMAND_HEARTBEAT, COMMAND_REQUEST, COMMAND_RESPONSE, Header, TYPE_ONE_WAY,
    TYPE_REQUEST, TYPE_RESPONSE, V1, V2, fields_length_offset, id_offset, malformed, places, timeout_offset,
};
use super::{fields, status};
use crate::bridge::{Bridge, SOFA};
use crate::codec::ProtocolError;
use crate::edits::Edits;
use crate::message::FieldSpan;
use crate::rpc::{Call, Detection, Frame, FrameKind, Layout, NewCall, PoolMode, Scan, ScanLimits, Span};

/// Bytes of a CRC-32 behind the content.
const CHECKSUM_BYTES: u8 = 4;
/// The class of SOFARPC's calls.
const CALL_CLASS: &[u8] = b"com.alipay.sofa.rpc.core.request.SofaRequest";
/// The serialization that heartbeats name: hessian2.
const HESSIAN2: u8 = 1;
/// What SOFABolt sends as a heartbeat's timeout.
const NO_TIMEOUT: i32 = -1;

/// SOFA bolt, both versions.
#[derive(Debug)]
pub struct Bolt;

impl Layout for Bolt {
    const NAME: &'static str = "bolt";
    const POOL_MODE: PoolMode = PoolMode::Multiplex;
    const ID_BITS: u32 = 32;
    const REPLY_REPEATS_HEAD: bool = false;
    // To older SOFABolt the command code is an error, upon which it closes; MOSN has it off by default, too.
    const IS_GO_AWAY_KNOWN: bool = false;
    const BRIDGE: Option<Bridge> = Some(SOFA);

    fn detect(first: &[u8]) -> Detection {
        // version, (inner version,) type, command, command version: no text protocol begins like that.
        let offset = match first.first() {
            None => return Detection::NeedMore,
            Some(&V1) => 1,
            Some(&V2) => 2,
            Some(_) => return Detection::NoMatch,
        };
        let Some(rest) = first.get(offset..offset + 4) else { return Detection::NeedMore };
        let command = u16::from_be_bytes([rest[1], rest[2]]);
        let is_known = kind_of(rest[0], command).is_some() && rest[3] == 1;
        if is_known { Detection::Match } else { Detection::NoMatch }
    }

    #[inline(always)]
    fn scan(bytes: &[u8], limits: &ScanLimits) -> Result<Scan, ProtocolError> {
        let (header, fixed_bytes) = match Header::read(bytes)? {
            Ok(read) => read,
            Err(needed) => return Ok(Scan::More(needed)),
        };
        let kind = kind_of(header.kind, header.command).ok_or(malformed("an unknown bolt command"))?;
        let head_bytes = fixed_bytes as u32 + u32::from(header.class_bytes) + u32::from(header.fields_bytes);
        if head_bytes > limits.head_bytes {
            return Err(ProtocolError { status: 431, reason: "a bolt head above the limit of header bytes" });
        }
        if bytes.len() < head_bytes as usize {
            return Ok(Scan::More(head_bytes as usize));
        }
        Ok(Scan::Frame(Frame {
            kind,
            dialect: header.version,
            serialization: header.codec,
            id: u64::from(header.id),
            head_bytes,
            seen_bytes: head_bytes,
            payload_bytes: u64::from(header.content_bytes),
            trailer_bytes: if header.has_checksum { CHECKSUM_BYTES } else { 0 },
            timeout_ms: u32::try_from(header.timeout).ok().filter(|&timeout| timeout > 0),
            status: if kind == FrameKind::Response { status::to_http(header.status) } else { 0 },
            own_status: i32::from(header.status),
        }))
    }

    fn read(
        frame: &Frame,
        seen: &[u8],
        max_fields: u16,
        spans: &mut Vec<FieldSpan>,
    ) -> Result<Call, ProtocolError> {
        let mut call = Call { is_version_in_service: true, ..Call::default() };
        let head = seen.get(..frame.head_bytes as usize).unwrap_or_default();
        let (_, begin) = places_of(frame, head)?;
        if begin < head.len() {
            fields::read(head, begin, max_fields, spans, |name, value| note_key(&mut call, name, value))?;
        }
        Ok(call)
    }

    fn write_head(
        frame: &Frame,
        head: &[u8],
        spans: &[FieldSpan],
        id: u64,
        edits: &Edits,
        out: &mut Vec<u8>,
    ) -> Result<(), ProtocolError> {
        let begin = out.len();
        if edits.removes_fields() || !edits.added().is_empty() {
            let (fixed_bytes, block) = places_of(frame, head)?;
            out.extend_from_slice(head.get(..block).unwrap_or(head));
            let block = out.len();
            fields::write(head, spans, edits, out);
            let Ok(length) = u16::try_from(out.len() - block) else {
                out.truncate(begin);
                return Err(ProtocolError { status: 431, reason: "the fields of a bolt head exceed 64 KiB" });
            };
            let at = begin + fields_length_offset(fixed_bytes);
            out[at..at + 2].copy_from_slice(&length.to_be_bytes());
            out.extend_from_slice(head.get(frame.head_bytes as usize..).unwrap_or_default());
        } else {
            out.extend_from_slice(head);
        }
        let at = begin + id_offset(frame.dialect);
        if let Some(place) = out.get_mut(at..at + 4) {
            place.copy_from_slice(&(id as u32).to_be_bytes());
        }
        Ok(())
    }

    fn write_timeout(frame: &Frame, written: &mut [u8], timeout_ms: u32) {
        let at = timeout_offset(frame.dialect);
        if let Some(place) = written.get_mut(at..at + 4) {
            place.copy_from_slice(&timeout_ms.min(i32::MAX as u32).to_be_bytes());
        }
    }

    fn write_call(call: &NewCall<'_>, id: u64, out: &mut Vec<u8>) -> bool {
        // SOFARPC writes a service's version behind its name.
        let versioned = match (call.version, call.service.contains(':')) {
            ("", _) | (_, true) => call.service.to_owned(),
            (version, false) => format!("{}:{version}", call.service),
        };
        let own = [("service", versioned.as_str()), ("sofa_head_method_name", call.method)];
        let given = call.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut block = vec![];
        for (name, value) in own.into_iter().chain(given) {
            let before = block.len();
            fields::put(name.as_bytes(), &mut block);
            fields::put(value.as_bytes(), &mut block);
            if block.len() > usize::from(u16::MAX) {
                block.truncate(before);
                break;
            }
        }
        let timeout =
            call.timeout_ms.map_or(NO_TIMEOUT, |timeout| i32::try_from(timeout).unwrap_or(i32::MAX));
        let header = Header {
            kind: if call.is_one_way { TYPE_ONE_WAY } else { TYPE_REQUEST },
            timeout,
            class_bytes: CALL_CLASS.len() as u16,
            fields_bytes: block.len() as u16,
            content_bytes: call.payload.len() as u32,
            ..command(V1, COMMAND_REQUEST, id)
        };
        header.write(out);
        out.extend_from_slice(CALL_CLASS);
        out.extend_from_slice(&block);
        out.extend_from_slice(call.payload);
        true
    }

    fn write_reply(request: &Frame, _: &[u8], status: u16, _: &[u8], out: &mut Vec<u8>) {
        let reply = Header { status: status::from_http(status), ..answer(request, COMMAND_RESPONSE) };
        reply.write(out);
    }

    fn own_status(status: u16) -> i32 {
        i32::from(status::from_http(status))
    }

    fn write_ping(dialect: u8, id: u64, out: &mut Vec<u8>) -> bool {
        command(dialect, COMMAND_HEARTBEAT, id).write(out);
        true
    }

    fn write_pong(ping: &Frame, _: &[u8], out: &mut Vec<u8>) {
        answer(ping, COMMAND_HEARTBEAT).write(out);
    }

    fn write_go_away(dialect: u8, id: u64, out: &mut Vec<u8>) -> bool {
        command(dialect, COMMAND_GO_AWAY, id).write(out);
        true
    }
}

/// What bridging reads of a whole answer.
pub(crate) struct AnswerHeader<'a> {
    pub(crate) is_ok: bool,
    /// Bolt's own.
    pub(crate) status: u16,
    pub(crate) http_status: u16,
    pub(crate) content: &'a [u8],
}

/// Reads an answer's header; `None` if the frame is no whole answer in hessian2.
pub(crate) fn read_answer_header(frame: &[u8]) -> Option<AnswerHeader<'_>> {
    let (header, fixed_bytes) = Header::read(frame).ok()?.ok()?;
    let begin = fixed_bytes + usize::from(header.class_bytes) + usize::from(header.fields_bytes);
    let content = frame.get(begin..begin + header.content_bytes as usize)?;
    let is_answer =
        kind_of(header.kind, header.command) == Some(FrameKind::Response) && header.codec == HESSIAN2;
    is_answer.then_some(AnswerHeader {
        is_ok: header.status == status::SUCCESS,
        status: header.status,
        http_status: status::to_bridged(header.status),
        content,
    })
}

/// What a frame of this type and command is; `None` if there is no such frame.
fn kind_of(kind: u8, command: u16) -> Option<FrameKind> {
    Some(match (kind, command) {
        (TYPE_REQUEST, COMMAND_REQUEST) => FrameKind::Request,
        (TYPE_ONE_WAY, COMMAND_REQUEST) => FrameKind::OneWay,
        (TYPE_RESPONSE, COMMAND_RESPONSE) => FrameKind::Response,
        (TYPE_REQUEST | TYPE_ONE_WAY, COMMAND_HEARTBEAT) => FrameKind::Ping,
        (TYPE_RESPONSE, COMMAND_HEARTBEAT) => FrameKind::Pong,
        (TYPE_REQUEST | TYPE_ONE_WAY, COMMAND_GO_AWAY) => FrameKind::GoAway,
        _ => return None,
    })
}

/// Where the class name and the field block of a frame's head begin.
fn places_of(frame: &Frame, head: &[u8]) -> Result<(usize, usize), ProtocolError> {
    places(frame.dialect, matches!(frame.kind, FrameKind::Response | FrameKind::Pong), head)
}

/// Notes a field that is part of the routing key, by the names that SOFARPC gives them. The service carries its version behind a
/// colon.
fn note_key(call: &mut Call, name: &[u8], value: Span) {
    // A `match` would compare them byte by byte.
    if name == b"service" {
        call.service = value;
    } else if name == b"sofa_head_method_name" {
        call.method = value;
    } else if name == b"sofa_head_target_service" && call.service.len == 0 {
        call.service = value;
    }
}

/// A frame of our own that is an answer and has no content.
fn answer(request: &Frame, command: u16) -> Header {
    Header {
        version: request.dialect,
        kind: TYPE_RESPONSE,
        command,
        id: request.id as u32,
        codec: request.serialization,
        timeout: 0,
        status: status::SUCCESS,
        class_bytes: 0,
        fields_bytes: 0,
        content_bytes: 0,
        has_checksum: false,
    }
}

/// A frame of our own that is no answer and has no content.
fn command(dialect: u8, command: u16, id: u64) -> Header {
    Header {
        version: if dialect == V2 { V2 } else { V1 },
        kind: TYPE_REQUEST,
        command,
        id: id as u32,
        codec: HESSIAN2,
        timeout: NO_TIMEOUT,
        status: 0,
        class_bytes: 0,
        fields_bytes: 0,
        content_bytes: 0,
        has_checksum: false,
    }
}
