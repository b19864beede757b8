//! The routes of one listener, compiled: the chain of its route tables, which domain of a table takes an authority, and
//! which of its routes a request. They are compiled once for each configuration and never change, so that all cores share
//! them.

use super::condition::mismatch;
use super::domains::{Authority, Domains};
use super::explain::{Considered, Explanation};
use super::index::HostIndex;
use super::request::RequestView;
use super::zones::Zones;
use crate::config::{ChainLink, Conditions, LinkTables, NamedTable, PassOn, Route, RouteMatch, VirtualHost};

/// Virtual hosts, ready for lookups: one table of them, or a chain of tables. Two are equal if they were compiled from the
/// same.
#[derive(Debug, Default)]
pub struct RouteTable {
    /// Of all tables, one after the other.
    virtual_hosts: Vec<VirtualHost>,
    indices: Box<[HostIndex]>,
    tables: Box<[Table]>,
    chain: Box<[ChainLink]>,
    /// Of each link that has one, its map.
    zones: Box<[Option<Zones>]>,
    asks: Asks,
    goes_by_method: bool,
}

/// One table of the chain.
#[derive(Debug)]
struct Table {
    name: String,
    /// Its virtual hosts are these of the whole.
    hosts: std::ops::Range<usize>,
    domains: Domains,
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
        let table = NamedTable { name: String::new(), virtual_hosts };
        RouteTable::chained(vec![table], vec![ChainLink::default()])
    }

    /// Compiles checked tables (no domain stands twice in one) and the chain in which they are asked.
    #[must_use]
    pub fn chained(tables: Vec<NamedTable>, chain: Vec<ChainLink>) -> Self {
        let mut virtual_hosts = vec![];
        let mut compiled = vec![];
        for NamedTable { name, virtual_hosts: hosts } in tables {
            let domains = Domains::compile(&hosts);
            let first = virtual_hosts.len();
            virtual_hosts.extend(hosts);
            compiled.push(Table { name, hosts: first..virtual_hosts.len(), domains });
        }
        let indices = virtual_hosts.iter().map(|host| HostIndex::compile(&host.routes)).collect();
        let asks = asks(&virtual_hosts);
        let zones = chain.iter().map(|link| match &link.tables {
            LinkTables::Table(_) => None,
            LinkTables::Zones(map) => Some(Zones::compile(map)),
        });
        let zones = zones.collect();
        let goes_by_method = goes_by_method(&virtual_hosts, &chain);
        let (tables, chain) = (compiled.into(), chain.into());
        RouteTable { virtual_hosts, indices, tables, chain, zones, asks, goes_by_method }
    }

    /// The virtual hosts that it was compiled from, of all tables.
    #[must_use]
    pub fn virtual_hosts(&self) -> &[VirtualHost] {
        &self.virtual_hosts
    }

    /// The tables that it was compiled from, by name.
    pub fn tables(&self) -> impl Iterator<Item = (&str, &[VirtualHost])> {
        self.tables.iter().map(|table| (table.name.as_str(), &self.virtual_hosts[table.hosts.clone()]))
    }

    /// The order in which the tables are asked.
    #[must_use]
    pub fn chain(&self) -> &[ChainLink] {
        &self.chain
    }

    /// Whether the service and the method are all that the route of a call depends on: no route asks for anything else, and no
    /// table passes on what it takes itself.
    #[must_use]
    pub fn goes_by_method(&self) -> bool {
        self.goes_by_method
    }

    /// What a view for [`RouteTable::find`] must know.
    #[must_use]
    pub fn asks(&self) -> Asks {
        self.asks
    }

    /// The route for a request: in the first table of the chain that does not pass it on, the virtual host by authority
    /// (exact, longest suffix, longest prefix, `*`; with the port, or a service's version, as sent first, then without), then its first route that
    /// takes the request. `serves` tells of a route that was found whether it has somewhere healthy to send requests; where
    /// none of the tables has one that does, the last one found stands. Allocates nothing.
    pub fn find_serving(
        &self,
        view: &RequestView<'_>,
        serves: impl Fn(&Route) -> bool,
    ) -> Option<Routed<'_>> {
        let mut last = None;
        for (table, pass_on) in self.turns(view) {
            match self.find_in(table, view) {
                Some(found) => {
                    last = Some(found);
                    if !pass_on.no_healthy_endpoint || serves(found.route) {
                        break;
                    }
                }
                None if pass_on.no_match => {}
                None => break,
            }
        }
        last
    }

    /// The same while everything is healthy.
    #[must_use]
    pub fn find(&self, view: &RequestView<'_>) -> Option<Routed<'_>> {
        self.find_serving(view, |_| true)
    }

    /// The tables that a request is looked up in, one after the other.
    fn turns(&self, view: &RequestView<'_>) -> impl Iterator<Item = (usize, PassOn)> {
        self.chain.iter().zip(&self.zones).flat_map(|(link, zones)| {
            let tables = match (&link.tables, zones) {
                (LinkTables::Table(table), _) => [Some(*table), None, None],
                (LinkTables::Zones(_), Some(zones)) => zones.tables(view),
                (LinkTables::Zones(_), None) => [None; 3],
            };
            tables.into_iter().flatten().map(|table| (table, link.pass_on))
        })
    }

    fn find_in(&self, table: usize, view: &RequestView<'_>) -> Option<Routed<'_>> {
        let virtual_host = self.host_in(table, view)?;
        let routes = &self.virtual_hosts[virtual_host].routes;
        let index = self.indices[virtual_host].find(routes, view)?;
        Some(Routed { virtual_host, index, route: &routes[index] })
    }

    fn host_in(&self, table: usize, view: &RequestView<'_>) -> Option<usize> {
        let table = self.tables.get(table)?;
        let what = if view.rpc.is_some() { Authority::Service } else { Authority::Host };
        Some(table.hosts.start + table.domains.find(view.authority, what)? as usize)
    }

    /// What [`RouteTable::find`] finds, asking one route after the other, and telling of each why it did not take the
    /// request.
    #[must_use]
    pub fn explain(&self, view: &RequestView<'_>) -> Explanation<'_> {
        self.explain_serving(view, |_| true)
    }

    /// What [`RouteTable::find_serving`] finds, in the same way.
    pub fn explain_serving(
        &self,
        view: &RequestView<'_>,
        serves: impl Fn(&Route) -> bool,
    ) -> Explanation<'_> {
        let mut told = Explanation::default();
        for (table, pass_on) in self.turns(view) {
            told.tables.extend(self.tables.get(table).map(|table| table.name.as_str()));
            let host = self.host_in(table, view);
            let found = host.and_then(|host| self.consider(host, view, &mut told.refused));
            match found {
                Some(found) if pass_on.no_healthy_endpoint && !serves(found.route) => {
                    told.passed_on.push(found);
                }
                None if pass_on.no_match => told.virtual_host = host.or(told.virtual_host),
                found => {
                    told.found = found;
                    told.virtual_host = host.or(told.virtual_host);
                    break;
                }
            }
        }
        // Where no later table takes it, it stays with the last that did.
        told.found = told.found.or(told.passed_on.last().copied());
        told.virtual_host = told.found.map(|found| found.virtual_host).or(told.virtual_host);
        told
    }

    fn consider<'t>(
        &'t self,
        virtual_host: usize,
        view: &RequestView<'_>,
        refused: &mut Vec<Considered<'t>>,
    ) -> Option<Routed<'t>> {
        for (index, route) in self.virtual_hosts[virtual_host].routes.iter().enumerate() {
            match mismatch(&route.matcher, view) {
                Some(mismatch) => refused.push(Considered { virtual_host, index, route, mismatch }),
                None => return Some(Routed { virtual_host, index, route }),
            }
        }
        None
    }

    /// The route at this place, as [`Routed`] tells it.
    #[must_use]
    pub fn route(&self, virtual_host: usize, index: usize) -> Option<&Route> {
        self.virtual_hosts.get(virtual_host)?.routes.get(index)
    }
}

fn asks(virtual_hosts: &[VirtualHost]) -> Asks {
    let routes = virtual_hosts.iter().flat_map(|host| &host.routes);
    let conditions = routes.filter_map(|route| route.matcher.conditions.as_deref());
    conditions.fold(Asks::default(), |asks, conditions| Asks {
        source: asks.source || !conditions.sources.is_empty(),
        random: asks.random || conditions.runtime_fraction.is_some(),
    })
}

fn goes_by_method(virtual_hosts: &[VirtualHost], chain: &[ChainLink]) -> bool {
    let is_fixed =
        |link: &ChainLink| matches!(link.tables, LinkTables::Table(_)) && !link.pass_on.no_healthy_endpoint;
    let mut routes = virtual_hosts.iter().flat_map(|host| &host.routes);
    chain.iter().all(is_fixed) && routes.all(|route| asks_method_alone(&route.matcher))
}

/// Whether a match, on a path that all calls have, asks for nothing else than a call's service and method.
fn asks_method_alone(matcher: &RouteMatch) -> bool {
    let Some(conditions) = matcher.conditions.as_deref() else { return true };
    let Conditions { methods: _, headers, query, sources, grpc, runtime_fraction, rpc } = conditions;
    let asks_fields = !headers.is_empty() || !query.is_empty() || *grpc;
    let asks_others = !sources.is_empty() || runtime_fraction.is_some();
    !asks_fields && !asks_others && rpc.iter().all(|rpc| rpc.version.is_none() && rpc.group.is_none())
}

impl PartialEq for RouteTable {
    fn eq(&self, other: &Self) -> bool {
        self.chain == other.chain && self.tables().eq(other.tables())
    }
}
