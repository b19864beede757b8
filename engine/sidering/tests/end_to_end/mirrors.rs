//! Mirrored requests, with real sockets.

use crate::support::{Config, Origin, Proxy, pattern, until, web};
use std::sync::{Arc, Mutex};

const ROUTE: &str = "{ match: {}, cluster: api, mirror: { cluster: shadow } }";

#[test]
fn a_body_reaches_both_and_the_shadow_is_named_so() {
    let api = Origin::start(|wire, _| web::serve(wire));
    let received: Arc<Mutex<Vec<u8>>> = Arc::default();
    let seen = Arc::clone(&received);
    let shadow = Origin::recording(move |wire, _| {
        let head = wire.head()?;
        wire.body(&head, |bytes| seen.lock().unwrap().extend_from_slice(bytes))?;
        web::reply(wire, 500, "dropped\n")
    });
    let config = Config::new().http("web", "", ROUTE).cluster("api", &api, "");
    let proxy = Proxy::start(&config.cluster("shadow", &shadow, ""));
    let length = 200_000;
    let mut wire = proxy.connect("web");
    let head = format!("POST /check/{length} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    wire.send(head.as_bytes()).unwrap();
    pattern::write(&mut wire.stream(), length).unwrap();
    assert_eq!(wire.response().unwrap().text(), "equal\n");
    let mut body = vec![];
    pattern::write(&mut body, length).unwrap();
    until("the shadow has all of it", || (received.lock().unwrap().len() >= body.len()).then_some(()));
    assert!(*received.lock().unwrap() == body, "the shadow got something else");
    assert!(shadow.seen_text().to_ascii_lowercase().contains("\r\nhost: a-shadow\r\n"));
    drop((wire, api, shadow));
    proxy.assert_home();
}

#[test]
fn a_shadow_that_never_answers_is_not_felt() {
    let api = Origin::start(|wire, _| web::serve(wire));
    let shadow = Origin::start(|wire, _| wire.rest().map(drop));
    let config = Config::new().http("web", "", ROUTE).cluster("api", &api, "");
    let proxy = Proxy::start(&config.cluster("shadow", &shadow, "pool: { max_connections: 1 }"));
    let mut wire = proxy.connect("web");
    for _ in 0..20 {
        wire.get("/").unwrap();
        assert_eq!(wire.response().unwrap().text(), "hello\n");
    }
    assert_eq!(proxy.metrics().sum("sidering_cluster_upstream_rq_shadow_dropped"), 19.0);
    drop((wire, api, shadow));
}
