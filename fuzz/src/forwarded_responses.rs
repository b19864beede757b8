//! Responses as they are forwarded: decoded by a client's codec, encoded by a server's, and read again.

use crate::control::Cuts;
use crate::forwarded_requests::{shown, trailers_of};
use crate::http1_round_trip::{WIDE, Way, read_back, send_data};
use crate::plain_chunks::Line;
use crate::plain_http1::{self, Framing, Message, Reading, Role};
use crate::said::{Field, Response, Said, payload, push, said};
use sidering_codecs::registry::{CodecOptions, protocol};
use sidering_codecs::{
    BodyLength, Codec, Edits, Event, InputEnd, Method, RequestHead, Scratch, StreamId, Version,
};

/// What was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asked {
    Get,
    Head,
    Connect,
    Upgrade,
}

/// The client that the response goes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Downstream {
    Http11,
    Http10,
    Http10KeepAlive,
}

impl Asked {
    fn role(self) -> Role {
        Role::Response { to_head: self == Asked::Head, to_connect: self == Asked::Connect }
    }

    /// A client's codec that has sent the request.
    pub(crate) fn client(self, options: CodecOptions) -> Box<dyn Codec> {
        let mut codec = (protocol("http1").expect("registered").client)(options);
        let stream = codec.open().expect("the connection is new");
        let (method, path): (_, &[u8]) = match self {
            Asked::Head => (Method::Head, b"/"),
            Asked::Connect => (Method::Connect, b""),
            Asked::Get | Asked::Upgrade => (Method::Get, b"/"),
        };
        let head = RequestHead {
            rpc: None,
            method,
            version: Version::Http11,
            authority: b"a:80",
            path,
            authority_overrides_host: true,
            fields: Default::default(),
            body: BodyLength::None,
            upgrade: (self == Asked::Upgrade).then_some(b"websocket"),
            expects_continue: false,
        };
        let mut edits = Edits::default();
        edits.keep_upgrade();
        codec.encode_request(stream, &head, &edits, &mut Vec::new()).expect("the head can be said");
        codec.encode_end(stream, &mut Vec::new());
        codec
    }

    /// A server's codec that has received the request from such a client.
    fn server(self, version: Downstream) -> Box<dyn Codec> {
        let mut codec = (protocol("http1").expect("registered").server)(WIDE);
        let (method, target, lines) = match self {
            Asked::Get => ("GET", "/", ""),
            Asked::Head => ("HEAD", "/", ""),
            Asked::Connect => ("CONNECT", "a:80", ""),
            Asked::Upgrade => ("GET", "/", "Connection: upgrade\r\nUpgrade: websocket\r\n"),
        };
        let (version, keeps) = match version {
            Downstream::Http11 => ("1.1", ""),
            Downstream::Http10 => ("1.0", ""),
            Downstream::Http10KeepAlive => ("1.0", "Connection: keep-alive\r\n"),
        };
        let request = format!("{method} {target} HTTP/{version}\r\nHost: a:80\r\n{lines}{keeps}\r\n");
        let (mut input, mut scratch) = (request.as_bytes(), Scratch::default());
        while let Ok(Some(_)) = codec.decode(&mut scratch, &mut input) {}
        codec
    }
}

/// A response under way.
struct Forwarding {
    asked: Asked,
    is_http10: bool,
    way: Way,
    said: Vec<Said>,
    downstream: Box<dyn Codec>,
    out: Vec<u8>,
}

/// Forwards the response that the bytes hold to a client that asked so.
pub(crate) fn check(
    bytes: &[u8],
    options: CodecOptions,
    (asked, version): (Asked, Downstream),
    way: Way,
    cuts: &Cuts,
) {
    // HTTP/1.0 knows no Upgrade.
    let version = if asked == Asked::Upgrade { Downstream::Http11 } else { version };
    let is_http10 = version != Downstream::Http11;
    let mut client = asked.client(options);
    let downstream = asked.server(version);
    let mut forwarding = Forwarding { asked, is_http10, way, said: vec![], downstream, out: vec![] };
    let (mut input, mut scratch) = (bytes, Scratch::default());
    while let Ok(Some(event)) = client.decode(&mut scratch, &mut input) {
        forwarding.forward(&event);
        if matches!(event, Event::End { .. }) {
            return forwarding.check_whole(cuts);
        }
    }
    if client.decode_end() == Ok(InputEnd::Message(StreamId(1))) {
        forwarding.downstream.encode_end(StreamId(1), &mut forwarding.out);
        forwarding.check_whole(cuts);
    } else {
        forwarding.check_broken();
    }
}

impl Forwarding {
    fn forward(&mut self, event: &Event<'_>) {
        push(&mut self.said, said(event));
        let (downstream, out) = (&mut *self.downstream, &mut self.out);
        match event {
            Event::Response { head, stream } => {
                downstream
                    .encode_response(*stream, head, &self.way.edits(), out)
                    .expect("the head can be said");
            }
            Event::Data { bytes, stream } => send_data(downstream, *stream, bytes, out),
            Event::Trailers { fields, stream } => downstream.encode_trailers(*stream, fields, out),
            Event::End { stream } => downstream.encode_end(*stream, out),
            other => panic!("{other:?} from a client's codec"),
        }
    }

    /// The heads that were told: interim ones and the final one.
    fn heads(&self) -> Vec<&Response> {
        let heads = self.said.iter().filter_map(|one| match one {
            Said::Response(response) => Some(response),
            _ => None,
        });
        heads.collect()
    }

    /// Reads what went out up to the final response; tells what the rest of it is.
    fn read_out(&self) -> Reading {
        let mut rest = self.out.as_slice();
        let interim = self.heads().into_iter().filter(|head| head.is_interim() && !self.is_http10);
        for head in interim {
            match plain_http1::read(rest, Role::Response { to_head: false, to_connect: false }) {
                Reading::Whole(message, length) => {
                    self.compare(head, &message);
                    rest = &rest[length..];
                }
                other => panic!("{other:?}: {}", self.out.escape_ascii()),
            }
        }
        match plain_http1::read(rest, self.asked.role()) {
            Reading::Whole(_, length) if length != rest.len() => {
                panic!("a second message: {}", self.out.escape_ascii());
            }
            reading => reading,
        }
    }

    fn check_broken(&self) {
        match self.read_out() {
            Reading::Cut => {}
            // Only a reset can tell such a client that the response is broken.
            Reading::Whole(message, _) if message.framing == Framing::UntilClose => {}
            other => panic!("of a broken response this went out: {other:?}: {}", self.out.escape_ascii()),
        }
    }

    fn check_whole(&self, cuts: &Cuts) {
        let heads = self.heads();
        let Some(last) = heads.last().filter(|head| !head.is_interim()) else { panic!("no final head") };
        match self.read_out() {
            Reading::Whole(message, _) => {
                self.compare(last, &message);
                self.compare_body(last, &message);
            }
            other => panic!("{other:?}: {}", self.out.escape_ascii()),
        }
        let again = read_back(&mut *self.asked.client(WIDE), &self.out, cuts);
        assert_eq!(payload(&again), payload(&self.said), "the payload, read again");
        let expected = if self.is_http10 { vec![] } else { shown(&trailers_of(&self.said)) };
        assert_eq!(shown(&trailers_of(&again)), expected, "the trailers, read again");
        let statuses = |said: &[Said]| {
            let heads = said.iter().filter_map(|one| match one {
                Said::Response(head) if !(self.is_http10 && head.is_interim()) => Some(head.status),
                _ => None,
            });
            heads.collect::<Vec<u16>>()
        };
        assert_eq!(statuses(&again), statuses(&self.said), "the heads, read again");
    }

    fn compare(&self, head: &Response, message: &Message) {
        let start = format!("HTTP/1.1 {} ", head.status);
        assert_eq!(
            message.start,
            [start.as_bytes(), &head.reason].concat().as_slice().into(),
            "the status line"
        );
        let own = ["content-length", "transfer-encoding", "connection", "upgrade"];
        let is_own = |name: &[u8]| own.iter().any(|own| name.eq_ignore_ascii_case(own.as_bytes()));
        let mut told = message.fields.clone();
        told.retain(|(name, _)| !is_own(name));
        let passes = |index: usize, field: &Field| {
            !field.hop_by_hop && self.way.removed() != Some(index) && !is_own(&field.name)
        };
        let passing = head.fields.iter().enumerate().filter(|(index, field)| passes(*index, field));
        let mut expected: Vec<Line> =
            passing.map(|(_, field)| (field.name.0.clone(), field.value.0.clone())).collect();
        expected.extend(self.way.added().map(|(name, value)| (name.into(), value.into())));
        assert_eq!(shown(&told), shown(&expected), "the fields");
    }

    fn compare_body(&self, head: &Response, message: &Message) {
        assert_eq!(message.payload, payload(&self.said).as_slice().into(), "the payload");
        let is_tunnel =
            head.status == 101 || self.asked == Asked::Connect && (200..300).contains(&head.status);
        let has_none = self.asked == Asked::Head || matches!(head.status, 204 | 304);
        let framing = match head.body {
            BodyLength::Streamed if is_tunnel => Framing::UntilClose,
            _ if has_none => Framing::None,
            BodyLength::None => panic!("a response without a body whose status allows one"),
            BodyLength::Sized(length) => Framing::Length(length),
            BodyLength::Streamed if self.is_http10 => Framing::UntilClose,
            BodyLength::Streamed => Framing::Chunked,
        };
        assert_eq!(message.framing, framing);
        if has_none && head.status != 204 {
            let lengths = head.fields.iter().enumerate().filter(|(index, field)| {
                field.is("content-length") && !field.hop_by_hop && self.way.removed() != Some(*index)
            });
            let lengths: Vec<&[u8]> = lengths.map(|(_, field)| &*field.value).collect();
            assert_eq!(message.values("content-length"), lengths, "the length of what is not sent");
        }
        let connection = message.values("connection");
        let closes = connection == [b"close".as_slice()];
        assert!(
            closes || message.framing != Framing::UntilClose || is_tunnel,
            "a close that is not announced"
        );
        assert_eq!(closes, !is_tunnel && !self.downstream.is_reusable(), "{connection:?}");
    }
}
