//! `sidering doctor`: tells what this system allows, what each lack costs and what to do. It changes nothing.

mod engines;
mod limits;
mod machine;
mod report;
mod sandbox;

use crate::cli::{DoctorArguments, FAILURE, VERSION, say};
use report::{Report, Section};
use sidering_dataplane::observe::counters::EngineCounters;
use sidering_epoll::{Epoll, EpollOptions};
use sidering_ring::Sandbox;
use std::process::ExitCode;
use std::sync::Arc;

/// Prints the report; the exit code says whether any engine can run.
pub(crate) fn doctor(arguments: &DoctorArguments) -> ExitCode {
    let report = examine();
    let text = if arguments.json { report.json() } else { report.text() };
    let code = say(text.trim_end());
    if report.engine.is_some() { code } else { ExitCode::from(FAILURE) }
}

fn examine() -> Report {
    let ring = sidering_ring::probe();
    let epoll = Epoll::new(EpollOptions::default(), Arc::new(EngineCounters::default()));
    let epoll = epoll.map(drop).map_err(|error| error.to_string());
    let sandbox = Sandbox::read();
    let (engine, reason) = match (&ring.verdict, &epoll) {
        (Ok(()), _) => (Some("uring"), "io_uring can do all that is needed".to_owned()),
        (Err(obstacle), Ok(())) => (Some("epoll"), obstacle.to_string()),
        (Err(obstacle), Err(error)) => (None, format!("{obstacle}; {error}")),
    };
    let sections: Vec<Section> = vec![
        engines::engines(&ring, &epoll),
        machine::machine(),
        sandbox::permissions(&sandbox),
        limits::limits(&sandbox),
        machine::network(),
        engines::io_uring(&ring),
    ];
    Report { version: VERSION, sections, engine, reason }
}
