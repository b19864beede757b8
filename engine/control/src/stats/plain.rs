//! Metrics as Envoy's `/stats` tells them: `name: value`, sorted.

use super::metric::{Family, Summed, Value, milliseconds};
use std::fmt::Write;

/// Quantiles told of a histogram.
const QUANTILES: [(&str, f64); 7] =
    [("P0", 0.0), ("P25", 0.25), ("P50", 0.5), ("P90", 0.9), ("P99", 0.99), ("P99.9", 0.999), ("P100", 1.0)];

/// Those whose name contains `filter`; `used_only` leaves out what is zero.
pub(super) fn write(families: &[Family], filter: &str, used_only: bool) -> String {
    let samples = families.iter().flat_map(|family| &family.samples);
    let mut lines: Vec<String> = samples
        .filter(|sample| sample.plain.contains(filter))
        .filter(|sample| !used_only || !is_zero(&sample.value))
        .map(|sample| format!("{}: {}\n", sample.plain, show(&sample.value)))
        .collect();
    lines.sort_unstable();
    lines.concat()
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Number(number) => *number == 0,
        Value::Histogram(summed) => summed.count == 0,
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Histogram(summed) if summed.count == 0 => "No recorded values".to_owned(),
        Value::Histogram(summed) => quantiles(summed),
    }
}

fn quantiles(summed: &Summed) -> String {
    let mut out = String::new();
    for (name, part) in QUANTILES {
        // Writing to a String cannot fail.
        let _ = write!(out, "{name}({}) ", milliseconds(summed.quantile_micros(part)));
    }
    out.trim_end().to_owned()
}
