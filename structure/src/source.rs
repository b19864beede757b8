//! A Rust file as a flat list of tokens with their lines, and the questions that several rules ask of it: which paths
//! it names, and which of its lines are tests.

use crate::Finding;
use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use std::ops::Range;

/// One token. Delimiters are tokens of their own, `::` is one token, the content of literals is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    pub line: usize,
    pub is_word: bool,
}

impl Token {
    fn sign(text: &str, line: usize) -> Self {
        Token { text: text.to_owned(), line, is_word: false }
    }
}

/// A path as written, or as imported: `use a::{b, c::d}` names `a::b` and `a::c::d`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPath {
    pub segments: Vec<String>,
    pub line: usize,
}

/// A file that has been read.
#[derive(Debug)]
pub struct Source {
    /// From the root of the repository.
    pub file: String,
    pub text: String,
    pub tokens: Vec<Token>,
}

impl Source {
    /// Splits `text` into tokens.
    pub fn read(file: &str, text: &str) -> Result<Source, Finding> {
        let stream: TokenStream = text.parse().map_err(|error: proc_macro2::LexError| {
            Finding::new(file, error.span().start().line, format!("not Rust: {error}"))
        })?;
        let mut tokens = vec![];
        flatten(stream, &mut tokens);
        Ok(Source { file: file.to_owned(), text: text.to_owned(), tokens })
    }

    /// Where these tokens stand one after the other: the line of the first of them.
    pub fn lines_of<'s>(&'s self, sequence: &'s [&str]) -> impl Iterator<Item = usize> + 's {
        let windows = self.tokens.windows(sequence.len());
        windows
            .filter(move |window| window.iter().zip(sequence).all(|(token, text)| token.text == *text))
            .map(|window| window[0].line)
    }

    /// Every path and every single name, in order.
    #[must_use]
    pub fn paths(&self) -> Vec<NamedPath> {
        let mut paths = vec![];
        let mut at = 0;
        while at < self.tokens.len() {
            at = if self.tokens[at].is_word { self.read_path(at, &[], &mut paths) } else { at + 1 };
        }
        paths
    }

    /// Whether the line belongs to a test: the whole file does, or the line is in a module for tests.
    #[must_use]
    pub fn is_test(&self, line: usize) -> bool {
        let file_is = self.file.contains("/tests/") || self.file.ends_with("/tests.rs");
        file_is || self.test_modules().any(|lines| lines.contains(&line))
    }

    /// The index of the token that closes what the token at `open` opens.
    #[must_use]
    pub fn closing(&self, open: usize) -> usize {
        let mut depth = 0usize;
        for (index, token) in self.tokens.iter().enumerate().skip(open) {
            match token.text.as_str() {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return index;
            }
        }
        self.tokens.len() - 1
    }

    fn test_modules(&self) -> impl Iterator<Item = Range<usize>> {
        let attribute = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
        let starts = self.tokens.windows(attribute.len()).enumerate();
        starts.filter_map(move |(start, window)| {
            let is_one = window.iter().zip(attribute).all(|(token, text)| token.text == text);
            let open = start + attribute.len() + 1;
            let has_body = self.tokens.get(open).is_some_and(|token| token.text == "{");
            (is_one && has_body).then(|| window[0].line..self.tokens[self.closing(open)].line + 1)
        })
    }

    /// Reads the path that starts with the word at `at`, and tells what follows it.
    fn read_path(&self, mut at: usize, prefix: &[String], paths: &mut Vec<NamedPath>) -> usize {
        let line = self.tokens[at].line;
        let mut segments = prefix.to_vec();
        loop {
            segments.push(self.tokens[at].text.clone());
            at += 1;
            if self.text_at(at) != "::" {
                break;
            }
            at += 1;
            match self.tokens.get(at) {
                Some(token) if token.is_word || token.text == "*" => {}
                Some(token) if token.text == "{" => return self.read_group(at, &segments, paths),
                _ => break,
            }
        }
        paths.push(NamedPath { segments, line });
        at
    }

    fn read_group(&self, open: usize, prefix: &[String], paths: &mut Vec<NamedPath>) -> usize {
        let end = self.closing(open);
        let mut at = open + 1;
        while at < end {
            let token = &self.tokens[at];
            at = match token.text.as_str() {
                "as" => at + 2,
                "*" => self.read_path(at, prefix, paths),
                _ if token.is_word => self.read_path(at, prefix, paths),
                _ => at + 1,
            };
        }
        end + 1
    }

    fn text_at(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text.as_str())
    }
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Ident(name) => tokens.push(Token { text: name.to_string(), line, is_word: true }),
            TokenTree::Literal(_) => tokens.push(Token::sign("literal", line)),
            TokenTree::Punct(first) => {
                let is_colon =
                    |tree: &TokenTree| matches!(tree, TokenTree::Punct(next) if next.as_char() == ':');
                let is_joined = first.as_char() == ':' && first.spacing() == Spacing::Joint;
                let is_path = is_joined && trees.next_if(is_colon).is_some();
                let text = if is_path { "::".to_owned() } else { first.as_char().to_string() };
                tokens.push(Token { text, line, is_word: false });
            }
            TokenTree::Group(group) => {
                let (open, close) = delimiters(group.delimiter());
                tokens.push(Token::sign(open, group.span_open().start().line));
                flatten(group.stream(), tokens);
                tokens.push(Token::sign(close, group.span_close().start().line));
            }
        }
    }
}

fn delimiters(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::read("a/src/b.rs", text).unwrap()
    }

    fn paths(text: &str) -> Vec<String> {
        source(text).paths().into_iter().map(|path| path.segments.join("::")).collect()
    }

    #[test]
    fn imports_are_taken_apart() {
        let found = paths("use std::{fs, net::{self, TcpStream as Tcp}, io::*};");
        assert_eq!(found, ["use", "std::fs", "std::net::self", "std::net::TcpStream", "std::io::*"]);
        assert_eq!(paths("a::b::<C>(d::e())"), ["a::b", "C", "d::e"]);
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        let text = "//! unsafe\n/* unsafe */ fn a() { \"unsafe\"; r#\"unsafe\"#; 'u'; }\n/// unsafe\nfn b<'unsafe_>() {}";
        assert_eq!(source(text).lines_of(&["unsafe"]).count(), 0);
        assert_eq!(source("\n\nunsafe {}").lines_of(&["unsafe", "{"]).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn lines_of_tests() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}";
        let is_test: Vec<bool> = (1..=6).map(|line| source(text).is_test(line)).collect();
        assert_eq!(is_test, [false, true, true, true, true, false]);
        assert!(Source::read("a/tests/b.rs", "fn c() {}").unwrap().is_test(1));
        assert!(Source::read("a/src/b/tests.rs", "fn c() {}").unwrap().is_test(1));
        assert!(!source("#[cfg(test)]\nmod tests;\nfn a() {}").is_test(3));
    }

    #[test]
    fn what_does_not_lex_is_a_finding() {
        let finding = Source::read("a.rs", "fn a() {\n\n(}").unwrap_err();
        assert_eq!((finding.file.as_str(), finding.line), ("a.rs", 3));
    }
}
