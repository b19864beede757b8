//! Regular expressions that hold for a whole text, compiled to automata before the first request: matching takes one
//! step a byte, whatever the expression, and neither allocates nor keeps anything between two texts.
//!
//! The `regex` crate would do with less memory for large expressions, but its caches are filled while it matches: it
//! allocates, and cores that share one expression meet in its pool. An automaton is immutable and shared by all cores.

use regex_automata::dfa::{Automaton, StartKind, dense, sparse};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::{Hir, HirKind, Look};
use std::fmt;
use std::sync::Arc;

/// The longest expression that is taken.
pub const PATTERN_BYTES: usize = 4096;
/// The largest automaton, before it is packed. An expression beyond it counts too far (`[a-z]{1000}`, twice).
const AUTOMATON_BYTES: usize = 256 * 1024;
/// What making one may need meanwhile.
const WORKING_BYTES: usize = 1024 * 1024;

/// A compiled expression. Clones share the automaton; two are equal if they were written the same.
#[derive(Clone)]
pub struct Pattern {
    source: Arc<str>,
    /// What every text it holds for begins with.
    literal: Arc<[u8]>,
    automaton: Arc<sparse::DFA<Vec<u8>>>,
}

/// Why an expression was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("not a regular expression: {0}")]
    Syntax(String),
    #[error("a regular expression of {0} bytes")]
    TooLong(usize),
    #[error("a regular expression whose automaton is larger than 256KiB")]
    TooLarge,
}

impl Pattern {
    /// Compiles an expression in the syntax of the `regex` crate, which is RE2's but for details. Texts are bytes, as in
    /// RE2's Latin-1 mode: `.` is any byte but a line feed, and `\d`, `\w`, `\s` and `\b` know ASCII only.
    pub fn new(source: &str) -> Result<Pattern, PatternError> {
        if source.len() > PATTERN_BYTES {
            return Err(PatternError::TooLong(source.len()));
        }
        let config = syntax::Config::new().unicode(false).utf8(false);
        let parsed =
            syntax::parse_with(source, &config).map_err(|error| PatternError::Syntax(first(&error)))?;
        let literal = leading_literal(&parsed).as_slice().into();
        let automaton = automaton(parsed)?;
        Ok(Pattern { source: source.into(), literal, automaton: Arc::new(automaton) })
    }

    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the whole text is what the expression describes.
    #[must_use]
    pub fn matches(&self, text: &[u8]) -> bool {
        let input = Input::new(text).anchored(Anchored::Yes).earliest(true);
        matches!(self.automaton.try_search_fwd(&input), Ok(Some(_)))
    }

    /// What every text it holds for begins with; empty if there is no such thing.
    #[must_use]
    pub fn literal(&self) -> &[u8] {
        &self.literal
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Pattern({:?})", self.source)
    }
}

/// The automaton of the expression and the end of the text. It is put together from what was parsed, so that an
/// expression cannot swallow what stands behind it (with a comment of verbose mode, say).
fn automaton(parsed: Hir) -> Result<sparse::DFA<Vec<u8>>, PatternError> {
    let whole = Hir::concat(vec![parsed, Hir::look(Look::End)]);
    let nfa = thompson::Config::new().utf8(false).nfa_size_limit(Some(WORKING_BYTES));
    let config = dense::Config::new()
        .start_kind(StartKind::Anchored)
        .dfa_size_limit(Some(AUTOMATON_BYTES))
        .determinize_size_limit(Some(WORKING_BYTES));
    let nfa = thompson::Compiler::new().configure(nfa).build_from_hir(&whole).map_err(refused)?;
    let dense =
        dense::Builder::new().configure(config).build_from_nfa(&nfa).map_err(|error| too_large(&error))?;
    dense.to_sparse().map_err(|error| too_large(&error))
}

fn too_large(error: &dense::BuildError) -> PatternError {
    if error.is_size_limit_exceeded() {
        PatternError::TooLarge
    } else {
        PatternError::Syntax(error.to_string())
    }
}

fn refused(error: thompson::BuildError) -> PatternError {
    match error.size_limit() {
        Some(_) => PatternError::TooLarge,
        None => PatternError::Syntax(error.to_string()),
    }
}

fn first(error: &regex_syntax::Error) -> String {
    match error {
        regex_syntax::Error::Parse(error) => error.kind().to_string(),
        regex_syntax::Error::Translate(error) => error.kind().to_string(),
        _ => "it cannot be read".to_owned(),
    }
}

fn leading_literal(parsed: &Hir) -> Vec<u8> {
    match parsed.kind() {
        HirKind::Alternation(ways) => ways.iter().map(leading_literal).reduce(shared).unwrap_or_default(),
        HirKind::Literal(literal) => literal.0.to_vec(),
        HirKind::Capture(capture) => leading_literal(&capture.sub),
        HirKind::Concat(parts) => {
            let mut parts = parts.iter().skip_while(|part| matches!(part.kind(), HirKind::Look(_)));
            parts.next().map(leading_literal).unwrap_or_default()
        }
        _ => vec![],
    }
}

fn shared(mut one: Vec<u8>, other: Vec<u8>) -> Vec<u8> {
    one.truncate(one.iter().zip(&other).take_while(|(one, other)| one == other).count());
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_holds_for_whole_texts() {
        for (source, holds, fails) in [
            ("/a", &["/a"][..], &["/ab", "x/a", "", "/a\n"][..]),
            ("a|ab", &["a", "ab"], &["abc", "b"]),
            ("^/v[0-9]+$", &["/v1", "/v22"], &["/v", "/v1/x"]),
            (r"\d{3}", &["123"], &["1234", "12", "\u{663}23"]),
            ("(?i)/API/.*", &["/api/", "/Api/x"], &["/api"]),
            ("(?x) /a # why", &["/a"], &["/a # why"]),
            ("", &[""], &["a"]),
            ("/caf\u{e9}", &["/caf\u{e9}"], &["/cafe"]),
        ] {
            let pattern = Pattern::new(source).unwrap();
            for text in holds {
                assert!(pattern.matches(text.as_bytes()), "{source} {text}");
            }
            for text in fails {
                assert!(!pattern.matches(text.as_bytes()), "{source} {text}");
            }
        }
    }

    #[test]
    fn what_it_begins_with() {
        for (source, literal) in [
            ("/users/[0-9]+", "/users/"),
            ("^/a/b$", "/a/b"),
            ("/ab?", "/a"),
            ("(/x)y", "/x"),
            ("/a|/b", "/"),
            ("a|b", ""),
            ("(?i)/a", "/"),
            ("(/a)*", ""),
        ] {
            assert_eq!(Pattern::new(source).unwrap().literal(), literal.as_bytes(), "{source}");
        }
    }

    #[test]
    fn what_is_broken_or_too_large_is_refused() {
        assert!(matches!(Pattern::new("(a"), Err(PatternError::Syntax(_))));
        assert!(matches!(Pattern::new(r"(?u)\bx"), Err(PatternError::Syntax(_))));
        assert!(matches!(Pattern::new("a)|(b"), Err(PatternError::Syntax(_))));
        assert_eq!(Pattern::new("(?:[a-z]{900}x){40}"), Err(PatternError::TooLarge));
        let long = |bytes| Pattern::new(&"b".repeat(bytes));
        assert!(long(PATTERN_BYTES - 1).is_ok());
        assert!(long(PATTERN_BYTES).is_ok());
        assert_eq!(long(PATTERN_BYTES + 1), Err(PatternError::TooLong(PATTERN_BYTES + 1)));
    }
}
