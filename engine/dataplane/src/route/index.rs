//! The routes of one virtual host, found by what their paths begin with. What it finds is what a scan in the user's order
//! would find first (a property test holds it to that).

use super::condition::mismatch;
use super::group::{Group, Member};
use super::request::RequestView;
use super::trie::{Entry, Trie};
use crate::config::{PathMatch, Route, RouteMatch};
use std::collections::BTreeMap;

/// Up to so many routes are simply asked in turn: that is as fast, and takes no memory.
const FEW: usize = 4;

#[derive(Debug)]
pub(super) enum HostIndex {
    Few,
    Many(Box<Many>),
}

#[derive(Debug)]
pub(super) struct Many {
    requests: Paths,
    /// Routes of CONNECT requests, which have no path.
    tunnels: Group,
}

#[derive(Debug)]
struct Paths {
    /// Its values are places among the groups.
    trie: Trie,
    groups: Box<[Group]>,
    /// Routes that say nothing of how the path begins.
    anywhere: Group,
}

impl HostIndex {
    pub(super) fn compile(routes: &[Route]) -> HostIndex {
        if routes.len() <= FEW {
            return HostIndex::Few;
        }
        let numbered = routes.iter().zip(0u32..).map(|(route, number)| (number, &route.matcher));
        let (tunnels, requests): (Vec<_>, Vec<_>) = numbered.partition(|(_, matcher)| matcher.connect);
        HostIndex::Many(Box::new(Many {
            requests: Paths::compile(&requests),
            tunnels: Group::build(&tunnels),
        }))
    }

    /// The number of the first route that takes the request.
    pub(super) fn find(&self, routes: &[Route], view: &RequestView<'_>) -> Option<usize> {
        let HostIndex::Many(many) = self else {
            return routes.iter().position(|route| mismatch(&route.matcher, view).is_none());
        };
        let takes = |number: u32| {
            routes.get(number as usize).is_some_and(|route| mismatch(&route.matcher, view).is_none())
        };
        let mut best = u32::MAX;
        if view.is_connect {
            many.tunnels.search(view, &takes, &mut best);
        } else {
            many.requests.search(view, &takes, &mut best);
        }
        (best != u32::MAX).then_some(best as usize)
    }
}

/// Members of the groups of one key: those that want a path to begin with it, and those that want it to be it.
#[derive(Default)]
struct Keyed<'r> {
    prefix: Vec<Member<'r>>,
    exact: Vec<Member<'r>>,
}

impl Paths {
    fn compile(members: &[Member<'_>]) -> Paths {
        let mut keyed: BTreeMap<&[u8], Keyed<'_>> = BTreeMap::new();
        let mut anywhere = vec![];
        for member in members {
            match beginning(member.1) {
                (b"", _) => anywhere.push(*member),
                (key, true) => keyed.entry(key).or_default().exact.push(*member),
                (key, false) => keyed.entry(key).or_default().prefix.push(*member),
            }
        }
        let mut groups = vec![];
        let mut place = |members: &[Member<'_>]| {
            (!members.is_empty()).then(|| {
                groups.push(Group::build(members));
                groups.len() as u32 - 1
            })
        };
        let entries = keyed.iter().map(|(key, keyed)| Entry {
            key: (*key).into(),
            prefix: place(&keyed.prefix),
            exact: place(&keyed.exact),
        });
        let trie = Trie::build(entries.collect());
        Paths { trie, groups: groups.into(), anywhere: Group::build(&anywhere) }
    }

    fn search(&self, view: &RequestView<'_>, takes: &impl Fn(u32) -> bool, best: &mut u32) {
        self.anywhere.search(view, takes, best);
        let group = |at: u32| &self.groups[at as usize];
        let exact = self.trie.walk(view.bare_path(), |at, _| group(at).search(view, takes, best));
        if let Some(at) = exact {
            group(at).search(view, takes, best);
        }
    }
}

/// What a path must begin with (or, if `true`, be) for the route to take it.
fn beginning(matcher: &RouteMatch) -> (&[u8], bool) {
    match &matcher.path {
        PathMatch::Any => (b"", false),
        PathMatch::Exact(path) => (path.as_bytes(), true),
        // It takes `*`, too.
        PathMatch::Prefix(prefix) if prefix == "/" => (b"", false),
        PathMatch::Prefix(prefix) => (prefix.as_bytes(), false),
        PathMatch::Regex(pattern) => (pattern.literal(), false),
        PathMatch::Template(template) => (template.literal().as_bytes(), false),
    }
}
