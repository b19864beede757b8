//! Plants the bugs of `engine/sim/mutants` one by one into copies of the tree, and shows that the simulator notices each of
//! them. Exits with 1 if one survives, no longer fits its file, or does not compile. `scripts/mutants --help` tells more.

mod arguments;
mod list;
mod report;
mod simulator;
mod tree;
mod trial;

use arguments::{Arguments, USAGE};
use list::Mutant;
use simulator::{Seeds, Verdict};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tree::Tree;
use trial::Trial;

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(message) => {
            let _ = writeln!(io::stderr(), "mutants: {message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "mutants: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every mutant was caught.
fn run(arguments: &Arguments) -> io::Result<bool> {
    if arguments.wants_help {
        writeln!(io::stdout(), "{USAGE}")?;
        return Ok(true);
    }
    let source = Path::new(".");
    let mutants = list::read_folder(&source.join("engine/sim/mutants")).map_err(io::Error::other)?;
    let chosen: Vec<&Mutant> = mutants.iter().filter(|mutant| arguments.chooses(mutant)).collect();
    if chosen.is_empty() {
        return Err(io::Error::other("no mutant has such a name"));
    }
    let begun = Instant::now();
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let folder = std::path::absolute(folder.join("mutants"))?;
    std::fs::create_dir_all(&folder)?;
    let lock = File::create(folder.join("lock"))?;
    lock.try_lock().map_err(|_| io::Error::other("another run is under way: its trees are in use"))?;
    let lanes = arguments.lanes.min(chosen.len());
    let trees = (0..lanes).map(|lane| Tree::copy(source, &folder.join(format!("lane-{lane}"))));
    let trees = trees.collect::<io::Result<Vec<Tree>>>()?;
    say(&format!(
        "{} mutants, at most {} seeds each; first without any",
        chosen.len(),
        arguments.seeds.count
    ));
    show_that_nothing_fails(&trees, arguments.seeds)?;
    let tried = try_all(&trees, &chosen, arguments.seeds)?;
    let all_caught = report::print_table(&mut io::stdout(), &tried)?;
    say(&format!("{:.0} s", begun.elapsed().as_secs_f64()));
    Ok(all_caught)
}

/// Builds every tree as it is, and runs each seed in one of them.
fn show_that_nothing_fails(trees: &[Tree], seeds: Seeds) -> io::Result<()> {
    let share = seeds.count.div_ceil(trees.len() as u64);
    let check = |(lane, tree): (u64, &Tree)| {
        simulator::build(tree, trees.len() == 1)?.map_err(io::Error::other)?;
        let start = seeds.start + lane * share;
        let count = share.min(seeds.count.saturating_sub(lane * share));
        match simulator::run(tree, Seeds { start, count })? {
            Verdict::Passed => Ok(()),
            Verdict::Failed(failures) => {
                let (seed, message) = (failures[0].seed, &failures[0].message);
                Err(io::Error::other(format!("without any mutant, seed {seed} fails: {message}")))
            }
            Verdict::Hung => Err(io::Error::other("without any mutant, the simulator does not end")),
        }
    };
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..).zip(trees).map(|lane| scope.spawn(move || check(lane))).collect();
        lanes
            .into_iter()
            .try_for_each(|lane| lane.join().unwrap_or_else(|_| Err(io::Error::other("a lane broke"))))
    })
}

/// Each tree takes the next mutant when it is done with one.
fn try_all<'m>(trees: &[Tree], mutants: &[&'m Mutant], seeds: Seeds) -> io::Result<Vec<(&'m Mutant, Trial)>> {
    let next = AtomicUsize::new(0);
    let work = |tree: &Tree| -> io::Result<Vec<(usize, Trial)>> {
        let mut tried = vec![];
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(mutant) = mutants.get(at) else { return Ok(tried) };
            let trial = trial::run(tree, mutant, seeds)?;
            say(&format!("{}/{} {}: {}", at + 1, mutants.len(), mutant.name, report::word(&trial.outcome)));
            tried.push((at, trial));
        }
    };
    let mut tried = std::thread::scope(|scope| {
        let lanes: Vec<_> = trees.iter().map(|tree| scope.spawn(|| work(tree))).collect();
        let lanes = lanes.into_iter();
        let results = lanes.map(|lane| lane.join().unwrap_or_else(|_| Err(io::Error::other("a lane broke"))));
        results.collect::<io::Result<Vec<_>>>()
    })?;
    let mut tried: Vec<(usize, Trial)> = tried.drain(..).flatten().collect();
    tried.sort_by_key(|(at, _)| *at);
    Ok(tried.into_iter().map(|(at, trial)| (mutants[at], trial)).collect())
}

/// Progress goes beside the table.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "mutants: {text}");
}
