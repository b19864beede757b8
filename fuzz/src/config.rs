//! The configuration's loader on arbitrary text: it never panics, says as much as the file deserves and no more, and
//! every problem has a place that is in the file.

use sidering_control::config::{Overrides, Problem, Report, parse};

/// What one problem may say, beyond what it repeats of its line.
const PROBLEM_BYTES: usize = 4096;

/// The text, read leniently.
pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let overrides = Overrides { workers: Some(2), engine: None };
    match parse("fuzz.yaml", &text, &overrides) {
        Ok(loaded) => {
            assert_eq!(loaded.report.errors(), 0, "loaded in spite of {}", loaded.report);
            check(&loaded.report, &text);
        }
        Err(report) => {
            assert!(report.errors() > 0, "refused without a reason");
            check(&report, &text);
        }
    }
}

fn check(report: &Report, text: &str) {
    let lines: Vec<&str> = lines_of(text);
    for problem in &report.problems {
        check_place(problem, &lines);
        assert!(!problem.message.is_empty() && !problem.expected.is_empty(), "{problem:?}");
        let said = problem.message.len() + problem.expected.len();
        assert!(said <= PROBLEM_BYTES + 8 * text.len(), "{said} bytes about one problem");
    }
    let shown = report.to_string();
    for problem in &report.problems {
        let place = format!("fuzz.yaml:{}:{}: ", problem.place.line, problem.place.column);
        assert!(shown.contains(&place), "{place} is not among what is shown");
    }
}

/// A place may stand right behind its line, and in the line behind the last one.
fn check_place(problem: &Problem, lines: &[&str]) {
    let (line, column) = (problem.place.line as usize, problem.place.column as usize);
    assert!(line >= 1 && line <= lines.len() + 1, "{problem:?} in {} lines", lines.len());
    let characters = lines.get(line - 1).map_or(0, |line| line.chars().count());
    assert!(column >= 1 && column <= characters + 1, "{problem:?} in a line of {characters}");
    assert!(problem.place.width >= 1, "{problem:?}");
    // Where a key is quoted it stands there; what makes it another text than it reads is YAML's own.
    let named = problem.message.strip_prefix("unknown key `").and_then(|key| key.chars().next());
    let there = lines.get(line - 1).and_then(|line| line.chars().nth(column - 1));
    if let Some(first) = named.filter(|first| !"`\\".contains(*first)) {
        let is_it = there.is_some_and(|there| there == first || "\"'&!|>*".contains(there));
        assert!(is_it, "{problem:?} stands at {there:?}");
    }
}

/// The lines as YAML counts them: they end with LF, CRLF or CR.
fn lines_of(text: &str) -> Vec<&str> {
    text.split("\r\n").flat_map(|part| part.split(['\n', '\r'])).collect()
}
