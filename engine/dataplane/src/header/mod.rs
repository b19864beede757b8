//! Changes that the configuration makes to header fields: what goes, what is set, what is added, and the values. They are
//! written into the edits of a head, for its codec to write out; no head and no connection is touched here.

mod operations;
mod value;

pub use operations::{Bounds, TooLarge, apply};
pub use value::{Facts, Subject, capture_request};
