//! A call's frame as a neutral head carries it along: for the codec that writes it again, and for routes.

use super::{Call, Frame, Layout, Scan, ScanLimits};

/// The frame behind a head.
#[derive(Clone, Copy, Debug)]
pub struct RpcHead<'a> {
    /// Its outline.
    pub frame: Frame,
    /// The frame's first bytes, as far as the codec had to see them.
    pub seen: &'a [u8],
    /// How many of them go out with the head; what is behind follows as data. At least the frame's head.
    pub taken_bytes: u32,
    /// What it says of the call, as places in `seen`.
    pub call: Call,
}

/// The head of a whole frame that goes out with the head, so that nothing follows it. `None` if it is no whole frame.
pub fn whole_call<L: Layout>(frame: &[u8]) -> Option<RpcHead<'_>> {
    let limits = ScanLimits { head_bytes: u32::MAX, wants_late_fields: false };
    let Ok(Scan::Frame(outline)) = L::scan(frame, &limits) else { return None };
    let seen = frame.get(..outline.seen_bytes as usize)?;
    let call = L::read(&outline, seen, u16::MAX, &mut vec![]).ok()?;
    let taken_bytes = u32::try_from(frame.len()).ok()?;
    (outline.total_bytes() == frame.len() as u64).then_some(RpcHead {
        frame: outline,
        seen: frame,
        taken_bytes,
        call,
    })
}

impl<'a> RpcHead<'a> {
    /// The bytes that go out with the head.
    pub fn taken(&self) -> &'a [u8] {
        &self.seen[..self.taken_bytes as usize]
    }

    /// Whether those are all of its frame: when the head is told, nothing but the end of its message follows.
    pub fn is_whole(&self) -> bool {
        u64::from(self.taken_bytes) == self.frame.total_bytes()
    }

    /// How many of those are payload.
    pub fn taken_payload_bytes(&self) -> u32 {
        self.taken_bytes.saturating_sub(self.frame.head_bytes)
    }

    /// The interface or servant that is called; empty if the frame does not say.
    pub fn service(&self) -> &'a [u8] {
        self.call.service.of(self.seen)
    }

    /// The method or function.
    pub fn method(&self) -> &'a [u8] {
        self.call.method.of(self.seen)
    }

    /// The service's version.
    pub fn version(&self) -> &'a [u8] {
        self.call.version_of(self.seen)
    }

    /// The service's group.
    pub fn group(&self) -> &'a [u8] {
        self.call.group.of(self.seen)
    }

    /// How long the caller waits, where the frame says so.
    pub fn timeout_ms(&self) -> Option<u32> {
        self.frame.timeout_ms.or(self.call.timeout_ms)
    }

    /// Whether nobody waits for an answer.
    pub fn is_one_way(&self) -> bool {
        self.frame.kind == super::FrameKind::OneWay
    }
}
