//! One breach of a rule: where, and what to do about it.

use std::fmt;

/// Something that has to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// From the root of the repository.
    pub file: String,
    /// From 1.
    pub line: usize,
    pub message: String,
}

impl Finding {
    /// What is wrong at this place, and what to do.
    pub fn new(file: &str, line: usize, message: impl Into<String>) -> Self {
        Finding { file: file.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// Panics with all of them, one a line, if there are any.
#[track_caller]
pub fn assert_none(findings: &[Finding]) {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} to change:\n{}", lines.len(), lines.join("\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_can_be_clicked_on() {
        assert_eq!(Finding::new("a/b.rs", 7, "shorten it").to_string(), "a/b.rs:7: shorten it");
        assert_none(&[]);
    }

    #[test]
    #[should_panic(expected = "1 to change:\na.rs:1: shorten it")]
    fn findings_fail_the_test() {
        assert_none(&[Finding::new("a.rs", 1, "shorten it")]);
    }
}
