//! Warns of routes that can never match because an earlier one takes all that they would, as far as that is plain to
//! see: an earlier path covers theirs, and the earlier route asks for nothing else, or for just the same.

use super::problem::{Place, Problems};
use sidering_dataplane::config::{PathMatch, Route, RouteMatch};
use std::collections::HashMap;

/// The routes of a virtual host, and where they stand.
pub(super) fn warn(routes: &[(Route, Place)], problems: &Problems) {
    let mut requests = Taken::default();
    let mut tunnels = Taken::default();
    for (route, place) in routes {
        let taken = if route.matcher.connect { &mut tunnels } else { &mut requests };
        let asked = asked(&route.matcher);
        if let Some(line) = taken.covering(&route.matcher.path, &asked) {
            let expected =
                format!("the more special route first; the one on line {line} takes all that this one would");
            problems.warning(*place, "this route can never match", expected);
        }
        taken.add(&route.matcher.path, asked, route.line);
    }
}

/// What a route asks for beyond its path, as a text to compare; empty if nothing.
fn asked(matcher: &RouteMatch) -> String {
    matcher.conditions.as_ref().map(|conditions| format!("{conditions:?}")).unwrap_or_default()
}

/// What earlier routes take, by what they ask for, with the lines they stand on.
#[derive(Default)]
struct Taken<'r> {
    by_asked: HashMap<String, Paths<'r>>,
}

#[derive(Default)]
struct Paths<'r> {
    everything: Option<u32>,
    prefixes: HashMap<&'r str, u32>,
    /// Whole paths, and the texts of regexes and templates, which cover what is written the same.
    exact: HashMap<&'r str, u32>,
    regexes: HashMap<&'r str, u32>,
    templates: HashMap<&'r str, u32>,
}

impl<'r> Taken<'r> {
    fn covering(&self, path: &PathMatch, asked: &str) -> Option<u32> {
        let same = (!asked.is_empty()).then_some(asked);
        let lists = [Some(""), same].into_iter().flatten().filter_map(|asked| self.by_asked.get(asked));
        lists.filter_map(|paths| paths.covering(path)).min()
    }

    fn add(&mut self, path: &'r PathMatch, asked: String, line: u32) {
        self.by_asked.entry(asked).or_default().add(path, line);
    }
}

impl<'r> Paths<'r> {
    /// The line of a route that takes all that `path` would.
    fn covering(&self, path: &PathMatch) -> Option<u32> {
        let (beginning, same) = match path {
            PathMatch::Any => return self.everything,
            PathMatch::Exact(path) => (path.as_str(), self.exact.get(path.as_str())),
            PathMatch::Prefix(path) => (path.as_str(), None),
            PathMatch::Regex(pattern) => {
                (std::str::from_utf8(pattern.literal()).unwrap_or(""), self.regexes.get(pattern.source()))
            }
            PathMatch::Template(template) => (template.literal(), self.templates.get(template.source())),
        };
        let ends = beginning.char_indices().map(|(index, character)| index + character.len_utf8());
        let prefix = ends.filter_map(|end| self.prefixes.get(&beginning[..end])).next();
        self.everything.or(prefix.copied()).or(same.copied())
    }

    fn add(&mut self, path: &'r PathMatch, line: u32) {
        match path {
            PathMatch::Any => _ = self.everything.get_or_insert(line),
            PathMatch::Exact(path) => _ = self.exact.entry(path).or_insert(line),
            PathMatch::Prefix(path) => {
                self.prefixes.entry(path).or_insert(line);
                // Every path begins with a slash.
                if path == "/" {
                    self.everything.get_or_insert(line);
                }
            }
            PathMatch::Regex(pattern) => _ = self.regexes.entry(pattern.source()).or_insert(line),
            PathMatch::Template(template) => _ = self.templates.entry(template.source()).or_insert(line),
        }
    }
}
