//! Says what this system's io_uring can do and what it refuses, for people who wonder why it does not work. It changes
//! nothing and keeps nothing open.

use std::fmt;
use std::io;

use io_uring::{IoUring, Probe, opcode};

use crate::buffer_ring::BufferRing;
use crate::setup::ATTEMPTS;

/// One question and its answer.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What was asked for, by the kernel's name.
    pub name: &'static str,
    /// What it is to the engine.
    pub need: Need,
    /// Granted, or refused with this errno (0: the kernel does not know it).
    pub answer: Result<(), i32>,
}

/// How much the engine depends on something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// It does not run without.
    Required,
    /// It runs, but slower.
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
}

impl ProbeReport {
    /// Whether the engine can run here.
    pub fn is_usable(&self) -> bool {
        let all_required = self.findings.iter().all(|f| f.need != Need::Required || f.answer.is_ok());
        self.setups.iter().any(|setup| setup.answer.is_ok()) && all_required
    }
}

/// Asks the system, by trying. Takes well under a millisecond.
pub fn probe() -> ProbeReport {
    let mut setups = Vec::new();
    let mut best: Option<IoUring> = None;
    for (position, attempt) in ATTEMPTS.iter().enumerate() {
        let need = if position == 0 { Need::Wanted } else { Need::Curious };
        let answer = match attempt.open(8, 16) {
            Ok(ring) => {
                best.get_or_insert(ring);
                Ok(())
            }
            Err(error) => Err(errno(&error)),
        };
        setups.push(Finding { name: attempt.name, need, answer });
    }
    let findings = best.map_or_else(Vec::new, |ring| examine(&ring));
    ProbeReport { setups, findings }
}

fn examine(ring: &IoUring) -> Vec<Finding> {
    let parameters = ring.params();
    let mut findings = Vec::new();
    let mut add = |name, need, granted: bool| {
        findings.push(Finding { name, need, answer: if granted { Ok(()) } else { Err(0) } });
    };
    add("EXT_ARG (wait with timeout, 5.11)", Need::Required, parameters.is_feature_ext_arg());
    add("NODROP (completions are never lost, 5.5)", Need::Wanted, parameters.is_feature_nodrop());
    add("CQE_SKIP (5.17)", Need::Wanted, parameters.is_feature_skip_cqe_on_success());
    add("RECVSEND_BUNDLE (6.10)", Need::Curious, parameters.is_feature_recvsend_bundle());
    add("NO_IOWAIT (6.15)", Need::Wanted, parameters.is_feature_no_iowait());

    let mut probe = Probe::new();
    if let Err(error) = ring.submitter().register_probe(&mut probe) {
        findings.push(Finding { name: "PROBE", need: Need::Required, answer: Err(errno(&error)) });
        return findings;
    }
    let operations = [
        ("ACCEPT", Need::Required, opcode::Accept::CODE),
        ("CONNECT", Need::Required, opcode::Connect::CODE),
        ("RECV", Need::Required, opcode::Recv::CODE),
        ("SEND", Need::Required, opcode::Send::CODE),
        ("SENDMSG", Need::Required, opcode::SendMsg::CODE),
        ("POLL_ADD", Need::Required, opcode::PollAdd::CODE),
        ("ASYNC_CANCEL", Need::Required, opcode::AsyncCancel::CODE),
        ("SEND_ZC (as a sign of multishot receive, 6.0)", Need::Required, opcode::SendZc::CODE),
        ("RECV_ZC (6.15)", Need::Curious, opcode::RecvZc::CODE),
    ];
    for (name, need, code) in operations {
        let answer = if probe.is_supported(code) { Ok(()) } else { Err(0) };
        findings.push(Finding { name, need, answer });
    }
    let answer = BufferRing::new(ring, 0, 8).map(drop).map_err(|error| errno(&error));
    findings.push(Finding { name: "REGISTER_PBUF_RING (5.19)", need: Need::Required, answer });
    findings
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
            match finding.answer {
                Ok(()) => writeln!(formatter, "yes  {need:<9}{}", finding.name)?,
                Err(0) => writeln!(formatter, "no   {need:<9}{}: unknown to this kernel", finding.name)?,
                Err(errno) => {
                    let reason = io::Error::from_raw_os_error(errno);
                    writeln!(formatter, "no   {need:<9}{}: {reason}", finding.name)?;
                }
            }
        }
        let verdict = if self.is_usable() { "io_uring can be used" } else { "io_uring cannot be used" };
        write!(formatter, "{verdict}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_system_is_usable_and_the_report_says_so() {
        let report = probe();
        assert!(report.is_usable(), "{report}");
        assert!(report.to_string().contains("REGISTER_PBUF_RING"));
    }
}
