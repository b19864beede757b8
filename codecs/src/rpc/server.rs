//! The downstream side: decodes calls and encodes their answers, many at a time, in whatever order they come. It answers
//! heartbeats and frames that cannot be read by itself; it may not let a call's own id be lost.

use super::control::ControlQueue;
use super::gather::{BAD_CHECKSUM, Found, Gathered, HeadError, find, gather_cut, read};
use super::incoming::{Incoming, Part, payload_behind};
use super::outgoing::Outgoing;
use super::slots::{MAX_STREAMS, Slots};
use super::{Frame, FrameKind, Layout, PoolMode, RpcHead, ScanLimits};
use crate::carry::Carry;
use crate::codec::{Codec, Control, Event, Grant, InputEnd, ProtocolError, Scratch, StreamId};
use crate::edits::Edits;
use crate::message::{BodyLength, Fields, Method, RequestHead, ResponseHead, Version};
use crate::registry::CodecOptions;
use std::marker::PhantomData;

/// A copy of a head that took more than this gives its memory back when its exchange ends.
const KEPT_HEAD_BYTES: usize = 1024;

/// A downstream connection's codec.
pub(super) struct Server<L> {
    limits: ScanLimits,
    max_fields: u16,
    may_say_go_away: bool,
    carry: Carry,
    incoming: Incoming,
    outgoing: Outgoing,
    exchanges: Slots<Exchange>,
    control: ControlQueue,
    /// Of the latest call; what we say unasked is said in it.
    dialect: u8,
    is_reusable: bool,
    is_closing: bool,
    /// Nor is any call taken any more: the last one that could be answered in its turn was.
    is_over: bool,
    layout: PhantomData<fn() -> L>,
}

/// What an answer needs to know of its call.
#[derive(Default)]
struct Exchange {
    /// Always there while the exchange is under way.
    call: Option<Frame>,
    /// The call's head, where an answer of our own repeats parts of it.
    head: Vec<u8>,
}

impl<L: Layout> Server<L> {
    pub(super) fn new(options: CodecOptions) -> Self {
        let bound = if L::POOL_MODE == PoolMode::PingPong { 1 } else { MAX_STREAMS };
        Server {
            limits: ScanLimits { head_bytes: options.header_bytes, wants_late_fields: options.late_fields },
            max_fields: options.headers,
            may_say_go_away: L::IS_GO_AWAY_KNOWN || options.go_away,
            carry: Carry::default(),
            incoming: Incoming::new(),
            outgoing: Outgoing::default(),
            exchanges: Slots::new(bound),
            control: ControlQueue::default(),
            dialect: 0,
            is_reusable: true,
            is_closing: false,
            is_over: false,
            layout: PhantomData,
        }
    }

    fn decode_head<'s, 'i: 's>(
        &'s mut self,
        scratch: &'s mut Scratch,
        input: &mut &'i [u8],
    ) -> Result<Option<Event<'s>>, ProtocolError> {
        // While there is no room for another call, the next frame waits where it is.
        if self.exchanges.is_full() || self.is_over {
            return Ok(None);
        }
        match find::<L>(&self.carry, input, &self.limits).map_err(|error| self.fail(error))? {
            Found::Here(gathered) => self.take_frame(scratch, gathered, input),
            Found::Cut(wanted) => self.decode_cut_head(scratch, input, wanted),
        }
    }

    /// The same of a head that does not stand in the input as a whole.
    #[cold]
    fn decode_cut_head<'s, 'i: 's>(
        &'s mut self,
        scratch: &'s mut Scratch,
        input: &mut &'i [u8],
        wanted: Option<usize>,
    ) -> Result<Option<Event<'s>>, ProtocolError> {
        let gathered = gather_cut::<L>(&mut self.carry, input, &self.limits, wanted);
        match gathered.map_err(|error| self.fail(error))? {
            Some(gathered) => self.take_frame(scratch, gathered, input),
            None => Ok(None),
        }
    }

    // What is known of the frame stays in registers only as long as this is not a function of its own.
    #[inline(always)]
    fn take_frame<'s, 'i: 's>(
        &'s mut self,
        scratch: &'s mut Scratch,
        gathered: Gathered<'i>,
        input: &mut &'i [u8],
    ) -> Result<Option<Event<'s>>, ProtocolError> {
        if !matches!(gathered.frame.kind, FrameKind::Request | FrameKind::OneWay) {
            return self.take_aside(&gathered).map_err(|error| self.fail(error));
        }
        scratch.spans.clear();
        let bytes = gathered.bytes(&self.carry);
        let told = match read::<L>(&gathered, bytes, input, self.max_fields, &mut scratch.spans) {
            Ok(told) => told,
            Err(error) => return self.refuse(&gathered, error).map_err(|error| self.fail(error)),
        };
        let Gathered { frame, lent, taken_bytes } = gathered;
        let Some(stream) = open_exchange::<L>(&mut self.exchanges, &frame, bytes) else { return Ok(None) };
        self.incoming.tell(stream, &frame, &bytes[..taken_bytes], told.is_checked);
        self.dialect = frame.dialect;
        let bytes = lent.unwrap_or_else(|| self.carry.lend());
        let rpc = RpcHead { frame, seen: bytes, taken_bytes: taken_bytes as u32, call: told.call };
        let fields = Fields::new(bytes, &scratch.spans);
        Ok(Some(Event::Request { stream, head: request_head::<L>(rpc, fields) }))
    }

    /// Deals with a frame that is no call.
    fn take_aside(&mut self, gathered: &Gathered<'_>) -> Result<Option<Event<'static>>, ProtocolError> {
        let frame = &gathered.frame;
        let control = match frame.kind {
            FrameKind::Ping => Control::Ping,
            FrameKind::Pong => Control::Pong,
            FrameKind::GoAway => Control::GoAway,
            FrameKind::Notice => Control::Notice,
            FrameKind::Request | FrameKind::OneWay | FrameKind::Response => {
                return Err(ProtocolError { status: 400, reason: "an answer where calls are expected" });
            }
        };
        if control == Control::Ping {
            let bytes = gathered.bytes(&self.carry);
            self.control.push(|out| L::write_pong(frame, bytes, out))?;
        }
        self.skip(gathered);
        Ok(Some(Event::Control(control)))
    }

    /// Deals with a call that cannot be read: it is answered as soon as an answer may begin.
    fn refuse(
        &mut self,
        gathered: &Gathered<'_>,
        error: HeadError,
    ) -> Result<Option<Event<'static>>, ProtocolError> {
        let frame = &gathered.frame;
        let ProtocolError { status, reason } = match error {
            HeadError::Read(error) => error,
            HeadError::Checksum => BAD_CHECKSUM,
        };
        // Without ids an answer has to come in its turn, which this one would not.
        if L::POOL_MODE == PoolMode::PingPong {
            return Err(ProtocolError { status, reason });
        }
        if frame.kind == FrameKind::Request {
            let bytes = gathered.bytes(&self.carry);
            self.control.push(|out| L::write_reply(frame, bytes, status, reason.as_bytes(), out))?;
        }
        self.skip(gathered);
        Ok(Some(Event::Control(Control::Notice)))
    }

    fn skip(&mut self, gathered: &Gathered<'_>) {
        self.incoming.skip(&gathered.frame, gathered.taken_bytes);
        self.carry.release();
    }

    /// Reads nothing more.
    fn fail(&mut self, error: ProtocolError) -> ProtocolError {
        self.incoming.close();
        self.is_reusable = false;
        self.carry.release();
        error
    }

    fn close_exchange(&mut self, stream: StreamId) {
        if let Some(exchange) = self.exchanges.get_mut(stream)
            && exchange.head.capacity() > KEPT_HEAD_BYTES
        {
            exchange.head = Vec::new();
        }
        self.incoming.forget(stream);
        self.exchanges.close(stream);
        self.is_over |= self.is_closing && L::POOL_MODE == PoolMode::PingPong;
    }
}

/// Opens an exchange for a call whose first bytes are `bytes`.
fn open_exchange<L: Layout>(exchanges: &mut Slots<Exchange>, call: &Frame, bytes: &[u8]) -> Option<StreamId> {
    let (stream, exchange) = exchanges.open()?;
    exchange.call = Some(*call);
    exchange.head.clear();
    if L::REPLY_REPEATS_HEAD {
        exchange.head.extend_from_slice(&bytes[..call.head_bytes as usize]);
    }
    Some(stream)
}

/// A call in the terms of the neutral message.
fn request_head<'a, L: Layout>(rpc: RpcHead<'a>, fields: Fields<'a>) -> RequestHead<'a> {
    RequestHead {
        method: Method::Other(rpc.method()),
        version: Version::Rpc(L::NAME),
        authority: rpc.service(),
        path: b"/",
        authority_overrides_host: false,
        fields,
        body: body_length(&rpc),
        rpc: Some(rpc),
        upgrade: None,
        expects_continue: false,
    }
}

/// How much of a frame follows as data.
pub(super) fn body_length(rpc: &RpcHead<'_>) -> BodyLength {
    match payload_behind(&rpc.frame, rpc.taken_bytes as usize) {
        0 => BodyLength::None,
        length => BodyLength::Sized(length),
    }
}

/// The frame behind a head of this protocol, which alone can be written in it.
pub(super) fn frame_of<'h, 'a, L: Layout>(
    rpc: &'h Option<RpcHead<'a>>,
    version: Version,
) -> Option<&'h RpcHead<'a>> {
    rpc.as_ref().filter(|_| version == Version::Rpc(L::NAME))
}

impl<L: Layout> Codec for Server<L> {
    fn decode<'s, 'i: 's>(
        &'s mut self,
        scratch: &'s mut Scratch,
        input: &mut &'i [u8],
    ) -> Result<Option<Event<'s>>, ProtocolError> {
        self.carry.release_lent();
        let part = self.incoming.next_part(input).map_err(|error| self.fail(error))?;
        match part {
            Some(Part::Data(stream, bytes)) => Ok(Some(Event::Data { stream, bytes })),
            // Of a call that nobody waits for, too: whoever carries it on says when it is over, and until then nothing else
            // may have its name.
            Some(Part::End(stream)) => Ok(Some(Event::End { stream })),
            None if self.incoming.expects_head() => self.decode_head(scratch, input),
            None => Ok(None),
        }
    }

    fn skip_end(&mut self) {
        self.incoming.skip_end();
    }

    fn decode_end(&mut self) -> Result<InputEnd, ProtocolError> {
        self.is_reusable = false;
        if !self.carry.is_empty() || self.incoming.is_within_frame() {
            return Err(ProtocolError { status: 400, reason: "the connection ended within a frame" });
        }
        Ok(InputEnd::Idle)
    }

    fn open(&mut self) -> Option<StreamId> {
        None
    }

    fn encode_request(
        &mut self,
        _: StreamId,
        _: &RequestHead<'_>,
        _: &Edits,
        _: &mut Vec<u8>,
    ) -> Result<(), ProtocolError> {
        Ok(())
    }

    fn encode_response(
        &mut self,
        stream: StreamId,
        head: &ResponseHead<'_>,
        edits: &Edits,
        out: &mut Vec<u8>,
    ) -> Result<(), ProtocolError> {
        let Some(exchange) = self.exchanges.get(stream) else { return Ok(()) };
        let Some(call) = &exchange.call else { return Ok(()) };
        if !self.outgoing.may_begin() {
            return Err(ProtocolError { status: 500, reason: "another answer is under way" });
        }
        let is_open = if let Some(rpc) = frame_of::<L>(&head.rpc, head.version) {
            let begin = out.len();
            L::write_head(&rpc.frame, rpc.taken(), head.fields.spans(), call.id, edits, out)?;
            self.outgoing.begin(stream, rpc, &out[begin..])
        } else {
            L::write_reply(call, &exchange.head, head.status, head.reason, out);
            false
        };
        if !is_open {
            self.close_exchange(stream);
        }
        Ok(())
    }

    fn encode_data(&mut self, stream: StreamId, payload: &[u8], _: &mut Vec<u8>) -> Grant {
        self.outgoing.data(stream, payload)
    }

    fn encode_trailers(&mut self, _: StreamId, _: &Fields<'_>, _: &mut Vec<u8>) {}

    fn encode_end(&mut self, stream: StreamId, out: &mut Vec<u8>) {
        if self.outgoing.end(stream, out) {
            self.close_exchange(stream);
        }
    }

    fn encode_local_reply(
        &mut self,
        stream: Option<StreamId>,
        status: u16,
        _: &[u8],
        body: &[u8],
        out: &mut Vec<u8>,
    ) {
        let Some(stream) = stream else {
            self.is_reusable = false;
            self.incoming.close();
            self.carry.release();
            return;
        };
        let is_cut = self.outgoing.cut(stream);
        if let Some(Exchange { call: Some(call), head }) = self.exchanges.get(stream)
            && call.kind != FrameKind::OneWay
            && !is_cut
        {
            if self.outgoing.may_begin() {
                L::write_reply(call, head, status, body, out);
            } else if self.control.push(|out| L::write_reply(call, head, status, body, out)).is_err() {
                // Nobody takes answers any more, and one that is owed is lost.
                self.is_reusable = false;
            }
        }
        self.close_exchange(stream);
    }

    fn may_begin(&self) -> bool {
        self.outgoing.may_begin()
    }

    fn abandon(&mut self, stream: StreamId) -> bool {
        let Some(Exchange { call, .. }) = self.exchanges.get(stream) else { return true };
        // Without ids the next answer would be taken for this one.
        let is_missed =
            L::POOL_MODE == PoolMode::PingPong && call.is_some_and(|call| call.kind == FrameKind::Request);
        let is_cut = self.outgoing.cut(stream);
        self.is_reusable &= !is_missed;
        self.close_exchange(stream);
        !is_cut && !is_missed
    }

    fn encode_control(&mut self, out: &mut Vec<u8>) {
        if self.outgoing.may_begin() {
            self.control.write(out);
        }
    }

    fn has_control(&self) -> bool {
        !self.control.is_empty()
    }

    fn close_after_current(&mut self) {
        if !std::mem::replace(&mut self.is_closing, true) && self.may_say_go_away {
            let dialect = self.dialect;
            // Without room for it the peer is one that takes no answers, and learns of the end when it comes.
            let _ = self.control.push(|out| _ = L::write_go_away(dialect, 0, out));
        }
    }

    fn is_reusable(&self) -> bool {
        self.is_reusable && !self.is_closing && !self.outgoing.is_cut()
    }

    fn is_idle(&self) -> bool {
        let receives_nothing = self.carry.is_empty() && !self.incoming.is_within_frame();
        receives_nothing && self.exchanges.is_empty() && self.outgoing.may_begin()
    }
}
