//! What the protocols of framed calls (bolt, Dubbo, Tars, Thrift) have in common: frames with a kind, an id and a length,
//! whose head tells the service and the method, and whose payload nobody here needs to see.
//!
//! A protocol implements [`Layout`], which is pure reading and writing of single heads; it knows no connection.

mod call;
mod frame;
mod layout;

pub use call::{Call, Span};
pub use frame::{Frame, FrameKind, Scan, ScanLimits};
pub use layout::{Detection, Layout, PoolMode};
