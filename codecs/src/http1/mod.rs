//! HTTP/1.0 and HTTP/1.1 (RFC 9112), both sides. It may not lower its strictness to suit a peer: a message that two
//! parsers could read differently is refused, never repaired and forwarded.
//!
//! How a head travels: `gather` finds it whole, `request` or `response` reads it into offsets with the help of
//! `fields`, `names`, `options`, `target` and `framing`, and `server` or `client` lends it out as an event. Bodies come
//! in through `incoming` (with `chunked`) and go out through `outgoing`; heads go out through `write`.
//!
//! Choices that RFC 9110 and RFC 9112 leave to a proxy, made here:
//! - `TE`, `Keep-Alive`, `Proxy-Connection`, `Connection`, `Transfer-Encoding` and `Upgrade` end at this hop. `Trailer`
//!   passes, since trailers pass. `TE: trailers` is dropped with the rest: it would need `Connection: TE` beside it.
//! - `Proxy-Authorization` and `Proxy-Authenticate` pass: a sidecar is not the proxy that they address.
//! - Bad whitespace in chunk framing is refused although RFC 9112 section 7.1.1 would have it parsed.
//! - A comma in Host is refused although RFC 3986 allows it: it is what two merged Host fields look like.
//! - `CONNECT` with a body is refused; a request whose Upgrade names h2c or h2, that has a body, or that is HEAD
//!   loses its Upgrade.

mod chunked;
mod client;
mod detect;
mod fields;
mod framing;
mod gather;
mod incoming;
mod local_reply;
mod names;
mod options;
mod outgoing;
mod place;
mod request;
mod response;
mod server;
mod status;
mod target;
mod write;

pub use detect::detect;

use crate::codec::{Codec, ProtocolError};
use crate::registry::CodecOptions;

/// A codec for a downstream connection: decodes requests, encodes responses.
pub fn server(options: CodecOptions) -> Box<dyn Codec> {
    Box::new(server::Server::new(options))
}

/// A codec for an upstream connection: encodes requests, decodes responses.
pub fn client(options: CodecOptions) -> Box<dyn Codec> {
    Box::new(client::Client::new(options))
}

/// The method by which a response's framing and meaning depend on its request (RFC 9112 section 6.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Plain,
    /// The response has no body whatever its fields say.
    Head,
    /// A 2xx response turns the connection into a tunnel.
    Connect,
    /// A 101 response turns the connection into a tunnel.
    Upgrade,
}

/// Malformed bytes: status 400.
const fn malformed(reason: &'static str) -> ProtocolError {
    ProtocolError { status: 400, reason }
}

/// Bytes refused with another status than 400.
const fn refused(status: u16, reason: &'static str) -> ProtocolError {
    ProtocolError { status, reason }
}
