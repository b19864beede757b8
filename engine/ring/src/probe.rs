//! Says what this system's io_uring can do and what it refuses, and whether the engine can run on it. It changes nothing
//! and keeps nothing open.

use std::fmt;
use std::io;

use io_uring::{IoUring, Probe, opcode};

use crate::operations::OPERATIONS;
use crate::options::RingOptions;
use crate::restrictions::{Restricted, restrict};
use crate::sandbox::Sandbox;
use crate::setup::{self, ATTEMPTS, Attempt, SetupLevel};
use crate::trial;
use crate::unusable::Unusable;

/// One question and its answer.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What was asked for, by the kernel's name.
    pub name: &'static str,
    /// The first kernel release that has it.
    pub since: &'static str,
    /// What it is to the engine.
    pub need: Need,
    /// What the engine does with it, or what its absence costs.
    pub meaning: &'static str,
    /// Granted, or refused with this errno (0: the kernel does not know it).
    pub answer: Result<(), i32>,
}

/// How much the engine depends on something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// It does not run without.
    Required,
    /// It runs, but slower, or with less protection.
    Wanted,
    /// Not used yet; of interest to whoever tunes.
    Curious,
}

/// Everything `probe` found.
#[derive(Clone, Debug)]
pub struct ProbeReport {
    /// Sets of setup flags, best first. One of them suffices.
    pub setups: Vec<Finding>,
    /// Features and operations. Empty if no ring could be set up.
    pub findings: Vec<Finding>,
    /// Whether the engine can run here, and if not why.
    pub verdict: Result<(), Unusable>,
}

impl ProbeReport {
    /// Whether the engine can run here.
    pub fn is_usable(&self) -> bool {
        self.verdict.is_ok()
    }
}

/// Whether the engine can run here: opens a ring of the default size as a core does, asks for everything in use, and
/// tries what cannot be asked for. Takes less than a millisecond, and is meant to be called before threads are started.
///
/// # Errors
/// [`Unusable`] says in one line what stands in the way, and in another what to do.
///
/// A filter that kills instead of refusing ends the process here: whoever runs under such a one must not ask.
pub fn usable() -> Result<(), Unusable> {
    let (ring, _) = setup::open(&RingOptions::default())?;
    first_lacking(&try_out(ring))
}

/// Asks the system for everything, also for what is not needed, by trying. Takes some milliseconds.
pub fn probe() -> ProbeReport {
    // First, while no other ring counts: those that are closed do so for a while.
    let (findings, verdict) = match setup::open(&RingOptions::default()) {
        Err(unusable) => (Vec::new(), Err(unusable)),
        Ok((ring, _)) => {
            let mut findings = features(&ring);
            findings.extend(operations(&ring));
            let tried = try_out(ring);
            let verdict = first_lacking(&tried);
            findings.push(restrictions());
            findings.extend(tried);
            (findings, verdict)
        }
    };
    ProbeReport { setups: setups(), findings, verdict }
}

fn setups() -> Vec<Finding> {
    let ask = |attempt: &Attempt| {
        let need = if attempt.level == SetupLevel::Deferred { Need::Wanted } else { Need::Curious };
        let answer = attempt.open(8, 16).map(drop).map_err(|error| errno(&error));
        let Attempt { name, since, meaning, .. } = *attempt;
        Finding { name, since, need, meaning, answer }
    };
    ATTEMPTS.iter().map(ask).collect()
}

fn features(ring: &IoUring) -> Vec<Finding> {
    let parameters = ring.params();
    let feature = |name, since, need, meaning, granted: bool| {
        let answer = if granted { Ok(()) } else { Err(0) };
        Finding { name, since, need, meaning, answer }
    };
    vec![
        feature(
            "EXT_ARG",
            "5.11",
            Need::Required,
            "waiting with a limit, when a ring is taken down",
            parameters.is_feature_ext_arg(),
        ),
        feature(
            "CQE_SKIP",
            "5.17",
            Need::Required,
            "no completion for a cancellation that worked",
            parameters.is_feature_skip_cqe_on_success(),
        ),
        feature(
            "NODROP",
            "5.5",
            Need::Wanted,
            "without it completions beyond the queue's 8192 are lost",
            parameters.is_feature_nodrop(),
        ),
        feature(
            "NO_IOWAIT",
            "6.15",
            Need::Wanted,
            "without it an idle proxy is shown as waiting for its disk; costs nothing else",
            parameters.is_feature_no_iowait(),
        ),
        feature(
            "RECVSEND_BUNDLE",
            "6.10",
            Need::Curious,
            "not used: measured 10 % dearer for small messages",
            parameters.is_feature_recvsend_bundle(),
        ),
    ]
}

fn operations(ring: &IoUring) -> Vec<Finding> {
    let mut probe = Probe::new();
    if let Err(error) = ring.submitter().register_probe(&mut probe) {
        return vec![Finding {
            name: "PROBE",
            since: "5.6",
            need: Need::Required,
            meaning: "asking which operations there are",
            answer: Err(errno(&error)),
        }];
    }
    let used = OPERATIONS.iter().map(|used| (used.name, used.since, Need::Required, used.purpose, used.code));
    let curious = [
        ("SEND_ZC", "6.0", "not used: loopback copies anyhow", opcode::SendZc::CODE),
        ("RECV_ZC", "6.15", "not used: needs a network card that splits headers", opcode::RecvZc::CODE),
    ];
    let curious = curious.map(|(name, since, meaning, code)| (name, since, Need::Curious, meaning, code));
    let asked = used.chain(curious).map(|(name, since, need, meaning, code)| {
        let answer = if probe.is_supported(code) { Ok(()) } else { Err(0) };
        Finding { name, since, need, meaning, answer }
    });
    asked.collect()
}

/// On a ring of its own, because they cannot be taken back.
fn restrictions() -> Finding {
    let opened = ATTEMPTS.iter().find_map(|attempt| attempt.open(8, 16).ok());
    let answer = match opened.as_ref().map(restrict) {
        Some(Restricted::Yes) => Ok(()),
        Some(Restricted::Refused(errno)) => Err(errno),
        Some(Restricted::NotAsked) | None => Err(0),
    };
    Finding {
        name: "RESTRICTIONS",
        since: "5.10",
        need: Need::Wanted,
        meaning: "without them the ring could do what the proxy never asks for, such as opening files",
        answer,
    }
}

/// What cannot be asked for. The ring must be open and not enabled.
fn try_out(ring: IoUring) -> Vec<Finding> {
    let tried = trial::try_out(ring).into_iter();
    tried
        .map(|tried| Finding {
            name: tried.name,
            since: tried.since,
            need: Need::Required,
            meaning: tried.meaning,
            answer: tried.answer,
        })
        .collect()
}

fn first_lacking(findings: &[Finding]) -> Result<(), Unusable> {
    let required = findings.iter().filter(|finding| finding.need == Need::Required);
    for Finding { name, since, answer, .. } in required {
        match answer {
            Ok(()) => {}
            Err(0 | libc::EINVAL) => return Err(Unusable::missing(name, since)),
            Err(errno) => {
                let error = io::Error::from_raw_os_error(*errno);
                return Err(Unusable::refused(name, &error, &Sandbox::read()));
            }
        }
    }
    Ok(())
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(0)
}

impl fmt::Display for ProbeReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in self.setups.iter().chain(&self.findings) {
            let need = match finding.need {
                Need::Required => "required",
                Need::Wanted => "wanted",
                Need::Curious => "optional",
            };
            let Finding { name, since, meaning, .. } = finding;
            let answer = if finding.answer.is_ok() { "yes" } else { "no" };
            write!(formatter, "{answer:<5}{need:<10}{name} ({since}): {meaning}")?;
            match finding.answer {
                Ok(()) => writeln!(formatter)?,
                Err(0) => writeln!(formatter, " [unknown to this kernel]")?,
                Err(errno) => writeln!(formatter, " [{}]", io::Error::from_raw_os_error(errno))?,
            }
        }
        match &self.verdict {
            Ok(()) => write!(formatter, "io_uring can be used"),
            Err(unusable) => write!(formatter, "io_uring cannot be used: {unusable}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_system_is_usable_and_the_report_says_so() {
        assert_eq!(usable(), Ok(()));
        let report = probe();
        assert!(report.is_usable(), "{report}");
        for name in ["buffer rings", "multishot RECV", "RESTRICTIONS", "TIMEOUT_REMOVE"] {
            let found = report.findings.iter().find(|finding| finding.name == name);
            assert_eq!(found.map(|finding| finding.answer), Some(Ok(())), "{name} in {report}");
        }
    }

    #[test]
    fn the_first_thing_that_is_needed_and_missing_is_the_reason() {
        let finding = |name, need, answer| Finding { name, since: "6.0", need, meaning: "", answer };
        let findings = [
            finding("nice", Need::Wanted, Err(0)),
            finding("there", Need::Required, Ok(())),
            finding("gone", Need::Required, Err(libc::EINVAL)),
            finding("gone, too", Need::Required, Err(0)),
        ];
        assert_eq!(first_lacking(&findings), Err(Unusable::missing("gone", "6.0")));
        assert_eq!(first_lacking(&findings[..2]), Ok(()));
    }
}
