//! One frame's outline: what has to be known of it before its payload may pass.

/// What a frame is to whoever receives it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameKind {
    /// A call that waits for an answer.
    Request,
    /// A call that gets none.
    OneWay,
    /// An answer.
    Response,
    /// A heartbeat that wants a [`Pong`](Self::Pong).
    Ping,
    /// A heartbeat's answer.
    Pong,
    /// Something between the peers that is neither answered nor passed on.
    Notice,
    /// The sender takes no more calls on this connection.
    GoAway,
}

/// The outline of one frame: `head_bytes`, then `payload_bytes`, then `trailer_bytes`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame {
    /// What it is for.
    pub kind: FrameKind,
    /// The protocol's version or variant, so that an answer can speak the same. Its meaning is the protocol's own.
    pub dialect: u8,
    /// How the payload is serialized, as the protocol numbers it; an answer of our own repeats it.
    pub serialization: u8,
    /// Pairs an answer with its request on one connection.
    pub id: u64,
    /// Everything in front of the payload that routing reads or that is written anew.
    pub head_bytes: u32,
    /// What [`Layout::read`](super::Layout::read) wants to see: the head, and where fields stand behind the payload, that too.
    pub seen_bytes: u32,
    /// Passes unseen.
    pub payload_bytes: u64,
    /// Bytes of a checksum behind the payload, which is made anew when the frame is written: 0 or 4, CRC-32 as
    /// java.util.zip.CRC32 counts it, big endian, over everything in front.
    pub trailer_bytes: u8,
    /// How long the caller waits, where the frame says so.
    pub timeout_ms: Option<u32>,
    /// Of an answer: its status in HTTP's vocabulary, 200 if it is a success. 0 in everything else.
    pub status: u16,
    /// The same as the protocol itself has it.
    pub own_status: i32,
}

/// What the configuration lets and wants a scan to see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScanLimits {
    /// At most this many bytes of one frame are held to be read.
    pub head_bytes: u32,
    /// Fields matter even where they stand behind the payload (Dubbo's attachments, Tars' context): frames of up to
    /// `head_bytes` are waited for whole, in longer ones such fields are not seen.
    pub wants_late_fields: bool,
}

/// What the bytes received so far tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scan {
    /// Nothing yet: come again with at least so many bytes from the frame's first on.
    More(usize),
    /// All that is to be seen of it is there.
    Frame(Frame),
}

impl Scan {
    /// Asks for more of a head whose length nothing tells: for twice what is `there`, so that a head that comes byte by byte is
    /// not looked at with every one, but for no more than the frame has in `total`.
    pub fn more(there: usize, total: usize) -> Self {
        let least = there.saturating_add(1);
        Scan::More(there.saturating_mul(2).clamp(least, total.max(least)))
    }
}

impl Frame {
    /// Bytes on the wire.
    pub fn total_bytes(&self) -> u64 {
        u64::from(self.head_bytes) + self.payload_bytes + u64::from(self.trailer_bytes)
    }
}
