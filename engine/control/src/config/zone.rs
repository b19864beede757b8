//! Reads maps of zones: whose keys belong to which unit cell, and what stands in for it.

use super::chain::Tables;
use super::problem::Problems;
use super::protocol::is_rpc;
use super::section::{Section, integer, list, name, scalar, text};
use super::suggest::nearest;
use super::tree::Tree;
use super::units;
use sidering_dataplane::config::{City, KeyDigits, KeyRange, WeightedZone, Zone, ZoneKey, ZoneMap};

const MOST_KEYS: usize = 4;
const MOST_CITIES: usize = 256;
const MOST_ZONES: usize = 1024;
/// Of one range.
const MOST_WEIGHTS: usize = 16;
const MOST_DIGITS: u64 = 4;
const MOST_SKIPPED: u64 = 64;
const LARGEST_WEIGHT: u64 = 1_000_000;

/// Reads the map named `name` for a listener with these tables.
pub(super) fn map(name: &str, tree: &Tree, tables: &mut Tables<'_, '_, '_>, problems: &Problems) -> ZoneMap {
    let mut section = Section::open("a zone map", tree, problems);
    section.find("name");
    let is_rpc = is_rpc(tables.protocol());
    let mut table = |tree: &Tree| tables.place(tree, problems);
    let keys = section.require("key", "a list such as [{ header: x-user-id }, { cookie: uid }]");
    let keys = keys.map_or(&[][..], |tree| bounded(tree, "keys", MOST_KEYS, problems));
    let keys = keys.iter().filter_map(|tree| key(tree, is_rpc, problems)).collect();
    let digits = section.find("digits").map_or_else(KeyDigits::default, |tree| digits(tree, problems));
    let cities = section.require("cities", "a list of { name, table }");
    let cities = cities.map_or(&[][..], |tree| bounded(tree, "cities", MOST_CITIES, problems));
    let cities: Vec<City> = cities.iter().map(|tree| city(tree, &mut table, problems)).collect();
    unique(&section, cities.iter().map(|city| city.name.as_str()), "city");
    let zones = section.require("zones", "a list of { name, city, table }");
    let zones = zones.map_or(&[][..], |tree| bounded(tree, "zones", MOST_ZONES, problems));
    let zones: Vec<Zone> = zones.iter().map(|tree| zone(tree, &cities, &mut table, problems)).collect();
    unique(&section, zones.iter().map(|zone| zone.name.as_str()), "zone");
    let own = section.find("city").and_then(|tree| city_named(tree, &cities, problems));
    let global = section.find("global").and_then(|tree| {
        let mut section = Section::open("the global zone", tree, problems);
        let found = section.require("table", "the name of a route table");
        section.finish();
        table(found?)
    });
    let ranges = section.require("ranges", "a list such as [{ keys: 00-99, zones: [{ name: rz00 }] }]");
    let ranges = ranges.map_or(vec![], |tree| self::ranges(tree, digits, &zones, problems));
    section.finish();
    ZoneMap { name: name.to_owned(), keys, digits, city: own, zones, cities, global, ranges }
}

fn bounded<'t>(tree: &'t Tree<'t>, of: &str, most: usize, problems: &Problems) -> &'t [Tree<'t>] {
    let items = list(tree, of, problems);
    if items.len() > most {
        problems.error(tree.place, format!("{} {of}", items.len()), format!("at most {most}"));
    }
    items
}

fn unique<'n>(section: &Section<'_>, names: impl Iterator<Item = &'n str>, of: &str) {
    let mut names: Vec<_> = names.filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    for twice in names.windows(2).filter(|pair| pair[0] == pair[1]) {
        section.problems.error(section.place, format!("a second {of} named `{}`", twice[0]), "another name");
    }
}

fn key(tree: &Tree, is_rpc: bool, problems: &Problems) -> Option<ZoneKey> {
    let mut section = Section::open("a key", tree, problems);
    if is_rpc {
        section.misplaced(&["cookie"], "HTTP; a call has headers");
    }
    let mut token = |key| {
        let tree = section.find(key)?;
        let given = text(tree, "a name", problems)?;
        if !units::is_token(given) {
            problems.error(
                tree.place,
                format!("{} is no name", tree.describe()),
                "letters, digits, - . _ and the like",
            );
            return None;
        }
        Some(given.to_owned())
    };
    let header = token("header").map(|name| ZoneKey::Header(name.to_ascii_lowercase()));
    let cookie = token("cookie").map(ZoneKey::Cookie);
    match (section.place_of("header"), section.place_of("cookie")) {
        (Some(_), Some(second)) => problems.error(second, "a key of two kinds", "`header` or `cookie`"),
        (None, None) => {
            problems.error(tree.place, "a key of no kind", "{ header: NAME } or { cookie: NAME }");
        }
        _ => {}
    }
    section.finish();
    header.or(cookie)
}

fn digits(tree: &Tree, problems: &Problems) -> KeyDigits {
    let mut section = Section::open("the digits of a key", tree, problems);
    let count = section.integer("count", 1..=MOST_DIGITS, 2) as u8;
    let skip_last = section.integer("skip_last", 0..=MOST_SKIPPED, 0) as u8;
    section.finish();
    KeyDigits { count, skip_last }
}

fn city(tree: &Tree, table: &mut impl FnMut(&Tree) -> Option<usize>, problems: &Problems) -> City {
    let mut section = Section::open("a city", tree, problems);
    let name = section.require("name", "a name").and_then(|tree| self::name(tree, problems));
    let table = section.find("table").and_then(table);
    let is_disabled = section.boolean("disabled", false);
    section.finish();
    City { name: name.unwrap_or_default(), table, is_disabled }
}

fn zone(
    tree: &Tree,
    cities: &[City],
    table: &mut impl FnMut(&Tree) -> Option<usize>,
    problems: &Problems,
) -> Zone {
    let mut section = Section::open("a zone", tree, problems);
    let name = section.require("name", "a name").and_then(|tree| self::name(tree, problems));
    let city = section.require("city", "the name of its city");
    let city = city.and_then(|tree| city_named(tree, cities, problems));
    let table = section.require("table", "the name of a route table").and_then(table);
    let is_disabled = section.boolean("disabled", false);
    section.finish();
    let (city, table) = (city.unwrap_or(0), table.unwrap_or(0));
    Zone { name: name.unwrap_or_default(), city, table, is_disabled }
}

fn city_named(tree: &Tree, cities: &[City], problems: &Problems) -> Option<usize> {
    named(tree, cities.iter().map(|city| city.name.as_str()), "city", problems)
}

fn named<'n>(
    tree: &Tree,
    mut names: impl Iterator<Item = &'n str> + Clone,
    of: &str,
    problems: &Problems,
) -> Option<usize> {
    let given = name(tree, problems)?;
    let expected = match nearest(&given, names.clone()) {
        Some(near) => format!("the name of a {of}; did you mean `{near}`?"),
        None => format!("the name of a {of} of this map"),
    };
    let found = names.position(|known| known == given);
    if found.is_none() {
        problems.error(tree.place, format!("there is no {of} `{given}`"), expected);
    }
    found
}

fn ranges(tree: &Tree, digits: KeyDigits, zones: &[Zone], problems: &Problems) -> Vec<KeyRange> {
    let all = 10_usize.pow(u32::from(digits.count));
    let mut is_taken = vec![false; all];
    let mut ranges = vec![];
    for item in list(tree, "{ keys, zones }", problems) {
        let mut section = Section::open("a range", item, problems);
        let keys = section.require("keys", "keys such as 00-49");
        let weights = section.require("zones", "a list of { name, weight }");
        let weights = weights.map_or(vec![], |tree| self::weights(tree, zones, problems));
        section.finish();
        let Some(tree) = keys else { continue };
        let Some((first, last)) = bounds(tree, digits, problems) else { continue };
        let taken = &mut is_taken[usize::from(first)..=usize::from(last)];
        if taken.contains(&true) {
            problems.error(
                tree.place,
                format!("{} overlaps another range", tree.describe()),
                "each key in one range",
            );
        }
        taken.fill(true);
        ranges.push(KeyRange { first, last, zones: weights });
    }
    if let Some(first) = is_taken.iter().position(|taken| !taken).filter(|_| !ranges.is_empty()) {
        let width = usize::from(digits.count);
        let message = format!("no range has the key {first:0width$}");
        problems.warning(
            tree.place,
            message,
            "all keys: those of no range go to the city of `city` and to `global`",
        );
    }
    ranges
}

/// `00-49`, or one key.
fn bounds(tree: &Tree, digits: KeyDigits, problems: &Problems) -> Option<(u16, u16)> {
    let width = usize::from(digits.count);
    let number = |text: &str| {
        let is_number = text.len() == width && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u16>().ok()).flatten()
    };
    let read = scalar(tree).and_then(|given| {
        let (first, last) = given.split_once('-').unwrap_or((given, given));
        Some((number(first)?, number(last)?)).filter(|(first, last)| first <= last)
    });
    if read.is_none() {
        let (first, last) = (format!("{:0width$}", 0), "9".repeat(width));
        let expected = format!("keys of {width} digits, from {first} to {last}, such as \"{first}-{last}\"");
        problems.error(tree.place, format!("{} is no range of keys", tree.describe()), expected);
    }
    read
}

fn weights(tree: &Tree, zones: &[Zone], problems: &Problems) -> Vec<WeightedZone> {
    let mut weights: Vec<WeightedZone> = vec![];
    for item in bounded(tree, "zones of one range", MOST_WEIGHTS, problems) {
        let mut section = Section::open("a zone of a range", item, problems);
        let name_tree = section.require("name", "the name of a zone");
        let weight =
            section.find("weight").map_or(Some(1), |tree| integer(tree, 0..=LARGEST_WEIGHT, problems));
        section.finish();
        let names = zones.iter().map(|zone| zone.name.as_str());
        let Some(zone) = name_tree.and_then(|tree| named(tree, names, "zone", problems)) else { continue };
        if weights.iter().any(|known| known.zone == zone) {
            problems.error(item.place, "a zone a second time", "each zone once in a range");
        }
        weights.push(WeightedZone { zone, weight: weight.unwrap_or(0) as u32 });
    }
    if !weights.is_empty() && weights.iter().all(|weighted| weighted.weight == 0) {
        problems.error(tree.place, "a range without a weight", "one above 0: those with 0 stand by");
    }
    weights
}
