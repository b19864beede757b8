//! The client's codec on arbitrary bytes, with requests of every kind sent before: what it says must not depend on the
//! cuts, must keep the order of events and every bound; and each request that it writes must be exactly one.

use crate::control::{Control, options};
use crate::conversation::assert_same_however_cut;
use crate::grammar::Grammar;
use crate::plain_http1::{self, Reading, Role};
use crate::receiver::{Partner, Receiver};
use crate::said::{Bytes, Response, Said};
use sidering_codecs::registry::protocol;
use sidering_codecs::{BodyLength, Codec, Edits, Method, RequestHead, StreamId, Version};

/// Options, three requests, cuts; then what the upstream sends.
pub fn run(input: &[u8]) {
    let mut control = Control::new(input);
    let choice = control.byte();
    let options = options(choice);
    let styles = control.bytes::<3>();
    let exchanges = 1 + usize::from(choice >> 2 & 3).min(2);
    let cuts = control.cuts();
    assert_same_however_cut(control.rest(), &cuts, |pieces, variant| {
        let make = protocol("http1").expect("registered").client;
        let receiver = Receiver::new(make, options, Grammar::client(), variant);
        let styles = &styles[..exchanges];
        receiver.converse(pieces, &mut Requests { styles, next: 0, body_due: None, out: vec![] })
    });
}

/// Sends one request after the other, in the ways that the control bytes choose.
struct Requests<'s> {
    styles: &'s [u8],
    next: usize,
    /// The body of the request under way is still to be sent.
    body_due: Option<StreamId>,
    out: Vec<u8>,
}

impl Partner for Requests<'_> {
    fn begin(&mut self, codec: &mut dyn Codec, grammar: &mut Grammar) {
        self.send(codec, grammar);
    }

    fn react(&mut self, codec: &mut dyn Codec, grammar: &mut Grammar, said: &Said) {
        if let Said::Response(response) = said {
            let style = Style(self.styles[self.next - 1]);
            assert_eq!(response.body, expected_body(response, style), "{response:?} to {style:?}");
        }
        if *said == Said::End {
            if self.body_due.is_some() {
                assert!(!codec.is_idle(), "the request is still under way");
                assert_eq!(codec.open(), None, "one exchange at a time");
            }
            self.send_body(codec);
            if codec.is_idle() && codec.is_reusable() {
                self.send(codec, grammar);
            }
        }
    }
}

impl Requests<'_> {
    fn send(&mut self, codec: &mut dyn Codec, grammar: &mut Grammar) {
        let Some(&style) = self.styles.get(self.next) else { return };
        self.next += 1;
        let style = Style(style);
        let stream = codec.open().expect("the connection is free");
        if style.closes() {
            codec.close_after_current();
        }
        let mut edits = Edits::default();
        if style.upgrade().is_some() {
            edits.keep_upgrade();
        }
        let head = style.head();
        codec.encode_request(stream, &head, &edits, &mut self.out).expect("the head can be said");
        grammar.asked(head.method == Method::Connect);
        self.body_due = Some(stream);
        if !style.is_late() {
            self.send_body(codec);
        }
    }

    /// Sends what the request still owes, and checks that it was one request.
    fn send_body(&mut self, codec: &mut dyn Codec) {
        let Some(stream) = self.body_due.take() else { return };
        let out = &mut self.out;
        for piece in [&b"ab"[..], b"c"] {
            let grant = codec.encode_data(stream, piece, out);
            // What a tunnel or a message without payload has no room for stays unsent.
            if codec.relayable_in().is_none_or(|most| most != u64::MAX) {
                out.extend_from_slice(&piece[..grant.allowed]);
                out.extend_from_slice(if grant.allowed > 0 { grant.suffix } else { b"" });
            }
        }
        let mut trailers = Edits::default();
        trailers.add(b"checksum", b"42");
        codec.encode_trailers(stream, &trailers.added(), out);
        codec.encode_end(stream, out);
        match plain_http1::read(out, Role::Request) {
            Reading::Whole(_, length) => {
                assert_eq!(length, out.len(), "bytes behind the request: {}", out.escape_ascii());
            }
            other => panic!("{other:?}: {}", out.escape_ascii()),
        }
        out.clear();
    }
}

/// How long the body of a response is, by its request, status and fields (RFC 9112 section 6.3).
fn expected_body(response: &Response, style: Style) -> BodyLength {
    let method = style.head().method;
    let value = |name| response.fields.iter().find(|field| field.is(name)).map(|field| &field.value);
    let number = |digits: &Bytes| String::from_utf8_lossy(digits).parse().expect("a length is a number");
    match response.status {
        101 => BodyLength::Streamed,
        200..=299 if method == Method::Connect => BodyLength::Streamed,
        100..=199 | 204 | 304 => BodyLength::None,
        _ if method == Method::Head => BodyLength::None,
        _ => value("content-length").map_or(BodyLength::Streamed, |digits| BodyLength::Sized(number(digits))),
    }
}

/// What one request is like.
#[derive(Clone, Copy, Debug)]
struct Style(u8);

impl Style {
    fn head(self) -> RequestHead<'static> {
        let (method, path, body): (Method<'_>, &[u8], _) = match self.0 & 7 {
            1 => (Method::Head, b"/", BodyLength::None),
            2 => (Method::Connect, b"", BodyLength::None),
            4 => (Method::Post, b"/", BodyLength::Sized(3)),
            5 => (Method::Put, b"/", BodyLength::Streamed),
            6 => (Method::Options, b"*", BodyLength::None),
            7 => (Method::Other(b"get"), b"/?", BodyLength::Sized(0)),
            _ => (Method::Get, b"/", BodyLength::None),
        };
        RequestHead {
            rpc: None,
            method,
            version: Version::Http11,
            authority: b"a.test:80",
            path,
            authority_overrides_host: true,
            fields: Default::default(),
            body,
            upgrade: self.upgrade(),
            expects_continue: false,
        }
    }

    fn upgrade(self) -> Option<&'static [u8]> {
        (self.0 & 7 == 3).then_some(b"websocket")
    }

    /// The body is sent when the response is whole.
    fn is_late(self) -> bool {
        self.0 & 8 != 0
    }

    fn closes(self) -> bool {
        self.0 & 16 != 0
    }
}
