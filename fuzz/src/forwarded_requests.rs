//! Requests as they are forwarded: decoded by a server's codec, encoded by a client's, and read again.

use crate::control::Cuts;
use crate::http1_round_trip::{WIDE, Way, read_back, send_data};
use crate::plain_chunks::Line;
use crate::plain_http1::{self, Framing, Message, Reading, Role};
use crate::said::{Field, Request, Said, payload, push, said};
use sidering_codecs::registry::{CodecOptions, protocol};
use sidering_codecs::{BodyLength, Codec, Edits, Event, ResponseHead, Scratch, StreamId, Version};

/// A request under way.
struct Forwarding {
    said: Vec<Said>,
    upstream: Box<dyn Codec>,
    out: Vec<u8>,
}

/// Forwards every request that the bytes hold, each on a connection of its own.
pub(crate) fn check(bytes: &[u8], options: CodecOptions, way: Way, cuts: &Cuts) {
    let mut server = (protocol("http1").expect("registered").server)(options);
    let (mut input, mut scratch) = (bytes, Scratch::default());
    let mut under_way: Option<Forwarding> = None;
    while let Ok(Some(event)) = server.decode(&mut scratch, &mut input) {
        let is_end = matches!(event, Event::End { .. });
        let forwarding = under_way.get_or_insert_with(Forwarding::new);
        forwarding.forward(&event, way);
        if is_end && let Some(whole) = under_way.take() {
            whole.check_whole(way, cuts);
            answer(&mut *server);
        }
    }
    if let Some(broken) = under_way {
        let reading = plain_http1::read(&broken.out, Role::Request);
        assert_eq!(reading, Reading::Cut, "of a broken request this went out: {}", broken.out.escape_ascii());
    }
}

fn answer(server: &mut dyn Codec) {
    let body = BodyLength::Sized(0);
    let head = ResponseHead {
        rpc: None,
        status: 404,
        version: Version::Http11,
        reason: b"",
        fields: Default::default(),
        body,
    };
    server
        .encode_response(StreamId(0), &head, &Edits::default(), &mut Vec::new())
        .expect("the head can be said");
    server.encode_end(StreamId(0), &mut Vec::new());
}

impl Forwarding {
    fn new() -> Self {
        let upstream = (protocol("http1").expect("registered").client)(WIDE);
        Forwarding { said: vec![], upstream, out: vec![] }
    }

    fn forward(&mut self, event: &Event<'_>, way: Way) {
        push(&mut self.said, said(event));
        let (upstream, out) = (&mut *self.upstream, &mut self.out);
        match event {
            Event::Request { head, .. } => {
                let stream = upstream.open().expect("the connection is new");
                upstream.encode_request(stream, head, &way.edits(), out).expect("the head can be said");
            }
            Event::Data { bytes, stream } => send_data(upstream, *stream, bytes, out),
            Event::Trailers { fields, stream } => upstream.encode_trailers(*stream, fields, out),
            Event::End { stream } => upstream.encode_end(*stream, out),
            other => panic!("{other:?} from a server's codec"),
        }
    }

    fn check_whole(&self, way: Way, cuts: &Cuts) {
        let Some(Said::Request(request)) = self.said.first() else { panic!("no head: {:?}", self.said) };
        match plain_http1::read(&self.out, Role::Request) {
            Reading::Whole(message, length) => {
                assert_eq!(length, self.out.len(), "a second message: {}", self.out.escape_ascii());
                self.compare(request, &message, way);
            }
            other => panic!("{other:?}: {}", self.out.escape_ascii()),
        }
        let mut server = (protocol("http1").expect("registered").server)(WIDE);
        let mut again = read_back(&mut *server, &self.out, cuts);
        let Said::Request(told) = again.remove(0) else { panic!("no head: {again:?}") };
        compare_heads(request, &told, way);
        assert_eq!(again, self.without_what_ends_here(), "the body, read again");
    }

    fn compare(&self, request: &Request, message: &Message, way: Way) {
        let target: &[u8] = match (&*request.method, &*request.path) {
            (b"CONNECT", _) => &request.authority,
            (_, path) => path,
        };
        let start = [&request.method, b" ".as_slice(), target, b" HTTP/1.1"].concat();
        assert_eq!(message.start, start.as_slice().into(), "the request line");
        assert_eq!(shown(&message.fields), shown(&expected_lines(request, way)), "the fields");
        assert_eq!(message.payload, payload(&self.said).as_slice().into(), "the payload");
        let framing = match request.body {
            BodyLength::None => Framing::None,
            BodyLength::Sized(length) => Framing::Length(length),
            BodyLength::Streamed => Framing::Chunked,
        };
        assert_eq!(message.framing, framing);
        assert_eq!(shown(&message.trailers), shown(&trailers_of(&self.said)), "the trailers");
    }

    /// What was said behind the head, as the next hop should say it.
    fn without_what_ends_here(&self) -> Vec<Said> {
        let keep = |one: &Said| match one {
            Said::Trailers(fields) => {
                let kept: Vec<Field> = fields.iter().filter(|field| !field.hop_by_hop).cloned().collect();
                (!kept.is_empty()).then_some(Said::Trailers(kept))
            }
            other => Some(other.clone()),
        };
        self.said[1..].iter().filter_map(keep).collect()
    }
}

/// Fields that say how to read or route the message never pass behind it (RFC 9110 section 6.5.1).
const NEVER_TRAILERS: [&str; 7] =
    ["host", "content-length", "transfer-encoding", "connection", "authorization", "expect", "set-cookie"];

/// The trailers that pass.
pub(crate) fn trailers_of(said: &[Said]) -> Vec<Line> {
    let sections = said.iter().filter_map(|one| match one {
        Said::Trailers(fields) => Some(fields),
        _ => None,
    });
    let passing = sections.flatten().filter(|field| !field.hop_by_hop);
    let passing =
        passing.inspect(|field| assert!(!NEVER_TRAILERS.iter().any(|name| field.is(name)), "{field:?}"));
    passing.map(|field| (field.name.0.clone(), field.value.0.clone())).collect()
}

/// Lines as one reads them.
pub(crate) fn shown(lines: &[Line]) -> Vec<String> {
    lines.iter().map(|(name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii())).collect()
}

/// The field lines that should go out, in order.
fn expected_lines(request: &Request, way: Way) -> Vec<Line> {
    let is_host_removed =
        way.removed().is_some_and(|index| request.fields.get(index).is_some_and(|field| field.is("host")));
    let writes_host = request.authority_overrides_host || is_host_removed;
    let line = |name: &str, value: &[u8]| (name.as_bytes().to_vec(), value.to_vec());
    let mut lines = Vec::new();
    if writes_host {
        lines.push(line("host", &request.authority));
    }
    for (index, field) in request.fields.iter().enumerate() {
        let passes = !field.hop_by_hop && way.removed() != Some(index) && !(writes_host && field.is("host"));
        if passes {
            lines.push((field.name.0.clone(), field.value.0.clone()));
        }
    }
    if let Some((name, value)) = way.added() {
        lines.push(line(name, value.as_bytes()));
    }
    let has_length = lines.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"content-length"));
    match request.body {
        BodyLength::Sized(length) if !has_length => {
            lines.push(line("content-length", length.to_string().as_bytes()));
        }
        BodyLength::Streamed => lines.push(line("transfer-encoding", b"chunked")),
        _ => {}
    }
    if let Some(protocols) = request.upgrade.as_ref().filter(|_| way.keeps_upgrade()) {
        lines.extend([line("connection", b"upgrade"), line("upgrade", protocols)]);
    }
    lines
}

/// The next hop's view of the request.
fn compare_heads(request: &Request, told: &Request, way: Way) {
    assert_eq!((&told.method, told.version, &told.path), (&request.method, Version::Http11, &request.path));
    assert!(told.authority.eq_ignore_ascii_case(&request.authority), "{told:?}");
    assert!(!told.authority_overrides_host, "{told:?}");
    assert_eq!(told.body, request.body);
    assert_eq!(told.upgrade, request.upgrade.clone().filter(|_| way.keeps_upgrade()));
    let is_expect_removed =
        way.removed().is_some_and(|index| request.fields.get(index).is_some_and(|field| field.is("expect")));
    assert_eq!(told.expects_continue, request.expects_continue && !is_expect_removed);
}
