//! Chains of route tables (SOFAMosn's): which tables a listener asks, in which order, and when one of them lets the next
//! have a request. Plain data; the chain at work is [`crate::route::RouteTable`].

use super::{VirtualHost, ZoneMap};

/// Virtual hosts that a chain knows by a name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NamedTable {
    /// Empty for the virtual hosts of a listener's own.
    pub name: String,
    pub virtual_hosts: Vec<VirtualHost>,
}

/// A turn in a chain.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChainLink {
    pub tables: LinkTables,
    /// Holds for each of its tables.
    pub pass_on: PassOn,
}

/// Whose turn it is. Tables are told by their places among those of the chain.
#[derive(Debug, Clone, PartialEq)]
pub enum LinkTables {
    Table(usize),
    /// A request's cell, its city and the world, in turn.
    Zones(Box<ZoneMap>),
}

impl Default for LinkTables {
    fn default() -> Self {
        LinkTables::Table(0)
    }
}

/// When a table lets the next one of its chain have a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PassOn {
    /// None of its routes takes the request.
    pub no_match: bool,
    /// The route that takes it has no cluster with a healthy endpoint.
    pub no_healthy_endpoint: bool,
}
