//! Every file says in its first line what it is.

use crate::{Finding, Source};

/// The file, if it does not open with `//!` and words.
#[must_use]
pub fn silent_file(source: &Source) -> Option<Finding> {
    let first = source.text.lines().next().unwrap_or("");
    let says_something = first.strip_prefix("//!").is_some_and(|words| words.trim().len() > 3);
    let is_placeholder = first.to_ascii_lowercase().contains("placeholder");
    let message = "open the file with a `//!` sentence that says what it is";
    (!says_something || is_placeholder).then(|| Finding::new(&source.file, 1, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_speaks() {
        let silent = |text: &str| silent_file(&Source::read("a.rs", text).unwrap()).is_some();
        assert!(!silent("//! One idea.\n\nfn a() {}"));
        assert!(silent("fn a() {}\n"));
        assert!(silent("\n//! Too late."));
        assert!(silent("//!\nfn a() {}"));
        assert!(silent("//! placeholder\nfn a() {}"));
        assert!(silent(""));
    }
}
