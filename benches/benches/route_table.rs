//! What routing costs in user time: from authority and path to a route, by how many domains and routes there are, and
//! the normalisation of paths before it.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use sidering_dataplane::config::{ClusterIndex, PathMatch, Route, RouteAction, RouteMatch, VirtualHost};
use sidering_dataplane::route::RouteTable;
use sidering_dataplane::route::normalize::normalize;

const COUNTS: [usize; 3] = [1, 10, 1000];

fn route(path: PathMatch) -> Route {
    let matcher = RouteMatch { path, ..RouteMatch::default() };
    Route { matcher, action: RouteAction::cluster(ClusterIndex(0)), line: 1, ..Route::default() }
}

fn exact_domain(number: usize) -> String {
    format!("service-{number}.shop.svc.cluster.local")
}

fn wildcard_domain(number: usize) -> String {
    format!("*.tenant-{number}.example.com")
}

/// As many virtual hosts of one route each.
fn table_of_domains(count: usize, domain: fn(usize) -> String) -> RouteTable {
    let host = |number| VirtualHost {
        domains: vec![domain(number)],
        routes: vec![route(PathMatch::Any)],
        ..VirtualHost::default()
    };
    RouteTable::compile(&(0..count).map(host).collect::<Vec<_>>())
}

/// One virtual host with as many routes, of which the last takes what none before it took.
fn table_of_routes(count: usize) -> RouteTable {
    let prefix = |number| route(PathMatch::Prefix(format!("/api/v1/resource-{number}/")));
    let routes = (0..count).map(prefix).collect();
    RouteTable::compile(&[VirtualHost { domains: vec!["*".to_owned()], routes, ..VirtualHost::default() }])
}

fn domains(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route_table/domain");
    for count in COUNTS {
        let table = table_of_domains(count, exact_domain);
        let authority = format!("{}:8080", exact_domain(count / 2));
        group.bench_function(BenchmarkId::new("exact", count), |bencher| {
            bencher.iter(|| {
                table.find(black_box(authority.as_bytes()), b"/", false).expect("it is there").virtual_host
            });
        });
        let table = table_of_domains(count, wildcard_domain);
        let authority = wildcard_domain(count / 2).replace('*', "api");
        group.bench_function(BenchmarkId::new("wildcard", count), |bencher| {
            bencher.iter(|| {
                table.find(black_box(authority.as_bytes()), b"/", false).expect("it is there").virtual_host
            });
        });
    }
    group.finish();
}

fn routes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route_table/last_route");
    for count in COUNTS {
        let table = table_of_routes(count);
        let path = format!("/api/v1/resource-{}/items/4711?fields=name,price", count - 1);
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| {
                table.find(b"shop.test", black_box(path.as_bytes()), false).expect("it is there").index
            });
        });
    }
    group.finish();
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
