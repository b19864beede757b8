//! Frames of bolt, written and read by hand, and listeners for them.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use crate::support::{Bench, cluster, forward, http, limits, route};
use sidering_codecs::registry::CodecOptions;
use sidering_dataplane::config::*;
use sidering_dataplane::io::ConnId;
use sidering_dataplane::route::RouteTable;

pub(crate) const REQUEST: u8 = 1;
pub(crate) const ONE_WAY: u8 = 2;

/// A bolt request: id, kind and content.
pub(crate) fn request_of(kind: u8, id: u32, timeout_ms: i32, content: &[u8]) -> Vec<u8> {
    let fields = pair("service", "com.example.Echo:1.0");
    let mut frame = vec![1, kind, 0, 1, 1];
    frame.extend_from_slice(&id.to_be_bytes());
    frame.push(1);
    frame.extend_from_slice(&timeout_ms.to_be_bytes());
    frame.extend_from_slice(&1u16.to_be_bytes());
    frame.extend_from_slice(&(fields.len() as u16).to_be_bytes());
    frame.extend_from_slice(&(content.len() as u32).to_be_bytes());
    frame.push(b'C');
    frame.extend_from_slice(&fields);
    frame.extend_from_slice(content);
    frame
}

pub(crate) fn request(id: u32, content: &[u8]) -> Vec<u8> {
    request_of(REQUEST, id, 0, content)
}

pub(crate) fn response(id: u32, content: &[u8]) -> Vec<u8> {
    let mut frame = vec![1, 0, 0, 2, 1];
    frame.extend_from_slice(&id.to_be_bytes());
    frame.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0]);
    frame.extend_from_slice(&(content.len() as u32).to_be_bytes());
    frame.extend_from_slice(content);
    frame
}

pub(crate) fn heartbeat(id: u32) -> Vec<u8> {
    let mut frame = vec![1, REQUEST, 0, 0, 1];
    frame.extend_from_slice(&id.to_be_bytes());
    frame.extend_from_slice(&[1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
    frame
}

pub(crate) fn pair(key: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat();
    [text(key), text(value)].concat()
}

/// What a frame says: its id, its status (of answers), its content.
pub(crate) type Told = (u32, u16, Vec<u8>);

pub(crate) fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// All frames, which must be whole.
pub(crate) fn frames(mut bytes: &[u8]) -> Vec<Told> {
    let mut told = vec![];
    while !bytes.is_empty() {
        let is_answer = bytes[1] == 0;
        let at = if is_answer { 12 } else { 14 };
        let fixed = if is_answer { 20 } else { 22 };
        let head = fixed + number(&bytes[at..at + 2]) + number(&bytes[at + 2..at + 4]);
        let content = number(&bytes[at + 4..at + 8]);
        let status = if is_answer { number(&bytes[10..12]) as u16 } else { 0 };
        told.push((number(&bytes[5..9]) as u32, status, bytes[head..head + content].to_vec()));
        bytes = &bytes[head + content..];
    }
    told
}

/// A listener of this protocol in front of one cluster.
pub(crate) fn snapshot_of(protocol: &'static str, endpoints: u16) -> Snapshot {
    let mut snapshot = http(endpoints);
    let listener = HttpListener {
        protocol,
        codec: CodecOptions::default(),
        routes: RouteTable::compile(vec![VirtualHost {
            domains: vec!["*".into()],
            routes: vec![route("/", forward())],
            ..VirtualHost::default()
        }])
        .into(),
        ..HttpListener::default()
    };
    snapshot.listeners[0].kind = ListenerKind::Http(Box::new(listener));
    snapshot.listeners[0].limits = ListenerLimits { request_timeout_ms: 2_000, ..limits() };
    snapshot.clusters = vec![{
        let mut cluster = cluster(endpoints, protocol);
        cluster.pool.max_pending = 100;
        cluster.into()
    }];
    snapshot
}

/// A client with two calls under way, 1 and 2, the second of which is waited for so long; each has an upstream connection to itself:
/// the client, those connections, and the names of the calls there.
pub(crate) fn two_calls(snapshot: Snapshot, timeout_ms: i32) -> (Bench, ConnId, [ConnId; 2], [u32; 2]) {
    let mut bench = Bench::new(snapshot);
    let client = bench.client();
    bench.receive(client, &request(1, b"a"));
    let one = bench.connected();
    bench.receive(client, &request_of(REQUEST, 2, timeout_ms, b"b"));
    let two = bench.connected();
    assert_ne!(one, two);
    let names = [one, two].map(|conn| frames(&bench.flush(conn))[0].0);
    (bench, client, [one, two], names)
}
