//! Reads the chains in which listeners ask route tables.

use super::cluster::Clusters;
use super::named::{Kind, Named};
use super::problem::{Place, Problems};
use super::route::virtual_hosts;
use super::section::{Section, choice, list};
use super::tree::{Tree, Value};
use super::{filter, zone};
use sidering_dataplane::config::{ChainLink, LinkTables, NamedTable, PassOn};
use sidering_dataplane::route::RouteTable;

/// A request that nobody takes is looked up in every table of a chain.
const MOST_LINKS: usize = 16;

/// What chains are made of.
pub(super) struct Parts<'t> {
    tables: Named<'t>,
    zones: Named<'t>,
}

impl<'t> Parts<'t> {
    /// Reads the names of `route_tables` and `zone_routing`.
    pub(super) fn read(root: &mut Section<'t>) -> Self {
        let problems = root.problems;
        let table = Kind { one: "route table", with_article: "a route table", key: "route_tables" };
        let zones = Kind { one: "zone map", with_article: "a zone map", key: "zone_routing" };
        Parts {
            tables: Named::read(table, root.find("route_tables"), problems),
            zones: Named::read(zones, root.find("zone_routing"), problems),
        }
    }

    pub(super) fn warn_of_unused(&self, problems: &Problems) {
        self.zones.warn_of_unused(problems);
        self.tables.warn_of_unused(problems);
    }
}

/// What routes mean depends on these.
pub(super) struct Around<'a, 't> {
    pub(super) protocol: &'static str,
    pub(super) filters: filter::Chain<'a>,
    pub(super) parts: &'a Parts<'t>,
}

/// Reads a listener's routes: its own virtual hosts, or its chain.
pub(super) fn routes(
    section: &mut Section<'_>,
    clusters: &mut Clusters,
    around: &Around<'_, '_>,
) -> RouteTable {
    let problems = section.problems;
    let Some(tree) = section.find("route_chain") else {
        let hosts = section.require("virtual_hosts", "a list of { domains, routes }, or a `route_chain`");
        let hosts =
            hosts.map(|tree| virtual_hosts(tree, around.protocol, clusters, around.filters, problems));
        return RouteTable::compile(hosts.unwrap_or_default());
    };
    if let Some(place) = section.place_of("virtual_hosts") {
        section.settle(&["virtual_hosts"]);
        problems.error(place, "virtual hosts beside a route chain", "them in a table of `route_tables`");
    }
    let mut tables = Tables { around, clusters, read: vec![] };
    let chain = chain(tree, &mut tables, problems);
    RouteTable::chained(tables.read, chain)
}

/// The tables that a listener's chain has named so far.
pub(super) struct Tables<'r, 'a, 't> {
    around: &'r Around<'a, 't>,
    clusters: &'r mut Clusters,
    read: Vec<NamedTable>,
}

impl Tables<'_, '_, '_> {
    /// What the listener speaks.
    pub(super) fn protocol(&self) -> &'static str {
        self.around.protocol
    }

    /// The place of the table that `tree` names; read when it is named first.
    pub(super) fn place(&mut self, tree: &Tree, problems: &Problems) -> Option<usize> {
        let item = self.around.parts.tables.find(tree, problems)?;
        if let Some(known) = self.read.iter().position(|known| known.name == item.name) {
            return Some(known);
        }
        let mut section = Section::open("a route table", item.body, problems);
        section.find("name");
        let hosts = section.require("virtual_hosts", "a list of { domains, routes }");
        section.finish();
        let Around { protocol, filters, .. } = *self.around;
        let hosts = hosts.map(|tree| virtual_hosts(tree, protocol, self.clusters, filters, problems));
        let name = item.name.clone();
        self.read.push(NamedTable { name, virtual_hosts: hosts.unwrap_or_default() });
        Some(self.read.len() - 1)
    }
}

fn chain(tree: &Tree, tables: &mut Tables<'_, '_, '_>, problems: &Problems) -> Vec<ChainLink> {
    let items = list(tree, "{ table, pass_on }", problems);
    if items.len() > MOST_LINKS {
        let message = format!("{} tables in one chain", items.len());
        problems.error(tree.place, message, format!("at most {MOST_LINKS}"));
    }
    let mut chain: Vec<ChainLink> = vec![];
    for (at, item) in items.iter().enumerate() {
        let Some((link, place)) = link(item, tables, problems) else { continue };
        if chain.iter().any(|known| is_same(known, &link)) {
            problems.error(place, "a table a second time", "each table once in a chain");
        }
        if link.pass_on == PassOn::default() && at + 1 < items.len() {
            let expected = "a `pass_on`: the tables behind it are never asked";
            problems.warning(place, "this passes nothing on", expected);
        }
        chain.push(link);
    }
    chain
}

fn is_same(one: &ChainLink, other: &ChainLink) -> bool {
    match (&one.tables, &other.tables) {
        (LinkTables::Table(one), LinkTables::Table(other)) => one == other,
        (LinkTables::Zones(one), LinkTables::Zones(other)) => one.name == other.name,
        _ => false,
    }
}

fn link(tree: &Tree, tables: &mut Tables<'_, '_, '_>, problems: &Problems) -> Option<(ChainLink, Place)> {
    let mut section = Section::open("a link of a chain", tree, problems);
    let zones = section.find("zones");
    let table = match zones {
        Some(_) => {
            section.misplaced(&["table"], "links without `zones`");
            None
        }
        None => section.require("table", "the name of a route table, or `zones`"),
    };
    let pass_on = section.find("pass_on").map(|tree| pass_on(tree, problems));
    section.finish();
    let place = zones.or(table)?.place;
    let default = PassOn { no_match: true, no_healthy_endpoint: zones.is_some() };
    let tables = match zones {
        Some(tree) => {
            let map = tables.around.parts.zones.find(tree, problems)?;
            LinkTables::Zones(Box::new(zone::map(&map.name, map.body, tables, problems)))
        }
        None => LinkTables::Table(tables.place(table?, problems)?),
    };
    Some((ChainLink { tables, pass_on: pass_on.unwrap_or(default) }, place))
}

/// An empty list is allowed: it passes on nothing.
fn pass_on(tree: &Tree, problems: &Problems) -> PassOn {
    let mut read = PassOn::default();
    if matches!(&tree.value, Value::Sequence(items) if items.is_empty()) {
        return read;
    }
    for item in list(tree, "reasons to pass a request on", problems) {
        let no_match = PassOn { no_match: true, ..PassOn::default() };
        let no_healthy_endpoint = PassOn { no_healthy_endpoint: true, ..PassOn::default() };
        let choices = [("no_match", no_match), ("no_healthy_endpoint", no_healthy_endpoint)];
        let chosen = choice(item, &choices, &[], problems).unwrap_or_default();
        read.no_match |= chosen.no_match;
        read.no_healthy_endpoint |= chosen.no_healthy_endpoint;
    }
    read
}
