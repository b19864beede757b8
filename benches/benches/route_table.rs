//! What routing costs in user time: from authority and path to a route, by how many domains and routes there are, and
//! the normalisation of paths before it.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use sidering_codecs::{FieldName, FieldSpan, Fields};
use sidering_dataplane::config::{
    ClusterIndex, Conditions, HeaderMatch, HeaderTest, PathMatch, Route, RouteAction, RouteMatch,
    StringMatch, VirtualHost,
};
use sidering_dataplane::route::normalize::normalize;
use sidering_dataplane::route::{Pattern, RequestView, RouteTable, Template};

const COUNTS: [usize; 3] = [10, 1000, 10_000];

fn route(path: PathMatch, conditions: Option<Conditions>) -> Route {
    let matcher = RouteMatch { path, conditions: conditions.map(Box::new), ..RouteMatch::default() };
    Route { matcher, action: RouteAction::cluster(ClusterIndex(0)), line: 1, ..Route::default() }
}

fn exact_domain(number: usize) -> String {
    format!("service-{number}.shop.svc.cluster.local")
}

fn suffix_domain(number: usize) -> String {
    format!("*.tenant-{number}.example.com")
}

fn prefix_domain(number: usize) -> String {
    format!("tenant-{number}.*")
}

/// As many virtual hosts of one route each.
fn table_of_domains(count: usize, domain: fn(usize) -> String) -> RouteTable {
    let host = |number| VirtualHost {
        domains: vec![domain(number)],
        routes: vec![route(PathMatch::Any, None)],
        ..VirtualHost::default()
    };
    RouteTable::compile((0..count).map(host).collect())
}

/// One virtual host with as many routes, of which the last takes what none before it took.
fn table_of_routes(count: usize, make: fn(usize) -> Route) -> RouteTable {
    let routes = (0..count).map(make).collect();
    RouteTable::compile(vec![VirtualHost { domains: vec!["*".to_owned()], routes, ..VirtualHost::default() }])
}

fn domains(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route_table/domain");
    let kinds = [
        ("exact", exact_domain as fn(usize) -> String),
        ("suffix", suffix_domain),
        ("prefix", prefix_domain),
    ];
    for (name, domain) in kinds {
        for count in COUNTS {
            let table = table_of_domains(count, domain);
            let authority = format!("{}:8080", domain(count / 2).replace('*', "api"));
            let view = RequestView::get(authority.as_bytes(), b"/");
            group.bench_function(BenchmarkId::new(name, count), |bencher| {
                bencher.iter(|| table.find(black_box(&view)).expect("it is there").virtual_host);
            });
        }
    }
    group.finish();
}

fn header(value: usize) -> Conditions {
    let test = HeaderTest::Text(StringMatch::exact(&format!("tenant-{value}")));
    let headers = vec![HeaderMatch { name: "x-tenant".to_owned(), test, invert: false }];
    Conditions { headers, ..Conditions::default() }
}

type Shape = (&'static str, fn(usize) -> Route, fn(usize) -> String);

/// What a list of routes is made of, and the path that its route of a number takes.
const SHAPES: [Shape; 5] = [
    (
        "prefix",
        |number| route(PathMatch::Prefix(format!("/api/v1/resource-{number}/")), None),
        |number| format!("/api/v1/resource-{number}/items/4711?fields=name,price"),
    ),
    (
        "path",
        |number| route(PathMatch::Exact(format!("/api/v1/resource-{number}/items")), None),
        |number| format!("/api/v1/resource-{number}/items?fields=name,price"),
    ),
    (
        "template",
        |number| {
            let template = format!("/users/{{id}}/thing-{number}");
            route(PathMatch::Template(Box::new(Template::new(&template).expect("a template"))), None)
        },
        |number| format!("/users/4711/thing-{number}?fields=name,price"),
    ),
    (
        "regex",
        |number| {
            let regex = format!("/api/v1/resource-{number}/[0-9]+");
            route(PathMatch::Regex(Box::new(Pattern::new(&regex).expect("a regex"))), None)
        },
        |number| format!("/api/v1/resource-{number}/4711?fields=name,price"),
    ),
    (
        "header_on_one_prefix",
        |number| route(PathMatch::Prefix("/api/".to_owned()), Some(header(number))),
        |_| "/api/v1/items/4711?fields=name,price".to_owned(),
    ),
];

/// A head of some fields, the last of which tells the tenant.
fn head(tenant: usize) -> (Vec<u8>, Vec<FieldSpan>) {
    let (mut bytes, mut spans) = (vec![], vec![]);
    let tenant = format!("tenant-{tenant}");
    let fields = [("host", "shop.test"), ("user-agent", "bench"), ("accept", "*/*"), ("x-tenant", &tenant)];
    for (name, value) in fields {
        let start = bytes.len() as u32;
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        spans.push(FieldSpan {
            line_start: start,
            value_start: start + name.len() as u32 + 2,
            value_len: value.len() as u32,
            line_end: bytes.len() as u32,
            name_len: name.len() as u16,
            name: FieldName::Other,
            hop_by_hop: false,
        });
    }
    (bytes, spans)
}

fn routes(criterion: &mut Criterion) {
    for (name, make, path) in SHAPES {
        let mut group = criterion.benchmark_group(format!("route_table/{name}"));
        for count in COUNTS {
            let table = table_of_routes(count, make);
            for (which, number) in [("first", 0), ("last", count - 1)] {
                let path = path(number);
                let (bytes, spans) = head(number);
                let fields = Fields::new(&bytes, &spans);
                let view = RequestView { fields, ..RequestView::get(b"shop.test", path.as_bytes()) };
                assert_eq!(table.find(&view).map(|found| found.index), Some(number), "{name}");
                group.bench_function(BenchmarkId::new(which, count), |bencher| {
                    bencher.iter(|| table.find(black_box(&view)).expect("it is there").index);
                });
            }
        }
        group.finish();
    }
}

fn paths(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("normalize");
    let plain: &[u8] = b"/api/v1/catalogue/products/4711?fields=name,price&lang=en";
    let dotted: &[u8] = b"/api/v1/../v2/./catalogue/%7Eproducts/4711?fields=name,price";
    for (name, path) in [("plain", plain), ("dotted", dotted)] {
        let mut out = Vec::with_capacity(256);
        group.bench_function(name, |bencher| {
            bencher.iter(|| normalize(black_box(path), true, &mut out));
        });
    }
    group.finish();
}

criterion_group!(benches, domains, routes, paths);
criterion_main!(benches);
