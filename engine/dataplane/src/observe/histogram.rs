//! A histogram that one core records into and the control thread reads: log-linear buckets, 4 to each power of two, so
//! that a recorded value is known to 25 %. It allocates at its first value, because of thousands of clusters most have
//! none, and never grows.

use super::counters::Counter;
use std::sync::OnceLock;

/// Buckets: values 0..=3 exactly, then 4 for each of the powers of two up to 2^32 microseconds (71 minutes).
pub const BUCKETS: usize = 4 + 30 * 4;

/// Counts of microseconds.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: OnceLock<Box<[Counter; BUCKETS]>>,
    count: Counter,
    sum: Counter,
}

impl Histogram {
    /// Counts one value; larger ones than 2^32 - 1 count in the last bucket.
    #[inline]
    pub fn record(&self, micros: u64) {
        let buckets = self.buckets.get_or_init(|| Box::new(std::array::from_fn(|_| Counter::default())));
        buckets[bucket_of(micros)].add(1);
        self.count.add(1);
        self.sum.add(micros);
    }

    /// How many values were recorded.
    pub fn count(&self) -> u64 {
        self.count.get()
    }

    /// The sum of all values, in microseconds.
    pub fn sum(&self) -> u64 {
        self.sum.get()
    }

    /// The count of each bucket with its largest value in microseconds, from the smallest on.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let recorded = self.buckets.get();
        (0..BUCKETS).map(move |index| (largest_of(index), recorded.map_or(0, |counts| counts[index].get())))
    }
}

fn bucket_of(value: u64) -> usize {
    if value < 4 {
        return value as usize;
    }
    let exponent = 63 - value.leading_zeros() as usize;
    let within = (value >> (exponent - 2)) as usize & 3;
    (4 + (exponent - 2) * 4 + within).min(BUCKETS - 1)
}

fn largest_of(bucket: usize) -> u64 {
    if bucket < 4 {
        return bucket as u64;
    }
    let exponent = (bucket - 4) / 4 + 2;
    let within = (bucket - 4) as u64 % 4;
    (1 << exponent) + (within + 1) * (1 << (exponent - 2)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_lies_in_its_bucket_and_no_smaller_one() {
        let values = (0..70_000u64).chain([1 << 20, (1 << 31) + 12_345, (1 << 32) - 1]);
        for value in values {
            let bucket = bucket_of(value);
            assert!(value <= largest_of(bucket), "{value}");
            assert!(bucket == 0 || value > largest_of(bucket - 1), "{value}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn sums_and_counts() {
        let histogram = Histogram::default();
        assert_eq!(histogram.buckets().map(|(_, count)| count).collect::<Vec<_>>(), [0; BUCKETS]);
        histogram.record(3);
        histogram.record(300);
        assert_eq!((histogram.count(), histogram.sum()), (2, 303));
        assert_eq!(histogram.buckets().map(|(_, count)| count).sum::<u64>(), 2);
    }
}
