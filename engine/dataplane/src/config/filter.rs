//! A listener's chain of filters, and what virtual hosts and routes say of its members.

use crate::filter::FilterConfig;

/// A member of a listener's chain. No name stands twice in a chain.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainedFilter {
    pub config: FilterConfig,
    /// Only virtual hosts and routes that configure it have it.
    pub disabled: bool,
}

/// What a virtual host or a route says of a member of its listener's chain: the most special one holds.
#[derive(Debug, Clone, PartialEq)]
pub struct FilterOverride {
    /// The name of the filter.
    pub filter: &'static str,
    /// `None`: requests go past it.
    pub config: Option<FilterConfig>,
}
