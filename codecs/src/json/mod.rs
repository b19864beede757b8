//! JSON (RFC 8259) for bridging: a reader that borrows, bounds what it builds and says where a text is wrong, and what is needed to
//! write texts and numbers. Numbers stay as they were written: a long or a decimal loses nothing on its way.

mod read;
mod write;

pub use read::{Json, JsonError, MAX_DEPTH, MAX_VALUES, read};
pub use write::{is_number, write_base64, write_double, write_text};
