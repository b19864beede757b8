//! Local rate limiting in the words of the configuration file.

use super::dump_matcher::header;
use crate::config::{show_ms, show_share};
use crate::json::Json;
use sidering_dataplane::filter::local_rate_limit::{Action, Config, Descriptor, Limit};

pub(super) fn local_rate_limit(json: &mut Json, config: &Config) {
    if let Some(limit) = &config.token_bucket {
        json.key("token_bucket").object(|json| bucket(json, limit));
    }
    json.key("filter_enabled").decimal(&show_share(config.enabled));
    json.key("filter_enforced").decimal(&show_share(config.enforced));
    json.key("status").number(u64::from(config.status));
    json.key("always_consume_default_token_bucket").boolean(config.always_consume_default);
    json.key("enable_x_ratelimit_headers").text(if config.tells_limits { "draft_version_03" } else { "off" });
    json.key("max_dynamic_descriptors").number(u64::from(config.most_keys));
    if !config.rules.is_empty() {
        json.key("rate_limits").list(&config.rules, |json, actions| {
            json.object(|json| {
                json.key("actions").list(actions, |json, one| json.object(|json| action(json, one)));
            });
        });
    }
    if !config.descriptors.is_empty() {
        json.key("descriptors")
            .list(&config.descriptors, |json, known| json.object(|json| descriptor(json, known)));
    }
}

fn bucket(json: &mut Json, limit: &Limit) {
    json.key("max_tokens").number(limit.max_tokens);
    json.key("tokens_per_fill").number(limit.tokens_per_fill);
    json.key("fill_interval").text(&show_ms(limit.fill_interval_ms));
}

fn action(json: &mut Json, action: &Action) {
    match action {
        Action::RemoteAddress => json.key("remote_address").object(|_| {}),
        Action::RequestHeader { name, key } => json.key("request_headers").object(|json| {
            json.key("header_name").text(name);
            json.key("descriptor_key").text(key);
        }),
        Action::Generic { key, value } => json.key("generic_key").object(|json| {
            json.key("descriptor_key").text(key);
            json.key("descriptor_value").text(value);
        }),
        Action::HeaderMatch { key, value, expect, headers } => {
            json.key("header_value_match").object(|json| {
                json.key("descriptor_key").text(key);
                json.key("descriptor_value").text(value);
                json.key("expect_match").boolean(*expect);
                json.key("headers").list(headers, |json, test| json.object(|json| header(json, test)));
            });
        }
    }
}

fn descriptor(json: &mut Json, descriptor: &Descriptor) {
    json.key("entries").list(&descriptor.entries, |json, (key, value)| {
        json.object(|json| {
            json.key("key").text(key);
            if let Some(value) = value {
                json.key("value").text(value);
            }
        });
    });
    json.key("token_bucket").object(|json| bucket(json, &descriptor.token_bucket));
}
