//! Metrics in Prometheus's text format (version 0.0.4).

use super::metric::{Family, Kind, Sample, Value, milliseconds};
use std::fmt::Write;

/// Every metric's name begins with this.
const PREFIX: &str = "sidering_";
/// Buckets are told up to these values, in microseconds: one for each power of two, which is where recorded buckets
/// end, so that what is told is exact.
const BOUNDS: std::ops::RangeInclusive<u32> = 3..=26;

pub(super) fn write(families: &[Family]) -> String {
    let mut out = String::with_capacity(64 * 1024);
    for family in families {
        let name = family.name;
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a String cannot fail.
        let _ = write!(out, "# HELP {PREFIX}{name} {}\n# TYPE {PREFIX}{name} {kind}\n", family.help);
        for sample in &family.samples {
            write_sample(name, sample, &mut out);
        }
    }
    out
}

fn write_sample(name: &str, sample: &Sample, out: &mut String) {
    match &sample.value {
        Value::Number(number) => line(name, "", sample, None, &number.to_string(), out),
        Value::Histogram(summed) => {
            let mut buckets = summed.buckets.iter().peekable();
            let mut below = 0;
            for exponent in BOUNDS {
                let bound = (1u64 << exponent) - 1;
                while let Some((_, count)) = buckets.next_if(|(largest, _)| *largest <= bound) {
                    below += count;
                }
                line(name, "_bucket", sample, Some(&milliseconds(bound)), &below.to_string(), out);
            }
            line(name, "_bucket", sample, Some("+Inf"), &summed.count.to_string(), out);
            line(name, "_sum", sample, None, &milliseconds(summed.sum_micros), out);
            line(name, "_count", sample, None, &summed.count.to_string(), out);
        }
    }
}

fn line(name: &str, suffix: &str, sample: &Sample, bound: Option<&str>, value: &str, out: &mut String) {
    let _ = write!(out, "{PREFIX}{name}{suffix}");
    let labels = sample.labels.iter().map(|(label, value)| (*label, value.as_str()));
    let mut separator = '{';
    for (label, value) in labels.chain(bound.map(|bound| ("le", bound))) {
        let _ = write!(out, "{separator}{label}=\"");
        for character in value.chars() {
            match character {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                _ => out.push(character),
            }
        }
        out.push('"');
        separator = ',';
    }
    if separator == ',' {
        out.push('}');
    }
    let _ = writeln!(out, " {value}");
}
