//! The rules of the house, checked by reading the tree: how long files and functions may be, where `unsafe` may stand,
//! who may depend on whom, what the pure crates must not know, and what the documents must name.
//!
//! Each module is one rule: a function from a file's text (or a list of names) to what is wrong with it, with tests that
//! show that it can fail. `tests/house.rs` runs all of them over the repository. Only code is looked at where code is
//! meant: comments and strings never break a rule, because files are read as tokens ([`source`]).

pub mod architecture;
pub mod examples;
pub mod finding;
pub mod hosts;
pub mod layers;
pub mod leftovers;
pub mod lints;
pub mod opening;
pub mod purity;
pub mod repository;
pub mod size;
pub mod source;

pub use finding::Finding;
pub use source::Source;
