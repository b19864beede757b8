//! Zone routing: two cells in two cities, which take turns of a request's tag. What serves whom is worked out once more, and
//! differently, in `crate::rules`, for the peers.

use super::rules::adding;
use crate::rules::{CELL, Off, PLACES};
use sidering_dataplane::config::*;

/// The tables, and the map that leads to them: each cell has the routes of every other cluster, each city those of all; the rest
/// is the world's. Each place leaves its name in the requests that it takes.
pub(super) fn chain(off: Off, some: &[VirtualHost], all: &[VirtualHost], rest: Vec<VirtualHost>) -> Zoned {
    let [near, far, near_city, far_city] = PLACES;
    let named = |name: &str, hosts: &[VirtualHost]| {
        let mut virtual_hosts = hosts.to_vec();
        for host in &mut virtual_hosts {
            let rules = host.headers.get_or_insert_default();
            rules.request.add.extend(adding(CELL, name).add);
        }
        NamedTable { name: name.into(), virtual_hosts }
    };
    let world = NamedTable { name: "world".into(), virtual_hosts: rest };
    let tables =
        vec![named(near, some), named(far, some), named(near_city, all), named(far_city, all), world];
    let pass_on = PassOn { no_match: true, no_healthy_endpoint: false };
    let links = vec![ChainLink { tables: LinkTables::Zones(Box::new(map(off))), pass_on }];
    (tables, links)
}

pub(super) type Zoned = (Vec<NamedTable>, Vec<ChainLink>);

fn map(off: Off) -> ZoneMap {
    let zone = |at: usize, is_disabled| Zone { name: PLACES[at].into(), city: at, table: at, is_disabled };
    let city =
        |at: usize, is_disabled| City { name: PLACES[2 + at].into(), table: Some(2 + at), is_disabled };
    let range = |first, last, zones: &[(usize, u32)]| {
        let zones = zones.iter().map(|(zone, weight)| WeightedZone { zone: *zone, weight: *weight });
        KeyRange { first, last, zones: zones.collect() }
    };
    ZoneMap {
        name: "users".into(),
        keys: vec![ZoneKey::Cookie("none".into()), ZoneKey::Header("x-tag".into())],
        digits: KeyDigits { count: 1, skip_last: 0 },
        city: Some(0),
        zones: vec![zone(0, false), zone(1, off == Off::Cell)],
        cities: vec![city(0, false), city(1, off == Off::City)],
        global: Some(4),
        ranges: vec![range(0, 3, &[(0, 1)]), range(4, 6, &[(1, 1)]), range(7, 9, &[(1, 1), (0, 0)])],
    }
}
