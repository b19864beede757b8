//! How much of the traffic stays in the zone that it comes from: Envoy's zone aware routing, in hundredths of a per cent. It
//! knows no hosts.
//!
//! Each zone is to get as much as it would without it. A zone that has a larger part of the upstream hosts than of the hosts
//! that send to them bears all of its own traffic; of another one's as much stays as it bears, and the rest goes where there is
//! room. Envoy's documents: "Zone aware routing".

/// Of all.
const WHOLE: u64 = 10_000;

/// The hosts of one zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ZoneSize {
    /// Healthy ones that requests go to.
    pub(super) upstream: usize,
    /// Healthy ones that they come from.
    pub(super) local: usize,
}

/// Where the requests of this zone go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ZoneRouting {
    /// All of them stay.
    Direct,
    /// Some of them.
    Residual {
        /// How many stay, of [`WHOLE`].
        stays: u64,
        /// What room each zone has, added up from zone to zone.
        room: Vec<u64>,
    },
}

/// Which zone a request goes to, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZoneChoice {
    /// Its own, as all do.
    Direct,
    /// Its own, as some do.
    Sampled,
    /// Another one.
    Cross(usize),
    /// Any: rounding has left no room.
    NoCapacity,
}

impl ZoneRouting {
    /// Of the zones, the own one first. `is_forced`: all stay as long as there is a host.
    pub(super) fn new(zones: &[ZoneSize], is_forced: bool) -> Self {
        let upstream: usize = zones.iter().map(|zone| zone.upstream).sum();
        let local: usize = zones.iter().map(|zone| zone.local).sum();
        let part = |some: usize, all: usize| (WHOLE * some as u64).checked_div(all as u64).unwrap_or(0);
        let parts: Vec<(u64, u64)> = zones
            .iter()
            // Where nobody is, it does not matter who is there that sends.
            .map(|zone| {
                if zone.upstream == 0 {
                    (0, 0)
                } else {
                    (part(zone.upstream, upstream), part(zone.local, local))
                }
            })
            .collect();
        let (own, own_local) = parts.first().copied().unwrap_or_default();
        if own > 0 && (own >= own_local || is_forced) {
            return ZoneRouting::Direct;
        }
        let mut room = 0;
        let room = parts.iter().enumerate().map(|(at, (upstream, local))| {
            room += if at == 0 { 0 } else { upstream.saturating_sub(*local) };
            room
        });
        ZoneRouting::Residual {
            room: room.collect(),
            stays: (own * WHOLE).checked_div(own_local).unwrap_or(0),
        }
    }

    /// The zone for a request, by two random numbers.
    pub(super) fn choose(&self, first: u32, second: u32) -> ZoneChoice {
        let ZoneRouting::Residual { stays, room } = self else { return ZoneChoice::Direct };
        if u64::from(first) % WHOLE < *stays {
            return ZoneChoice::Sampled;
        }
        let all = room.last().copied().unwrap_or(0);
        match u64::from(second).checked_rem(all) {
            Some(at) => ZoneChoice::Cross(room.partition_point(|room| *room <= at)),
            None => ZoneChoice::NoCapacity,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routing(sizes: &[(usize, usize)]) -> ZoneRouting {
        let zones = sizes.iter().map(|(upstream, local)| ZoneSize { upstream: *upstream, local: *local });
        ZoneRouting::new(&zones.collect::<Vec<_>>(), false)
    }

    fn residual(stays: u64, room: &[u64]) -> ZoneRouting {
        ZoneRouting::Residual { stays, room: room.to_vec() }
    }

    #[test]
    fn a_zone_that_bears_its_own_traffic_keeps_it() {
        assert_eq!(routing(&[(1, 1), (1, 1)]), ZoneRouting::Direct);
        assert_eq!(routing(&[(2, 1), (1, 1)]), ZoneRouting::Direct);
        assert_eq!(routing(&[(2, 4), (1, 2), (1, 2)]), ZoneRouting::Direct);
        assert_eq!(routing(&[(1, 0), (1, 1)]), ZoneRouting::Direct);
    }

    /// The tables of Envoy's own tests, and the example in its comments: 40 / 40 / 20 % that send, 25 / 50 / 25 % that answer.
    #[test]
    fn what_it_does_not_bear_goes_where_there_is_room() {
        assert_eq!(routing(&[(1, 2), (2, 2), (1, 1)]), residual(6250, &[0, 1000, 1500]));
        assert_eq!(routing(&[(1, 2), (3, 2)]), residual(5000, &[0, 2500]));
        assert_eq!(routing(&[(1, 3), (1, 1), (2, 1)]), residual(4166, &[0, 500, 3500]));
        // Nobody here: all of it goes elsewhere.
        assert_eq!(routing(&[(0, 1), (1, 1), (1, 1)]), residual(0, &[0, 1667, 3334]));
        // A zone without upstream hosts has no room, however little it sends.
        assert_eq!(routing(&[(1, 2), (0, 0), (1, 1)]), residual(7500, &[0, 0, 1667]));
    }

    #[test]
    fn by_force_all_stay_as_long_as_anybody_is_there() {
        let zones = |upstream| [ZoneSize { upstream, local: 9 }, ZoneSize { upstream: 5, local: 1 }];
        assert_eq!(ZoneRouting::new(&zones(1), true), ZoneRouting::Direct);
        assert_ne!(ZoneRouting::new(&zones(0), true), ZoneRouting::Direct);
    }

    #[test]
    fn requests_are_drawn_by_what_stays_and_what_room_there_is() {
        let routing = residual(5000, &[0, 1000, 1000, 3000]);
        for (first, second, expected) in [
            (0, 0, ZoneChoice::Sampled),
            (4999, 0, ZoneChoice::Sampled),
            (5000, 0, ZoneChoice::Cross(1)),
            (9999, 999, ZoneChoice::Cross(1)),
            (9999, 1000, ZoneChoice::Cross(3)),
            (9999, 2999, ZoneChoice::Cross(3)),
            (15_000, 3000, ZoneChoice::Cross(1)),
        ] {
            assert_eq!(routing.choose(first, second), expected, "{first} {second}");
        }
        assert_eq!(residual(0, &[0, 0]).choose(0, 0), ZoneChoice::NoCapacity);
        assert_eq!(ZoneRouting::Direct.choose(9999, 9), ZoneChoice::Direct);
    }
}
