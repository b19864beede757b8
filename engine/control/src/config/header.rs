//! Reads what is changed of header fields. Fields that frame a message, that end at this hop or that say whom a message is
//! for are refused: a wrong one would let two servers read the same bytes differently.

use super::header_value;
use super::problem::{Place, Problems};
use super::section::{Section, list, text};
use super::tree::{Tree, Value};
use super::units::is_token;
use sidering_codecs::registry;
use sidering_dataplane::config::{HeaderOperations, HeaderRules, HeaderValue};
use std::collections::HashMap;

/// Of each kind on each level.
const MOST_FIELDS: usize = 64;
const NAME_BYTES: usize = 256;
/// RFC 9110 section 7.6.1, and what goes with the framing of a message (RFC 9112 section 6).
const OF_THE_HOP: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "host",
];

/// Where they are changed.
const KEYS: &[&str] = &["request_headers", "response_headers"];

/// Reads `request_headers` and `response_headers` of a section of a listener that speaks `protocol`; `None` if they change nothing.
pub(super) fn rules(section: &mut Section<'_>, protocol: &str) -> Option<Box<HeaderRules>> {
    let problems = section.problems;
    if registry::protocol(protocol).is_some_and(|protocol| !protocol.can_change_fields) {
        let owner =
            "http, bolt and thrift (with THeader): frames of other protocols are passed on as they came";
        section.misplaced(KEYS, owner);
        return None;
    }
    let mut read = |key, is_answer| {
        section.find(key).map_or_else(HeaderOperations::default, |tree| operations(tree, is_answer, problems))
    };
    let rules =
        HeaderRules { request: read("request_headers", false), response: read("response_headers", true) };
    let is_empty = rules.request.is_empty() && rules.response.is_empty();
    (!is_empty).then(|| Box::new(rules))
}

fn operations(tree: &Tree, is_answer: bool, problems: &Problems) -> HeaderOperations {
    let mut section = Section::open("header operations", tree, problems);
    let mut given = |key| section.find(key).map_or(vec![], |tree| values(tree, is_answer, problems));
    let (set, add) = (given("set"), given("add"));
    let remove = section.find("remove").map_or(vec![], |tree| removed(tree, problems));
    section.finish();
    HeaderOperations { remove, set, add }
}

/// A mapping of names to values; empty ones are allowed.
fn values(tree: &Tree, is_answer: bool, problems: &Problems) -> Vec<HeaderValue> {
    let Value::Mapping(entries) = &tree.value else {
        let message = format!("{} where header fields belong", tree.describe());
        problems.error(tree.place, message, "a mapping of `name: value`");
        return vec![];
    };
    check_count(tree, entries.len(), problems);
    let mut taken = HashMap::new();
    let mut values = vec![];
    for entry in entries {
        let is_right = check_name(&entry.key, entry.place, problems);
        if let Some(line) = taken.insert(entry.key.to_ascii_lowercase(), entry.place.line) {
            let expected = format!("each name once, in whatever case; it is on line {line} already");
            problems.error(entry.place, format!("the field `{}` is there twice", entry.key), expected);
        }
        let value = header_value::read(&entry.value, is_answer, problems);
        if let (true, Some(value)) = (is_right, value) {
            values.push(HeaderValue { name: entry.key.clone().into_owned(), value });
        }
    }
    values
}

fn removed(tree: &Tree, problems: &Problems) -> Vec<String> {
    if matches!(&tree.value, Value::Sequence(items) if items.is_empty()) {
        return vec![];
    }
    let items = list(tree, "names of header fields", problems);
    check_count(tree, items.len(), problems);
    let names = items.iter().filter_map(|item| {
        let name = text(item, "the name of a header field", problems)?;
        check_name(name, item.place, problems).then(|| name.to_ascii_lowercase())
    });
    names.collect()
}

fn check_count(tree: &Tree, count: usize, problems: &Problems) {
    if count > MOST_FIELDS {
        problems.error(tree.place, format!("{count} header fields"), format!("at most {MOST_FIELDS}"));
    }
}

fn check_name(name: &str, place: Place, problems: &Problems) -> bool {
    let expected = if name.starts_with(':') || name.eq_ignore_ascii_case("host") {
        "another field: `rewrite` changes paths and hosts"
    } else if OF_THE_HOP.iter().any(|known| name.eq_ignore_ascii_case(known)) {
        "another field: this one frames messages or belongs to a connection"
    } else if !is_token(name) {
        "letters, digits, - . _ and the like"
    } else if name.len() > NAME_BYTES {
        "at most 256 bytes"
    } else {
        return true;
    };
    problems.error(place, format!("the field `{}` cannot be changed", name.escape_debug()), expected);
    false
}
