//! Reads access control.

use super::super::matcher::{cidr, header, string};
use super::super::problem::Problems;
use super::super::section::{Section, list, text};
use super::super::tree::{Tree, Value};
use super::super::units::is_token;
use sidering_dataplane::filter::FilterConfig;
use sidering_dataplane::filter::rbac::{Action, Condition, Config, Policy, Rules};

/// How deep conditions may lie in conditions.
const DEEPEST: usize = 16;

/// The keys of one side of a policy.
#[derive(Clone, Copy)]
struct Words {
    what: &'static str,
    all: &'static str,
    any_of: &'static str,
    not: &'static str,
    /// Keys of this side alone.
    own: &'static [&'static str],
    later: &'static [&'static str],
}

const PERMISSIONS: Words = Words {
    what: "a permission",
    all: "and_rules",
    any_of: "or_rules",
    not: "not_rule",
    own: &["methods"],
    later: &[
        "destination_ip",
        "destination_port",
        "destination_port_range",
        "requested_server_name",
        "metadata",
    ],
};
const PRINCIPALS: Words = Words {
    what: "a principal",
    all: "and_ids",
    any_of: "or_ids",
    not: "not_id",
    own: &["direct_remote_ip", "remote_ip"],
    // TLS identity, once there is TLS.
    later: &["authenticated", "metadata", "filter_state"],
};

pub(super) fn read(section: &mut Section<'_>, _workers: u32) -> FilterConfig {
    let problems = section.problems;
    let mut rules = |key| section.find(key).map(|tree| rules(tree, problems));
    let config = Config { rules: rules("rules"), shadow_rules: rules("shadow_rules") };
    section.later(&["matcher", "shadow_matcher"]);
    FilterConfig::Rbac(Box::new(config))
}

fn rules(tree: &Tree, problems: &Problems) -> Rules {
    let mut section = Section::open("rules", tree, problems);
    let actions = [("allow", Action::Allow), ("deny", Action::Deny), ("log", Action::Log)];
    section.require("action", "allow, deny or log");
    let action = section.choice("action", &actions, &[]).unwrap_or(Action::Allow);
    let policies = section.require("policies", "a mapping of names to { permissions, principals }");
    let mut policies = policies.map_or(vec![], |tree| policies_of(tree, problems));
    section.finish();
    // That is the order in which Envoy asks them.
    policies.sort_by(|one, other| one.name.cmp(&other.name));
    Rules { action, policies }
}

fn policies_of(tree: &Tree, problems: &Problems) -> Vec<Policy> {
    let Value::Mapping(entries) = &tree.value else {
        let expected = "a mapping of names to { permissions, principals }; {} for none";
        problems.error(tree.place, format!("{} where policies belong", tree.describe()), expected);
        return vec![];
    };
    let policy = |entry: &super::super::tree::Entry| {
        let mut section = Section::open("a policy", &entry.value, problems);
        let permissions = side(&mut section, "permissions", PERMISSIONS);
        let principals = side(&mut section, "principals", PRINCIPALS);
        section.finish();
        if entry.key.is_empty() || entry.key.len() > 255 {
            problems.error(entry.place, "a policy without a usable name", "1 to 255 bytes");
        }
        Policy { name: entry.key.clone().into_owned(), permissions, principals }
    };
    entries.iter().map(policy).collect()
}

fn side(section: &mut Section<'_>, key: &'static str, words: Words) -> Vec<Condition> {
    let problems = section.problems;
    let tree = section.require(key, "a list of conditions, one of which must hold; - any: true for all");
    tree.map_or(vec![], |tree| conditions(tree, words, DEEPEST, problems))
}

fn conditions(tree: &Tree, words: Words, depth: usize, problems: &Problems) -> Vec<Condition> {
    list(tree, "conditions", problems).iter().map(|tree| condition(tree, words, depth, problems)).collect()
}

/// Reads a condition: a mapping with one key.
fn condition(tree: &Tree, words: Words, depth: usize, problems: &Problems) -> Condition {
    let nothing = || Condition::Not(Box::new(Condition::Any));
    if depth == 0 {
        problems.error(tree.place, "conditions in conditions too deep", format!("at most {DEEPEST} levels"));
        return nothing();
    }
    let mut section = Section::open(words.what, tree, problems);
    let mut found = vec![];
    if section.find("any").is_some() {
        if !section.boolean("any", true) {
            problems.error(tree.place, "`any: false` holds for nothing", "`any: true`");
        }
        found.push(Condition::Any);
    }
    let inner = |tree| conditions(tree, words, depth - 1, problems);
    found.extend(section.find(words.all).map(|tree| Condition::All(inner(tree))));
    found.extend(section.find(words.any_of).map(|tree| Condition::AnyOf(inner(tree))));
    let not = section.find(words.not);
    found.extend(not.map(|tree| Condition::Not(Box::new(condition(tree, words, depth - 1, problems)))));
    found.extend(section.find("header").map(|tree| Condition::Header(header(tree, problems))));
    found.extend(section.find("url_path").map(|tree| Condition::UrlPath(string(tree, problems))));
    for key in words.own {
        found.extend(section.find(key).map(|tree| own(key, tree, problems)));
    }
    section.later(words.later);
    let has_later = words.later.iter().any(|key| section.place_of(key).is_some());
    let is_empty = matches!(&tree.value, Value::Mapping(entries) if entries.is_empty());
    section.finish();
    if found.len() + usize::from(has_later) > 1 {
        let expected = format!("one condition each; `{}` joins several", words.all);
        problems.error(tree.place, format!("{} of two conditions", words.what), expected);
    } else if is_empty {
        problems.error(
            tree.place,
            format!("{} that says nothing", words.what),
            "a condition such as any: true",
        );
    }
    found.pop().unwrap_or_else(nothing)
}

fn own(key: &str, tree: &Tree, problems: &Problems) -> Condition {
    match key {
        "direct_remote_ip" => Condition::DirectRemoteIp(cidr(tree, problems)),
        "remote_ip" => Condition::RemoteIp(cidr(tree, problems)),
        _ => {
            let methods = list(tree, "methods", problems).iter().filter_map(|tree| method(tree, problems));
            Condition::Methods(methods.collect())
        }
    }
}

fn method(tree: &Tree, problems: &Problems) -> Option<String> {
    let given = text(tree, "a method such as GET", problems)?;
    if is_token(given) {
        return Some(given.to_owned());
    }
    problems.error(tree.place, format!("{} is not a method", tree.describe()), "a name such as GET");
    None
}
