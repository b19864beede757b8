//! The other protocols of calls, on their golden frames: out-of-order answers, routing keys, heartbeats.

use super::calls_to;
use crate::support::peers::repository;
use crate::support::{Config, Origin, Proxy, Wire};
use std::io;

/// A frame of codecs/tests/rpc/golden_frames.txt.
#[track_caller]
pub(super) fn golden(title: &str) -> Vec<u8> {
    let file = repository().join("codecs/tests/rpc/golden_frames.txt");
    let text = std::fs::read_to_string(&file).expect("the golden frames are there");
    let mut lines = text.lines().skip_while(|line| !line.starts_with(title));
    lines.next().unwrap_or_else(|| panic!("no golden frame `{title}`"));
    let dump = lines.take_while(|line| line.as_bytes().first().is_some_and(u8::is_ascii_digit));
    let digits = dump.flat_map(|line| line[10..58].split_whitespace());
    digits.map(|digits| u8::from_str_radix(digits, 16).expect("a hex dump")).collect()
}

/// A frame whose length stands at `at` in four bytes, and does not count the first `uncounted` bytes.
fn read(wire: &mut Wire, at: usize, uncounted: usize) -> io::Result<Vec<u8>> {
    let mut frame = super::bolt::take(wire, at + 4)?;
    let length = u32::from_be_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]]) as usize;
    frame.extend(super::bolt::take(wire, length + uncounted - at - 4)?);
    Ok(frame)
}

pub(super) fn read_dubbo(wire: &mut Wire) -> io::Result<Vec<u8>> {
    read(wire, 12, 16)
}

fn read_tars(wire: &mut Wire) -> io::Result<Vec<u8>> {
    read(wire, 0, 0)
}

fn read_thrift(wire: &mut Wire) -> io::Result<Vec<u8>> {
    read(wire, 0, 4)
}

/// `frame` with these bytes at `at`.
fn with(mut frame: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

const DUBBO_ID: usize = 4;

/// Answers every call of Dubbo.
pub(super) fn dubbo_origin() -> Origin {
    let answer = golden("dubbo response");
    Origin::start(move |wire, _| {
        loop {
            let call = read_dubbo(wire)?;
            wire.send(&with(answer.clone(), DUBBO_ID, &call[DUBBO_ID..DUBBO_ID + 8]))?;
        }
    })
}

#[test]
fn dubbo_calls_are_answered_out_of_order() {
    let answer = golden("dubbo response");
    let origin = Origin::start(move |wire, _| {
        loop {
            let (first, second) = (read_dubbo(wire)?, read_dubbo(wire)?);
            for call in [second, first] {
                wire.send(&with(answer.clone(), DUBBO_ID, &call[DUBBO_ID..DUBBO_ID + 8]))?;
            }
        }
    });
    let proxy = Proxy::start(&calls_to("dubbo", &origin));
    let mut wire = proxy.connect("calls");
    let call = |id: u64| with(golden("dubbo request"), DUBBO_ID, &id.to_be_bytes());
    for id in [1, u64::MAX - 1] {
        wire.send(&[call(id), call(id + 1)].concat()).unwrap();
        for id in [id + 1, id] {
            let expected = with(golden("dubbo response"), DUBBO_ID, &id.to_be_bytes());
            assert_eq!(read_dubbo(&mut wire).unwrap(), expected);
        }
    }
    assert_eq!(origin.accepted(), 1);
    wire.send(&golden("dubbo heartbeat request")).unwrap();
    let pong = read_dubbo(&mut wire).unwrap();
    assert_eq!((pong[2] & 0xa0, u64::from_be_bytes(pong[4..12].try_into().unwrap())), (0x20, 7));
}

#[test]
fn dubbo_calls_are_routed_by_what_stands_behind_their_arguments() {
    let origin = dubbo_origin();
    let routes = "{ match: { group: other }, direct_response: { status: 503 } }, \
                  { match: { service: io.mosn.EchoService, method: echo, version: 1.0.0, group: g1, \
                  headers: [{ name: timeout, exact: \"3000\" }] }, cluster: api }";
    let config = Config::new().rpc("calls", "dubbo", "", routes);
    let proxy = Proxy::start(&config.cluster("api", &origin, ""));
    let mut wire = proxy.connect("calls");
    wire.send(&golden("dubbo request")).unwrap();
    assert_eq!(read_dubbo(&mut wire).unwrap(), golden("dubbo response"));
    let group = golden("dubbo request").windows(2).rposition(|pair| pair == b"g1").unwrap();
    wire.send(&with(golden("dubbo request"), group, b"g2")).unwrap();
    // SERVICE_NOT_FOUND.
    assert_eq!(read_dubbo(&mut wire).unwrap()[3], 60);
}

/// Where the id of the golden request and of the golden answer stands, in four bytes.
const TARS_REQUEST_ID: usize = 9;
const TARS_ANSWER_ID: usize = 8;

/// The id of a Tars request: the field of tag 4, whichever its width.
pub(super) fn tars_id(call: &[u8]) -> u32 {
    let at = [8, 9, 10].into_iter().find(|at| call[*at] >> 4 == 4).expect("tag 4 behind three small fields");
    match call[at] & 0xf {
        12 => 0,
        0 => u32::from(call[at + 1]),
        1 => u32::from(u16::from_be_bytes([call[at + 1], call[at + 2]])),
        2 => u32::from_be_bytes(call[at + 1..at + 5].try_into().expect("four bytes")),
        kind => panic!("an id of kind {kind}"),
    }
}

#[test]
fn tars_calls_are_routed_by_servant_and_context_and_answered_out_of_order() {
    let answer = golden("tars response");
    let origin = Origin::start(move |wire, _| {
        loop {
            let (first, second) = (read_tars(wire)?, read_tars(wire)?);
            for call in [second, first] {
                wire.send(&with(answer.clone(), TARS_ANSWER_ID, &tars_id(&call).to_be_bytes()))?;
            }
        }
    });
    let routes = "{ match: { service: Mosn.EchoServer.EchoObj, method: echo, headers: [{ name: k, exact: v }] }, \
                  cluster: api }";
    let config = Config::new().rpc("calls", "tars", "", routes);
    let proxy = Proxy::start(&config.cluster("api", &origin, ""));
    let mut wire = proxy.connect("calls");
    let call = |id: u32| with(golden("tars request"), TARS_REQUEST_ID, &id.to_be_bytes());
    wire.send(&[call(0x0101_0101), call(0x7f01_0101)].concat()).unwrap();
    for id in [0x7f01_0101u32, 0x0101_0101] {
        let expected = with(golden("tars response"), TARS_ANSWER_ID, &id.to_be_bytes());
        assert_eq!(read_tars(&mut wire).unwrap(), expected);
    }
    wire.send(&golden("tars heartbeat request")).unwrap();
    let pong = read_tars(&mut wire).unwrap();
    assert_eq!(pong[7..9], [0x30, 7], "{pong:x?}");
}

/// A message of the strict binary protocol with a number as its only argument or result.
fn thrift(kind: u8, name: &str, sequence_id: u32, value: u32) -> Vec<u8> {
    let mut message = vec![0x80, 1, 0, kind];
    message.extend_from_slice(&(name.len() as u32).to_be_bytes());
    message.extend_from_slice(name.as_bytes());
    message.extend_from_slice(&sequence_id.to_be_bytes());
    message.extend_from_slice(&[8, 0, u8::from(kind == 1)]);
    message.extend_from_slice(&value.to_be_bytes());
    message.push(0);
    [&(message.len() as u32).to_be_bytes()[..], &message].concat()
}

#[test]
fn thrift_calls_are_routed_by_multiplexed_service() {
    let origin = Origin::start(|wire, _| {
        loop {
            let call = read_thrift(wire)?;
            let value =
                u32::from_be_bytes(call[call.len() - 5..call.len() - 1].try_into().expect("a number"));
            let at = 12 + call[11] as usize;
            let id = u32::from_be_bytes(call[at..at + 4].try_into().expect("an id"));
            wire.send(&thrift(2, "echo", id, value + 1))?;
        }
    });
    let routes = "{ match: { service: Echo, method: echo }, cluster: api }";
    let config = Config::new().rpc("calls", "thrift", "", routes);
    let proxy = Proxy::start(&config.cluster("api", &origin, ""));
    let mut wires = [proxy.connect("calls"), proxy.connect("calls")];
    for number in 0..20 {
        for wire in &mut wires {
            wire.send(&thrift(1, "Echo:echo", 7, number)).unwrap();
        }
        for wire in &mut wires {
            assert_eq!(read_thrift(wire).unwrap(), thrift(2, "echo", 7, number + 1));
        }
    }
    assert!(origin.accepted() <= 2, "connections carry one call after the other");
    wires[0].send(&thrift(1, "Other:echo", 8, 0)).unwrap();
    let refused = read_thrift(&mut wires[0]).unwrap();
    assert_eq!((refused[7], &refused[12..22]), (3, b"Other:echo".as_slice()), "an exception");
}

#[test]
fn dubbo_thrift_calls_are_answered_out_of_order() {
    const ID: usize = 36;
    let origin = Origin::start(|wire, _| {
        let answer = golden("dubbo-thrift response");
        loop {
            let (first, second) = (read_thrift(wire)?, read_thrift(wire)?);
            for call in [second, first] {
                wire.send(&with(answer.clone(), ID, &call[ID..ID + 8]))?;
            }
        }
    });
    let routes = "{ match: { service: io.mosn.EchoService, method: echo }, cluster: api }";
    let config = Config::new().rpc("calls", "dubbo_thrift", "", routes);
    let proxy = Proxy::start(&config.cluster("api", &origin, ""));
    let mut wire = proxy.connect("calls");
    let call = |id: u64| with(golden("dubbo-thrift request"), ID, &id.to_be_bytes());
    wire.send(&[call(1), call(2)].concat()).unwrap();
    for id in [2u64, 1] {
        let expected = with(golden("dubbo-thrift response"), ID, &id.to_be_bytes());
        assert_eq!(read_thrift(&mut wire).unwrap(), expected);
    }
}
