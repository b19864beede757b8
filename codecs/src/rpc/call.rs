//! What a head says about its call, as places in the head's bytes.

/// A range of a head's bytes; empty where the head does not say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Number of bytes.
    pub len: u32,
}

impl Span {
    /// The bytes of `head` that it names. A span of another head may name none.
    pub fn of<'a>(&self, head: &'a [u8]) -> &'a [u8] {
        let start = self.start as usize;
        head.get(start..start + self.len as usize).unwrap_or_default()
    }

    /// The span of `part`, which must be a part of `head`.
    pub(crate) fn within(head: &[u8], part: &[u8]) -> Self {
        let start = (part.as_ptr() as usize).wrapping_sub(head.as_ptr() as usize);
        debug_assert!(part.is_empty() || start + part.len() <= head.len());
        Span { start: start as u32, len: part.len() as u32 }
    }
}

/// The routing key of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Call {
    /// The interface or servant that is called.
    pub service: Span,
    /// The method or function.
    pub method: Span,
    /// The service's version.
    pub version: Span,
    /// The service's group.
    pub group: Span,
    /// How long the caller waits, where that stands among the fields; else the frame's outline says so.
    pub timeout_ms: Option<u32>,
}

/// A call in words, for tools that make one: what a protocol has no place for is left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NewCall<'a> {
    /// The interface or servant that is called.
    pub service: &'a str,
    /// The method or function.
    pub method: &'a str,
    /// The service's version; empty if it has none.
    pub version: &'a str,
    /// The service's group; empty if it has none.
    pub group: &'a str,
    /// Names and values.
    pub fields: &'a [(String, String)],
    /// The types of the arguments, where the protocol has them in front (Dubbo).
    pub descriptor: &'a str,
    /// The serialized arguments, in whatever serialization the protocol carries.
    pub payload: &'a [u8],
    /// How long the caller waits.
    pub timeout_ms: Option<u32>,
    /// Nobody waits for an answer.
    pub is_one_way: bool,
}
