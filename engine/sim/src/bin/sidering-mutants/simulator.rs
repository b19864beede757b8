//! Builds the simulator of a tree and runs seeds on it. It knows nothing of mutants: only what a tree came to.

use crate::tree::Tree;
use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Seeds of the first batch; each further one is three times as long, because most bugs are caught at once.
const FIRST_BATCH: u64 = 30;
/// A batch may take this long, and this much more for each seed; beyond it something goes round in circles.
const PATIENCE: Duration = Duration::from_secs(15);
const PATIENCE_PER_SEED: Duration = Duration::from_millis(20);
/// How often a running simulator is looked after.
const LOOK: Duration = Duration::from_millis(5);

/// What makes the same checks cheaper to compile, and not much slower to run.
const FASTER: [(&str, &str); 3] = [("INCREMENTAL", "true"), ("OPT_LEVEL", "1"), ("DEBUG", "0")];

/// Which seeds are run, at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seeds {
    pub(crate) start: u64,
    pub(crate) count: u64,
}

impl Seeds {
    /// The seeds in pieces that grow.
    pub(crate) fn batches(self) -> impl Iterator<Item = Seeds> {
        let (mut done, mut next) = (0, FIRST_BATCH);
        std::iter::from_fn(move || {
            let batch = Seeds { start: self.start + done, count: next.min(self.count - done) };
            done += batch.count;
            next *= 3;
            (batch.count > 0).then_some(batch)
        })
    }
}

/// A failing seed and what was told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) seed: u64,
    pub(crate) message: String,
}

/// What became of a batch of seeds.
#[derive(Debug)]
pub(crate) enum Verdict {
    Passed,
    /// In the order of the seeds.
    Failed(Vec<Failure>),
    /// It was killed.
    Hung,
}

/// Builds the simulator. `Ok(Err)` holds what the compiler says. All cores are used if nobody else needs one.
pub(crate) fn build(tree: &Tree, is_alone: bool) -> io::Result<Result<(), String>> {
    let arguments = ["build", "--offline", "--quiet", "--profile", "sim", "-p", "sidering-sim"];
    let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    cargo.args(arguments).args(["--bin", "sidering-sim"]).current_dir(tree.root());
    cargo.env("CARGO_TARGET_DIR", &tree.target);
    cargo.envs(FASTER.map(|(setting, value)| (format!("CARGO_PROFILE_SIM_{setting}"), value)));
    if !is_alone {
        cargo.arg("-j1");
    }
    let output = cargo.output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(if output.status.success() { Ok(()) } else { Err(said) })
}

/// Runs seeds of a tree that was built.
pub(crate) fn run(tree: &Tree, seeds: Seeds) -> io::Result<Verdict> {
    let mut simulator = Command::new(tree.target.join("sim/sidering-sim"));
    simulator.arg(seeds.count.to_string()).env("SIM_START", seeds.start.to_string());
    let mut child = simulator.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let readers = [child.stdout.take().map(collect), child.stderr.take().map(collect)];
    let patience = PATIENCE + PATIENCE_PER_SEED * u32::try_from(seeds.count).unwrap_or(u32::MAX);
    let Some(is_success) = wait(&mut child, patience)? else { return Ok(Verdict::Hung) };
    let texts: Vec<String> =
        readers.into_iter().flatten().map(|reader| reader.join().unwrap_or_default()).collect();
    if is_success {
        return Ok(Verdict::Passed);
    }
    let failures = failures(&texts.concat());
    if failures.is_empty() {
        return Err(io::Error::other(format!(
            "the simulator failed without naming a seed: {}",
            texts.concat()
        )));
    }
    Ok(Verdict::Failed(failures))
}

/// Reads a pipe to its end, beside the others, so that the simulator never waits for its reader.
fn collect(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = vec![];
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Whether it succeeded; `None` if it had to be killed.
fn wait(child: &mut Child, patience: Duration) -> io::Result<Option<bool>> {
    let begun = Instant::now();
    while begun.elapsed() < patience {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.success()));
        }
        std::thread::sleep(LOOK);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

/// The lines `seed 17 at 3.141 ms: what went wrong`, sorted by seed.
fn failures(output: &str) -> Vec<Failure> {
    let mut failures: Vec<Failure> = output
        .lines()
        .filter_map(|line| {
            let (seed, told) = line.strip_prefix("seed ")?.split_once(" at ")?;
            let (_, message) = told.split_once(" ms: ")?;
            Some(Failure { seed: seed.parse().ok()?, message: message.to_owned() })
        })
        .collect();
    failures.sort_by_key(|failure| failure.seed);
    failures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_cover_all_seeds_once() {
        for count in [0, 1, FIRST_BATCH, FIRST_BATCH + 1, 10_000] {
            let mut next = 7;
            for batch in (Seeds { start: 7, count }).batches() {
                assert_eq!(batch.start, next);
                next += batch.count;
            }
            assert_eq!(next, 7 + count);
        }
    }

    #[test]
    fn failing_seeds_are_read_in_their_order() {
        let read = failures("9 seeds\nseed 9 at 1.5 ms: b: c\n  at x.rs:3:4\nseed 11\nseed 3 at 0.2 ms: a\n");
        let told: Vec<(u64, &str)> = read.iter().map(|read| (read.seed, read.message.as_str())).collect();
        assert_eq!(told, [(3, "a"), (9, "b: c")]);
    }
}
