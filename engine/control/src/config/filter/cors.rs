//! Reads CORS policies.

use super::super::matcher::string;
use super::super::problem::Problems;
use super::super::section::{Section, list, scalar, text};
use super::super::tree::Tree;
use sidering_dataplane::config::StringMatch;
use sidering_dataplane::filter::FilterConfig;
use sidering_dataplane::filter::cors::Config;

/// The longest value of a header that is told to browsers.
const VALUE_BYTES: usize = 4096;

pub(super) fn read(section: &mut Section<'_>, _workers: u32) -> FilterConfig {
    let problems = section.problems;
    let origins = section.find("allow_origin").map_or(&[][..], |tree| list(tree, "origins", problems));
    let config = Config {
        allow_origin: origins.iter().map(|tree| origin(tree, problems)).collect(),
        allow_methods: value(section, "allow_methods"),
        allow_headers: value(section, "allow_headers"),
        expose_headers: value(section, "expose_headers"),
        max_age: max_age(section),
        allow_credentials: maybe(section, "allow_credentials"),
        allow_private_network_access: maybe(section, "allow_private_network_access"),
        forward_not_matching_preflights: maybe(section, "forward_not_matching_preflights"),
    };
    section.later(&["filter_enabled", "shadow_enabled"]);
    FilterConfig::Cors(Box::new(config))
}

/// A text is an origin as it stands.
fn origin(tree: &Tree, problems: &Problems) -> StringMatch {
    match scalar(tree) {
        Some(exact) => StringMatch::exact(exact),
        None => string(tree, problems),
    }
}

fn value(section: &mut Section<'_>, key: &'static str) -> String {
    let problems = section.problems;
    let Some(tree) = section.find(key) else { return String::new() };
    let Some(given) = text(tree, "a list of names, with commas between them", problems) else {
        return String::new();
    };
    let is_fine = |byte: u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
    if given.len() > VALUE_BYTES || !given.bytes().all(is_fine) || given.trim() != given {
        let message = format!("{} is no value of a header", tree.describe());
        problems.error(tree.place, message, format!("printable ASCII, at most {VALUE_BYTES} bytes"));
        return String::new();
    }
    given.to_owned()
}

/// Browsers count in seconds.
fn max_age(section: &mut Section<'_>) -> String {
    let Some(tree) = section.find("max_age") else { return String::new() };
    let ms = section.duration_ms("max_age", 0, 0);
    if !ms.is_multiple_of(1000) {
        section.problems.error(tree.place, format!("{} is no whole second", tree.describe()), "seconds");
    }
    (ms / 1000).to_string()
}

fn maybe(section: &mut Section<'_>, key: &'static str) -> Option<bool> {
    section.find(key).map(|_| section.boolean(key, false))
}
