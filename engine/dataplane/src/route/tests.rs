//! Tables of which requests are taken by which domains and conditions, after what Envoy documents.

use super::domains::LONGEST_AUTHORITY;
use super::*;
use crate::config::*;
use sidering_codecs::{FieldName, FieldSpan, Fields};

/// A head's fields, put together from names and values.
#[derive(Default)]
pub(super) struct Head {
    bytes: Vec<u8>,
    spans: Vec<FieldSpan>,
}

impl Head {
    pub(super) fn new<N: AsRef<str>, V: AsRef<str>>(fields: &[(N, V)]) -> Head {
        let mut head = Head::default();
        for (name, value) in fields {
            let (name, value) = (name.as_ref(), value.as_ref());
            let start = head.bytes.len() as u32;
            head.bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
            head.spans.push(FieldSpan {
                line_start: start,
                value_start: start + name.len() as u32 + 2,
                value_len: value.len() as u32,
                line_end: head.bytes.len() as u32,
                name_len: name.len() as u16,
                name: FieldName::Other,
                hop_by_hop: false,
            });
        }
        head
    }

    pub(super) fn fields(&self) -> Fields<'_> {
        Fields::new(&self.bytes, &self.spans)
    }
}

fn route(path: PathMatch, line: u32) -> Route {
    Route { matcher: RouteMatch { path, ..RouteMatch::default() }, line, ..Route::default() }
}

fn host(domains: &[&str], line: u32) -> VirtualHost {
    let domains = domains.iter().map(ToString::to_string).collect();
    VirtualHost { domains, routes: vec![route(PathMatch::Any, line)], ..VirtualHost::default() }
}

/// Whether a route with these conditions takes the request.
fn takes(conditions: Conditions, view: &RequestView<'_>) -> bool {
    let conditions = Some(Box::new(conditions));
    let matcher = RouteMatch { conditions, ..RouteMatch::default() };
    let routes = vec![Route { matcher, ..Route::default() }];
    let table = RouteTable::compile(vec![VirtualHost {
        domains: vec!["*".into()],
        routes,
        ..VirtualHost::default()
    }]);
    table.find(view).is_some()
}

fn header(name: &str, test: HeaderTest, invert: bool) -> Conditions {
    Conditions { headers: vec![HeaderMatch { name: name.into(), test, invert }], ..Conditions::default() }
}

fn text(pattern: StringPattern) -> HeaderTest {
    HeaderTest::Text(StringMatch { pattern, ignore_case: false })
}

#[test]
fn domains_exact_then_longest_suffix_then_longest_prefix_then_any() {
    let table = RouteTable::compile(vec![
        host(&["*"], 1),
        host(&["api.example.com", "with.port:8080"], 2),
        host(&["*.example.com"], 3),
        host(&["*.deep.example.com", "*-x.example.com"], 4),
        host(&["api.*"], 5),
        host(&["api.internal.*"], 6),
        host(&["[::1]"], 7),
        host(&["*.sized.org:81"], 8),
        host(&["*.org:81"], 9),
    ]);
    for (authority, line) in [
        ("api.example.com", 2),
        ("API.Example.COM:80", 2),
        ("with.port:8080", 2),
        ("with.port:8081", 1),
        ("with.port", 1),
        ("b.example.com", 3),
        ("b.example.com:443", 3),
        ("a.deep.example.com", 4),
        ("b-x.example.com", 4),
        (".example.com", 1),
        ("example.com", 1),
        ("api.org", 5),
        ("api.internal.org:1", 6),
        ("api.", 1),
        ("[::1]:443", 7),
        ("[::1]", 7),
        ("a.sized.org:81", 8),
        ("a.sized.org:82", 1),
        ("a.org:81", 9),
        ("", 1),
        ("other", 1),
        ("other:", 1),
    ] {
        let found = table.find(&RequestView::get(authority.as_bytes(), b"/")).unwrap();
        assert_eq!(found.route.line, line, "{authority}");
    }
}

#[test]
fn services_are_taken_with_their_version_first_and_without_it_then() {
    let table = RouteTable::compile(vec![
        host(&["*"], 1),
        host(&["com.a.Facade"], 2),
        host(&["com.a.Facade:2.0"], 3),
        host(&["com.b.*"], 4),
        host(&["*.Facade:3.0-beta"], 5),
    ]);
    for (service, line) in [
        ("com.a.Facade", 2),
        ("com.a.Facade:1.0", 2),
        ("com.a.Facade:1", 2),
        ("com.a.Facade:", 2),
        ("com.a.Facade:2.0", 3),
        ("COM.A.FACADE:2.0", 3),
        ("com.b.Facade:1.0", 4),
        ("com.b.Facade", 4),
        ("com.c.Facade:3.0-beta", 5),
        ("com.c.Facade:3.0", 1),
        ("", 1),
    ] {
        let rpc = Some(RpcView { service: service.as_bytes(), ..RpcView::default() });
        let view = RequestView { authority: service.as_bytes(), rpc, ..RequestView::default() };
        assert_eq!(table.find(&view).unwrap().route.line, line, "{service}");
        // What is behind the colon of a host is no port.
        let host = RequestView { authority: b"com.a.Facade:1.0", ..RequestView::default() };
        assert_eq!(table.find(&host).unwrap().route.line, 1);
    }
}

#[test]
fn an_authority_is_looked_up_until_it_is_too_long_to_be_one() {
    let table = RouteTable::compile(vec![host(&["*"], 1), host(&["a*.x"], 3), host(&["*.x"], 2)]);
    for (length, line) in [(LONGEST_AUTHORITY - 1, 2), (LONGEST_AUTHORITY, 2), (LONGEST_AUTHORITY + 1, 1)] {
        let authority = format!("{}.x", "a".repeat(length - 2));
        let found = table.find(&RequestView::get(authority.as_bytes(), b"/")).unwrap();
        assert_eq!(found.route.line, line, "{length}");
    }
}

#[test]
fn no_domain_takes_it_without_any() {
    let table = RouteTable::compile(vec![host(&["a.example"], 1)]);
    for authority in ["b.example".to_owned(), "a".repeat(LONGEST_AUTHORITY + 1)] {
        let view = RequestView::get(authority.as_bytes(), b"/");
        assert!(table.find(&view).is_none() && table.explain(&view).virtual_host.is_none());
    }
}

#[test]
fn the_first_route_in_order_that_takes_the_path() {
    let mut connect = route(PathMatch::Any, 9);
    connect.matcher.connect = true;
    for padding in [0, 40] {
        let mut routes = vec![
            route(PathMatch::Exact("/a".into()), 1),
            route(PathMatch::Prefix("/a".into()), 2),
            connect.clone(),
            route(PathMatch::Regex(Box::new(Pattern::new("/r[0-9]+").unwrap())), 4),
            route(PathMatch::Template(Box::new(Template::new("/t/{id}").unwrap())), 5),
        ];
        routes.extend((0..padding).map(|at| route(PathMatch::Prefix(format!("/pad/{at}")), 100 + at)));
        routes.push(route(PathMatch::Prefix("/".into()), 3));
        let table = RouteTable::compile(vec![VirtualHost {
            domains: vec!["*".into()],
            routes,
            ..VirtualHost::default()
        }]);
        let line =
            |path: &str| table.find(&RequestView::get(b"h", path.as_bytes())).map(|found| found.route.line);
        for (path, expected) in [
            ("/a", 1),
            ("/a?q=/b", 1),
            ("/a/b", 2),
            ("/ab", 2),
            ("/r12?x", 4),
            ("/r12/", 3),
            ("/t/x", 5),
            ("/t/x/y", 3),
            ("/", 3),
            ("*", 3),
        ] {
            assert_eq!(line(path), Some(expected), "{path} among {padding}");
        }
        assert_eq!(line("relative"), None);
        let view = RequestView { is_connect: true, method: b"CONNECT", ..RequestView::get(b"h:443", b"") };
        assert_eq!(table.find(&view).unwrap().route.line, 9);
    }
}

#[test]
fn headers_are_matched_as_envoy_documents_it() {
    let regex = |source: &str| text(StringPattern::Regex(Pattern::new(source).unwrap()));
    let exact = |text: &str| HeaderTest::Text(StringMatch::exact(text));
    let range = |start, end| HeaderTest::Range { start, end };
    let head = Head::new(&[
        ("X-Version", "v2"),
        ("x-number", "-1"),
        ("x-empty", ""),
        ("x-twice", "a"),
        ("X-Twice", "b"),
        ("x-long", "1234"),
        ("x-plus", "+5"),
        ("x-many", "9223372036854775808"),
    ]);
    for (name, value, plain, inverted) in [
        ("x-version", exact("v2"), true, false),
        ("x-version", exact("V2"), false, true),
        ("x-version", text(StringPattern::Prefix("v".into())), true, false),
        ("x-version", text(StringPattern::Suffix("2".into())), true, false),
        ("x-version", text(StringPattern::Suffix("v".into())), false, true),
        ("x-version", text(StringPattern::Contains("2".into())), true, false),
        ("x-version", text(StringPattern::Contains("22".into())), false, true),
        ("x-version", HeaderTest::Present(true), true, false),
        ("x-empty", HeaderTest::Present(true), true, false),
        ("x-empty", exact(""), true, false),
        ("x-long", regex(r"\d{3}"), false, true),
        ("x-long", regex(r"\d{4}"), true, false),
        ("x-number", range(-10, 0), true, false),
        ("x-number", range(-10, -1), false, true),
        ("x-number", range(-1, 0), true, false),
        ("x-version", range(0, 10), false, true),
        ("x-many", range(0, i64::MAX), false, true),
        ("x-twice", exact("a,b"), false, true),
        ("x-twice", exact("a"), true, false),
        (":method", exact("GET"), true, false),
        (":path", text(StringPattern::Prefix("/?".into())), false, true),
        (":authority", exact("h"), true, false),
        // Missing: nothing holds for it, inverted or not, but its absence.
        ("x-missing", exact("v2"), false, false),
        ("x-missing", regex(".*"), false, false),
        ("x-missing", range(0, 10), false, false),
        ("x-missing", HeaderTest::Present(true), false, true),
    ] {
        let view = RequestView { fields: head.fields(), ..RequestView::get(b"h", b"/") };
        assert_eq!(takes(header(name, value.clone(), false), &view), plain, "{name} {value:?}");
        assert_eq!(takes(header(name, value.clone(), true), &view), inverted, "not {name} {value:?}");
    }
}

/// Held against the running Envoy in the end-to-end suite (`envoys_routes`).
#[test]
fn of_a_repeated_header_one_value_is_enough_and_inverted_none_may_fit() {
    let head = Head::new(&[("x", "a".to_owned()), ("y", "a".to_owned()), ("X", "b".to_owned())]);
    let view = RequestView { fields: head.fields(), ..RequestView::get(b"h", b"/") };
    for (value, fits) in [("a", true), ("b", true), ("a,b", false), ("c", false)] {
        let rule = |invert| header("x", text(StringPattern::Exact(value.into())), invert);
        assert_eq!((takes(rule(false), &view), takes(rule(true), &view)), (fits, !fits), "{value}");
    }
}

/// More than a few, so that values are looked up.
#[test]
fn an_index_by_header_looks_at_every_value_of_a_repeated_one() {
    let conditions = |at: u32| header("x", text(StringPattern::Exact(format!("v{at}"))), false);
    let route = |at| Route {
        matcher: RouteMatch { conditions: Some(Box::new(conditions(at))), ..RouteMatch::default() },
        line: at,
        ..Route::default()
    };
    let host = VirtualHost {
        domains: vec!["*".into()],
        routes: (0..100).map(route).collect(),
        ..VirtualHost::default()
    };
    let table = RouteTable::compile(vec![host]);
    for (first, second, found) in [(7, 3, Some(3)), (3, 7, Some(3)), (200, 99, Some(99)), (200, 300, None)] {
        let head = Head::new(&[("x", format!("v{first}")), ("x", format!("v{second}"))]);
        let view = RequestView { fields: head.fields(), ..RequestView::get(b"h", b"/") };
        assert_eq!(table.find(&view).map(|routed| routed.index), found, "{first} {second}");
    }
}

#[test]
fn methods_query_grpc_and_chance() {
    let get = RequestView::get(b"h", b"/p?v=2&flag");
    let methods = |list: &[&str]| Conditions {
        methods: list.iter().map(ToString::to_string).collect(),
        ..Conditions::default()
    };
    assert!(
        takes(methods(&["POST", "GET"]), &get)
            && !takes(methods(&["POST"]), &get)
            && !takes(methods(&["get"]), &get)
    );
    let query = |name: &str, value| Conditions {
        query: vec![QueryMatch { name: name.into(), value }],
        ..Conditions::default()
    };
    assert!(takes(query("v", Some(StringMatch::exact("2"))), &get));
    assert!(!takes(query("v", Some(StringMatch::exact("22"))), &get));
    assert!(takes(query("flag", None), &get) && !takes(query("p", None), &get));
    for (value, is_grpc) in [
        ("application/grpc", true),
        ("application/grpc+proto", true),
        ("application/grpc-web", false),
        ("text/plain", false),
    ] {
        let head = Head::new(&[("content-type", value)]);
        let view = RequestView { fields: head.fields(), ..get };
        assert_eq!(takes(Conditions { grpc: true, ..Conditions::default() }, &view), is_grpc, "{value}");
    }
    assert!(!takes(Conditions { grpc: true, ..Conditions::default() }, &get));
    let chance =
        |percent| Conditions { runtime_fraction: Some(Share::percent(percent)), ..Conditions::default() };
    let half = u64::MAX / 2;
    for (random, numerator, expected) in
        [(0, 0, false), (0, 1, true), (half, 50, true), (half + 1, 50, false), (u64::MAX, 100, true)]
    {
        assert_eq!(
            takes(chance(numerator), &RequestView { random, ..get }),
            expected,
            "{random} {numerator}"
        );
    }
}

#[test]
fn source_addresses() {
    for (address, bits, source, expected) in [
        ("10.0.0.0", 8, "10.255.0.1", true),
        ("10.0.0.0", 8, "11.0.0.1", false),
        ("10.1.2.3", 32, "10.1.2.3", true),
        ("10.1.2.3", 32, "10.1.2.2", false),
        ("0.0.0.0", 0, "1.2.3.4", true),
        ("0.0.0.0", 0, "::1", false),
        ("10.0.0.0", 8, "::ffff:10.0.0.1", true),
        ("2001:db8::", 33, "2001:db8:7fff::1", true),
        ("2001:db8::", 33, "2001:db8:8000::1", false),
        ("::", 0, "::1", true),
        ("::1", 128, "::2", false),
    ] {
        let sources = vec![Cidr { address: address.parse().unwrap(), prefix_bits: bits }];
        let view = RequestView { source: Some(source.parse().unwrap()), ..RequestView::get(b"h", b"/") };
        let conditions = Conditions { sources, ..Conditions::default() };
        assert_eq!(takes(conditions.clone(), &view), expected, "{source} in {address}/{bits}");
        assert!(!takes(conditions, &RequestView::get(b"h", b"/")), "no address is in no range");
    }
}

#[test]
fn the_neutral_fields_of_an_rpc() {
    let exact = |text: &str| Some(StringMatch::exact(text));
    let one = StringMatch { pattern: StringPattern::Prefix("1.".into()), ignore_case: false };
    let rule = RpcMatch { service: exact("com.Shop"), version: Some(one), ..RpcMatch::default() };
    let conditions = Conditions { rpc: Some(Box::new(rule)), ..Conditions::default() };
    let rpc = RpcView { service: b"com.Shop", method: b"buy", version: b"1.0", group: b"" };
    let view = |rpc| RequestView { rpc, ..RequestView::get(b"h", b"") };
    assert!(takes(conditions.clone(), &view(Some(rpc))));
    assert!(!takes(conditions.clone(), &view(Some(RpcView { version: b"2.0", ..rpc }))));
    assert!(!takes(conditions.clone(), &view(Some(RpcView { version: b"", ..rpc }))));
    assert!(!takes(conditions, &view(None)));
}

#[test]
fn an_explanation_tells_what_each_route_missed() {
    let mut routes =
        vec![route(PathMatch::Exact("/b".into()), 1), route(PathMatch::Any, 2), route(PathMatch::Any, 3)];
    routes[1].matcher.conditions =
        Some(Box::new(header("x-a", HeaderTest::Text(StringMatch::exact("1")), false)));
    let table = RouteTable::compile(vec![VirtualHost {
        domains: vec!["*".into()],
        routes,
        ..VirtualHost::default()
    }]);
    let explanation = table.explain(&RequestView::get(b"h", b"/a"));
    let reasons: Vec<_> = explanation.refused.iter().map(|refused| refused.mismatch.to_string()).collect();
    assert_eq!(reasons, ["the path is not /b", "the header x-a is not `1`"]);
    assert_eq!((explanation.virtual_host, explanation.found.unwrap().index), (Some(0), 2));
}

#[test]
fn a_table_says_what_it_asks_about() {
    let asks = |conditions| {
        let mut route = route(PathMatch::Any, 1);
        route.matcher.conditions = Some(Box::new(conditions));
        RouteTable::compile(vec![VirtualHost {
            domains: vec!["*".into()],
            routes: vec![route],
            ..VirtualHost::default()
        }])
        .asks()
    };
    let sources = vec![Cidr { address: [10, 0, 0, 0].into(), prefix_bits: 8 }];
    let fraction = Some(Share::percent(1));
    assert_eq!(asks(Conditions::default()), Asks::default());
    assert_eq!(asks(Conditions { sources, ..Conditions::default() }), Asks { source: true, random: false });
    assert_eq!(
        asks(Conditions { runtime_fraction: fraction, ..Conditions::default() }),
        Asks { source: false, random: true }
    );
}
