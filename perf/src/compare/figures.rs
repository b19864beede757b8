//! Figures by name, and the medians and same-round ratios made of them.

use std::collections::BTreeMap;

/// One measurement: figures by name. The names carry their units.
pub(crate) type Figures = BTreeMap<&'static str, f64>;

pub(crate) const CPU_US: &str = "cpu_us_per_request";
pub(crate) const USER_US: &str = "user_us_per_request";
pub(crate) const SYSTEM_US: &str = "system_us_per_request";
pub(crate) const REQUESTS_PER_SECOND: &str = "requests_per_second";
pub(crate) const P50_US: &str = "p50_us";
pub(crate) const P99_US: &str = "p99_us";
pub(crate) const P99_9_US: &str = "p99_9_us";
pub(crate) const MEMORY_BYTES: &str = "memory_bytes";
pub(crate) const ERRORS: &str = "errors";
pub(crate) const GB_PER_CPU_SECOND: &str = "gigabytes_per_cpu_second";
pub(crate) const GB_PER_SECOND: &str = "gigabytes_per_second";
/// How much of its core the proxy used; one that is far from 1 waited for the load or the origin.
pub(crate) const BUSY_SHARE: &str = "busy_share";
pub(crate) const BYTES_PER_CONNECTION: &str = "bytes_per_connection";
/// Body bytes that the proxy says it copied in user space, since it started.
pub(crate) const BYTES_COPIED: &str = "body_bytes_copied";
pub(crate) const STARTUP_MS: &str = "startup_ms";

/// A ratio taken within each round, where both sides saw the same machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// The middle of `values`, or the mean of the two in the middle; None if there are none.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// The median of each figure over the rounds.
pub(crate) fn medians<'a>(rounds: impl Iterator<Item = &'a Figures> + Clone) -> Figures {
    let names: std::collections::BTreeSet<&'static str> =
        rounds.clone().flat_map(|figures| figures.keys().copied()).collect();
    let median_of = |name| median(rounds.clone().filter_map(|figures| figures.get(name).copied()).collect());
    names.into_iter().filter_map(|name| Some((name, median_of(name)?))).collect()
}

/// Ratios of pairs from the same round: `(ours, other)`.
pub(crate) fn ratio(pairs: impl Iterator<Item = (f64, f64)>) -> Option<Ratio> {
    let ratios: Vec<f64> =
        pairs.filter(|&(_, other)| other > 0.0).map(|(ours, other)| ours / other).collect();
    let (min, max) = (ratios.iter().copied().reduce(f64::min)?, ratios.iter().copied().reduce(f64::max)?);
    Some(Ratio { median: median(ratios)?, min, max })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_even_and_nothing() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(vec![f64::NAN]), None);
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // The machine is twice as slow in the second round; the ratio doesn't see it.
        let found = ratio([(5.0, 10.0), (10.0, 20.0), (6.0, 10.0), (1.0, 0.0)].into_iter());
        assert_eq!(found, Some(Ratio { median: 0.5, min: 0.5, max: 0.6 }));
        assert_eq!(ratio(std::iter::empty()), None);
    }

    #[test]
    fn each_figure_has_its_own_median() {
        let rounds = [Figures::from([(P50_US, 1.0), (ERRORS, 0.0)]), Figures::from([(P50_US, 3.0)])];
        assert_eq!(medians(rounds.iter()), Figures::from([(P50_US, 2.0), (ERRORS, 0.0)]));
    }
}
