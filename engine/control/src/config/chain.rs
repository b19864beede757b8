//! Reads route tables that have names, and the chains in which listeners ask them.

use super::cluster::Clusters;
use super::filter;
use super::problem::{Place, Problems};
use super::route::virtual_hosts;
use super::section::{Section, choice, list, name};
use super::suggest::nearest;
use super::tree::{Tree, Value};
use sidering_dataplane::config::{ChainLink, NamedTable, PassOn};
use sidering_dataplane::route::RouteTable;
use std::cell::Cell;

/// A request that nobody takes is looked up in every table of a chain.
const MOST_LINKS: usize = 16;

/// The `route_tables` of a file: what they mean depends on the listener that names them.
#[derive(Default)]
pub(super) struct RouteTables<'t> {
    tables: Vec<Unread<'t>>,
}

struct Unread<'t> {
    name: String,
    place: Place,
    virtual_hosts: Option<&'t Tree>,
    is_used: Cell<bool>,
}

impl<'t> RouteTables<'t> {
    pub(super) fn read(tree: Option<&'t Tree>, problems: &'t Problems) -> Self {
        let mut tables: Vec<Unread<'t>> = vec![];
        for item in tree.map_or(&[][..], |tree| list(tree, "{ name, virtual_hosts }", problems)) {
            let mut section = Section::open("a route table", item, problems);
            let name_tree = section.require("name", "a name for chains to call it by");
            let virtual_hosts = section.require("virtual_hosts", "a list of { domains, routes }");
            section.finish();
            let Some(tree) = name_tree else { continue };
            let Some(name) = name(tree, problems) else { continue };
            match tables.iter().find(|known| known.name == name) {
                Some(known) => {
                    let expected = format!("another name; the first is on line {}", known.place.line);
                    problems.error(tree.place, format!("a second route table named `{name}`"), expected);
                }
                None => {
                    let is_used = Cell::new(false);
                    tables.push(Unread { name, place: tree.place, virtual_hosts, is_used });
                }
            }
        }
        RouteTables { tables }
    }

    /// Tells of tables that no listener has named: nobody knows what is in them.
    pub(super) fn warn_of_unused(&self, problems: &Problems) {
        for table in self.tables.iter().filter(|table| !table.is_used.get()) {
            let message = format!("no listener uses the route table `{}`", table.name);
            problems.warning(table.place, message, "it in a listener's `route_chain`; it is not looked into");
        }
    }

    fn find(&self, tree: &Tree, problems: &Problems) -> Option<&Unread<'t>> {
        let given = name(tree, problems)?;
        let found = self.tables.iter().find(|table| table.name == given);
        if let Some(table) = found {
            table.is_used.set(true);
        } else {
            let known = self.tables.iter().map(|table| table.name.as_str());
            let expected = match nearest(&given, known) {
                Some(near) => format!("the name of a route table; did you mean `{near}`?"),
                None => "the name of a table in `route_tables`".to_owned(),
            };
            problems.error(tree.place, format!("there is no route table `{given}`"), expected);
        }
        found
    }
}

/// What routes mean depends on these.
pub(super) struct Around<'a, 't> {
    pub(super) protocol: &'static str,
    pub(super) filters: filter::Chain<'a>,
    pub(super) tables: &'a RouteTables<'t>,
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
    let (mut tables, mut chain): (Vec<NamedTable>, Vec<ChainLink>) = (vec![], vec![]);
    let items = list(tree, "{ table, pass_on }", problems);
    if items.len() > MOST_LINKS {
        problems.error(
            tree.place,
            format!("{} tables in one chain", items.len()),
            format!("at most {MOST_LINKS}"),
        );
    }
    for (at, item) in items.iter().enumerate() {
        let Some((table, place, pass_on)) = link(item, around.tables, problems) else { continue };
        if tables.iter().any(|known| known.name == table.name) {
            let message = format!("the table `{}` a second time", table.name);
            problems.error(place, message, "each table once in a chain");
            continue;
        }
        if pass_on == PassOn::default() && at + 1 < items.len() {
            let message = format!("the table `{}` passes nothing on", table.name);
            problems.warning(place, message, "a `pass_on`: the tables behind it are never asked");
        }
        let read = |tree| virtual_hosts(tree, around.protocol, clusters, around.filters, problems);
        let virtual_hosts = table.virtual_hosts.map(read).unwrap_or_default();
        chain.push(ChainLink { table: tables.len(), pass_on });
        tables.push(NamedTable { name: table.name.clone(), virtual_hosts });
    }
    RouteTable::chained(tables, chain)
}

fn link<'a, 't>(
    tree: &Tree,
    tables: &'a RouteTables<'t>,
    problems: &Problems,
) -> Option<(&'a Unread<'t>, Place, PassOn)> {
    let mut section = Section::open("a link of a chain", tree, problems);
    let table = section.require("table", "the name of a route table");
    let pass_on = section.find("pass_on").map(|tree| pass_on(tree, problems));
    section.finish();
    let table = table?;
    let pass_on = pass_on.unwrap_or(PassOn { no_match: true, no_healthy_endpoint: false });
    Some((tables.find(table, problems)?, table.place, pass_on))
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
