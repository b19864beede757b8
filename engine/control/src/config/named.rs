//! Parts of a file that have names and are read where a listener calls for them: what they mean depends on the listener.

use super::problem::{Place, Problems};
use super::section::{Section, list, name};
use super::suggest::nearest;
use super::tree::Tree;
use std::cell::Cell;

/// What they are called in messages, and the key they stand under.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) one: &'static str,
    pub(super) with_article: &'static str,
    pub(super) key: &'static str,
}

/// All of a kind, unread.
pub(super) struct Named<'t> {
    kind: Kind,
    items: Vec<Item<'t>>,
}

pub(super) struct Item<'t> {
    pub(super) name: String,
    pub(super) body: &'t Tree<'t>,
    place: Place,
    is_used: Cell<bool>,
}

impl<'t> Named<'t> {
    pub(super) fn read(kind: Kind, tree: Option<&'t Tree<'t>>, problems: &'t Problems) -> Self {
        let mut items: Vec<Item<'t>> = vec![];
        for body in tree.map_or(&[][..], |tree| list(tree, "{ name, ... }", problems)) {
            let mut section = Section::open(kind.with_article, body, problems);
            let Some(tree) = section.find("name") else {
                problems.error(body.place, format!("{} without `name`", kind.with_article), "a `name`");
                continue;
            };
            let Some(name) = name(tree, problems) else { continue };
            match items.iter().find(|known| known.name == name) {
                Some(known) => {
                    let expected = format!("another name; the first is on line {}", known.place.line);
                    problems.error(tree.place, format!("a second {} named `{name}`", kind.one), expected);
                }
                None => items.push(Item { name, body, place: tree.place, is_used: Cell::new(false) }),
            }
        }
        Named { kind, items }
    }

    /// The one that `tree` names.
    pub(super) fn find(&self, tree: &Tree, problems: &Problems) -> Option<&Item<'t>> {
        let given = name(tree, problems)?;
        let found = self.items.iter().find(|item| item.name == given);
        let Kind { one, key, .. } = self.kind;
        if let Some(item) = found {
            item.is_used.set(true);
        } else {
            let expected = match nearest(&given, self.items.iter().map(|item| item.name.as_str())) {
                Some(near) => format!("the name of a {one}; did you mean `{near}`?"),
                None => format!("the name of a {one} in `{key}`"),
            };
            problems.error(tree.place, format!("there is no {one} `{given}`"), expected);
        }
        found
    }

    /// Tells of those that no listener has named: nobody knows what is in them.
    pub(super) fn warn_of_unused(&self, problems: &Problems) {
        for item in self.items.iter().filter(|item| !item.is_used.get()) {
            let message = format!("no listener uses the {} `{}`", self.kind.one, item.name);
            problems.warning(item.place, message, "it in a listener's `route_chain`; it is not looked into");
        }
    }
}
