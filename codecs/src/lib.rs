//! Wire protocols of Sidering: bytes in, events out, and framing back.
//!
//! A codec is a state machine over one connection. It performs no I/O, reads no clock, and never keeps a body byte:
//! [`Codec::decode`] lends ranges of the caller's receive buffer and [`Codec::encode_data`] writes only the framing
//! around payload the caller sends itself. Everything a codec understands is told in one neutral message
//! ([`message`]): a head, data, trailers, an end. Adding a protocol is one folder here and one line in [`registry`]: a protocol
//! of framed calls writes a [`rpc::Layout`] and gets its codecs of that, another one implements [`Codec`].

pub mod bolt;
pub mod bridge;
pub mod carry;
pub mod codec;
pub mod detection;
pub mod dubbo;
pub mod dubbo_thrift;
pub mod edits;
pub mod hessian2;
pub mod http1;
pub mod json;
pub mod message;
pub mod registry;
pub mod rpc;
pub mod tars;
pub mod thrift;

pub use codec::{Codec, Control, Event, Grant, InputEnd, ProtocolError, Scratch, StreamId};
pub use edits::Edits;
pub use message::{
    BodyLength, Field, FieldName, FieldSpan, Fields, Method, RequestHead, ResponseHead, Version,
};
