//! Limits of concurrency across cores, as clients and the metrics see them.

use crate::support::access_log::{flags, record_of};
use crate::support::web::reply;
use crate::support::{Config, Origin, Proxy, Wire, until};
use std::sync::{Arc, Condvar, Mutex};

const TO_API: &str = "{ match: { prefix: / }, cluster: api }";

/// Holds answers back until it is opened.
type Gate = Arc<(Mutex<bool>, Condvar)>;

fn open(gate: &Gate) {
    *gate.0.lock().expect("no thread panics with it") = true;
    gate.1.notify_all();
}

/// An origin that answers what is behind an open gate.
fn holding() -> (Origin, Gate) {
    let gate = Gate::default();
    let wait = Arc::clone(&gate);
    let origin = Origin::start(move |wire, _| {
        loop {
            wire.head()?;
            let is_open = wait.0.lock().expect("no thread panics with it");
            drop(wait.1.wait_while(is_open, |is_open| !*is_open));
            reply(wire, 200, "hello\n")?;
        }
    });
    (origin, gate)
}

fn start(origin: &Origin, workers: usize, filter: &str) -> Proxy {
    let keys = format!("filters: [{{ {filter} }}]");
    let config = Config::new().set(&format!("workers: {workers}")).http("web", &keys, TO_API);
    Proxy::start(&config.cluster("api", origin, ""))
}

#[test]
fn as_many_requests_are_under_way_as_may_be_on_all_cores_together() {
    const MOST: usize = 6;
    let (origin, gate) = holding();
    let proxy = start(&origin, 3, &format!("name: concurrency_limit, max_concurrency: {MOST}"));
    let active = || proxy.metrics().sum("sidering_http_concurrency_limit_active");
    // One after the other, until all places are taken: whoever is refused comes again.
    let mut inside: Vec<Wire> = vec![];
    until("all places to be taken", || {
        let mut wire = proxy.connect("web");
        let rejected = || proxy.metrics().sum("sidering_http_concurrency_limit_rejected");
        let before = (active(), rejected());
        wire.get("/in").unwrap();
        let entered = until("the request to be let in or not", || {
            (active() > before.0).then_some(true).or_else(|| (rejected() > before.1).then_some(false))
        });
        if entered {
            inside.push(wire);
        } else {
            assert_eq!(wire.response().unwrap().status(), 503);
        }
        (inside.len() == MOST).then_some(())
    });
    for _ in 0..6 {
        let mut wire = proxy.connect("web");
        wire.get("/out").unwrap();
        let answer = wire.response().unwrap();
        assert_eq!((answer.status(), answer.text().as_str()), (503, "reached concurrency limit"));
        assert_eq!(answer.head.value("x-envoy-overloaded"), Some("true"));
    }
    let record = record_of(&proxy, "/out");
    assert_eq!(
        (flags(&record).as_str(), record["response_code_details"].as_str()),
        ("OM", Some("reached_concurrency_limit"))
    );
    assert_eq!(active(), MOST as f64);
    open(&gate);
    for wire in &mut inside {
        assert_eq!(wire.response().unwrap().status(), 200);
    }
    until("all places to be free", || (active() == 0.0).then_some(()));
    inside[0].get("/again").unwrap();
    assert_eq!(inside[0].response().unwrap().status(), 200);
    drop((inside, origin));
    proxy.assert_home();
}

#[test]
fn an_adaptive_limit_begins_low_and_grows_with_requests_that_are_quick() {
    let (origin, gate) = holding();
    let gradient = "name: adaptive_concurrency, gradient_controller_config: { \
                    concurrency_limit_params: { concurrency_update_interval: 1ms }, \
                    min_rtt_calc_params: { interval: 1h, request_count: 5, min_concurrency: 2, buffer: 100 } }";
    let proxy = start(&origin, 1, gradient);
    let of = |name: &str| {
        proxy.metrics().sum(&format!("sidering_http_adaptive_concurrency_gradient_controller_{name}"))
    };
    let mut inside: Vec<_> = (0..2).map(|_| proxy.connect("web")).collect();
    for wire in &mut inside {
        wire.get("/in").unwrap();
    }
    until("two requests to be under way", || (of("active") == 2.0).then_some(()));
    let mut third = proxy.connect("web");
    third.get("/out").unwrap();
    let answer = third.response().unwrap();
    assert_eq!((answer.status(), answer.text().as_str()), (503, "reached concurrency limit"));
    assert_eq!(
        (of("concurrency_limit"), of("rq_blocked"), of("min_rtt_calculation_active")),
        (2.0, 1.0, 1.0)
    );
    open(&gate);
    for wire in &mut inside {
        assert_eq!(wire.response().unwrap().status(), 200);
    }
    // One at a time is as quick as it gets: the limit grows.
    until("the limit to grow", || {
        third.get("/quick").unwrap();
        assert_eq!(third.response().unwrap().status(), 200);
        (of("concurrency_limit") > 8.0).then_some(())
    });
    assert_eq!((of("active"), of("min_rtt_calculation_active")), (0.0, 0.0));
    drop((inside, third, origin));
    proxy.assert_home();
}
