//! Zone routing (as in Ant's LDC): which unit cell serves which users, and what stands in for a cell that does not. Plain
//! data; it is at work in [`crate::route::RouteTable`].
//!
//! An RZone is a unit cell: it holds the data of the users whose keys are in its ranges. A CZone has what all cells of a city
//! share, the GZone what the whole world does. Each of them is a route table here.

/// One map of zones. Tables, zones and cities are told by their places.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ZoneMap {
    pub name: String,
    /// The first of them that a request has is its key. At least one.
    pub keys: Vec<ZoneKey>,
    pub digits: KeyDigits,
    /// The city that this proxy stands in: it takes requests without a key, and those whose cells are all disabled.
    pub city: Option<usize>,
    pub zones: Vec<Zone>,
    pub cities: Vec<City>,
    /// The global zone's table.
    pub global: Option<usize>,
    /// None overlaps another.
    pub ranges: Vec<KeyRange>,
}

/// Where a request's key stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ZoneKey {
    /// A header of this name, lower-case.
    Header(String),
    /// A cookie of this name.
    Cookie(String),
}

/// Which digits of a key its range is told by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyDigits {
    /// 1..=4.
    pub count: u8,
    /// So many bytes at the key's end come behind them.
    pub skip_last: u8,
}

impl Default for KeyDigits {
    fn default() -> Self {
        KeyDigits { count: 2, skip_last: 0 }
    }
}

/// A unit cell (RZone).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Zone {
    pub name: String,
    pub city: usize,
    pub table: usize,
    pub is_disabled: bool,
}

/// A city, with the table of its CZone if it has one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct City {
    pub name: String,
    pub table: Option<usize>,
    /// None of its zones is used.
    pub is_disabled: bool,
}

/// Keys from `first` to `last`, and the cells that hold their data.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyRange {
    pub first: u16,
    pub last: u16,
    /// Not empty.
    pub zones: Vec<WeightedZone>,
}

/// A cell's share of a range's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WeightedZone {
    pub zone: usize,
    /// 0: it stands by, and is used while all cells with a weight are disabled.
    pub weight: u32,
}

impl ZoneMap {
    /// Whether a cell serves its users: neither it nor its city is switched off.
    #[must_use]
    pub fn is_enabled(&self, zone: usize) -> bool {
        let zone = self.zones.get(zone).filter(|zone| !zone.is_disabled);
        zone.and_then(|zone| self.cities.get(zone.city)).is_some_and(|city| !city.is_disabled)
    }
}
