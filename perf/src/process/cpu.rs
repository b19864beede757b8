//! The CPU time of a process: all its threads, as finely as the kernel tells it.

use std::fs;
use std::iter::Sum;

use super::stat::{parse_schedstat, parse_stat};

/// One tick of the times in /proc/PID/stat; the kernel shows them in hundredths of a second whatever its own rate.
const TICK_US: f64 = 10_000.0;

/// CPU time used. The total comes from schedstat in nanoseconds, the split into user and system from stat in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct CpuTime {
    run_ns: u64,
    user_ticks: u64,
    system_ticks: u64,
}

impl CpuTime {
    /// The time used so far by the living threads of a process, None if it is gone.
    pub(crate) fn of_process(process: u32) -> Option<Self> {
        let stat = parse_stat(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)?;
        let mut run_ns = 0;
        for thread in fs::read_dir(format!("/proc/{process}/task")).ok()?.flatten() {
            let schedstat = fs::read_to_string(thread.path().join("schedstat")).ok();
            run_ns += schedstat.as_deref().and_then(parse_schedstat).unwrap_or(0);
        }
        Some(Self { run_ns, user_ticks: stat.user_ticks, system_ticks: stat.system_ticks })
    }

    /// What was used between `earlier` and now.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            run_ns: self.run_ns.saturating_sub(earlier.run_ns),
            user_ticks: self.user_ticks.saturating_sub(earlier.user_ticks),
            system_ticks: self.system_ticks.saturating_sub(earlier.system_ticks),
        }
    }

    pub(crate) fn total_us(self) -> f64 {
        // A kernel without schedstat says 0; the ticks are coarse, but right over seconds.
        if self.run_ns > 0 { self.run_ns as f64 / 1000.0 } else { self.ticks() as f64 * TICK_US }
    }

    pub(crate) fn user_us(self) -> f64 {
        if self.ticks() == 0 {
            return 0.0;
        }
        self.total_us() * self.user_ticks as f64 / self.ticks() as f64
    }

    pub(crate) fn system_us(self) -> f64 {
        self.total_us() - self.user_us()
    }

    fn ticks(self) -> u64 {
        self.user_ticks + self.system_ticks
    }
}

impl Sum for CpuTime {
    fn sum<I: Iterator<Item = Self>>(times: I) -> Self {
        times.fold(Self::default(), |sum, time| Self {
            run_ns: sum.run_ns + time.run_ns,
            user_ticks: sum.user_ticks + time.user_ticks,
            system_ticks: sum.system_ticks + time.system_ticks,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_split_as_the_ticks_are() {
        let time = CpuTime { run_ns: 1_000_000, user_ticks: 1, system_ticks: 3 };
        assert_eq!((time.user_us(), time.system_us()), (250.0, 750.0));
        let coarse = CpuTime { run_ns: 0, user_ticks: 1, system_ticks: 1 };
        assert_eq!(coarse.total_us(), 20_000.0);
    }

    #[test]
    fn this_process_has_used_some() {
        let used = CpuTime::of_process(std::process::id()).expect("this process is there");
        assert!(used.total_us() > 0.0);
        assert_eq!(used.since(used), CpuTime::default());
    }
}
