//! Limits of concurrency in the words of the configuration file.

use crate::config::{show_ms, show_share};
use crate::json::Json;
use sidering_dataplane::filter::adaptive_concurrency::{Config as Adaptive, MinRtt};
use sidering_dataplane::filter::concurrency_limit::Config as Fixed;

pub(super) fn concurrency_limit(json: &mut Json, config: &Fixed) {
    if config.max_concurrency > 0 {
        json.key("max_concurrency").number(config.max_concurrency);
    }
    json.key("status").number(u64::from(config.status));
}

/// Limits are of all cores, as configured, but for what rounding up to whole cores added.
pub(super) fn adaptive_concurrency(json: &mut Json, config: &Adaptive, workers: u32) {
    let whole = |limit: u32| u64::from(limit).saturating_mul(u64::from(workers)).min(u64::from(u32::MAX));
    json.key("enabled").boolean(config.enabled);
    json.key("concurrency_limit_exceeded_status").number(u64::from(config.status));
    json.key("gradient_controller_config").object(|json| {
        json.key("sample_aggregate_percentile").decimal(&show_share(config.percentile));
        json.key("concurrency_limit_params").object(|json| {
            json.key("max_concurrency_limit").number(whole(config.max_limit));
            json.key("concurrency_update_interval").text(&show_ms(config.update_interval_ms));
        });
        json.key("min_rtt_calc_params").object(|json| {
            match config.min_rtt {
                MinRtt::Fixed { micros } => json.key("fixed_value").text(&show_ms(micros / 1000)),
                MinRtt::Measured { interval_ms, requests, jitter } => {
                    json.key("interval").text(&show_ms(interval_ms));
                    json.key("request_count").number(u64::from(requests));
                    json.key("jitter").decimal(&show_share(jitter));
                }
            }
            json.key("min_concurrency").number(whole(config.min_concurrency));
            json.key("buffer").decimal(&show_share(config.buffer));
        });
    });
}
