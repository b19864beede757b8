//! What a call pays for being counted by its service and method: its name found among a thousand, and its end counted. It must stay
//! below 40 ns a call.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use sidering_dataplane::observe::methods::{CallCounters, MethodNames};

const SERVICE: &str = "com.alipay.sofa.rpc.example.catalogue.CatalogueFacade:1.0";

fn method_metrics(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("method_metrics");
    let calls = CallCounters::new(&Arc::new(MethodNames::new(1_000)));
    let methods: Vec<String> = (0..1_000).map(|at| format!("queryProductsByCategory{at}")).collect();
    for method in &methods {
        calls.begin("bolt", SERVICE.as_bytes(), method.as_bytes(), true);
    }
    let mut count = |name: &str, methods: &[String]| {
        let mut next = (0..methods.len()).cycle();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let method = methods[next.next().unwrap_or_default()].as_bytes();
                let place = calls.begin("bolt", black_box(SERVICE.as_bytes()), black_box(method), true);
                calls.end(place, Some(1), black_box(700));
            });
        });
    };
    count("one_of_20", &methods[..20]);
    count("one_of_1000", &methods);
    // The table is full.
    count("of_none", &["unknown".to_owned()]);
    group.finish();
}

criterion_group!(benches, method_metrics);
criterion_main!(benches);
