//! What nobody leaves behind: unfinished code, tests that are not run, and tests that wait by sleeping.

use crate::{Finding, Source};

/// The one file of a crate's tests that may sleep: it waits for a condition, with a deadline.
const WAITING_FILE: &str = "/wait.rs";

/// Everything of the kind in a file.
#[must_use]
pub fn leftovers(source: &Source) -> Vec<Finding> {
    let words: [(&[&str], &str); 4] = [
        (&["todo", "!"], "finish it, or leave it out"),
        (&["unimplemented", "!"], "finish it, or leave it out"),
        (&["dbg", "!"], "take it out"),
        (&["#", "[", "ignore"], "a test is run or deleted"),
    ];
    let mut findings = vec![];
    for (sequence, advice) in words {
        let message = format!("`{}`: {advice}", sequence.concat());
        findings
            .extend(source.lines_of(sequence).map(|line| Finding::new(&source.file, line, message.clone())));
    }
    findings.extend(sleeps(source));
    findings
}

/// Where a test sleeps. Those of perf measure time, and may.
fn sleeps(source: &Source) -> Vec<Finding> {
    if source.file.starts_with("perf/") || source.file.ends_with(WAITING_FILE) {
        return vec![];
    }
    let is_sleep = |segments: &[String]| segments.windows(2).any(|pair| pair == ["thread", "sleep"]);
    let paths = source.paths();
    let sleeping = paths.iter().filter(|path| is_sleep(&path.segments) && source.is_test(path.line));
    let message = "a test that sleeps is slow or flaky: wait for a condition, in a file named wait.rs";
    sleeping.map(|path| Finding::new(&source.file, path.line, message)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(file: &str, text: &str) -> usize {
        leftovers(&Source::read(file, text).unwrap()).len()
    }

    #[test]
    fn unfinished_code_is_found_and_talk_of_it_is_not() {
        for text in [
            "fn a() { todo!() }",
            "fn a() { dbg!(b); }",
            "#[ignore]\nfn a() {}",
            "#[ignore = \"slow\"]\nfn a() {}",
        ] {
            assert_eq!(count("codecs/src/a.rs", text), 1, "{text}");
        }
        assert_eq!(count("codecs/src/a.rs", "// todo!\nfn todo() { \"dbg!\"; }"), 0);
    }

    #[test]
    fn tests_do_not_sleep() {
        let text = "fn a() { std::thread::sleep(b) }";
        assert_eq!(count("engine/control/tests/a.rs", text), 1);
        assert_eq!(count("engine/control/tests/common/wait.rs", text), 0);
        assert_eq!(count("engine/control/src/a.rs", text), 0);
        assert_eq!(count("perf/tests/a.rs", text), 0);
        assert_eq!(count("engine/control/src/a/tests.rs", "use std::thread::{self, sleep};"), 1);
        assert_eq!(count("a/src/b.rs", "#[cfg(test)]\nmod tests { fn a() { thread::sleep(b) } }"), 1);
    }
}
