//! One mutant put to the test in a tree of its own: planted, built, run, and taken out again.

use crate::list::Mutant;
use crate::simulator::{self, Failure, Seeds, Verdict};
use crate::tree::Tree;
use std::io;
use std::time::{Duration, Instant};

/// What a mutant came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Noticed as expected, after this many seeds.
    Caught {
        seeds: u64,
        message: String,
    },
    /// Seeds failed, but none in the way that this bug should be noticed: perhaps the bug has nothing to do with it.
    Otherwise {
        message: String,
    },
    Survived,
    /// The text to be replaced has changed.
    Stale(String),
    DoesNotCompile(String),
}

/// A mutant's outcome, and what it took.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) outcome: Outcome,
    pub(crate) built_in: Duration,
    pub(crate) ran_for: Duration,
}

/// Plants the bug, and takes it out whatever happens.
pub(crate) fn run(tree: &Tree, mutant: &Mutant, seeds: Seeds) -> io::Result<Trial> {
    let begun = Instant::now();
    let ended_at_once = |outcome| Trial { outcome, built_in: begun.elapsed(), ran_for: Duration::ZERO };
    let text = tree.read(&mutant.file)?;
    let mutated = match mutant.apply(&text) {
        Ok(mutated) => mutated,
        Err(message) => return Ok(ended_at_once(Outcome::Stale(message))),
    };
    tree.write(&mutant.file, &mutated)?;
    let built = simulator::build(tree, false);
    let trial = match built {
        Ok(Err(said)) => Ok(ended_at_once(Outcome::DoesNotCompile(first_error(&said)))),
        Err(error) => Err(error),
        Ok(Ok(())) => {
            let built_in = begun.elapsed();
            let outcome = hunt(tree, mutant, seeds);
            outcome.map(|outcome| Trial { outcome, built_in, ran_for: begun.elapsed() - built_in })
        }
    };
    tree.write(&mutant.file, &text)?;
    trial
}

/// Runs seeds until one fails as it should.
fn hunt(tree: &Tree, mutant: &Mutant, seeds: Seeds) -> io::Result<Outcome> {
    let mut otherwise = None;
    for batch in seeds.batches() {
        let failures = match simulator::run(tree, batch)? {
            Verdict::Passed => continue,
            Verdict::Failed(failures) => failures,
            Verdict::Hung => vec![Failure { seed: batch.start, message: "it never ends".to_owned() }],
        };
        if let Some(failure) = failures.iter().find(|failure| is_expected(mutant, failure)) {
            let seeds = failure.seed - seeds.start + 1;
            return Ok(Outcome::Caught { seeds, message: failure.message.clone() });
        }
        otherwise = otherwise.or_else(|| failures.into_iter().next());
    }
    Ok(match otherwise {
        Some(failure) => {
            Outcome::Otherwise { message: format!("seed {}: {}", failure.seed, failure.message) }
        }
        None => Outcome::Survived,
    })
}

fn is_expected(mutant: &Mutant, failure: &Failure) -> bool {
    mutant.noticed_by.iter().any(|part| failure.message.contains(part.as_str()))
}

fn first_error(said: &str) -> String {
    let mut lines = said.lines().skip_while(|line| !line.starts_with("error"));
    let two: Vec<&str> = lines.by_ref().take(2).map(str::trim).collect();
    two.join(" ")
}
