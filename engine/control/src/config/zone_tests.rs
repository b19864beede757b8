//! What maps of zones are read as, and their mistakes with their places.

use super::tests::problems;
use super::*;
use sidering_dataplane::config::*;

const MAP: &str = "  key: [{ header: X-Uid }, { cookie: uid }]
  digits: { count: 2, skip_last: 1 }
  city: hz
  cities: [{ name: hz, table: city }, { name: sh, disabled: true }]
  zones: [{ name: r0, city: hz, table: r0 }, { name: r1, city: sh, table: r1, disabled: true }]
  global: { table: world }
  ranges:
  - { keys: 00-49, zones: [{ name: r0 }, { name: r1, weight: 0 }] }
  - { keys: 50-99, zones: [{ name: r0, weight: 25 }, { name: r1, weight: 75 }] }
";

/// The map stands on lines 7 to 15.
fn file(map: &str) -> String {
    let table = |name: &str| {
        format!(
            "- {{ name: {name}, virtual_hosts: [{{ domains: ['*'], routes: [{{ match: {{}}, cluster: c }}] }}] }}\n"
        )
    };
    format!(
        "listeners:\n- {{ name: web, address: '127.0.0.1:0', protocol: http, route_chain: [{{ zones: users }}, {{ table: rest }}] }}\n\
         clusters:\n- {{ name: c, endpoints: [127.0.0.1:1] }}\nzone_routing:\n- name: users\n{map}route_tables:\n{}",
        ["r0", "r1", "city", "world", "rest"].map(table).concat()
    )
}

#[test]
fn a_map_is_read_with_its_tables() {
    let text = file(MAP);
    let loaded = parse("test.yaml", &text, &Overrides::default()).unwrap_or_else(|report| panic!("{report}"));
    assert!(loaded.report.problems.is_empty(), "{}", loaded.report);
    let ListenerKind::Http(http) = &loaded.snapshot.listeners[0].kind else { panic!("not http") };
    let names: Vec<_> = http.routes.tables().map(|(name, _)| name).collect();
    assert_eq!(names, ["city", "r0", "r1", "world", "rest"]);
    let zone = |name: &str, city, table, is_disabled| Zone { name: name.into(), city, table, is_disabled };
    let city = |name: &str, table, is_disabled| City { name: name.into(), table, is_disabled };
    let weighted = |zone, weight| WeightedZone { zone, weight };
    let map = ZoneMap {
        name: "users".into(),
        keys: vec![ZoneKey::Header("x-uid".into()), ZoneKey::Cookie("uid".into())],
        digits: KeyDigits { count: 2, skip_last: 1 },
        city: Some(0),
        zones: vec![zone("r0", 0, 1, false), zone("r1", 1, 2, true)],
        cities: vec![city("hz", Some(0), false), city("sh", None, true)],
        global: Some(3),
        ranges: vec![
            KeyRange { first: 0, last: 49, zones: vec![weighted(0, 1), weighted(1, 0)] },
            KeyRange { first: 50, last: 99, zones: vec![weighted(0, 25), weighted(1, 75)] },
        ],
    };
    let pass_on = PassOn { no_match: true, no_healthy_endpoint: true };
    assert_eq!(http.routes.chain()[0], ChainLink { tables: LinkTables::Zones(Box::new(map)), pass_on });
    assert_eq!(http.routes.chain()[1].tables, LinkTables::Table(4));
}

#[test]
fn each_mistake_in_a_map_has_its_words() {
    for (right, wrong, expected) in [
        ("{ header: X-Uid }", "{ header: 'X Uid' }", "7:19 `X Uid` is no name | letters"),
        ("{ header: X-Uid }", "{ header: a, cookie: b }", "7:22 a key of two kinds | `header` or"),
        ("{ header: X-Uid }", "{}", "7:9 a key of no kind | { header: NAME }"),
        ("count: 2", "count: 5", "8:20 5 is out of range | a whole number from 1 to 4"),
        ("skip_last: 1", "skip_last: 65", "8:34 65 is out of range | a whole number from 0 to 64"),
        ("city: hz\n", "city: hx\n", "9:9 there is no city `hx` | the name of a city; did you mean `hz`?"),
        (
            "{ name: hz, table: city }",
            "{ name: hz, table: ct }",
            "10:31 there is no route table `ct` | the name of",
        ),
        ("{ name: sh, dis", "{ name: hz, dis", "6:3 a second city named `hz` | another name"),
        ("{ name: r1, city: sh,", "{ name: r0, city: sh,", "6:3 a second zone named `r0` | another name"),
        (
            "city: sh, table: r1",
            "city: sx, table: r1",
            "11:64 there is no city `sx` | the name of a city; did",
        ),
        (
            "00-49",
            "0-49",
            "14:13 `0-49` is no range of keys | keys of 2 digits, from 00 to 99, such as \"00-99\"",
        ),
        ("00-49", "49-00", "14:13 `49-00` is no range of keys | keys of 2"),
        ("00-49", "00-50", "15:13 `50-99` overlaps another range | each key in one range"),
        ("00-49", "00-48", "14:5 no range has the key 49 | all keys"),
        (
            "{ name: r0 }",
            "{ name: rx }",
            "14:36 there is no zone `rx` | the name of a zone; did you mean `r0`?",
        ),
        ("{ name: r0 }", "{ name: r0, weight: 0 }", "14:27 a range without a weight | one above 0"),
        ("weight: 75", "weight: 1000001", "15:74 1000001 is out of range | a whole number from 0"),
        (
            "{ name: r1, weight: 75 }",
            "{ name: r0 }",
            "15:54 a zone a second time | each zone once in a range",
        ),
        (
            "  global: { table: world }\n",
            "  globl: { table: world }\n",
            "12:3 unknown key `globl` in a zone map",
        ),
    ] {
        assert!(MAP.contains(right), "{right}");
        let found = problems(&file(&MAP.replacen(right, wrong, 1)));
        assert!(found.iter().any(|line| line.starts_with(expected)), "{wrong}: {found:#?}");
    }
    let unused = file(MAP).replace("{ zones: users }, ", "");
    let found = problems(&unused);
    assert!(
        found.iter().any(|line| line.starts_with("6:9 no listener uses the zone map `users` | ")),
        "{found:#?}"
    );
    let both = file(MAP).replace("{ zones: users }", "{ zones: users, table: r0 }");
    assert!(problems(&both)[0].contains("`table` has no meaning here"), "{:?}", problems(&both));
}

#[test]
fn a_map_has_at_most_so_many_keys_and_zones_of_a_range() {
    for (count, errors) in [(3, 0), (4, 0), (5, 1)] {
        let keys: Vec<_> = (0..count).map(|at| format!("{{ cookie: c{at} }}")).collect();
        let text = file(&MAP.replace("{ header: X-Uid }, { cookie: uid }", &keys.join(", ")));
        assert_eq!(problems(&text).len(), errors, "{count}");
    }
    for (count, errors) in [(15, 0), (16, 0), (17, 1)] {
        let zones: Vec<_> = (0..count).map(|at| format!("{{ name: z{at}, city: hz, table: r0 }}")).collect();
        let weights: Vec<_> = (0..count).map(|at| format!("{{ name: z{at} }}")).collect();
        let map = MAP
            .replace("zones: [{ name: r0, city", &format!("zones: [{}, {{ name: r0, city", zones.join(", ")))
            .replace("[{ name: r0 }, { name: r1, weight: 0 }]", &format!("[{}]", weights.join(", ")));
        let found = problems(&file(&map));
        assert_eq!(found.len(), errors, "{count}: {found:?}");
    }
}
