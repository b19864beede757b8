//! Header rules in the words of the configuration file.

use crate::json::Json;
use sidering_dataplane::config::{HeaderOperations, HeaderRules, HeaderValue};

/// What a level changes; nothing if it changes nothing.
pub(super) fn rules(json: &mut Json, rules: Option<&HeaderRules>) {
    let Some(rules) = rules else { return };
    for (key, operations) in [("request_headers", &rules.request), ("response_headers", &rules.response)] {
        if !operations.is_empty() {
            json.key(key).object(|json| write(json, operations));
        }
    }
}

fn write(json: &mut Json, operations: &HeaderOperations) {
    if !operations.remove.is_empty() {
        json.key("remove").list(&operations.remove, |json, name| json.text(name));
    }
    for (key, values) in [("set", &operations.set), ("add", &operations.add)] {
        if !values.is_empty() {
            json.key(key).object(|json| write_values(json, values));
        }
    }
}

fn write_values(json: &mut Json, values: &[HeaderValue]) {
    for header in values {
        json.key(&header.name).text(&header.value.source);
    }
}
