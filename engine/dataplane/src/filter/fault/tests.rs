//! Against Envoy's documentation of the fault filter.

use super::*;
use crate::config::{HeaderMatch, HeaderTest};
use crate::filter::test_request::{Alone, Asked, compiled};

fn filter(config: &Config) -> (Rc<dyn Filter>, Arc<ListenerCounters>) {
    compiled(config)
}

/// What becomes of a request: the delay in milliseconds, or the status.
fn outcome(verdict: &Verdict) -> (u64, u16) {
    match verdict {
        Verdict::Continue => (0, 0),
        Verdict::Delay { ms } => (*ms, 0),
        Verdict::Reply(reply) => (0, reply.status),
    }
}

fn fixed(delay_ms: Option<u64>, status: Option<u16>) -> Config {
    Config {
        delay: delay_ms.map(|ms| Delay::Fixed { ms, share: Share::ALL }),
        abort: status.map(|status| Abort::Fixed { status, share: Share::ALL }),
        ..Config::default()
    }
}

#[test]
fn delays_and_aborts_are_independent_and_a_delay_comes_first() {
    for (config, first, then) in [
        (fixed(None, None), (0, 0), (0, 0)),
        (fixed(Some(7), None), (7, 0), (0, 0)),
        (fixed(None, Some(503)), (0, 503), (0, 503)),
        (fixed(Some(7), Some(503)), (7, 0), (0, 503)),
    ] {
        let (filter, _) = filter(&config);
        let (mut alone, asked) = (Alone::new(&filter), Asked::new("GET", "/", &[]));
        assert_eq!(outcome(&alone.ask(&asked).0), first, "{config:?}");
        assert_eq!(outcome(&alone.resume(&asked)), then, "{config:?}");
    }
}

#[test]
fn an_abort_says_so() {
    let (filter, _) = filter(&fixed(None, Some(418)));
    let (verdict, lines) = Alone::new(&filter).ask(&Asked::new("GET", "/", &[]));
    let Verdict::Reply(reply) = verdict else { panic!("{verdict:?}") };
    assert_eq!((reply.status, reply.body, lines.as_str()), (418, "fault filter abort", ""));
    assert_eq!((reply.details.as_str(), reply.flags.names().collect()), ("fault_filter_abort", vec!["FI"]));
}

#[test]
fn headers_control_it_where_they_may() {
    let config = Config {
        delay: Some(Delay::Header { share: Share::ALL }),
        abort: Some(Abort::Header { share: Share::ALL }),
        ..Config::default()
    };
    let (filter, _) = filter(&config);
    for (name, value, expected) in [
        ("x-other", "1", (0, 0)),
        ("x-envoy-fault-delay-request", "25", (25, 0)),
        ("x-envoy-fault-delay-request", "0", (0, 0)),
        ("x-envoy-fault-delay-request", "-1", (0, 0)),
        ("x-envoy-fault-delay-request", "soon", (0, 0)),
        ("x-envoy-fault-delay-request", "3600001", (3_600_000, 0)),
        ("x-envoy-fault-delay-request", "18446744073709551616", (0, 0)),
        ("x-envoy-fault-abort-request", "199", (0, 0)),
        ("x-envoy-fault-abort-request", "200", (0, 200)),
        ("x-envoy-fault-abort-request", "599", (0, 599)),
        ("x-envoy-fault-abort-request", "600", (0, 0)),
        ("x-envoy-fault-abort-request", "66039", (0, 0)),
    ] {
        let verdict = Alone::new(&filter).ask(&Asked::new("GET", "/", &[(name, value)])).0;
        assert_eq!(outcome(&verdict), expected, "{name}: {value}");
    }
    // Fixed faults do not look at headers.
    let (filter, _) = super::tests::filter(&fixed(None, Some(503)));
    let asked = Asked::new("GET", "/", &[("x-envoy-fault-abort-request", "418")]);
    assert_eq!(outcome(&Alone::new(&filter).ask(&asked).0), (0, 503));
}

#[test]
fn the_share_a_header_asks_for_is_capped_by_the_configured_one() {
    let share_of = |percent: &'static str, configured| {
        let asked = Asked::new("GET", "/", &[("x-envoy-fault-abort-request-percentage", percent)]);
        asked.with(|request| {
            header_share(request, b"x-envoy-fault-abort-request-percentage", Share::percent(configured))
        })
    };
    for (asked, configured, expected) in
        [("0", 50, 0), ("49", 50, 49), ("50", 50, 50), ("51", 50, 50), ("many", 50, 50), ("-1", 50, 50)]
    {
        assert_eq!(share_of(asked, configured), Share::percent(expected), "{asked} of {configured}");
    }
}

#[test]
fn a_share_is_hit_as_often_as_it_says() {
    let config =
        Config { abort: Some(Abort::Fixed { status: 503, share: Share::percent(10) }), ..Config::default() };
    let (filter, counters) = filter(&config);
    let mut asked = Asked::new("GET", "/", &[]);
    for random in 0..100_000 {
        asked.random = random;
        let mut alone = Alone::new(&filter);
        alone.ask(&asked);
        alone.end();
    }
    // Six standard deviations.
    let aborted = counters.filters.fault.aborts_injected.get();
    assert!(aborted.abs_diff(10_000) < 570, "{aborted}");
}

#[test]
fn only_requests_with_the_headers() {
    let header =
        |name: &str| HeaderMatch { name: name.into(), test: HeaderTest::Present(true), invert: false };
    let config = Config { headers: vec![header("a"), header("b")], ..fixed(None, Some(503)) };
    let (filter, _) = filter(&config);
    for (headers, expected) in [(&[("a", "1")][..], 0), (&[("b", "1")], 0), (&[("a", "1"), ("b", "1")], 503)]
    {
        let verdict = Alone::new(&filter).ask(&Asked::new("GET", "/", headers)).0;
        assert_eq!(outcome(&verdict).1, expected, "{headers:?}");
    }
}

#[test]
fn active_faults_are_bounded() {
    let config = Config { max_active_faults: 2, ..fixed(Some(7), Some(503)) };
    let (filter, counters) = filter(&config);
    let asked = Asked::new("GET", "/", &[]);
    let mut requests: Vec<_> = (0..3).map(|_| Alone::new(&filter)).collect();
    let outcomes: Vec<_> = requests.iter_mut().map(|alone| outcome(&alone.ask(&asked).0)).collect();
    assert_eq!(outcomes, [(7, 0), (7, 0), (0, 0)]);
    let fault = &counters.filters.fault;
    let counted = |counters: &Counters| {
        (counters.active_faults.get(), counters.faults_overflow.get(), counters.delays_injected.get())
    };
    // Neither the delay nor the abort of the third was injected.
    assert_eq!(counted(fault), (2, 2, 2));
    // All faults of a request are one.
    assert_eq!(outcome(&requests[0].resume(&asked)), (0, 503));
    assert_eq!((counted(fault), fault.aborts_injected.get()), ((2, 2, 2), 1));
    requests.iter_mut().for_each(Alone::end);
    assert_eq!(fault.active_faults.get(), 0);
    assert_eq!(outcome(&Alone::new(&filter).ask(&asked).0), (7, 0));
}
