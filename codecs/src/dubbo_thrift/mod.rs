//! Dubbo's Thrift protocol: a Thrift message behind an envelope with the service's name and an id. Layout after Dubbo 2.7's
//! ThriftCodec.

use crate::codec::ProtocolError;
use crate::edits::Edits;
use crate::message::FieldSpan;
use crate::rpc::{Call, Detection, Frame, FrameKind, Layout, NewCall, PoolMode, Scan, ScanLimits, Span};
use crate::thrift::{
    Encoding, Message, MessageType, NO_ARGUMENTS, put_message, read_binary, write_exception,
};

/// The frame's length, which does not count itself.
const LENGTH_BYTES: usize = 4;
const MAGIC: [u8; 2] = [0xda, 0xbc];
/// Where the length stands a second time, and the header's, from the magic number on.
const MESSAGE_LENGTH_AT: usize = 6;
const HEADER_LENGTH_AT: usize = 10;
const VERSION_AT: usize = 12;
const SERVICE_AT: usize = 17;
const ID_BYTES: usize = 8;
const VERSION: u8 = 1;
const MAX_FRAME_BYTES: u32 = i32::MAX as u32;

/// Dubbo with Thrift messages.
#[derive(Debug)]
pub struct DubboThrift;

/// Whether these are the first bytes of a frame.
fn begins(first: &[u8]) -> Detection {
    let magic = first.get(LENGTH_BYTES..).unwrap_or_default();
    match (magic.iter().zip(MAGIC).all(|(&byte, expected)| byte == expected), magic.len()) {
        (false, _) => Detection::NoMatch,
        (true, 0 | 1) => Detection::NeedMore,
        (true, _) => Detection::Match,
    }
}

impl Layout for DubboThrift {
    const NAME: &'static str = "dubbo_thrift";
    const POOL_MODE: PoolMode = PoolMode::Multiplex;
    const ID_BITS: u32 = 63;
    const REPLY_REPEATS_HEAD: bool = true;
    const IS_GO_AWAY_KNOWN: bool = false;
    const CAN_CHANGE_FIELDS: bool = false;

    fn detect(first: &[u8]) -> Detection {
        // No connection begins with a frame of 1 GiB: so whatever begins with a letter is ruled out at once.
        if first.first().is_some_and(|&byte| byte >= 0x40) {
            return Detection::NoMatch;
        }
        begins(first)
    }

    fn scan(bytes: &[u8], limits: &ScanLimits) -> Result<Scan, ProtocolError> {
        let Some(length) = bytes.first_chunk() else { return Ok(Scan::More(LENGTH_BYTES)) };
        let length = u32::from_be_bytes(*length);
        if length > MAX_FRAME_BYTES {
            return Err(ProtocolError { status: 413, reason: "a Dubbo Thrift frame of 2 GiB or more" });
        }
        let total = LENGTH_BYTES + length as usize;
        let there = &bytes[..bytes.len().min(total)];
        if begins(there) == Detection::NoMatch {
            return Err(malformed("not a Dubbo Thrift frame"));
        }
        let too_long =
            || ProtocolError { status: 431, reason: "a Dubbo Thrift head above the limit of header bytes" };
        match Envelope::read(there, length)? {
            Some(envelope) if envelope.message.end > limits.head_bytes as usize => Err(too_long()),
            Some(envelope) => Ok(Scan::Frame(envelope.frame(total))),
            None if there.len() == total => Err(malformed("a Dubbo Thrift head reaches beyond its frame")),
            None if there.len() >= limits.head_bytes as usize => Err(too_long()),
            None => Ok(Scan::more(there.len().max(SERVICE_AT - 1), total)),
        }
    }

    fn read(_: &Frame, seen: &[u8], _: u16, _: &mut Vec<FieldSpan>) -> Result<Call, ProtocolError> {
        let envelope = Envelope::of(seen)?;
        Ok(Call { service: envelope.service, method: envelope.message.name, ..Call::default() })
    }

    fn write_head(
        _: &Frame,
        head: &[u8],
        _: &[FieldSpan],
        id: u64,
        _: &Edits,
        out: &mut Vec<u8>,
    ) -> Result<(), ProtocolError> {
        let envelope = Envelope::of(head)?;
        let begin = out.len();
        out.extend_from_slice(head);
        let at = begin + envelope.id_at;
        out[at..at + ID_BYTES].copy_from_slice(&id.to_be_bytes());
        Ok(())
    }

    fn write_call(call: &NewCall<'_>, id: u64, out: &mut Vec<u8>) -> bool {
        let begin = out.len();
        let header_bytes = (SERVICE_AT - LENGTH_BYTES + call.service.len() + ID_BYTES) as u16;
        out.extend_from_slice(&[0; LENGTH_BYTES]);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[0; LENGTH_BYTES]);
        out.extend_from_slice(&header_bytes.to_be_bytes());
        out.push(VERSION);
        out.extend_from_slice(&(call.service.len() as u32).to_be_bytes());
        out.extend_from_slice(call.service.as_bytes());
        out.extend_from_slice(&id.to_be_bytes());
        put_message(Encoding::Binary, MessageType::Call, call.method.as_bytes(), id as i32, out);
        out.extend_from_slice(if call.payload.is_empty() { NO_ARGUMENTS } else { call.payload });
        enter_lengths(begin, out);
        true
    }

    fn write_reply(_: &Frame, head: &[u8], status: u16, text: &[u8], out: &mut Vec<u8>) {
        let Ok(Envelope { message, id_at, .. }) = Envelope::of(head) else { return };
        let begin = out.len();
        out.extend_from_slice(&head[..id_at + ID_BYTES]);
        write_exception(Encoding::Binary, message.name.of(head), message.sequence_id, status, text, out);
        enter_lengths(begin, out);
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

/// What stands in front of the message's arguments.
struct Envelope {
    service: Span,
    id: u64,
    id_at: usize,
    message: Message,
}

impl Envelope {
    /// Of a head that is complete.
    fn of(head: &[u8]) -> Result<Self, ProtocolError> {
        let length = head.first_chunk().map_or(0, |length| u32::from_be_bytes(*length));
        Envelope::read(head, length)?.ok_or(malformed("a cut Dubbo Thrift head"))
    }

    /// `None` asks for more bytes.
    fn read(bytes: &[u8], length: u32) -> Result<Option<Self>, ProtocolError> {
        let Some(fixed) = bytes.first_chunk::<SERVICE_AT>() else { return Ok(None) };
        let message_length = &fixed[MESSAGE_LENGTH_AT..HEADER_LENGTH_AT];
        if message_length != length.to_be_bytes() {
            return Err(malformed("the two lengths of a Dubbo Thrift frame differ"));
        }
        let header_bytes = usize::from(u16::from_be_bytes([fixed[10], fixed[11]]));
        let service_bytes = u32::from_be_bytes([fixed[13], fixed[14], fixed[15], fixed[16]]) as usize;
        let id_at = SERVICE_AT.saturating_add(service_bytes);
        let begin = LENGTH_BYTES + header_bytes;
        if fixed[VERSION_AT] != VERSION || id_at.saturating_add(ID_BYTES) != begin {
            return Err(malformed("a Dubbo Thrift header of another length than it says"));
        }
        let Some(id) = bytes.get(id_at..).and_then(|rest| rest.first_chunk()) else { return Ok(None) };
        let message = match read_binary(bytes, begin) {
            Ok(message) => message,
            Err(crate::thrift::MessageError::Cut) => return Ok(None),
            Err(crate::thrift::MessageError::Malformed) => {
                return Err(malformed("not a message of Thrift's strict binary protocol"));
            }
        };
        let service = Span { start: SERVICE_AT as u32, len: service_bytes as u32 };
        Ok(Some(Envelope { service, id: u64::from_be_bytes(*id), id_at, message }))
    }

    fn frame(&self, total: usize) -> Frame {
        let (kind, status) = match self.message.kind {
            MessageType::Call => (FrameKind::Request, 0),
            MessageType::OneWay => (FrameKind::OneWay, 0),
            MessageType::Reply => (FrameKind::Response, 200),
            MessageType::Exception => (FrameKind::Response, 500),
        };
        Frame {
            kind,
            dialect: 0,
            serialization: 0,
            id: self.id,
            head_bytes: self.message.end as u32,
            seen_bytes: self.message.end as u32,
            payload_bytes: (total - self.message.end) as u64,
            trailer_bytes: 0,
            timeout_ms: None,
            status,
            own_status: self.message.kind as i32,
        }
    }
}

/// Enters both lengths of the frame that begins at `begin`.
fn enter_lengths(begin: usize, out: &mut [u8]) {
    let length = ((out.len() - begin - LENGTH_BYTES) as u32).to_be_bytes();
    out[begin..begin + LENGTH_BYTES].copy_from_slice(&length);
    out[begin + MESSAGE_LENGTH_AT..begin + HEADER_LENGTH_AT].copy_from_slice(&length);
}

fn malformed(reason: &'static str) -> ProtocolError {
    ProtocolError { status: 400, reason }
}
