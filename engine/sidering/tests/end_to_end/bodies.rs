//! Bodies of every size that is near a bound, in both directions and both framings, compare equal.

use crate::support::pattern::{self, Checker};
use crate::support::{Config, Origin, Proxy, Wire, turns, web};
use std::io::Write;

/// Around the bound for copied tails, the slot, the large slot, the bound for the kernel relay; and one of many slots.
const SIZES: [u64; 17] = [
    0, 1, 2047, 2048, 2049, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 262_143, 262_144, 262_145,
    524_288, 1_048_575, 1_048_576,
];
const LARGE: u64 = 100 * 1024 * 1024;

/// Asks for `path` and compares the answer's body with the pattern.
#[track_caller]
fn assert_download(wire: &mut Wire, path: &str, length: u64) {
    wire.get(path).unwrap();
    let head = wire.head().unwrap();
    assert_eq!(head.status(), 200, "{path}: {head:?}");
    let mut checker = Checker::default();
    wire.body(&head, |bytes| checker.feed(bytes))
        .unwrap_or_else(|error| panic!("{path}: {error} {checker:?}"));
    assert_eq!(checker.verdict(length), Ok(()), "{path}");
}

/// Sends the pattern as a body and has the upstream compare it.
#[track_caller]
fn assert_upload(wire: &mut Wire, length: u64, chunked: bool) {
    let framing =
        if chunked { "Transfer-Encoding: chunked".to_owned() } else { format!("Content-Length: {length}") };
    let head = format!("PUT /check/{length} HTTP/1.1\r\nHost: test\r\n{framing}\r\n\r\n");
    wire.send(head.as_bytes()).unwrap();
    if chunked {
        web::send_chunks(wire, length).unwrap();
    } else {
        pattern::write(&mut wire.stream(), length).unwrap();
    }
    let answer = wire.response().unwrap();
    assert_eq!((answer.status(), answer.text().as_str()), (200, "equal\n"), "{length} chunked={chunked}");
}

#[test]
fn downloads_of_every_size_on_one_connection() {
    let origin = Origin::start(|wire, _| web::serve(wire));
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    for length in SIZES {
        assert_download(&mut wire, &format!("/sized/{length}"), length);
        assert_download(&mut wire, &format!("/chunked/{length}"), length);
    }
    assert_eq!(origin.accepted(), 1, "one client that asks in turn needs one upstream connection");
    drop((wire, origin));
    proxy.assert_home();
}

#[test]
fn bodies_that_end_with_the_connection() {
    let origin = Origin::start(|wire, _| web::serve(wire));
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    for length in SIZES {
        // HTTP/1.1 has chunks for what has no length: the client's connection goes on.
        assert_download(&mut wire, &format!("/close/{length}"), length);
    }
    assert_eq!(origin.accepted(), SIZES.len());
}

#[test]
fn uploads_of_every_size_on_one_connection() {
    let origin = Origin::start(|wire, _| web::serve(wire));
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    for length in SIZES {
        assert_upload(&mut wire, length, false);
        assert_upload(&mut wire, length, true);
    }
    assert_eq!(origin.accepted(), 1);
    drop((wire, origin));
    proxy.assert_home();
}

#[test]
fn large_bodies_both_ways() {
    let _turn = turns::heavy();
    let origin = Origin::start(|wire, _| web::serve(wire));
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    assert_download(&mut wire, &format!("/sized/{LARGE}"), LARGE);
    assert_download(&mut wire, &format!("/chunked/{LARGE}"), LARGE);
    assert_download(&mut wire, &format!("/close/{LARGE}"), LARGE);
    assert_upload(&mut wire, LARGE, false);
    assert_upload(&mut wire, LARGE, true);
    let metrics = proxy.metrics();
    assert_eq!(metrics.sum("sidering_body_bytes_copied"), 0.0, "no body byte is copied in user space");
    drop((wire, origin));
    proxy.assert_home();
}

#[test]
fn bodies_that_come_byte_by_byte() {
    let origin = Origin::start(|wire, _| {
        let head = wire.head()?;
        let mut checker = Checker::default();
        wire.body(&head, |bytes| checker.feed(bytes))?;
        let verdict = checker.verdict(40).err().unwrap_or_default();
        let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for byte in pattern::bytes(40) {
            answer.extend_from_slice(&[b'1', b'\r', b'\n', byte, b'\r', b'\n']);
        }
        answer.extend_from_slice(format!("0\r\nverdict: {verdict}\r\n\r\n").as_bytes());
        answer.iter().try_for_each(|byte| wire.stream().write_all(&[*byte]))
    });
    let proxy = Proxy::start(&Config::http_to(&origin));
    let mut wire = proxy.connect("web");
    let mut request = b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for byte in pattern::bytes(40) {
        request.extend_from_slice(&[b'0', b'1', b';', b'x', b'\r', b'\n', byte, b'\r', b'\n']);
    }
    request.extend_from_slice(b"0\r\n\r\n");
    for byte in request {
        wire.send(&[byte]).unwrap();
    }
    let answer = wire.response().unwrap();
    assert_eq!(answer.body, pattern::bytes(40));
    assert_eq!(answer.trailers, [("verdict".to_owned(), String::new())]);
}

#[test]
fn both_directions_at_once() {
    // The upstream answers with what it reads while it reads it.
    let origin = Origin::start(|wire, _| {
        let head = wire.head()?;
        let length = head.length().unwrap_or(0);
        wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes())?;
        let mut out = wire.try_clone()?;
        let mut outcome = Ok(());
        wire.sized(length, |bytes| outcome = out.send(bytes))?;
        outcome
    });
    let proxy = Proxy::start(&Config::http_to(&origin));
    let length = 20 * 1024 * 1024;
    let mut wire = proxy.connect("web");
    let mut out = wire.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        let head = format!("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n");
        out.send(head.as_bytes()).unwrap();
        pattern::write(&mut out.stream(), length).unwrap();
    });
    let head = wire.head().unwrap();
    let mut checker = Checker::default();
    wire.body(&head, |bytes| checker.feed(bytes)).unwrap();
    sender.join().unwrap();
    assert_eq!(checker.verdict(length), Ok(()));
}
