//! The command line: its grammar and its exit codes. It starts nothing.

use clap::{Args, Parser, Subcommand};
use sidering_control::config::{EngineChoice, MOST_WORKERS, Overrides, parse_address};
use sidering_dataplane::io::Address;
use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// The version of this binary.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// All is fine.
pub(crate) const FINE: u8 = 0;
/// Anything that is neither fine nor a mistake of the user's.
pub(crate) const FAILURE: u8 = 1;
/// Bad usage or configuration.
pub(crate) const BAD_USAGE: u8 = 2;

/// A service-mesh data plane on io_uring.
#[derive(Debug, Parser)]
#[command(name = "sidering", version, about, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "Exit codes: 0 fine, 2 bad usage or configuration, 1 anything else.
Signals: TERM drains and stops, INT stops at once, HUP reloads the file, USR1 reopens logs.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the proxy; without -c an embedded configuration that shows it working on 127.0.0.1:10000
    Run(RunArguments),
    /// Check a configuration file and tell all that is wrong with it
    Check(CheckArguments),
    /// Tell what the kernel, limits and sandbox allow, and what it costs
    Doctor(DoctorArguments),
    /// Tell the version
    Version,
    /// Tell what becomes of a request, and why: listener, virtual host, route, cluster, endpoint
    Explain(Box<ExplainArguments>),
    #[command(hide = true)]
    Upgrade(LaterArguments),
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// The configuration file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Cores to run, instead of what the file says: a number, or auto
    #[arg(long, value_name = "N", value_parser = workers)]
    workers: Option<Workers>,
    /// The engine, instead of what the file says: auto, uring or epoll
    #[arg(long, value_name = "NAME", value_parser = engine)]
    engine: Option<EngineChoice>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// The configuration file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// Print JSON, for machines
    #[arg(long)]
    pub(crate) json: bool,
}

/// Nothing is opened (but with --resolve): the data plane carries the request in memory, and endpoints answer as they are told to here.
#[derive(Debug, Args)]
#[command(after_help = EXPLAIN_HELP)]
pub(crate) struct ExplainArguments {
    /// The configuration file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// METHOD and URL, or a URL alone for GET; of a call, bolt://ADDRESS/SERVICE/METHOD?version=V&group=G with the scheme of its
    /// protocol, where ADDRESS is the listener's or nothing; nothing at all with the --listener of a TCP listener
    #[arg(value_name = "REQUEST", num_args = 0..=2, conflicts_with = "expect")]
    pub(crate) request: Vec<String>,
    /// A header of the request, `name: value`; may be repeated
    #[arg(short = 'H', long = "header", value_name = "LINE", conflicts_with = "expect")]
    pub(crate) headers: Vec<String>,
    /// The request's body
    #[arg(short, long, value_name = "TEXT", conflicts_with = "expect")]
    pub(crate) data: Option<String>,
    /// The listener, instead of the one that the URL's port leads to
    #[arg(long, value_name = "NAME", conflicts_with = "expect")]
    pub(crate) listener: Option<String>,
    /// The client's address [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS", conflicts_with = "expect")]
    pub(crate) source: Option<IpAddr>,
    /// Where chance decides: another number is another throw [default: 1]
    #[arg(long, value_name = "N", conflicts_with = "expect")]
    pub(crate) random: Option<u64>,
    /// An endpoint that refuses connections; may be repeated
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address, conflicts_with = "expect")]
    pub(crate) down: Vec<Address>,
    /// An endpoint that health checks have found unhealthy; may be repeated
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address, conflicts_with = "expect")]
    pub(crate) unhealthy: Vec<Address>,
    /// What endpoints answer; several, with commas, in turn [default: 200]
    #[arg(long = "answer", value_name = "STATUS", value_delimiter = ',', conflicts_with = "expect",
        value_parser = clap::value_parser!(u16).range(200..=599))]
    pub(crate) answers: Vec<u16>,
    /// Ask so many times, and tell how many requests went where
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000),
        conflicts_with = "expect")]
    pub(crate) count: Option<u32>,
    /// Resolve the names of clusters now; without it only addresses and files have endpoints
    #[arg(long)]
    pub(crate) resolve: bool,
    /// Show every route that did not match
    #[arg(long, conflicts_with = "expect")]
    pub(crate) all: bool,
    /// Print JSON, for machines
    #[arg(long)]
    pub(crate) json: bool,
    /// Check the expectations of this file (YAML), and print TAP; 1 if one does not hold
    #[arg(long, value_name = "FILE")]
    pub(crate) expect: Option<PathBuf>,
}

const EXPLAIN_HELP: &str = "Examples:
  sidering explain -c configs/routes.yaml GET 'http://shop.example.com/v1/a?b' -H 'x-version: 2'
  sidering explain -c configs/routes.yaml --expect configs/expectations.yaml";

/// Whatever a command of a later version would take.
#[derive(Debug, Args)]
pub(crate) struct LaterArguments {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _rest: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
enum Workers {
    Auto,
    Count(u32),
}

impl RunArguments {
    pub(crate) fn overrides(&self) -> Overrides {
        let workers = self.workers.map(|workers| match workers {
            Workers::Auto => sidering_control::config::usable_cpus(),
            Workers::Count(count) => count,
        });
        Overrides { workers, engine: self.engine }
    }
}

/// The command line of this process. Ends the process on bad usage (2), `--help` and `--version` (0).
pub(crate) fn parse() -> Command {
    Cli::parse().command
}

/// Writes a line to standard output.
pub(crate) fn say(line: &str) -> ExitCode {
    match writeln!(std::io::stdout().lock(), "{line}") {
        Ok(()) => ExitCode::from(FINE),
        // The reader went away.
        Err(_) => ExitCode::from(FAILURE),
    }
}

/// Writes an error to standard error.
pub(crate) fn complain(error: &str, code: u8) -> ExitCode {
    // Where standard error is gone there is nobody to tell.
    let _ = writeln!(std::io::stderr().lock(), "{}", error.trim_end());
    ExitCode::from(code)
}

/// A command that is named in the documents but is not here yet.
pub(crate) fn later(command: &str) -> ExitCode {
    complain(&format!("error: `sidering {command}` is not in this version"), BAD_USAGE)
}

fn workers(text: &str) -> Result<Workers, String> {
    match text.parse::<u64>() {
        _ if text == "auto" => Ok(Workers::Auto),
        Ok(count) if (1..=MOST_WORKERS).contains(&count) => Ok(Workers::Count(count as u32)),
        _ => Err(format!("auto, or a number from 1 to {MOST_WORKERS}")),
    }
}

fn engine(text: &str) -> Result<EngineChoice, String> {
    let choice = EngineChoice::NAMED.into_iter().find(|(name, _)| *name == text);
    choice.map(|(_, choice)| choice).ok_or_else(|| "auto, uring or epoll".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn arguments() {
        let run = |words: &[&str]| match Cli::try_parse_from([&["sidering", "run"], words].concat()) {
            Ok(Cli { command: Command::Run(arguments) }) => Ok(arguments),
            Ok(_) => panic!("not run"),
            Err(error) => Err(error.exit_code()),
        };
        let arguments = run(&["-c", "a.yaml", "--workers", "3", "--engine", "uring"]).unwrap();
        assert_eq!(arguments.config, Some(PathBuf::from("a.yaml")));
        assert_eq!(arguments.overrides().workers, Some(3));
        assert_eq!(arguments.overrides().engine, Some(EngineChoice::Uring));
        assert_eq!(run(&["--engine", "epoll"]).unwrap().overrides().engine, Some(EngineChoice::Epoll));
        assert!(run(&["--workers", "auto"]).unwrap().overrides().workers.is_some());
        assert!(run(&[]).unwrap().overrides().workers.is_none());
        for bad in
            [&["--workers", "0"][..], &["--workers", "x"], &["--engine", "steam"], &["--nope"], &["-c"]]
        {
            assert_eq!(run(bad).unwrap_err(), 2, "{bad:?}");
        }
    }
}
