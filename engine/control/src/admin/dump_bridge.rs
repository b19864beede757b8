//! What routes bridge to, in the words of the configuration file.

use super::dump_action::optional;
use crate::config::show_bytes;
use crate::json::Json;
use sidering_codecs::bridge::Shape;
use sidering_dataplane::config::BridgeRule;

pub(super) fn write(json: &mut Json, rule: &BridgeRule) {
    let service = &rule.service;
    let named = |text: &'_ str| !text.is_empty();
    json.key("service").text(&service.service);
    optional(json, "version", Some(service.version.as_str()).filter(|version| named(version)));
    optional(json, "group", Some(service.group.as_str()).filter(|group| named(group)));
    optional(json, "method", rule.method.as_deref());
    if !service.methods.is_empty() {
        json.key("methods").list(&service.methods, |json, method| {
            json.object(|json| {
                json.key("name").text(&method.name);
                json.key("types").list(&method.types, |json, java_type| json.text(&java_type.to_string()));
                json.key("one_way").boolean(method.is_one_way);
            });
        });
    }
    json.key("types_from_client").boolean(service.takes_types);
    if !service.classes.is_empty() {
        let classes: Vec<(&str, &Shape)> = service.classes.iter().collect();
        json.key("classes").list(&classes, |json, (name, shape)| {
            json.object(|json| write_class(json, name, shape));
        });
    }
    json.key("max_request_bytes").text(&show_bytes(u64::from(rule.max_request_bytes)));
    json.key("max_response_bytes").text(&show_bytes(u64::from(rule.max_response_bytes)));
}

fn write_class(json: &mut Json, name: &str, shape: &Shape) {
    json.key("name").text(name);
    match shape {
        Shape::Unknown => {}
        Shape::Enum => json.key("enum").boolean(true),
        Shape::Fields(fields) => json.key("fields").object(|json| {
            for (name, java_type) in fields {
                json.key(name).text(&java_type.to_string());
            }
        }),
    }
}
