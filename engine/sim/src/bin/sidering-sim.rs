//! Runs the simulator: `sidering-sim N` runs N seeds on all cores, `SIM_SEED=n sidering-sim` tells one in full.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command talks to its terminal")]

use sidering_sim::coverage::{Coverage, Situation};
use sidering_sim::{run_seed, trace_seed};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

const USAGE: &str = "usage: [SIM_START=first] sidering-sim [--coverage] N   runs N seeds
       SIM_SEED=seed sidering-sim                        tells what happens in one";

/// Failing seeds told in full.
const TOLD_FAILURES: u64 = 100;

fn main() -> ExitCode {
    match arguments() {
        Some(Task::Trace(seed)) => trace(seed),
        Some(Task::Run { first, count, tells_coverage }) => run(first, count, tells_coverage),
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

enum Task {
    Trace(u64),
    Run { first: u64, count: u64, tells_coverage: bool },
}

fn arguments() -> Option<Task> {
    let number = |name: &str| match std::env::var(name) {
        Ok(text) => text.parse().map(Some).ok(),
        Err(_) => Some(None),
    };
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if let (Some(seed), true) = (number("SIM_SEED")?, arguments.is_empty()) {
        return Some(Task::Trace(seed));
    }
    let before = arguments.len();
    arguments.retain(|argument| argument != "--coverage");
    let tells_coverage = arguments.len() < before;
    let [count] = &arguments[..] else { return None };
    let count = count.parse().ok()?;
    let first = number("SIM_START")?.unwrap_or_else(fresh_start);
    Some(Task::Run { first, count, tells_coverage })
}

/// A place in the sequence of seeds where nobody has been.
fn fresh_start() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_nanos() as u64 ^ u64::from(std::process::id()) << 32) >> 8
}

fn trace(seed: u64) -> ExitCode {
    match trace_seed(seed) {
        Ok(report) => {
            let ms = report.micros as f64 / 1000.0;
            println!("seed {seed}: nothing went wrong in {ms:.3} ms; hash {:016x}", report.hash);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Found {
    failures: u64,
    coverage: Coverage,
}

fn run(first: u64, count: u64, tells_coverage: bool) -> ExitCode {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{count} seeds from {first} on {cores} cores (SIM_START={first})");
    let (next, found) = (AtomicU64::new(0), Mutex::new(Found::default()));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| work(first, count, &next, &found));
        }
    });
    let seconds = begun.elapsed().as_secs_f64();
    let found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if tells_coverage {
        for situation in Situation::ALL {
            println!("{:10}  {}", found.coverage.count(*situation), situation.text());
        }
    }
    let rate = count as f64 / seconds / cores as f64;
    let failures = found.failures;
    println!("{count} seeds, {failures} failures, {seconds:.1} s, {rate:.0} seeds per second per core");
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn work(first: u64, count: u64, next: &AtomicU64, found: &Mutex<Found>) {
    let mut coverage = Coverage::default();
    let lock = || found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        if at >= count {
            break;
        }
        let seed = first.wrapping_add(at);
        match run_seed(seed) {
            Ok(report) => coverage.add(&report.coverage),
            Err(failure) => {
                let mut found = lock();
                found.failures += 1;
                if found.failures <= TOLD_FAILURES {
                    println!(
                        "{failure}\n  again: SIM_SEED={seed} cargo run --quiet --profile sim -p sidering-sim --bin sidering-sim"
                    );
                } else {
                    println!("seed {seed}");
                }
            }
        }
    }
    lock().coverage.add(&coverage);
}
