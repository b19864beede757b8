//! Drives codecs and records what they say, so that tests can compare whole conversations.

use sidering_codecs::registry::{CodecOptions, protocol};
use sidering_codecs::{
    BodyLength, Codec, Edits, Event, Fields, ProtocolError, RequestHead, ResponseHead, Scratch, StreamId,
    Version,
};

/// One thing a codec said, owned. Neighbouring data is merged, since where it is cut means nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Seen {
    Request(SeenRequest),
    Response { status: u16, reason: String, fields: Vec<SeenField>, body: BodyLength },
    Data(Vec<u8>),
    Trailers(Vec<SeenField>),
    End,
    Refused(u16),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SeenRequest {
    pub(crate) method: String,
    pub(crate) version: Version,
    pub(crate) authority: String,
    pub(crate) path: String,
    pub(crate) overrides_host: bool,
    pub(crate) fields: Vec<SeenField>,
    pub(crate) body: BodyLength,
    pub(crate) upgrade: Option<String>,
    pub(crate) expects_continue: bool,
}

/// Name, value, and whether it is hop-by-hop.
pub(crate) type SeenField = (String, String, bool);

pub(crate) fn server() -> Box<dyn Codec> {
    server_with(CodecOptions::default())
}

pub(crate) fn server_with(options: CodecOptions) -> Box<dyn Codec> {
    (protocol("http1").expect("registered").server)(options)
}

pub(crate) fn client() -> Box<dyn Codec> {
    client_with(CodecOptions::default())
}

pub(crate) fn client_with(options: CodecOptions) -> Box<dyn Codec> {
    (protocol("http1").expect("registered").client)(options)
}

/// A client that has sent a whole request without a body.
pub(crate) fn client_that_sent(method: &str) -> Box<dyn Codec> {
    let mut client = client();
    send_request(&mut *client, method);
    client
}

/// Sends `method / HTTP/1.1` without a body; returns what went out.
pub(crate) fn send_request(client: &mut dyn Codec, method: &str) -> Vec<u8> {
    let stream = client.open().expect("the connection is free");
    let mut out = Vec::new();
    client
        .encode_request(stream, &request_head(method, BodyLength::None), &Edits::default(), &mut out)
        .expect("the head can be said");
    client.encode_end(stream, &mut out);
    out
}

/// A head without fields, whose Host is to be written from the authority.
pub(crate) fn request_head(method: &str, body: BodyLength) -> RequestHead<'_> {
    RequestHead {
        rpc: None,
        method: sidering_codecs::Method::from_bytes(method.as_bytes()),
        version: Version::Http11,
        authority: b"example.test:80",
        path: b"/",
        authority_overrides_host: true,
        fields: Fields::default(),
        body,
        upgrade: None,
        expects_continue: false,
    }
}

/// A response head without fields.
pub(crate) fn response_head(status: u16, body: BodyLength) -> ResponseHead<'static> {
    ResponseHead {
        rpc: None,
        status,
        version: Version::Http11,
        reason: b"OK",
        fields: Fields::default(),
        body,
    }
}

/// Answers the request under way with an empty 200; returns what went out.
pub(crate) fn answer(server: &mut dyn Codec) -> Vec<u8> {
    let mut out = Vec::new();
    let head = response_head(200, BodyLength::Sized(0));
    server.encode_response(StreamId(0), &head, &Edits::default(), &mut out).expect("the head can be said");
    server.encode_end(StreamId(0), &mut out);
    out
}

/// Decodes until the codec wants no more of `input`; what it left is taken off the front.
pub(crate) fn decode(codec: &mut dyn Codec, input: &mut &[u8], seen: &mut Vec<Seen>) {
    let mut scratch = Scratch::default();
    loop {
        match codec.decode(&mut scratch, input) {
            Ok(Some(event)) => record(&event, seen),
            Ok(None) => return,
            Err(ProtocolError { status, .. }) => {
                seen.push(Seen::Refused(status));
                return;
            }
        }
    }
}

/// Everything a fresh server says to these bytes.
pub(crate) fn served(bytes: &[u8]) -> Vec<Seen> {
    served_with(CodecOptions::default(), bytes)
}

pub(crate) fn served_with(options: CodecOptions, mut bytes: &[u8]) -> Vec<Seen> {
    let mut seen = Vec::new();
    decode(&mut *server_with(options), &mut bytes, &mut seen);
    seen
}

/// Everything that is said when the bytes come in these pieces, each in a buffer of its own.
pub(crate) fn in_pieces<'a>(codec: &mut dyn Codec, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut left: Vec<u8> = Vec::new();
    for piece in pieces {
        // What the codec would not look at yet stands in front of what comes next, as in a receive queue.
        let joined = [left.as_slice(), piece].concat();
        let mut input = joined.as_slice();
        decode(codec, &mut input, &mut seen);
        if matches!(seen.last(), Some(Seen::Refused(_))) {
            break;
        }
        left = input.to_vec();
    }
    seen
}

/// The only request told, or a panic.
pub(crate) fn only_request(seen: &[Seen]) -> &SeenRequest {
    match seen {
        [Seen::Request(request), ..] => request,
        other => panic!("no request but {other:?}"),
    }
}

/// The status the bytes are refused with, if they are.
pub(crate) fn refusal(seen: &[Seen]) -> Option<u16> {
    match seen.last() {
        Some(Seen::Refused(status)) => Some(*status),
        _ => None,
    }
}

/// All payload told.
pub(crate) fn payload(seen: &[Seen]) -> Vec<u8> {
    let mut all = Vec::new();
    for one in seen {
        if let Seen::Data(bytes) = one {
            all.extend_from_slice(bytes);
        }
    }
    all
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn record(event: &Event<'_>, seen: &mut Vec<Seen>) {
    match event {
        Event::Request { head, .. } => seen.push(Seen::Request(record_request(head))),
        Event::Response { head, .. } => seen.push(Seen::Response {
            status: head.status,
            reason: text(head.reason),
            fields: record_fields(&head.fields),
            body: head.body,
        }),
        Event::Data { bytes, .. } => {
            assert!(!bytes.is_empty(), "data is never empty");
            match seen.last_mut() {
                Some(Seen::Data(before)) => before.extend_from_slice(bytes),
                _ => seen.push(Seen::Data(bytes.to_vec())),
            }
        }
        Event::Trailers { fields, .. } => seen.push(Seen::Trailers(record_fields(fields))),
        Event::End { .. } => seen.push(Seen::End),
        Event::Reset { .. } | Event::Control(_) | Event::Stray => {
            panic!("HTTP/1 has neither exchanges that end alone nor messages of the connection")
        }
    }
}

fn record_request(head: &RequestHead<'_>) -> SeenRequest {
    SeenRequest {
        method: text(head.method.as_bytes()),
        version: head.version,
        authority: text(head.authority),
        path: text(head.path),
        overrides_host: head.authority_overrides_host,
        fields: record_fields(&head.fields),
        body: head.body,
        upgrade: head.upgrade.map(text),
        expects_continue: head.expects_continue,
    }
}

fn record_fields(fields: &Fields<'_>) -> Vec<SeenField> {
    let mut recorded = Vec::new();
    for field in fields.iter() {
        assert!(field.line.ends_with(b"\r\n"), "a field's line is whole");
        assert!(field.line.starts_with(field.name), "a line begins with its name");
        recorded.push((text(field.name), text(field.value), field.hop_by_hop));
    }
    recorded
}
