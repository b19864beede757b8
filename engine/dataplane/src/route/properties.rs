//! Whatever the routes and the request: the index finds what asking one route after the other finds.

use super::tests::Head;
use super::*;
use crate::config::*;
use proptest::prelude::*;

const NAMES: &[&str] = &["x-a", "x-b"];
const VALUES: &[&str] = &["1", "2", "12", ""];
const METHODS: &[&str] = &["GET", "POST", "PUT"];
const PATTERNS: &[&str] = &["/a.*", "/a/[0-9]+", ".*", "/(a|b)/x", "/b"];
const TEMPLATES: &[&str] = &["/a/{id}", "/{x}/b", "/a/*/c", "/a/*/d", "/**", "/b/**", "/{x}/{y}/c"];

/// Paths that meet, nest and branch.
fn path() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(&["a", "b", "ab", "c", "d", "1", ""][..]);
    prop::collection::vec(segment, 0..4).prop_map(|segments| format!("/{}", segments.join("/")))
}

/// One of these, compiled once and not for each route.
fn compiled(of: &[&str], compile: fn(&str) -> PathMatch) -> impl Strategy<Value = PathMatch> + use<> {
    let made: Vec<PathMatch> = of.iter().map(|source| compile(source)).collect();
    prop::sample::select(made)
}

fn path_match() -> impl Strategy<Value = PathMatch> {
    prop_oneof![
        1 => Just(PathMatch::Any),
        4 => path().prop_map(PathMatch::Exact),
        4 => path().prop_map(PathMatch::Prefix),
        1 => compiled(PATTERNS, |source| PathMatch::Regex(Box::new(Pattern::new(source).unwrap()))),
        3 => compiled(TEMPLATES, |source| PathMatch::Template(Box::new(Template::new(source).unwrap()))),
    ]
}

fn text(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(of).prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = Option<StringMatch>> {
    let text = prop_oneof![
        6 => text(VALUES).prop_map(StringPattern::Exact),
        1 => text(VALUES).prop_map(StringPattern::Prefix),
    ];
    let text = (text, prop::bool::weighted(0.1))
        .prop_map(|(pattern, ignore_case)| StringMatch { pattern, ignore_case });
    prop::option::weighted(0.9, text)
}

fn conditions() -> impl Strategy<Value = Conditions> {
    let header = (text(NAMES), value(), prop::bool::weighted(0.1));
    let header = header.prop_map(|(name, value, invert)| {
        let test = value.map_or(HeaderTest::Present(true), HeaderTest::Text);
        HeaderMatch { name, test, invert }
    });
    let query = (text(NAMES), value()).prop_map(|(name, value)| QueryMatch { name, value });
    let rpc = (value(), value());
    let rpc = rpc.prop_map(|(service, method)| RpcMatch { service, method, ..RpcMatch::default() });
    (
        prop::collection::vec(text(METHODS), 0..3),
        prop::collection::vec(header, 0..3),
        prop::collection::vec(query, 0..2),
        prop::option::weighted(0.1, rpc.prop_map(Box::new)),
    )
        .prop_map(|(methods, headers, query, rpc)| Conditions {
            methods,
            headers,
            query,
            rpc,
            ..Conditions::default()
        })
}

fn route() -> impl Strategy<Value = Route> {
    let conditions = prop::option::of(conditions().prop_map(Box::new));
    (path_match(), prop::bool::weighted(0.1), conditions).prop_map(|(path, connect, conditions)| Route {
        matcher: RouteMatch { path, connect, conditions },
        ..Route::default()
    })
}

/// Method, path with query, fields, service of an RPC.
type Request = (String, String, Vec<(String, String)>, Option<String>);

fn request() -> impl Strategy<Value = Request> {
    let query =
        prop::option::of((text(NAMES), text(VALUES)).prop_map(|(name, value)| format!("?{name}={value}")));
    let path = (path(), query).prop_map(|(path, query)| path + &query.unwrap_or_default());
    let fields = prop::collection::vec((text(NAMES), text(VALUES)), 0..3);
    (text(METHODS), prop_oneof![9 => path, 1 => Just("*".to_owned())], fields, prop::option::of(text(VALUES)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_finds_what_a_scan_finds(
        routes in prop::collection::vec(route(), 0..120),
        requests in prop::collection::vec((request(), prop::bool::weighted(0.1)), 1..30),
    ) {
        let table = RouteTable::compile(vec![VirtualHost { domains: vec!["*".into()], routes, ..VirtualHost::default() }]);
        for ((method, path, fields, service), is_connect) in &requests {
            let head = Head::new(fields);
            let rpc = service.as_deref().map(|service| RpcView { service: service.as_bytes(), ..RpcView::default() });
            let view = RequestView {
                method: method.as_bytes(),
                is_connect: *is_connect,
                fields: head.fields(),
                rpc,
                ..RequestView::get(b"h", path.as_bytes())
            };
            let scanned = table.explain(&view);
            let found = table.find(&view);
            prop_assert_eq!(found.map(|found| found.index), scanned.found.map(|found| found.index));
            prop_assert_eq!(scanned.refused.len(), found.map_or(table.virtual_hosts()[0].routes.len(), |found| found.index));
        }
    }
}
