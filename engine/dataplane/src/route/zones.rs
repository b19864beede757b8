//! From the key of a request to the tables that are asked for it: its cell's, its city's, the global one. It finds no route.

use super::condition::values;
use super::request::RequestView;
use crate::config::{KeyDigits, KeyRange, ZoneKey, ZoneMap};
use twox_hash::XxHash64;

/// Tables in the order in which they are asked.
pub(super) type Tables = [Option<usize>; 3];

/// The place of a range that no key has.
const NO_RANGE: u16 = u16::MAX;

/// A map of zones, ready for lookups: switches and weights are worked in.
#[derive(Debug)]
pub(super) struct Zones {
    keys: Vec<ZoneKey>,
    digits: KeyDigits,
    /// Of each number that the digits can be, the place of its range.
    by_digits: Box<[u16]>,
    ranges: Box<[Cells]>,
    /// For requests that belong to no cell.
    elsewhere: Tables,
}

/// The cells of a range that are in use.
#[derive(Debug)]
struct Cells {
    /// The weights of a cell and of those before it, and the tables for its users.
    cells: Box<[(u64, Tables)]>,
}

impl Zones {
    /// Compiles a checked map.
    pub(super) fn compile(map: &ZoneMap) -> Self {
        let mut by_digits = vec![NO_RANGE; 10_usize.pow(u32::from(map.digits.count))];
        for (range, place) in map.ranges.iter().zip(0..NO_RANGE) {
            if let Some(numbers) = by_digits.get_mut(usize::from(range.first)..=usize::from(range.last)) {
                numbers.fill(place);
            }
        }
        let elsewhere = [None, city_table(map, map.city), map.global];
        let ranges = map.ranges.iter().map(|range| Cells::compile(map, range)).collect();
        Zones { keys: map.keys.clone(), digits: map.digits, by_digits: by_digits.into(), ranges, elsewhere }
    }

    /// The tables for a request. Allocates nothing.
    pub(super) fn tables(&self, view: &RequestView<'_>) -> Tables {
        for key in &self.keys {
            let found = match key {
                ZoneKey::Header(name) => values(view, name.as_bytes()).next().map(|value| self.of_key(value)),
                ZoneKey::Cookie(name) => view.cookie(name.as_bytes()).map(|value| self.of_key(value)),
            };
            if let Some(tables) = found {
                return tables;
            }
        }
        self.elsewhere
    }

    fn of_key(&self, key: &[u8]) -> Tables {
        let range = self.number(key).and_then(|number| self.by_digits.get(number).copied());
        let cells = range.and_then(|range| self.ranges.get(usize::from(range)));
        cells.and_then(|cells| cells.choose(key)).unwrap_or(self.elsewhere)
    }

    /// What the digits of a key come to; `None` if it has none there.
    fn number(&self, key: &[u8]) -> Option<usize> {
        let end = key.len().checked_sub(usize::from(self.digits.skip_last))?;
        let start = end.checked_sub(usize::from(self.digits.count))?;
        key[start..end].iter().try_fold(0, |number, digit| {
            digit.is_ascii_digit().then(|| number * 10 + usize::from(digit - b'0'))
        })
    }
}

impl Cells {
    fn compile(map: &ZoneMap, range: &KeyRange) -> Self {
        let enabled = || range.zones.iter().filter(|weighted| map.is_enabled(weighted.zone));
        let mut sum = 0;
        let mut cells: Vec<_> = enabled()
            .filter(|weighted| weighted.weight > 0)
            .map(|weighted| {
                sum += u64::from(weighted.weight);
                (sum, tables_of(map, weighted.zone))
            })
            .collect();
        if cells.is_empty() {
            cells.extend(enabled().next().map(|standby| (1, tables_of(map, standby.zone))));
        }
        Cells { cells: cells.into() }
    }

    /// Always the same one for a key, as long as the weights stay: its user's data are there. `None` if all are disabled.
    fn choose(&self, key: &[u8]) -> Option<Tables> {
        let (sum, last) = self.cells.last()?;
        if self.cells.len() == 1 {
            return Some(*last);
        }
        let lot = XxHash64::oneshot(0, key) % sum;
        self.cells.iter().find(|(below, _)| lot < *below).map(|(_, tables)| *tables)
    }
}

/// A cell's table, its city's, the global one.
fn tables_of(map: &ZoneMap, zone: usize) -> Tables {
    let cell = map.zones.get(zone);
    [cell.map(|cell| cell.table), city_table(map, cell.map(|cell| cell.city)), map.global]
}

fn city_table(map: &ZoneMap, city: Option<usize>) -> Option<usize> {
    map.cities.get(city?).filter(|city| !city.is_disabled)?.table
}
