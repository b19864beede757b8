//! Conditions on texts, headers and addresses, in the words of the configuration file.

use crate::json::Json;
use sidering_dataplane::config::{Cidr, HeaderMatch, HeaderTest, StringMatch, StringPattern};

pub(super) fn header(json: &mut Json, test: &HeaderMatch) {
    json.key("name").text(&test.name);
    match &test.test {
        HeaderTest::Present(present) => json.key("present").boolean(*present),
        HeaderTest::Text(text) => string(json, text),
        HeaderTest::Range { start, end } => json.key("range").object(|json| {
            json.key("start").decimal(&start.to_string());
            json.key("end").decimal(&end.to_string());
        }),
    }
    if test.invert {
        json.key("invert").boolean(true);
    }
}

pub(super) fn string(json: &mut Json, test: &StringMatch) {
    let (key, text) = match &test.pattern {
        StringPattern::Exact(text) => ("exact", text.as_str()),
        StringPattern::Prefix(text) => ("prefix", text.as_str()),
        StringPattern::Suffix(text) => ("suffix", text.as_str()),
        StringPattern::Contains(text) => ("contains", text.as_str()),
        StringPattern::Regex(pattern) => ("regex", pattern.source()),
    };
    json.key(key).text(text);
    if test.ignore_case {
        json.key("ignore_case").boolean(true);
    }
}

pub(super) fn cidr(block: Cidr) -> String {
    format!("{}/{}", block.address, block.prefix_bits)
}
