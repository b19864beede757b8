//! The frame being sent: frames cannot be interleaved, so one is under way at a time.

use super::RpcHead;
use super::checksum::Checksum;
use super::incoming::payload_behind;
use crate::codec::{Grant, StreamId};

/// How far the frame being sent is.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    open: Option<Open>,
    /// A frame was left before its end: whatever followed would be read as the rest of it.
    is_cut: bool,
}

#[derive(Debug)]
struct Open {
    stream: StreamId,
    payload_left: u64,
    checksum: Option<Checksum>,
}

impl Outgoing {
    /// Whether a frame may begin.
    pub(super) fn may_begin(&self) -> bool {
        self.open.is_none() && !self.is_cut
    }

    /// Whether a frame was left before its end.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// A head was written, as `written`; what its frame had behind the bytes that went into it follows. `false` if there was
    /// nothing, so that the frame is whole.
    #[inline]
    pub(super) fn begin(&mut self, stream: StreamId, rpc: &RpcHead<'_>, written: &[u8]) -> bool {
        if rpc.is_whole() {
            return false;
        }
        let payload_left = payload_behind(&rpc.frame, rpc.taken_bytes as usize);
        let checksum = (rpc.frame.trailer_bytes > 0).then(|| Checksum::of(written));
        self.open = Some(Open { stream, payload_left, checksum });
        true
    }

    pub(super) fn data(&mut self, stream: StreamId, payload: &[u8]) -> Grant {
        let mut allowed = 0;
        if let Some(open) = self.open.as_mut().filter(|open| open.stream == stream) {
            allowed = usize::try_from(open.payload_left).unwrap_or(usize::MAX).min(payload.len());
            open.payload_left -= allowed as u64;
            if let Some(checksum) = &mut open.checksum {
                checksum.update(&payload[..allowed]);
            }
        }
        Grant { allowed, suffix: b"" }
    }

    /// Ends this exchange's frame; tells whether it was under way.
    pub(super) fn end(&mut self, stream: StreamId, out: &mut Vec<u8>) -> bool {
        let Some(open) = self.open.take_if(|open| open.stream == stream) else { return false };
        self.is_cut |= open.payload_left > 0;
        if let Some(checksum) = open.checksum.filter(|_| open.payload_left == 0) {
            out.extend_from_slice(&checksum.to_bytes());
        }
        true
    }

    /// Leaves this exchange's frame where it is, if it is under way. Tells whether it was.
    pub(super) fn cut(&mut self, stream: StreamId) -> bool {
        let was_under_way = self.open.take_if(|open| open.stream == stream).is_some();
        self.is_cut |= was_under_way;
        was_under_way
    }
}
