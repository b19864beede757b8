//! TApplicationException, in which Thrift tells errors that are not the service's own.

use super::message::{Encoding, MessageType, put_message, put_varint};

/// The exception's types (TApplicationException in every library).
const UNKNOWN: i32 = 0;
const UNKNOWN_METHOD: i32 = 1;
const INTERNAL_ERROR: i32 = 6;
const PROTOCOL_ERROR: i32 = 7;

/// Writes an exception message that says a status of HTTP's vocabulary.
pub(crate) fn write_exception(
    encoding: Encoding,
    name: &[u8],
    sequence_id: i32,
    status: u16,
    text: &[u8],
    out: &mut Vec<u8>,
) {
    put_message(encoding, MessageType::Exception, name, sequence_id, out);
    let kind = match status {
        404 => UNKNOWN_METHOD,
        400 | 413 | 431 => PROTOCOL_ERROR,
        401 | 403 | 408 | 429 | 500..=599 => INTERNAL_ERROR,
        _ => UNKNOWN,
    };
    match encoding {
        Encoding::Binary => {
            // Field 1, a string; field 2, an i32; the end of the struct.
            out.extend_from_slice(&[11, 0, 1]);
            out.extend_from_slice(&(text.len() as u32).to_be_bytes());
            out.extend_from_slice(text);
            out.extend_from_slice(&[8, 0, 2]);
            out.extend_from_slice(&kind.to_be_bytes());
        }
        Encoding::Compact => {
            // One field id on from the one before, a binary; one on, an i32 in zigzag form; the end of the struct.
            out.push(0x18);
            put_varint(text.len() as u32, out);
            out.extend_from_slice(text);
            out.push(0x15);
            put_varint((kind << 1).cast_unsigned(), out);
        }
    }
    out.push(0);
}
