//! Against Envoy's documentation of CORS.

use super::*;
use crate::config::{StringMatch, StringPattern};
use crate::filter::test_request::{Alone, Asked, compiled};
use crate::route::Pattern;
use sidering_codecs::{Edits, Fields};

fn origins(patterns: Vec<StringPattern>) -> Vec<StringMatch> {
    patterns.into_iter().map(|pattern| StringMatch { pattern, ignore_case: false }).collect()
}

fn config() -> Config {
    let pattern = StringPattern::Regex(Pattern::new(r"https://.*\.example\.com").unwrap());
    Config {
        allow_origin: origins(vec![StringPattern::Exact("https://a".into()), pattern]),
        allow_methods: "GET, PUT".into(),
        allow_headers: "x-a".into(),
        expose_headers: "x-b".into(),
        max_age: "60".into(),
        allow_credentials: Some(true),
        ..Config::default()
    }
}

fn filter(config: &Config) -> (Rc<dyn Filter>, Arc<ListenerCounters>) {
    compiled(config)
}

fn preflight(origin: &str) -> Asked {
    let headers = [
        ("Origin", origin),
        ("Access-Control-Request-Method", "DELETE"),
        ("Access-Control-Request-Headers", "x-c, x-d"),
        ("Access-Control-Request-Private-Network", "true"),
    ];
    Asked::new("OPTIONS", "/", &headers)
}

/// All header lines of the answer to a preflight request, without the common prefix.
fn answer(config: &Config, asked: &Asked) -> Option<String> {
    let mut alone = Alone::new(&filter(config).0);
    let (verdict, lines) = alone.ask(asked);
    let Verdict::Reply(reply) = verdict else { return None };
    assert_eq!((reply.status, reply.body, reply.details.as_str()), (200, "", "cors_response"));
    let lines = lines + &alone.answer(Fields::default()).0;
    Some(lines.replace("access-control-", "").replace("\r\n", "; "))
}

#[test]
fn preflight_requests_are_answered() {
    let whole = "allow-methods: GET, PUT; allow-headers: x-a; max-age: 60; allow-origin: https://b.example.com; \
                 allow-credentials: true; expose-headers: x-b; ";
    assert_eq!(answer(&config(), &preflight("https://b.example.com")).as_deref(), Some(whole));
    let any = Config {
        allow_origin: origins(vec![StringPattern::Exact("*".into())]),
        allow_methods: "*".into(),
        allow_headers: "*".into(),
        allow_private_network_access: Some(true),
        ..Config::default()
    };
    let repeated =
        "allow-methods: DELETE; allow-headers: x-c, x-d; allow-private-network: true; allow-origin: null; ";
    assert_eq!(answer(&any, &preflight("null")).as_deref(), Some(repeated));
}

#[test]
fn preflight_requests_of_others_go_on_unless_they_are_not_to() {
    assert_eq!(answer(&config(), &preflight("https://evil")), None);
    let refusing = Config { forward_not_matching_preflights: Some(false), ..config() };
    let refused = "allow-credentials: true; allow-methods: GET, PUT; allow-headers: x-a; max-age: 60; ";
    assert_eq!(answer(&refusing, &preflight("https://evil")).as_deref(), Some(refused));
}

#[test]
fn what_is_no_preflight_request_goes_on() {
    let origin = ("origin", "https://a");
    for asked in [
        Asked::new("GET", "/", &[origin, ("access-control-request-method", "GET")]),
        Asked::new("OPTIONS", "/", &[origin]),
        Asked::new("OPTIONS", "/", &[origin, ("access-control-request-method", "")]),
        Asked::new("OPTIONS", "/", &[("origin", ""), ("access-control-request-method", "GET")]),
        Asked::new("OPTIONS", "/", &[("access-control-request-method", "GET")]),
    ] {
        assert_eq!(answer(&config(), &asked), None);
    }
}

#[test]
fn answers_tell_browsers_who_may_read_them() {
    let mut theirs = Edits::default();
    theirs.add(b"Access-Control-Allow-Origin", b"*");
    theirs.add(b"x-other", b"1");
    theirs.add(b"access-control-allow-origin", b"https://z");
    let told = "access-control-allow-origin: https://a\r\naccess-control-allow-credentials: true\r\n\
                access-control-expose-headers: x-b\r\n";
    for (origin, expected, valid) in [("https://a", (told, 2), 1), ("https://evil", ("", 0), 0)] {
        let (filter, counters) = filter(&config());
        let mut alone = Alone::new(&filter);
        assert_eq!(alone.ask(&Asked::new("GET", "/", &[("origin", origin)])).0, Verdict::Continue);
        let (lines, removed) = alone.answer(theirs.added());
        assert_eq!((lines.as_str(), removed), expected, "{origin}");
        let counters = &counters.filters.cors;
        assert_eq!((counters.origin_valid.get(), counters.origin_invalid.get()), (valid, 1 - valid));
    }
}

#[test]
fn requests_without_an_origin_a_policy_or_a_cluster_are_none_of_its_business() {
    let asked = preflight("https://a");
    let mut direct = preflight("https://a");
    direct.is_forwarded = false;
    let plain = Asked::new("GET", "/", &[]);
    for (config, asked) in [(Config::default(), &asked), (config(), &direct), (config(), &plain)] {
        let (filter, counters) = filter(&config);
        let mut alone = Alone::new(&filter);
        assert_eq!(alone.ask(asked).0, Verdict::Continue);
        assert_eq!(alone.answer(Fields::default()), (String::new(), 0));
        let cors = &counters.filters.cors;
        assert_eq!((cors.origin_valid.get(), cors.origin_invalid.get()), (0, 0));
    }
}
