//! How requests are spread over the endpoints of a cluster, as the endpoints see it.

use crate::support::web::reply;
use crate::support::{Config, Origin, Proxy, Wire, until};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

/// An origin that counts what it answers. A request for `/held` is answered when `release` says so.
struct Counted {
    origin: Origin,
    served: Arc<AtomicUsize>,
    held: Arc<AtomicUsize>,
    gate: Arc<(Mutex<bool>, Condvar)>,
}

impl Counted {
    fn start() -> Counted {
        let served = Arc::new(AtomicUsize::new(0));
        let held = Arc::new(AtomicUsize::new(0));
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let (count, holding, wait) = (Arc::clone(&served), Arc::clone(&held), Arc::clone(&gate));
        let origin = Origin::start(move |wire, _| {
            loop {
                let head = wire.head()?;
                if head.target() == "/held" {
                    holding.fetch_add(1, Ordering::SeqCst);
                    let is_open = wait.0.lock().expect("no thread panics with it");
                    drop(wait.1.wait_while(is_open, |is_open| !*is_open));
                } else {
                    count.fetch_add(1, Ordering::SeqCst);
                }
                reply(wire, 200, "served")?;
            }
        });
        Counted { origin, served, held, gate }
    }

    fn release(&self) {
        *self.gate.0.lock().expect("no thread panics with it") = true;
        self.gate.1.notify_all();
    }

    fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }
}

/// A proxy in front of the origins, each with its weight.
fn proxy(origins: &[Counted], weights: &[u32], lb: &str) -> Proxy {
    let endpoint = |(origin, weight): (&Counted, &u32)| {
        format!("{{ address: \"{}\", weight: {weight} }}", origin.origin)
    };
    let endpoints: Vec<String> = origins.iter().zip(weights).map(endpoint).collect();
    let config = Config::new().http("web", "", "{ match: {}, cluster: api }");
    Proxy::start(&config.cluster_of("api", &endpoints, &format!("lb: {lb}")))
}

/// Sends requests one after the other on one connection.
fn ask(wire: &mut Wire, requests: usize) {
    for _ in 0..requests {
        wire.get("/").unwrap();
        assert_eq!(wire.response().unwrap().status(), 200);
    }
}

#[test]
fn round_robin_follows_weights_exactly() {
    let weights = [1, 5, 3, 1];
    let origins = weights.map(|_| Counted::start());
    let proxy = proxy(&origins, &weights, "round_robin");
    ask(&mut proxy.connect("web"), 100);
    assert_eq!(origins.each_ref().map(Counted::served), [10, 50, 30, 10]);
}

/// 400 picks with a chance of a half: five standard deviations are 50.
#[test]
fn random_does_not_look_at_weights() {
    let weights = [1, 100];
    let origins = weights.map(|_| Counted::start());
    let proxy = proxy(&origins, &weights, "random");
    ask(&mut proxy.connect("web"), 400);
    let [first, second] = origins.each_ref().map(Counted::served);
    assert_eq!(first + second, 400);
    assert!(first.abs_diff(200) <= 50, "{first} and {second}");
}

/// The endpoint that has a request in hand is only picked if it is drawn twice, one time in four: 100 of 400 requests,
/// and five standard deviations are 44.
#[test]
fn least_request_prefers_who_has_less_in_hand() {
    let weights = [1, 1];
    let origins = weights.map(|_| Counted::start());
    let proxy = proxy(&origins, &weights, "least_request");
    let mut held = proxy.connect("web");
    held.get("/held").unwrap();
    let busy = until("an origin to hold the request", || {
        origins.iter().position(|origin| origin.held.load(Ordering::SeqCst) == 1)
    });
    ask(&mut proxy.connect("web"), 400);
    let counts = origins.each_ref().map(Counted::served);
    assert_eq!(counts.iter().sum::<usize>(), 400);
    assert!(counts[busy].abs_diff(100) <= 44, "{counts:?}, and {busy} was busy");
    origins[busy].release();
    assert_eq!(held.response().unwrap().status(), 200);
}

#[test]
fn the_configuration_in_use_names_the_balancer() {
    let origins = [Counted::start()];
    for lb in ["round_robin", "least_request", "random"] {
        let (_, dump) = proxy(&origins, &[1], lb).admin("/config_dump");
        let dump = dump.replace(char::is_whitespace, "");
        assert!(dump.contains(&format!("\"lb\":\"{lb}\"")), "{dump}");
    }
}

#[test]
fn a_route_takes_a_subset_of_the_endpoints_and_falls_back_as_the_cluster_says() {
    let origins = [(); 3].map(|()| Counted::start());
    let endpoint = |(origin, version): (&Counted, &str)| {
        format!("{{ address: \"{}\", metadata: {{ version: {version} }} }}", origin.origin)
    };
    let endpoints: Vec<String> = origins.iter().zip(["v1", "v2", "v2"]).map(endpoint).collect();
    let subsets = "subsets: { selectors: [{ keys: [version] }], fallback_policy: default_subset, \
                   default_subset: { version: v1 } }";
    let routes = "{ match: { prefix: /two }, cluster: api, subset: { version: v2 } }, \
                  { match: { prefix: /three }, cluster: api, subset: { version: v3 } }, \
                  { match: { prefix: /other }, cluster: api, subset: { stage: v2 } }, { match: {}, cluster: api }";
    let config = Config::new().http("web", "", routes).cluster_of("api", &endpoints, subsets);
    let proxy = Proxy::start(&config);
    let mut wire = proxy.connect("web");
    let mut ask = |target: &str, requests: usize| {
        for _ in 0..requests {
            wire.get(target).unwrap();
            assert_eq!(wire.response().unwrap().status(), 200);
        }
        origins.each_ref().map(Counted::served)
    };
    assert_eq!(ask("/two", 20), [0, 10, 10]);
    assert_eq!(ask("/three", 5), [5, 10, 10], "no endpoint has these metadata");
    assert_eq!(ask("/other", 5), [10, 10, 10], "no selector has this key");
    assert_eq!(ask("/", 5), [15, 10, 10], "the route wants nothing");
}
