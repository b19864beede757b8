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
    /// The number of bytes of the fixed part, from the bytes that decide it; `Err` gives how many those are.
    fn fixed_bytes(bytes: &[u8]) -> Result<Result<usize, usize>, ProtocolError> {
        let (version, at) = match bytes.first() {
            None => return Ok(Err(1)),
            Some(&V1) => (V1, 1),
            Some(&V2) => (V2, 2),
            Some(_) => return Err(malformed("not a bolt frame")),
        };
        Ok(match (version, bytes.get(at)) {
            (_, None) => Err(at + 1),
            (V1, Some(&TYPE_RESPONSE)) => Ok(20),
            (V1, Some(&(TYPE_REQUEST | TYPE_ONE_WAY))) => Ok(22),
            (_, Some(&TYPE_RESPONSE)) => Ok(22),
            (_, Some(&(TYPE_REQUEST | TYPE_ONE_WAY))) => Ok(24),
            (_, Some(_)) => return Err(malformed("an unknown type of bolt frame")),
        })
    }

    /// Reads the fixed part; `Err` in it gives how many bytes it takes at least.
    pub(super) fn read(bytes: &[u8]) -> Result<Result<(Header, usize), usize>, ProtocolError> {
        let length = match Header::fixed_bytes(bytes)? {
            Ok(length) => length,
            Err(needed) => return Ok(Err(needed)),
        };
        let fixed = bytes.get(..length).and_then(|fixed| fixed.split_last_chunk::<CLASS_LENGTH_BEHIND>());
        let Some((fixed, &[c1, c0, f1, f0, ref content_bytes @ ..])) = fixed else { return Ok(Err(length)) };
        // Version 2 has one byte more in front of the type, and one behind the codec.
        let (version, inner_version, fixed) = match *fixed {
            [V2, inner_version, ref fixed @ ..] => (V2, inner_version, fixed),
            [version, ref fixed @ ..] => (version, 0, fixed),
            [] => return Ok(Err(length)),
        };
        let Some((&[kind, command1, command0, _, i3, i2, i1, i0, codec], own)) = fixed.split_first_chunk()
        else {
            return Ok(Err(length));
        };
        let (switch, own) = match *own {
            [switch, ref own @ ..] if version == V2 => (switch, own),
            _ => (0, own),
        };
        let (timeout, status) = match *own {
            [t3, t2, t1, t0] => (i32::from_be_bytes([t3, t2, t1, t0]), 0),
            [s1, s0] => (0, u16::from_be_bytes([s1, s0])),
            _ => (0, 0),
        };
        let (command, id) = (u16::from_be_bytes([command1, command0]), u32::from_be_bytes([i3, i2, i1, i0]));
        let (class_bytes, fields_bytes) = (u16::from_be_bytes([c1, c0]), u16::from_be_bytes([f1, f0]));
        let content_bytes = u32::from_be_bytes(*content_bytes);
        if content_bytes > MAX_CONTENT_BYTES {
            return Err(ProtocolError { status: 413, reason: "a bolt content of 2 GiB or more" });
        }
        let has_checksum = inner_version >= CHECKSUM_SINCE && switch & SWITCH_CHECKSUM != 0;
        let header = Header {
            version,
            kind,
            command,
            id,
            codec,
            timeout,
            status,
            class_bytes,
            fields_bytes,
            content_bytes,
            has_checksum,
        };
        Ok(Ok((header, length)))
    }

    /// Where the fixed part ends, and where the field block begins behind it and the class name. The head must be whole.
    pub(super) fn places(head: &[u8]) -> Result<(usize, usize), ProtocolError> {
        let cut = malformed("a cut bolt head");
        let fixed_bytes = Header::fixed_bytes(head)?.map_err(|_| cut)?;
        let class_at = fixed_bytes - CLASS_LENGTH_BEHIND;
        let (class_bytes, _) = head.get(class_at..).and_then(|rest| rest.split_first_chunk()).ok_or(cut)?;
        Ok((fixed_bytes, fixed_bytes + usize::from(u16::from_be_bytes(*class_bytes))))
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
