//! The server's codec on arbitrary bytes: what it says must not depend on the cuts, must keep the order of events and
//! every bound; and each answer that it writes meanwhile must be exactly one response.

use crate::control::{Control, options};
use crate::conversation::assert_same_however_cut;
use crate::grammar::Grammar;
use crate::plain_http1::{self, Reading, Role};
use crate::receiver::{Partner, Receiver};
use crate::said::{Request, Said};
use sidering_codecs::registry::protocol;
use sidering_codecs::{BodyLength, Codec, Edits, ResponseHead, StreamId, Version};

const STATUSES: [u16; 8] = [200, 204, 304, 404, 201, 299, 500, 599];

/// Options, three answers, cuts; then what the client sends.
pub fn run(input: &[u8]) {
    let mut control = Control::new(input);
    let options = options(control.byte());
    let styles = control.bytes::<3>();
    let cuts = control.cuts();
    assert_same_however_cut(control.rest(), &cuts, |pieces, variant| {
        let make = protocol("http1").expect("registered").server;
        let receiver = Receiver::new(make, options, Grammar::server(), variant);
        receiver.converse(pieces, &mut Answers { styles, exchange: 0, request: None, is_answered: false })
    });
}

/// Answers requests in the ways that the control bytes choose.
struct Answers {
    styles: [u8; 3],
    exchange: usize,
    request: Option<Request>,
    is_answered: bool,
}

impl Partner for Answers {
    fn begin(&mut self, codec: &mut dyn Codec, _: &mut Grammar) {
        assert_eq!(codec.open(), None, "a server opens nothing");
    }

    fn react(&mut self, codec: &mut dyn Codec, grammar: &mut Grammar, said: &Said) {
        let style = Style(self.styles[self.exchange % self.styles.len()]);
        match said {
            Said::Request(request) => {
                self.request = Some(request.clone());
                self.is_answered = style.is_early();
                if style.is_early() {
                    self.answer(style, codec, grammar);
                }
            }
            Said::End => {
                if !std::mem::replace(&mut self.is_answered, true) {
                    self.answer(style, codec, grammar);
                }
                self.exchange += 1;
                if codec.is_reusable() {
                    grammar.ready();
                }
            }
            _ => {}
        }
    }
}

impl Answers {
    fn answer(&self, style: Style, codec: &mut dyn Codec, grammar: &mut Grammar) {
        let Some(request) = &self.request else { panic!("an answer to nothing") };
        let mut out = Vec::new();
        if style.is_interim() {
            codec
                .encode_response(StreamId(0), &head(103, BodyLength::None), &Edits::default(), &mut out)
                .expect("the head can be said");
            let length = out.len();
            assert_eq!(
                length == 0,
                request.version == Version::Http10,
                "HTTP/1.0 knows no interim responses"
            );
            assert_one_response(&std::mem::take(&mut out), b"", false);
        }
        let opens = match (&*request.method, &request.upgrade) {
            (b"CONNECT", _) => style.kind() == Kind::Tunnel,
            (_, Some(_)) => style.kind() == Kind::Tunnel,
            _ => false,
        };
        if opens {
            let status = if *request.method == *b"CONNECT" { 200 } else { 101 };
            let mut edits = Edits::default();
            edits.add(b"x-tunnel", b"yes");
            codec
                .encode_response(StreamId(0), &head(status, BodyLength::Streamed), &edits, &mut out)
                .expect("the head can be said");
            assert!(codec.relayable_out() && !codec.is_reusable(), "a tunnel");
            grammar.open_tunnel();
            assert_one_response(&out, &request.method, true);
            return;
        }
        match style.kind() {
            Kind::Local => {
                codec.encode_local_reply(Some(StreamId(0)), style.status(), b"a: b\r\n", b"why", &mut out);
            }
            kind => answer_with_body(kind, style, request, codec, &mut out),
        }
        assert_one_response(&out, &request.method, !codec.is_reusable());
        let length = out.len();
        codec
            .encode_response(StreamId(0), &head(200, BodyLength::None), &Edits::default(), &mut out)
            .expect("the head can be said");
        assert_eq!(out.len(), length, "a second head goes out");
    }
}

fn answer_with_body(kind: Kind, style: Style, request: &Request, codec: &mut dyn Codec, out: &mut Vec<u8>) {
    // CONNECT with 2xx is a tunnel, which is another style's.
    let status = if *request.method == *b"CONNECT" { 404 } else { style.status() };
    let length = if kind == Kind::Sized { BodyLength::Sized(6) } else { BodyLength::Streamed };
    codec
        .encode_response(StreamId(0), &head(status, length), &Edits::default(), out)
        .expect("the head can be said");
    for piece in [&b"abc"[..], b"def"] {
        let grant = codec.encode_data(StreamId(0), piece, out);
        out.extend_from_slice(&piece[..grant.allowed]);
        out.extend_from_slice(if grant.allowed > 0 { grant.suffix } else { b"" });
    }
    let beyond = codec.encode_data(StreamId(0), b"x", &mut Vec::new());
    assert!(kind != Kind::Sized || beyond.allowed == 0, "payload beyond the announced length");
    let mut trailers = Edits::default();
    trailers.add(b"checksum", b"42");
    codec.encode_trailers(StreamId(0), &trailers.added(), out);
    codec.encode_end(StreamId(0), out);
}

fn head(status: u16, body: BodyLength) -> ResponseHead<'static> {
    ResponseHead {
        rpc: None,
        status,
        version: Version::Http11,
        reason: b"OK",
        fields: Default::default(),
        body,
    }
}

/// What went out is one response and nothing else.
fn assert_one_response(out: &[u8], method: &[u8], may_end_with_connection: bool) {
    if out.is_empty() {
        return;
    }
    let role = Role::Response { to_head: method == b"HEAD", to_connect: method == b"CONNECT" };
    match plain_http1::read(out, role) {
        Reading::Whole(message, length) => {
            assert_eq!(length, out.len(), "bytes behind the response: {}", out.escape_ascii());
            let until_close = message.framing == plain_http1::Framing::UntilClose;
            assert!(may_end_with_connection || !until_close, "no length told: {}", out.escape_ascii());
        }
        other => panic!("{other:?}: {}", out.escape_ascii()),
    }
}

/// How one request is answered.
#[derive(Clone, Copy, Debug)]
struct Style(u8);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Sized,
    Streamed,
    Local,
    Tunnel,
}

impl Style {
    fn kind(self) -> Kind {
        [Kind::Sized, Kind::Streamed, Kind::Local, Kind::Tunnel][usize::from(self.0 & 3)]
    }

    /// Before the request's body has come.
    fn is_early(self) -> bool {
        self.0 & 4 != 0
    }

    fn is_interim(self) -> bool {
        self.0 & 8 != 0
    }

    fn status(self) -> u16 {
        STATUSES[usize::from(self.0 >> 4 & 7)]
    }
}
