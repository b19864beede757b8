//! Measurements of Sidering: a load generator, origin servers, the comparison with other proxies, and flame graphs.
#![allow(clippy::print_stderr, reason = "a command-line tool tells its user what it is doing")]

mod call;
mod chaos;
mod compare;
mod flamegraph;
mod http;
mod load;
mod origin;
mod process;
mod runtime;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Puts load on an HTTP/1, bolt or Dubbo server or a TCP stream and reports latencies.
    Load(load::LoadOptions),
    /// Serves cheap answers or bytes, for a proxy to stand in front of.
    Origin(origin::OriginOptions),
    /// Measures Sidering side by side with other proxies.
    Compare(compare::CompareOptions),
    /// Kills, freezes and slows origins under load through Sidering and counts what went wrong.
    Chaos(chaos::ChaosOptions),
    /// Draws where a proxy spends its CPU time under a case's load.
    Flamegraph(flamegraph::FlamegraphOptions),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Load(options) => load::run(options),
        Command::Origin(options) => origin::run(&options),
        Command::Compare(options) => compare::run(options),
        Command::Chaos(options) => chaos::run(&options),
        Command::Flamegraph(options) => flamegraph::run(options),
    }
}
