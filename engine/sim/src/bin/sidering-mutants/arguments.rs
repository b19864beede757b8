//! What the command line asks for.

use crate::list::Mutant;
use crate::simulator::Seeds;

pub(crate) const USAGE: &str = "\
usage: scripts/mutants [NAME...] [--seeds N] [--lanes N]
  NAME      only mutants whose name has these words in it, or whose area (pool, flow, ...) it is
  --seeds   run at most so many seeds for each mutant; default 60000
  --lanes   try so many mutants side by side, each in a copy of the tree; default: one for each core
  SIM_START says which seed is the first; default 1
The copies lie in target/mutants; the working tree is only read.";

const DEFAULT_SEEDS: u64 = 60_000;

/// The command line.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) wants_help: bool,
    pub(crate) names: Vec<String>,
    pub(crate) seeds: Seeds,
    pub(crate) lanes: usize,
}

impl Arguments {
    /// Errors name the argument.
    pub(crate) fn read(mut given: impl Iterator<Item = String>) -> Result<Self, String> {
        let start = std::env::var("SIM_START").map_or(Ok(1), |text| number("SIM_START", Some(&text)))?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let seeds = Seeds { start, count: DEFAULT_SEEDS };
        let mut arguments = Arguments { wants_help: false, names: vec![], seeds, lanes: cores };
        while let Some(argument) = given.next() {
            match argument.as_str() {
                "--help" | "-h" => arguments.wants_help = true,
                "--seeds" => arguments.seeds.count = number("--seeds", given.next().as_deref())?,
                "--lanes" => arguments.lanes = number("--lanes", given.next().as_deref())? as usize,
                option if option.starts_with('-') => return Err(format!("what is {option}?")),
                _ => arguments.names.push(argument),
            }
        }
        Ok(arguments)
    }

    /// Whether the mutant is to be tried.
    pub(crate) fn chooses(&self, mutant: &Mutant) -> bool {
        let is_meant = |name: &String| mutant.area == *name || mutant.name.contains(name.as_str());
        self.names.is_empty() || self.names.iter().any(is_meant)
    }
}

fn number(of: &str, text: Option<&str>) -> Result<u64, String> {
    let number = text.and_then(|text| text.parse().ok()).filter(|number| *number > 0);
    number.ok_or_else(|| format!("{of} needs a number above 0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Arguments, String> {
        Arguments::read(words.iter().map(ToString::to_string))
    }

    #[test]
    fn names_choose_by_area_or_by_words() {
        let mutant = Mutant { area: "pool".into(), name: "a bound is passed".into(), ..Mutant::default() };
        for (words, is_chosen) in
            [(&[][..], true), (&["pool"], true), (&["flow"], false), (&["flow", "bound"], true)]
        {
            assert_eq!(read(words).unwrap().chooses(&mutant), is_chosen, "{words:?}");
        }
    }

    #[test]
    fn numbers_are_above_zero() {
        let arguments = read(&["pool", "--seeds", "7", "--lanes", "2"]).unwrap();
        assert_eq!((arguments.seeds.count, arguments.lanes), (7, 2));
        for wrong in [&["--seeds"][..], &["--seeds", "0"], &["--lanes", "x"], &["--nonsense"]] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
