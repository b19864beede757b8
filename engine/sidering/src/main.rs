//! The `sidering` binary: reads the command line and calls what it names. It decides nothing else.

mod check;
mod cli;
mod doctor;
mod engine;
mod explain;
mod fleet;
mod host;
mod run;

use cli::Command;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::parse() {
        Command::Run(arguments) => run::run(&arguments),
        Command::Check(arguments) => check::check(&arguments),
        Command::Doctor(arguments) => doctor::doctor(&arguments),
        Command::Version => cli::say(&format!("sidering {}", cli::VERSION)),
        Command::Explain(arguments) => explain::explain(&arguments),
        Command::Upgrade(_) => cli::later("upgrade"),
    }
}
