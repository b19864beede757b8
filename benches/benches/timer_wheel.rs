//! What a timer costs in user time, by how many others are pending: set and taken back (nearly all of a proxy's timers),
//! set and fired, and the question when to wake.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use sidering_dataplane::io::Time;
use sidering_dataplane::net::timer::TimerWheel;

const PENDING: [u64; 3] = [1, 1_000, 100_000];
const START: Time = Time { micros: 1_000_000_000 };
const IDLE_TIMEOUT_MS: u64 = 60_000;

/// A wheel at [`START`] with timers that are spread over the minute after it.
fn wheel(pending: u64) -> TimerWheel<u64> {
    let mut wheel = TimerWheel::default();
    assert_eq!(wheel.pop_due(START), None);
    for number in 0..pending {
        wheel.insert(START.after_ms(1 + number * IDLE_TIMEOUT_MS / pending), number);
    }
    wheel
}

fn insert_and_cancel(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("timer_wheel/insert_cancel");
    for pending in PENDING {
        let mut wheel = wheel(pending);
        let deadline = START.after_ms(IDLE_TIMEOUT_MS);
        group.bench_function(BenchmarkId::from_parameter(pending), |bencher| {
            bencher.iter(|| {
                let timer = wheel.insert(black_box(deadline), 7);
                wheel.cancel(timer)
            });
        });
    }
    group.finish();
}

/// A steady state: each round sets a timer a minute ahead and lets the time go on by as much as brings one due, which
/// has been through all the levels by then.
fn insert_and_expire(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("timer_wheel/insert_expire");
    for pending in PENDING {
        let mut wheel = TimerWheel::default();
        let mut now = START;
        let step_micros = IDLE_TIMEOUT_MS * 1000 / pending;
        let mut round = || {
            now.micros += step_micros;
            wheel.insert(now.after_ms(IDLE_TIMEOUT_MS), 7u64);
            std::iter::from_fn(|| wheel.pop_due(black_box(now))).count()
        };
        for _ in 0..pending {
            round();
        }
        group.bench_function(BenchmarkId::from_parameter(pending), |bencher| bencher.iter(&mut round));
    }
    group.finish();
}

fn next_deadline(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("timer_wheel/next_deadline");
    for pending in PENDING {
        let wheel = wheel(pending);
        group.bench_function(BenchmarkId::from_parameter(pending), |bencher| {
            bencher.iter(|| black_box(&wheel).next_deadline());
        });
    }
    group.finish();
}

criterion_group!(benches, insert_and_cancel, insert_and_expire, next_deadline);
criterion_main!(benches);
