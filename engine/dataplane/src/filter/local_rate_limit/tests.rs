//! Against Envoy's documentation of local rate limiting, and shares that move between cores.

use super::shares::{BucketName, Order, Report, ShareOrder, ShareReport};
use super::*;
use crate::config::{HeaderTest, Share as Fraction};
use crate::filter::test_request::{Alone, Asked, compiled};
use crate::io::Time;

const HOUR: u64 = 3_600_000;

fn limit(max_tokens: u64) -> Limit {
    Limit { max_tokens, tokens_per_fill: max_tokens, fill_interval_ms: HOUR }
}

fn at(mut asked: Asked, ms: u64) -> Asked {
    asked.now = Time::default().after_ms(ms);
    asked
}

fn get(headers: &[(&str, &str)]) -> Asked {
    Asked::new("GET", "/", headers)
}

/// The statuses of requests; 0: let through.
fn statuses(filter: &Rc<dyn Filter>, asked: &[Asked]) -> Vec<u16> {
    let status = |asked: &Asked| match Alone::new(filter).ask(asked).0 {
        Verdict::Continue => 0,
        Verdict::Reply(reply) => reply.status,
        Verdict::Delay { .. } => 1,
    };
    asked.iter().map(status).collect()
}

fn counted(counters: &ListenerCounters) -> [u64; 4] {
    let counters = &counters.filters.local_rate_limit;
    [&counters.enabled, &counters.ok, &counters.rate_limited, &counters.enforced].map(Counter::get)
}

#[test]
fn without_a_token_a_request_is_refused_as_envoy_does_it() {
    let (filter, counters) = compiled(&Config { token_bucket: Some(limit(2)), ..Config::default() });
    assert_eq!(statuses(&filter, &[get(&[]), get(&[])]), [0, 0]);
    let (verdict, lines) = Alone::new(&filter).ask(&get(&[]));
    let Verdict::Reply(reply) = verdict else { panic!("{verdict:?}") };
    assert_eq!(
        (reply.status, reply.body, reply.details.as_str()),
        (429, "local_rate_limited", "local_rate_limited")
    );
    assert_eq!(reply.flags.names().collect::<Vec<_>>(), ["RL"]);
    assert_eq!(lines, "x-envoy-ratelimited: true\r\n");
    assert_eq!(counted(&counters), [3, 2, 1, 1]);
    assert_eq!(statuses(&filter, &[at(get(&[]), HOUR - 1), at(get(&[]), HOUR)]), [429, 0]);
}

#[test]
fn it_can_be_off_or_only_count() {
    for (enabled, enforced, status, expected) in [
        (Fraction(0), Fraction::ALL, 0, [0, 0, 0, 0]),
        (Fraction::ALL, Fraction(0), 0, [2, 1, 1, 0]),
        (Fraction::ALL, Fraction::ALL, 503, [2, 1, 1, 1]),
    ] {
        let config =
            Config { token_bucket: Some(limit(1)), enabled, enforced, status: 503, ..Config::default() };
        let (filter, counters) = compiled(&config);
        assert_eq!(statuses(&filter, &[get(&[]), get(&[])]), [0, status]);
        assert_eq!(counted(&counters), expected);
    }
    // Without any bucket it is not there at all.
    let (filter, counters) = compiled(&Config::default());
    assert_eq!((statuses(&filter, &[get(&[])]), counted(&counters)), (vec![0], [0; 4]));
}

fn user() -> Vec<Action> {
    vec![Action::RequestHeader { name: "x-user".into(), key: "user".into() }]
}

fn descriptor(entries: &[(&str, Option<&str>)], max_tokens: u64) -> Descriptor {
    let entries = entries.iter().map(|(key, value)| ((*key).to_owned(), value.map(str::to_owned)));
    Descriptor { entries: entries.collect(), token_bucket: limit(max_tokens) }
}

#[test]
fn descriptors_have_buckets_of_their_own() {
    let config = Config {
        token_bucket: Some(limit(3)),
        always_consume_default: false,
        rules: vec![user()],
        descriptors: vec![
            descriptor(&[("user", None)], 1),
            descriptor(&[("user", Some("gold"))], 2),
            descriptor(&[("other", Some("gold"))], 0),
        ],
        ..Config::default()
    };
    let ask = |filter: &Rc<dyn Filter>, user: &str, times: usize| {
        let asked: Vec<_> =
            (0..times).map(|_| get(&[("x-user", user)][..usize::from(!user.is_empty())])).collect();
        statuses(filter, &asked)
    };
    let (filter, counters) = compiled(&config);
    // The one that names the value goes first; others have a bucket for each value; the rest has the default one.
    assert_eq!(ask(&filter, "gold", 3), [0, 0, 429]);
    assert_eq!(ask(&filter, "ann", 2), [0, 429]);
    assert_eq!(ask(&filter, "bob", 2), [0, 429]);
    assert_eq!(ask(&filter, "", 4), [0, 0, 0, 429]);
    assert_eq!(counters.filters.local_rate_limit.keys.get(), 2);
    // With the default bucket always asked, too, and nothing taken of any if one is empty.
    let (filter, _) = compiled(&Config { always_consume_default: true, ..config.clone() });
    assert_eq!(ask(&filter, "ann", 3), [0, 429, 429]);
    assert_eq!(ask(&filter, "gold", 3), [0, 0, 429]);
    assert_eq!(ask(&filter, "", 1), [429]);
    // Values that there is no room for share one bucket.
    let (filter, counters) = compiled(&Config { most_keys: 1, ..config });
    assert_eq!(ask(&filter, "ann", 1), [0]);
    assert_eq!([ask(&filter, "bob", 1), ask(&filter, "eve", 1), ask(&filter, "bob", 1)], [[0], [429], [429]]);
    let counters = &counters.filters.local_rate_limit;
    assert_eq!((counters.keys.get(), counters.keys_overflow.get()), (1, 3));
    drop(filter);
    assert_eq!(counters.keys.get(), 0);
}

#[test]
fn what_descriptors_are_made_of() {
    let header =
        |present| HeaderMatch { name: "x-a".into(), test: HeaderTest::Present(present), invert: false };
    let generic = Action::Generic { key: "generic_key".into(), value: "v".into() };
    let matched = |expect| Action::HeaderMatch {
        key: "header_match".into(),
        value: "has".into(),
        expect,
        headers: vec![header(true)],
    };
    let address = Action::RemoteAddress;
    for (actions, entries, headers, taken) in [
        (vec![generic.clone()], &[("generic_key", Some("v"))][..], &[][..], true),
        (vec![generic.clone()], &[("generic_key", Some("w"))], &[], false),
        (vec![generic.clone()], &[("other", Some("v"))], &[], false),
        (vec![generic.clone(), address.clone()], &[("generic_key", Some("v"))], &[], false),
        (vec![generic, address.clone()], &[("generic_key", Some("v")), ("remote_address", None)], &[], true),
        (vec![address.clone()], &[("remote_address", Some("192.0.2.1"))], &[], true),
        (
            vec![address.clone()],
            &[("remote_address", Some("192.0.2.9"))],
            &[("x-forwarded-for", "192.0.2.9")],
            true,
        ),
        (vec![address], &[("remote_address", Some("192.0.2.1"))], &[("x-forwarded-for", "192.0.2.9")], false),
        (vec![matched(true)], &[("header_match", Some("has"))], &[("x-a", "")], true),
        (vec![matched(true)], &[("header_match", Some("has"))], &[], false),
        (vec![matched(false)], &[("header_match", Some("has"))], &[], true),
        (user(), &[("user", None)], &[("x-user", "")], true),
        (user(), &[("user", None)], &[], false),
    ] {
        let config = Config {
            rules: vec![actions.clone()],
            descriptors: vec![descriptor(entries, 1)],
            ..Config::default()
        };
        let (filter, _) = compiled(&config);
        let expected = if taken { [0, 429] } else { [0, 0] };
        assert_eq!(statuses(&filter, &[get(headers), get(headers)]), expected, "{actions:?} {entries:?}");
    }
}

#[test]
fn answers_tell_what_is_left_if_they_are_to() {
    let bucket = Limit { max_tokens: 2, tokens_per_fill: 1, fill_interval_ms: 2_500 };
    let config = Config { token_bucket: Some(bucket), tells_limits: true, ..Config::default() };
    let (filter, _) = compiled(&config);
    let told =
        |left| format!("x-ratelimit-limit: 2\r\nx-ratelimit-remaining: {left}\r\nx-ratelimit-reset: 3\r\n");
    for left in [1, 0, 0] {
        let mut alone = Alone::new(&filter);
        alone.ask(&get(&[]));
        assert_eq!(alone.answer(Default::default()).0, told(left));
    }
    let (filter, _) = compiled(&Config { tells_limits: false, ..config });
    let mut alone = Alone::new(&filter);
    alone.ask(&get(&[]));
    assert_eq!(alone.answer(Default::default()).0, "");
}

/// The same filter on one of two cores.
fn core(core: u32, config: &Config) -> (Rc<dyn Filter>, Rc<RateLimits>) {
    let limits = Rc::new(RateLimits::new(core, 7));
    (
        config.compile(&Parts { counters: &Arc::default(), rate_limits: &limits, codings: &Rc::default() }),
        limits,
    )
}

fn name(version: u64, number: u32, key: &[u8]) -> BucketName {
    BucketName { version, number, key: key.into() }
}

#[test]
fn a_core_that_runs_dry_asks_for_more_and_one_request_waits_for_it() {
    let config = Config { token_bucket: Some(limit(5)), cores: 2, ..Config::default() };
    let (filter, limits) = core(1, &config);
    let mut waits = Alone::new(&filter);
    assert_eq!(statuses(&filter, &[get(&[]), get(&[])]), [0, 0]);
    assert_eq!(waits.ask(&get(&[])).0, Verdict::Delay { ms: PATIENCE_MS });
    // Others do not wait.
    assert_eq!(statuses(&filter, &[get(&[])]), [429]);
    let bucket = name(7, 0, b"");
    let wants = Report::Wants { demand: 3 };
    let told = |report| vec![ShareReport { core: 1, bucket: bucket.clone(), limit: limit(5), report }];
    assert_eq!(limits.take_reports(), told(wants));
    let (share, given) = (Share { max_tokens: 4, tokens_per_fill: 4 }, 2);
    limits
        .handle(&ShareOrder { bucket: bucket.clone(), order: Order::Set { share, given } }, Time::default());
    assert_eq!(limits.take_reports(), told(Report::Has { share, given_up: 0 }));
    assert_eq!(waits.resume(&get(&[])), Verdict::Continue);
    assert_eq!(statuses(&filter, &[get(&[])]), [0]);
    // Other configurations' buckets, and those that are not there, are nobody's.
    for bucket in [name(6, 0, b""), name(7, 1, b"")] {
        limits.handle(&ShareOrder { bucket, order: Order::Tell }, Time::default());
    }
    assert!(limits.is_silent());
    limits.handle(&ShareOrder { bucket: bucket.clone(), order: Order::Tell }, Time::default());
    // The one that waited has asked twice.
    assert_eq!(limits.take_reports(), told(Report::Needs { demand: 6 }));
}

#[test]
fn shares_of_values_move_too_unless_there_is_no_room_for_the_value() {
    let config = Config {
        rules: vec![user()],
        descriptors: vec![descriptor(&[("user", None)], 4)],
        most_keys: 1,
        cores: 2,
        ..Config::default()
    };
    let (filter, limits) = core(0, &config);
    assert_eq!(statuses(&filter, &[get(&[("x-user", "ann")])]), [0]);
    let share = Share { max_tokens: 0, tokens_per_fill: 0 };
    let initial = Share { max_tokens: 2, tokens_per_fill: 2 };
    for (key, expected) in [
        (&b"\0\0\0\x03ann"[..], Report::Has { share, given_up: 1 }),
        (b"\0\0\0\x03bob", Report::Has { share: initial, given_up: 0 }),
    ] {
        let bucket = name(7, 0, key);
        limits.handle(&ShareOrder { bucket, order: Order::Set { share, given: 0 } }, Time::default());
        assert_eq!(limits.take_reports()[0].report, expected);
    }
    let asked = get(&[("x-user", "ann")]);
    assert_eq!(statuses(&filter, &[asked]), [1]);
}
