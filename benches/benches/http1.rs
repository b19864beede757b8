//! What HTTP/1 costs in user time: reading heads, writing them on, and unframing chunks. It measures whole calls of the
//! codec as the data plane makes them, never inner functions.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sidering_codecs::registry::{CodecOptions, protocol};
use sidering_codecs::{
    BodyLength, Codec, Edits, Event, FieldName, Fields, ResponseHead, Scratch, StreamId, Version,
};

const STREAM: StreamId = StreamId(1);

/// 442 bytes, as a browser's fetch through a mesh looks.
const TYPICAL: &[u8] = b"GET /api/v1/catalogue/products/4711?fields=name,price&lang=en HTTP/1.1\r\n\
Host: catalogue.shop.svc.cluster.local:8080\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0\r\n\
Accept: application/json, text/plain, */*\r\n\
Accept-Encoding: gzip, deflate, br\r\n\
Accept-Language: en-GB,en;q=0.9\r\n\
Connection: keep-alive\r\n\
X-Request-Id: 7f3b1c9e-5a42-4d0f-9a77-0c1d2e3f4a5b\r\n\
X-Forwarded-For: 10.42.0.17\r\n\
X-Tenant: acme12-europe\r\n\r\n";

const SMALL: &[u8] = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 10:00:00 GMT\r\nServer: origin\r\n\
Content-Type: application/json\r\nContent-Length: 100\r\nCache-Control: no-store\r\n\r\n";

fn server() -> Box<dyn Codec> {
    (protocol("http1").expect("registered").server)(CodecOptions::default())
}

fn client() -> Box<dyn Codec> {
    (protocol("http1").expect("registered").client)(CodecOptions::default())
}

/// Reads one request and its end, and makes the codec ready for the next.
fn parse(server: &mut dyn Codec, scratch: &mut Scratch, out: &mut Vec<u8>, mut input: &[u8]) {
    while let Ok(Some(event)) = server.decode(scratch, &mut input) {
        black_box(&event);
    }
    out.clear();
    server.encode_response(STREAM, &empty_response(), &Edits::default(), out).expect("the head can be said");
    server.encode_end(STREAM, out);
}

fn empty_response() -> ResponseHead<'static> {
    ResponseHead {
        rpc: None,
        status: 200,
        version: Version::Http11,
        reason: b"OK",
        fields: Fields::default(),
        body: BodyLength::Sized(0),
    }
}

/// Both sides of a proxied exchange and what a core shares between its connections.
struct Proxy {
    downstream: Box<dyn Codec>,
    upstream: Box<dyn Codec>,
    scratch: Scratch,
    edits: Edits,
    out: Vec<u8>,
}

impl Proxy {
    fn new() -> Self {
        Proxy {
            downstream: server(),
            upstream: client(),
            scratch: Scratch::default(),
            edits: Edits::default(),
            out: Vec::with_capacity(4096),
        }
    }

    /// Reads one request and writes it on, with such an edit as a sidecar makes of every request.
    fn forward(&mut self, mut input: &[u8]) {
        let Ok(Some(Event::Request { head, .. })) = self.downstream.decode(&mut self.scratch, &mut input)
        else {
            return;
        };
        let stream = self.upstream.open().expect("free");
        self.edits.clear();
        self.edits.add_parts(FieldName::XForwardedProto, b"x-forwarded-proto", &[b"http"]);
        self.out.clear();
        self.upstream
            .encode_request(stream, &head, &self.edits, &mut self.out)
            .expect("the head can be said");
        self.upstream.encode_end(stream, &mut self.out);
        while let Ok(Some(_)) = self.downstream.decode(&mut self.scratch, &mut input) {}
        black_box(&self.out);
    }

    /// Reads the response to it, whose body of 100 bytes the kernel would relay, and writes it on.
    fn answer(&mut self, mut input: &[u8]) {
        let Ok(Some(Event::Response { head, .. })) = self.upstream.decode(&mut self.scratch, &mut input)
        else {
            return;
        };
        self.edits.clear();
        self.out.clear();
        self.downstream
            .encode_response(STREAM, &head, &self.edits, &mut self.out)
            .expect("the head can be said");
        self.upstream.skip_in(100);
        while let Ok(Some(_)) = self.upstream.decode(&mut self.scratch, &mut input) {}
        self.downstream.skip_out(100);
        self.downstream.encode_end(STREAM, &mut self.out);
        black_box(&self.out);
        assert!(self.downstream.is_idle() && self.upstream.is_idle());
    }
}

fn requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("http1");
    let (mut scratch, mut out) = (Scratch::default(), Vec::with_capacity(4096));
    for (name, bytes) in [("442 bytes", TYPICAL), ("32 bytes", SMALL)] {
        assert_eq!(format!("{} bytes", bytes.len()), name);
        let mut codec = server();
        group.bench_function(format!("parse a request of {name}, write an empty answer"), |bencher| {
            bencher.iter(|| parse(&mut *codec, &mut scratch, &mut out, black_box(bytes)));
        });
        let mut proxy = Proxy::new();
        group.bench_function(format!("proxy a request of {name} and its answer of 150"), |bencher| {
            bencher.iter(|| {
                proxy.forward(black_box(bytes));
                proxy.answer(black_box(RESPONSE));
            });
        });
    }
    group.finish();
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("http1");
    let mut scratch = Scratch::default();
    let (mut codec, mut input) = (server(), TYPICAL);
    let Ok(Some(Event::Request { head, .. })) = codec.decode(&mut scratch, &mut input) else { return };
    let mut edits = Edits::default();
    edits.add_parts(FieldName::XForwardedProto, b"x-forwarded-proto", &[b"http"]);
    let mut out = Vec::with_capacity(4096);
    group.bench_function("write a request of 442 bytes", |bencher| {
        bencher.iter_batched_ref(
            client,
            |upstream| {
                let stream = upstream.open().expect("free");
                out.clear();
                upstream
                    .encode_request(stream, black_box(&head), &edits, &mut out)
                    .expect("the head can be said");
                upstream.encode_end(stream, &mut out);
                black_box(&out);
            },
            BatchSize::SmallInput,
        );
    });
    let mut response_scratch = Scratch::default();
    group.bench_function("read a response of 150 bytes", |bencher| {
        bencher.iter_batched_ref(
            || {
                let mut upstream = client();
                let stream = upstream.open().expect("free");
                upstream
                    .encode_request(stream, &head, &edits, &mut Vec::new())
                    .expect("the head can be said");
                upstream.encode_end(stream, &mut Vec::new());
                upstream
            },
            |upstream| {
                let mut answer = black_box(RESPONSE);
                black_box(upstream.decode(&mut response_scratch, &mut answer).is_ok());
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn chunked(criterion: &mut Criterion) {
    const BODY_BYTES: usize = 64 * 1024;
    let mut group = criterion.benchmark_group("http1");
    group.throughput(Throughput::Bytes(BODY_BYTES as u64));
    let mut scratch = Scratch::default();
    for chunk in [256, 4096] {
        let mut input = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for _ in 0..BODY_BYTES / chunk {
            input.extend_from_slice(format!("{chunk:x}\r\n").as_bytes());
            input.resize(input.len() + chunk, b'x');
            input.extend_from_slice(b"\r\n");
        }
        input.extend_from_slice(b"0\r\n\r\n");
        group.bench_function(format!("decode 64 KiB in chunks of {chunk}"), |bencher| {
            bencher.iter_batched(
                server,
                |mut codec| {
                    let mut rest = black_box(input.as_slice());
                    while let Ok(Some(event)) = codec.decode(&mut scratch, &mut rest) {
                        black_box(&event);
                    }
                    codec
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, requests, encode, chunked);
criterion_main!(benches);
