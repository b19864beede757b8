//! The beginning of a Thrift message: its type, the method's name and the sequence id, in either protocol.

use crate::rpc::Span;

/// The binary protocol's version 1 in its strict form.
const BINARY_VERSION: [u8; 3] = [0x80, 0x01, 0x00];
/// The compact protocol's id, and its version in the low bits of the byte behind it.
const COMPACT_PROTOCOL: u8 = 0x82;
const COMPACT_VERSION: u8 = 1;
const COMPACT_TYPE_SHIFT: u8 = 5;

/// What a message is, as Thrift numbers it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MessageType {
    Call = 1,
    Reply = 2,
    Exception = 3,
    OneWay = 4,
}

/// How a message is encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Encoding {
    Binary,
    Compact,
}

/// The beginning of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Message {
    pub(crate) encoding: Encoding,
    pub(crate) kind: MessageType,
    pub(crate) name: Span,
    pub(crate) sequence_id: i32,
    /// Where the sequence id stands.
    pub(crate) sequence_id_at: usize,
    /// Where the arguments or the result begin.
    pub(crate) end: usize,
}

/// Why bytes are no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MessageError {
    Cut,
    Malformed,
}

impl MessageType {
    fn from_number(number: u8) -> Result<Self, MessageError> {
        Ok(match number {
            1 => MessageType::Call,
            2 => MessageType::Reply,
            3 => MessageType::Exception,
            4 => MessageType::OneWay,
            _ => return Err(MessageError::Malformed),
        })
    }
}

/// Reads the beginning of a message of either protocol at `at` of `bytes`.
pub(crate) fn read(bytes: &[u8], at: usize) -> Result<Message, MessageError> {
    match bytes.get(at) {
        None => Err(MessageError::Cut),
        Some(&COMPACT_PROTOCOL) => read_compact(bytes, at),
        Some(_) => read_binary(bytes, at),
    }
}

/// Reads the beginning of a message of the strict binary protocol at `at` of `bytes`.
pub(crate) fn read_binary(bytes: &[u8], at: usize) -> Result<Message, MessageError> {
    let fixed = bytes.get(at..at + 8).ok_or(MessageError::Cut)?;
    if fixed[..3] != BINARY_VERSION {
        return Err(MessageError::Malformed);
    }
    let length = u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
    let length = usize::try_from(length.cast_signed()).map_err(|_| MessageError::Malformed)?;
    let start = at + 8;
    let sequence_id_at = start.checked_add(length).ok_or(MessageError::Malformed)?;
    let id = bytes.get(sequence_id_at..).and_then(|rest| rest.first_chunk()).ok_or(MessageError::Cut)?;
    Ok(Message {
        encoding: Encoding::Binary,
        kind: MessageType::from_number(fixed[3])?,
        name: Span { start: start as u32, len: length as u32 },
        sequence_id: i32::from_be_bytes(*id),
        sequence_id_at,
        end: sequence_id_at + 4,
    })
}

fn read_compact(bytes: &[u8], at: usize) -> Result<Message, MessageError> {
    let second = *bytes.get(at + 1).ok_or(MessageError::Cut)?;
    if second & 0x1f != COMPACT_VERSION {
        return Err(MessageError::Malformed);
    }
    let sequence_id_at = at + 2;
    let (sequence_id, start) = varint(bytes, sequence_id_at)?;
    let (length, start) = varint(bytes, start)?;
    let length = usize::try_from(length.cast_signed()).map_err(|_| MessageError::Malformed)?;
    let end = start.checked_add(length).ok_or(MessageError::Malformed)?;
    if bytes.len() < end {
        return Err(MessageError::Cut);
    }
    Ok(Message {
        encoding: Encoding::Compact,
        kind: MessageType::from_number(second >> COMPACT_TYPE_SHIFT)?,
        name: Span { start: start as u32, len: length as u32 },
        sequence_id: sequence_id.cast_signed(),
        sequence_id_at,
        end,
    })
}

/// An unsigned number of 32 bits, seven bits a byte, the lowest first, and where it ends.
pub(crate) fn varint(bytes: &[u8], at: usize) -> Result<(u32, usize), MessageError> {
    let mut value = 0u64;
    for index in 0..5 {
        let byte = *bytes.get(at + index).ok_or(MessageError::Cut)?;
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let value = u32::try_from(value).map_err(|_| MessageError::Malformed)?;
            return Ok((value, at + index + 1));
        }
    }
    Err(MessageError::Malformed)
}

/// Writes a number as [`varint`] reads it.
pub(crate) fn put_varint(mut value: u32, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes the beginning of a message.
pub(crate) fn put_message(
    encoding: Encoding,
    kind: MessageType,
    name: &[u8],
    sequence_id: i32,
    out: &mut Vec<u8>,
) {
    let number = match kind {
        MessageType::Call => 1,
        MessageType::Reply => 2,
        MessageType::Exception => 3,
        MessageType::OneWay => 4,
    };
    match encoding {
        Encoding::Binary => {
            out.extend_from_slice(&BINARY_VERSION);
            out.push(number);
            out.extend_from_slice(&(name.len() as u32).to_be_bytes());
            out.extend_from_slice(name);
            out.extend_from_slice(&sequence_id.to_be_bytes());
        }
        Encoding::Compact => {
            out.extend_from_slice(&[COMPACT_PROTOCOL, number << COMPACT_TYPE_SHIFT | COMPACT_VERSION]);
            put_varint(sequence_id.cast_unsigned(), out);
            put_varint(name.len() as u32, out);
            out.extend_from_slice(name);
        }
    }
}
