//! Processes: starting them where nothing is left behind, and reading what the kernel says about them.

pub(crate) mod child;
pub(crate) mod cpu;
pub(crate) mod machine;
pub(crate) mod memory;
pub(crate) mod stat;
pub(crate) mod tree;
