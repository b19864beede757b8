//! Reads local rate limiting.

use super::super::matcher::{header, header_name, share};
use super::super::problem::Problems;
use super::super::section::{Section, list, text};
use super::super::tree::Tree;
use sidering_dataplane::config::Share;
use sidering_dataplane::filter::FilterConfig;
use sidering_dataplane::filter::local_rate_limit::{Action, Config, Descriptor, Limit, MOST_RULES};

/// Envoy's bound: fills are not to be a load of their own.
const LEAST_FILL_MS: u64 = 50;
const MOST_TOKENS: u64 = u32::MAX as u64;
/// Entries of one descriptor.
const MOST_ENTRIES: usize = 8;
/// Values with a bucket of their own, for one descriptor on one core.
const MOST_KEYS: u64 = 65_536;

pub(super) fn read(section: &mut Section<'_>, workers: u32) -> FilterConfig {
    let problems = section.problems;
    let default = Config::default();
    let token_bucket = section.find("token_bucket").map(|tree| bucket(tree, problems));
    let mut fraction = |key| section.find(key).map_or(Share::ALL, |tree| share(tree, problems));
    let (enabled, enforced) = (fraction("filter_enabled"), fraction("filter_enforced"));
    let status = section.integer("status", 400..=599, u64::from(default.status)) as u16;
    let always_consume_default =
        section.boolean("always_consume_default_token_bucket", default.always_consume_default);
    let headers = [("off", false), ("draft_version_03", true)];
    let tells_limits = section.choice("enable_x_ratelimit_headers", &headers, &[]).unwrap_or(false);
    let most_keys =
        section.integer("max_dynamic_descriptors", 1..=MOST_KEYS, u64::from(default.most_keys)) as u32;
    let rules = rules(section);
    let descriptors = descriptors(section, &rules);
    section.later(&[
        "local_rate_limit_per_downstream_connection",
        "request_headers_to_add_when_not_enforced",
        "response_headers_to_add",
        "local_cluster_rate_limit",
        "rate_limited_as_resource_exhausted",
        "stage",
        "vh_rate_limits",
    ]);
    let cores = workers.max(1);
    FilterConfig::LocalRateLimit(Box::new(Config {
        token_bucket,
        enabled,
        enforced,
        status,
        always_consume_default,
        tells_limits,
        rules,
        descriptors,
        most_keys,
        cores,
    }))
}

fn bucket(tree: &Tree, problems: &Problems) -> Limit {
    let mut section = Section::open("a token bucket", tree, problems);
    section.require("max_tokens", "how many requests may come at once");
    section.require("fill_interval", "how often tokens are added, such as 1s");
    let limit = Limit {
        max_tokens: section.integer("max_tokens", 1..=MOST_TOKENS, 1),
        tokens_per_fill: section.integer("tokens_per_fill", 1..=MOST_TOKENS, 1),
        fill_interval_ms: section.duration_ms("fill_interval", LEAST_FILL_MS, 1000),
    };
    section.finish();
    limit
}

fn rules(section: &mut Section<'_>) -> Vec<Vec<Action>> {
    let problems = section.problems;
    let Some(tree) = section.find("rate_limits") else { return vec![] };
    let items = list(tree, "{ actions: [...] }", problems);
    if items.len() > MOST_RULES {
        problems.error(tree.place, format!("{} rate limits", items.len()), format!("at most {MOST_RULES}"));
    }
    let rule = |tree| {
        let mut section = Section::open("a rate limit", tree, problems);
        let actions = section.require("actions", "what its descriptor is made of");
        let actions = actions.map_or(&[][..], |tree| entries(tree, "actions", problems));
        section.later(&["stage", "disable_key", "limit"]);
        section.finish();
        actions.iter().filter_map(|tree| action(tree, problems)).collect()
    };
    items.iter().take(MOST_RULES).map(rule).collect()
}

fn entries<'t>(tree: &'t Tree<'t>, of: &str, problems: &Problems) -> &'t [Tree<'t>] {
    let items = list(tree, of, problems);
    if items.len() > MOST_ENTRIES {
        problems.error(tree.place, format!("{} {of}", items.len()), format!("at most {MOST_ENTRIES}"));
    }
    items
}

/// Reads an action: a mapping with one key.
fn action(tree: &Tree, problems: &Problems) -> Option<Action> {
    const KINDS: &str = "one of `remote_address`, `request_headers`, `generic_key`, `header_value_match`";
    let mut section = Section::open("an action", tree, problems);
    let mut found = vec![];
    if let Some(tree) = section.find("remote_address") {
        Section::open("an action", tree, problems).finish();
        found.push(Action::RemoteAddress);
    }
    found.extend(section.find("request_headers").map(|tree| request_headers(tree, problems)));
    found.extend(section.find("generic_key").map(|tree| generic_key(tree, problems)));
    found.extend(section.find("header_value_match").map(|tree| header_value_match(tree, problems)));
    const LATER: &[&str] = &[
        "source_cluster",
        "destination_cluster",
        "metadata",
        "dynamic_metadata",
        "extension",
        "masked_remote_address",
        "query_parameters",
        "query_parameter_value_match",
    ];
    section.later(LATER);
    let has_later = LATER.iter().any(|key| section.place_of(key).is_some());
    section.finish();
    match (found.len(), has_later) {
        (0, false) => problems.error(tree.place, "an action that says nothing", KINDS),
        (2.., _) => problems.error(tree.place, "an action of two kinds", KINDS),
        _ => {}
    }
    found.pop()
}

fn request_headers(tree: &Tree, problems: &Problems) -> Action {
    let mut section = Section::open("an action", tree, problems);
    let name = section.require("header_name", "the name of a header, or :method, :path, :authority");
    let name = name.and_then(|tree| header_name(tree, problems)).unwrap_or_default();
    let key = word(&mut section, "descriptor_key", None);
    section.later(&["skip_if_absent"]);
    section.finish();
    Action::RequestHeader { name, key }
}

fn generic_key(tree: &Tree, problems: &Problems) -> Action {
    let mut section = Section::open("an action", tree, problems);
    let value = word(&mut section, "descriptor_value", None);
    let key = word(&mut section, "descriptor_key", Some("generic_key"));
    section.finish();
    Action::Generic { key, value }
}

fn header_value_match(tree: &Tree, problems: &Problems) -> Action {
    let mut section = Section::open("an action", tree, problems);
    let value = word(&mut section, "descriptor_value", None);
    let key = word(&mut section, "descriptor_key", Some("header_match"));
    let expect = section.boolean("expect_match", true);
    let headers = section.require("headers", "conditions on headers");
    let headers = headers.map_or(&[][..], |tree| list(tree, "conditions on headers", problems));
    let headers = headers.iter().map(|tree| header(tree, problems)).collect();
    section.finish();
    Action::HeaderMatch { key, value, expect, headers }
}

/// A key or value, which is not empty.
fn word(section: &mut Section<'_>, key: &'static str, default: Option<&str>) -> String {
    let problems = section.problems;
    let tree = if default.is_some() { section.find(key) } else { section.require(key, "a text") };
    let Some(tree) = tree else { return default.unwrap_or_default().to_owned() };
    let given = text(tree, "a text", problems).unwrap_or("?");
    if given.is_empty() {
        problems.error(tree.place, "an empty text", "one that is not empty");
    }
    given.to_owned()
}

fn descriptors(section: &mut Section<'_>, rules: &[Vec<Action>]) -> Vec<Descriptor> {
    let problems = section.problems;
    let Some(tree) = section.find("descriptors") else { return vec![] };
    let items = list(tree, "{ entries, token_bucket }", problems);
    items.iter().map(|tree| descriptor(tree, rules, problems)).collect()
}

fn descriptor(tree: &Tree, rules: &[Vec<Action>], problems: &Problems) -> Descriptor {
    let mut section = Section::open("a descriptor", tree, problems);
    let of = section.require("entries", "the keys, and values, of a descriptor");
    let of = of.map_or(&[][..], |tree| entries(tree, "entries", problems));
    let token_bucket = section.require("token_bucket", "the limit of requests that it takes");
    let default = Limit { max_tokens: 1, tokens_per_fill: 1, fill_interval_ms: 1000 };
    let token_bucket = token_bucket.map_or(default, |tree| bucket(tree, problems));
    section.later(&["limit"]);
    section.finish();
    let entry = |tree: &Tree| {
        let mut section = Section::open("an entry", tree, problems);
        let key = word(&mut section, "key", None);
        let value = section.find("value").and_then(|tree| text(tree, "a text", problems));
        section.finish();
        // As in Envoy, an empty value is any.
        (key, value.filter(|value| !value.is_empty()).map(str::to_owned))
    };
    let entries: Vec<_> = of.iter().map(entry).collect();
    let is_made =
        |rule: &Vec<Action>| rule.iter().map(Action::key).eq(entries.iter().map(|(key, _)| key.as_str()));
    if !entries.is_empty() && !rules.iter().any(is_made) {
        let keys = entries.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(", ");
        problems.error(
            tree.place,
            format!("no request has a descriptor of {keys}"),
            "keys that the actions of one of the `rate_limits` make, in their order",
        );
    }
    Descriptor { entries, token_bucket }
}
