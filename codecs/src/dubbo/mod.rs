//! Apache Dubbo's protocol, version 2: a header of 16 bytes and a body that is hessian2 or anything else. Layout after Dubbo
//! 2.7's ExchangeCodec and DubboCodec.

mod body;
mod header;
mod layout;
mod status;

pub use layout::Dubbo;
pub(crate) use layout::read_answer_header;
