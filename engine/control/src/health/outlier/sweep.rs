//! The sweep at the end of each interval: ejections that are over, and outliers by success rate and failure percentage.
//! What the hosts were sent in the interval is an argument.

use super::detector::{Decision, Detection, Detector};
use sidering_dataplane::config::OutlierDetection;
use sidering_dataplane::io::Address;

/// What one host was sent in an interval, over all cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Transactions; without split mode, failures of local origin among them.
    pub external: Volume,
    /// Events of local origin; empty without split mode.
    pub local: Volume,
}

/// How many there were, and how many of them succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Volume {
    pub total: u64,
    pub successes: u64,
}

impl Volume {
    /// In per cent; `None` of nothing.
    fn success_rate(self) -> Option<f64> {
        (self.total > 0).then(|| self.successes as f64 * 100.0 / self.total as f64)
    }
}

/// What a sweep found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sweep {
    /// Their ejection is over. One of them may be among the outliers again.
    pub back: Vec<Address>,
    /// In the order of the hosts, first by success rate, then by failure percentage.
    pub outliers: Vec<(Address, Detection, Decision)>,
}

impl Detector {
    /// Looks at an interval that ends now.
    pub fn sweep(
        &mut self,
        traffic: &dyn Fn(&Address) -> Traffic,
        config: &OutlierDetection,
        now_ms: u64,
        random: &mut dyn FnMut() -> u64,
    ) -> Sweep {
        let mut sweep = Sweep { back: self.bring_back_due(config, now_ms), outliers: vec![] };
        let kinds = [
            (false, Detection::SuccessRate, Detection::FailurePercentage),
            (true, Detection::LocalOriginSuccessRate, Detection::LocalOriginFailurePercentage),
        ];
        for (is_local, by_rate, by_percentage) in kinds {
            let rates = self.rates(traffic, is_local);
            let below = below_the_others(&rates, config).into_iter().map(|address| (address, by_rate));
            let failing = failing(&rates, config).into_iter().map(|address| (address, by_percentage));
            for (address, detection) in below.chain(failing) {
                match self.on_outlier(&address, detection, config, now_ms, random) {
                    // The success rate has just ejected it.
                    Decision::Ignored => {}
                    decision => sweep.outliers.push((address, detection, decision)),
                }
            }
        }
        self.forgive(config, now_ms);
        sweep
    }

    fn rates(&self, traffic: &dyn Fn(&Address) -> Traffic, is_local: bool) -> Vec<Rate> {
        let hosts = self.hosts.iter().filter(|host| !host.is_ejected());
        let rate = |address: &Address| {
            let traffic = traffic(address);
            let volume = if is_local { traffic.local } else { traffic.external };
            let percent = volume.success_rate()?;
            Some(Rate { address: address.clone(), percent, requests: volume.total })
        };
        hosts.filter_map(|host| rate(&host.address)).collect()
    }
}

struct Rate {
    address: Address,
    percent: f64,
    requests: u64,
}

/// The mean of these success rates, less so many thousandths of their standard deviation (that of a population).
/// Envoy's example: 50, 100, 100, 100, 100 at 1900 have the mean 90 and the deviation 20, and give 52.
#[must_use]
pub fn ejection_threshold(rates_percent: &[f64], stdev_factor: u32) -> f64 {
    let count = rates_percent.len() as f64;
    let mean = rates_percent.iter().sum::<f64>() / count;
    let variance = rates_percent.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / count;
    mean - f64::from(stdev_factor) / 1000.0 * variance.sqrt()
}

fn below_the_others(rates: &[Rate], config: &OutlierDetection) -> Vec<Address> {
    let rules = &config.success_rate;
    let judged: Vec<&Rate> = rates.iter().filter(|rate| rate.requests >= rules.request_volume).collect();
    if judged.is_empty() || judged.len() < rules.minimum_hosts as usize {
        return vec![];
    }
    let percents: Vec<f64> = judged.iter().map(|rate| rate.percent).collect();
    let threshold = ejection_threshold(&percents, rules.stdev_factor);
    judged.iter().filter(|rate| rate.percent < threshold).map(|rate| rate.address.clone()).collect()
}

fn failing(rates: &[Rate], config: &OutlierDetection) -> Vec<Address> {
    let rules = &config.failure_percentage;
    let judged: Vec<&Rate> = rates.iter().filter(|rate| rate.requests >= rules.request_volume).collect();
    if judged.len() < rules.minimum_hosts as usize {
        return vec![];
    }
    let bound = f64::from(rules.threshold_percent);
    judged.iter().filter(|rate| 100.0 - rate.percent >= bound).map(|rate| rate.address.clone()).collect()
}
