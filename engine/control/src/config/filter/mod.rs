//! Reads a listener's chain of filters, and what virtual hosts and routes say of its members. A file for each filter.

mod compression;
mod concurrency;
mod cors;
mod fault;
mod local_rate_limit;
mod rbac;

use super::problem::Problems;
use super::protocol::is_rpc;
use super::section::{Section, choice, list, scalar};
use super::suggest::nearest;
use super::tree::{Entry, Tree, Value};
use sidering_dataplane::config::{ChainedFilter, FilterOverride};
use sidering_dataplane::filter::FilterConfig;

/// Reads what a filter's section has beyond the common keys. `workers` share what is counted over all cores.
type Read = fn(&mut Section<'_>, workers: u32) -> FilterConfig;

const FILTERS: &[(&str, Read)] = &[
    ("fault", fault::read),
    ("rbac", rbac::read),
    ("cors", cors::read),
    ("local_rate_limit", local_rate_limit::read),
    ("concurrency_limit", concurrency::read_fixed),
    ("adaptive_concurrency", concurrency::read_adaptive),
    ("compressor", compression::read_compressor),
    ("decompressor", compression::read_decompressor),
];
/// They are about browsers, or about codings that only HTTP has names for.
const HTTP_FILTERS: &[&str] = &["cors", "compressor", "decompressor"];
const LATER_FILTERS: &[&str] = &["ext_proc", "lua", "wasm"];

/// The filters that a listener has, for what is said of them further down.
#[derive(Clone, Copy)]
pub(super) struct Chain<'c> {
    pub(super) filters: &'c [ChainedFilter],
    /// What the listener speaks.
    pub(super) protocol: &'static str,
    pub(super) workers: u32,
}

/// Reads the chain of a listener.
pub(super) fn chain(
    tree: &Tree,
    protocol: &'static str,
    workers: u32,
    problems: &Problems,
) -> Vec<ChainedFilter> {
    let mut chain: Vec<(ChainedFilter, u32)> = vec![];
    for item in list(tree, "{ name, ... }", problems) {
        let Some(filter) = member(item, workers, problems) else { continue };
        check_meaning(&filter.config, item, protocol, problems);
        let name = filter.config.name();
        match chain.iter().find(|(known, _)| known.config.name() == name) {
            Some((_, line)) => {
                let expected = format!("each filter once in a chain; it is on line {line} already");
                problems.error(item.place, format!("a second filter `{name}`"), expected);
            }
            None => chain.push((filter, item.place.line)),
        }
    }
    chain.into_iter().map(|(filter, _)| filter).collect()
}

fn member(tree: &Tree, workers: u32, problems: &Problems) -> Option<ChainedFilter> {
    let mut section = Section::open("a filter", tree, problems);
    let Some(name) = section.require("name", &names()) else {
        // Without a name, no key can be judged.
        if let Value::Mapping(_) = &tree.value {
            problems.error(tree.place, "a filter without `name`", format!("`name`: one of {}", names()));
        }
        return None;
    };
    let read = choice(name, FILTERS, LATER_FILTERS, problems)?;
    let disabled = section.boolean("disabled", false);
    let config = read(&mut section, workers);
    section.finish();
    Some(ChainedFilter { config, disabled })
}

fn names() -> String {
    FILTERS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Reads what a virtual host or a route says of its listener's filters: `{ name: { ... } }` or `{ name: disabled }`.
pub(super) fn overrides(section: &mut Section<'_>, chain: Chain<'_>) -> Vec<FilterOverride> {
    let problems = section.problems;
    let Some(tree) = section.find("filters") else { return vec![] };
    let Value::Mapping(entries) = &tree.value else {
        let expected = "a mapping such as { fault: { ... } } or { fault: disabled }";
        problems.error(tree.place, format!("{} where filters are configured", tree.describe()), expected);
        return vec![];
    };
    let mut overrides: Vec<_> = entries.iter().filter_map(|entry| special(entry, chain, problems)).collect();
    // Their order means nothing: the chain has one.
    overrides.sort_by_key(|special| special.filter);
    overrides
}

fn special(entry: &Entry, chain: Chain<'_>, problems: &Problems) -> Option<FilterOverride> {
    let key = &*entry.key;
    let own = || chain.filters.iter().map(|filter| filter.config.name());
    let Some((filter, read)) = FILTERS.iter().find(|(name, _)| *name == key && own().any(|own| own == key))
    else {
        let expected = match (nearest(key, own()), chain.filters.is_empty()) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, true) => {
                "it among the listener's `filters`, with `disabled: true` if only this has it".to_owned()
            }
            (None, false) => {
                format!("one of the listener's filters: {}", own().collect::<Vec<_>>().join(", "))
            }
        };
        problems.error(entry.place, format!("the listener has no filter `{}`", key.escape_debug()), expected);
        return None;
    };
    if scalar(&entry.value) == Some("disabled") {
        return Some(FilterOverride { filter, config: None });
    }
    if !matches!(entry.value.value, Value::Mapping(_)) {
        let message = format!("{} where a filter is configured", entry.value.describe());
        problems.error(entry.value.place, message, "a mapping, or `disabled`");
        return None;
    }
    let mut section = Section::open("a filter", &entry.value, problems);
    let config = read(&mut section, chain.workers);
    section.finish();
    check_meaning(&config, &entry.value, chain.protocol, problems);
    Some(FilterOverride { filter, config: Some(config) })
}

/// Refuses what means nothing on calls.
fn check_meaning(config: &FilterConfig, tree: &Tree, protocol: &str, problems: &Problems) {
    if !is_rpc(protocol) {
        return;
    }
    let name = config.name();
    if HTTP_FILTERS.contains(&name) {
        let message = format!("the filter `{name}` has no meaning in {protocol}");
        problems.error(tree.place, message, "it belongs to listeners with `protocol: http`");
    } else if let FilterConfig::LocalRateLimit(limit) = config
        && limit.tells_limits
    {
        let message =
            format!("`enable_x_ratelimit_headers`, which {protocol} has no place for in its replies");
        problems.error(tree.place, message, "it on listeners with `protocol: http`; leave it out here");
    } else if config.looks_at_paths() {
        let message = format!("a condition on paths, which {protocol} has not");
        problems.error(tree.place, message, "conditions on headers, :authority (the service) or :method");
    }
}

#[cfg(test)]
mod tests;
