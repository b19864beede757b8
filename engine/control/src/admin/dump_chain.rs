//! Route tables with names, and chains of them, in the words of the configuration file.

use super::dump::virtual_hosts;
use crate::json::Json;
use sidering_dataplane::config::{ListenerKind, PassOn, Snapshot, VirtualHost};
use sidering_dataplane::route::RouteTable;

/// Whether a listener's routes are a chain of tables with names.
pub(super) fn is_chain(routes: &RouteTable) -> bool {
    routes.tables().any(|(name, _)| !name.is_empty())
}

/// A listener's chain.
pub(super) fn write(json: &mut Json, routes: &RouteTable) {
    let names: Vec<&str> = routes.tables().map(|(name, _)| name).collect();
    json.key("route_chain").list(routes.chain(), |json, link| {
        json.object(|json| {
            json.key("table").text(names.get(link.table).copied().unwrap_or_default());
            json.key("pass_on").list(&reasons(link.pass_on), |json, reason| json.text(reason));
        });
    });
}

fn reasons(pass_on: PassOn) -> Vec<&'static str> {
    let PassOn { no_match, no_healthy_endpoint } = pass_on;
    let all = [(no_match, "no_match"), (no_healthy_endpoint, "no_healthy_endpoint")];
    all.into_iter().filter(|(holds, _)| *holds).map(|(_, name)| name).collect()
}

/// All tables that listeners name: each once, as the first of its listeners has read it.
pub(super) fn write_tables(json: &mut Json, snapshot: &Snapshot, workers: u32) {
    let mut tables: Vec<(&str, &[VirtualHost])> = vec![];
    for listener in &snapshot.listeners {
        let ListenerKind::Http(http) = &listener.kind else { continue };
        for (name, hosts) in http.routes.tables().filter(|(name, _)| !name.is_empty()) {
            if tables.iter().all(|(known, _)| *known != name) {
                tables.push((name, hosts));
            }
        }
    }
    if tables.is_empty() {
        return;
    }
    json.key("route_tables").list(&tables, |json, (name, hosts)| {
        json.object(|json| {
            json.key("name").text(name);
            virtual_hosts(json, hosts, workers, &snapshot.clusters);
        });
    });
}
