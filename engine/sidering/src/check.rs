//! `sidering check`: reads a file and tells what is wrong with it. It opens no socket.

use crate::cli::{BAD_USAGE, CheckArguments, complain, say};
use sidering_control::config::{LoadError, Overrides, load};
use std::process::ExitCode;

pub(crate) fn check(arguments: &CheckArguments) -> ExitCode {
    match load(&arguments.config, &Overrides::default()) {
        Ok(loaded) => {
            if loaded.report.warnings() > 0 {
                complain(&loaded.report.to_string(), 0);
            }
            let (listeners, clusters) = (loaded.snapshot.listeners.len(), loaded.snapshot.clusters.len());
            let warnings = loaded.report.warnings();
            let name = &loaded.report.name;
            say(&format!("{name}: fine (listeners: {listeners}, clusters: {clusters}, warnings: {warnings})"))
        }
        Err(error) => complain(&describe(&error), BAD_USAGE),
    }
}

/// All errors and their count.
pub(crate) fn describe(error: &LoadError) -> String {
    match error {
        LoadError::Invalid(report) => format!("{report}{}", report.count()),
        other => format!("error: {other}"),
    }
}
