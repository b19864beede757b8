//! Local rate limits across cores, as clients and the metrics see them.

use crate::support::access_log::{flags, record_of};
use crate::support::peers::curl;
use crate::support::wait::until;
use crate::support::web::serve;
use crate::support::{Config, Origin, Proxy, Wire};

const WORKERS: usize = 4;

fn start(origin: &Origin, workers: usize, filter: &str, routes: &str) -> Proxy {
    let keys = format!("filters: [{{ name: local_rate_limit, {filter} }}]");
    let config = Config::new().set(&format!("workers: {workers}")).http("web", &keys, routes);
    Proxy::start(&config.cluster("api", origin, ""))
}

const TO_API: &str = "{ match: { prefix: / }, cluster: api }";

/// A connection to each core: one after the other is opened until all have one.
fn connections(proxy: &Proxy) -> Vec<Wire> {
    let mut wires: Vec<Wire> = vec![];
    until("a connection on each core", || {
        wires.push(proxy.connect("web"));
        let metrics = proxy.metrics();
        let of = |core| metrics.sum_where("sidering_core_connections_active", &format!("core=\"{core}\""));
        (0..WORKERS).all(|core| of(core) > 0.0).then_some(())
    });
    wires
}

fn status(wire: &mut Wire, path: &str) -> u16 {
    wire.get(path).unwrap();
    wire.response().unwrap().status()
}

#[test]
fn a_refused_request_is_told_so() {
    let origin = Origin::recording(|wire, _| serve(wire));
    let limits = "token_bucket: { max_tokens: 2, fill_interval: 1h }, enable_x_ratelimit_headers: draft_version_03, \
                  rate_limits: [{ actions: [{ request_headers: { header_name: x-user, descriptor_key: user } }] }, \
                  { actions: [{ remote_address: {} }] }], always_consume_default_token_bucket: false, \
                  descriptors: [{ entries: [{ key: user }], token_bucket: { max_tokens: 1, fill_interval: 1h } }, \
                  { entries: [{ key: remote_address, value: 192.0.2.1 }], token_bucket: { max_tokens: 1, fill_interval: 1h } }]";
    let special = "{ match: { prefix: /special }, cluster: api, filters: { local_rate_limit: { status: 503, \
                   token_bucket: { max_tokens: 1, fill_interval: 1h } } } }";
    let free = "{ match: { prefix: /free }, cluster: api, filters: { local_rate_limit: disabled } }";
    let proxy = start(&origin, 1, limits, &[special, free, TO_API].join(", "));
    let ask = |path: &str, arguments: &[&str]| {
        let url = proxy.url(path);
        String::from_utf8_lossy(&curl(&[&["-i"], arguments, &[&url]].concat())).to_lowercase()
    };
    assert!(ask("/1", &[]).contains("\r\nx-ratelimit-limit: 2\r\nx-ratelimit-remaining: 1\r\n"));
    assert!(ask("/2", &[]).ends_with("hello\n"));
    let answer = ask("/3", &[]);
    assert!(answer.starts_with("http/1.1 429 ") && answer.ends_with("local_rate_limited"), "{answer}");
    for line in ["x-envoy-ratelimited: true", "x-ratelimit-remaining: 0", "x-ratelimit-reset: "] {
        assert!(answer.contains(line), "{line}: {answer}");
    }
    let record = record_of(&proxy, "/3");
    assert_eq!(
        (flags(&record).as_str(), record["response_code_details"].as_str()),
        ("RL", Some("local_rate_limited"))
    );
    for (user, status) in [("ann", 200), ("ann", 429), ("bob", 200), ("bob", 429)] {
        let answer = ask("/4", &["-H", &format!("x-user: {user}")]);
        assert!(answer.starts_with(&format!("http/1.1 {status} ")), "{user}: {answer}");
    }
    assert!(ask("/special", &[]).ends_with("hello\n"));
    assert!(ask("/special", &[]).starts_with("http/1.1 503 "));
    for _ in 0..4 {
        assert!(ask("/free", &[]).ends_with("hello\n"));
    }
    let metrics = proxy.metrics();
    let counted = ["enabled", "ok", "rate_limited", "enforced", "keys", "keys_overflow"];
    let counted = counted.map(|name| metrics.sum(&format!("sidering_http_local_rate_limit_{name}")));
    assert_eq!(counted, [9.0, 5.0, 4.0, 4.0, 2.0, 0.0]);
    assert!(!origin.seen_text().contains("GET /3 "), "a refused request must not reach the upstream");
    drop(origin);
    proxy.assert_home();
}

#[test]
fn all_cores_together_give_out_what_the_bucket_has_and_any_of_them_can() {
    let origin = Origin::recording(|wire, _| serve(wire));
    const TOKENS: usize = 30;
    let bucket = format!("token_bucket: {{ max_tokens: {TOKENS}, fill_interval: 1h }}");
    for hot in [false, true] {
        let proxy = start(&origin, WORKERS, &bucket, TO_API);
        let mut wires = connections(&proxy);
        // All requests on one core, or on all in turn: a core that runs dry gets what the others have left.
        let mut passed = 0;
        let mut turn = 0;
        until("all tokens to be given out", || {
            let at = if hot { 0 } else { turn % wires.len() };
            turn += 1;
            passed += usize::from(status(&mut wires[at], "/") == 200);
            (passed >= TOKENS).then_some(())
        });
        for wire in &mut wires {
            for _ in 0..5 {
                assert_eq!(status(wire, "/"), 429, "hot: {hot}");
            }
        }
        let metrics = proxy.metrics();
        assert_eq!(metrics.sum("sidering_http_local_rate_limit_ok"), TOKENS as f64);
    }
}

#[test]
fn a_client_has_one_bucket_on_all_cores() {
    let origin = Origin::recording(|wire, _| serve(wire));
    let limits = "rate_limits: [{ actions: [{ remote_address: {} }] }], descriptors: [{ entries: [{ key: remote_address }], \
                  token_bucket: { max_tokens: 7, fill_interval: 1h } }]";
    let proxy = start(&origin, WORKERS, limits, TO_API);
    let mut wires = connections(&proxy);
    let (mut passed, mut turn) = (0, 0);
    until("all tokens to be given out", || {
        turn += 1;
        let at = turn % wires.len();
        passed += usize::from(status(&mut wires[at], "/") == 200);
        (passed >= 7).then_some(())
    });
    for wire in &mut wires {
        assert_eq!(status(wire, "/"), 429);
    }
}
