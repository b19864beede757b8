//! The answer to a call that waits for its turn on the downstream connection: a copy of its head, and what has come of its
//! body.

use super::BodyKey;
use sidering_codecs::rpc::{Call, Frame, RpcHead};
use sidering_codecs::{BodyLength, Edits, FieldSpan, Fields, ResponseHead, Version};

/// At most so much of a body is held; then its connection waits, too.
pub const HELD_ANSWER_BYTES: u32 = 64 * 1024;

/// An answer and what edits change of it.
#[derive(Debug)]
pub struct HeldAnswer {
    status: u16,
    version: Version,
    body_length: BodyLength,
    bytes: Vec<u8>,
    spans: Vec<FieldSpan>,
    frame: Frame,
    taken_bytes: u32,
    call: Call,
    edits: Edits,
    /// What has come of its body.
    pub body: BodyKey,
}

impl HeldAnswer {
    /// Takes a copy of an answer's head; `None` if it answers no call.
    pub fn of(head: &ResponseHead<'_>, edits: &Edits, body: BodyKey) -> Option<Self> {
        let rpc = head.rpc?;
        Some(HeldAnswer {
            status: head.status,
            version: head.version,
            body_length: head.body,
            bytes: rpc.seen.to_vec(),
            taken_bytes: rpc.taken_bytes,
            spans: head.fields.spans().to_vec(),
            frame: rpc.frame,
            call: rpc.call,
            edits: edits.clone(),
            body,
        })
    }

    /// The head and its edits, lent again.
    pub fn lend(&self) -> (ResponseHead<'_>, &Edits) {
        let head = ResponseHead {
            status: self.status,
            version: self.version,
            reason: b"",
            fields: Fields::new(&self.bytes, &self.spans),
            body: self.body_length,
            rpc: Some(RpcHead {
                frame: self.frame,
                seen: &self.bytes,
                taken_bytes: self.taken_bytes,
                call: self.call,
            }),
        };
        (head, &self.edits)
    }
}
