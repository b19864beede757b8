//! Every protocol Sidering speaks, one line each. Nothing else in the project lists protocols.

use crate::codec::Codec;

/// What a listener or cluster sets for its codecs. Small, and copied into each connection's codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecOptions {
    /// At most this many bytes of one head (start line and fields) or of trailers. 431 beyond.
    pub header_bytes: u32,
    /// At most this many fields in one head. 431 beyond. At most [`MAX_HEADERS`].
    pub headers: u16,
    /// At most this many bytes of request target. 414 beyond.
    pub uri_bytes: u32,
    /// Accept a bare LF as the end of a head's line (RFC 9112 section 2.2 allows it); never in chunked framing.
    pub lenient_line_ends: bool,
}

/// The largest value of [`CodecOptions::headers`].
pub const MAX_HEADERS: u16 = 256;

impl CodecOptions {
    /// What holds where nobody says anything else.
    pub const DEFAULT: Self = CodecOptions {
        header_bytes: 64 * 1024,
        headers: 100,
        uri_bytes: 16 * 1024,
        lenient_line_ends: false,
    };
}

impl Default for CodecOptions {
    fn default() -> Self {
        CodecOptions::DEFAULT
    }
}

/// One protocol: its name in the configuration and how its codecs are made.
#[derive(Debug)]
pub struct Protocol {
    /// As written in `protocol:`.
    pub name: &'static str,
    /// A codec for a downstream connection (decodes requests).
    pub server: fn(CodecOptions) -> Box<dyn Codec>,
    /// A codec for an upstream connection (decodes responses).
    pub client: fn(CodecOptions) -> Box<dyn Codec>,
}

/// The protocols, in the order in which detection asks them.
pub static PROTOCOLS: &[Protocol] =
    &[Protocol { name: "http1", server: crate::http1::server, client: crate::http1::client }];

/// The protocol of this name, if there is one.
pub fn protocol(name: &str) -> Option<&'static Protocol> {
    PROTOCOLS.iter().find(|protocol| protocol.name == name)
}
