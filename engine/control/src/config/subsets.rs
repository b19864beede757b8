//! Reads metadata of endpoints, and the subsets of a cluster that they make.

use super::problem::Problems;
use super::section::{Section, choice, list, name, text};
use super::tree::{Tree, Value};
use sidering_dataplane::config::{self, Metadata, SubsetFallback, SubsetPolicy, SubsetSelector};

/// Keys of an endpoint's metadata, and keys of a selector.
const MOST_KEYS: usize = 16;
const MOST_SELECTORS: usize = 16;
const EXAMPLE: &str = "a mapping such as { version: v2 }";

/// What a fallback policy is named; that by fewer keys says which.
#[derive(Clone, Copy, PartialEq)]
enum Policy {
    NoFallback,
    AnyEndpoint,
    DefaultSubset,
    KeysSubset,
}

const POLICIES: &[(&str, Policy)] = &[
    ("no_fallback", Policy::NoFallback),
    ("any_endpoint", Policy::AnyEndpoint),
    ("default_subset", Policy::DefaultSubset),
];
const SELECTOR_POLICIES: &[(&str, Policy)] =
    &[POLICIES[0], POLICIES[1], POLICIES[2], ("keys_subset", Policy::KeysSubset)];

/// Names with their values.
pub(super) fn metadata(tree: &Tree, problems: &Problems) -> Metadata {
    let Value::Mapping(entries) = &tree.value else {
        problems.error(tree.place, format!("{} where metadata belong", tree.describe()), EXAMPLE);
        return Metadata::default();
    };
    if !(1..=MOST_KEYS).contains(&entries.len()) {
        problems.error(tree.place, format!("{} metadata", entries.len()), format!("1 to {MOST_KEYS}"));
    }
    let value = |entry: &super::tree::Entry| {
        Some((entry.key.clone().into_owned(), text(&entry.value, "a value", problems)?.to_owned()))
    };
    config::metadata(entries.iter().filter_map(value).collect())
}

/// The key `subsets` of a cluster.
pub(super) fn read(tree: &Tree, problems: &Problems) -> SubsetPolicy {
    let mut section = Section::open("subsets", tree, problems);
    let trees = section.require("selectors", "a list of `{ keys: [..] }`");
    let trees = trees.map_or(&[][..], |tree| list(tree, "selectors", problems));
    if trees.len() > MOST_SELECTORS {
        problems.error(
            trees[MOST_SELECTORS].place,
            "too many selectors",
            format!("at most {MOST_SELECTORS}"),
        );
    }
    let selectors: Vec<SubsetSelector> = trees.iter().map(|tree| selector(tree, problems)).collect();
    for (at, selector) in selectors.iter().enumerate() {
        if selectors[..at].iter().any(|before| before.keys == selector.keys) {
            problems.error(trees[at].place, "a second selector of the same keys", "each of them once");
        }
    }
    let fallback = match section.choice("fallback_policy", POLICIES, &[]) {
        Some(Policy::AnyEndpoint) => SubsetFallback::AnyEndpoint,
        Some(Policy::DefaultSubset) => SubsetFallback::DefaultSubset,
        _ => SubsetFallback::NoFallback,
    };
    let default_subset = section.find("default_subset").map(|tree| metadata(tree, problems));
    let needs_default =
        std::iter::once(&fallback).chain(selectors.iter().filter_map(|one| one.fallback.as_ref()));
    if default_subset.is_none() && needs_default.into_iter().any(|one| *one == SubsetFallback::DefaultSubset)
    {
        section.lacks(&["default_subset"], "`default_subset` is missing", EXAMPLE);
    }
    section.finish();
    SubsetPolicy { selectors, fallback, default_subset: default_subset.unwrap_or_default() }
}

fn selector(tree: &Tree, problems: &Problems) -> SubsetSelector {
    let mut section = Section::open("a selector", tree, problems);
    let keys = section.require("keys", "a list of names of metadata");
    let keys = keys.map_or(vec![], |tree| names(tree, problems));
    let policy = section.find("fallback_policy");
    let policy = policy.and_then(|tree| choice(tree, SELECTOR_POLICIES, &[], problems));
    let fewer = section.find("fallback_keys_subset");
    if let (Some(tree), true) = (fewer, policy != Some(Policy::KeysSubset)) {
        let expected = "`fallback_policy: keys_subset` beside it";
        problems.error(tree.place, "`fallback_keys_subset` without its policy", expected);
    }
    let fallback = policy.map(|policy| match policy {
        Policy::NoFallback => SubsetFallback::NoFallback,
        Policy::AnyEndpoint => SubsetFallback::AnyEndpoint,
        Policy::DefaultSubset => SubsetFallback::DefaultSubset,
        Policy::KeysSubset => SubsetFallback::KeysSubset(fewer_keys(fewer, &mut section, &keys)),
    });
    section.finish();
    SubsetSelector { keys, fallback }
}

/// Fewer than the selector has, so that falling back comes to an end.
fn fewer_keys(fewer: Option<&Tree>, section: &mut Section<'_>, keys: &[String]) -> Vec<String> {
    let problems = section.problems;
    let Some(tree) = fewer else {
        let message = "`fallback_keys_subset` is missing";
        section.lacks(&["fallback_keys_subset"], message, "some of the selector's `keys`");
        return vec![];
    };
    let fewer = names(tree, problems);
    // Without keys there is another mistake.
    if keys.is_empty() {
        return fewer;
    }
    if fewer.len() >= keys.len() || fewer.iter().any(|key| !keys.contains(key)) {
        problems.error(
            tree.place,
            "these are not fewer of the same keys",
            "some of the selector's `keys`, not all",
        );
    }
    fewer
}

/// In order, none twice.
fn names(tree: &Tree, problems: &Problems) -> Vec<String> {
    let trees = list(tree, "names", problems);
    if trees.len() > MOST_KEYS {
        problems.error(tree.place, format!("{} keys", trees.len()), format!("1 to {MOST_KEYS}"));
    }
    let mut names: Vec<String> = trees.iter().filter_map(|tree| name(tree, problems)).collect();
    names.sort();
    names.dedup();
    names
}
