//! Feeds a codec the way the data plane does, piece by piece and each in a buffer of its own, and checks at every step
//! what the contract of `Codec` promises.

use crate::grammar::{ExpectedEnd, Grammar};
use crate::plain_chunks::is_token;
use crate::said::{Field, Said, push, said};
use sidering_codecs::registry::CodecOptions;
use sidering_codecs::{Codec, Event, InputEnd, ProtocolError, Scratch, StreamId};

/// Besides a head, a codec may take framing without telling anything: empty lines, one chunk's end and the next one's
/// size line with its extension.
const FRAMING_BYTES: usize = 4 + 2 + 16 + 256 + 2;
/// What may be said of a message that is not decoded any further: its head and its end, an interim answer's next head.
const EVENTS_WITHOUT_INPUT: usize = 2;
const SERVER_STATUSES: [u16; 7] = [400, 413, 414, 417, 431, 501, 505];
/// The longest method that may pass.
const METHOD_BYTES: usize = 64;

/// The other direction of the connection: what is sent in answer to events.
pub trait Partner {
    /// Before the first byte arrives.
    fn begin(&mut self, codec: &mut dyn Codec, grammar: &mut Grammar);
    /// After an event.
    fn react(&mut self, codec: &mut dyn Codec, grammar: &mut Grammar, said: &Said);
}

/// What is done besides feeding, and must make no difference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Variant {
    Plain,
    /// Payload that the kernel could relay goes past the codec.
    Relays,
    /// A server's codec that goes on after an exchange is replaced by a new one: nothing of the exchange may linger.
    Renews,
}

/// One side of one connection under test.
pub struct Receiver {
    make: fn(CodecOptions) -> Box<dyn Codec>,
    codec: Box<dyn Codec>,
    options: CodecOptions,
    grammar: Grammar,
    variant: Variant,
    /// What the codec would not look at yet.
    left: Vec<u8>,
    said: Vec<Said>,
    /// Bytes taken of which nothing was told yet.
    untold: usize,
    scratch: Scratch,
}

/// What came of it all.
#[derive(Debug)]
pub struct Conversation {
    pub said: Vec<Said>,
    pub left: Vec<u8>,
    pub end: Result<InputEnd, u16>,
    pub is_reusable: bool,
    pub is_idle: bool,
}

impl Receiver {
    /// A codec with these options, before its first byte.
    pub fn new(
        make: fn(CodecOptions) -> Box<dyn Codec>,
        options: CodecOptions,
        grammar: Grammar,
        variant: Variant,
    ) -> Self {
        let (codec, scratch) = (make(options), Scratch::default());
        Receiver { make, codec, options, grammar, variant, left: vec![], said: vec![], untold: 0, scratch }
    }

    /// Feeds all pieces and then the end of the input.
    pub fn converse(mut self, pieces: &[&[u8]], partner: &mut dyn Partner) -> Conversation {
        partner.begin(&mut *self.codec, &mut self.grammar);
        for piece in pieces {
            self.feed(piece, partner);
            if self.is_refused() {
                self.stays_refused();
                break;
            }
        }
        let (is_reusable, is_idle) = (self.codec.is_reusable(), self.codec.is_idle());
        let end = self.codec.decode_end().map_err(|error| error.status);
        self.check_end(end);
        Conversation { said: self.said, left: self.left, end, is_reusable, is_idle }
    }

    fn feed(&mut self, piece: &[u8], partner: &mut dyn Partner) {
        let buffer = [self.left.as_slice(), piece].concat().into_boxed_slice();
        let mut input = &*buffer;
        let mut without_input = 0;
        while !self.is_refused() {
            let before = input.len();
            if !self.relay(&mut input) && !self.decode(&mut input) {
                break;
            }
            without_input = if input.len() == before { without_input + 1 } else { 0 };
            assert!(without_input <= EVENTS_WITHOUT_INPUT, "events without end: {:?}", self.said.last());
            if let Some(last) = self.said.last() {
                partner.react(&mut *self.codec, &mut self.grammar, last);
                self.renew();
            }
        }
        self.left = input.to_vec();
    }

    fn renew(&mut self) {
        let is_over = self.grammar.is_server() && self.said.last() == Some(&Said::End);
        if self.variant == Variant::Renews && is_over && self.codec.is_idle() && self.codec.is_reusable() {
            self.codec = (self.make)(self.options);
            self.grammar = Grammar::server();
        }
    }

    /// Takes payload past the codec, if that is the way here.
    fn relay(&mut self, input: &mut &[u8]) -> bool {
        let relayable = self.codec.relayable_in();
        if relayable.is_some() || self.grammar.relayable() == Some(u64::MAX) {
            assert_eq!(relayable, self.grammar.relayable(), "what may be relayed");
        }
        let Some(most) = relayable.filter(|_| self.variant == Variant::Relays && !input.is_empty()) else {
            return false;
        };
        let (payload, rest) = input.split_at(most.min(input.len() as u64) as usize);
        *input = rest;
        self.codec.skip_in(payload.len() as u64);
        self.tell(None, Said::Data(payload.into()));
        true
    }

    /// Decodes one event; tells whether there was one.
    fn decode(&mut self, input: &mut &[u8]) -> bool {
        let whole = *input;
        let outcome = self.codec.decode(&mut self.scratch, input);
        self.untold += whole.len() - input.len();
        let (stream, one) = match outcome {
            Ok(Some(event)) => {
                if let Event::Data { bytes, .. } = &event {
                    let taken = &whole[..whole.len() - input.len()];
                    assert_eq!(
                        bytes.as_ptr_range().end,
                        taken.as_ptr_range().end,
                        "payload is lent, not copied"
                    );
                }
                (Some(stream_of(&event)), said(&event))
            }
            Ok(None) => {
                let bound = self.options.header_bytes as usize + FRAMING_BYTES;
                assert!(self.untold <= bound, "{} bytes held", self.untold);
                self.stays_silent(input);
                return false;
            }
            Err(ProtocolError { status, .. }) => (None, Said::Refused(status)),
        };
        self.untold = 0;
        self.tell(stream, one);
        true
    }

    fn tell(&mut self, stream: Option<StreamId>, one: Said) {
        self.grammar.check(stream, &one);
        self.check_limits(&one);
        push(&mut self.said, one);
    }

    /// A codec that wants no more of its input wants no more of it a second time.
    fn stays_silent(&mut self, input: &mut &[u8]) {
        let before = input.len();
        let again = self.codec.decode(&mut self.scratch, input);
        assert!(matches!(again, Ok(None)) && input.len() == before, "asked twice, answered differently");
    }

    /// After an error nothing more is told, whatever comes.
    fn stays_refused(&mut self) {
        assert!(!self.codec.is_reusable(), "a refused connection is never used again");
        for more in [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], b"HTTP/1.1 200 OK\r\n\r\n", b"0\r\n\r\n", b""]
        {
            let told = matches!(self.codec.decode(&mut self.scratch, &mut { more }), Ok(Some(_)));
            assert!(!told, "an event after an error");
        }
    }

    fn is_refused(&self) -> bool {
        matches!(self.said.last(), Some(Said::Refused(_)))
    }

    fn check_end(&self, end: Result<InputEnd, u16>) {
        match self.grammar.expected_end() {
            ExpectedEnd::Is(expected) => assert_eq!(end, Ok(expected), "what the end of the input means"),
            ExpectedEnd::Error => assert!(end.is_err(), "a message cut short passes for whole"),
            ExpectedEnd::BetweenMessages => assert!(matches!(end, Ok(InputEnd::Idle) | Err(400)), "{end:?}"),
            ExpectedEnd::Anything => {}
        }
    }

    fn check_limits(&self, one: &Said) {
        let CodecOptions { header_bytes, headers, uri_bytes, .. } = self.options;
        let fields = match one {
            Said::Request(request) => {
                let target =
                    request.path.len() + if request.path.is_empty() { request.authority.len() } else { 0 };
                // A slash is put where an absolute target has no path.
                assert!(target <= uri_bytes as usize + 1, "a target beyond its bound");
                assert!(
                    is_token(&request.method) && request.method.len() <= METHOD_BYTES,
                    "{:?}",
                    request.method
                );
                assert!(request.path.iter().all(u8::is_ascii_graphic), "{:?}", request.path);
                &request.fields
            }
            Said::Response(response) => {
                assert!((100..=599).contains(&response.status));
                &response.fields
            }
            Said::Trailers(fields) => fields,
            Said::Refused(status) => {
                let is_known =
                    if self.is_server() { SERVER_STATUSES.contains(status) } else { *status == 502 };
                assert!(is_known, "refused with {status}");
                return;
            }
            Said::Data(_) | Said::End => return,
        };
        assert!(fields.len() <= usize::from(headers), "more fields than allowed");
        let bytes: usize = fields.iter().map(|field| field.name.len() + field.value.len() + 2).sum();
        assert!(bytes <= header_bytes as usize, "more bytes than allowed");
        fields.iter().for_each(check_field);
    }

    fn is_server(&self) -> bool {
        self.grammar.is_server()
    }
}

fn check_field(field: &Field) {
    assert!(is_token(&field.name), "{field:?}");
    assert!(!field.value.iter().any(|byte| b"\r\n\0".contains(byte)), "{field:?}");
    assert_eq!(field.value.trim_ascii(), &*field.value, "{field:?}");
}

fn stream_of(event: &Event<'_>) -> StreamId {
    match event {
        Event::Request { stream, .. }
        | Event::Response { stream, .. }
        | Event::Data { stream, .. }
        | Event::Trailers { stream, .. }
        | Event::End { stream }
        | Event::Reset { stream } => *stream,
        Event::Control(_) | Event::Stray => panic!("HTTP/1 has no messages of the connection"),
    }
}
