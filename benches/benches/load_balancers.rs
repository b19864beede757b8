//! What it costs to pick an endpoint, and to make a balancer anew, by how many endpoints there are.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use sidering_dataplane::cluster::HostTable;
use sidering_dataplane::cluster::lb::{Balancer, Maglev, RingHash, RingSizes, hash};
use sidering_dataplane::config::{Endpoint, LoadBalancing};
use sidering_dataplane::io::{Address, Time};
use sidering_dataplane::observe::counters::EndpointCounters;

const COUNTS: [usize; 3] = [10, 1000, 10_000];

/// Weights of 1 to `largest`.
fn endpoints(count: usize, largest: usize) -> Vec<Endpoint> {
    let address = |at: usize| Address::Ip(([10, 0, (at >> 8) as u8, at as u8], 80).into());
    (0..count)
        .map(|at| Endpoint { weight: (at % largest) as u32 + 1, ..Endpoint::new(address(at)) })
        .collect()
}

fn balancers(criterion: &mut Criterion) {
    let kinds = [
        ("round_robin", LoadBalancing::RoundRobin, 1),
        ("round_robin_weighted", LoadBalancing::RoundRobin, 128),
        ("least_request", LoadBalancing::LeastRequest, 1),
        ("least_request_weighted", LoadBalancing::LeastRequest, 128),
        ("random", LoadBalancing::Random, 1),
    ];
    for (name, kind, largest) in kinds {
        let mut group = criterion.benchmark_group(format!("load_balancers/{name}"));
        for count in COUNTS {
            let endpoints = endpoints(count, largest);
            let counters: Vec<Arc<EndpointCounters>> = (0..count).map(|_| Arc::default()).collect();
            let mut hosts = HostTable::default();
            hosts.update(&endpoints, &counters, Time::default());
            let candidates = hosts.candidates();
            let mut balancer = Balancer::new(kind, largest > 1, candidates, 0);
            let mut random: u64 = 1;
            group.bench_function(BenchmarkId::new("pick", count), |bencher| {
                bencher.iter(|| {
                    random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                    balancer.pick(candidates, black_box(random))
                });
            });
            group.bench_function(BenchmarkId::new("make", count), |bencher| {
                bencher.iter(|| Balancer::new(kind, largest > 1, black_box(candidates), 0));
            });
        }
        group.finish();
    }
}

fn tables(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("load_balancers/tables");
    for count in COUNTS {
        let endpoints = endpoints(count, 1);
        let (ring, table) = (RingHash::new(&endpoints, RingSizes::default()), Maglev::new(&endpoints));
        let mut number: u64 = 0;
        let mut next = || {
            number += 1;
            hash(&number.to_le_bytes(), 0)
        };
        group.bench_function(BenchmarkId::new("ring_hash_pick", count), |bencher| {
            bencher.iter(|| ring.pick(next(), 0));
        });
        group.bench_function(BenchmarkId::new("maglev_pick", count), |bencher| {
            bencher.iter(|| table.pick(next(), 0));
        });
        group.bench_function(BenchmarkId::new("ring_hash_make", count), |bencher| {
            bencher.iter(|| RingHash::new(black_box(&endpoints), RingSizes::default()));
        });
        group.bench_function(BenchmarkId::new("maglev_make", count), |bencher| {
            bencher.iter(|| Maglev::new(black_box(&endpoints)));
        });
    }
    group.finish();
}

criterion_group!(benches, balancers, tables);
criterion_main!(benches);
