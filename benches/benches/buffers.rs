//! What a buffer for framing costs in user time: taken, given to the engine and had back, beside a plain allocation.

use std::collections::VecDeque;
use std::hint::black_box;
use std::rc::Rc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use sidering_dataplane::buffers::BufferPool;

const HEAD: [u8; 400] = [b'h'; 400];
/// How many buffers the engine holds at a time.
const IN_FLIGHT: [usize; 3] = [1, 16, 64];

/// An engine that drops the oldest buffer when it has as many as it may.
struct InFlight {
    held: VecDeque<Rc<Vec<u8>>>,
    most: usize,
}

impl InFlight {
    fn new(most: usize) -> Self {
        InFlight { held: VecDeque::with_capacity(most + 1), most }
    }

    fn send(&mut self, buffer: Rc<Vec<u8>>) {
        self.held.push_back(buffer);
        if self.held.len() > self.most {
            self.held.pop_front();
        }
    }
}

fn write_head(buffer: &mut Rc<Vec<u8>>) {
    let bytes = Rc::get_mut(buffer).expect("nobody else has it yet");
    bytes.extend_from_slice(black_box(&HEAD));
}

fn buffers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("buffers");
    for most in IN_FLIGHT {
        let (mut pool, mut engine) = (BufferPool::default(), InFlight::new(most));
        group.bench_function(BenchmarkId::new("pool", most), |bencher| {
            bencher.iter(|| {
                let mut buffer = pool.take();
                write_head(&mut buffer);
                pool.remember(&buffer);
                engine.send(buffer);
            });
        });
        let mut engine = InFlight::new(most);
        group.bench_function(BenchmarkId::new("allocate", most), |bencher| {
            bencher.iter(|| {
                let mut buffer = Rc::new(Vec::with_capacity(1024));
                write_head(&mut buffer);
                engine.send(buffer);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, buffers);
criterion_main!(benches);
