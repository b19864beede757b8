//! Chains of filters: what is understood, and every mistake with its place.

use super::super::{Overrides, Problem, parse};
use sidering_dataplane::config::{
    Cidr, HeaderMatch, HeaderTest, HttpListener, ListenerKind, Share, StringMatch, StringPattern,
};
use sidering_dataplane::filter::adaptive_concurrency::{self, MinRtt};
use sidering_dataplane::filter::coding::{Coding, Library};
use sidering_dataplane::filter::local_rate_limit::{self, Action, Descriptor, Limit};
use sidering_dataplane::filter::{
    FilterConfig, compressor, concurrency_limit, cors, decompressor, fault, rbac,
};

/// A file with these lines in the listener, the virtual host and the route.
fn file(listener: &str, host: &str, route: &str) -> String {
    format!(
        "listeners:
- name: web
  address: 127.0.0.1:0
  protocol: http
  {listener}
  virtual_hosts:
  - domains: ['*']
    {host}
    routes:
    - match: {{ prefix: / }}
      cluster: api
      {route}
clusters: [{{ name: api, endpoints: [127.0.0.1:8080] }}]
"
    )
}

fn load(text: &str) -> Result<HttpListener, Vec<String>> {
    let overrides = Overrides { workers: Some(2), engine: None };
    let show = |problem: &Problem| {
        format!("{}:{} {} | {}", problem.place.line, problem.place.column, problem.message, problem.expected)
    };
    let loaded = parse("test.yaml", text, &overrides)
        .map_err(|report| report.problems.iter().map(show).collect::<Vec<_>>())?;
    assert!(loaded.report.problems.is_empty(), "{}", loaded.report);
    match loaded.snapshot.listeners.into_iter().next().unwrap().kind {
        ListenerKind::Http(http) => Ok(*http),
        ListenerKind::Tcp { .. } => panic!("not http"),
    }
}

/// The only filter of a chain.
fn only(filter: &str) -> FilterConfig {
    let http =
        load(&file(&format!("filters: [{filter}]"), "", "")).unwrap_or_else(|report| panic!("{report:#?}"));
    assert_eq!(http.filters.len(), 1);
    http.filters[0].config.clone()
}

fn exact(text: &str) -> StringMatch {
    StringMatch::exact(text)
}

#[test]
fn fault_injection() {
    let read = only(
        "{ name: fault, delay: { fixed_delay: 1s, percentage: 12.5 }, abort: { header_abort: {}, percentage: 100 }, \
         headers: [{ name: X-Canary, exact: yes }], max_active_faults: 5 }",
    );
    let header = HeaderMatch { name: "x-canary".into(), test: HeaderTest::Text(exact("yes")), invert: false };
    let expected = fault::Config {
        delay: Some(fault::Delay::Fixed { ms: 1000, share: Share(125_000) }),
        abort: Some(fault::Abort::Header { share: Share::ALL }),
        headers: vec![header],
        // Of two workers.
        max_active_faults: 3,
    };
    assert_eq!(read, FilterConfig::Fault(Box::new(expected)));
    assert_eq!(only("{ name: fault }"), FilterConfig::Fault(Box::default()));
}

#[test]
fn access_control() {
    let read = only(
        "{ name: rbac, rules: { action: deny, policies: {
             z: { permissions: [any: true], principals: [not_id: { remote_ip: 10.0.0.0/8 }] },
             a: { permissions: [{ methods: [GET] }, { and_rules: [{ url_path: { prefix: /a } }, { header: { name: x, present: true } }] }],
                  principals: [or_ids: [{ direct_remote_ip: 10.0.0.1 }, { any: true }]] } } } }",
    );
    use rbac::Condition;
    let block = |address: &str, prefix_bits| Cidr { address: address.parse().unwrap(), prefix_bits };
    let path = StringMatch { pattern: StringPattern::Prefix("/a".into()), ignore_case: false };
    let header = HeaderMatch { name: "x".into(), test: HeaderTest::Present(true), invert: false };
    let first = rbac::Policy {
        name: "a".into(),
        permissions: vec![
            Condition::Methods(vec!["GET".into()]),
            Condition::All(vec![Condition::UrlPath(path), Condition::Header(header)]),
        ],
        principals: vec![Condition::AnyOf(vec![
            Condition::DirectRemoteIp(block("10.0.0.1", 32)),
            Condition::Any,
        ])],
    };
    let second = rbac::Policy {
        name: "z".into(),
        permissions: vec![Condition::Any],
        principals: vec![Condition::Not(Box::new(Condition::RemoteIp(block("10.0.0.0", 8))))],
    };
    let rules = Some(rbac::Rules { action: rbac::Action::Deny, policies: vec![first, second] });
    assert_eq!(read, FilterConfig::Rbac(Box::new(rbac::Config { rules, shadow_rules: None })));
}

#[test]
fn cross_origin_requests() {
    let read = only(
        "{ name: cors, allow_origin: ['https://a', { suffix: .b, ignore_case: true }], allow_methods: 'GET, PUT', \
         max_age: 1h, allow_credentials: false }",
    );
    let suffix = StringMatch { pattern: StringPattern::Suffix(".b".into()), ignore_case: true };
    let expected = cors::Config {
        allow_origin: vec![exact("https://a"), suffix],
        allow_methods: "GET, PUT".into(),
        max_age: "3600".into(),
        allow_credentials: Some(false),
        ..cors::Config::default()
    };
    assert_eq!(read, FilterConfig::Cors(Box::new(expected)));
}

#[test]
fn virtual_hosts_and_routes_have_words_of_their_own() {
    let http = load(&file(
        "filters: [{ name: cors, disabled: true }, { name: fault }]",
        "filters: { fault: disabled }",
        "filters: { fault: { abort: { http_status: 503, percentage: 1 } }, cors: {} }",
    ))
    .unwrap();
    assert_eq!([http.filters[0].disabled, http.filters[1].disabled], [true, false]);
    let host = &http.routes.virtual_hosts()[0];
    let said = |overrides: &[sidering_dataplane::config::FilterOverride]| {
        overrides.iter().map(|special| (special.filter, special.config.is_some())).collect::<Vec<_>>()
    };
    assert_eq!(said(&host.filters), [("fault", false)]);
    assert_eq!(said(&host.routes[0].filters), [("cors", true), ("fault", true)]);
}

#[test]
fn paths_are_normalised_where_filters_look_at_them() {
    let rule = |condition: &str| {
        format!(
            "rules: {{ action: deny, policies: {{ p: {{ permissions: [{condition}], principals: [any: true] }} }} }}"
        )
    };
    let path = rule("not_rule: { url_path: { exact: /a } }");
    let header = rule("header: { name: ':path', exact: /a }");
    for (listener, route, normalised) in [
        (format!("filters: [{{ name: rbac, {path} }}]"), String::new(), true),
        (format!("filters: [{{ name: rbac, {header} }}]"), String::new(), true),
        (format!("filters: [{{ name: rbac, {} }}]", rule("any: true")), String::new(), false),
        ("filters: [{ name: rbac }]".to_owned(), format!("filters: {{ rbac: {{ {path} }} }}"), true),
        (
            "filters: [{ name: fault, headers: [{ name: ':path', exact: /a }] }]".to_owned(),
            String::new(),
            true,
        ),
    ] {
        let http = load(&file(&listener, "", &route)).unwrap();
        assert_eq!(http.options.normalize_path, normalised, "{listener} {route}");
    }
}

/// What a listener's `filters` is, and how the first problem then begins.
const MISTAKES: &[(&str, &str)] = &[
    ("[]", "5:12 an empty list | at least one of { name, ... }"),
    ("[{ delay: {} }]", "5:13 a filter without `name` | `name`: one of fault, rbac, cors,"),
    (
        "[{ name: falt }]",
        "5:21 `falt` is not among the choices | fault, rbac, cors, local_rate_limit, concurrency_limit, adaptive_concurrency, compressor, decompressor; did you mean `fault`?",
    ),
    ("[{ name: lua, x: 1 }]", "5:21 `lua` is in the format but not in this version"),
    ("[{ name: fault }, { name: fault }]", "5:30 a second filter `fault` | each filter once in a chain"),
    ("[{ name: fault, delay: { percentage: 1 } }]", "5:35 a fault that does nothing | `fixed_delay`, or"),
    ("[{ name: fault, delay: { fixed_delay: 1s } }]", "5:35 a delay without `percentage`"),
    (
        "[{ name: fault, delay: { fixed_delay: 0s, percentage: 1 } }]",
        "5:50 `0s` is out of range | 1ms to 8760h",
    ),
    (
        "[{ name: fault, delay: { fixed_delay: 1s, header_delay: {}, percentage: 1 } }]",
        "5:54 a fault of two kinds | either `fixed_delay` or `header_delay`",
    ),
    (
        "[{ name: fault, abort: { http_status: 199, percentage: 1 } }]",
        "5:50 199 is out of range | a whole number from 200 to 599",
    ),
    (
        "[{ name: fault, abort: { http_status: 600, percentage: 1 } }]",
        "5:50 600 is out of range | a whole number from 200 to 599",
    ),
    (
        "[{ name: fault, response_rate_limit: {} }]",
        "5:28 `response_rate_limit` is in the format but not in this version",
    ),
    ("[{ name: fault, delai: {} }]", "5:28 unknown key `delai` in a filter | did you mean `delay`?"),
    ("[{ name: rbac, rules: { action: allow } }]", "5:34 rules without `policies`"),
    ("[{ name: rbac, rules: { action: permit, policies: {} } }]", "5:44 `permit` is not among the choices"),
    (
        "[{ name: rbac, rules: { action: allow, policies: { p: { permissions: [], principals: [any: true] } } } }]",
        "5:81 an empty list | at least one of conditions",
    ),
    (
        "[{ name: rbac, rules: { action: allow, policies: { p: { permissions: [{ any: true, methods: [A] }], principals: [any: true] } } } }]",
        "5:82 a permission of two conditions | one condition each; `and_rules` joins several",
    ),
    (
        "[{ name: rbac, rules: { action: allow, policies: { p: { permissions: [any: true], principals: [authenticated: {}] } } } }]",
        "5:107 `authenticated` is in the format but not in this version",
    ),
    (
        "[{ name: rbac, rules: { action: allow, policies: { p: { permissions: [remote_ip: 10.0.0.1], principals: [any: true] } } } }]",
        "5:82 unknown key `remote_ip` in a permission",
    ),
    ("[{ name: cors, max_age: 1500ms }]", "5:36 `1500ms` is no whole second | seconds"),
    ("[{ name: cors, allow_methods: \"a\\r\\nb\" }]", "5:42 `a"),
];

#[test]
fn each_mistake_has_its_words() {
    for (filters, expected) in MISTAKES {
        let found = load(&file(&format!("filters: {filters}"), "", "")).unwrap_err();
        assert!(found.first().is_some_and(|line| line.starts_with(expected)), "{filters}: {found:#?}");
    }
    for (listener, route, expected) in [
        (
            "",
            "fault: disabled",
            "12:18 the listener has no filter `fault` | it among the listener's `filters`",
        ),
        (
            "filters: [name: cors]",
            "rbac: {}",
            "12:18 the listener has no filter `rbac` | one of the listener's filters: cors",
        ),
        (
            "filters: [name: fault]",
            "falt: {}",
            "12:18 the listener has no filter `falt` | did you mean `fault`?",
        ),
        (
            "filters: [name: fault]",
            "fault: off",
            "12:25 `off` where a filter is configured | a mapping, or `disabled`",
        ),
    ] {
        let found = load(&file(listener, "", &format!("filters: {{ {route} }}"))).unwrap_err();
        assert!(found.first().is_some_and(|line| line.starts_with(expected)), "{route}: {found:#?}");
    }
}

#[test]
fn conditions_lie_in_conditions_up_to_a_bound() {
    let nested = |levels: usize| {
        let condition = "not_rule: { ".repeat(levels - 1) + "any: true" + &" }".repeat(levels - 1);
        let policy = format!("{{ permissions: [{{ {condition} }}], principals: [any: true] }}");
        load(&file(
            &format!("filters: [{{ name: rbac, rules: {{ action: deny, policies: {{ p: {policy} }} }} }}]"),
            "",
            "",
        ))
    };
    assert!(nested(15).is_ok() && nested(16).is_ok());
    assert!(nested(17).unwrap_err()[0].contains("too deep | at most 16 levels"));
}

#[test]
fn rate_limits() {
    let read = only(
        "{ name: local_rate_limit, token_bucket: { max_tokens: 10, fill_interval: 1s }, filter_enforced: 50, status: 503, \
         enable_x_ratelimit_headers: draft_version_03, always_consume_default_token_bucket: false, \
         rate_limits: [{ actions: [{ remote_address: {} }, { request_headers: { header_name: X-User, descriptor_key: user } }] }, \
         { actions: [{ generic_key: { descriptor_value: a } }, { header_value_match: { descriptor_value: b, expect_match: false, \
         headers: [{ name: x-a, present: true }] } }] }], max_dynamic_descriptors: 5, \
         descriptors: [{ entries: [{ key: remote_address }, { key: user, value: ann }], \
         token_bucket: { max_tokens: 2, tokens_per_fill: 3, fill_interval: 50ms } }] }",
    );
    let headers = vec![HeaderMatch { name: "x-a".into(), test: HeaderTest::Present(true), invert: false }];
    let second = vec![
        Action::Generic { key: "generic_key".into(), value: "a".into() },
        Action::HeaderMatch { key: "header_match".into(), value: "b".into(), expect: false, headers },
    ];
    let first =
        vec![Action::RemoteAddress, Action::RequestHeader { name: "x-user".into(), key: "user".into() }];
    let expected = local_rate_limit::Config {
        token_bucket: Some(Limit { max_tokens: 10, tokens_per_fill: 1, fill_interval_ms: 1000 }),
        enabled: Share::ALL,
        enforced: Share::percent(50),
        status: 503,
        always_consume_default: false,
        tells_limits: true,
        rules: vec![first, second],
        descriptors: vec![Descriptor {
            entries: vec![("remote_address".into(), None), ("user".into(), Some("ann".into()))],
            token_bucket: Limit { max_tokens: 2, tokens_per_fill: 3, fill_interval_ms: 50 },
        }],
        most_keys: 5,
        cores: 2,
    };
    assert_eq!(read, FilterConfig::LocalRateLimit(Box::new(expected)));
}

#[test]
fn mistakes_in_rate_limits() {
    for (keys, problem) in [
        (
            "token_bucket: { max_tokens: 0, fill_interval: 1s }",
            "5:67 0 is out of range | a whole number from 1 to 4294967295",
        ),
        (
            "token_bucket: { max_tokens: 1, fill_interval: 49ms }",
            "5:85 `49ms` is out of range | 50ms to 8760h",
        ),
        (
            "token_bucket: { max_tokens: 1 }",
            "5:53 a token bucket without `fill_interval` | `fill_interval`: how often tokens are added, such as 1s",
        ),
        ("status: 200", "5:47 200 is out of range | a whole number from 400 to 599"),
        (
            "rate_limits: [{ actions: [{}] }]",
            "5:65 an action that says nothing | one of `remote_address`, `request_headers`, `generic_key`, `header_value_match`",
        ),
        (
            "descriptors: [{ entries: [{ key: a }], token_bucket: { max_tokens: 1, fill_interval: 1s } }]",
            "5:53 no request has a descriptor of a | keys that the actions of one of the `rate_limits` make, in their order",
        ),
        ("stage: 1", "5:39 `stage` is in the format but not in this version | no such key yet: leave it out"),
    ] {
        let text = file(&format!("filters: [{{ name: local_rate_limit, {keys} }}]"), "", "");
        assert_eq!(load(&text).unwrap_err(), [problem], "{keys}");
    }
}

#[test]
fn limits_of_concurrency() {
    let expected = concurrency_limit::Config { max_concurrency: 5, status: 529, cores: 2 };
    let read = only("{ name: concurrency_limit, max_concurrency: 5, status: 529 }");
    assert_eq!(read, FilterConfig::ConcurrencyLimit(Box::new(expected)));
    let adaptive = |gradient: &str| {
        only(&format!("{{ name: adaptive_concurrency, gradient_controller_config: {gradient} }}"))
    };
    // Half of each limit, for each of two cores.
    let defaults = adaptive_concurrency::Config { max_limit: 500, min_concurrency: 2, ..Default::default() };
    let read = adaptive(
        "{ concurrency_limit_params: { concurrency_update_interval: 100ms }, min_rtt_calc_params: { interval: 60s } }",
    );
    assert_eq!(read, FilterConfig::AdaptiveConcurrency(Box::new(defaults)));
    let read = adaptive(
        "{ sample_aggregate_percentile: 90, \
         concurrency_limit_params: { max_concurrency_limit: 5, concurrency_update_interval: 1s }, \
         min_rtt_calc_params: { fixed_value: 3ms, min_concurrency: 1, buffer: 50 } }",
    );
    let expected = adaptive_concurrency::Config {
        percentile: Share::percent(90),
        max_limit: 3,
        update_interval_ms: 1000,
        min_rtt: MinRtt::Fixed { micros: 3000 },
        min_concurrency: 1,
        buffer: Share::percent(50),
        ..Default::default()
    };
    assert_eq!(read, FilterConfig::AdaptiveConcurrency(Box::new(expected)));
    let limits = "concurrency_limit_params: { concurrency_update_interval: 100ms }";
    for (filter, problem) in [
        ("name: concurrency_limit, max_concurrency: 0".to_owned(), "0 is out of range"),
        ("name: adaptive_concurrency".to_owned(), "a filter without `gradient_controller_config`"),
        (
            format!(
                "name: adaptive_concurrency, gradient_controller_config: {{ {limits}, min_rtt_calc_params: {{}} }}"
            ),
            "a minRTT of no kind",
        ),
        (
            format!(
                "name: adaptive_concurrency, gradient_controller_config: {{ {limits}, \
                 min_rtt_calc_params: {{ interval: 1s, fixed_value: 1s }} }}"
            ),
            "a minRTT of two kinds",
        ),
    ] {
        let found = load(&file(&format!("filters: [{{ {filter} }}]"), "", "")).unwrap_err();
        assert!(found.len() == 1 && found[0].contains(problem), "{filter}: {found:#?}");
    }
}

#[test]
fn compression() {
    let read = only(
        "{ name: compressor, min_content_length: 1KiB, content_type: [Text/HTML], disable_on_etag_header: true, \
         remove_accept_encoding_header: true, libraries: [{ brotli: { quality: 5 } }, { gzip: {} }, { zstd: { compression_level: 9 } }] }",
    );
    let libraries = [(Coding::Brotli, 5), (Coding::Gzip, 6), (Coding::Zstd, 9)];
    let expected = compressor::Config {
        enabled: true,
        min_content_length: 1024,
        content_types: vec!["text/html".into()],
        disable_on_etag: true,
        remove_accept_encoding: true,
        libraries: libraries.map(|(coding, level)| Library { coding, level }).into(),
    };
    assert_eq!(read, FilterConfig::Compressor(Box::new(expected)));
    let read = only(
        "{ name: decompressor, libraries: [zstd, gzip], max_inflate_ratio: 20, advertise_accept_encoding: false }",
    );
    let expected = decompressor::Config {
        libraries: vec![Coding::Zstd, Coding::Gzip],
        advertise_accept_encoding: false,
        max_inflate_ratio: 20,
        ..Default::default()
    };
    assert_eq!(read, FilterConfig::Decompressor(Box::new(expected)));
    for (filter, problem) in [
        ("name: compressor", "a filter without `libraries`"),
        ("name: compressor, libraries: [{ gzip: {} }, { gzip: {} }]", "the same library once more"),
        ("name: compressor, libraries: [{ gzip: {}, zstd: {} }]", "two libraries in one item"),
        ("name: compressor, libraries: [{}]", "an item without a library"),
        ("name: compressor, libraries: [{ gzip: { compression_level: 10 } }]", "10 is out of range"),
        ("name: compressor, libraries: [{ deflate: {} }]", "unknown key `deflate`"),
        ("name: compressor, libraries: [{ gzip: {} }], content_type: [text]", "`text` is no media type"),
        ("name: decompressor, libraries: [deflate]", "`deflate` is not among the choices"),
        ("name: decompressor, libraries: [gzip], max_inflate_ratio: 0", "0 is out of range"),
        ("name: decompressor, libraries: [gzip, gzip]", "the same library once more"),
    ] {
        let found = load(&file(&format!("filters: [{{ {filter} }}]"), "", "")).unwrap_err();
        assert!(found.len() == 1 && found[0].contains(problem), "{filter}: {found:#?}");
    }
}
