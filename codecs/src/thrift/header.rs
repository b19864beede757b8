//! THeader: a frame whose message stands behind a block of string pairs, the info headers.

use super::message::{MessageError, put_varint, varint};
use crate::codec::ProtocolError;
use crate::edits::Edits;
use crate::message::{FieldName, FieldSpan};

/// Bytes of a frame's length.
pub(super) const LENGTH_BYTES: usize = 4;
/// Behind the length: a magic number, flags, a sequence id, the header's length in words.
const MAGIC: [u8; 2] = [0x0f, 0xff];
const SEQUENCE_ID_AT: usize = LENGTH_BYTES + 4;
const HEADER_LENGTH_AT: usize = LENGTH_BYTES + 8;
/// Where the header proper begins.
pub(super) const HEADER_AT: usize = LENGTH_BYTES + 10;
const WORD_BYTES: usize = 4;
/// The header's protocol ids.
const PROTOCOL_BINARY: u32 = 0;
const PROTOCOL_COMPACT: u32 = 2;
/// Kinds of info blocks: pairs for this message alone, and pairs for all to come, which few write.
const INFO_PAIRS: u32 = 1;

/// What a THeader frame says in front of its message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) sequence_id: u32,
    /// Where the info blocks begin.
    info_at: usize,
    /// Where the message begins.
    pub(super) end: usize,
}

/// Whether a frame's bytes are THeader's; `None` if too few are there.
pub(super) fn is_header(bytes: &[u8]) -> Option<bool> {
    let magic = bytes.get(LENGTH_BYTES..LENGTH_BYTES + 2)?;
    Some(magic == MAGIC)
}

/// Reads what stands in front of the info blocks.
pub(super) fn read(bytes: &[u8]) -> Result<Header, MessageError> {
    let length = bytes.get(HEADER_LENGTH_AT..HEADER_AT).ok_or(MessageError::Cut)?;
    let length = usize::from(u16::from_be_bytes([length[0], length[1]])) * WORD_BYTES;
    let id = bytes.get(SEQUENCE_ID_AT..).and_then(|rest| rest.first_chunk()).ok_or(MessageError::Cut)?;
    let end = HEADER_AT + length;
    let header = bytes.get(..end).ok_or(MessageError::Cut)?;
    // Within the header nothing more will come.
    let within = |error| if error == MessageError::Cut { MessageError::Malformed } else { error };
    let (protocol, at) = varint(header, HEADER_AT).map_err(within)?;
    let (transforms, at) = varint(header, at).map_err(within)?;
    // A transform (zlib and the like) would hide the message.
    if !matches!(protocol, PROTOCOL_BINARY | PROTOCOL_COMPACT) || transforms != 0 {
        return Err(MessageError::Malformed);
    }
    Ok(Header { sequence_id: u32::from_be_bytes(*id), info_at: at, end })
}

/// Notes the places of the info headers' pairs.
pub(super) fn read_info(
    bytes: &[u8],
    header: &Header,
    max_fields: u16,
    fields: &mut Vec<FieldSpan>,
) -> Result<(), ProtocolError> {
    let malformed =
        |_| ProtocolError { status: 400, reason: "the info headers of a THeader frame are malformed" };
    let block = bytes.get(..header.end).unwrap_or_default();
    let mut at = header.info_at;
    while at < header.end {
        let (kind, next) = varint(block, at).map_err(malformed)?;
        at = next;
        // Zero is padding up to the next word; of an unknown block the length is unknown, so it ends the reading.
        if kind != INFO_PAIRS {
            return Ok(());
        }
        let (count, next) = varint(block, at).map_err(malformed)?;
        at = next;
        for _ in 0..count {
            let key = text(block, &mut at).map_err(malformed)?;
            let value = text(block, &mut at).map_err(malformed)?;
            if fields.len() >= usize::from(max_fields) {
                return Err(ProtocolError {
                    status: 431,
                    reason: "too many info headers in a THeader frame",
                });
            }
            // A header is at most 256 KiB long, a name at most as long as that.
            let name_len = u16::try_from(key.len()).map_err(|_| malformed(MessageError::Malformed))?;
            fields.push(FieldSpan {
                line_start: key.start as u32,
                value_start: value.start as u32,
                value_len: value.len() as u32,
                line_end: at as u32,
                name_len,
                name: FieldName::Other,
                hop_by_hop: false,
            });
        }
    }
    Ok(())
}

fn text(block: &[u8], at: &mut usize) -> Result<std::ops::Range<usize>, MessageError> {
    let (length, start) = varint(block, *at)?;
    let end = start.checked_add(length as usize).filter(|&end| end <= block.len());
    let end = end.ok_or(MessageError::Malformed)?;
    *at = end;
    Ok(start..end)
}

/// Writes everything in front of the message anew with the pairs that `edits` leave and add. The frame's length is the
/// caller's to enter. `false`, and nothing written, if the header would be longer than its length field can tell.
pub(super) fn write(
    bytes: &[u8],
    header: &Header,
    fields: &[FieldSpan],
    edits: &Edits,
    out: &mut Vec<u8>,
) -> bool {
    let begin = out.len();
    out.extend_from_slice(&bytes[..header.info_at]);
    let kept = fields.iter().enumerate().filter(|&(index, _)| !edits.is_removed(index)).count();
    put_varint(INFO_PAIRS, out);
    put_varint((kept + edits.added().len()) as u32, out);
    for (index, field) in fields.iter().enumerate() {
        if !edits.is_removed(index) {
            let (name, value) = (field.line_start as usize, field.value_start as usize);
            put_text(&bytes[name..name + usize::from(field.name_len)], out);
            put_text(&bytes[value..value + field.value_len as usize], out);
        }
    }
    for field in edits.added().iter() {
        put_text(field.name, out);
        put_text(field.value, out);
    }
    while !(out.len() - begin - HEADER_AT).is_multiple_of(WORD_BYTES) {
        out.push(0);
    }
    let Ok(words) = u16::try_from((out.len() - begin - HEADER_AT) / WORD_BYTES) else {
        out.truncate(begin);
        return false;
    };
    out[begin + HEADER_LENGTH_AT..begin + HEADER_AT].copy_from_slice(&words.to_be_bytes());
    true
}

fn put_text(text: &[u8], out: &mut Vec<u8>) {
    put_varint(text.len() as u32, out);
    out.extend_from_slice(text);
}
