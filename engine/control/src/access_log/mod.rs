//! The access log: formats compiled from the configuration, and the thread that writes what the cores hand over. No
//! core waits for it.

mod escape;
mod format;
mod operator;
mod time_format;

pub use format::{Format, FormatError};
