//! Tells what became of the mutants: a line while they are tried, a table at the end.

use crate::list::Mutant;
use crate::trial::{Outcome, Trial};
use std::io::Write;

/// Messages are cut to this many characters in the table.
const MESSAGE_CHARACTERS: usize = 90;

/// Prints the table; tells whether every mutant was caught.
pub(crate) fn print_table(out: &mut impl Write, tried: &[(&Mutant, Trial)]) -> std::io::Result<bool> {
    writeln!(out, "{:<9} {:>6} {:>6}  mutant", "outcome", "seeds", "s")?;
    let mut area = "";
    for (mutant, trial) in tried {
        if mutant.area != area {
            area = &mutant.area;
            writeln!(out, "{area}")?;
        }
        let (outcome, seeds, message) = words(&trial.outcome);
        let seconds = (trial.built_in + trial.ran_for).as_secs_f64();
        writeln!(out, "{outcome:<9} {seeds:>6} {seconds:>6.1}  {}", mutant.name)?;
        if !message.is_empty() {
            let cut: String = message.chars().take(MESSAGE_CHARACTERS).collect();
            writeln!(out, "{:26}{cut}", "")?;
        }
    }
    let is_caught = |outcome: &Outcome| matches!(outcome, Outcome::Caught { .. });
    let caught = tried.iter().filter(|(_, trial)| is_caught(&trial.outcome)).count();
    writeln!(out, "{caught} of {} mutants caught", tried.len())?;
    Ok(caught == tried.len())
}

/// The outcome in one word.
pub(crate) fn word(outcome: &Outcome) -> &'static str {
    words(outcome).0
}

fn words(outcome: &Outcome) -> (&'static str, String, &str) {
    match outcome {
        Outcome::Caught { seeds, message } => ("caught", seeds.to_string(), message),
        Outcome::Otherwise { message } => ("OTHERWISE", String::new(), message),
        Outcome::Survived => ("SURVIVED", String::new(), ""),
        Outcome::Stale(message) => ("STALE", String::new(), message),
        Outcome::DoesNotCompile(message) => ("BROKEN", String::new(), message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn table_of(outcomes: &[Outcome]) -> (bool, String) {
        let mutant = Mutant { name: "a bug".to_owned(), ..Mutant::default() };
        let trial = |outcome: &Outcome| Trial {
            outcome: outcome.clone(),
            built_in: Duration::from_secs(2),
            ran_for: Duration::from_secs(1),
        };
        let tried: Vec<_> = outcomes.iter().map(|outcome| (&mutant, trial(outcome))).collect();
        let mut out = vec![];
        let all_caught = print_table(&mut out, &tried).unwrap();
        (all_caught, String::from_utf8(out).unwrap())
    }

    #[test]
    fn only_what_was_caught_is_well() {
        let caught = Outcome::Caught { seeds: 17, message: "bytes are lost".to_owned() };
        let (all_caught, text) = table_of(std::slice::from_ref(&caught));
        assert!(all_caught && text.ends_with("1 of 1 mutants caught\n"), "{text}");
        assert!(text.contains("17    3.0  a bug") && text.contains("bytes are lost"), "{text}");
        for other in [
            Outcome::Survived,
            Outcome::Otherwise { message: "seed 3: something else".to_owned() },
            Outcome::Stale("changed".to_owned()),
            Outcome::DoesNotCompile("error".to_owned()),
        ] {
            let (all_caught, text) = table_of(&[caught.clone(), other]);
            assert!(!all_caught && text.ends_with("1 of 2 mutants caught\n"), "{text}");
        }
    }
}
