//! The virtual hosts of one listener, compiled: which domain takes an authority, and which of its routes a request. It is
//! compiled once for each configuration and never changes, so that all cores share one.

use super::condition::mismatch;
use super::domains::Domains;
use super::explain::{Considered, Explanation};
use super::index::HostIndex;
use super::request::RequestView;
use crate::config::{Route, VirtualHost};

/// Virtual hosts, ready for lookups. Two are equal if they were compiled from the same.
#[derive(Debug, Default)]
pub struct RouteTable {
    virtual_hosts: Vec<VirtualHost>,
    domains: Domains,
    indices: Box<[HostIndex]>,
    asks: Asks,
}

/// What the routes of a table ask about that costs something to know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asks {
    pub source: bool,
    pub random: bool,
}

/// A route that was found.
#[derive(Debug, Clone, Copy)]
pub struct Routed<'a> {
    /// Index of the virtual host within the listener.
    pub virtual_host: usize,
    /// Index of the route within the virtual host.
    pub index: usize,
    pub route: &'a Route,
}

impl RouteTable {
    /// Compiles checked virtual hosts (no domain stands in two of them).
    #[must_use]
    pub fn compile(virtual_hosts: Vec<VirtualHost>) -> Self {
        let domains = Domains::compile(&virtual_hosts);
        let indices = virtual_hosts.iter().map(|host| HostIndex::compile(&host.routes)).collect();
        let conditions = virtual_hosts
            .iter()
            .flat_map(|host| &host.routes)
            .filter_map(|route| route.matcher.conditions.as_deref());
        let asks = conditions.fold(Asks::default(), |asks, conditions| Asks {
            source: asks.source || !conditions.sources.is_empty(),
            random: asks.random || conditions.runtime_fraction.is_some(),
        });
        RouteTable { virtual_hosts, domains, indices, asks }
    }

    /// What it was compiled from.
    #[must_use]
    pub fn virtual_hosts(&self) -> &[VirtualHost] {
        &self.virtual_hosts
    }

    /// What a view for [`RouteTable::find`] must know.
    #[must_use]
    pub fn asks(&self) -> Asks {
        self.asks
    }

    /// The route for a request: the virtual host by authority (exact, longest suffix, longest prefix, `*`; with the
    /// port as sent first, then without), then its first route that takes the request. Allocates nothing.
    #[must_use]
    pub fn find(&self, view: &RequestView<'_>) -> Option<Routed<'_>> {
        let virtual_host = self.domains.find(view.authority)? as usize;
        let routes = &self.virtual_hosts[virtual_host].routes;
        let index = self.indices[virtual_host].find(routes, view)?;
        Some(Routed { virtual_host, index, route: &routes[index] })
    }

    /// The same, asking one route after the other, and telling of each why it did not take the request.
    #[must_use]
    pub fn explain(&self, view: &RequestView<'_>) -> Explanation<'_> {
        let Some(virtual_host) = self.domains.find(view.authority).map(|host| host as usize) else {
            return Explanation { virtual_host: None, refused: vec![], found: None };
        };
        let mut refused = vec![];
        for (index, route) in self.virtual_hosts[virtual_host].routes.iter().enumerate() {
            match mismatch(&route.matcher, view) {
                Some(mismatch) => refused.push(Considered { index, route, mismatch }),
                None => {
                    let found = Some(Routed { virtual_host, index, route });
                    return Explanation { virtual_host: Some(virtual_host), refused, found };
                }
            }
        }
        Explanation { virtual_host: Some(virtual_host), refused, found: None }
    }

    /// The route at this place, as [`Routed`] tells it.
    #[must_use]
    pub fn route(&self, virtual_host: usize, index: usize) -> Option<&Route> {
        self.virtual_hosts.get(virtual_host)?.routes.get(index)
    }
}

impl PartialEq for RouteTable {
    fn eq(&self, other: &Self) -> bool {
        self.virtual_hosts == other.virtual_hosts
    }
}
