//! The program: reads the command line and calls what it names. It decides nothing else. It is a library, so that a binary can be
//! made of it that knows further protocols; `configs/example-protocol` is one.

mod check;
mod cli;
mod doctor;
mod engine;
mod explain;
mod fleet;
mod host;
mod run;

use cli::Command;
use sidering_codecs::registry::{self, Protocol};
use std::process::ExitCode;

/// Runs the program, with these protocols beside those that are always there. To be called once, first of all.
#[must_use]
pub fn run(protocols: &'static [Protocol]) -> ExitCode {
    if let Err(error) = registry::add(protocols) {
        return cli::complain(
            &format!("error: this binary adds protocols that cannot be added: {error}"),
            cli::FAILURE,
        );
    }
    match cli::parse() {
        Command::Run(arguments) => run::run(&arguments),
        Command::Check(arguments) => check::check(&arguments),
        Command::Doctor(arguments) => doctor::doctor(&arguments),
        Command::Version => cli::say(&format!("sidering {}", cli::VERSION)),
        Command::Explain(arguments) => explain::explain(&arguments),
        Command::Upgrade(_) => cli::later("upgrade"),
    }
}
