//! Upstream connections: kept, bounded, and found closed just when they were needed.

use crate::support::access_log::{flags_of, record_of};
use crate::support::web::reply;
use crate::support::{Config, Origin, Proxy, Wire, let_pass, until};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Closes each connection when its second request has come, without an answer and without having said so: the closest a
/// test gets to an idle timeout upstream that meets a request on its way.
fn stale_after_one(served: Arc<AtomicUsize>) -> Origin {
    Origin::start(move |wire, _| {
        let head = wire.head()?;
        wire.body(&head, |_| {})?;
        served.fetch_add(1, Ordering::SeqCst);
        reply(wire, 200, "served")?;
        wire.head().map(|_| ())
    })
}

#[test]
fn a_get_that_meets_a_stale_connection_is_sent_again() {
    let served = Arc::new(AtomicUsize::new(0));
    let origin = stale_after_one(Arc::clone(&served));
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    for _ in 0..10 {
        wire.get("/").unwrap();
        let answer = wire.response().unwrap();
        assert_eq!((answer.status(), answer.text().as_str()), (200, "served"));
    }
    assert_eq!((served.load(Ordering::SeqCst), origin.accepted()), (10, 10));
    drop((wire, origin));
    proxy.assert_home();
}

#[test]
fn a_post_that_meets_a_stale_connection_is_not_sent_again() {
    let served = Arc::new(AtomicUsize::new(0));
    let origin = stale_after_one(Arc::clone(&served));
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    let post = |wire: &mut Wire, path: &str, body: &str| {
        let length = body.len();
        let text = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}");
        wire.send(text.as_bytes()).unwrap();
        wire.response().unwrap().status()
    };
    assert_eq!(post(&mut wire, "/first", "abc"), 200);
    assert_eq!(post(&mut wire, "/second", "abc"), 503, "it may have had its effect already");
    assert_eq!(flags_of(&proxy, "/second"), "UC");
    assert_eq!(post(&mut wire, "/third", ""), 200);
    assert_eq!(post(&mut wire, "/fourth", ""), 503, "even one without a body");
    assert_eq!(served.load(Ordering::SeqCst), 2);
}

#[test]
fn a_server_that_closes_without_saying_so_costs_no_get() {
    // Closes behind each second answer, at once: the close and the next request cross each other.
    let origin = Origin::start(|wire, _| {
        for _ in 0..2 {
            wire.head()?;
            reply(wire, 200, "served")?;
        }
        Ok(())
    });
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    for number in 0..200 {
        wire.get("/").unwrap();
        let answer = wire.response().unwrap();
        assert_eq!(answer.status(), 200, "request {number}: {}", answer.text());
    }
    drop((wire, origin));
    proxy.assert_home();
}

#[test]
fn an_upstream_that_closes_idle_connections_is_noticed() {
    let origin = Origin::start(|wire, _| {
        wire.head()?;
        reply(wire, 200, "served")
    });
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    wire.get("/").unwrap();
    wire.response().unwrap();
    until("the pool to be empty", || {
        let metrics = proxy.metrics();
        (metrics.sum_where("sidering_cluster_upstream_cx_active", "\"api\"") == 0.0).then_some(())
    });
}

#[test]
fn idle_connections_end_after_their_timeout() {
    let origin = Origin::start(|wire, _| {
        wire.head()?;
        reply(wire, 200, "served")?;
        wire.rest().map(|_| ())
    });
    let config = Config::new().http("web", "", "{ match: {}, cluster: api }").cluster(
        "api",
        &origin,
        "pool: { idle_timeout: 500ms }",
    );
    let proxy = Proxy::start(&config);
    let mut wire = proxy.connect("web");
    wire.get("/").unwrap();
    wire.response().unwrap();
    until("the idle connection to end", || (origin.ended() == 1).then_some(()));
}

/// A gate that holds an upstream's answers back.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn pass(&self) {
        let open = self.open.lock().unwrap();
        let waiting = self.changed.wait_timeout_while(open, Duration::from_secs(20), |open| !*open);
        drop(waiting.unwrap());
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

/// A pool of one connection and one place to wait, to an origin that answers once its gate is open.
fn gated() -> (Arc<Gate>, Origin, Proxy) {
    let gate = Arc::new(Gate::default());
    let ours = Arc::clone(&gate);
    let origin = Origin::start(move |wire, _| {
        loop {
            wire.head()?;
            ours.pass();
            reply(wire, 200, "served")?;
        }
    });
    let config = Config::new().http("web", "", "{ match: {}, cluster: api }").cluster(
        "api",
        &origin,
        "pool: { max_connections: 1, max_pending: 1 }",
    );
    let proxy = Proxy::start(&config);
    (gate, origin, proxy)
}

#[test]
fn requests_over_the_bounds_of_a_pool_are_refused_and_those_within_wait() {
    let (gate, origin, proxy) = gated();
    let gauge = |name: &str| proxy.metrics().sum_where(name, "\"api\"");
    let mut first = proxy.connect("web");
    first.get("/first").unwrap();
    until("the first to be on its way", || (origin.accepted() == 1).then_some(()));
    let mut second = proxy.connect("web");
    second.get("/second").unwrap();
    until("the second to wait", || {
        (gauge("sidering_cluster_upstream_rq_pending_active") == 1.0).then_some(())
    });
    let mut third = proxy.connect("web");
    third.get("/third").unwrap();
    assert_eq!(third.response().unwrap().status(), 503);
    assert_eq!(flags_of(&proxy, "/third"), "UO");
    gate.open();
    assert_eq!(first.response().unwrap().text(), "served");
    assert_eq!(second.response().unwrap().text(), "served");
    assert_eq!(origin.accepted(), 1);
    assert_eq!(gauge("sidering_cluster_upstream_rq_pending_overflow"), 1.0);
    let record = record_of(&proxy, "/second");
    assert_eq!(record["upstream_cluster"], "api", "{record}");
    drop((first, second, third, origin));
    proxy.assert_home();
}

#[test]
fn a_client_that_leaves_while_it_waits_gives_its_place_back() {
    let (gate, origin, proxy) = gated();
    let pending = |wanted: f64| {
        until("the queue", || {
            let now = proxy.metrics().sum_where("sidering_cluster_upstream_rq_pending_active", "\"api\"");
            (now == wanted).then_some(())
        });
    };
    let mut first = proxy.connect("web");
    first.get("/first").unwrap();
    until("the first to be on its way", || (origin.accepted() == 1).then_some(()));
    for _ in 0..3 {
        let mut waiting = proxy.connect("web");
        waiting.get("/waiting").unwrap();
        pending(1.0);
        waiting.reset().unwrap();
        pending(0.0);
    }
    gate.open();
    assert_eq!(first.response().unwrap().status(), 200);
}

#[test]
fn endpoints_take_turns_and_a_dead_one_costs_nothing() {
    let named = |name: &'static str| {
        Origin::start(move |wire, _| {
            loop {
                wire.head()?;
                reply(wire, 200, name)?;
            }
        })
    };
    let (a, b, dead) = (named("a"), named("b"), crate::failures::refused_address());
    let endpoints = format!("{a}\", \"{dead}\", \"{b}");
    let proxy = Proxy::start(&Config::http_to(endpoints));
    let mut wire = proxy.connect("web");
    let mut counts = [0, 0];
    for _ in 0..60 {
        wire.get("/").unwrap();
        match wire.response().unwrap().text().as_str() {
            "a" => counts[0] += 1,
            "b" => counts[1] += 1,
            other => panic!("{other}"),
        }
    }
    assert!(counts.iter().all(|count| *count >= 20), "{counts:?}");
}

/// Which core a client comes to is the kernel's choice, so there are some of them; one after the other, so that the
/// connection of one core has been idle for long enough when the other one has none.
#[test]
fn a_core_without_a_connection_gets_that_of_another_core() {
    let origin = Origin::start(|wire, _| {
        loop {
            wire.head()?;
            reply(wire, 200, "served")?;
        }
    });
    let config = Config::new().set("workers: 2").http("web", "", "{ match: {}, cluster: api }").cluster(
        "api",
        &origin,
        "pool: { share_idle_connections: true, idle_timeout: 1s }",
    );
    let proxy = Proxy::start(&config);
    let sum =
        |name: &str| proxy.metrics().sum_where(&format!("sidering_cluster_upstream_cx_{name}"), "\"api\"");
    until("a connection to be handed over", || {
        for _ in 0..6 {
            let mut wire = proxy.connect("web");
            wire.get("/").unwrap();
            assert_eq!(wire.response().unwrap().text(), "served");
            let_pass(Duration::from_millis(150));
        }
        if sum("handed_over") > 0.0 {
            return Some(());
        }
        // A core that took too long has both with a connection. Without any they begin anew.
        until("the pools to be empty", || (sum("active") == 0.0).then_some(()));
        None
    });
    assert_eq!(sum("total"), origin.accepted() as f64, "each was opened once");
    drop(origin);
    proxy.assert_home();
}
