//! Reads limits of concurrency, fixed and adaptive.

use super::super::matcher::share;
use super::super::problem::Problems;
use super::super::section::Section;
use super::super::tree::Tree;
use sidering_dataplane::config::Share;
use sidering_dataplane::filter::FilterConfig;
use sidering_dataplane::filter::adaptive_concurrency::{Config as Adaptive, MinRtt};
use sidering_dataplane::filter::concurrency_limit::Config as Fixed;

const MOST: u64 = u32::MAX as u64;

pub(super) fn read_fixed(section: &mut Section<'_>, workers: u32) -> FilterConfig {
    let default = Fixed::default();
    let max_concurrency = section.integer("max_concurrency", 1..=MOST, default.max_concurrency);
    let status = section.integer("status", 400..=599, u64::from(default.status)) as u16;
    FilterConfig::ConcurrencyLimit(Box::new(Fixed { max_concurrency, status, cores: workers.max(1) }))
}

pub(super) fn read_adaptive(section: &mut Section<'_>, workers: u32) -> FilterConfig {
    let problems = section.problems;
    let default = Adaptive::default();
    let enabled = section.boolean("enabled", default.enabled);
    let status =
        section.integer("concurrency_limit_exceeded_status", 400..=599, u64::from(default.status)) as u16;
    let config = Adaptive { enabled, status, ..default };
    let expected = "{ concurrency_limit_params, min_rtt_calc_params }";
    let config = match section.require("gradient_controller_config", expected) {
        Some(tree) => gradient(tree, config, u64::from(workers.max(1)), problems),
        None => config,
    };
    FilterConfig::AdaptiveConcurrency(Box::new(config))
}

/// Limits are of all cores in the file, and of one core in what comes out.
fn gradient(tree: &Tree, mut config: Adaptive, cores: u64, problems: &Problems) -> Adaptive {
    let part = |limit: u64| limit.div_ceil(cores) as u32;
    let mut section = Section::open("a gradient controller", tree, problems);
    config.percentile = percent(&mut section, "sample_aggregate_percentile", config.percentile);
    let limits = section.require("concurrency_limit_params", "{ concurrency_update_interval }");
    let measuring = section.require("min_rtt_calc_params", "{ interval }");
    section.finish();
    if let Some(tree) = limits {
        let mut section = Section::open("concurrency limit parameters", tree, problems);
        config.max_limit =
            part(section.integer("max_concurrency_limit", 1..=MOST, u64::from(config.max_limit)));
        section.require("concurrency_update_interval", "how long samples are taken, such as 100ms");
        config.update_interval_ms =
            section.duration_ms("concurrency_update_interval", 1, config.update_interval_ms);
        section.later(&["min_concurrency_limit"]);
        section.finish();
    }
    if let Some(tree) = measuring {
        let mut section = Section::open("minRTT parameters", tree, problems);
        config.min_rtt = min_rtt(&mut section, config.min_rtt);
        config.min_concurrency =
            part(section.integer("min_concurrency", 1..=MOST, u64::from(config.min_concurrency)));
        config.buffer = percent(&mut section, "buffer", config.buffer);
        section.finish();
    }
    config
}

fn min_rtt(section: &mut Section<'_>, default: MinRtt) -> MinRtt {
    let fixed = section.find("fixed_value").map(|_| section.duration_ms("fixed_value", 1, 1));
    let measured = section.find("interval").map(|_| section.duration_ms("interval", 1, 60_000));
    let requests = section.integer("request_count", 1..=1_000_000, 50) as u32;
    let jitter = percent(section, "jitter", Share::percent(15));
    match (fixed, measured) {
        (Some(ms), None) => MinRtt::Fixed { micros: ms * 1000 },
        (None, Some(interval_ms)) => MinRtt::Measured { interval_ms, requests, jitter },
        (fixed, _) => {
            let expected = "`interval`, in which it is measured anew, or `fixed_value`";
            let what = if fixed.is_some() { "a minRTT of two kinds" } else { "a minRTT of no kind" };
            section.problems.error(section.place, what, expected);
            default
        }
    }
}

fn percent(section: &mut Section<'_>, key: &'static str, default: Share) -> Share {
    let problems = section.problems;
    section.find(key).map_or(default, |tree| share(tree, problems))
}
