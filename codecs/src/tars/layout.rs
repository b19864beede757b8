//! Tars as a [`Layout`].

use super::jce::{JceError, put_bytes, put_int, put_map, put_no_bytes, put_no_map, put_text};
use super::packet::{self, LENGTH_BYTES, Packet, SERVANT, tags};
use crate::codec::ProtocolError;
use crate::edits::Edits;
use crate::message::FieldSpan;
use crate::rpc::{Call, Detection, Frame, FrameKind, Layout, NewCall, PoolMode, Scan, ScanLimits};

/// Tars' own limit of a packet is 10 MiB; what its peers can be configured to take is more. Lengths are signed there.
const MAX_PACKET_BYTES: u32 = i32::MAX as u32;
/// A packet without fields is none.
const MIN_PACKET_BYTES: u32 = LENGTH_BYTES as u32 + 2;
/// The version of the protocol, in its shortest encoding: tag 1, a byte.
const VERSION_TAG: u8 = 0x10;
/// Versions: TARS, and TUP in two kinds.
const VERSIONS: std::ops::RangeInclusive<u8> = 1..=3;
/// The function that clients call to keep a connection alive.
const PING_FUNCTION: &[u8] = b"tars_ping";

/// Return codes (TarsCpp's Servant.h).
const SUCCESS: i64 = 0;
const SERVER_DECODE: i64 = -1;
const NO_SERVANT: i64 = -4;
const QUEUE_TIMEOUT: i64 = -6;
const INVOKE_TIMEOUT: i64 = -7;
const PROXY_CONNECT: i64 = -8;
const OVERLOAD: i64 = -9;
const UNKNOWN: i64 = -99;

/// Tars.
#[derive(Debug)]
pub struct Tars;

impl Layout for Tars {
    const NAME: &'static str = "tars";
    const POOL_MODE: PoolMode = PoolMode::Multiplex;
    const ID_BITS: u32 = 31;
    const REPLY_REPEATS_HEAD: bool = false;
    const IS_GO_AWAY_KNOWN: bool = false;
    const CAN_CHANGE_FIELDS: bool = false;

    fn detect(first: &[u8]) -> Detection {
        let Some(length) = first.first_chunk() else {
            // No packet reaches 16 MiB before it is told apart.
            return if first.first().is_none_or(|&byte| byte == 0) {
                Detection::NeedMore
            } else {
                Detection::NoMatch
            };
        };
        if u32::from_be_bytes(*length) < MIN_PACKET_BYTES || first[0] != 0 {
            return Detection::NoMatch;
        }
        match (first.get(LENGTH_BYTES), first.get(LENGTH_BYTES + 1)) {
            (None, _) | (Some(&VERSION_TAG), None) => Detection::NeedMore,
            (Some(&VERSION_TAG), Some(version)) if VERSIONS.contains(version) => Detection::Match,
            _ => Detection::NoMatch,
        }
    }

    fn scan(bytes: &[u8], limits: &ScanLimits) -> Result<Scan, ProtocolError> {
        let Some(length) = bytes.first_chunk() else { return Ok(Scan::More(LENGTH_BYTES)) };
        let total = u32::from_be_bytes(*length);
        if total < MIN_PACKET_BYTES {
            return Err(malformed("a Tars packet that is shorter than its own length"));
        }
        if total > MAX_PACKET_BYTES {
            return Err(ProtocolError { status: 413, reason: "a Tars packet of 2 GiB or more" });
        }
        let there = &bytes[..bytes.len().min(total as usize)];
        let is_whole = there.len() == total as usize;
        let packet = match packet::read(there) {
            Ok(packet) => packet,
            Err(JceError::Cut) if !is_whole && there.len() < limits.head_bytes as usize => {
                return Ok(Scan::more(there.len(), total as usize));
            }
            Err(JceError::Cut) if !is_whole => {
                return Err(ProtocolError {
                    status: 431,
                    reason: "a Tars head above the limit of header bytes",
                });
            }
            // Without the id of the request there is no way to answer it.
            Err(_) => return Err(malformed("a Tars packet without the fields that every packet has")),
        };
        if packet.head_bytes as u64 + packet.payload_bytes as u64 > u64::from(total) {
            return Err(malformed("a Tars payload reaches beyond its packet"));
        }
        if packet.head_bytes > limits.head_bytes as usize {
            return Err(ProtocolError { status: 431, reason: "a Tars head above the limit of header bytes" });
        }
        let is_ping = !packet.is_response && packet.function.of(there) == PING_FUNCTION;
        let sees_all =
            (limits.wants_late_fields || is_ping) && !packet.is_response && total <= limits.head_bytes;
        if sees_all && !is_whole {
            return Ok(Scan::More(total as usize));
        }
        Ok(Scan::Frame(frame_of(&packet, there, total, sees_all, is_ping)))
    }

    fn read(
        frame: &Frame,
        seen: &[u8],
        max_fields: u16,
        fields: &mut Vec<FieldSpan>,
    ) -> Result<Call, ProtocolError> {
        let packet = packet::read(seen).map_err(|_| malformed("a cut Tars packet"))?;
        if u64::from(frame.seen_bytes) == frame.total_bytes() && !packet.is_response {
            packet::read_context(seen, packet.head_bytes + packet.payload_bytes, max_fields, fields)?;
        }
        Ok(Call { service: packet.servant, method: packet.function, ..Call::default() })
    }

    fn write_head(
        frame: &Frame,
        head: &[u8],
        _: &[FieldSpan],
        id: u64,
        _: &Edits,
        out: &mut Vec<u8>,
    ) -> Result<(), ProtocolError> {
        let packet = packet::read(head).map_err(|_| malformed("a cut Tars packet"))?;
        let begin = out.len();
        out.extend_from_slice(&[0; LENGTH_BYTES]);
        out.extend_from_slice(&head[LENGTH_BYTES..packet.id_start]);
        let tag = if packet.is_response { tags::RESPONSE_ID } else { tags::REQUEST_ID };
        // Ids are 31 bits wide, except that a client may choose a negative one, which comes back as it was.
        put_int(tag, i64::from((id as u32).cast_signed()), out);
        out.extend_from_slice(&head[packet.id_end..]);
        let grown = (out.len() - begin) as u64;
        let total = frame.total_bytes() - head.len() as u64 + grown;
        out[begin..begin + LENGTH_BYTES].copy_from_slice(&(total as u32).to_be_bytes());
        Ok(())
    }

    fn write_timeout(_: &Frame, written: &mut [u8], timeout_ms: u32) {
        let Ok(packet) = packet::read(written) else { return };
        packet::write_timeout(written, packet.head_bytes + packet.payload_bytes, timeout_ms);
    }

    fn write_call(call: &NewCall<'_>, id: u64, out: &mut Vec<u8>) -> bool {
        let begin = out.len();
        out.extend_from_slice(&[0; LENGTH_BYTES]);
        put_int(tags::VERSION, 1, out);
        put_int(tags::PACKET_TYPE, 0, out);
        put_int(tags::MESSAGE_TYPE_OF_REQUEST, 0, out);
        put_int(tags::REQUEST_ID, i64::from(id as u32 & 0x7fff_ffff), out);
        put_text(SERVANT, call.service.as_bytes(), out);
        put_text(tags::FUNCTION, call.method.as_bytes(), out);
        put_bytes(tags::REQUEST_BUFFER, call.payload, out);
        put_int(tags::TIMEOUT, 3000, out);
        put_map(tags::CONTEXT, call.fields, out);
        put_no_map(tags::STATUS_OF_REQUEST, out);
        set_length(begin, out);
        true
    }

    fn write_reply(request: &Frame, _: &[u8], status: u16, text: &[u8], out: &mut Vec<u8>) {
        let begin = out.len();
        write_response(request, return_of(status), text, out);
        set_length(begin, out);
    }

    fn own_status(status: u16) -> i32 {
        return_of(status) as i32
    }

    fn write_ping(_: u8, id: u64, out: &mut Vec<u8>) -> bool {
        let begin = out.len();
        out.extend_from_slice(&[0; LENGTH_BYTES]);
        put_int(tags::VERSION, 1, out);
        put_int(tags::PACKET_TYPE, 0, out);
        put_int(tags::MESSAGE_TYPE_OF_REQUEST, 0, out);
        put_int(tags::REQUEST_ID, i64::from(id as u32 & 0x7fff_ffff), out);
        put_text(SERVANT, b"", out);
        put_text(tags::FUNCTION, PING_FUNCTION, out);
        put_no_bytes(tags::REQUEST_BUFFER, out);
        put_int(tags::TIMEOUT, 3000, out);
        put_no_map(tags::CONTEXT, out);
        put_no_map(tags::STATUS_OF_REQUEST, out);
        set_length(begin, out);
        true
    }

    fn write_pong(ping: &Frame, _: &[u8], out: &mut Vec<u8>) {
        let begin = out.len();
        write_response(ping, SUCCESS, b"", out);
        set_length(begin, out);
    }

    fn write_go_away(_: u8, _: u64, _: &mut Vec<u8>) -> bool {
        false
    }
}

fn frame_of(packet: &Packet, there: &[u8], total: u32, sees_all: bool, is_ping: bool) -> Frame {
    let kind = match (packet.is_response, packet.is_one_way) {
        (true, _) => FrameKind::Response,
        (false, _) if is_ping => FrameKind::Ping,
        (false, true) => FrameKind::OneWay,
        (false, false) => FrameKind::Request,
    };
    let payload_end = packet.head_bytes + packet.payload_bytes;
    let timeout_ms = if sees_all { packet::read_timeout(there, payload_end) } else { None };
    // A heartbeat has no payload that anybody would want.
    let head_bytes = if is_ping && sees_all { total } else { packet.head_bytes as u32 };
    Frame {
        kind,
        dialect: packet.version as u8,
        serialization: 0,
        id: u64::from((packet.id as i32).cast_unsigned()),
        head_bytes,
        seen_bytes: if sees_all { total } else { head_bytes },
        payload_bytes: u64::from(total - head_bytes),
        trailer_bytes: 0,
        timeout_ms,
        status: if packet.is_response { http_of(packet.returned) } else { 0 },
        own_status: packet.returned as i32,
    }
}

fn http_of(returned: i64) -> u16 {
    match returned {
        SUCCESS => 200,
        OVERLOAD => 503,
        QUEUE_TIMEOUT | INVOKE_TIMEOUT => 504,
        PROXY_CONNECT => 502,
        _ => 500,
    }
}

fn return_of(status: u16) -> i64 {
    match status {
        200..=299 => SUCCESS,
        400 | 413 | 431 => SERVER_DECODE,
        404 => NO_SERVANT,
        408 | 504 => INVOKE_TIMEOUT,
        429 | 503 => OVERLOAD,
        502 => PROXY_CONNECT,
        _ => UNKNOWN,
    }
}

/// Writes a ResponsePacket behind room for its length.
fn write_response(request: &Frame, returned: i64, text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    put_int(tags::VERSION, i64::from(request.dialect), out);
    put_int(tags::PACKET_TYPE, 0, out);
    put_int(tags::RESPONSE_ID, i64::from((request.id as u32).cast_signed()), out);
    put_int(tags::MESSAGE_TYPE_OF_RESPONSE, 0, out);
    put_int(tags::RETURN, returned, out);
    put_no_bytes(tags::RESPONSE_BUFFER, out);
    put_no_map(tags::STATUS_OF_RESPONSE, out);
    put_text(tags::DESCRIPTION, text, out);
    put_no_map(tags::CONTEXT, out);
}

/// Enters the length of the packet that begins at `begin`.
fn set_length(begin: usize, out: &mut [u8]) {
    let length = (out.len() - begin) as u32;
    out[begin..begin + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
}

fn malformed(reason: &'static str) -> ProtocolError {
    ProtocolError { status: 400, reason }
}
