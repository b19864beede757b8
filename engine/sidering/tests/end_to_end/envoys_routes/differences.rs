//! Reads differences.txt, and holds it against what was found.

use std::collections::BTreeMap;

/// Requests that are known to be answered differently, with both answers.
pub(super) struct Differences {
    known: BTreeMap<String, String>,
}

impl Differences {
    /// Below each reason (`#`) its requests: `REQUEST => OURS | ENVOY'S`.
    pub(super) fn read(text: &str) -> Differences {
        let mut known = BTreeMap::new();
        let mut has_reason = false;
        for line in text.lines().filter(|line| !line.is_empty()) {
            if line.starts_with('#') {
                has_reason = true;
                continue;
            }
            assert!(has_reason, "a difference without a reason: {line}");
            let (request, answers) =
                line.split_once(" => ").unwrap_or_else(|| panic!("no difference: {line}"));
            let before = known.insert(request.to_owned(), answers.to_owned());
            assert_eq!(before, None, "{request} stands there twice");
        }
        Differences { known }
    }

    /// None is new, and none is gone.
    #[track_caller]
    pub(super) fn compare(&self, found: &BTreeMap<String, String>, requests: usize) {
        let lines = |of: &BTreeMap<String, String>, without: &BTreeMap<String, String>| -> Vec<String> {
            of.iter()
                .filter(|(request, answers)| without.get(*request) != Some(answers))
                .map(|(request, answers)| format!("{request} => {answers}"))
                .collect()
        };
        let (new, gone) = (lines(found, &self.known), lines(&self.known, found));
        assert!(
            new.is_empty() && gone.is_empty(),
            "{requests} requests, {} answered differently.\nNew, without a reason in differences.txt:\n{}\nGone:\n{}",
            found.len(),
            new.join("\n"),
            gone.join("\n")
        );
    }
}
