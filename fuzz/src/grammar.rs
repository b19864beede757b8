//! What may follow what in the events of one connection, kept apart from the codec: every message is one head, its data,
//! at most one trailer section, one end. It panics at the first event out of order.

use crate::said::{Request, Response, Said};
use sidering_codecs::{BodyLength, InputEnd, StreamId};

/// At most this many interim responses may come before the final one.
const INTERIM_RESPONSES: u32 = 16;

/// Where the events stand.
///
/// ```text
/// Idle --ready--> Head --head--> Body --End--> Idle
///                  |              +---End, the answer opened a tunnel--> Tunnel
///                  +---head that opens a tunnel (client side)----------> Tunnel
/// any --error--> Refused
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    Idle,
    Head,
    Body(Body),
    Tunnel,
    Refused,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Body {
    length: BodyLength,
    received: u64,
    /// The end of the connection ends it.
    until_close: bool,
    had_trailers: bool,
}

/// What the end of the input must mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExpectedEnd {
    /// A clean end, or an error if a head was partly there.
    BetweenMessages,
    Is(InputEnd),
    Error,
    /// The connection was refused before.
    Anything,
}

/// The events so far.
#[derive(Debug)]
pub struct Grammar {
    at: At,
    is_server: bool,
    /// The answer to the request under way opened a tunnel.
    opened_tunnel: bool,
    exchanges: u64,
    interim_responses: u32,
    /// The client's requests under way ask for these.
    asked_connect: bool,
}

impl Grammar {
    /// For the events of a server's codec.
    pub fn server() -> Self {
        Grammar {
            at: At::Head,
            is_server: true,
            opened_tunnel: false,
            exchanges: 0,
            interim_responses: 0,
            asked_connect: false,
        }
    }

    /// For the events of a client's codec.
    pub fn client() -> Self {
        Grammar { at: At::Idle, is_server: false, ..Grammar::server() }
    }

    /// Server side: the exchange is over in both directions, and another request may come.
    pub fn ready(&mut self) {
        if self.at == At::Idle {
            self.at = At::Head;
        }
    }

    /// Client side: a request went out.
    pub fn asked(&mut self, is_connect: bool) {
        assert_eq!(self.at, At::Idle, "an exchange was opened while another was under way");
        self.at = At::Head;
        self.exchanges += 1;
        self.interim_responses = 0;
        self.asked_connect = is_connect;
    }

    /// Server side: the head that was sent opens a tunnel.
    pub fn open_tunnel(&mut self) {
        self.opened_tunnel = true;
        if self.at == At::Idle {
            self.at = At::Tunnel;
        }
    }

    /// Whether these are a server's events.
    pub fn is_server(&self) -> bool {
        self.is_server
    }

    /// Whether the peer's message is whole.
    pub fn is_between(&self) -> bool {
        matches!(self.at, At::Idle | At::Head)
    }

    /// The bytes of payload that must be relayable unseen now.
    pub fn relayable(&self) -> Option<u64> {
        match self.at {
            At::Tunnel => Some(u64::MAX),
            At::Body(Body { length: BodyLength::Sized(length), received, .. }) if received < length => {
                Some(length - received)
            }
            _ => None,
        }
    }

    /// Takes the next event.
    pub fn check(&mut self, stream: Option<StreamId>, said: &Said) {
        if self.is_server && matches!(said, Said::Request(_)) {
            self.exchanges += 1;
        }
        if let Some(stream) = stream {
            assert_eq!(stream, StreamId(self.exchanges), "an event of another exchange: {said:?}");
        }
        self.at = match (self.at, said) {
            (At::Refused, said) => panic!("{said:?} after an error"),
            (_, Said::Refused(_)) => At::Refused,
            (At::Head, Said::Request(request)) if self.is_server => At::Body(Body::of_request(request)),
            (At::Head, Said::Response(response)) if !self.is_server => self.after_response(response),
            (At::Body(mut body), Said::Data(bytes)) => {
                body.receive(bytes.len() as u64);
                At::Body(body)
            }
            (At::Body(body), Said::Trailers(fields)) => {
                assert!(body.length == BodyLength::Streamed && !body.until_close, "trailers without chunks");
                assert!(!body.had_trailers && !fields.is_empty(), "trailers twice, or none");
                At::Body(Body { had_trailers: true, ..body })
            }
            (At::Body(body), Said::End) => {
                body.end();
                if self.opened_tunnel { At::Tunnel } else { At::Idle }
            }
            (At::Tunnel, Said::Data(bytes)) => {
                assert!(!bytes.is_empty(), "data is never empty");
                At::Tunnel
            }
            (at, said) => panic!("{said:?} while {at:?}"),
        };
    }

    /// What the end of the input must mean now.
    pub fn expected_end(&self) -> ExpectedEnd {
        let message = ExpectedEnd::Is(InputEnd::Message(StreamId(self.exchanges)));
        match self.at {
            At::Idle => ExpectedEnd::Is(InputEnd::Idle),
            At::Head if self.is_server => ExpectedEnd::BetweenMessages,
            At::Tunnel | At::Body(Body { until_close: true, .. }) => message,
            At::Head | At::Body(_) => ExpectedEnd::Error,
            At::Refused => ExpectedEnd::Anything,
        }
    }

    fn after_response(&mut self, response: &Response) -> At {
        let is_success = (200..300).contains(&response.status);
        if response.is_interim() {
            assert_eq!(response.body, BodyLength::None, "an interim response has no body");
            self.interim_responses += 1;
            assert!(self.interim_responses <= INTERIM_RESPONSES, "too many interim responses");
            At::Head
        } else if response.status == 101 || self.asked_connect && is_success {
            assert_eq!(response.body, BodyLength::Streamed, "a tunnel has no known length");
            At::Tunnel
        } else {
            At::Body(Body::of_response(response))
        }
    }
}

impl Body {
    fn of_request(request: &Request) -> Body {
        Body { length: request.body, received: 0, until_close: false, had_trailers: false }
    }

    fn of_response(response: &Response) -> Body {
        let is_chunked = response.fields.iter().any(|field| field.is("transfer-encoding"));
        let until_close = response.body == BodyLength::Streamed && !is_chunked;
        Body { length: response.body, received: 0, until_close, had_trailers: false }
    }

    fn receive(&mut self, count: u64) {
        assert!(count > 0, "data is never empty");
        assert!(!self.had_trailers, "data behind trailers");
        self.received += count;
        match self.length {
            BodyLength::None => panic!("payload of a message that has none"),
            BodyLength::Sized(length) => assert!(self.received <= length, "more payload than announced"),
            BodyLength::Streamed => {}
        }
    }

    fn end(&self) {
        assert!(!self.until_close, "an end before the end of the connection");
        if let BodyLength::Sized(length) = self.length {
            assert_eq!(self.received, length, "an end before the announced length");
        }
    }
}
