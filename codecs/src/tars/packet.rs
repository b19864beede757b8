//! The fields of Tars' two packets up to the payload, and those behind it.

use super::jce::{JceError, MAP, Reader};
use crate::codec::ProtocolError;
use crate::message::{FieldName, FieldSpan};
use crate::rpc::Span;
use std::ops::Range;

/// Bytes of the length in front of every packet, which counts itself too.
pub(super) const LENGTH_BYTES: usize = 4;
/// Tags of RequestPacket: those of ResponsePacket are other ones from 3 on.
const PACKET_TYPE: u8 = 2;
const REQUEST_ID: u8 = 4;
pub(super) const SERVANT: u8 = 5;
const FUNCTION: u8 = 6;
const REQUEST_BUFFER: u8 = 7;
const TIMEOUT: u8 = 8;
const CONTEXT: u8 = 9;
/// Tags of ResponsePacket.
const RESPONSE_ID: u8 = 3;
const RETURN: u8 = 5;
const RESPONSE_BUFFER: u8 = 6;
const ONE_WAY: i64 = 1;

/// What a packet says up to its payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) version: i64,
    pub(super) is_response: bool,
    pub(super) is_one_way: bool,
    pub(super) id: i64,
    /// Where the id's field begins and ends, its tag included.
    pub(super) id_start: usize,
    pub(super) id_end: usize,
    pub(super) servant: Span,
    pub(super) function: Span,
    /// Of responses.
    pub(super) returned: i64,
    /// Up to the payload's first byte, the length in front included.
    pub(super) head_bytes: usize,
    /// Behind the payload more fields follow.
    pub(super) payload_bytes: usize,
}

/// Reads a packet's fields up to the payload. `bytes` begin with the packet's length.
pub(super) fn read(bytes: &[u8]) -> Result<Packet, JceError> {
    let mut reader = Reader::new(bytes.get(LENGTH_BYTES..).unwrap_or_default());
    let mut packet = Packet::default();
    // Fields come in the order of their tags, and 5 tells the direction: by then the id, at 3 or 4, has gone by.
    let mut ids = [None; 2];
    loop {
        let start = LENGTH_BYTES + reader.position();
        let tag = reader.tag()?;
        match tag.number {
            1 => packet.version = reader.int(tag.kind)?,
            PACKET_TYPE => packet.is_one_way = reader.int(tag.kind)? == ONE_WAY,
            RESPONSE_ID | REQUEST_ID => {
                let id = reader.int(tag.kind)?;
                ids[usize::from(tag.number - RESPONSE_ID)] =
                    Some((id, start, LENGTH_BYTES + reader.position()));
            }
            SERVANT => match reader.text(tag.kind) {
                Ok(servant) => packet.servant = span(&reader, servant),
                Err(JceError::Malformed) => {
                    packet.is_response = true;
                    packet.returned = reader.int(tag.kind)?;
                }
                Err(JceError::Cut) => return Err(JceError::Cut),
            },
            FUNCTION if !packet.is_response => {
                let function = reader.text(tag.kind)?;
                packet.function = span(&reader, function);
            }
            RESPONSE_BUFFER | REQUEST_BUFFER => {
                packet.payload_bytes = reader.bytes_length()?;
                packet.head_bytes = LENGTH_BYTES + reader.position();
                let id = ids[usize::from(!packet.is_response)].ok_or(JceError::Malformed)?;
                (packet.id, packet.id_start, packet.id_end) = id;
                return Ok(packet);
            }
            _ => reader.skip(tag.kind)?,
        }
    }
}

/// How long the caller waits, which stands behind a request's payload.
pub(super) fn read_timeout(bytes: &[u8], payload_end: usize) -> Option<u32> {
    Some(find_timeout(bytes, payload_end)?.0)
}

/// Writes how long the caller waits where that stands already, in as many bytes: it is no more than what stood there.
pub(super) fn write_timeout(bytes: &mut [u8], payload_end: usize, timeout_ms: u32) {
    let Some((before, place)) = find_timeout(bytes, payload_end) else { return };
    let number = timeout_ms.min(before).to_be_bytes();
    let width = place.len();
    bytes[place].copy_from_slice(&number[number.len() - width..]);
}

/// The timeout, and where its number stands: in one, two or four bytes.
fn find_timeout(bytes: &[u8], payload_end: usize) -> Option<(u32, Range<usize>)> {
    let mut reader = Reader::new(bytes.get(payload_end..)?);
    while !reader.is_at_end() {
        let tag = reader.tag().ok()?;
        let start = payload_end + reader.position();
        if tag.number == TIMEOUT {
            let timeout = reader.int(tag.kind).ok()?;
            let timeout = u32::try_from(timeout).ok().filter(|&timeout| timeout > 0)?;
            let place = start..payload_end + reader.position();
            return (place.len() <= size_of::<u32>()).then_some((timeout, place));
        }
        reader.skip(tag.kind).ok()?;
    }
    None
}

/// A request's context, which stands behind its payload.
pub(super) fn read_context(
    bytes: &[u8],
    payload_end: usize,
    max_fields: u16,
    fields: &mut Vec<FieldSpan>,
) -> Result<(), LateError> {
    let mut reader = Reader::new(bytes.get(payload_end..).unwrap_or_default());
    while !reader.is_at_end() {
        let tag = reader.tag()?;
        match (tag.number, tag.kind) {
            (CONTEXT, MAP) => read_pairs(&mut reader, payload_end, max_fields, fields)?,
            (_, kind) => reader.skip(kind)?,
        }
    }
    Ok(())
}

/// Why the fields behind the payload cannot be told.
pub(super) enum LateError {
    Jce,
    TooMany,
}

impl From<JceError> for LateError {
    fn from(_: JceError) -> Self {
        LateError::Jce
    }
}

impl From<LateError> for ProtocolError {
    fn from(error: LateError) -> Self {
        match error {
            LateError::Jce => {
                ProtocolError { status: 400, reason: "the fields behind a Tars payload are no JCE" }
            }
            LateError::TooMany => ProtocolError { status: 431, reason: "too many pairs in a Tars context" },
        }
    }
}

fn read_pairs(
    reader: &mut Reader<'_>,
    offset: usize,
    max_fields: u16,
    fields: &mut Vec<FieldSpan>,
) -> Result<(), LateError> {
    for _ in 0..reader.length()? {
        let tag = reader.tag()?;
        let key = reader.text(tag.kind)?;
        let key_start = offset + reader.position() - key.len();
        let tag = reader.tag()?;
        let value = reader.text(tag.kind)?;
        let value_start = offset + reader.position() - value.len();
        let Ok(name_len) = u16::try_from(key.len()) else { continue };
        if fields.len() >= usize::from(max_fields) {
            return Err(LateError::TooMany);
        }
        fields.push(FieldSpan {
            line_start: key_start as u32,
            value_start: value_start as u32,
            value_len: value.len() as u32,
            line_end: (value_start + value.len()) as u32,
            name_len,
            name: FieldName::Other,
            hop_by_hop: false,
        });
    }
    Ok(())
}

/// The place in the packet of a text that `reader` has just read.
fn span(reader: &Reader<'_>, text: &[u8]) -> Span {
    Span { start: (LENGTH_BYTES + reader.position() - text.len()) as u32, len: text.len() as u32 }
}

/// Tags that writing needs.
pub(super) mod tags {
    pub(in crate::tars) const VERSION: u8 = 1;
    pub(in crate::tars) const PACKET_TYPE: u8 = super::PACKET_TYPE;
    pub(in crate::tars) const MESSAGE_TYPE_OF_REQUEST: u8 = 3;
    pub(in crate::tars) const REQUEST_ID: u8 = super::REQUEST_ID;
    pub(in crate::tars) const FUNCTION: u8 = super::FUNCTION;
    pub(in crate::tars) const REQUEST_BUFFER: u8 = super::REQUEST_BUFFER;
    pub(in crate::tars) const TIMEOUT: u8 = super::TIMEOUT;
    pub(in crate::tars) const CONTEXT: u8 = super::CONTEXT;
    pub(in crate::tars) const STATUS_OF_REQUEST: u8 = 10;
    pub(in crate::tars) const RESPONSE_ID: u8 = super::RESPONSE_ID;
    pub(in crate::tars) const MESSAGE_TYPE_OF_RESPONSE: u8 = 4;
    pub(in crate::tars) const RETURN: u8 = super::RETURN;
    pub(in crate::tars) const RESPONSE_BUFFER: u8 = super::RESPONSE_BUFFER;
    pub(in crate::tars) const STATUS_OF_RESPONSE: u8 = 7;
    pub(in crate::tars) const DESCRIPTION: u8 = 8;
}
