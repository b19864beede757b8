//! An upstream that dies again and again under load, with retries: every call is answered, each with its own, and none is made twice but
//! where the proxy says so.

use super::super::dialects::{DIALECTS, Dialect};
use super::terms::{Why, number, status, status_of, with_number};
use super::{listener, origin_of};
use crate::support::{Config, Origin, Proxy, until};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

const CLIENTS: u32 = 4;
const CALLS: u32 = 100;

/// How often each call came, and how often it was answered.
type Seen = Arc<Mutex<HashMap<u32, [u32; 2]>>>;

/// An upstream that notes what it sees, and resets the connection with every so manieth call on it unanswered; 0 is never.
fn upstream(dialect: &'static Dialect, seen: &Seen, dies_at: u32) -> Origin {
    let (seen, count) = (Arc::clone(seen), AtomicU32::new(0));
    Origin::start(move |wire, _| {
        loop {
            let call = dialect.read(wire)?;
            let number = number(&call, &dialect.call(5));
            seen.lock().unwrap().entry(number).or_default()[0] += 1;
            if dies_at > 0 && count.fetch_add(1, Ordering::SeqCst) % dies_at == dies_at - 1 {
                return wire.try_clone()?.reset();
            }
            seen.lock().unwrap().entry(number).or_default()[1] += 1;
            wire.send(&with_number(dialect, dialect.answer_to(&call), number))?;
        }
    })
}

/// Sends its calls at once, and takes an answer to each.
fn client(dialect: &'static Dialect, proxy: &Proxy, client: u32) {
    let mut wire = proxy.connect("calls");
    let mut sender = wire.try_clone().unwrap();
    let numbers = client * CALLS..(client + 1) * CALLS;
    let calls = numbers.clone().flat_map(|number| with_number(dialect, dialect.call(5), number));
    let calls: Vec<u8> = calls.collect();
    let sending = std::thread::spawn(move || sender.send(&calls));
    let mut answered: Vec<u32> = numbers
        .clone()
        .map(|_| {
            let answer = dialect.read(&mut wire).unwrap();
            assert_eq!(answer.len(), dialect.answer(5).len(), "{}: {answer:x?}", dialect.name);
            number(&answer, &dialect.answer(5))
        })
        .collect();
    sending.join().unwrap().unwrap();
    // In whatever order where there are ids, in theirs otherwise.
    if dialect.has_ids {
        answered.sort_unstable();
    }
    assert_eq!(answered, numbers.collect::<Vec<_>>(), "{}", dialect.name);
}

#[test]
fn under_load_no_call_is_lost_or_made_twice_unasked() {
    for dialect in &DIALECTS {
        let seen = Seen::default();
        let origins = [upstream(dialect, &seen, 7), upstream(dialect, &seen, 0)];
        let retry =
            "cluster: api, retry: { on: [connect-failure, reset], attempts: 50, back_off: { base: 1ms } }";
        let config = listener(Config::new(), dialect, "calls", "", retry);
        let endpoints = origins.each_ref().map(|origin| format!("\"{origin}\""));
        let keys = "circuit_breaker: { max_requests: 10000, max_pending: 10000, max_retries: 10000 }";
        let proxy = Proxy::start(&config.cluster_of("api", &endpoints, keys));
        std::thread::scope(|scope| {
            for number in 0..CLIENTS {
                let proxy = &proxy;
                scope.spawn(move || client(dialect, proxy, number));
            }
        });
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len() as u32, CLIENTS * CALLS, "{}", dialect.name);
        let again: u32 = seen.values().map(|[came, _]| came - 1).sum();
        let metrics = proxy.metrics();
        let retried = metrics.sum("sidering_cluster_upstream_rq_retry");
        assert!(
            f64::from(again) <= retried,
            "{}: {again} came again, {retried} were sent again",
            dialect.name
        );
        assert!(retried > 0.0, "{}: nothing died", dialect.name);
        drop((seen, origins));
        proxy.assert_home();
    }
}

#[test]
fn without_retries_a_call_that_may_have_arrived_fails_once_and_comes_once() {
    for dialect in &DIALECTS {
        let seen = Seen::default();
        let origin = upstream(dialect, &seen, 5);
        let config = listener(Config::new(), dialect, "calls", "", "cluster: api");
        let proxy = Proxy::start(&config.cluster("api", &origin, ""));
        let mut wire = proxy.connect("calls");
        let mut failed = 0;
        for at in 0..50 {
            wire.send(&with_number(dialect, dialect.call(5), at)).unwrap();
            let answer = dialect.read(&mut wire).unwrap();
            if answer == with_number(dialect, dialect.answer(5), at) {
                continue;
            }
            assert_eq!(
                status(dialect, &answer),
                status_of(dialect, Why::Lost),
                "{}: {answer:x?}",
                dialect.name
            );
            failed += 1;
        }
        assert_eq!(failed, 10, "{}", dialect.name);
        let seen = seen.lock().unwrap();
        assert!(seen.len() == 50 && seen.values().all(|[came, _]| *came == 1), "{}: {seen:?}", dialect.name);
        drop(seen);
        drop((wire, origin));
        proxy.assert_home();
    }
}

#[test]
fn and_comes_back_calls_are_answered_again() {
    for dialect in &DIALECTS {
        let first = origin_of(dialect);
        let address = first.address();
        let config = listener(Config::new(), dialect, "calls", "", "cluster: api");
        let proxy = Proxy::start(&config.cluster("api", address, ""));
        let mut wire = proxy.connect("calls");
        wire.send(&dialect.call(5)).unwrap();
        assert_eq!(dialect.read(&mut wire).unwrap(), dialect.answer(5), "{}", dialect.name);
        drop(first);
        until("a refusal", || {
            wire.send(&dialect.call(5)).unwrap();
            (dialect.read(&mut wire).unwrap() != dialect.answer(5)).then_some(())
        });
        let _again = until("its address", || Origin::start_on(address, |wire, _| dialect.serve(wire)));
        until("an answer", || {
            wire.send(&dialect.call(5)).unwrap();
            (dialect.read(&mut wire).unwrap() == dialect.answer(5)).then_some(())
        });
    }
}
