//! A weighted schedule whose weights are looked at anew with every turn, because they change by themselves: by how busy a host
//! is, or by how long it has been there (earliest deadline first, as Envoy does it).

use super::candidates::Candidates;
use super::turns::Turns;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

/// The schedule of one core.
#[derive(Debug)]
pub struct Schedule {
    turns: BinaryHeap<Reverse<Turn>>,
    marks: Turns,
    /// When the last turn was due.
    now: f64,
    /// Every request in hand makes a host lighter.
    counts_requests: bool,
}

/// A host's next turn in virtual time.
#[derive(Debug)]
struct Turn {
    deadline: f64,
    host: u32,
}

impl Schedule {
    pub(super) fn new(candidates: Candidates<'_>, counts_requests: bool) -> Self {
        let (turns, marks) = (BinaryHeap::new(), Turns::default());
        let mut schedule = Schedule { turns, marks, now: 0.0, counts_requests };
        candidates.hosts().iter().for_each(|host| schedule.insert(candidates, *host));
        schedule
    }

    /// The next host; `None` only if there is none at all.
    pub(super) fn pick(&mut self, candidates: Candidates<'_>) -> Option<u32> {
        loop {
            let mut due = self.turns.peek_mut()?;
            let host = due.0.host;
            if self.marks.come_up(host) {
                self.now = due.0.deadline;
                due.0.deadline += pause(candidates, host, self.counts_requests);
                return Some(host);
            }
            PeekMut::pop(due);
        }
    }

    /// One more candidate.
    pub(super) fn insert(&mut self, candidates: Candidates<'_>, host: u32) {
        if self.marks.insert(host) {
            let deadline = self.now + pause(candidates, host, self.counts_requests);
            self.turns.push(Reverse(Turn { deadline, host }));
        }
    }

    /// One candidate less.
    pub(super) fn remove(&mut self, host: u32) {
        self.marks.remove(host);
    }
}

/// Virtual time between two turns of a host as busy as it is now.
fn pause(candidates: Candidates<'_>, host: u32, counts_requests: bool) -> f64 {
    let busy = if counts_requests { candidates.active_requests(host) } else { 0 };
    (busy + 1) as f64 / candidates.weight_now(host)
}

impl Ord for Turn {
    fn cmp(&self, other: &Self) -> Ordering {
        self.deadline.total_cmp(&other.deadline).then(self.host.cmp(&other.host))
    }
}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Turn {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Turn {}
