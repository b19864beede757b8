//! What adaptive concurrency is configured with, after Envoy's GradientControllerConfig.

use crate::config::Share;

/// How the limit follows the latency. Limits are of one core.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub enabled: bool,
    /// 400..=599.
    pub status: u16,
    /// Which of the latencies of a window stands for it.
    pub percentile: Share,
    /// At least 1.
    pub max_limit: u32,
    pub update_interval_ms: u64,
    pub min_rtt: MinRtt,
    /// The limit while the least latency is measured, and the least limit: at least 1.
    pub min_concurrency: u32,
    /// What is added to the least latency: it varies by itself.
    pub buffer: Share,
}

/// Where the latency of an unloaded upstream is known from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MinRtt {
    Fixed {
        micros: u64,
    },
    /// From so many requests, time and again: every interval, and up to `jitter` of it later.
    Measured {
        interval_ms: u64,
        requests: u32,
        jitter: Share,
    },
}

impl Default for Config {
    fn default() -> Self {
        Config {
            enabled: true,
            status: 503,
            percentile: Share::percent(50),
            max_limit: 1000,
            update_interval_ms: 100,
            min_rtt: MinRtt::Measured { interval_ms: 60_000, requests: 50, jitter: Share::percent(15) },
            min_concurrency: 3,
            buffer: Share::percent(25),
        }
    }
}
