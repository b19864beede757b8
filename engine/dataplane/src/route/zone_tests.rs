//! Which tables a request's key leads to: cells by their ranges, weights and switches, and what stands in for them.

use super::tests::Head;
use super::*;
use crate::config::*;

/// Two cities with two cells each, and cells of a table of their names: a0 and a1 in a, b0 and b1 in b. Keys below 50 belong to
/// a0 (b0 stands by), the others to a1 and b1, three to one; 99 to nobody.
fn map() -> ZoneMap {
    let zone = |name: &str, city, table| Zone { name: name.into(), city, table, is_disabled: false };
    let city = |name: &str, table| City { name: name.into(), table, is_disabled: false };
    let weighted = |zone, weight| WeightedZone { zone, weight };
    ZoneMap {
        name: "users".into(),
        keys: vec![ZoneKey::Header("x-uid".into()), ZoneKey::Cookie("uid".into())],
        digits: KeyDigits { count: 2, skip_last: 1 },
        city: Some(0),
        zones: vec![zone("a0", 0, 0), zone("a1", 0, 1), zone("b0", 1, 2), zone("b1", 1, 3)],
        cities: vec![city("a", Some(4)), city("b", Some(5))],
        global: Some(6),
        ranges: vec![
            KeyRange { first: 0, last: 49, zones: vec![weighted(2, 0), weighted(0, 100)] },
            KeyRange { first: 50, last: 98, zones: vec![weighted(1, 75), weighted(3, 25)] },
        ],
    }
}

const TABLES: [&str; 7] = ["a0", "a1", "b0", "b1", "city a", "city b", "global"];

/// No table takes anything: a request goes through all that there are for it.
fn table(map: ZoneMap) -> RouteTable {
    let tables = TABLES.map(|name| NamedTable { name: name.into(), virtual_hosts: vec![] });
    let pass_on = PassOn { no_match: true, no_healthy_endpoint: true };
    RouteTable::chained(tables.into(), vec![ChainLink { tables: LinkTables::Zones(Box::new(map)), pass_on }])
}

fn asked<'t>(table: &'t RouteTable, fields: &[(&str, &str)]) -> Vec<&'t str> {
    let head = Head::new(fields);
    table.explain(&RequestView { fields: head.fields(), ..RequestView::get(b"h", b"/") }).tables
}

#[test]
fn a_key_leads_to_its_cell_its_city_and_the_world() {
    let table = table(map());
    let nobody = ["city a", "global"];
    for (fields, expected) in [
        (&[("x-uid", "2088001230")][..], &["a0", "city a", "global"][..]),
        (&[("X-Uid", "000")], &["a0", "city a", "global"]),
        (&[("x-uid", "499")], &["a0", "city a", "global"]),
        (&[("cookie", "x=1; uid=000")], &["a0", "city a", "global"]),
        // The first key that there is counts.
        (&[("x-uid", "000"), ("cookie", "uid=990")], &["a0", "city a", "global"]),
        (&[("x-uid", "none"), ("cookie", "uid=000")], &nobody),
        (&[("x-uid", "990")], &nobody),
        (&[("x-uid", "00")], &nobody),
        (&[("x-uid", "")], &nobody),
        (&[("x-uid", "a00")], &nobody),
        (&[("x-uid", "+10")], &nobody),
        (&[], &nobody),
    ] {
        assert_eq!(asked(&table, fields), expected, "{fields:?}");
    }
}

/// The cells of a thousand keys of a range, counted.
fn cells(map: ZoneMap, digits: &str) -> Vec<(&'static str, usize)> {
    let table = table(map);
    let mut counts = TABLES.map(|name| (name, 0));
    for user in 0..1000 {
        let key = format!("{user}{digits}0");
        let first = asked(&table, &[("x-uid", &key)])[0];
        assert_eq!(asked(&table, &[("x-uid", &key)])[0], first, "a key stays where it is");
        let counted = counts.iter_mut().find(|(name, _)| *name == first);
        counted.unwrap().1 += 1;
    }
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}

#[test]
fn weights_divide_the_keys_of_a_range() {
    let counted = cells(map(), "77");
    assert_eq!((counted.len(), counted[0].0, counted[1].0), (2, "a1", "b1"));
    // Within four standard deviations of three to one.
    assert!((695..=805).contains(&counted[0].1), "{counted:?}");
    let mut even = map();
    even.ranges[1].zones[1].weight = 0;
    assert_eq!(cells(even, "77"), [("a1", 1000)]);
}

#[test]
fn a_switch_moves_users_to_other_cells_cities_or_the_world() {
    let first = |change: fn(&mut ZoneMap), key: &str| {
        let mut map = map();
        change(&mut map);
        asked(&table(map), &[("x-uid", key)]).join(", ")
    };
    for (change, key, expected) in [
        // Whoever stands by takes over.
        ((|map| map.zones[0].is_disabled = true) as fn(&mut ZoneMap), "000", "b0, city b, global"),
        (|map| map.cities[0].is_disabled = true, "000", "b0, city b, global"),
        (|map| map.cities[0].is_disabled = true, "770", "b1, city b, global"),
        (|map| map.cities[1].is_disabled = true, "000", "a0, city a, global"),
        (|map| map.cities[1].is_disabled = true, "770", "a1, city a, global"),
        // Nobody is left: the city of the proxy, unless it is off, too.
        (|map| map.zones.iter_mut().for_each(|zone| zone.is_disabled = true), "000", "city a, global"),
        (|map| map.cities.iter_mut().for_each(|city| city.is_disabled = true), "000", "global"),
        (|map| map.cities[0].table = None, "000", "a0, global"),
        (|map| map.global = None, "000", "a0, city a"),
        (|map| map.city = None, "990", "global"),
    ] {
        assert_eq!(first(change, key), expected, "{key}");
    }
}

#[test]
fn other_digits_may_decide() {
    for (count, skip_last, key, expected) in [
        (1, 0, "7", "b0"),
        (1, 3, "7aaa", "b0"),
        (4, 0, "0000", "b0"),
        (4, 0, "9999", "city a"),
        (4, 0, "999", "city a"),
    ] {
        let mut map = map();
        map.digits = KeyDigits { count, skip_last };
        let zones = vec![WeightedZone { zone: 2, weight: 1 }];
        map.ranges = vec![KeyRange { first: 0, last: 9, zones }];
        assert_eq!(asked(&table(map), &[("x-uid", key)])[0], expected, "{count} {skip_last} {key}");
    }
}
