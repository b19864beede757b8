//! What a model client of calls does at its own discretion, apart from what it asks for.

use super::frame::Traits;
use crate::choices::Choices;
use crate::plan::Plan;

/// What a client of calls does beyond what everybody does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Habits {
    /// Calls under way at most.
    pub(super) depth: usize,
    /// Several of its calls may have the same id.
    pub(super) repeats_ids: bool,
    /// Heartbeats that it sends with its calls, one in so many, and how many at a time.
    pub(super) pings: (usize, usize),
    /// Behind so many calls it writes what is no frame.
    pub(super) garbage: Option<(usize, u8)>,
}

impl Habits {
    pub(super) fn new(traits: Traits, plan: &Plan, choices: &mut Choices) -> Self {
        let pings = match choices.below(12) {
            0..7 => (0, 0),
            7..11 => (choices.between(1, 6), choices.between(1, 4)),
            // More than may wait for somebody who takes none of the answers.
            _ if !plan.is_calm => (1, 4000),
            _ => (1, 20),
        };
        Habits {
            depth: choices.pick(&[1, 32, 4, 200]),
            repeats_ids: choices.one_in(5),
            pings: if traits.has_pings { pings } else { (0, 0) },
            garbage: choices
                .one_in(plan.client_faults)
                .then(|| (choices.below(plan.requests_max + 1), choices.below(12) as u8)),
        }
    }
}
