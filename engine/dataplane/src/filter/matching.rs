//! Matchers at work: conditions of the configuration, compiled once per core. Looking allocates nothing.

use super::RequestView;
use crate::config::{HeaderMatch, HeaderTest, StringMatch, StringPattern};
use regex::bytes::{Regex, RegexBuilder};

/// What a compiled regex may take up at most: the size of a program of some thousand states.
const REGEX_BYTES: usize = 256 * 1024;

/// Compiles a regex that must match the whole of a text. Classes such as `\d` are ASCII's, as in RE2.
///
/// Errors: a sentence that says what is wrong with the pattern.
pub fn whole_regex(pattern: &str) -> Result<Regex, String> {
    // On its own first: `a)(b` would be fine between the parentheses.
    let build = |pattern: &str| RegexBuilder::new(pattern).unicode(false).size_limit(REGEX_BYTES).build();
    build(pattern).and_then(|_| build(&format!(r"\A(?:{pattern})\z"))).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "the regex is too large".to_owned(),
        // Its first lines draw the pattern.
        error => {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default();
            reason.trim_start_matches("error: ").to_owned()
        }
    })
}

/// A [`StringMatch`] at work.
#[derive(Debug)]
pub struct StringMatcher {
    pattern: Pattern,
    ignore_case: bool,
}

#[derive(Debug)]
enum Pattern {
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
    Suffix(Box<[u8]>),
    Contains(Box<[u8]>),
    Regex(Regex),
    /// A regex that does not compile cannot come out of a checked configuration.
    Never,
}

impl StringMatcher {
    /// Compiles a checked condition.
    pub fn compile(config: &StringMatch) -> Self {
        let text = |text: &String| text.as_bytes().into();
        let pattern = match &config.pattern {
            StringPattern::Exact(exact) => Pattern::Exact(text(exact)),
            StringPattern::Prefix(prefix) => Pattern::Prefix(text(prefix)),
            StringPattern::Suffix(suffix) => Pattern::Suffix(text(suffix)),
            StringPattern::Contains(part) => Pattern::Contains(text(part)),
            StringPattern::Regex(regex) => whole_regex(regex).map_or(Pattern::Never, Pattern::Regex),
        };
        StringMatcher { pattern, ignore_case: config.ignore_case }
    }

    /// Whether the text is as it must be.
    pub fn takes(&self, text: &[u8]) -> bool {
        match &self.pattern {
            Pattern::Exact(exact) => self.equal(text, exact),
            Pattern::Prefix(prefix) => {
                text.get(..prefix.len()).is_some_and(|start| self.equal(start, prefix))
            }
            Pattern::Suffix(suffix) => {
                let start = text.len().checked_sub(suffix.len());
                start.is_some_and(|start| self.equal(&text[start..], suffix))
            }
            Pattern::Contains(part) if !self.ignore_case => memchr::memmem::find(text, part).is_some(),
            Pattern::Contains(part) => {
                part.is_empty() || text.windows(part.len()).any(|window| self.equal(window, part))
            }
            Pattern::Regex(regex) => regex.is_match(text),
            Pattern::Never => false,
        }
    }

    fn equal(&self, text: &[u8], wanted: &[u8]) -> bool {
        if self.ignore_case { text.eq_ignore_ascii_case(wanted) } else { text == wanted }
    }
}

/// A [`HeaderMatch`] at work.
#[derive(Debug)]
pub struct HeaderMatcher {
    name: Box<[u8]>,
    test: Test,
    invert: bool,
}

#[derive(Debug)]
enum Test {
    Present(bool),
    Text(StringMatcher),
    Range { start: i64, end: i64 },
}

impl HeaderMatcher {
    /// Compiles a checked condition.
    pub fn compile(config: &HeaderMatch) -> Self {
        let test = match &config.test {
            HeaderTest::Present(present) => Test::Present(*present),
            HeaderTest::Text(text) => Test::Text(StringMatcher::compile(text)),
            HeaderTest::Range { start, end } => Test::Range { start: *start, end: *end },
        };
        HeaderMatcher { name: config.name.as_bytes().into(), test, invert: config.invert }
    }

    /// Whether the request fulfils the condition.
    pub fn takes(&self, request: &RequestView<'_>) -> bool {
        request.with_value(&self.name, |value| match (&self.test, value) {
            (Test::Present(present), value) => (value.is_some() == *present) != self.invert,
            (_, None) => false,
            (Test::Text(text), Some(value)) => text.takes(value) != self.invert,
            (Test::Range { start, end }, Some(value)) => {
                let number = std::str::from_utf8(value).ok().and_then(|text| text.parse::<i64>().ok());
                number.is_some_and(|number| (*start..*end).contains(&number)) != self.invert
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::test_request::Asked;

    fn matcher(pattern: StringPattern, ignore_case: bool) -> StringMatcher {
        StringMatcher::compile(&StringMatch { pattern, ignore_case })
    }

    #[test]
    fn texts() {
        use StringPattern::{Contains, Exact, Prefix, Regex, Suffix};
        for (pattern, ignore_case, takes, leaves) in [
            (Exact("Abc".into()), false, "Abc", "abc"),
            (Exact("Abc".into()), true, "aBC", "abcd"),
            (Exact(String::new()), false, "", "a"),
            (Prefix("ab".into()), false, "abc", "a"),
            (Prefix("ab".into()), true, "ABc", "ba"),
            (Suffix("bc".into()), false, "abc", "c"),
            (Suffix("bc".into()), true, "aBC", "bcd"),
            (Contains("b".into()), false, "abc", "aBc"),
            (Contains("bC".into()), true, "aBcd", "b"),
            (Regex(r"a\d+|b".into()), false, "a12", "a12c"),
            (Regex("a|b".into()), false, "b", "ab"),
        ] {
            let matcher = matcher(pattern.clone(), ignore_case);
            assert!(matcher.takes(takes.as_bytes()), "{pattern:?} {takes}");
            assert!(!matcher.takes(leaves.as_bytes()), "{pattern:?} {leaves}");
        }
    }

    #[test]
    fn regexes_are_of_the_whole_text_ascii_and_bounded() {
        assert!(whole_regex(r"\d").unwrap().is_match(b"7"));
        assert!(!whole_regex(r"\d").unwrap().is_match("\u{0667}".as_bytes()));
        assert!(!whole_regex("a.c").unwrap().is_match(b"a\nc"));
        assert!(whole_regex("a)(b").is_err());
        assert_eq!(whole_regex("(a{1000}){1000}").unwrap_err(), "the regex is too large");
        assert_eq!(whole_regex("(a").unwrap_err(), "unclosed group");
    }

    #[test]
    fn headers_as_envoys_header_matcher_has_them() {
        let text = |pattern| HeaderTest::Text(StringMatch { pattern, ignore_case: false });
        let exact = |value: &str| text(StringPattern::Exact(value.into()));
        let range = HeaderTest::Range { start: -2, end: 3 };
        // Test, without and with inversion: whether it takes a request with this value; `None`: without the field.
        for (test, value, plain, inverted) in [
            (HeaderTest::Present(true), Some(""), true, false),
            (HeaderTest::Present(true), None, false, true),
            (HeaderTest::Present(false), Some("a"), false, true),
            (HeaderTest::Present(false), None, true, false),
            (exact("a"), Some("a"), true, false),
            (exact("a"), Some("b"), false, true),
            (exact("a"), None, false, false),
            (exact(""), Some(""), true, false),
            (range.clone(), Some("-3"), false, true),
            (range.clone(), Some("-2"), true, false),
            (range.clone(), Some("2"), true, false),
            (range.clone(), Some("3"), false, true),
            (range.clone(), Some("2x"), false, true),
            (range, None, false, false),
        ] {
            for (invert, expected) in [(false, plain), (true, inverted)] {
                let config = HeaderMatch { name: "x-a".into(), test: test.clone(), invert };
                let asked =
                    Asked::new("GET", "/", &[("X-A", value.unwrap_or_default())][..value.iter().len()]);
                let taken = asked.with(|request| HeaderMatcher::compile(&config).takes(request));
                assert_eq!(taken, expected, "{config:?} {value:?}");
            }
        }
    }

    #[test]
    fn several_fields_are_joined_and_parts_of_the_request_have_names() {
        let asked = Asked::new("PUT", "/p?q", &[("a", "1"), ("b", "x"), ("A", "2")]);
        for (name, value) in
            [("a", "1,2"), (":method", "PUT"), (":path", "/p?q"), (":authority", "host"), ("host", "host")]
        {
            let pattern = StringPattern::Exact(value.into());
            let test = HeaderTest::Text(StringMatch { pattern, ignore_case: false });
            let config = HeaderMatch { name: name.into(), test, invert: false };
            assert!(asked.with(|request| HeaderMatcher::compile(&config).takes(request)), "{name}");
        }
    }
}
