//! From a request to a route, and to where it sends the request. Nothing here looks at anything but its arguments, and
//! lookups allocate nothing.

mod condition;
mod domains;
mod explain;
mod group;
mod index;
pub mod normalize;
mod pattern;
mod request;
pub mod split;
mod substitution;
mod table;
pub mod target;
mod template;
mod trie;
mod zones;

pub use condition::Mismatch;
pub use explain::{Considered, Explanation};
pub use pattern::{PATTERN_BYTES, Pattern, PatternError};
pub(crate) use request::path_without_query;
pub use request::{RequestView, RpcView};
pub use substitution::{REPLACEMENT_BYTES, Substitution, SubstitutionCaches, SubstitutionError, TooLong};
pub use table::{Asks, RouteTable, Routed};
pub use template::{Template, VARIABLES};

#[cfg(test)]
mod chain_tests;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod zone_tests;
