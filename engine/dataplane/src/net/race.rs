//! What a connection to a logical host knows of the addresses beside its own, while the first of them to answer is awaited
//! (RFC 8305, happy eyeballs). Plain state: who is started and who is closed is decided in `proxy`.

use crate::cluster::Host;
use crate::io::{ConnId, Time};
use std::rc::Rc;

/// The next address gets its turn when the one before has not answered for this long (Envoy's; RFC 8305 has 250 ms).
pub const NEXT_ADDRESS_MS: u64 = 300;

/// One connection's part.
#[derive(Debug)]
pub struct Racer {
    /// The host under the address of this connection.
    pub host: Rc<Host>,
    pub part: Part,
}

/// ```text
/// Leading ──the next address has its turn──▶ Trailing ──it is the last one left──▶ Leading
///    │                                          │
///    └──────────────established─────────────────┴──▶ Settled
/// ```
#[derive(Debug)]
pub enum Part {
    /// Established, or the only one from the start.
    Settled,
    /// Started last; has the race.
    Leading(Race),
    Trailing,
}

/// The attempts to get one connection.
#[derive(Debug)]
pub struct Race {
    host: Rc<Host>,
    /// The address that has the next turn, by number.
    next: usize,
    pub started: Time,
    /// Those under way that were started before the one that leads.
    pub older: Vec<ConnId>,
}

impl Racer {
    /// The first attempt to get a connection to the host. `None`: a host like most, with an address of its own.
    pub fn first(host: &Rc<Host>, now: Time) -> Option<Box<Racer>> {
        if !host.is_logical {
            return None;
        }
        let race = Race { host: Rc::clone(host), next: 1, started: now, older: vec![] };
        let part = if race.has_next() { Part::Leading(race) } else { Part::Settled };
        Some(Box::new(Racer { host: Rc::clone(host), part }))
    }

    /// The race, if this is the connection that has it: it trails from then on.
    pub fn take_race(&mut self) -> Option<Race> {
        match std::mem::replace(&mut self.part, Part::Trailing) {
            Part::Leading(race) => Some(race),
            other => {
                self.part = other;
                None
            }
        }
    }
}

impl Race {
    /// Whether an address has not had its turn.
    pub fn has_next(&self) -> bool {
        self.next <= self.host.alternates.len()
    }

    /// Takes the next turn.
    pub fn take_next(&mut self) -> Option<Rc<Host>> {
        let host = self.host.at(self.next)?;
        self.next += 1;
        Some(host)
    }
}
