//! Filters in the words of the configuration file.

use super::dump_compression::{compressor, decompressor};
use super::dump_concurrency::{adaptive_concurrency, concurrency_limit};
use super::dump_matcher::{cidr, header, string};
use super::dump_rate_limit::local_rate_limit;
use crate::config::{show_ms, show_share};
use crate::json::Json;
use sidering_dataplane::config::{ChainedFilter, FilterOverride};
use sidering_dataplane::filter::{FilterConfig, cors, fault, rbac};

/// A listener's chain; nothing if it has none.
pub(super) fn chain(json: &mut Json, chain: &[ChainedFilter], workers: u32) {
    if chain.is_empty() {
        return;
    }
    json.key("filters").list(chain, |json, filter| {
        json.object(|json| {
            json.key("name").text(filter.config.name());
            json.key("disabled").boolean(filter.disabled);
            config(json, &filter.config, workers);
        });
    });
}

/// What a virtual host or a route says of it.
pub(super) fn overrides(json: &mut Json, overrides: &[FilterOverride], workers: u32) {
    if overrides.is_empty() {
        return;
    }
    json.key("filters").object(|json| {
        for special in overrides {
            json.key(special.filter);
            match &special.config {
                Some(special) => json.object(|json| config(json, special, workers)),
                None => json.text("disabled"),
            }
        }
    });
}

fn config(json: &mut Json, config: &FilterConfig, workers: u32) {
    match config {
        FilterConfig::Fault(config) => fault(json, config, workers),
        FilterConfig::Rbac(config) => {
            for (key, rules) in [("rules", &config.rules), ("shadow_rules", &config.shadow_rules)] {
                if let Some(rules) = rules {
                    json.key(key).object(|json| write_rules(json, rules));
                }
            }
        }
        FilterConfig::Cors(config) => cors(json, config),
        FilterConfig::LocalRateLimit(config) => local_rate_limit(json, config),
        FilterConfig::ConcurrencyLimit(config) => concurrency_limit(json, config),
        FilterConfig::Compressor(config) => compressor(json, config),
        FilterConfig::Decompressor(config) => decompressor(json, config),
        FilterConfig::AdaptiveConcurrency(config) => adaptive_concurrency(json, config, workers),
    }
}

fn fault(json: &mut Json, config: &fault::Config, workers: u32) {
    if let Some(delay) = config.delay {
        json.key("delay").object(|json| {
            let share = match delay {
                fault::Delay::Fixed { ms, share } => {
                    json.key("fixed_delay").text(&show_ms(ms));
                    share
                }
                fault::Delay::Header { share } => {
                    json.key("header_delay").object(|_| {});
                    share
                }
            };
            json.key("percentage").decimal(&show_share(share));
        });
    }
    if let Some(abort) = config.abort {
        json.key("abort").object(|json| {
            let share = match abort {
                fault::Abort::Fixed { status, share } => {
                    json.key("http_status").number(u64::from(status));
                    share
                }
                fault::Abort::Header { share } => {
                    json.key("header_abort").object(|_| {});
                    share
                }
            };
            json.key("percentage").decimal(&show_share(share));
        });
    }
    if !config.headers.is_empty() {
        json.key("headers").list(&config.headers, |json, test| json.object(|json| header(json, test)));
    }
    if config.max_active_faults != u64::MAX {
        // Of the whole process, as configured, but for what rounding up to whole cores added.
        let most = config.max_active_faults.saturating_mul(u64::from(workers));
        json.key("max_active_faults").number(most.min(u64::from(u32::MAX)));
    }
}

fn write_rules(json: &mut Json, rules: &rbac::Rules) {
    json.key("action").text(match rules.action {
        rbac::Action::Allow => "allow",
        rbac::Action::Deny => "deny",
        rbac::Action::Log => "log",
    });
    json.key("policies").object(|json| {
        for policy in &rules.policies {
            json.key(&policy.name).object(|json| {
                let permissions = ["and_rules", "or_rules", "not_rule"];
                json.key("permissions")
                    .list(&policy.permissions, |json, one| condition(json, one, permissions));
                let principals = ["and_ids", "or_ids", "not_id"];
                json.key("principals").list(&policy.principals, |json, one| condition(json, one, principals));
            });
        }
    });
}

/// A condition, with the words that its side of a policy has for and, or, not.
fn condition(json: &mut Json, item: &rbac::Condition, words: [&str; 3]) {
    use rbac::Condition;
    let [all, any_of, not] = words;
    json.object(|json| match item {
        Condition::Any => json.key("any").boolean(true),
        Condition::All(items) => json.key(all).list(items, |json, item| condition(json, item, words)),
        Condition::AnyOf(items) => json.key(any_of).list(items, |json, item| condition(json, item, words)),
        Condition::Not(item) => condition(json.key(not), item, words),
        Condition::Header(test) => json.key("header").object(|json| header(json, test)),
        Condition::UrlPath(test) => json.key("url_path").object(|json| string(json, test)),
        Condition::Methods(methods) => json.key("methods").list(methods, |json, method| json.text(method)),
        Condition::DirectRemoteIp(block) => json.key("direct_remote_ip").text(&cidr(*block)),
        Condition::RemoteIp(block) => json.key("remote_ip").text(&cidr(*block)),
    });
}

fn cors(json: &mut Json, config: &cors::Config) {
    if !config.allow_origin.is_empty() {
        json.key("allow_origin")
            .list(&config.allow_origin, |json, test| json.object(|json| string(json, test)));
    }
    for (key, value) in [
        ("allow_methods", &config.allow_methods),
        ("allow_headers", &config.allow_headers),
        ("expose_headers", &config.expose_headers),
    ] {
        if !value.is_empty() {
            json.key(key).text(value);
        }
    }
    if !config.max_age.is_empty() {
        json.key("max_age").text(&format!("{}s", config.max_age));
    }
    for (key, value) in [
        ("allow_credentials", config.allow_credentials),
        ("allow_private_network_access", config.allow_private_network_access),
        ("forward_not_matching_preflights", config.forward_not_matching_preflights),
    ] {
        if let Some(value) = value {
            json.key(key).boolean(value);
        }
    }
}
