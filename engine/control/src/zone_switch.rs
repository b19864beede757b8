//! Disaster switches of zones and cities that are turned while the process runs: what the file says is overruled until it is
//! read again.

use sidering_dataplane::config::{ChainLink, LinkTables, ListenerKind, NamedTable, Snapshot, ZoneMap};
use sidering_dataplane::route::RouteTable;

/// So many switches may be turned at once.
pub(crate) const MOST_SWITCHES: usize = 1024;

/// One switch and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ZoneSwitch {
    pub(crate) map: String,
    pub(crate) of: SwitchOf,
    pub(crate) is_disabled: bool,
}

/// What is switched on or off, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SwitchOf {
    Zone(String),
    City(String),
}

impl ZoneSwitch {
    /// Whether it is another position of the same switch.
    pub(crate) fn overrules(&self, other: &ZoneSwitch) -> bool {
        self.map == other.map && self.of == other.of
    }

    /// Turns the switch in all listeners that have it. Tells whether any has.
    pub(crate) fn turn(&self, snapshot: &mut Snapshot) -> bool {
        let mut found = false;
        for listener in &mut snapshot.listeners {
            let ListenerKind::Http(http) = &mut listener.kind else { continue };
            let mut chain = http.routes.chain().to_vec();
            let turned = chain.iter_mut().map(|link| self.turn_in(link)).filter(|turned| *turned).count();
            if turned > 0 {
                let tables = http
                    .routes
                    .tables()
                    .map(|(name, hosts)| NamedTable { name: name.to_owned(), virtual_hosts: hosts.to_vec() });
                http.routes = RouteTable::chained(tables.collect(), chain).into();
                found = true;
            }
        }
        found
    }

    fn turn_in(&self, link: &mut ChainLink) -> bool {
        let LinkTables::Zones(map) = &mut link.tables else { return false };
        map.name == self.map && self.position(map).map(|position| *position = self.is_disabled).is_some()
    }

    fn position<'m>(&self, map: &'m mut ZoneMap) -> Option<&'m mut bool> {
        match &self.of {
            SwitchOf::Zone(name) => {
                map.zones.iter_mut().find(|zone| zone.name == *name).map(|zone| &mut zone.is_disabled)
            }
            SwitchOf::City(name) => {
                map.cities.iter_mut().find(|city| city.name == *name).map(|city| &mut city.is_disabled)
            }
        }
    }
}
