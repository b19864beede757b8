//! Opens an io_uring with the best set of flags the system grants, and says which that was.
//!
//! ```text
//!   opened, disabled ──► buffer rings registered ──► restricted ──► enabled
//! ```

use std::fmt;
use std::io;
use std::time::Duration;

use io_uring::{IoUring, Probe, opcode};

use crate::operations::OPERATIONS;
use crate::options::RingOptions;
use crate::restrictions::{Restricted, restrict};
use crate::sandbox::Sandbox;
use crate::unusable::Unusable;

/// The kernel takes a ring apart some time after it is closed, and counts its memory until then: one that is opened right
/// behind another, or by the process that takes another's place, waits for that, this often and this long.
const MEMORY_TRIES: u32 = 20;
const MEMORY_PAUSE: Duration = Duration::from_millis(5);

/// When the kernel runs the part of an operation that needs our thread. Measured: the first two are equal, the third
/// costs 39 % more CPU per request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TaskRun {
    /// Only while we wait for completions (DEFER_TASKRUN, Linux 6.1).
    Deferred,
    /// At any system call (COOP_TASKRUN, Linux 5.19).
    Cooperative,
    /// At once, by interrupting us.
    Interrupting,
}

/// The sets of setup flags that are tried, from the best to the most modest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SetupLevel {
    /// SINGLE_ISSUER and DEFER_TASKRUN, Linux 6.1.
    Deferred,
    /// SINGLE_ISSUER and COOP_TASKRUN, Linux 6.0.
    SingleCooperative,
    /// COOP_TASKRUN, Linux 5.19.
    Cooperative,
    /// No flag that changes how the ring works.
    Plain,
}

impl SetupLevel {
    /// All of them, best first.
    pub const ALL: [SetupLevel; 4] =
        [SetupLevel::Deferred, SetupLevel::SingleCooperative, SetupLevel::Cooperative, SetupLevel::Plain];
}

/// What was asked of the system, and what it granted.
#[derive(Clone, Debug)]
pub struct SetupReport {
    /// The mode granted.
    pub task_run: TaskRun,
    /// Whether the kernel knows that one thread alone submits (SINGLE_ISSUER, Linux 6.0).
    pub single_issuer: bool,
    /// Whether the ring is tied to the operations in use.
    pub restricted: Restricted,
    /// Better sets of flags that were refused, with the errno of each.
    pub refused: Vec<(&'static str, i32)>,
}

impl fmt::Display for SetupReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let issuer = if self.single_issuer { "SINGLE_ISSUER" } else { "many issuers" };
        let task_run = match self.task_run {
            TaskRun::Deferred => "DEFER_TASKRUN",
            TaskRun::Cooperative => "COOP_TASKRUN",
            TaskRun::Interrupting => "no TASKRUN flag",
        };
        write!(formatter, "{issuer}, {task_run}")?;
        match self.restricted {
            Restricted::Yes => write!(formatter, ", restricted")?,
            Restricted::NotAsked => {}
            Restricted::Refused(errno) => {
                write!(formatter, ", restrictions refused: {}", io::Error::from_raw_os_error(errno))?;
            }
        }
        for (flags, errno) in &self.refused {
            write!(formatter, "; {flags} refused: {}", io::Error::from_raw_os_error(*errno))?;
        }
        Ok(())
    }
}

/// Does it again while there is no memory, for a bounded time.
pub(crate) fn patiently<T>(mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut tries = 1;
    loop {
        match work() {
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) && tries < MEMORY_TRIES => {
                tries += 1;
                std::thread::sleep(MEMORY_PAUSE);
            }
            outcome => return outcome,
        }
    }
}

/// A set of setup flags, best first in [`ATTEMPTS`].
#[derive(Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) name: &'static str,
    pub(crate) level: SetupLevel,
    pub(crate) since: &'static str,
    /// What it is worth.
    pub(crate) meaning: &'static str,
    task_run: TaskRun,
    single_issuer: bool,
    submit_all: bool,
}

/// From the best to the most modest.
pub(crate) const ATTEMPTS: [Attempt; 4] = [
    Attempt {
        name: "SINGLE_ISSUER|DEFER_TASKRUN",
        level: SetupLevel::Deferred,
        since: "6.1",
        meaning: "completions wait for us instead of interrupting the work",
        task_run: TaskRun::Deferred,
        single_issuer: true,
        submit_all: true,
    },
    Attempt {
        name: "SINGLE_ISSUER|COOP_TASKRUN",
        level: SetupLevel::SingleCooperative,
        since: "6.0",
        meaning: "measured equal; idle memory of buffers is not given back",
        task_run: TaskRun::Cooperative,
        single_issuer: true,
        submit_all: true,
    },
    Attempt {
        name: "COOP_TASKRUN",
        level: SetupLevel::Cooperative,
        since: "5.19",
        meaning: "as above, and the kernel locks where one thread alone submits",
        task_run: TaskRun::Cooperative,
        single_issuer: false,
        submit_all: true,
    },
    Attempt {
        name: "no flags",
        level: SetupLevel::Plain,
        since: "5.10",
        meaning: "completions interrupt the work: measured 39 % more CPU per request",
        task_run: TaskRun::Interrupting,
        single_issuer: false,
        submit_all: false,
    },
];

impl Attempt {
    /// Opens a ring of this kind, which takes registrations but no operation until it is enabled.
    pub(crate) fn open(self, entries: u32, completion_entries: u32) -> io::Result<IoUring> {
        patiently(|| self.open_now(entries, completion_entries))
    }

    fn open_now(self, entries: u32, completion_entries: u32) -> io::Result<IoUring> {
        let mut builder = IoUring::builder();
        builder.dontfork().setup_cqsize(completion_entries).setup_r_disabled();
        if self.submit_all {
            builder.setup_submit_all();
        }
        if self.single_issuer {
            builder.setup_single_issuer();
        }
        match self.task_run {
            TaskRun::Deferred => builder.setup_defer_taskrun(),
            TaskRun::Cooperative => builder.setup_coop_taskrun(),
            TaskRun::Interrupting => &mut builder,
        };
        builder.build(entries)
    }
}

/// Opens the best ring to be had, and makes sure that it can do what the engine needs. It takes registrations, and is to
/// be enabled next.
pub(crate) fn open(options: &RingOptions) -> Result<(IoUring, SetupReport), Unusable> {
    let mut refused = Vec::new();
    let mut last = io::Error::from_raw_os_error(libc::ENOSYS);
    for attempt in ATTEMPTS.iter().filter(|attempt| attempt.level >= options.best_setup) {
        match attempt.open(options.entries, options.completion_entries) {
            Ok(ring) => {
                check(&ring)?;
                let Attempt { task_run, single_issuer, .. } = *attempt;
                let restricted = Restricted::NotAsked;
                return Ok((ring, SetupReport { task_run, single_issuer, restricted, refused }));
            }
            Err(error) => {
                refused.push((attempt.name, error.raw_os_error().unwrap_or(0)));
                // A set of flags that the kernel does not know says nothing about why there is no ring at all.
                last = error;
                if last.raw_os_error() != Some(libc::EINVAL) {
                    break;
                }
            }
        }
    }
    if last.raw_os_error() == Some(libc::EINVAL) {
        return Err(Unusable::missing("R_DISABLED", "5.10"));
    }
    Err(Unusable::refused("io_uring_setup", &last, &Sandbox::read()))
}

/// Restricts the ring and lets it go. It belongs to the calling thread from here on.
pub(crate) fn enable(ring: &IoUring, restricts: bool) -> Result<Restricted, Unusable> {
    let restricted = if restricts { restrict(ring) } else { Restricted::NotAsked };
    let enabled = ring.submitter().register_enable_rings();
    enabled.map_err(|error| Unusable::refused("io_uring_register", &error, &Sandbox::read()))?;
    Ok(restricted)
}

fn check(ring: &IoUring) -> Result<(), Unusable> {
    if !ring.params().is_feature_ext_arg() {
        return Err(Unusable::missing("EXT_ARG", "5.11"));
    }
    if !ring.params().is_feature_skip_cqe_on_success() {
        return Err(Unusable::missing("CQE_SKIP", "5.17"));
    }
    let mut probe = Probe::new();
    let asked = ring.submitter().register_probe(&mut probe);
    asked.map_err(|error| Unusable::refused("io_uring_register", &error, &Sandbox::read()))?;
    if let Some(lacking) = OPERATIONS.iter().find(|operation| !probe.is_supported(operation.code)) {
        return Err(Unusable::missing(lacking.name, lacking.since));
    }
    // Multishot receive cannot be asked for by itself, and trying it takes longer; SEND_ZC came in the same release.
    if !probe.is_supported(opcode::SendZc::CODE) {
        return Err(Unusable::missing("multishot RECV", "6.0"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_waited_for_a_bounded_time_and_nothing_else_is() {
        let count = |errno: i32, enough_at: u32| {
            let mut calls = 0;
            let outcome = patiently(|| {
                calls += 1;
                if calls == enough_at { Ok(()) } else { Err(io::Error::from_raw_os_error(errno)) }
            });
            (calls, outcome.is_ok())
        };
        assert_eq!(count(libc::ENOMEM, 1), (1, true));
        assert_eq!(count(libc::ENOMEM, MEMORY_TRIES), (MEMORY_TRIES, true));
        assert_eq!(count(libc::ENOMEM, MEMORY_TRIES + 1), (MEMORY_TRIES, false));
        assert_eq!(count(libc::EPERM, 2), (1, false));
    }
}
