//! Who is at the other end of a connection: the client, which hears the answer, or an endpoint, which keeps what it was
//! asked and answers as it was told to. Both read with the project's own codecs, so that they speak what those speak.

use super::engine::Endpoints;
use sidering_codecs::registry::{CodecOptions, Protocol};
use sidering_codecs::{Codec, Edits, Event, Fields, Method, Scratch, StreamId};
use sidering_dataplane::config::Cluster;
use sidering_dataplane::io::Address;
use std::fmt;

/// What an endpoint was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    pub address: Address,
    pub outcome: Reached,
}

/// How far a request to an endpoint got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// The connection was refused.
    Refused,
    /// A connection that carries bytes.
    Bytes,
    Asked(Seen),
}

/// A request as an endpoint saw it, and what it answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub method: String,
    /// Empty of a call.
    pub path: String,
    /// Of a call, its service.
    pub authority: String,
    pub headers: Vec<(String, String)>,
    pub body_bytes: usize,
    /// 0 while it listens.
    pub status: u16,
}

impl Exchange {
    pub(super) fn refused(address: Address) -> Exchange {
        Exchange { address, outcome: Reached::Refused }
    }

    pub(super) fn bytes(address: Address) -> Exchange {
        Exchange { address, outcome: Reached::Bytes }
    }

    /// The request that was seen, if one was.
    #[must_use]
    pub fn seen(&self) -> Option<&Seen> {
        match &self.outcome {
            Reached::Asked(seen) => Some(seen),
            _ => None,
        }
    }

    /// Whether it went to one of the cluster's endpoints (and not to a mirror's).
    #[must_use]
    pub fn belongs_to(&self, cluster: Option<&Cluster>) -> bool {
        cluster
            .is_some_and(|cluster| cluster.endpoints.iter().any(|endpoint| endpoint.address == self.address))
    }
}

/// The other end.
pub(super) enum Peer {
    Client(Client),
    Endpoint(Endpoint),
}

/// What a client heard.
pub(super) struct Client {
    codec: Option<Box<dyn Codec>>,
    unread: Vec<u8>,
    pub(super) answer: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

pub(super) struct Endpoint {
    address: Address,
    codec: Option<Box<dyn Codec>>,
    unread: Vec<u8>,
    /// The exchange under way, by its place in the list of all.
    current: usize,
}

impl Peer {
    /// A client that is going to send `request`, and what it sends.
    pub(super) fn client(protocol: Option<&'static Protocol>, request: Vec<u8>) -> (Peer, Vec<u8>) {
        let (codec, sent) = match protocol {
            Some(protocol) if protocol.is_rpc => {
                let (codec, sent) = calling(protocol, &request);
                (Some(codec), sent)
            }
            Some(protocol) => (Some(client_codec(protocol, &request)), request),
            None => (None, request),
        };
        (Peer::Client(Client { codec, unread: vec![], answer: vec![], body: vec![] }), sent)
    }

    pub(super) fn endpoint(address: Address, protocol: Option<&'static Protocol>) -> Peer {
        // It tells all that there is to tell of a call.
        let options = CodecOptions { late_fields: true, ..CodecOptions::DEFAULT };
        let codec = protocol.map(|protocol| (protocol.server)(options));
        Peer::Endpoint(Endpoint { address, codec, unread: vec![], current: 0 })
    }

    /// Takes what was sent to it, and tells what it says to that.
    pub(super) fn hear(&mut self, bytes: &[u8], endpoints: &mut Endpoints) -> Vec<u8> {
        match self {
            Peer::Client(client) => {
                client.hear(bytes);
                vec![]
            }
            Peer::Endpoint(endpoint) => endpoint.hear(bytes, endpoints),
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Peer::Client(_) => "Client",
            Peer::Endpoint(_) => "Endpoint",
        })
    }
}

/// A codec that makes this call, and the call with the id that the codec gave it, by which it knows its answer.
fn calling(protocol: &'static Protocol, request: &[u8]) -> (Box<dyn Codec>, Vec<u8>) {
    let (mut reader, mut codec) =
        ((protocol.server)(Default::default()), (protocol.client)(Default::default()));
    let (mut scratch, mut input, mut sent) = (Scratch::default(), request, vec![]);
    let stream = codec.open().unwrap_or_default();
    while let Ok(Some(event)) = reader.decode(&mut scratch, &mut input) {
        match event {
            Event::Request { head, .. } => {
                // A call that was just read can be written.
                let _ = codec.encode_request(stream, &head, &Edits::default(), &mut sent);
            }
            Event::Data { bytes, .. } => {
                codec.encode_data(stream, bytes, &mut sent);
                sent.extend_from_slice(bytes);
            }
            Event::End { .. } => codec.encode_end(stream, &mut sent),
            _ => {}
        }
    }
    (codec, sent)
}

/// A codec that knows what was asked, as it needs to in order to read the answer. What nobody can read is answered like a
/// GET.
fn client_codec(protocol: &'static Protocol, request: &[u8]) -> Box<dyn Codec> {
    let mut codec = (protocol.client)(Default::default());
    for bytes in [request, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"] {
        let (mut scratch, mut input, mut unused) = (Scratch::default(), bytes, vec![]);
        let mut reader = (protocol.server)(Default::default());
        if let Ok(Some(Event::Request { head, .. })) = reader.decode(&mut scratch, &mut input) {
            let stream = codec.open().unwrap_or_default();
            if codec.encode_request(stream, &head, &Edits::default(), &mut unused).is_ok() {
                codec.encode_end(stream, &mut unused);
                break;
            }
        }
    }
    codec
}

impl Client {
    fn hear(&mut self, bytes: &[u8]) {
        let Some(codec) = &mut self.codec else { return };
        self.unread.extend_from_slice(bytes);
        let (mut scratch, mut input) = (Scratch::default(), self.unread.as_slice());
        while let Ok(Some(event)) = codec.decode(&mut scratch, &mut input) {
            match event {
                Event::Response { head, .. } if !head.is_interim() => self.answer = texts(&head.fields),
                Event::Data { bytes, .. } => self.body.extend_from_slice(bytes),
                _ => {}
            }
        }
        let left = input.len();
        self.unread.drain(..self.unread.len() - left);
    }
}

impl Endpoint {
    fn hear(&mut self, bytes: &[u8], endpoints: &mut Endpoints) -> Vec<u8> {
        let Some(codec) = &mut self.codec else { return vec![] };
        self.unread.extend_from_slice(bytes);
        let (mut scratch, mut input, mut answer) = (Scratch::default(), self.unread.as_slice(), vec![]);
        loop {
            let mut due = None;
            match codec.decode(&mut scratch, &mut input) {
                Ok(Some(Event::Request { head, stream })) => {
                    self.current = endpoints.exchanges.len();
                    let seen = Seen {
                        method: text(head.method.as_bytes()),
                        path: if head.rpc.is_some() { String::new() } else { text(head.path) },
                        authority: text(head.authority),
                        headers: texts(&head.fields),
                        body_bytes: 0,
                        status: 0,
                    };
                    let address = self.address.clone();
                    endpoints.exchanges.push(Exchange { address, outcome: Reached::Asked(seen) });
                    // A tunnel has no end that could be waited for.
                    due = (head.method == Method::Connect).then_some(stream);
                }
                Ok(Some(Event::Data { bytes, .. })) => {
                    if let Some(seen) = current(endpoints, self.current) {
                        seen.body_bytes += bytes.len();
                    }
                }
                Ok(Some(Event::End { stream })) => due = Some(stream),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
            if let Some(stream) = due {
                reply(&mut **codec, stream, self.current, endpoints, &mut answer);
            }
        }
        let left = input.len();
        self.unread.drain(..self.unread.len() - left);
        answer
    }
}

fn reply(
    codec: &mut dyn Codec,
    stream: StreamId,
    current_exchange: usize,
    endpoints: &mut Endpoints,
    out: &mut Vec<u8>,
) {
    let status = endpoints.answer();
    if let Some(seen) = current(endpoints, current_exchange).filter(|seen| seen.status == 0) {
        seen.status = status;
        codec.encode_local_reply(Some(stream), status, b"", b"", out);
    }
}

fn current(endpoints: &mut Endpoints, at: usize) -> Option<&mut Seen> {
    match &mut endpoints.exchanges.get_mut(at)?.outcome {
        Reached::Asked(seen) => Some(seen),
        _ => None,
    }
}

fn texts(fields: &Fields<'_>) -> Vec<(String, String)> {
    fields.iter().map(|field| (text(field.name).to_ascii_lowercase(), text(field.value))).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
