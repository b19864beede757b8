//! A proxy of two codecs back to back, as the data plane joins them, and what it says.

use crate::support::golden;
use sidering_codecs::registry::{CodecOptions, protocol};
use sidering_codecs::{Codec, Control, Edits, Event, Scratch, StreamId};
use std::collections::{HashMap, HashSet};

/// What a codec said, in words of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Said {
    Request { stream: StreamId, service: String, method: String, fields: usize, one_way: bool },
    Response { stream: StreamId, status: u16 },
    Data { stream: StreamId, bytes: Vec<u8> },
    End { stream: StreamId },
    Reset { stream: StreamId },
    Control(Control),
    Stray,
    Refused(u16),
}

/// A protocol's titles in the golden frames and its name in the registry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) title: &'static str,
    pub(crate) protocol: &'static str,
}

/// Those whose calls have ids.
pub(crate) const KINDS: [Kind; 5] = [
    Kind { title: "bolt", protocol: "bolt" },
    Kind { title: "boltv2", protocol: "bolt" },
    Kind { title: "dubbo", protocol: "dubbo" },
    Kind { title: "tars", protocol: "tars" },
    Kind { title: "dubbo-thrift", protocol: "dubbo_thrift" },
];

pub(crate) const BOLT: Kind = KINDS[0];
pub(crate) const BOLT_V2: Kind = KINDS[1];
pub(crate) const DUBBO: Kind = KINDS[2];
pub(crate) const TARS: Kind = KINDS[3];
pub(crate) const DUBBO_THRIFT: Kind = KINDS[4];

impl Kind {
    pub(crate) fn request(self) -> Vec<u8> {
        golden(&format!("{} request", self.title))
    }

    pub(crate) fn response(self) -> Vec<u8> {
        golden(&format!("{} response", self.title))
    }

    pub(crate) fn server(self) -> Box<dyn Codec> {
        self.server_with(CodecOptions::default())
    }

    pub(crate) fn server_with(self, options: CodecOptions) -> Box<dyn Codec> {
        (protocol(self.protocol).expect("registered").server)(options)
    }

    pub(crate) fn client(self) -> Box<dyn Codec> {
        (protocol(self.protocol).expect("registered").client)(CodecOptions::default())
    }
}

pub(crate) fn said(event: &Event<'_>) -> Said {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match event {
        Event::Request { stream, head } => {
            let rpc = head.rpc.expect("a call has a frame");
            assert_eq!((head.authority, head.method.as_bytes()), (rpc.service(), rpc.method()));
            Said::Request {
                stream: *stream,
                service: text(head.authority),
                method: text(head.method.as_bytes()),
                fields: head.fields.len(),
                one_way: rpc.is_one_way(),
            }
        }
        Event::Response { stream, head } => Said::Response { stream: *stream, status: head.status },
        Event::Data { stream, bytes } => Said::Data { stream: *stream, bytes: bytes.to_vec() },
        Event::End { stream } => Said::End { stream: *stream },
        Event::Reset { stream } => Said::Reset { stream: *stream },
        Event::Control(control) => Said::Control(*control),
        Event::Stray => Said::Stray,
        Event::Trailers { .. } => panic!("calls have no trailers"),
    }
}

/// Decodes one piece; tells how many bytes of it were left.
pub(crate) fn feed(codec: &mut dyn Codec, piece: &[u8], all: &mut Vec<Said>) -> usize {
    let (mut input, mut scratch) = (piece, Scratch::default());
    loop {
        match codec.decode(&mut scratch, &mut input) {
            Ok(Some(event)) => all.push(said(&event)),
            Ok(None) => return input.len(),
            Err(error) => {
                all.push(Said::Refused(error.status));
                return input.len();
            }
        }
    }
}

pub(crate) fn heard(codec: &mut dyn Codec, piece: &[u8]) -> Vec<Said> {
    let mut all = Vec::new();
    assert_eq!(feed(codec, piece, &mut all), 0, "bytes are left: {all:?}");
    all
}

/// The streams of the requests that were told.
pub(crate) fn requests(said: &[Said]) -> Vec<StreamId> {
    let streams = said.iter().filter_map(|said| match said {
        Said::Request { stream, .. } => Some(*stream),
        _ => None,
    });
    streams.collect()
}

/// A downstream and an upstream codec with everything that one decodes written by the other.
pub(crate) struct Proxy {
    pub(crate) downstream: Box<dyn Codec>,
    pub(crate) upstream: Box<dyn Codec>,
    /// Upstream streams by downstream ones, and back.
    pub(crate) up: HashMap<StreamId, StreamId>,
    pub(crate) down: HashMap<StreamId, StreamId>,
    one_way: HashSet<StreamId>,
    pub(crate) edits: Edits,
    scratch: Scratch,
}

impl Proxy {
    pub(crate) fn new(kind: Kind) -> Self {
        Proxy::of(kind.server(), kind.client())
    }

    pub(crate) fn of(downstream: Box<dyn Codec>, upstream: Box<dyn Codec>) -> Self {
        Proxy {
            downstream,
            upstream,
            up: HashMap::new(),
            down: HashMap::new(),
            one_way: HashSet::new(),
            edits: Edits::default(),
            scratch: Scratch::default(),
        }
    }

    /// Takes bytes of the client; tells those for the upstream. A call that nobody waits for is over when it has passed.
    pub(crate) fn pass_up(&mut self, mut input: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some(event) = self.downstream.decode(&mut self.scratch, &mut input).expect("well-formed") {
            match event {
                Event::Request { stream, head } => {
                    let opened = self.upstream.open().expect("there is room");
                    self.upstream.encode_request(opened, &head, &self.edits, &mut out).expect("it fits");
                    if head.rpc.is_some_and(|rpc| rpc.is_one_way()) {
                        self.one_way.insert(stream);
                    }
                    self.up.insert(stream, opened);
                    self.down.insert(opened, stream);
                }
                Event::Data { stream, bytes } => pass(&mut *self.upstream, self.up[&stream], bytes, &mut out),
                Event::End { stream } => {
                    self.upstream.encode_end(self.up[&stream], &mut out);
                    if self.one_way.remove(&stream) {
                        assert!(self.downstream.abandon(stream), "nobody waits for an answer");
                    }
                }
                Event::Control(_) => {}
                other => panic!("{other:?}"),
            }
        }
        out
    }

    /// Takes bytes of the upstream; tells those for the client.
    pub(crate) fn pass_down(&mut self, mut input: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some(event) = self.upstream.decode(&mut self.scratch, &mut input).expect("well-formed") {
            match event {
                Event::Response { stream, head } => {
                    let to = self.down[&stream];
                    self.downstream.encode_response(to, &head, &self.edits, &mut out).expect("it fits");
                }
                Event::Data { stream, bytes } => {
                    pass(&mut *self.downstream, self.down[&stream], bytes, &mut out);
                }
                Event::End { stream } => self.downstream.encode_end(self.down[&stream], &mut out),
                Event::Control(_) | Event::Stray => {}
                other => panic!("{other:?}"),
            }
        }
        out
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.downstream.is_idle() && self.upstream.is_idle()
    }
}

fn pass(codec: &mut dyn Codec, stream: StreamId, bytes: &[u8], out: &mut Vec<u8>) {
    let grant = codec.encode_data(stream, bytes, out);
    assert_eq!((grant.allowed, grant.suffix), (bytes.len(), &b""[..]), "all that was announced may pass");
    out.extend_from_slice(bytes);
}
