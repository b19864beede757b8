//! What the protocols of framed calls (bolt, Dubbo, Tars, Thrift) have in common: frames with a kind, an id and a length,
//! whose head tells the service and the method, and whose payload nobody here needs to see.
//!
//! A protocol implements [`Layout`], which is pure reading and writing of single heads; it knows no connection. The codecs of
//! its connections are made of that here: `gather` finds a head, in the input or in the carry, `incoming` what follows it,
//! `slots` keeps the exchanges under way, `server` and `client` tell them and write them on, `outgoing` sees to it that frames
//! do not mix, `control` holds what the connection itself has to say until it may.
//!
//! A frame that nobody changed goes out as it came, with another id: its head is copied into the head of the outgoing frame,
//! its payload is lent piece by piece and never looked at, unless the protocol has a checksum.

mod call;
mod checksum;
mod client;
mod control;
mod frame;
mod gather;
mod head;
mod incoming;
mod layout;
mod outgoing;
mod server;
mod slots;

pub use crate::detection::Detection;
pub use call::{Call, NewCall, Span};
pub use client::MAX_UPSTREAM_CALLS;
pub use control::MAX_CONTROL_BYTES;
pub use frame::{Frame, FrameKind, Scan, ScanLimits};
pub use head::{RpcHead, whole_call};
pub use layout::{Layout, PoolMode};
pub use slots::MAX_STREAMS;

use crate::codec::Codec;
use crate::registry::CodecOptions;

/// A codec for a downstream connection: decodes calls, encodes answers.
pub fn server<L: Layout>(options: CodecOptions) -> Box<dyn Codec> {
    Box::new(server::Server::<L>::new(options))
}

/// A codec for an upstream connection: encodes calls, decodes answers.
pub fn client<L: Layout>(options: CodecOptions) -> Box<dyn Codec> {
    Box::new(client::Client::<L>::new(options))
}
