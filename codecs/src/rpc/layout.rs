//! The contract of a protocol of framed calls: MOSN's XProtocol without its connection and its buffers.

use super::{Call, Frame, NewCall, Scan, ScanLimits};
use crate::bridge::Bridge;
use crate::codec::ProtocolError;
use crate::detection::Detection;
use crate::edits::Edits;
use crate::message::FieldSpan;

/// How calls share an upstream connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PoolMode {
    /// Many calls at a time, told apart by their ids.
    Multiplex,
    /// One call at a time: the protocol has no ids.
    PingPong,
}

/// A protocol of framed calls. All lengths that a peer sends are checked here; nothing panics on any bytes.
///
/// An error of [`scan`](Self::scan) means that the end of the frame is unknown, so the connection is lost. An error of
/// [`read`](Self::read) concerns one frame: it gets an error reply, and the connection goes on.
pub trait Layout: Send + Sync + 'static {
    /// As written in `protocol:`.
    const NAME: &'static str;

    /// How calls share connections.
    const POOL_MODE: PoolMode;

    /// Whether [`write_reply`](Self::write_reply) looks at the head, which is kept as long as the call is under way then.
    const REPLY_REPEATS_HEAD: bool;

    /// Whether every peer understands what [`write_go_away`](Self::write_go_away) writes. Else it is only written where
    /// [`CodecOptions::go_away`](crate::registry::CodecOptions::go_away) says so.
    const IS_GO_AWAY_KNOWN: bool;

    /// Whether [`write_head`](Self::write_head) has a place for fields that come, change or go.
    const CAN_CHANGE_FIELDS: bool = true;

    /// Whether these first bytes of a connection are this protocol's.
    fn detect(first: &[u8]) -> Detection;

    /// Reads a frame's outline off its first bytes. A head above the limit is an error of status 431. It asks for no bytes behind
    /// the frame's payload.
    fn scan(bytes: &[u8], limits: &ScanLimits) -> Result<Scan, ProtocolError>;

    /// Reads what routing needs off `seen`, the frame's first `seen_bytes`; the fields' places are appended to `fields`, at
    /// most `max_fields` of them (431 beyond).
    fn read(
        frame: &Frame,
        seen: &[u8],
        max_fields: u16,
        fields: &mut Vec<FieldSpan>,
    ) -> Result<Call, ProtocolError>;

    /// Writes `head`, the first bytes of a frame, at least its `head_bytes`, with another id and as `edits` change it. What
    /// an edit cannot change, because the protocol has no place for it or the place is not among the bytes, stays; a
    /// field that no longer fits is an error of status 431, and `out` is as before.
    fn write_head(
        frame: &Frame,
        head: &[u8],
        fields: &[FieldSpan],
        id: u64,
        edits: &Edits,
        out: &mut Vec<u8>,
    ) -> Result<(), ProtocolError>;

    /// Lets the first bytes of a call's frame, as [`write_head`](Self::write_head) has written them, say that its caller waits so long,
    /// which is no longer than it said. In the bytes that it has: where there is no place among them, they stay as they are.
    fn write_timeout(_frame: &Frame, _written: &mut [u8], _timeout_ms: u32) {}

    /// Writes a call that is made here; `false` if the protocol has nothing to make one of. Fields that its frame has no
    /// room for are left out.
    fn write_call(_call: &NewCall<'_>, _id: u64, _out: &mut Vec<u8>) -> bool {
        false
    }

    /// Writes an answer of the proxy's own to `request`, whose head is `head`, with a status of HTTP's vocabulary.
    fn write_reply(request: &Frame, head: &[u8], status: u16, text: &[u8], out: &mut Vec<u8>);

    /// What [`write_reply`](Self::write_reply) makes of a status of HTTP's vocabulary.
    fn own_status(status: u16) -> i32 {
        i32::from(status)
    }

    /// Writes a heartbeat; `false` if the protocol has none.
    fn write_ping(dialect: u8, id: u64, out: &mut Vec<u8>) -> bool;

    /// Writes the answer to a heartbeat.
    fn write_pong(ping: &Frame, head: &[u8], out: &mut Vec<u8>);

    /// Announces that this side takes no more calls; `false` if the protocol cannot say so.
    fn write_go_away(dialect: u8, id: u64, out: &mut Vec<u8>) -> bool;

    /// How JSON becomes its calls, if it does.
    const BRIDGE: Option<Bridge> = None;

    /// Ids are drawn from so many low bits.
    const ID_BITS: u32;
}
