//! Values nested ten thousand deep: as arguments that routing has to look behind, as JSON of a bridge, as what a bridged provider
//! answers.

use super::super::bolt;
use super::super::bridge::{answer, bridge_to, post};
use super::super::others::{golden, read_dubbo};
use crate::support::{Config, Origin, Proxy, Wire};

const DEPTH: usize = 10_000;
/// Where the argument of the golden call begins and ends.
const ARGUMENT: std::ops::Range<usize> = 72..78;

/// The golden call with another argument.
fn call(argument: &[u8]) -> Vec<u8> {
    let mut frame = golden("dubbo request");
    frame.splice(ARGUMENT, argument.iter().copied());
    let length = (frame.len() - 16) as u32;
    frame[12..16].copy_from_slice(&length.to_be_bytes());
    frame
}

/// Lists of one, maps in maps, and objects of a class with one field, each in the one before.
fn nests() -> Vec<(&'static str, Vec<u8>)> {
    let lists = [vec![0x79; DEPTH], vec![b'N']].concat();
    let open_lists = [vec![0x57; DEPTH], vec![b'Z'; DEPTH]].concat();
    let maps = [b"HN".repeat(DEPTH), vec![b'N'], vec![b'Z'; DEPTH]].concat();
    let objects = [&b"C\x01A\x91\x01a"[..], &vec![0x60; DEPTH], b"N"].concat();
    let unclosed = vec![0x57; DEPTH];
    vec![
        ("lists", lists),
        ("open lists", open_lists),
        ("maps", maps),
        ("objects", objects),
        ("unclosed", unclosed),
    ]
}

fn status_of(wire: &mut Wire, frame: &[u8]) -> u8 {
    wire.send(frame).unwrap();
    read_dubbo(wire).unwrap()[3]
}

#[test]
fn arguments_are_not_followed_and_pass() {
    const OK: u8 = 20;
    const BUSY: u8 = 100;
    const BAD_REQUEST: u8 = 40;
    let origin = Origin::start(|wire, _| {
        loop {
            let call = read_dubbo(wire)?;
            let mut answer = golden("dubbo response");
            answer[4..12].copy_from_slice(&call[4..12]);
            wire.send(&answer)?;
        }
    });
    // What is behind such arguments is not seen: the second route is theirs.
    let routes = "{ match: { headers: [{ name: timeout, exact: \"3000\" }] }, direct_response: { status: 503 } }, \
                  { match: { service: io.mosn.EchoService }, cluster: api }";
    let config = Config::new().rpc("calls", "dubbo", "", routes).cluster("api", &origin, "");
    let proxy = Proxy::start(&config);
    let mut wire = proxy.connect("calls");
    for (name, argument) in nests() {
        assert_eq!(status_of(&mut wire, &call(&argument)), OK, "{name}");
        assert_eq!(status_of(&mut wire, &golden("dubbo request")), BUSY, "{name}");
    }
    assert_eq!(status_of(&mut wire, &call(b"@")), BAD_REQUEST);
    assert_eq!(status_of(&mut wire, &golden("dubbo request")), BUSY);
    drop((wire, origin));
    proxy.assert_home();
}

#[test]
fn json_of_clients_is_refused() {
    let origin = Origin::start(|wire, _| bolt::echo(wire));
    let proxy = Proxy::start(&bridge_to(&origin, "", ""));
    let mut wire = proxy.connect("web");
    for body in ["[".repeat(DEPTH), "[".repeat(DEPTH) + &"]".repeat(DEPTH), "{\"a\":".repeat(DEPTH)] {
        wire.send(post("/echo", &body).as_bytes()).unwrap();
        assert_eq!(wire.response().unwrap().status(), 400);
    }
    assert_eq!(origin.accepted(), 0);
}

#[test]
fn answers_of_bridged_providers_are_refused() {
    let origin = Origin::start(|wire, _| {
        // SOFARPC's dialect: lists without a type or a length, maps without a type, closed or not.
        let nests = [
            [vec![b'V'; DEPTH], vec![b'z'; DEPTH]].concat(),
            [b"MN".repeat(DEPTH), vec![b'N'], vec![b'z'; DEPTH]].concat(),
            vec![b'V'; DEPTH],
        ];
        for value in nests.iter().map(Vec::as_slice).chain(std::iter::repeat(&b"\x05hello"[..])) {
            let frame = bolt::read(wire)?;
            wire.send(&answer(&frame, value))?;
        }
        Ok(())
    });
    let proxy = Proxy::start(&bridge_to(&origin, "", ""));
    let mut wire = proxy.connect("web");
    for status in [502, 502, 502, 200, 200] {
        wire.send(post("/echo", "\"a\"").as_bytes()).unwrap();
        let message = wire.response().unwrap();
        assert_eq!(message.status(), status, "{}", message.text());
    }
    drop((wire, origin));
    proxy.assert_home();
}
