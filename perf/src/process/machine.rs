//! How busy the machine is with anything but us: figures taken beside a compiler mean little.

use std::fs;
use std::time::Instant;

use super::stat::{MachineTicks, parse_machine, parse_stat};
use super::tree::process_tree;

const TICKS_PER_SECOND: f64 = 100.0;

/// A moment to measure from.
pub(crate) struct Since {
    at: Instant,
    machine: MachineTicks,
    own_ticks: u64,
}

/// Cores used since then, on average.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OtherUse {
    /// By processes that this one has not started.
    pub(crate) others: f64,
    /// By the host, for something else than this machine.
    pub(crate) stolen: f64,
}

impl Since {
    pub(crate) fn now() -> Self {
        Self { at: Instant::now(), machine: machine_ticks(), own_ticks: own_ticks() }
    }

    /// What others used since then. Children of ours must be alive still, or have been waited for.
    pub(crate) fn other_use(&self) -> OtherUse {
        let (machine, own) = (machine_ticks(), own_ticks());
        let ticks = self.at.elapsed().as_secs_f64() * TICKS_PER_SECOND;
        let busy = machine.busy.saturating_sub(self.machine.busy);
        let others = busy.saturating_sub(own.saturating_sub(self.own_ticks));
        let stolen = machine.stolen.saturating_sub(self.machine.stolen);
        OtherUse { others: others as f64 / ticks, stolen: stolen as f64 / ticks }
    }
}

fn machine_ticks() -> MachineTicks {
    fs::read_to_string("/proc/stat").ok().and_then(|stat| parse_machine(&stat)).unwrap_or_default()
}

fn own_ticks() -> u64 {
    process_tree(std::process::id())
        .into_iter()
        .filter_map(|process| parse_stat(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?))
        .map(|stat| stat.user_ticks + stat.system_ticks + stat.children_ticks)
        .sum()
}
