//! The gradient controller: a limit of requests under way that follows their latency. It knows no request, only when they
//! begin and end; windows of time end with the first of these behind them.
//!
//! The latency of an unloaded upstream (minRTT) is measured now and then, with few requests under way. Each window of
//! samples then gives `gradient = (minRTT + buffer) / sampleRTT`, between 0.5 and 2, and
//! `limit = gradient * limit + headroom` with `headroom = sqrt(gradient * limit)`.
//! <https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/adaptive_concurrency_filter>

use super::config::{Config, MinRtt};
use crate::config::Share;
use crate::io::Time;

/// Samples kept of a window; of more, each is as likely kept as any other.
const MOST_SAMPLES: usize = 1024;
/// So many windows in a row at the least limit are a reason to doubt minRTT.
const DOUBTFUL_WINDOWS: u32 = 5;

/// The state of one controller.
#[derive(Debug)]
pub(super) struct Gradient {
    config: Config,
    limit: u32,
    /// The limit to go back to after a measurement; `Some` while there is one.
    deferred: Option<u32>,
    min_rtt_micros: u64,
    samples: Samples,
    window_ends: Time,
    measures_at: Time,
    /// When the last measurement began: requests from before say nothing.
    epoch: Time,
    windows_at_least: u32,
}

impl Gradient {
    pub(super) fn new(config: &Config, now: Time) -> Gradient {
        let mut gradient = Gradient {
            config: config.clone(),
            limit: config.min_concurrency,
            deferred: None,
            min_rtt_micros: 0,
            samples: Samples::default(),
            window_ends: now.after_ms(config.update_interval_ms),
            measures_at: Time { micros: u64::MAX },
            epoch: now,
            windows_at_least: 0,
        };
        match config.min_rtt {
            MinRtt::Fixed { micros } => gradient.min_rtt_micros = micros,
            MinRtt::Measured { .. } => gradient.begin_measuring(now),
        }
        gradient
    }

    /// Requests that may be under way.
    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// Whether minRTT is being measured.
    pub(super) fn is_measuring(&self) -> bool {
        self.deferred.is_some()
    }

    /// Ends windows that are over; to be called before a decision.
    pub(super) fn pass(&mut self, now: Time) {
        if self.is_measuring() {
            return;
        }
        if now >= self.measures_at {
            self.begin_measuring(now);
        } else if now >= self.window_ends {
            self.window_ends = now.after_ms(self.config.update_interval_ms);
            if let Some(sample) = self.samples.take_quantile(self.config.percentile) {
                let limit = next_limit(&self.config, self.limit, self.min_rtt_micros, sample);
                self.set(limit);
                if self.windows_at_least >= DOUBTFUL_WINDOWS && self.measures() {
                    self.begin_measuring(now);
                }
            }
        }
    }

    /// A request that began then is over, answered whole.
    pub(super) fn record(&mut self, began: Time, now: Time, random: u64) {
        if began < self.epoch {
            return;
        }
        self.samples.add(now.micros_since(began), random);
        if let (Some(deferred), MinRtt::Measured { interval_ms, requests, jitter }) =
            (self.deferred, self.config.min_rtt)
            && self.samples.seen >= u64::from(requests)
        {
            self.min_rtt_micros = self.samples.take_quantile(self.config.percentile).unwrap_or(1);
            self.set(deferred);
            self.deferred = None;
            self.measures_at = now.after_ms(interval_ms + jitter_ms(interval_ms, jitter, random));
            self.window_ends = now.after_ms(self.config.update_interval_ms);
        }
    }

    fn measures(&self) -> bool {
        matches!(self.config.min_rtt, MinRtt::Measured { .. })
    }

    fn begin_measuring(&mut self, now: Time) {
        self.deferred = Some(self.limit);
        self.set(self.config.min_concurrency);
        self.samples.clear();
        self.epoch = now;
    }

    fn set(&mut self, limit: u32) {
        let least = self.config.min_concurrency;
        let stays_at_least = !self.is_measuring() && self.limit == least && limit == least;
        self.windows_at_least = if stays_at_least { self.windows_at_least + 1 } else { 0 };
        self.limit = limit;
    }
}

/// The limit after a window whose latency was `sample_micros`.
fn next_limit(config: &Config, limit: u32, min_rtt_micros: u64, sample_micros: u64) -> u32 {
    let buffered = min_rtt_micros as f64 * (1.0 + fraction(config.buffer));
    let gradient = (buffered / sample_micros.max(1) as f64).clamp(0.5, 2.0);
    let limit = f64::from(limit) * gradient;
    let with_headroom = (limit + limit.sqrt()) as u32;
    with_headroom.min(config.max_limit).max(config.min_concurrency)
}

/// Up to this share of the interval.
fn jitter_ms(interval_ms: u64, jitter: Share, random: u64) -> u64 {
    let most = (interval_ms as f64 * fraction(jitter)).ceil() as u64;
    if most == 0 { 0 } else { random % most }
}

fn fraction(share: Share) -> f64 {
    f64::from(share.0) / f64::from(Share::ALL.0)
}

/// Latencies of one window.
#[derive(Debug, Default)]
struct Samples {
    kept: Vec<u64>,
    seen: u64,
}

impl Samples {
    fn add(&mut self, micros: u64, random: u64) {
        self.seen += 1;
        if self.kept.len() < MOST_SAMPLES {
            self.kept.push(micros);
        } else if let Some(place) = self.kept.get_mut((random % self.seen) as usize) {
            *place = micros;
        }
    }

    /// The quantile of what was seen, which is then forgotten; `None` if that is nothing.
    fn take_quantile(&mut self, quantile: Share) -> Option<u64> {
        let last = self.kept.len().checked_sub(1)?;
        let at = ((last as f64 * fraction(quantile)).round() as usize).min(last);
        let value = *self.kept.select_nth_unstable(at).1;
        self.clear();
        Some(value)
    }

    fn clear(&mut self) {
        self.kept.clear();
        self.seen = 0;
    }
}

#[cfg(test)]
mod tests;
