//! Running one seed: a world from its beginning to its last check, with every panic caught and named.

use crate::choices::Choices;
use crate::coverage::Coverage;
use crate::journal::Journal;
use crate::world::World;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// What a run without a failure was like.
#[derive(Debug)]
pub struct Report {
    /// The same for the same seed, whatever machine it runs on.
    pub hash: u64,
    /// The situations that were met.
    pub coverage: Coverage,
    /// Virtual microseconds.
    pub micros: u64,
}

/// What went wrong in a run.
#[derive(Debug)]
pub struct Failure {
    /// The seed, or 0 for a run on bytes.
    pub seed: u64,
    /// When, in virtual microseconds.
    pub micros: u64,
    /// What the check said.
    pub message: String,
    /// Where it stands in the source.
    pub location: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Failure { seed, micros, message, location } = self;
        let ms = *micros as f64 / 1000.0;
        write!(formatter, "seed {seed} at {ms:.3} ms: {message}\n  at {location}")
    }
}

thread_local! {
    static IS_RUNNING: Cell<bool> = const { Cell::new(false) };
    static CAUGHT: RefCell<Option<(String, String)>> = const { RefCell::new(None) };
    static NOW: Cell<u64> = const { Cell::new(0) };
}

/// Notes the virtual time, for the report of a failure.
pub(crate) fn note_time(micros: u64) {
    NOW.set(micros);
}

/// Runs one seed.
///
/// # Errors
/// The first check that failed, or whatever panicked.
pub fn run_seed(seed: u64) -> Result<Report, Failure> {
    run(seed, Choices::from_seed(seed), false)
}

/// As [`run_seed`], with everything that happens printed to standard output.
///
/// # Errors
/// As [`run_seed`].
pub fn trace_seed(seed: u64) -> Result<Report, Failure> {
    run(seed, Choices::from_seed(seed), true)
}

/// Runs on a fuzzer's bytes; panics on a finding.
pub fn run_bytes(bytes: &[u8]) {
    World::new(Choices::from_bytes(bytes), Journal::new(false)).run_to_the_end();
}

fn run(seed: u64, choices: Choices, is_traced: bool) -> Result<Report, Failure> {
    install_hook();
    IS_RUNNING.set(true);
    note_time(0);
    let outcome =
        catch_unwind(AssertUnwindSafe(|| World::new(choices, Journal::new(is_traced)).run_to_the_end()));
    IS_RUNNING.set(false);
    outcome.map_err(|_| {
        let (message, location) = CAUGHT.take().unwrap_or_default();
        Failure { seed, micros: NOW.get(), message, location }
    })
}

/// Panics of runs are kept for their report; others go where they went before.
fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !IS_RUNNING.get() {
                return previous(info);
            }
            let payload = info.payload();
            let message = payload.downcast_ref::<&str>().map(ToString::to_string);
            let message = message.or_else(|| payload.downcast_ref::<String>().cloned());
            let location = info.location().map(ToString::to_string).unwrap_or_default();
            let caught = (message.unwrap_or_else(|| "a panic without words".into()), location);
            CAUGHT.with(|cell| {
                // The first one counts: others come from what it left behind.
                let mut cell = cell.borrow_mut();
                if cell.is_none() {
                    *cell = Some(caught);
                }
            });
        }));
    });
}
