//! The doctor on the engines: which one runs, and every feature of the kernel's io_uring that one of them uses.

use super::report::{Fact, Grade, Section};
use crate::host::system_words;
use sidering_ring::{Finding, Need, ProbeReport};

/// Which engine runs, and why.
pub(super) fn engines(report: &ProbeReport, epoll: &Result<(), String>) -> Section {
    let ring = match &report.verdict {
        Ok(()) => Fact::new("uring", "can run", Grade::Good, "the faster engine; `engine: auto` prefers it"),
        Err(obstacle) => {
            let meaning = format!(
                "{obstacle}. {} Without it the proxy runs on epoll: the same answers, for more CPU (4 to 24 % a small \
                 request on prototypes).",
                obstacle.advice()
            );
            Fact::new("uring", "cannot run", Grade::Costs, meaning)
        }
    };
    let epoll = match epoll {
        Ok(()) => Fact::new("epoll", "can run", Grade::Good, "what `engine: auto` falls back to"),
        Err(error) => Fact::new("epoll", "cannot run", Grade::Stops, error),
    };
    Section { title: "engines", facts: vec![ring, epoll] }
}

/// Everything that the ring was asked for.
pub(super) fn io_uring(report: &ProbeReport) -> Section {
    let refused_all = report.setups.iter().all(|setup| setup.answer.is_err());
    let findings = report.setups.iter().chain(&report.findings);
    let facts = findings.map(|finding| fact(finding, refused_all)).collect();
    Section { title: "io_uring, and the Linux release that brought each part", facts }
}

fn fact(finding: &Finding, refused_all: bool) -> Fact {
    let Finding { name, since, need, meaning, answer } = finding;
    let (value, grade) = match answer {
        Ok(()) => (format!("yes ({since})"), if *need == Need::Curious { Grade::Plain } else { Grade::Good }),
        Err(_) => {
            let grade = match need {
                Need::Required => Grade::Stops,
                Need::Wanted if !refused_all => Grade::Costs,
                Need::Wanted | Need::Curious => Grade::Plain,
            };
            (format!("no ({since})"), grade)
        }
    };
    let reason = match answer {
        Ok(()) => String::new(),
        Err(0) => " [unknown to this kernel]".to_owned(),
        Err(errno) => format!(" [{}]", system_words(*errno)),
    };
    Fact::new(*name, value, grade, format!("{meaning}{reason}"))
}
