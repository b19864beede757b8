//! SOFA bolt, versions 1 and 2, which may mix on one connection. Layouts after SOFABolt 1.6 and reference frames of
//! npm's sofa-bolt-node.

mod fields;
mod header;
mod layout;
mod status;

pub use layout::Bolt;
pub(crate) use layout::read_answer_header;
