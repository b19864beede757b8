//! How a lookup came to its result, for people: every route that was asked, and what it missed. Never on a request's path.

use super::condition::Mismatch;
use super::table::Routed;
use crate::config::{HeaderMatch, HeaderTest, PathMatch, Route, StringMatch, StringPattern};
use std::fmt;

/// The way to a route, or to none.
#[derive(Debug, Clone, Default)]
pub struct Explanation<'a> {
    /// The names of the tables that were asked, in the order of the chain; the one of a listener without a chain is empty.
    pub tables: Vec<&'a str>,
    /// In the last table that has one; `None` if no domain takes the authority.
    pub virtual_host: Option<usize>,
    /// The routes before the one that was found, or all of them, in their order, table by table.
    pub refused: Vec<Considered<'a>>,
    /// Routes that took the request but had no healthy endpoint, so that the next table got it.
    pub passed_on: Vec<Routed<'a>>,
    pub found: Option<Routed<'a>>,
}

/// A route that did not take the request.
#[derive(Debug, Clone, Copy)]
pub struct Considered<'a> {
    pub virtual_host: usize,
    pub index: usize,
    pub route: &'a Route,
    pub mismatch: Mismatch<'a>,
}

impl fmt::Display for Mismatch<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mismatch::Connect => out.write_str("it is for CONNECT requests, or this is one"),
            Mismatch::Path(PathMatch::Any) => out.write_str("the path is another"),
            Mismatch::Path(PathMatch::Exact(path)) => write!(out, "the path is not {path}"),
            Mismatch::Path(PathMatch::Prefix(prefix)) => write!(out, "the path does not begin with {prefix}"),
            Mismatch::Path(PathMatch::Regex(pattern)) => {
                write!(out, "the whole path does not match the regex {}", pattern.source())
            }
            Mismatch::Path(PathMatch::Template(template)) => {
                write!(out, "the path does not fit the template {}", template.source())
            }
            Mismatch::Method(methods) => write!(out, "the method is not {}", methods.join(" or ")),
            Mismatch::Header(header) => write_header(header, out),
            Mismatch::Query(query) => {
                let name = &query.name;
                match &query.value {
                    Some(value) => write!(out, "the query parameter {name} is not {}", Wanted(value)),
                    None => write!(out, "the query parameter {name} is missing"),
                }
            }
            Mismatch::Source(_) => out.write_str("the source address is in none of its ranges"),
            Mismatch::Grpc => out.write_str("the content-type is not application/grpc"),
            Mismatch::RuntimeFraction(fraction) => {
                write!(out, "the request is not among the {} in a million by chance", fraction.0)
            }
            Mismatch::Rpc(field) => write!(out, "the call's {field} is another"),
        }
    }
}

fn write_header(header: &HeaderMatch, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let name = &header.name;
    match (&header.test, header.invert) {
        (HeaderTest::Present(present), invert) if *present == invert => {
            write!(out, "the header {name} is there")
        }
        (HeaderTest::Present(_), _) => write!(out, "the header {name} is missing"),
        (HeaderTest::Text(text), false) => write!(out, "the header {name} is not {}", Wanted(text)),
        (HeaderTest::Text(text), true) => write!(out, "the header {name} is missing, or {}", Wanted(text)),
        (HeaderTest::Range { start, end }, false) => {
            write!(out, "the header {name} is not a number from {start} to before {end}")
        }
        (HeaderTest::Range { start, end }, true) => {
            write!(out, "the header {name} is missing, or a number from {start} to before {end}")
        }
    }
}

struct Wanted<'a>(&'a StringMatch);

impl fmt::Display for Wanted<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.pattern {
            StringPattern::Exact(text) => write!(out, "`{text}`")?,
            StringPattern::Prefix(text) => write!(out, "something that begins with `{text}`")?,
            StringPattern::Suffix(text) => write!(out, "something that ends with `{text}`")?,
            StringPattern::Contains(text) => write!(out, "something with `{text}` in it")?,
            StringPattern::Regex(pattern) => write!(out, "a match of the regex {}", pattern.source())?,
        }
        if self.0.ignore_case { out.write_str(" in whatever case") } else { Ok(()) }
    }
}
