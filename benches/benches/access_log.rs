//! What a core pays for an access-log record: encoding it, with what was captured for the format. Formatting is the log
//! thread's and not measured here.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sidering_dataplane::observe::access_log::{AccessRecord, capture};

const USER_AGENT: &[u8] = b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0";
const REQUEST_ID: &[u8] = b"7f3b1c9e-5a42-4d0f-9a77-0c1d2e3f4a5b";

fn record(captured: &[u8]) -> AccessRecord<'_> {
    AccessRecord {
        start_micros: 1_234_567,
        duration_micros: 812,
        upstream_micros: 640,
        received_bytes: 0,
        sent_bytes: 100,
        status: 200,
        snapshot_version: 3,
        method: b"GET",
        path: b"/api/v1/catalogue/products/4711?fields=name,price&lang=en",
        protocol: b"HTTP/1.1",
        authority: b"catalogue.shop.svc.cluster.local:8080",
        downstream_peer: b"10.42.0.17:51234",
        details: b"via_upstream",
        captured,
        ..AccessRecord::default()
    }
}

fn access_log(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("access_log");
    let (mut captured, mut out) = (Vec::with_capacity(512), Vec::with_capacity(1024));
    record(&[]).encode(&mut out);
    group.throughput(Throughput::Bytes(out.len() as u64));
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            out.clear();
            record(black_box(&[])).encode(&mut out);
        });
    });
    group.bench_function("capture_and_encode", |bencher| {
        bencher.iter(|| {
            captured.clear();
            for value in [Some(USER_AGENT), Some(REQUEST_ID), None] {
                capture(black_box(value), &mut captured);
            }
            out.clear();
            record(&captured).encode(&mut out);
        });
    });
    group.finish();
}

criterion_group!(benches, access_log);
criterion_main!(benches);
