//! Metrics with their values, as plain data that every output format is made from.

use sidering_dataplane::observe::histogram::{BUCKETS, Histogram};

/// All samples under one name.
#[derive(Debug)]
pub(super) struct Family {
    /// As in `sidering_<name>`.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
    pub(super) samples: Vec<Sample>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

#[derive(Debug)]
pub(super) struct Sample {
    pub(super) labels: Vec<(&'static str, String)>,
    /// The name in Envoy's plain output: `cluster.api.upstream_rq_total`.
    pub(super) plain: String,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    Number(u64),
    Histogram(Box<Summed>),
}

/// Histograms of several cores added up.
#[derive(Debug)]
pub(super) struct Summed {
    pub(super) count: u64,
    pub(super) sum_micros: u64,
    /// Of each bucket: its largest value in microseconds, and how many.
    pub(super) buckets: Vec<(u64, u64)>,
}

impl Summed {
    pub(super) fn of<'h>(histograms: impl Iterator<Item = &'h Histogram>) -> Summed {
        let mut summed = Summed { count: 0, sum_micros: 0, buckets: Vec::with_capacity(BUCKETS) };
        for histogram in histograms {
            summed.sum_micros += histogram.sum();
            for (index, (largest, count)) in histogram.buckets().enumerate() {
                if index == summed.buckets.len() {
                    summed.buckets.push((largest, 0));
                }
                summed.buckets[index].1 += count;
            }
        }
        // Not the histograms' own counts: a core may be recording right now, and the parts must make up the whole.
        summed.count = summed.buckets.iter().map(|(_, count)| count).sum();
        summed
    }

    /// The largest value of the bucket in which this part of all values ends, in microseconds.
    pub(super) fn quantile_micros(&self, part: f64) -> u64 {
        let wanted = (part * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (largest, count) in &self.buckets {
            seen += count;
            if seen >= wanted {
                return *largest;
            }
        }
        self.buckets.last().map_or(0, |(largest, _)| *largest)
    }
}

/// Microseconds as milliseconds, without needless digits.
pub(super) fn milliseconds(micros: u64) -> String {
    let fraction = format!("{:03}", micros % 1000);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { (micros / 1000).to_string() } else { format!("{}.{fraction}", micros / 1000) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_added_up() {
        let (one, other) = (Histogram::default(), Histogram::default());
        for micros in 1..=100 {
            one.record(micros);
            other.record(micros * 1000);
        }
        let summed = Summed::of([&one, &other].into_iter());
        assert_eq!((summed.count, summed.sum_micros), (200, 5050 * 1001));
        assert!((80..=127).contains(&summed.quantile_micros(0.5)), "{}", summed.quantile_micros(0.5));
        assert!((100_000..131_072).contains(&summed.quantile_micros(1.0)));
        assert_eq!(Summed::of(std::iter::empty()).quantile_micros(0.5), 0);
    }

    #[test]
    fn milliseconds_are_short() {
        assert_eq!(
            [0, 7, 1000, 1023, 10, 120_500].map(milliseconds),
            ["0", "0.007", "1", "1.023", "0.01", "120.5"]
        );
    }
}
