//! The contract between a protocol and the data plane. It names no protocol and touches no socket.

use crate::edits::Edits;
use crate::message::{FieldSpan, Fields, RequestHead, ResponseHead};

/// Names one request/response exchange on one connection. HTTP/1 counts its exchanges. Where many are under way at a time,
/// the lower half is a small number, which no other of them has, and the upper half tells it from those that had the number
/// before: so a table finds it without a hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord, Default)]
pub struct StreamId(pub u64);

impl StreamId {
    /// The exchange with the small number `slot`, for the `generation`th time.
    pub fn of_slot(slot: u32, generation: u32) -> Self {
        StreamId(u64::from(generation) << 32 | u64::from(slot))
    }

    /// Its small number.
    pub fn slot(self) -> u32 {
        self.0 as u32
    }

    /// What tells it from others that had its number.
    pub fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// What the peer said. Every message is one head, any number of `Data`, at most one `Trailers`, one `End`.
///
/// `'a` covers the receive buffer, the codec's own holder of a cut head, and the scratch space: an event must be
/// dealt with before the next call.
#[derive(Debug)]
pub enum Event<'a> {
    /// A request begins (server side).
    Request {
        /// The exchange that it opens.
        stream: StreamId,
        /// Lent until the next call.
        head: RequestHead<'a>,
    },
    /// A response begins (client side). A status of 100..=199 other than 101 is interim: another head follows.
    Response {
        /// The exchange that it answers.
        stream: StreamId,
        /// Lent until the next call.
        head: ResponseHead<'a>,
    },
    /// Body bytes, lent from the input given to `decode`: never copied, never empty.
    Data {
        /// The exchange they belong to.
        stream: StreamId,
        /// A range of the input.
        bytes: &'a [u8],
    },
    /// Trailer fields; those that must not be merged or forwarded are already marked hop-by-hop.
    Trailers {
        /// The exchange they belong to.
        stream: StreamId,
        /// Lent until the next call.
        fields: Fields<'a>,
    },
    /// The message is whole.
    End {
        /// The exchange it belongs to.
        stream: StreamId,
    },
    /// The peer gave up on this exchange alone (never on HTTP/1).
    Reset {
        /// The exchange given up.
        stream: StreamId,
    },
    /// Something came that concerns the connection alone: [`Codec::encode_control`] may have an answer to it, and
    /// [`Codec::is_reusable`] may say something else than before.
    Control(Control),
    /// An answer to an exchange that is not under way, or no longer: it is skipped.
    Stray,
}

/// What a message is for that concerns a connection alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Control {
    /// A heartbeat of the peer's.
    Ping,
    /// The answer to ours.
    Pong,
    /// The peer takes no more exchanges on this connection.
    GoAway,
    /// Something else that needs no answer.
    Notice,
}

/// How many of the announced payload bytes may follow the framing just written, and what must follow them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grant {
    /// At most what was asked for; less where the protocol's flow control says so.
    pub allowed: usize,
    /// Framing that must be sent right behind the payload (chunked coding's CRLF); usually empty.
    pub suffix: &'static [u8],
}

/// What the end of the peer's byte stream (FIN) meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InputEnd {
    /// Nothing was under way: a clean end between messages.
    Idle,
    /// A message delimited by the end of the connection is now whole (RFC 9112 section 6.3, case 8), or a tunnel's
    /// side has ended.
    Message(StreamId),
}

/// Bytes that break the protocol, with the status the internal vocabulary (HTTP's) has for them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{reason} (status {status})")]
pub struct ProtocolError {
    /// What a server answers: 400, 413, 414, 417, 431, 501, 505. A client side maps every one to 502.
    pub status: u16,
    /// What was wrong, for the log and the local reply's body.
    pub reason: &'static str,
}

/// Space that all codecs of one core share while they decode one event, so that an idle connection holds none.
#[derive(Default, Debug)]
pub struct Scratch {
    /// The fields of the head or trailers now lent out.
    pub spans: Vec<FieldSpan>,
}

/// One side of one connection. A server codec decodes requests and encodes responses, a client codec the reverse.
pub trait Codec {
    /// Takes what it can from the front of `input` and tells the next event.
    ///
    /// `Ok(None)` with input left over means that the codec will not look at it before the exchange under way has
    /// ended (a pipelined request, bytes behind an Upgrade): keep it and call again then. `Ok(None)` with nothing
    /// left means that more bytes are needed. After an error the connection must not be read again.
    ///
    /// A tunnel (101 to an Upgrade, 2xx to CONNECT) goes on under its exchange's stream: once its opening head was
    /// decoded or encoded, every byte is `Data`, and only [`decode_end`](Self::decode_end) ends it. No `End` follows.
    fn decode<'s, 'i: 's>(
        &'s mut self,
        scratch: &'s mut Scratch,
        input: &mut &'i [u8],
    ) -> Result<Option<Event<'s>>, ProtocolError>;

    /// The head told last was all of its message ([`RpcHead::is_whole`](crate::rpc::RpcHead::is_whole)), so that its `End` is all
    /// that can come next: it need not be told.
    fn skip_end(&mut self) {}

    /// The peer ended its byte stream. An error means that a message was cut short.
    fn decode_end(&mut self) -> Result<InputEnd, ProtocolError>;

    /// Client side: names a new outgoing exchange, or `None` at the concurrency the connection allows.
    fn open(&mut self) -> Option<StreamId>;

    /// Client side: writes a request head as `edits` change it. One that is all of its message ends it, and
    /// [`encode_end`](Self::encode_end) has nothing to add. An error, with the status to answer, means that the protocol
    /// cannot say this head; then nothing was written, and the exchange is to be given up ([`abandon`](Self::abandon)).
    fn encode_request(
        &mut self,
        stream: StreamId,
        head: &RequestHead<'_>,
        edits: &Edits,
        out: &mut Vec<u8>,
    ) -> Result<(), ProtocolError>;

    /// Server side: writes a response head as `edits` change it. Interim heads (1xx) may precede the final one. Errors are
    /// those of [`encode_request`](Self::encode_request); a local reply is still possible.
    fn encode_response(
        &mut self,
        stream: StreamId,
        head: &ResponseHead<'_>,
        edits: &Edits,
        out: &mut Vec<u8>,
    ) -> Result<(), ProtocolError>;

    /// Writes the framing before `payload`, which is not empty, and grants how much of it may follow. It is only looked at
    /// where the protocol has a checksum; the caller sends it.
    fn encode_data(&mut self, stream: StreamId, payload: &[u8], out: &mut Vec<u8>) -> Grant;

    /// Writes trailers where the framing has room for them (chunked coding), else nothing. `encode_end` follows.
    fn encode_trailers(&mut self, stream: StreamId, fields: &Fields<'_>, out: &mut Vec<u8>);

    /// Ends the outgoing message, unless its head was all of it.
    fn encode_end(&mut self, stream: StreamId, out: &mut Vec<u8>);

    /// Server side: a whole answer of the proxy's own, with `body` as text/plain, in the protocol's terms.
    /// `stream` is `None` when the request could not be understood. `extra` are complete header lines (`a: b\r\n`).
    fn encode_local_reply(
        &mut self,
        stream: Option<StreamId>,
        status: u16,
        extra: &[u8],
        body: &[u8],
        out: &mut Vec<u8>,
    );

    /// Whether a message may begin now: where messages cannot be interleaved, none is under way on the outgoing side.
    fn may_begin(&self) -> bool {
        self.is_idle()
    }

    /// Gives up on an exchange from our side: nothing more of it is told, and its name is free for another one. That is how
    /// the exchange of a call without an answer ends, too: downstream it lasts until then, however early its call is whole. Tells
    /// whether the connection can go on: not if a message of the exchange is under way on the outgoing side.
    fn abandon(&mut self, _stream: StreamId) -> bool {
        false
    }

    /// Writes what the connection itself has to say: answers to heartbeats, its own end. It may only be called while
    /// [`may_begin`](Self::may_begin) says so.
    fn encode_control(&mut self, _out: &mut Vec<u8>) {}

    /// Whether [`encode_control`](Self::encode_control) has something to write.
    fn has_control(&self) -> bool {
        false
    }

    /// Client side: writes a heartbeat, as [`encode_control`](Self::encode_control); `false` if the protocol has none.
    fn encode_ping(&mut self, _out: &mut Vec<u8>) -> bool {
        false
    }

    /// The outgoing side announces from now on that this connection ends (`Connection: close`, GOAWAY).
    fn close_after_current(&mut self);

    /// Whether another exchange may follow once the one under way has ended on both sides.
    fn is_reusable(&self) -> bool;

    /// Whether no message is under way in either direction.
    fn is_idle(&self) -> bool;

    /// Whether the peer has begun a message of many on the connection, and not ended it.
    fn is_within_frame(&self) -> bool {
        false
    }

    /// How many body bytes of the message being received are still to come as plain bytes, if that is known and the
    /// bytes carry no framing: what the kernel may relay unseen. `u64::MAX` for a tunnel. `None` if not relayable, as
    /// nothing is of a protocol that does not say otherwise.
    fn relayable_in(&self) -> Option<u64> {
        None
    }

    /// Whether payload may be sent without any framing, so that the kernel may relay into this side.
    fn relayable_out(&self) -> bool {
        false
    }

    /// `length` body bytes of the message being received went by without being decoded; may make `End` due.
    fn skip_in(&mut self, _length: u64) {}

    /// `length` payload bytes were sent without `encode_data`.
    fn skip_out(&mut self, _length: u64) {}
}
