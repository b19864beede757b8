//! Hessian 2.0 as far as a proxy needs it: strings in place and skipping everything else, for routing; whole values, for
//! bridging, also in the dialect that SOFARPC's library speaks. After the Hessian 2.0 serialization protocol (draft of 2007),
//! section 4, and what Caucho's Hessian2Output 3.1 writes.

mod early;
mod output;
mod reader;
mod skip;
mod text;
mod value;
mod write;

pub use output::{Dialect, Output};
pub use reader::{HessianError, Reader};
pub use skip::Classes;
pub use text::{Text, write_text};
pub use value::{Class, Document, MAX_VALUES, Node, Value};
pub use write::{
    begin_list, begin_map, end_map, write_bool, write_bytes, write_double, write_int, write_long, write_null,
    write_string,
};
