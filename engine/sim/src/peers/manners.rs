//! How a model client behaves, apart from what it asks for.

use crate::choices::Choices;
use crate::plan::Plan;

/// What one client does at its own pace.
#[derive(Clone, Debug)]
pub(crate) struct Manners {
    /// Requests under way at most.
    pub(crate) depth: usize,
    /// It ends its side with its last request.
    pub(crate) half_closes: bool,
    /// It writes this many bytes at a time, and then rests this long.
    pub(crate) dribble: Option<(usize, u64)>,
    /// It reads this many bytes at a time, and then rests this long.
    pub(crate) sips: Option<(usize, u64)>,
    /// It stops to read behind this many bytes, for good.
    pub(crate) stops_reading: Option<u64>,
    /// It gives up behind this many bytes written, or read, and how.
    pub(crate) aborts: Option<Abort>,
    /// It says nothing at all.
    pub(crate) is_silent: bool,
    /// It sends into a tunnel before that is agreed to.
    pub(crate) sends_ahead: bool,
    /// It stays when it has nothing more to ask, until the proxy ends it.
    pub(crate) stays: bool,
    /// It reads nothing of an answer before its request is written.
    pub(crate) reads_late: bool,
    /// Not even when the proxy has ended its side.
    pub(crate) is_stubborn: bool,
    /// It rests this long between an answer and the next request.
    pub(crate) rest_micros: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Abort {
    pub(crate) written: u64,
    pub(crate) read: u64,
    pub(crate) by_end: bool,
}

impl Manners {
    pub(crate) fn new(plan: &Plan, choices: &mut Choices) -> Self {
        let faulty = plan.client_faults;
        let slow = if plan.is_calm { 10_000 } else { 1_200_000 };
        let dribble = choices.one_in(8).then(|| {
            let bytes = if choices.chance(50) { choices.between(1, 60) } else { choices.between(1, 3000) };
            (if plan.is_calm { bytes.max(20) } else { bytes }, choices.below(slow) as u64)
        });
        let sips =
            choices.one_in(6).then(|| (choices.between(200, 8000), choices.below(slow.min(20_000)) as u64));
        let aborts = choices.one_in(faulty).then(|| Abort {
            written: if choices.chance(50) { choices.below(400) as u64 } else { u64::MAX },
            read: choices.below(3000) as u64,
            by_end: choices.chance(30),
        });
        // Of a client that was answered no more than a megabyte is read: several large bodies would be too much.
        let may_pipeline = !plan.is_calm || plan.body_max < 300_000;
        let depth = if may_pipeline && choices.chance(40) { choices.between(2, 6) } else { 1 };
        Manners {
            depth,
            half_closes: choices.chance(25),
            dribble,
            sips,
            stops_reading: choices.one_in(faulty).then(|| choices.below(6000) as u64),
            aborts,
            is_silent: choices.one_in(faulty * 2),
            sends_ahead: choices.chance(30),
            stays: choices.one_in(6),
            // Whoever pipelines and does not read waits for himself.
            reads_late: depth == 1 && choices.chance(25),
            is_stubborn: !plan.is_calm && choices.chance(50),
            rest_micros: if choices.chance(30) { choices.below(20_000) as u64 } else { 0 },
        }
    }
}
