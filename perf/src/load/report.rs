//! The report of one run, as a table or as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use super::recorder::{Errors, Recorder};
use crate::process::cpu::CpuTime;

/// The figures of one run.
pub(crate) struct Report {
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    errors: Errors,
    elapsed_s: f64,
    p50_us: f64,
    p90_us: f64,
    p99_us: f64,
    p99_9_us: f64,
    max_us: f64,
    watched: Option<CpuTime>,
}

impl Report {
    pub(crate) fn of(recorder: &Recorder) -> Self {
        Self {
            requests: recorder.requests(),
            bytes: recorder.bytes(),
            errors: recorder.errors(),
            elapsed_s: recorder.elapsed().as_secs_f64(),
            p50_us: recorder.latency_us(0.5),
            p90_us: recorder.latency_us(0.9),
            p99_us: recorder.latency_us(0.99),
            p99_9_us: recorder.latency_us(0.999),
            max_us: recorder.latency_us(1.0),
            watched: recorder.watched_cpu(),
        }
    }

    fn per_second(&self, count: u64) -> f64 {
        if self.elapsed_s > 0.0 { count as f64 / self.elapsed_s } else { 0.0 }
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut value = json!({
            "requests": self.requests,
            "bytes": self.bytes,
            "elapsed_s": self.elapsed_s,
            "requests_per_second": self.per_second(self.requests),
            "bytes_per_second": self.per_second(self.bytes),
            "errors": {
                "connect": self.errors.connect,
                "read": self.errors.read,
                "status": self.errors.status,
                "short": self.errors.short,
                "wrong": self.errors.wrong,
                "stray": self.errors.stray,
                "lost": self.errors.lost,
            },
            "p50_us": self.p50_us,
            "p90_us": self.p90_us,
            "p99_us": self.p99_us,
            "p99_9_us": self.p99_9_us,
            "max_us": self.max_us,
        });
        if let Some(cpu) = self.watched {
            value["watched_user_us"] = json!(cpu.user_us());
            value["watched_system_us"] = json!(cpu.system_us());
        }
        value
    }

    pub(crate) fn to_table(&self) -> String {
        let mut table = String::new();
        let errors = &self.errors;
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "requests   {} in {:.2} s, {:.0} per second\nbytes      {}, {:.1} MB per second\n\
             errors     {} (connect {}, read {}, status {}, short {}, wrong {}, stray {}, lost {})\n\
             latency    p50 {:.0} µs, p90 {:.0}, p99 {:.0}, p99.9 {:.0}, max {:.0}",
            self.requests,
            self.elapsed_s,
            self.per_second(self.requests),
            self.bytes,
            self.per_second(self.bytes) / 1e6,
            errors.total(),
            errors.connect,
            errors.read,
            errors.status,
            errors.short,
            errors.wrong,
            errors.stray,
            errors.lost,
            self.p50_us,
            self.p90_us,
            self.p99_us,
            self.p99_9_us,
            self.max_us
        );
        if let Some(cpu) = self.watched {
            let requests = self.requests.max(1) as f64;
            let (user, system) = (cpu.user_us() / requests, cpu.system_us() / requests);
            let _ = writeln!(table, "watched    {user:.2} µs user and {system:.2} µs system per request");
        }
        table
    }
}
