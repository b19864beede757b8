//! The fixed part of a bolt frame, in both versions and both directions.

use crate::codec::ProtocolError;

/// The first version: the frame's first byte.
pub(super) const V1: u8 = 1;
/// The second version: a version of its own inside, a switch byte, and a checksum where that asks for it.
pub(super) const V2: u8 = 2;

/// The frame's type byte.
pub(super) const TYPE_RESPONSE: u8 = 0;
pub(super) const TYPE_REQUEST: u8 = 1;
pub(super) const TYPE_ONE_WAY: u8 = 2;

/// The frame's command code.
pub(super) const COMMAND_HEARTBEAT: u16 = 0;
pub(super) const COMMAND_REQUEST: u16 = 1;
pub(super) const COMMAND_RESPONSE: u16 = 2;
pub(super) const COMMAND_GO_AWAY: u16 = 100;

/// From this inner version of a v2 frame on, the switch's lowest bit means that a CRC-32 follows the content.
const CHECKSUM_SINCE: u8 = 2;
const SWITCH_CHECKSUM: u8 = 1;
/// SOFABolt reads lengths as signed numbers, so a larger one would be read differently there.
const MAX_CONTENT_BYTES: u32 = i32::MAX as u32;

/// The lengths of class, fields and content end the fixed part.
const CLASS_LENGTH_BEHIND: usize = 2 + 2 + 4;

/// The fixed part, with the offsets that its version gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) version: u8,
    pub(super) kind: u8,
    pub(super) command: u16,
    pub(super) id: u32,
    pub(super) codec: u8,
    /// Milliseconds, of requests.
    pub(super) timeout: i32,
    /// Of responses.
    pub(super) status: u16,
    pub(super) class_bytes: u16,
    pub(super) fields_bytes: u16,
    pub(super) content_bytes: u32,
    pub(super) has_checksum: bool,
}

impl Header {
    /// Reads the fixed part; `Err` in it gives how many bytes it takes at least.
    #[inline(always)]
    pub(super) fn read(bytes: &[u8]) -> Result<Result<(Header, usize), usize>, ProtocolError> {
        let (version, at) = match bytes.first() {
            None => return Ok(Err(1)),
            Some(&V1) => (V1, 1),
            Some(&V2) => (V2, 2),
            Some(_) => return Err(malformed("not a bolt frame")),
        };
        let read = match (version, bytes.get(at)) {
            (_, None) => Err(at + 1),
            (V1, Some(&TYPE_RESPONSE)) => read_fixed::<{ fixed_bytes(V1, true) }, 0>(bytes),
            (V1, Some(&(TYPE_REQUEST | TYPE_ONE_WAY))) => read_fixed::<{ fixed_bytes(V1, false) }, 0>(bytes),
            (_, Some(&TYPE_RESPONSE)) => read_fixed::<{ fixed_bytes(V2, true) }, 1>(bytes),
            (_, Some(&(TYPE_REQUEST | TYPE_ONE_WAY))) => read_fixed::<{ fixed_bytes(V2, false) }, 1>(bytes),
            (_, Some(_)) => return Err(malformed("an unknown type of bolt frame")),
        };
        match read {
            Ok((header, _)) if header.content_bytes > MAX_CONTENT_BYTES => {
                Err(ProtocolError { status: 413, reason: "a bolt content of 2 GiB or more" })
            }
            read => Ok(read),
        }
    }

    /// Writes a fixed part without checksum and with the command version 1.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(self.version);
        if self.version == V2 {
            out.push(1);
        }
        out.push(self.kind);
        out.extend_from_slice(&self.command.to_be_bytes());
        out.push(1);
        out.extend_from_slice(&self.id.to_be_bytes());
        out.push(self.codec);
        if self.version == V2 {
            out.push(0);
        }
        if self.kind == TYPE_RESPONSE {
            out.extend_from_slice(&self.status.to_be_bytes());
        } else {
            out.extend_from_slice(&self.timeout.to_be_bytes());
        }
        out.extend_from_slice(&self.class_bytes.to_be_bytes());
        out.extend_from_slice(&self.fields_bytes.to_be_bytes());
        out.extend_from_slice(&self.content_bytes.to_be_bytes());
    }
}

/// The number of bytes of the fixed part.
pub(super) const fn fixed_bytes(version: u8, is_answer: bool) -> usize {
    (if version == V2 { 22 } else { 20 }) + (if is_answer { 0 } else { 2 })
}

/// Reads a fixed part of `LENGTH` bytes. Version 2 has one byte more (`MORE`) in front of the type, and one behind the codec.
#[inline(always)]
fn read_fixed<const LENGTH: usize, const MORE: usize>(bytes: &[u8]) -> Result<(Header, usize), usize> {
    let fixed: &[u8; LENGTH] = bytes.first_chunk().ok_or(LENGTH)?;
    let short = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
    let long = |at: usize| u32::from_be_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
    let is_answer = fixed[1 + MORE] == TYPE_RESPONSE;
    let (own, lengths) = (10 + 2 * MORE, LENGTH - CLASS_LENGTH_BEHIND);
    let has_switch = MORE == 1 && fixed[1] >= CHECKSUM_SINCE;
    let header = Header {
        version: fixed[0],
        kind: fixed[1 + MORE],
        command: short(2 + MORE),
        id: long(5 + MORE),
        codec: fixed[9 + MORE],
        timeout: if is_answer { 0 } else { long(own) as i32 },
        status: if is_answer { short(own) } else { 0 },
        class_bytes: short(lengths),
        fields_bytes: short(lengths + 2),
        content_bytes: long(lengths + 4),
        has_checksum: has_switch && fixed[10 + MORE] & SWITCH_CHECKSUM != 0,
    };
    Ok((header, LENGTH))
}

/// Where the class name begins in a frame's head, and where behind it the field block does. The head must be whole.
#[inline]
pub(super) fn places(version: u8, is_answer: bool, head: &[u8]) -> Result<(usize, usize), ProtocolError> {
    let fixed_bytes = fixed_bytes(version, is_answer);
    let lengths = head.get(fixed_bytes - CLASS_LENGTH_BEHIND..).and_then(|rest| rest.split_first_chunk());
    let (class_bytes, _) = lengths.ok_or(malformed("a cut bolt head"))?;
    Ok((fixed_bytes, fixed_bytes + usize::from(u16::from_be_bytes(*class_bytes))))
}

/// Where the id stands in a frame of this version.
pub(super) fn id_offset(version: u8) -> usize {
    if version == V2 { 6 } else { 5 }
}

/// Where a call's timeout stands: behind the id and the codec, and in version 2 the switch.
pub(super) fn timeout_offset(version: u8) -> usize {
    if version == V2 { 12 } else { 10 }
}

/// Where the length of the field block stands in a frame's fixed part of `fixed_bytes`: in front of the content's length.
pub(super) fn fields_length_offset(fixed_bytes: usize) -> usize {
    fixed_bytes - 6
}

pub(super) fn malformed(reason: &'static str) -> ProtocolError {
    ProtocolError { status: 400, reason }
}
