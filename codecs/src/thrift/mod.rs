//! Apache Thrift over frames: messages of the binary and the compact protocol, and THeader, whose info headers are read and
//! changed. Layouts after Thrift 0.20's thrift-rpc.md, thrift-compact-protocol.md and HeaderFormat.md.

mod exception;
mod header;
mod layout;
mod message;

pub(crate) use exception::write_exception;
pub use layout::Thrift;
pub(crate) use message::{Encoding, Message, MessageError, MessageType, put_message, read_binary};

/// An empty struct of arguments.
pub(crate) const NO_ARGUMENTS: &[u8] = &[0];
