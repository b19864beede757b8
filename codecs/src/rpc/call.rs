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
}

/// The routing key of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Call {
    /// The interface or servant that is called.
    pub service: Span,
    /// The method or function.
    pub method: Span,
    /// The service's version, where it stands for itself.
    pub version: Span,
    /// The version stands in the service's name, behind a colon. It is looked for when it is asked for.
    pub is_version_in_service: bool,
    /// The service's group.
    pub group: Span,
    /// How long the caller waits, where that stands among the fields; else the frame's outline says so.
    pub timeout_ms: Option<u32>,
}

impl Call {
    /// The service's version, of the head that it was read off.
    pub fn version_of<'a>(&self, head: &'a [u8]) -> &'a [u8] {
        if !self.is_version_in_service {
            return self.version.of(head);
        }
        let service = self.service.of(head);
        memchr::memchr(b':', service).map_or(&[], |colon| &service[colon + 1..])
    }
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
