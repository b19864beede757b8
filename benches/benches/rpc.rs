//! What a call costs in user time: reading its frame, writing it on with another id, reading the answer and writing it back. It
//! measures whole calls of the codecs as the data plane makes them.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sidering_codecs::registry::{CodecOptions, protocol};
use sidering_codecs::rpc::RpcHead;
use sidering_codecs::{Codec, Edits, Event, Scratch, StreamId};

/// Calls that are under way at a time, as one batch of reads brings them.
const BATCH: usize = 32;
const PAYLOADS: [(&str, usize); 2] = [("small", 100), ("64 KiB", 64 * 1024)];

/// A protocol's frames.
struct Frames {
    protocol: &'static str,
    call: fn(&[u8]) -> Vec<u8>,
    answer: fn(&[u8]) -> Vec<u8>,
    id: Id,
}

/// Where an answer's id stands, how many bytes it has, and how many bits of them are used.
type Id = (usize, usize, u32);

/// Thrift is missing: it has no ids, so each of its connections has one call under way.
const ALL: [Frames; 4] = [
    Frames { protocol: "bolt", call: bolt_call, answer: bolt_answer, id: (5, 4, 32) },
    Frames { protocol: "dubbo", call: dubbo_call, answer: dubbo_answer, id: (4, 8, 64) },
    Frames { protocol: "tars", call: tars_call, answer: tars_answer, id: (8, 4, 31) },
    Frames {
        protocol: "dubbo_thrift",
        call: dubbo_thrift_call,
        answer: dubbo_thrift_answer,
        id: (36, 8, 63),
    },
];

const SERVICE: &[u8] = b"com.example.Catalog";

fn bolt_call(payload: &[u8]) -> Vec<u8> {
    let mut fields = Vec::new();
    for (name, value) in [
        (&b"service"[..], &b"com.example.Catalog:1.0"[..]),
        (b"sofa_head_method_name", b"find"),
        (b"rpc_trace_context.sofaTraceId", b"0a0fe8a11605148132001100221234"),
    ] {
        for text in [name, value] {
            fields.extend_from_slice(&(text.len() as u32).to_be_bytes());
            fields.extend_from_slice(text);
        }
    }
    let mut frame = vec![1, 1, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 11, 0xb8, 0, 44, 0, fields.len() as u8];
    frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    frame.extend_from_slice(b"com.alipay.sofa.rpc.core.request.SofaRequest");
    frame.extend_from_slice(&fields);
    frame.extend_from_slice(payload);
    frame
}

fn bolt_answer(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![1, 0, 0, 2, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0];
    frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

fn dubbo(flags: [u8; 2], body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    let mut frame = [&[0xda, 0xbb][..], &flags, &[0, 0, 0, 0, 0, 0, 0, 1]].concat();
    frame.extend_from_slice(&(body.len() as u32).to_be_bytes());
    frame.extend_from_slice(&body);
    frame
}

fn dubbo_call(payload: &[u8]) -> Vec<u8> {
    dubbo([0xc2, 0], &[b"\x052.0.2\x13", SERVICE, b"\x051.0.0\x04find\x12Ljava/lang/String;", payload])
}

fn dubbo_answer(payload: &[u8]) -> Vec<u8> {
    dubbo([2, 20], &[b"\x91", payload])
}

fn tars(head: &[u8], payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = [&[0, 0, 0, 0], head, &[0, 2], &length, payload, b"\x98\x0c\xa8\x0c"].concat();
    let total = frame.len() as u32;
    frame[..4].copy_from_slice(&total.to_be_bytes());
    frame
}

fn tars_call(payload: &[u8]) -> Vec<u8> {
    let head = [b"\x10\x01\x2c\x3c\x42\x01\x02\x03\x04\x56\x13", SERVICE, b"\x66\x04find\x7d"].concat();
    tars(&head, payload)
}

fn tars_answer(payload: &[u8]) -> Vec<u8> {
    tars(b"\x10\x01\x2c\x32\x01\x02\x03\x04\x4c\x5c\x6d", payload)
}

fn dubbo_thrift(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0, 0, 0, 0, 0xda, 0xbc, 0, 0, 0, 0, 0, 40, 1, 0, 0, 0, 19];
    frame.extend_from_slice(SERVICE);
    frame.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1, 0x80, 1, 0, kind, 0, 0, 0, 4]);
    frame.extend_from_slice(b"find\0\0\0\x01");
    frame.extend_from_slice(payload);
    let length = (frame.len() as u32 - 4).to_be_bytes();
    frame[..4].copy_from_slice(&length);
    frame[6..10].copy_from_slice(&length);
    frame
}

fn dubbo_thrift_call(payload: &[u8]) -> Vec<u8> {
    dubbo_thrift(1, payload)
}

fn dubbo_thrift_answer(payload: &[u8]) -> Vec<u8> {
    dubbo_thrift(2, payload)
}

/// Both sides of a proxy, and what a core shares between its connections.
struct Proxy {
    downstream: Box<dyn Codec>,
    upstream: Box<dyn Codec>,
    scratch: Scratch,
    edits: Edits,
    out: Vec<u8>,
    /// Downstream streams by the slot of the upstream ones.
    down: Vec<StreamId>,
    payload_bytes: usize,
}

impl Proxy {
    fn new(name: &str) -> Self {
        let protocol = protocol(name).expect("registered");
        Proxy {
            downstream: (protocol.server)(CodecOptions::default()),
            upstream: (protocol.client)(CodecOptions::default()),
            scratch: Scratch::default(),
            edits: Edits::default(),
            out: Vec::with_capacity(BATCH * 256),
            down: vec![StreamId::default(); BATCH],
            payload_bytes: 0,
        }
    }

    /// Reads calls and writes them on; payloads are lent, as they are to the kernel.
    fn forward(&mut self, mut input: &[u8]) {
        self.out.clear();
        let mut opened = StreamId::default();
        while let Ok(Some(event)) = self.downstream.decode(&mut self.scratch, &mut input) {
            match event {
                Event::Request { stream, head } => {
                    opened = self.upstream.open().expect("free");
                    self.down[opened.slot() as usize] = stream;
                    self.payload_bytes += short_payload_bytes(head.rpc);
                    let encoded = self.upstream.encode_request(opened, &head, &self.edits, &mut self.out);
                    encoded.expect("it fits");
                }
                Event::Data { bytes, .. } => {
                    self.payload_bytes += self.upstream.encode_data(opened, bytes, &mut self.out).allowed;
                }
                Event::End { .. } => self.upstream.encode_end(opened, &mut self.out),
                other => panic!("{other:?}"),
            }
        }
        black_box(&self.out);
    }

    /// Reads answers and writes them back.
    fn answer(&mut self, mut input: &[u8]) {
        self.out.clear();
        while let Ok(Some(event)) = self.upstream.decode(&mut self.scratch, &mut input) {
            match event {
                Event::Response { stream, head } => {
                    let down = self.down[stream.slot() as usize];
                    self.payload_bytes += short_payload_bytes(head.rpc);
                    let encoded = self.downstream.encode_response(down, &head, &self.edits, &mut self.out);
                    encoded.expect("it fits");
                }
                Event::Data { stream, bytes } => {
                    let down = self.down[stream.slot() as usize];
                    self.payload_bytes += self.downstream.encode_data(down, bytes, &mut self.out).allowed;
                }
                Event::End { stream } => {
                    self.downstream.encode_end(self.down[stream.slot() as usize], &mut self.out);
                }
                other => panic!("{other:?}"),
            }
        }
        black_box(&self.out);
        assert!(self.downstream.is_idle() && self.upstream.is_idle());
    }
}

/// What of a frame's payload goes with its head.
fn short_payload_bytes(rpc: Option<RpcHead<'_>>) -> usize {
    rpc.map_or(0, |rpc| rpc.taken_payload_bytes() as usize)
}

/// Numbers answers as the `round`th batch of calls went out: the slot that was freed last is used first.
fn number(answers: &mut [u8], frame_bytes: usize, (at, bytes, bits): Id, round: u32) {
    for (index, frame) in answers.chunks_mut(frame_bytes).enumerate() {
        let slot = if round.is_multiple_of(2) { index } else { BATCH - 1 - index };
        let generation = round.wrapping_mul(BATCH as u32).wrapping_add(index as u32 + 1);
        let wire = (u64::from(generation) << 12 | slot as u64) & (u64::MAX >> (64 - bits));
        frame[at..at + bytes].copy_from_slice(&wire.to_be_bytes()[8 - bytes..]);
    }
}

fn calls(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rpc");
    for frames in ALL {
        for (size, payload_bytes) in PAYLOADS {
            let payload = vec![b'x'; payload_bytes];
            let calls = (frames.call)(&payload).repeat(BATCH);
            let answer = (frames.answer)(&payload);
            let mut answers = answer.repeat(BATCH);
            let (mut proxy, mut round) = (Proxy::new(frames.protocol), 0);
            group.throughput(Throughput::Elements(BATCH as u64));
            let title = format!("proxy {BATCH} {size} calls of {} and their answers", frames.protocol);
            group.bench_function(title, |bencher| {
                bencher.iter(|| {
                    proxy.forward(black_box(&calls));
                    number(&mut answers, answer.len(), frames.id, round);
                    round = round.wrapping_add(1);
                    proxy.answer(black_box(&answers));
                });
            });
            assert!(proxy.payload_bytes > payload_bytes, "calls passed");
        }
    }
    group.finish();
}

/// One call at a time, and a checksum, which is the only thing for which payload is looked at.
fn thrift(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rpc");
    let message = |kind: u8| {
        let mut frame = vec![0, 0, 0, 124, 0x80, 1, 0, kind, 0, 0, 0, 8];
        frame.extend_from_slice(b"svc:find\0\0\0\x01");
        frame.resize(128, b'x');
        frame
    };
    let (call, answer, mut proxy) = (message(1), message(2), Proxy::new("thrift"));
    group.throughput(Throughput::Elements(1));
    group.bench_function("proxy a small call of thrift and its answer", |bencher| {
        bencher.iter(|| {
            proxy.forward(black_box(&call));
            proxy.answer(black_box(&answer));
        });
    });
    group.finish();
}

criterion_group!(benches, calls, thrift);
criterion_main!(benches);
