//! Regular expressions whose matches in a path are replaced (Envoy's RegexMatchAndSubstitute). Expressions are compiled
//! once and shared by the cores; what matching needs meanwhile belongs to a core, and is kept from request to request.

use super::pattern::PATTERN_BYTES;
use regex_automata::Input;
use regex_automata::meta::{BuildError, Builder, Cache, Config, Regex};
use regex_automata::util::captures::Captures;
use regex_automata::util::syntax;
use rustc_hash::FxHashMap;
use std::fmt;
use std::sync::Arc;

/// The longest replacement that is taken.
pub const REPLACEMENT_BYTES: usize = 4096;
/// The largest compiled expression.
const EXPRESSION_BYTES: usize = 256 * 1024;
/// Matches of one path. Each may look at the rest of the path, so this bounds the work.
const MOST_MATCHES: usize = 256;
/// Expressions whose memory a core keeps. Beyond it all of it is made anew.
const KEPT_CACHES: usize = 64;

/// An expression and what stands in the place of its matches. Clones share the expression; two are equal if they were
/// written the same.
#[derive(Clone)]
pub struct Substitution {
    pattern: Arc<str>,
    replacement: Arc<str>,
    regex: Arc<Regex>,
    pieces: Arc<[Piece]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(Box<[u8]>),
    /// What a group has matched; nothing if it has not.
    Group(usize),
}

/// Why a substitution was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubstitutionError {
    #[error("not a regular expression: {0}")]
    Syntax(String),
    #[error("a regular expression of {0} bytes")]
    TooLong(usize),
    #[error("a regular expression that compiles to more than 256KiB")]
    TooLarge,
    #[error("a replacement with a backslash before something else than a digit or a backslash")]
    Backslash,
    #[error("a replacement with \\{asked}, where the expression has {groups} groups")]
    Group { asked: usize, groups: usize },
}

/// A result that is longer than it may be, or took too many matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

impl Substitution {
    /// Compiles an expression (as [`Pattern`](super::Pattern) reads it) and a replacement, in which `\1` to `\9` are what
    /// groups have matched, `\0` is the whole match, and `\\` a backslash, as in RE2.
    ///
    /// # Errors
    /// What is wrong with either.
    pub fn new(pattern: &str, replacement: &str) -> Result<Self, SubstitutionError> {
        if pattern.len() > PATTERN_BYTES {
            return Err(SubstitutionError::TooLong(pattern.len()));
        }
        // Automata that grow while they match are left out: nothing is allocated for a request but a cache's first use.
        let config = Config::new()
            .utf8_empty(false)
            .hybrid(false)
            .dfa(false)
            .nfa_size_limit(Some(EXPRESSION_BYTES))
            .onepass_size_limit(Some(EXPRESSION_BYTES));
        let syntax = syntax::Config::new().unicode(false).utf8(false);
        let regex = Builder::new()
            .configure(config)
            .syntax(syntax)
            .build(pattern)
            .map_err(|error| refused(&error))?;
        let pieces = pieces(replacement, regex.captures_len() - 1)?;
        Ok(Substitution {
            pattern: pattern.into(),
            replacement: replacement.into(),
            regex: Arc::new(regex),
            pieces: pieces.into(),
        })
    }

    /// As it was written.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// As it was written.
    #[must_use]
    pub fn replacement(&self) -> &str {
        &self.replacement
    }

    /// Appends `text` with all matches replaced (RE2's `GlobalReplace`).
    ///
    /// # Errors
    /// More than `limit` bytes would be appended, or there are more than 256 matches; what was appended is of no use.
    pub fn replace(
        &self,
        text: &[u8],
        limit: usize,
        caches: &mut SubstitutionCaches,
        out: &mut Vec<u8>,
    ) -> Result<(), TooLong> {
        let start = out.len();
        let Room { cache, captures, .. } = caches.of(&self.regex);
        let (mut at, mut copied, mut last_end) = (0, 0, None);
        let mut matches = 0;
        while at <= text.len() {
            self.regex.search_captures_with(cache, &Input::new(text).range(at..), captures);
            let Some(found) = captures.get_match() else { break };
            // Nothing, right behind what was replaced, is no match of its own.
            if found.is_empty() && last_end == Some(found.end()) {
                at = found.end() + 1;
                continue;
            }
            matches += 1;
            out.extend_from_slice(&text[copied..found.start()]);
            for piece in &*self.pieces {
                match piece {
                    Piece::Text(text) => out.extend_from_slice(text),
                    Piece::Group(group) => {
                        let range = captures.get_group(*group).map_or(0..0, |span| span.range());
                        out.extend_from_slice(&text[range]);
                    }
                }
                if out.len() - start > limit {
                    return Err(TooLong);
                }
            }
            if matches > MOST_MATCHES {
                return Err(TooLong);
            }
            (at, copied, last_end) = (found.end(), found.end(), Some(found.end()));
        }
        out.extend_from_slice(&text[copied..]);
        if out.len() - start > limit { Err(TooLong) } else { Ok(()) }
    }
}

impl PartialEq for Substitution {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern && self.replacement == other.replacement
    }
}

impl Eq for Substitution {}

impl fmt::Debug for Substitution {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Substitution({:?}, {:?})", self.pattern, self.replacement)
    }
}

/// What one core needs to match expressions, by expression.
#[derive(Default)]
pub struct SubstitutionCaches {
    rooms: FxHashMap<usize, Room>,
}

struct Room {
    cache: Cache,
    captures: Captures,
    /// Nobody else gets its address as long as this is here.
    _regex: Arc<Regex>,
}

impl SubstitutionCaches {
    fn of(&mut self, regex: &Arc<Regex>) -> &mut Room {
        let key = Arc::as_ptr(regex).addr();
        if self.rooms.len() >= KEPT_CACHES && !self.rooms.contains_key(&key) {
            self.rooms.clear();
        }
        self.rooms.entry(key).or_insert_with(|| Room {
            cache: regex.create_cache(),
            captures: regex.create_captures(),
            _regex: Arc::clone(regex),
        })
    }

    /// Forgets all of it: another configuration has other expressions.
    pub fn clear(&mut self) {
        self.rooms.clear();
    }
}

fn pieces(replacement: &str, groups: usize) -> Result<Vec<Piece>, SubstitutionError> {
    let mut pieces = vec![];
    let mut text = vec![];
    let mut bytes = replacement.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            text.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'\\') => text.push(b'\\'),
            Some(digit @ b'0'..=b'9') => {
                let asked = usize::from(digit - b'0');
                if asked > groups {
                    return Err(SubstitutionError::Group { asked, groups });
                }
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text).into()));
                }
                pieces.push(Piece::Group(asked));
            }
            _ => return Err(SubstitutionError::Backslash),
        }
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text.into()));
    }
    Ok(pieces)
}

fn refused(error: &BuildError) -> SubstitutionError {
    match error.syntax_error() {
        Some(regex_syntax::Error::Parse(error)) => SubstitutionError::Syntax(error.kind().to_string()),
        Some(regex_syntax::Error::Translate(error)) => SubstitutionError::Syntax(error.kind().to_string()),
        Some(_) => SubstitutionError::Syntax("it cannot be read".to_owned()),
        None if error.size_limit().is_some() => SubstitutionError::TooLarge,
        None => SubstitutionError::Syntax(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(pattern: &str, replacement: &str, text: &str, limit: usize) -> Result<String, TooLong> {
        let substitution = Substitution::new(pattern, replacement).unwrap_or_else(|error| panic!("{error}"));
        let mut out = b"before".to_vec();
        let result =
            substitution.replace(text.as_bytes(), limit, &mut SubstitutionCaches::default(), &mut out);
        result.map(|()| String::from_utf8(out.split_off(6)).unwrap())
    }

    /// The examples that Envoy gives for `regex_rewrite`, and corners of RE2's `GlobalReplace`.
    #[test]
    fn matches_are_replaced() {
        for (pattern, replacement, text, expected) in [
            (r"^/service/([^/]+)(/.*)$", r"\2/instance/\1", "/service/foo/v1/api", "/v1/api/instance/foo"),
            ("one", "two", "/xxx/one/yyy/one/zzz", "/xxx/two/yyy/two/zzz"),
            (r"^(.*?)one(.*)$", r"\1two\2", "/xxx/one/yyy/one/zzz", "/xxx/two/yyy/one/zzz"),
            (r"(?i)/xxx/", "/yyy/", "/aaa/XxX/bbb", "/aaa/yyy/bbb"),
            ("none", "x", "/a", "/a"),
            ("^/a", "/b", "/a/a", "/b/a"),
            (r"/(a)?(b)", r"/[\1\2]", "/b/ab", "/[b]/[ab]"),
            (r"\d+", r"<\0>", "/1/22", "/<1>/<22>"),
            ("a", r"\\", "/a", r"/\"),
            ("", "-", "/ab", "-/-a-b-"),
            ("b*", "-", "abc", "-a-c-"),
            (r"\b", "|", "/ab/c", "/|ab|/|c|"),
            ("/", "", "/a/b", "ab"),
        ] {
            let found = replaced(pattern, replacement, text, 100);
            assert_eq!(found.as_deref(), Ok(expected), "{pattern} {replacement} {text}");
        }
    }

    #[test]
    fn results_are_no_longer_than_they_may_be() {
        for (limit, is_right) in [(6, false), (7, true), (8, true)] {
            assert_eq!(replaced("a", "bcd", "/aa", limit).is_ok(), is_right, "{limit}");
            assert_eq!(replaced("x", "", "/xaaaaaa", limit).is_ok(), is_right, "{limit}");
        }
        for (matches, is_right) in [(255, true), (256, true), (257, false)] {
            assert_eq!(replaced("a", "b", &"a".repeat(matches), 1000).is_ok(), is_right, "{matches}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        let refused = |pattern: &str, replacement: &str| Substitution::new(pattern, replacement).unwrap_err();
        assert_eq!(refused("(", "").to_string(), "not a regular expression: unclosed group");
        assert_eq!(refused("(?=a)", "").to_string().split(':').next(), Some("not a regular expression"));
        assert_eq!(refused("(a)", r"\2"), SubstitutionError::Group { asked: 2, groups: 1 });
        for replacement in [r"\a", r"a\"] {
            assert_eq!(refused("a", replacement), SubstitutionError::Backslash);
        }
        assert_eq!(refused("((a{100}){100}){100}", ""), SubstitutionError::TooLarge);
        for (length, is_right) in [(4095, true), (4096, true), (4097, false)] {
            let found = Substitution::new(&"a".repeat(length), "");
            assert_eq!(found.is_ok(), is_right, "{length} {found:?}");
        }
    }

    #[test]
    fn a_core_keeps_what_it_needs_for_so_many_expressions() {
        let all: Vec<_> = (0..65).map(|at| Substitution::new(&format!("x{at}$"), r"\0!").unwrap()).collect();
        let mut caches = SubstitutionCaches::default();
        for (kept, at) in [(63, 62), (64, 63), (1, 64), (2, 0)] {
            for before in &all[..if at > 0 && at < 64 { at } else { 0 }] {
                before.replace(b"/", 9, &mut caches, &mut vec![]).unwrap();
            }
            let mut out = vec![];
            all[at].replace(format!("/x{at}").as_bytes(), 9, &mut caches, &mut out).unwrap();
            assert_eq!(out, format!("/x{at}!").as_bytes());
            assert_eq!(caches.rooms.len(), kept);
        }
        caches.clear();
        assert!(caches.rooms.is_empty());
    }
}
