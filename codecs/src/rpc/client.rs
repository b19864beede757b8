//! The upstream side: encodes calls and decodes their answers, many at a time, in whatever order they come. It numbers calls
//! anew, so that calls of many clients share a connection; it may not take an answer for one to another call.

use super::control::ControlQueue;
use super::gather::{Found, Gathered, HeadError, find, gather_cut, read};
use super::incoming::{Incoming, Part};
use super::outgoing::Outgoing;
use super::server::{body_length, frame_of};
use super::slots::{MAX_STREAMS, SLOT_BITS, Slots};
use super::{FrameKind, Layout, PoolMode, RpcHead, ScanLimits};
use crate::carry::Carry;
use crate::codec::{Codec, Control, Event, Grant, InputEnd, ProtocolError, Scratch, StreamId};
use crate::edits::Edits;
use crate::message::{Fields, RequestHead, ResponseHead, Version};
use crate::registry::CodecOptions;
use std::marker::PhantomData;

/// At most this many calls are under way on one upstream connection.
pub const MAX_UPSTREAM_CALLS: usize = MAX_STREAMS - 1;
/// The last slot is never a call's: heartbeats have it.
const PING_SLOT: u32 = MAX_UPSTREAM_CALLS as u32;

/// An upstream connection's codec.
pub(super) struct Client<L> {
    limits: ScanLimits,
    max_fields: u16,
    carry: Carry,
    incoming: Incoming,
    outgoing: Outgoing,
    exchanges: Slots<Exchange>,
    control: ControlQueue,
    /// Of the latest call; what we say unasked is said in it.
    dialect: u8,
    /// Heartbeats sent, so that their ids differ, and how many of them are not answered.
    pings: u32,
    unanswered_pings: u32,
    is_reusable: bool,
    layout: PhantomData<fn() -> L>,
}

/// How far a call and its answer are.
#[derive(Default, Clone, Copy)]
struct Exchange {
    call: Call,
    answer: Answer,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Call {
    /// Nothing of it was written.
    #[default]
    Opened,
    Begun {
        is_one_way: bool,
    },
    Ended,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Answer {
    #[default]
    Awaited,
    Begun,
    Ended,
}

impl<L: Layout> Client<L> {
    pub(super) fn new(options: CodecOptions) -> Self {
        let bound = if L::POOL_MODE == PoolMode::PingPong { 1 } else { MAX_UPSTREAM_CALLS };
        Client {
            limits: ScanLimits { head_bytes: options.header_bytes, wants_late_fields: options.late_fields },
            max_fields: options.headers,
            carry: Carry::default(),
            incoming: Incoming::new(),
            outgoing: Outgoing::default(),
            exchanges: Slots::new(bound),
            control: ControlQueue::default(),
            dialect: 0,
            pings: 0,
            unanswered_pings: 0,
            is_reusable: true,
            layout: PhantomData,
        }
    }

    fn decode_head<'s, 'i: 's>(
        &'s mut self,
        scratch: &'s mut Scratch,
        input: &mut &'i [u8],
    ) -> Result<Option<Event<'s>>, ProtocolError> {
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
        let Some(stream) = self.begin_answer(&gathered) else {
            return self.take_aside(&gathered).map_err(|error| self.fail(error));
        };
        scratch.spans.clear();
        let bytes = gathered.bytes(&self.carry);
        let told = match read::<L>(&gathered, bytes, input, self.max_fields, &mut scratch.spans) {
            Ok(told) => told,
            // Its id may be wrong as well: nobody knows whose answer is missing.
            Err(HeadError::Checksum) => return Err(self.fail(super::gather::BAD_CHECKSUM)),
            Err(HeadError::Read(_)) => {
                self.skip(&gathered);
                self.end_answer(stream);
                return Ok(Some(Event::Reset { stream }));
            }
        };
        let Gathered { frame, lent, taken_bytes } = gathered;
        self.incoming.tell(stream, &frame, &bytes[..taken_bytes], told.is_checked);
        let bytes = lent.unwrap_or_else(|| self.carry.lend());
        let rpc = RpcHead { frame, seen: bytes, taken_bytes: taken_bytes as u32, call: told.call };
        let head = ResponseHead {
            status: frame.status,
            version: Version::Rpc(L::NAME),
            reason: b"",
            fields: Fields::new(bytes, &scratch.spans),
            body: body_length(&rpc),
            rpc: Some(rpc),
        };
        Ok(Some(Event::Response { stream, head }))
    }

    /// The exchange that a frame answers, if it is one that still waits for its answer, which begins with that.
    #[inline]
    fn begin_answer(&mut self, gathered: &Gathered<'_>) -> Option<StreamId> {
        let frame = &gathered.frame;
        if frame.kind != FrameKind::Response {
            return None;
        }
        let slot = if L::POOL_MODE == PoolMode::PingPong { 0 } else { slot_of(frame.id) };
        let (stream, exchange) = self.exchanges.of_slot(slot)?;
        let is_its_own = L::POOL_MODE == PoolMode::PingPong || wire_id::<L>(stream) == frame.id;
        let waits = match exchange.call {
            Call::Opened | Call::Begun { is_one_way: true } => false,
            Call::Begun { .. } | Call::Ended => exchange.answer == Answer::Awaited,
        };
        if !is_its_own || !waits {
            return None;
        }
        exchange.answer = Answer::Begun;
        Some(stream)
    }

    /// Deals with a frame that answers no call under way.
    fn take_aside(&mut self, gathered: &Gathered<'_>) -> Result<Option<Event<'static>>, ProtocolError> {
        let frame = &gathered.frame;
        let bytes = gathered.bytes(&self.carry);
        let is_pong = self.unanswered_pings > 0 && slot_of(frame.id) == PING_SLOT;
        let event = match frame.kind {
            // Tars' heartbeats are calls of their kind and have answers of theirs.
            FrameKind::Pong | FrameKind::Response if is_pong => {
                self.unanswered_pings -= 1;
                Event::Control(Control::Pong)
            }
            FrameKind::Ping => {
                self.control.push(|out| L::write_pong(frame, bytes, out))?;
                Event::Control(Control::Ping)
            }
            FrameKind::GoAway => {
                self.is_reusable = false;
                Event::Control(Control::GoAway)
            }
            FrameKind::Notice => Event::Control(Control::Notice),
            // Without ids, nothing that comes later could be trusted to be the answer to what is asked then.
            _ if L::POOL_MODE == PoolMode::PingPong => {
                return Err(ProtocolError { status: 502, reason: "a frame that nobody asked for" });
            }
            FrameKind::Response | FrameKind::Pong => Event::Stray,
            // Servers of bolt and Dubbo call back. Behind a proxy there is nobody to be called.
            FrameKind::Request => {
                let reason = b"this connection takes no calls from its server";
                self.control.push(|out| L::write_reply(frame, bytes, 501, reason, out))?;
                Event::Control(Control::Notice)
            }
            FrameKind::OneWay => Event::Control(Control::Notice),
        };
        self.skip(gathered);
        Ok(Some(event))
    }

    fn skip(&mut self, gathered: &Gathered<'_>) {
        self.incoming.skip(&gathered.frame, gathered.taken_bytes);
        self.carry.release();
    }

    /// Reads nothing more. Whoever failed to answer properly is a bad gateway, whatever the rule broken.
    fn fail(&mut self, error: ProtocolError) -> ProtocolError {
        self.incoming.close();
        self.is_reusable = false;
        self.carry.release();
        ProtocolError { status: 502, ..error }
    }

    /// All of a call was written; its exchange ends when its answer has, too, if it gets any.
    fn end_call(&mut self, stream: StreamId) {
        let Some(exchange) = self.exchanges.get_mut(stream) else { return };
        let is_over = exchange.answer == Answer::Ended || exchange.call == Call::Begun { is_one_way: true };
        exchange.call = Call::Ended;
        if is_over {
            self.exchanges.close(stream);
        }
    }

    /// Nothing more comes for this exchange; it ends when its call has, too.
    fn end_answer(&mut self, stream: StreamId) {
        if let Some(exchange) = self.exchanges.get_mut(stream) {
            exchange.answer = Answer::Ended;
            if exchange.call == Call::Ended {
                self.exchanges.close(stream);
            }
        }
    }
}

/// The id that a call goes out with: its slot, and above it as much of its generation as the protocol's ids have room for.
fn wire_id<L: Layout>(stream: StreamId) -> u64 {
    (u64::from(stream.generation()) << SLOT_BITS | u64::from(stream.slot())) & id_mask::<L>()
}

fn id_mask<L: Layout>() -> u64 {
    u64::MAX >> (64 - L::ID_BITS)
}

fn slot_of(id: u64) -> u32 {
    (id & ((1 << SLOT_BITS) - 1)) as u32
}

impl<L: Layout> Codec for Client<L> {
    fn decode<'s, 'i: 's>(
        &'s mut self,
        scratch: &'s mut Scratch,
        input: &mut &'i [u8],
    ) -> Result<Option<Event<'s>>, ProtocolError> {
        self.carry.release_lent();
        let part = self.incoming.next_part(input).map_err(|error| self.fail(error))?;
        match part {
            Some(Part::Data(stream, bytes)) => Ok(Some(Event::Data { stream, bytes })),
            Some(Part::End(stream)) => {
                self.end_answer(stream);
                Ok(Some(Event::End { stream }))
            }
            None if self.incoming.expects_head() => self.decode_head(scratch, input),
            None => Ok(None),
        }
    }

    fn skip_end(&mut self) {
        if let Some(stream) = self.incoming.skip_end() {
            self.end_answer(stream);
        }
    }

    fn decode_end(&mut self) -> Result<InputEnd, ProtocolError> {
        self.is_reusable = false;
        if !self.carry.is_empty() || self.incoming.is_within_frame() {
            return Err(ProtocolError { status: 502, reason: "the connection ended within a frame" });
        }
        Ok(InputEnd::Idle)
    }

    fn open(&mut self) -> Option<StreamId> {
        if !self.is_reusable() {
            return None;
        }
        let (stream, exchange) = self.exchanges.open()?;
        *exchange = Exchange::default();
        Some(stream)
    }

    /// Only calls of this protocol can be sent: 501 for others.
    fn encode_request(
        &mut self,
        stream: StreamId,
        head: &RequestHead<'_>,
        edits: &Edits,
        out: &mut Vec<u8>,
    ) -> Result<(), ProtocolError> {
        let Some(rpc) = frame_of::<L>(&head.rpc, head.version) else {
            return Err(ProtocolError { status: 501, reason: "the upstream speaks another protocol" });
        };
        let may_begin = self.outgoing.may_begin();
        let Some(exchange) = self.exchanges.get_mut(stream).filter(|exchange| exchange.call == Call::Opened)
        else {
            return Ok(());
        };
        if !may_begin {
            return Err(ProtocolError { status: 500, reason: "another call is under way" });
        }
        let begin = out.len();
        L::write_head(&rpc.frame, rpc.taken(), head.fields.spans(), wire_id::<L>(stream), edits, out)?;
        if let Some(timeout_ms) = edits.timeout_ms() {
            L::write_timeout(&rpc.frame, &mut out[begin..], timeout_ms);
        }
        self.dialect = rpc.frame.dialect;
        exchange.call = Call::Begun { is_one_way: rpc.is_one_way() };
        if !self.outgoing.begin(stream, rpc, &out[begin..]) {
            self.end_call(stream);
        }
        Ok(())
    }

    fn encode_response(
        &mut self,
        _: StreamId,
        _: &ResponseHead<'_>,
        _: &Edits,
        _: &mut Vec<u8>,
    ) -> Result<(), ProtocolError> {
        Ok(())
    }

    fn encode_data(&mut self, stream: StreamId, payload: &[u8], _: &mut Vec<u8>) -> Grant {
        self.outgoing.data(stream, payload)
    }

    fn encode_trailers(&mut self, _: StreamId, _: &Fields<'_>, _: &mut Vec<u8>) {}

    fn encode_end(&mut self, stream: StreamId, out: &mut Vec<u8>) {
        if self.outgoing.end(stream, out) {
            self.end_call(stream);
        }
    }

    fn encode_local_reply(&mut self, _: Option<StreamId>, _: u16, _: &[u8], _: &[u8], _: &mut Vec<u8>) {}

    fn may_begin(&self) -> bool {
        self.outgoing.may_begin()
    }

    fn abandon(&mut self, stream: StreamId) -> bool {
        let Some(exchange) = self.exchanges.get(stream) else { return true };
        let is_cut = self.outgoing.cut(stream);
        // Without ids a late answer would be taken for the next one.
        let is_mistakable = L::POOL_MODE == PoolMode::PingPong && exchange.call != Call::Opened;
        self.is_reusable &= !is_mistakable;
        self.incoming.forget(stream);
        self.exchanges.close(stream);
        !is_cut && !is_mistakable
    }

    fn encode_control(&mut self, out: &mut Vec<u8>) {
        if self.outgoing.may_begin() {
            self.control.write(out);
        }
    }

    fn has_control(&self) -> bool {
        !self.control.is_empty()
    }

    fn encode_ping(&mut self, out: &mut Vec<u8>) -> bool {
        let ping = StreamId::of_slot(PING_SLOT, self.pings.wrapping_add(1));
        let is_written = self.may_begin() && L::write_ping(self.dialect, wire_id::<L>(ping), out);
        if is_written {
            self.pings = self.pings.wrapping_add(1);
            self.unanswered_pings = self.unanswered_pings.saturating_add(1);
        }
        is_written
    }

    fn close_after_current(&mut self) {
        self.is_reusable = false;
    }

    fn is_reusable(&self) -> bool {
        self.is_reusable && !self.outgoing.is_cut()
    }

    fn is_idle(&self) -> bool {
        !self.is_within_frame() && self.exchanges.is_empty() && self.outgoing.may_begin()
    }

    fn is_within_frame(&self) -> bool {
        !self.carry.is_empty() || self.incoming.is_within_frame()
    }
}
