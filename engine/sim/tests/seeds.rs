//! 400 seeds, each a run of its own: nothing goes wrong in any of them, and together with the next few they meet everything
//! there is to meet. `SIM_SEED=7 cargo test -p sidering-sim --test seeds` tells one in full.

use sidering_sim::coverage::{Coverage, Situation};
use sidering_sim::{run_bytes, run_seed, trace_seed};

const SEEDS: u64 = 400;
/// What comes rarely may take more seeds, up to ten times as many: which seeds meet it changes with every line of code.
const MOST_ROUNDS: u64 = 10;
const PARTS: u64 = 4;

/// The seed to be told in full, if one is asked for.
fn asked_for() -> Option<u64> {
    std::env::var("SIM_SEED").ok()?.parse().ok()
}

/// Runs a part of a round's seeds; panics with every failure.
fn run_part(round: u64, part: u64) -> Coverage {
    let mut coverage = Coverage::default();
    let mut failures = vec![];
    for seed in (round * SEEDS..(round + 1) * SEEDS).filter(|seed| seed % PARTS == part) {
        match run_seed(seed) {
            Ok(report) => coverage.add(&report.coverage),
            Err(failure) => failures.push(format!("{failure}\n  again: SIM_SEED={seed} just sim 1")),
        }
    }
    assert!(failures.is_empty(), "{} seeds failed:\n{}", failures.len(), failures.join("\n"));
    coverage
}

/// Runs a round of seeds on several threads; panics with every failure.
fn run_round(round: u64, coverage: &mut Coverage) {
    let run = |part| std::thread::spawn(move || run_part(round, part));
    let parts: Vec<_> = (0..PARTS).map(run).collect();
    let mut failures = vec![];
    for part in parts {
        match part.join() {
            Ok(met) => coverage.add(&met),
            Err(panic) => failures.push(panic.downcast_ref::<String>().cloned().unwrap_or_default()),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn nothing_goes_wrong_and_everything_there_is_to_meet_is_met() {
    if let Some(seed) = asked_for() {
        let outcome = trace_seed(seed);
        assert!(outcome.is_ok(), "{}", outcome.expect_err("it failed"));
        return;
    }
    let mut coverage = Coverage::default();
    for round in 0..MOST_ROUNDS {
        run_round(round, &mut coverage);
        if coverage.missing().is_empty() {
            return;
        }
    }
    let missing: Vec<&str> = coverage.missing().into_iter().map(Situation::text).collect();
    panic!("the simulator has become tame; never met: {missing:#?}");
}

#[test]
fn the_same_seed_is_the_same_run() {
    let hash = |seed| run_seed(seed).map(|report| report.hash).map_err(|failure| failure.to_string());
    let others = std::thread::spawn(move || (0..24).map(hash).collect::<Vec<_>>());
    let here: Vec<_> = (0..24).map(hash).collect();
    assert_eq!(here, others.join().expect("the seeds run on another thread, too"));
    assert!(here.windows(2).all(|pair| pair[0] != pair[1]), "different seeds are different runs");
}

#[test]
fn a_run_on_any_bytes_comes_to_an_end() {
    run_bytes(&[]);
    run_bytes(&[0xff; 300]);
    for start in 0..40u8 {
        let bytes: Vec<u8> =
            (0..2000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8 ^ start).collect();
        run_bytes(&bytes);
    }
}
