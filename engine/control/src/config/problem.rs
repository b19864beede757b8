//! What is wrong with a configuration file and where: problems with their place, gathered, never thrown, so that one
//! run tells them all. It knows nothing of the configuration's meaning.

use std::cell::RefCell;
use std::fmt;

/// A stretch of one line of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Default)]
pub struct Place {
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// In characters, at least 1.
    pub width: u32,
}

/// How bad a problem is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file works, but probably not as meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    pub severity: Severity,
    pub place: Place,
    /// What is wrong.
    pub message: String,
    /// What was expected, or what to do.
    pub expected: String,
}

/// Where problems are put while a file is read. Shared by reference, so that readers can nest.
#[derive(Debug, Default)]
pub(super) struct Problems {
    list: RefCell<Vec<Problem>>,
}

impl Problems {
    pub(super) fn error(&self, place: Place, message: impl Into<String>, expected: impl Into<String>) {
        self.push(Severity::Error, place, message.into(), expected.into());
    }

    pub(super) fn warning(&self, place: Place, message: impl Into<String>, expected: impl Into<String>) {
        self.push(Severity::Warning, place, message.into(), expected.into());
    }

    /// More is known of what was expected at a place, where the last problem was.
    pub(super) fn expect_instead(&self, place: Place, expected: &str) {
        let mut list = self.list.borrow_mut();
        if let Some(problem) = list.iter_mut().rev().find(|problem| problem.place == place) {
            problem.expected = expected.to_owned();
        }
    }

    /// The problems in the order of the file; the same problem at the same place (an alias read twice) counts once.
    pub(super) fn into_sorted(self) -> Vec<Problem> {
        let mut list = self.list.into_inner();
        list.sort_by_key(|problem| (problem.place.line, problem.place.column));
        list.dedup();
        list
    }

    fn push(&self, severity: Severity, place: Place, message: String, expected: String) {
        self.list.borrow_mut().push(Problem { severity, place, message, expected });
    }
}

/// All that is to be said about one file. Its `Display` shows each problem with its line and a caret.
#[derive(Debug, Clone)]
pub struct Report {
    /// The file's name as the user gave it.
    pub name: String,
    pub problems: Vec<Problem>,
    lines: Vec<String>,
}

/// Lines are shown through a window of this many characters.
const WINDOW: usize = 120;

impl Report {
    pub(super) fn new(name: &str, text: &str, problems: Vec<Problem>) -> Report {
        let all: Vec<&str> = text.lines().collect();
        let lines = problems
            .iter()
            .map(|problem| {
                all.get(problem.place.line.saturating_sub(1) as usize).copied().unwrap_or("").to_owned()
            })
            .collect();
        Report { name: name.to_owned(), problems, lines }
    }

    /// How many problems are errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.problems.iter().filter(|problem| problem.severity == Severity::Error).count()
    }

    /// How many errors there are, in words.
    #[must_use]
    pub fn count(&self) -> String {
        let plural = if self.errors() == 1 { "" } else { "s" };
        format!("{} error{plural} in {}", self.errors(), self.name)
    }

    /// How many problems are warnings.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.problems.len() - self.errors()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (problem, line) in self.problems.iter().zip(&self.lines) {
            let severity = match problem.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            let Place { line: number, column, width } = problem.place;
            writeln!(out, "{}:{number}:{column}: {severity}: {}", self.name, problem.message)?;
            let (shown, start) = window(line, column.saturating_sub(1) as usize);
            writeln!(out, "{number:>5} | {shown}")?;
            let room = shown.chars().count().saturating_sub(start).max(1);
            let carets = "^".repeat((width as usize).clamp(1, room));
            writeln!(out, "      | {:start$}{carets} {}", "", problem.expected)?;
        }
        Ok(())
    }
}

/// The part of a line around a column that is shown, and where in it the column stands. Each character takes one cell:
/// tabs and control characters become spaces.
fn window(line: &str, column: usize) -> (String, usize) {
    let characters = line.chars().map(|character| if character.is_control() { ' ' } else { character });
    let skipped = if column >= WINDOW { column - WINDOW / 2 } else { 0 };
    let shown: String = characters.skip(skipped).take(WINDOW).collect();
    (shown.trim_end().to_owned(), column - skipped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_far_to_the_right_is_shown_through_a_window() {
        let line = format!("{}bad", " ".repeat(500));
        let place = Place { line: 1, column: 501, width: 3 };
        let problems = Problems::default();
        problems.error(place, "it is bad", "good");
        let report = Report::new("file", &line, problems.into_sorted());
        let text = report.to_string();
        assert!(text.starts_with("file:1:501: error: it is bad\n"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() < 140), "{text}");
        assert!(text.contains("^^^ good"), "{text}");
    }

    #[test]
    fn the_same_problem_twice_counts_once() {
        let problems = Problems::default();
        problems.warning(Place::default(), "a", "b");
        problems.warning(Place::default(), "a", "b");
        assert_eq!(problems.into_sorted().len(), 1);
    }
}
