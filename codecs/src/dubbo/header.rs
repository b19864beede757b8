//! The 16 bytes that every Dubbo frame begins with.

use crate::codec::ProtocolError;
use crate::rpc::FrameKind;

pub(super) const HEADER_BYTES: usize = 16;
/// Where the id stands.
pub(super) const ID_OFFSET: usize = 4;
/// Where the body's length stands.
pub(super) const BODY_LENGTH_OFFSET: usize = 12;
const MAGIC: [u8; 2] = [0xda, 0xbb];
const FLAG_REQUEST: u8 = 0x80;
const FLAG_TWO_WAY: u8 = 0x40;
const FLAG_EVENT: u8 = 0x20;
const SERIALIZATION: u8 = 0x1f;
/// The serialization that Dubbo clients expect of events and errors, and the only one whose heads are read.
pub(super) const HESSIAN2: u8 = 2;
/// Dubbo reads the length as a signed number.
const MAX_BODY_BYTES: u32 = i32::MAX as u32;

/// A header's meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) is_request: bool,
    pub(super) is_two_way: bool,
    pub(super) is_event: bool,
    pub(super) serialization: u8,
    /// Of responses.
    pub(super) status: u8,
    pub(super) id: u64,
    pub(super) body_bytes: u32,
}

impl Header {
    /// Whether `first` can be the beginning of a header.
    pub(super) fn begins(first: &[u8]) -> bool {
        first.iter().zip(MAGIC).all(|(&byte, expected)| byte == expected)
    }

    /// Reads a header; `None` if there are too few bytes.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>, ProtocolError> {
        if !Header::begins(bytes) {
            return Err(malformed("not a Dubbo frame"));
        }
        let Some(&[_, _, flags, status, ref rest @ ..]) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let (id, body_bytes) = rest.split_at(8);
        let id = id.iter().fold(0, |id, &byte| id << 8 | u64::from(byte));
        let body_bytes = body_bytes.iter().fold(0, |length, &byte| length << 8 | u32::from(byte));
        if body_bytes > MAX_BODY_BYTES {
            return Err(ProtocolError { status: 413, reason: "a Dubbo body of 2 GiB or more" });
        }
        Ok(Some(Header {
            is_request: flags & FLAG_REQUEST != 0,
            is_two_way: flags & FLAG_TWO_WAY != 0,
            is_event: flags & FLAG_EVENT != 0,
            serialization: flags & SERIALIZATION,
            status,
            id,
            body_bytes,
        }))
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut flags = self.serialization & SERIALIZATION;
        for (is_set, flag) in
            [(self.is_request, FLAG_REQUEST), (self.is_two_way, FLAG_TWO_WAY), (self.is_event, FLAG_EVENT)]
        {
            flags |= if is_set { flag } else { 0 };
        }
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[flags, self.status]);
        out.extend_from_slice(&self.id.to_be_bytes());
        out.extend_from_slice(&self.body_bytes.to_be_bytes());
    }

    /// What the frame is, as far as its header tells: an event may yet turn out to be a [`FrameKind::GoAway`].
    pub(super) fn kind(&self) -> FrameKind {
        match (self.is_request, self.is_event, self.is_two_way) {
            (true, true, true) => FrameKind::Ping,
            (true, true, false) => FrameKind::Notice,
            (true, false, true) => FrameKind::Request,
            (true, false, false) => FrameKind::OneWay,
            (false, true, _) => FrameKind::Pong,
            (false, false, _) => FrameKind::Response,
        }
    }
}

pub(super) fn malformed(reason: &'static str) -> ProtocolError {
    ProtocolError { status: 400, reason }
}
