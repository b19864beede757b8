//! Connections of the protocols of framed calls, any bytes in any pieces: the same is told and passed on, what is passed on is
//! the same frame to another codec, the answers of the codec's own are frames, and nothing is told after an error.

use crate::control::{Control, Cuts};
use crate::rpc_calls::{answer, call, odd};
use sidering_codecs::bolt::Bolt;
use sidering_codecs::dubbo::Dubbo;
use sidering_codecs::dubbo_thrift::DubboThrift;
use sidering_codecs::registry::CodecOptions;
use sidering_codecs::rpc::{self, FrameKind, Layout, MAX_CONTROL_BYTES, RpcHead, Scan, ScanLimits};
use sidering_codecs::tars::Tars;
use sidering_codecs::thrift::Thrift;
use sidering_codecs::{Codec, Edits, Event, Fields, Scratch, StreamId};

/// Wide enough for whatever was let in.
const WIDE: ScanLimits = ScanLimits { head_bytes: 128 * 1024, wants_late_fields: false };

/// The protocol, the side and the options; how many calls are under way; cuts; then the wire's bytes.
pub fn run(input: &[u8]) {
    let mut control = Control::new(input);
    let choice = control.byte();
    match choice & 7 {
        0 | 5 => hold::<Bolt>(choice, control),
        1 | 6 => hold::<Dubbo>(choice, control),
        2 | 7 => hold::<Tars>(choice, control),
        3 => hold::<DubboThrift>(choice, control),
        _ => hold::<Thrift>(choice, control),
    }
}

/// What was told, without data: where that is cut means nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Told {
    Call { stream: StreamId, method: Vec<u8>, service: Vec<u8>, fields: Vec<(Vec<u8>, Vec<u8>)> },
    Answer { stream: StreamId, status: u16 },
    End(StreamId),
    Other(String),
    Refused(&'static str),
}

/// A frame that is passed on.
struct Passing {
    stream: StreamId,
    begin: usize,
    kind: FrameKind,
    payload: Vec<u8>,
}

/// A proxy of two codecs; `near` reads the input.
struct Conversation {
    near: Box<dyn Codec>,
    beyond: Beyond,
    control: Vec<u8>,
}

/// What happens with what is told.
struct Beyond {
    far: Box<dyn Codec>,
    is_server: bool,
    /// Streams of `near` and those of `far` that go with them.
    pairs: Vec<(StreamId, StreamId)>,
    told: Vec<Told>,
    out: Vec<u8>,
    passing: Option<Passing>,
    passed: Vec<Vec<u8>>,
}

fn hold<L: Layout>(choice: u8, mut control: Control<'_>) {
    let calls = control.byte() & 15;
    let cuts = control.cuts();
    let bytes = control.rest();
    let single = Cuts::single_bytes();
    let begin = || Conversation::begin::<L>(choice, calls);
    let whole = begin().hear::<L>(&[bytes]);
    for cuts in [&cuts, &single] {
        let cut = begin().hear::<L>(&cuts.pieces(bytes));
        compare(&whole, &cut);
    }
}

/// In pieces a head may be told later, and an error, too: then the end of the input is one.
fn compare(whole: &(Conversation, bool), cut: &(Conversation, bool)) {
    let ((whole, ends_well), (cut, cut_ends_well)) = (whole, cut);
    let ((whole, said), (cut, cut_said)) = ((&whole.beyond, whole), (&cut.beyond, cut));
    // A frame that is there whole is not told if its checksum is wrong, in pieces it is, and an error then.
    if cut.told.last() == Some(&Told::Refused("the checksum of a frame is wrong")) {
        return;
    }
    let refused = |told: &[Told]| matches!(told.last(), Some(Told::Refused(_)));
    let count = cut.told.len() - usize::from(refused(&cut.told));
    assert!(count <= whole.told.len(), "in pieces more is told: {:?}, {:?}", cut.told, whole.told);
    assert_eq!(cut.told[..count], whole.told[..count], "in pieces something else is told");
    let shared = cut.passed.len().min(whole.passed.len());
    assert_eq!(cut.passed[..shared], whole.passed[..shared], "in pieces something else is passed on");
    if refused(&whole.told) {
        assert!(!cut_ends_well, "in pieces a broken frame passes for a clean end");
        return;
    }
    assert!(!refused(&cut.told), "in pieces it is refused: {:?}", cut.told);
    assert_eq!(ends_well, cut_ends_well, "what the end means");
    if *ends_well {
        assert_eq!(cut.told, whole.told);
        assert_eq!(cut.passed, whole.passed);
        assert_eq!(cut_said.control, said.control);
        assert_eq!(cut_said.near.is_idle(), said.near.is_idle());
    }
}

impl Conversation {
    fn begin<L: Layout>(choice: u8, calls: u8) -> Self {
        let low = choice & 0x10 != 0;
        let options = CodecOptions {
            header_bytes: if low { 128 } else { 64 * 1024 },
            headers: if low { 3 } else { 100 },
            late_fields: choice & 0x20 != 0,
            ..CodecOptions::DEFAULT
        };
        let is_server = choice & 8 == 0;
        let (near, far) = if is_server {
            (rpc::server::<L>(options), rpc::client::<L>(options))
        } else {
            (rpc::client::<L>(options), rpc::server::<L>(CodecOptions::DEFAULT))
        };
        let beyond = Beyond {
            far,
            is_server,
            pairs: vec![],
            told: vec![],
            out: vec![],
            passing: None,
            passed: vec![],
        };
        let mut conversation = Conversation { near, beyond, control: vec![] };
        if !is_server {
            (0..calls).for_each(|id| conversation.send_call::<L>(id));
        }
        conversation
    }

    /// Sends a call whose answer may then come.
    fn send_call<L: Layout>(&mut self, id: u8) {
        let call = call(L::NAME, id);
        let (mut input, mut scratch, mut out) = (call.as_slice(), Scratch::default(), Vec::new());
        let mut pair = None;
        while let Ok(Some(event)) = self.beyond.far.decode(&mut scratch, &mut input) {
            match (event, pair) {
                (Event::Request { stream, head }, _) => {
                    pair = self.near.open().map(|opened| (opened, stream));
                    let Some((opened, _)) = pair else { continue };
                    let encoded = self.near.encode_request(opened, &head, &Edits::default(), &mut out);
                    encoded.expect("unchanged it fits");
                }
                (Event::Data { bytes, .. }, Some((opened, _))) => {
                    self.near.encode_data(opened, bytes, &mut out);
                }
                (Event::End { .. }, Some((opened, _))) => self.near.encode_end(opened, &mut out),
                _ => {}
            }
        }
        self.beyond.pairs.extend(pair);
    }

    /// Hears all of it, and tells whether its end is a clean one.
    fn hear<L: Layout>(mut self, pieces: &[&[u8]]) -> (Self, bool) {
        let mut scratch = Scratch::default();
        for piece in pieces {
            // In a buffer of its own, so that nothing behind it is read unnoticed.
            let buffer = piece.to_vec();
            let mut input = buffer.as_slice();
            loop {
                match self.near.decode(&mut scratch, &mut input) {
                    Ok(Some(event)) => self.beyond.take::<L>(event),
                    Ok(None) => break,
                    Err(error) => {
                        self.beyond.told.push(Told::Refused(error.reason));
                        assert!(!self.near.is_reusable());
                        return (self, false);
                    }
                }
                self.answer::<L>();
            }
            assert!(input.is_empty(), "bytes are left though every call is answered");
        }
        let ends_well = self.near.decode_end().is_ok();
        (self, ends_well)
    }

    /// Answers a call that was told to its end; takes what the codec has to say itself.
    fn answer<L: Layout>(&mut self) {
        if let (true, Some(&Told::End(stream))) = (self.beyond.is_server, self.beyond.told.last()) {
            let mut reply = Vec::new();
            self.near.encode_local_reply(Some(stream), 503, b"", b"text", &mut reply);
            each_frame::<L>(&reply, |kind| assert_eq!(kind, FrameKind::Response));
            let far = self.beyond.far_of(stream);
            if !self.beyond.far.abandon(far) {
                self.beyond.far = rpc::client::<L>(CodecOptions::DEFAULT);
            }
        }
        if self.near.has_control() {
            let before = self.control.len();
            self.near.encode_control(&mut self.control);
            assert!(self.control.len() - before <= MAX_CONTROL_BYTES);
            each_frame::<L>(&self.control[before..], |kind| {
                assert!(matches!(kind, FrameKind::Pong | FrameKind::Response), "{kind:?}");
            });
        }
    }
}

impl Beyond {
    fn take<L: Layout>(&mut self, event: Event<'_>) {
        match event {
            Event::Request { stream, head } => {
                let rpc = head.rpc.expect("a call has a frame");
                let (method, service) = (rpc.method().to_vec(), rpc.service().to_vec());
                self.told.push(Told::Call { stream, method, service, fields: fields_of(&head.fields) });
                let opened = self.far.open().expect("no more than one is under way");
                self.pairs.push((stream, opened));
                self.passing = Some(Passing::of(stream, self.out.len(), &rpc));
                let encoded = self.far.encode_request(opened, &head, &Edits::default(), &mut self.out);
                encoded.expect("unchanged it fits");
            }
            Event::Response { stream, head } => {
                let rpc = head.rpc.expect("an answer has a frame");
                self.told.push(Told::Answer { stream, status: head.status });
                let far = self.far_of(stream);
                self.passing = Some(Passing::of(stream, self.out.len(), &rpc));
                let encoded = self.far.encode_response(far, &head, &Edits::default(), &mut self.out);
                encoded.expect("unchanged it fits");
            }
            Event::Data { stream, bytes } => {
                assert!(!bytes.is_empty());
                let far = self.far_of(stream);
                let grant = self.far.encode_data(far, bytes, &mut self.out);
                assert_eq!(grant.allowed, bytes.len(), "more data than was announced");
                self.out.extend_from_slice(bytes);
                let passing = self.passing.as_mut().expect("data follow a head");
                assert_eq!(passing.stream, stream);
                passing.payload.extend_from_slice(bytes);
            }
            Event::End { stream } => {
                self.told.push(Told::End(stream));
                let far = self.far_of(stream);
                self.far.encode_end(far, &mut self.out);
                let passing = self.passing.take().expect("an end follows a head");
                passing.check::<L>(&self.out, self.is_server);
                self.passed.push(self.out[passing.begin..].to_vec());
            }
            other @ (Event::Control(_) | Event::Stray | Event::Reset { .. }) => {
                self.told.push(Told::Other(format!("{other:?}")));
            }
            other @ Event::Trailers { .. } => panic!("{other:?}"),
        }
    }

    fn far_of(&self, near: StreamId) -> StreamId {
        let pair = self.pairs.iter().rev().find(|(stream, _)| *stream == near);
        pair.unwrap_or_else(|| panic!("{near:?} is no exchange under way")).1
    }
}

impl Passing {
    fn of(stream: StreamId, begin: usize, rpc: &RpcHead<'_>) -> Self {
        let payload = rpc.taken()[rpc.frame.head_bytes as usize..].to_vec();
        Passing { stream, begin, kind: rpc.frame.kind, payload }
    }

    /// What was written is one frame of the kind and with the payload that came, and a codec takes it.
    fn check<L: Layout>(&self, out: &[u8], is_call: bool) {
        let frame = &out[self.begin..];
        let Ok(Scan::Frame(outline)) = L::scan(frame, &WIDE) else { panic!("no frame: {frame:?}") };
        assert_eq!((outline.kind, outline.total_bytes()), (self.kind, frame.len() as u64));
        let head = outline.head_bytes as usize;
        assert_eq!(frame[head..head + outline.payload_bytes as usize], self.payload);
        if is_call {
            let options = CodecOptions { header_bytes: WIDE.head_bytes, ..CodecOptions::DEFAULT };
            let mut again = rpc::server::<L>(options);
            let (mut scratch, mut input) = (Scratch::default(), frame);
            let told = again.decode(&mut scratch, &mut input);
            assert!(matches!(told, Ok(Some(Event::Request { .. }))), "{told:?}: {frame:?}");
        }
    }
}

fn fields_of(fields: &Fields<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    fields.iter().map(|field| (field.name.to_vec(), field.value.to_vec())).collect()
}

/// All of these are whole frames.
fn each_frame<L: Layout>(mut bytes: &[u8], check: impl Fn(FrameKind)) {
    while !bytes.is_empty() {
        let Ok(Scan::Frame(frame)) = L::scan(bytes, &WIDE) else { panic!("no frame: {bytes:?}") };
        check(frame.kind);
        bytes = &bytes[frame.total_bytes() as usize..];
    }
}

/// Inputs to begin with: calls and answers of every protocol, both sides.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (index, name) in ["bolt", "dubbo", "tars", "dubbo_thrift", "thrift"].iter().enumerate() {
        let calls: Vec<u8> = (0..3).flat_map(|id| call(name, id)).collect();
        let answers: Vec<u8> = [1, 0, 2].into_iter().flat_map(|slot| answer(name, slot)).collect();
        for (side, wire) in [(0u8, &calls), (8, &answers)] {
            for options in [0u8, 0x10, 0x20] {
                all.push([&[index as u8 | side | options, 3, 2, 7, 30][..], wire].concat());
            }
        }
    }
    all.extend(odd().into_iter().map(|(index, wire)| [&[index, 3, 1, 50][..], &wire].concat()));
    all
}
