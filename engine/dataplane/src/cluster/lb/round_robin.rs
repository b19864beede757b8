//! Round robin among hosts of equal weight: one after the other.

/// The turn of one core. Cores start at different hosts so that they do not all pick the first one first.
#[derive(Debug)]
pub struct RoundRobin {
    next: usize,
}

impl RoundRobin {
    /// `start` may be any number.
    pub fn new(start: usize, count: usize) -> Self {
        RoundRobin { next: start % count.max(1) }
    }

    /// The next host's position among `count`, which is always the same; `None` only if there is none at all.
    pub fn pick(&mut self, count: usize) -> Option<usize> {
        if count == 0 {
            return None;
        }
        let picked = self.next;
        self.next = if picked + 1 >= count { 0 } else { picked + 1 };
        Some(picked)
    }

    /// One more candidate at this position: whoever was next still is.
    pub(super) fn insert(&mut self, position: usize) {
        self.next += usize::from(position < self.next);
    }

    /// One candidate less, which was at this position, of `count` that are left.
    pub(super) fn remove(&mut self, position: usize, count: usize) {
        self.next -= usize::from(position < self.next);
        self.next = if self.next < count { self.next } else { 0 };
    }

    /// Whose turn is next.
    pub(super) fn next(&self) -> usize {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_weights_take_turns() {
        let picks = |start, count| {
            let mut balancer = RoundRobin::new(start, count);
            (0..6).filter_map(|_| balancer.pick(count)).collect::<Vec<_>>()
        };
        assert_eq!(picks(1, 3), [1, 2, 0, 1, 2, 0]);
        assert_eq!(picks(5, 1), [0; 6]);
        assert_eq!(picks(3, 0), [0; 0]);
    }

    #[test]
    fn the_turn_survives_those_that_come_and_go() {
        // Of a b c d, c is next.
        for (gone, next) in [(0, 1), (1, 1), (2, 2), (3, 2)] {
            let mut balancer = RoundRobin::new(2, 4);
            balancer.remove(gone, 3);
            assert_eq!(balancer.pick(3), Some(next), "without {gone}");
        }
        let mut last = RoundRobin::new(3, 4);
        last.remove(3, 3);
        assert_eq!(last.pick(3), Some(0));
        last.remove(0, 0);
        assert_eq!(last.pick(0), None);
        for (new, next) in [(0, 3), (1, 3), (2, 2), (3, 2), (4, 2)] {
            let mut balancer = RoundRobin::new(2, 4);
            balancer.insert(new);
            assert_eq!(balancer.pick(5), Some(next), "with one at {new}");
        }
    }
}
