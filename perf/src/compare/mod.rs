//! The side-by-side comparison of Sidering with other proxies, and with the floor that the kernel sets.

mod brain;
pub(crate) mod case;
mod configs;
mod figures;
mod goal;
pub(crate) mod lab;
mod many;
pub(crate) mod measure;
pub(crate) mod peer;
mod probe;
mod report;
mod rounds;

use std::fs;
use std::io::{Write, stdout};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use self::case::{CASES, Case};
use self::lab::Lab;
use self::peer::{Binaries, Peer};
use self::rounds::Effort;
use crate::process::child;

#[derive(Args)]
pub(crate) struct CompareOptions {
    /// Measurements of each proxy in each case.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Length of each measurement in seconds.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Only these proxies.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Peer>,
    /// Only these cases; `list` prints them.
    #[arg(long, value_delimiter = ',')]
    cases: Vec<String>,
    /// Writes everything that was measured to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    #[command(flatten)]
    binaries: Binaries,
}

/// Compares, prints a table per case as soon as it is done, and leaves nothing running.
pub(crate) fn run(options: CompareOptions) -> anyhow::Result<()> {
    if options.cases == ["list"] {
        for case in &CASES {
            writeln!(stdout(), "{:<10} {}", case.name, case.about)?;
        }
        return Ok(());
    }
    let cases = chosen_cases(&options.cases)?;
    if options.rounds == 0 || !(options.seconds > 0.0 && options.seconds.is_finite()) {
        bail!("compare: nothing to measure; give --rounds and --seconds above 0");
    }
    let effort = Effort { rounds: options.rounds, seconds: options.seconds };
    let wanted = |peer| options.only.is_empty() || options.only.contains(&peer);
    child::clean_up_on_signals()?;
    let mut lab = Lab::open(options.binaries)?;
    let mut outcomes = Vec::new();
    for case in cases {
        let outcome = rounds::run(&mut lab, case, &wanted, effort)?;
        // Not print!, which panics when nobody reads any more: an error ends the proxies in good order.
        write!(stdout(), "{}", report::table(&outcome))?;
        outcomes.push(outcome);
        // Written after each case: a long run that is ended early has not been for nothing.
        if let Some(path) = &options.json {
            let text = serde_json::to_string_pretty(&report::json(&outcomes, effort))?;
            fs::write(path, text + "\n").with_context(|| {
                format!("compare: cannot write {}; name another --json file", path.display())
            })?;
        }
    }
    write!(stdout(), "{}", report::summary(&outcomes))?;
    Ok(())
}

fn chosen_cases(names: &[String]) -> anyhow::Result<Vec<&'static Case>> {
    if names.is_empty() {
        return Ok(CASES.iter().collect());
    }
    let unknown = |name: &String| format!("compare: there is no case '{name}'; --cases list prints them");
    names.iter().map(|name| case::find(name).with_context(|| unknown(name))).collect()
}
