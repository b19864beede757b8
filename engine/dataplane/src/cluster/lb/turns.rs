//! Which hosts a schedule has a turn for. Taking a turn out of the middle of a schedule would cost a look at all of them: that of
//! a host that goes stays until it comes up, and a host that is back by then goes on with it.

/// A mark for each index of the table of hosts.
#[derive(Debug, Default)]
pub(super) struct Turns {
    marks: Vec<Mark>,
}

/// ```text
/// None <-> Scheduled <-> Leaving
///   ^_____________________/
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Mark {
    #[default]
    None,
    Scheduled,
    Leaving,
}

impl Turns {
    /// A host comes; tells whether it needs a turn.
    pub(super) fn insert(&mut self, host: u32) -> bool {
        let at = host as usize;
        if at >= self.marks.len() {
            self.marks.resize(at + 1, Mark::None);
        }
        std::mem::replace(&mut self.marks[at], Mark::Scheduled) == Mark::None
    }

    /// A host goes.
    pub(super) fn remove(&mut self, host: u32) {
        if let Some(mark) = self.marks.get_mut(host as usize) {
            *mark = if *mark == Mark::None { Mark::None } else { Mark::Leaving };
        }
    }

    /// Whether the turn of a host that comes up counts. One that does not is to be forgotten by the schedule, too.
    pub(super) fn come_up(&mut self, host: u32) -> bool {
        match self.marks.get_mut(host as usize) {
            Some(Mark::Scheduled) => true,
            Some(mark) => {
                *mark = Mark::None;
                false
            }
            None => false,
        }
    }
}

/// A number below `range` that spreads hosts which come at the same time: `range` is a power of two.
pub(super) fn offset(host: u32, range: u64) -> u64 {
    u64::from(host.wrapping_mul(0x9E37_79B1) >> 16) % range
}
