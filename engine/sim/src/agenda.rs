//! What is to happen when: events in order of virtual time, then in the order in which they were put down.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Something that happens outside of the machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Event {
    /// A peer has something to look at, or wanted to be woken.
    Peer(u32),
    /// What the peer of this link wrote reaches the proxy's kernel.
    Arrive(u32),
    /// The outcome of a connect, by the link that it is for.
    Connect(u32),
    /// The network loses this link: both ends fail.
    Break(u32),
    /// The kernel gets round to what it left undone.
    Kick,
    /// The next client comes.
    Client,
    /// The next thing that the control thread does.
    Control,
}

/// The queue of events.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    serial: u64,
}

impl Agenda {
    /// Puts an event down for a time in microseconds.
    pub(crate) fn add(&mut self, time: u64, event: Event) {
        self.serial += 1;
        self.events.push(Reverse((time, self.serial, event)));
    }

    /// The next event whose time has come.
    pub(crate) fn pop_due(&mut self, now: u64) -> Option<Event> {
        if self.next_time()? > now {
            return None;
        }
        self.events.pop().map(|Reverse((_, _, event))| event)
    }

    /// When the next event is.
    pub(crate) fn next_time(&self) -> Option<u64> {
        self.events.peek().map(|Reverse((time, ..))| *time)
    }
}
