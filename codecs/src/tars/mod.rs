//! Tars: a length and a JCE struct. Layout after the Tars protocol's RequestPacket and ResponsePacket (RequestF.tars), in
//! every width of integer that its encoders choose.

mod jce;
mod layout;
mod packet;

pub use layout::Tars;
