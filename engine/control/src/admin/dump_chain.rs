//! Route tables with names, and chains of them, in the words of the configuration file.

use super::dump::virtual_hosts;
use crate::json::Json;
use sidering_dataplane::config::{LinkTables, ListenerKind, PassOn, Snapshot, VirtualHost, ZoneKey, ZoneMap};
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
            match &link.tables {
                LinkTables::Table(table) => json.key("table").text(name_of(&names, *table)),
                LinkTables::Zones(map) => json.key("zones").text(&map.name),
            }
            json.key("pass_on").list(&reasons(link.pass_on), |json, reason| json.text(reason));
        });
    });
}

fn name_of<'n>(names: &[&'n str], table: usize) -> &'n str {
    names.get(table).copied().unwrap_or_default()
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

/// All maps of zones that listeners name, each once.
pub(super) fn write_zones(json: &mut Json, snapshot: &Snapshot) {
    let mut maps: Vec<(&ZoneMap, &RouteTable)> = vec![];
    for listener in &snapshot.listeners {
        let ListenerKind::Http(http) = &listener.kind else { continue };
        for link in http.routes.chain() {
            let LinkTables::Zones(map) = &link.tables else { continue };
            if maps.iter().all(|(known, _)| known.name != map.name) {
                maps.push((map, &http.routes));
            }
        }
    }
    if !maps.is_empty() {
        json.key("zone_routing").list(&maps, |json, (map, routes)| {
            let names: Vec<&str> = routes.tables().map(|(name, _)| name).collect();
            json.object(|json| write_map(json, map, &names));
        });
    }
}

fn write_map(json: &mut Json, map: &ZoneMap, tables: &[&str]) {
    json.key("name").text(&map.name);
    json.key("key").list(&map.keys, |json, key| {
        json.object(|json| match key {
            ZoneKey::Header(name) => json.key("header").text(name),
            ZoneKey::Cookie(name) => json.key("cookie").text(name),
        });
    });
    json.key("digits").object(|json| {
        json.key("count").number(u64::from(map.digits.count));
        json.key("skip_last").number(u64::from(map.digits.skip_last));
    });
    let city_name = |city: usize| map.cities.get(city).map_or("", |city| &city.name);
    if let Some(city) = map.city {
        json.key("city").text(city_name(city));
    }
    json.key("cities").list(&map.cities, |json, city| {
        json.object(|json| {
            json.key("name").text(&city.name);
            if let Some(table) = city.table {
                json.key("table").text(name_of(tables, table));
            }
            json.key("disabled").boolean(city.is_disabled);
        });
    });
    json.key("zones").list(&map.zones, |json, zone| {
        json.object(|json| {
            json.key("name").text(&zone.name);
            json.key("city").text(city_name(zone.city));
            json.key("table").text(name_of(tables, zone.table));
            json.key("disabled").boolean(zone.is_disabled);
        });
    });
    if let Some(table) = map.global {
        json.key("global").object(|json| json.key("table").text(name_of(tables, table)));
    }
    write_ranges(json, map);
}

fn write_ranges(json: &mut Json, map: &ZoneMap) {
    let width = usize::from(map.digits.count);
    json.key("ranges").list(&map.ranges, |json, range| {
        json.object(|json| {
            json.key("keys").text(&format!("{:0width$}-{:0width$}", range.first, range.last));
            json.key("zones").list(&range.zones, |json, weighted| {
                json.object(|json| {
                    json.key("name").text(map.zones.get(weighted.zone).map_or("", |zone| &zone.name));
                    json.key("weight").number(u64::from(weighted.weight));
                });
            });
        });
    });
}
