//! The layout against bytes written by hand, and what the codecs that are made of it do with them.

use proptest::prelude::*;
use sidering_codecs::detection::Detection::{self, Match, NeedMore, NoMatch};
use sidering_codecs::registry::CodecOptions;
use sidering_codecs::rpc::{FrameKind, Layout, NewCall, Scan, ScanLimits};
use sidering_codecs::{Codec, Control, Edits, Event, Scratch};
use sidering_example_protocol::{Example, FIXED_BYTES, MAX_BODY_BYTES, PROTOCOLS, status};

const LIMITS: ScanLimits = ScanLimits { head_bytes: 1024, wants_late_fields: false };
/// `greeter`'s `hello` with the field `zone: b` and the body `world`; id 7, within 3 seconds.
const REQUEST: &[u8] =
    b"\xe7X\0\0\0\0\0\x07\0\0\x0b\xb8\x07\x05\0\x07\0\0\0\x05greeterhello\x04zone\x01bworld";

fn of_kind(kind: u8) -> Vec<u8> {
    let mut frame = REQUEST.to_vec();
    frame[2] = kind;
    frame
}

fn answer(id: u32, status: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = b"\xe7X\x02".to_vec();
    frame.push(status);
    frame.extend_from_slice(&id.to_be_bytes());
    frame.extend_from_slice(&[0; 8]);
    frame.extend_from_slice(&(body.len() as u32).to_be_bytes());
    frame.extend_from_slice(body);
    frame
}

fn id_of(frame: &[u8]) -> u32 {
    u32::from_be_bytes(frame[4..8].try_into().unwrap())
}

#[test]
fn a_frame_is_read_and_written_again() {
    let Ok(Scan::Frame(frame)) = Example::scan(REQUEST, &LIMITS) else { panic!("no frame") };
    assert_eq!((frame.kind, frame.id, frame.timeout_ms), (FrameKind::Request, 7, Some(3000)));
    assert_eq!((frame.head_bytes, frame.payload_bytes, frame.total_bytes()), (39, 5, REQUEST.len() as u64));
    let mut fields = vec![];
    let call = Example::read(&frame, REQUEST, 1, &mut fields).unwrap();
    assert_eq!((call.service.of(REQUEST), call.method.of(REQUEST)), (&b"greeter"[..], &b"hello"[..]));
    let (name, value) = (fields[0].line_start as usize, fields[0].value_start as usize);
    assert_eq!((&REQUEST[name..name + 4], &REQUEST[value..value + 1]), (&b"zone"[..], &b"b"[..]));
    assert_eq!(Example::read(&frame, REQUEST, 0, &mut vec![]).unwrap_err().status, 431);
    let mut written = vec![];
    Example::write_head(&frame, &REQUEST[..39], &fields, 0x0102_0304, &Edits::default(), &mut written)
        .unwrap();
    assert_eq!((&written[4..8], &written[8..]), (&[1, 2, 3, 4][..], &REQUEST[8..39]), "nothing but the id");
    let zone = [("zone".to_owned(), "b".to_owned())];
    let call = NewCall {
        service: "greeter",
        method: "hello",
        fields: &zone,
        payload: b"world",
        ..NewCall::default()
    };
    let mut made = vec![];
    assert!(Example::write_call(&call, 7, &mut made));
    made[8..12].copy_from_slice(&REQUEST[8..12]);
    assert_eq!(made, REQUEST);
}

#[test]
fn kinds_and_statuses() {
    use FrameKind::{GoAway, OneWay, Ping, Pong, Request, Response};
    for (kind, expected) in [(0, Request), (1, OneWay), (2, Response), (3, Ping), (4, Pong), (5, GoAway)] {
        let Ok(Scan::Frame(frame)) = Example::scan(&of_kind(kind), &LIMITS) else { panic!("no frame") };
        assert_eq!(frame.kind, expected);
    }
    for kind in [6, 0x7f, 0xff] {
        assert_eq!(Example::scan(&of_kind(kind), &LIMITS).unwrap_err().status, 400);
    }
    for known in [status::OK, status::NOT_FOUND, status::TIMEOUT, status::UNAVAILABLE, status::OVERLOADED] {
        assert_eq!(status::from_http(status::to_http(known)), known);
    }
    let told = [(200, 0), (404, 1), (503, 3), (504, 2), (429, 4), (400, 5), (403, 6), (500, 7)];
    assert!(
        told.iter().all(|(http, own)| status::from_http(*http) == *own && status::to_http(*own) == *http)
    );
    assert_eq!(status::to_http(0xff), 500);
}

#[test]
fn the_first_bytes_tell() {
    let cases: [(&[u8], Detection); 9] = [
        (b"", NeedMore),
        (b"\xe7", NeedMore),
        (b"\xe7X", NeedMore),
        (b"\xe7X\0", Match),
        (b"\xe7X\x03", Match),
        (b"\xe7X\x02", NoMatch),
        (b"\xe7Y", NoMatch),
        (b"GET / HTTP/1.1\r\n", NoMatch),
        (b"\x01", NoMatch),
    ];
    for (bytes, expected) in cases {
        assert_eq!(Example::detect(bytes), expected, "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_cut_frame_asks_for_more_and_every_length_has_a_bound() {
    for cut in 0..39 {
        let wanted = if cut < FIXED_BYTES { FIXED_BYTES } else { 39 };
        assert_eq!(Example::scan(&REQUEST[..cut], &LIMITS), Ok(Scan::More(wanted)), "{cut}");
    }
    let with_body = |length: u32| {
        let mut frame = REQUEST.to_vec();
        frame[16..20].copy_from_slice(&length.to_be_bytes());
        Example::scan(&frame, &LIMITS).map_err(|error| error.status)
    };
    for length in [0, 1, MAX_BODY_BYTES - 1, MAX_BODY_BYTES] {
        let Ok(Scan::Frame(frame)) = with_body(length) else { panic!("no frame") };
        assert_eq!(frame.payload_bytes, u64::from(length));
    }
    for length in [MAX_BODY_BYTES + 1, 1 << 31, u32::MAX] {
        assert_eq!(with_body(length), Err(413), "{length}");
    }
    for (limit, expected) in [(38, Err(431)), (39, Ok(true)), (40, Ok(true))] {
        let read = Example::scan(REQUEST, &ScanLimits { head_bytes: limit, ..LIMITS });
        assert_eq!(read.map(|scan| matches!(scan, Scan::Frame(_))).map_err(|error| error.status), expected);
    }
    // A field that reaches beyond the fields costs its frame, not the connection.
    let mut frame = REQUEST.to_vec();
    for (at, length) in [(32, 7), (32, 0xff), (37, 2), (37, 0xff)] {
        let before = std::mem::replace(&mut frame[at], length);
        let Ok(Scan::Frame(outline)) = Example::scan(&frame, &LIMITS) else { panic!("no frame") };
        assert_eq!(Example::read(&outline, &frame, 100, &mut vec![]).unwrap_err().status, 400, "{at}");
        frame[at] = before;
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), begins: bool) {
        let mut bytes = bytes;
        if begins && bytes.len() > 2 {
            bytes[..3].copy_from_slice(b"\xe7X\0");
        }
        let _ = Example::detect(&bytes);
        if let Ok(Scan::Frame(frame)) = Example::scan(&bytes, &LIMITS) {
            let _ = Example::read(&frame, &bytes, 10, &mut vec![]);
        }
    }
}

/// Everything that a codec tells of these bytes, in a few words.
fn told(codec: &mut dyn Codec, bytes: &[u8]) -> Vec<String> {
    let (mut input, mut scratch, mut all) = (bytes, Scratch::default(), vec![]);
    loop {
        let said = match codec.decode(&mut scratch, &mut input) {
            Ok(None) => return all,
            Err(error) => format!("error {}", error.status),
            Ok(Some(Event::Request { head, .. })) => {
                let rpc = head.rpc.expect("a call has a frame");
                let one_way = if rpc.is_one_way() { " one way" } else { "" };
                let call = [head.authority, b".", head.method.as_bytes(), one_way.as_bytes()].concat();
                // A short body comes with its head.
                all.push(call.escape_ascii().to_string());
                rpc.taken()[rpc.frame.head_bytes as usize..].escape_ascii().to_string()
            }
            Ok(Some(Event::Response { head, .. })) => format!("response {}", head.status),
            Ok(Some(Event::Data { bytes, .. })) => bytes.escape_ascii().to_string(),
            Ok(Some(Event::End { .. })) => "end".to_owned(),
            Ok(Some(Event::Control(Control::Ping))) => "ping".to_owned(),
            Ok(Some(Event::Control(Control::GoAway))) => "go away".to_owned(),
            Ok(Some(Event::Stray)) => "stray".to_owned(),
            Ok(Some(other)) => format!("{other:?}"),
        };
        all.push(said);
        if all.last().is_some_and(|last| last.starts_with("error")) {
            return all;
        }
    }
}

fn server() -> Box<dyn Codec> {
    (PROTOCOLS[0].server)(CodecOptions::default())
}

#[test]
fn the_codecs_speak_it() {
    let one_way = of_kind(1);
    let mut codec = server();
    let said = told(codec.as_mut(), &[REQUEST, &one_way].concat());
    assert_eq!(said.iter().filter(|said| **said == "end").count(), 2, "{said:?}");
    assert!(said.contains(&"greeter.hello".to_owned()) && said.contains(&"greeter.hello one way".to_owned()));
    // A heartbeat is answered with its own id, and the end is announced.
    let mut codec = server();
    let mut ping = vec![];
    assert!(Example::write_ping(0, 9, &mut ping));
    assert_eq!(told(codec.as_mut(), &ping), ["ping"]);
    let mut out = vec![];
    codec.encode_control(&mut out);
    assert_eq!((out[2], id_of(&out), out.len()), (4, 9, FIXED_BYTES));
    codec.close_after_current();
    out.clear();
    codec.encode_control(&mut out);
    assert_eq!(out[2], 5);
    // An upstream that goes away, and answers nobody.
    let mut codec = (PROTOCOLS[0].client)(CodecOptions::default());
    assert_eq!(told(codec.as_mut(), &answer(5, 0, b"nobody asked")), ["stray"]);
    assert_eq!(told(codec.as_mut(), &of_kind(5)[..]).first().map(String::as_str), Some("go away"));
    assert!(!codec.is_reusable());
    // Bytes that are no frame end the connection.
    assert_eq!(told(server().as_mut(), b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"), ["error 400"]);
}

#[test]
fn every_cut_tells_the_same() {
    let gathered = |said: Vec<String>| said.concat();
    let whole = gathered(told(server().as_mut(), REQUEST));
    for cut in 1..REQUEST.len() {
        let mut codec = server();
        let mut said = told(codec.as_mut(), &REQUEST[..cut]);
        said.extend(told(codec.as_mut(), &REQUEST[cut..]));
        assert_eq!(gathered(said), whole, "{cut}");
    }
    let mut codec = server();
    told(codec.as_mut(), &REQUEST[..REQUEST.len() - 1]);
    assert!(codec.decode_end().is_err(), "a frame that stops within is no whole one");
}
