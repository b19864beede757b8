//! Against the formula and the windows of Envoy's documentation.

use super::*;

fn at(ms: u64) -> Time {
    Time::default().after_ms(ms)
}

fn measured(requests: u32) -> Config {
    let min_rtt = MinRtt::Measured { interval_ms: 10_000, requests, jitter: Share(0) };
    Config { min_rtt, ..Config::default() }
}

#[test]
fn the_limit_follows_the_documented_formula() {
    let config = |buffer, max_limit| Config {
        buffer: Share::percent(buffer),
        max_limit,
        min_concurrency: 3,
        ..Config::default()
    };
    for (buffer, max_limit, limit, min_rtt, sample, expected) in [
        // gradient 1: 100 + sqrt(100)
        (0, 1000, 100, 1000, 1000, 110),
        // gradient 1.25 by the buffer: 125 + 11.18
        (25, 1000, 100, 1000, 1000, 136),
        // The buffer takes up latency within it: gradient 1
        (25, 1000, 100, 1000, 1250, 110),
        // gradient 0.8: 80 + 8.94
        (0, 1000, 100, 1000, 1250, 88),
        // At least 0.5: 50 + 7.07
        (0, 1000, 100, 1000, 10_000, 57),
        // At most 2: 200 + 14.14
        (0, 1000, 100, 1000, 100, 214),
        (0, 200, 100, 1000, 100, 200),
        (0, 1000, 3, 1000, 10_000, 3),
        // 4 * 0.5 = 2, + 1.41
        (0, 1000, 4, 1000, 10_000, 3),
        (0, 1000, 1, 1000, 1000, 3),
    ] {
        let limit = next_limit(&config(buffer, max_limit), limit, min_rtt, sample);
        assert_eq!(limit, expected, "{buffer} {min_rtt} {sample}");
    }
}

#[test]
fn min_rtt_is_measured_first_with_few_requests_under_way() {
    let mut gradient = Gradient::new(&measured(5), at(0));
    assert_eq!((gradient.limit(), gradient.is_measuring()), (3, true));
    for (request, micros) in [900, 1100, 1000, 800].into_iter().enumerate() {
        let began = at(request as u64);
        gradient.record(began, Time { micros: began.micros + micros }, 0);
    }
    // Windows do not end meanwhile.
    gradient.pass(at(5_000));
    assert!(gradient.is_measuring());
    gradient.record(at(5_000), Time { micros: 5_005_000 }, 0);
    assert_eq!((gradient.is_measuring(), gradient.min_rtt_micros, gradient.limit()), (false, 1000, 3));
    // 3 * 1.25 = 3.75, + 1.94
    gradient.record(at(5_050), at(5_051), 0);
    gradient.pass(at(5_104));
    assert_eq!(gradient.limit(), 3, "the window lasts until 100 ms after the measurement");
    gradient.pass(at(5_105));
    assert_eq!(gradient.limit(), 5);
    // Nothing was seen: nothing changes.
    gradient.pass(at(5_300));
    assert_eq!(gradient.limit(), 5);
}

#[test]
fn it_is_measured_anew_and_requests_from_before_say_nothing() {
    let mut gradient = Gradient::new(&measured(1), at(0));
    gradient.record(at(0), at(2), 0);
    for window in 1..=6 {
        gradient.record(at(window * 100), at(window * 100 + 2), 0);
        gradient.pass(at(window * 100 + 100));
    }
    let before = gradient.limit();
    assert!(before > 20, "{before}");
    gradient.pass(at(10_001));
    assert!(!gradient.is_measuring());
    gradient.pass(at(10_002));
    assert_eq!((gradient.is_measuring(), gradient.limit()), (true, 3));
    gradient.record(at(10_001), at(10_900), 0);
    assert!(gradient.is_measuring());
    gradient.record(at(10_002), at(10_007), 0);
    assert_eq!((gradient.is_measuring(), gradient.min_rtt_micros, gradient.limit()), (false, 5000, before));
}

#[test]
fn five_windows_at_the_least_limit_make_it_measure_again() {
    let mut gradient = Gradient::new(&measured(1), at(0));
    gradient.record(at(0), at(1), 0);
    let mut windows = 0;
    while !gradient.is_measuring() {
        windows += 1;
        let now = at(windows * 100);
        gradient.record(now, now.after_ms(90), 0);
        gradient.pass(now.after_ms(100));
        assert_eq!(gradient.limit(), 3);
    }
    assert_eq!(windows, 5);
    // With a fixed minRTT there is nothing to measure.
    let config = Config { min_rtt: MinRtt::Fixed { micros: 1000 }, ..Config::default() };
    let mut gradient = Gradient::new(&config, at(0));
    for window in 1..=10 {
        let now = at(window * 100);
        gradient.record(now, now.after_ms(90), 0);
        gradient.pass(now.after_ms(100));
        assert_eq!((gradient.is_measuring(), gradient.limit()), (false, 3));
    }
}

#[test]
fn measurements_are_jittered_within_their_share() {
    for (random, expected) in [(0, 0), (1499, 1499), (1500, 0), (u64::MAX, u64::MAX % 1500)] {
        assert_eq!(jitter_ms(10_000, Share::percent(15), random), expected);
    }
    assert_eq!(jitter_ms(10_000, Share(0), 7), 0);
}

#[test]
fn quantiles_and_the_bound_of_samples() {
    for (percent, expected) in [(0, 1), (50, 3), (75, 4), (100, 5)] {
        let mut samples = Samples::default();
        for micros in [5, 3, 1, 4, 2] {
            samples.add(micros, 0);
        }
        assert_eq!(samples.take_quantile(Share::percent(percent)), Some(expected), "{percent}");
        assert_eq!(samples.take_quantile(Share::percent(percent)), None);
    }
    let mut samples = Samples::default();
    for count in 0..MOST_SAMPLES + 2 {
        samples.add(count as u64, 7);
        assert_eq!(samples.kept.len(), (count + 1).min(MOST_SAMPLES));
    }
    assert_eq!((samples.kept[7], samples.seen), (MOST_SAMPLES as u64 + 1, MOST_SAMPLES as u64 + 2));
}
