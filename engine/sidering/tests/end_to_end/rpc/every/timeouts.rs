//! Calls that take too long, by their route or by what they say themselves: told so in time, on a connection that goes on.

use super::super::dialects::{DIALECTS, Dialect, assert_answered};
use super::terms::{Why, has_timeout, number, status, status_of, timeout_ms, with_number, with_timeout};
use super::{ask, listener};
use crate::support::{Config, Origin, Proxy};
use std::sync::{Arc, Mutex};

/// The call of this number is never answered.
const NEVER: u32 = 666;

fn forgetful(dialect: &'static Dialect) -> Origin {
    Origin::start(move |wire, _| {
        loop {
            let call = dialect.read(wire)?;
            let tail = &call[..];
            if !tail.windows(5).any(|window| window == b"00666") {
                wire.send(&dialect.answer_to(&call))?;
            }
        }
    })
}

#[track_caller]
fn assert_times_out(dialect: &'static Dialect, proxy: &Proxy, call: &[u8], origin: &Origin) {
    let mut wire = proxy.connect("calls");
    for round in 1..4 {
        let answer = ask(dialect, &mut wire, call);
        let told = status(dialect, &answer);
        assert_eq!(told, status_of(dialect, Why::TimedOut), "{}: {answer:x?}", dialect.name);
        assert_answered(dialect, &mut wire, dialect.name);
        // Without ids, a late answer would be taken for the next one: only there the upstream's connection is given up.
        let most = if dialect.has_ids { 1 } else { round + 1 };
        assert!(origin.accepted() <= most, "{}: {} connections", dialect.name, origin.accepted());
    }
}

#[test]
fn of_the_route() {
    for dialect in &DIALECTS {
        let origin = forgetful(dialect);
        let config = listener(Config::new(), dialect, "calls", "", "cluster: api, timeout: 100ms");
        let proxy = Proxy::start(&config.cluster("api", &origin, ""));
        let call = with_number(dialect, dialect.call(5), NEVER);
        assert_times_out(dialect, &proxy, &call, &origin);
        let timeouts = proxy.metrics().sum("sidering_cluster_upstream_rq_timeout");
        assert_eq!(timeouts, 3.0, "{}", dialect.name);
        drop(origin);
        proxy.assert_home();
    }
}

#[test]
fn of_the_call_itself() {
    for dialect in DIALECTS.iter().filter(|dialect| has_timeout(dialect)) {
        let origin = forgetful(dialect);
        let config = listener(Config::new(), dialect, "calls", "", "cluster: api");
        let proxy = Proxy::start(&config.cluster("api", &origin, ""));
        let call = with_timeout(dialect, with_number(dialect, dialect.call(5), NEVER), 100);
        assert_times_out(dialect, &proxy, &call, &origin);
        drop(origin);
        proxy.assert_home();
    }
}

#[test]
fn of_the_call_itself_are_counted_down_for_each_attempt() {
    for dialect in DIALECTS.iter().filter(|dialect| has_timeout(dialect)) {
        let told: Arc<Mutex<Vec<u32>>> = Arc::default();
        let sink = Arc::clone(&told);
        let plain = dialect.call(5);
        let origin = Origin::start(move |wire, _| {
            loop {
                let call = dialect.read(wire)?;
                let mut told = sink.lock().unwrap();
                if number(&call, &dialect.call(5)) == NEVER {
                    told.push(timeout_ms(dialect, &call));
                    if told.len() < 3 {
                        continue;
                    }
                }
                wire.send(&dialect.answer_to(&call))?;
            }
        });
        let retry = "cluster: api, retry: { on: [reset, gateway-error], attempts: 5, per_try_timeout: 60ms, \
                     back_off: { base: 1ms } }";
        let config = listener(Config::new(), dialect, "calls", "", retry);
        let proxy = Proxy::start(&config.cluster("api", &origin, ""));
        let mut wire = proxy.connect("calls");
        ask(dialect, &mut wire, &with_number(dialect, dialect.call(5), 1));
        let call = with_timeout(dialect, with_number(dialect, plain, NEVER), 3000);
        assert_eq!(ask(dialect, &mut wire, &call), dialect.answer(5), "{}", dialect.name);
        let told = told.lock().unwrap().clone();
        let is_counted_down = told[0] == 3000
            && told[1..].iter().zip(&told).all(|(later, earlier)| *later >= 1 && later + 60 <= *earlier);
        assert!(told.len() == 3 && is_counted_down, "{}: {told:?}", dialect.name);
        drop((wire, origin));
        proxy.assert_home();
    }
}
