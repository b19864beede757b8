//! The other cores of the process, as far as pools lend each other idle connections: what cores say to each other, and
//! the board where each writes what it could give. Nobody waits here, and nothing is opened or closed.

use crate::config::ClusterIndex;
use crate::io::{Address, Detached};
use crate::message::Message;
use crate::observe::counters::Counter;
use crate::stream::StreamKey;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// A core without an idle connection asks one that seems to have one. It is answered once, unless the other core ends.
#[derive(Debug)]
pub struct Ask {
    /// The core that asks.
    pub from: u32,
    /// Of the snapshot that `cluster` is an index of. Cores come to a new one at different times.
    pub version: u64,
    pub cluster: ClusterIndex,
    pub address: Address,
    /// Whom the connection is for, to be given back as it is.
    pub stream: StreamKey,
}

/// What came of an [`Ask`].
#[derive(Debug)]
pub struct Answer {
    pub ask: Ask,
    /// `None`: there is none to give.
    pub conn: Option<SharedConn>,
}

/// An idle connection on its way. Dropping it closes it.
#[derive(Debug)]
pub struct SharedConn {
    pub socket: Detached,
    /// Exchanges that it has carried.
    pub exchanges: u32,
}

/// The way to the other cores.
pub trait Neighbours {
    /// Never waits; `false` (and the message dropped) if that core has no room, or has ended.
    fn try_tell(&mut self, core: u32, message: Message) -> bool;

    /// The board that all cores share.
    fn board(&self) -> &Arc<IdleBoard>;
}

/// Endpoints are told apart by so many numbers. Two that share one cost an ask in vain now and then.
const BOARD_SLOTS: usize = 512;

/// How many idle connections each core has, by endpoint: where to ask, so that nobody is asked in vain whenever all are
/// cold. It may be a little behind, and holds nothing.
#[derive(Debug)]
pub struct IdleBoard {
    /// A row for each core, which alone writes it.
    rows: Box<[Box<[Counter]>]>,
}

impl IdleBoard {
    /// For this many cores. 4 KiB each.
    pub fn new(cores: usize) -> Self {
        let row = || (0..BOARD_SLOTS).map(|_| Counter::default()).collect();
        IdleBoard { rows: (0..cores).map(|_| row()).collect() }
    }

    /// The same on all cores.
    pub(crate) fn slot_of(address: &Address) -> u16 {
        let mut hasher = DefaultHasher::new();
        address.hash(&mut hasher);
        (hasher.finish() % BOARD_SLOTS as u64) as u16
    }

    pub(crate) fn count(&self, core: u32, slot: u16) -> Option<&Counter> {
        self.rows.get(core as usize)?.get(usize::from(slot))
    }

    /// The first core after `core` that has any.
    pub(crate) fn find(&self, core: u32, slot: u16) -> Option<u32> {
        let cores = self.rows.len() as u32;
        let mut others = (1..cores).map(|distance| (core + distance) % cores);
        others.find(|other| self.count(*other, slot).is_some_and(|count| count.get() > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_something_is_found_and_nobody_asks_itself() {
        let board = IdleBoard::new(3);
        let slot = IdleBoard::slot_of(&Address::Ip(([127, 0, 0, 1], 80).into()));
        let set = |core, count| board.count(core, slot).unwrap().set(count);
        assert_eq!(board.find(0, slot), None);
        set(0, 1);
        assert_eq!([0, 1, 2].map(|core| board.find(core, slot)), [None, Some(0), Some(0)]);
        set(2, 7);
        assert_eq!([0, 1, 2].map(|core| board.find(core, slot)), [Some(2), Some(2), Some(0)]);
        assert_eq!(board.find(0, (slot + 1) % BOARD_SLOTS as u16), None);
        assert_eq!(IdleBoard::new(1).find(0, slot), None);
    }
}
