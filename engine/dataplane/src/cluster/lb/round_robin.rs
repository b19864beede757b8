//! Round robin among endpoints of equal weight: one after the other.

/// The turn of one core. Cores start at different endpoints so that they do not all pick the first one first.
#[derive(Debug)]
pub struct RoundRobin {
    next: usize,
}

impl RoundRobin {
    /// `start` may be any number.
    pub fn new(start: usize, count: usize) -> Self {
        RoundRobin { next: start % count.max(1) }
    }

    /// The next endpoint's index among `count`, which is always the same; `None` only if there is none at all.
    pub fn pick(&mut self, count: usize) -> Option<usize> {
        if count == 0 {
            return None;
        }
        let picked = self.next;
        self.next = if picked + 1 == count { 0 } else { picked + 1 };
        Some(picked)
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
}
