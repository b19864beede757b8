//! Golden frames: every cut of them, what they tell, written again byte for byte, and our own frames against theirs.

use crate::support::{LIMITS, Told, WITH_LATE_FIELDS, golden, outline, rewritten, told};
use sidering_codecs::bolt::Bolt;
use sidering_codecs::dubbo::Dubbo;
use sidering_codecs::dubbo_thrift::DubboThrift;
use sidering_codecs::edits::Edits;
use sidering_codecs::rpc::{Detection, FrameKind, Layout, NewCall, Scan};
use sidering_codecs::tars::Tars;
use sidering_codecs::thrift::Thrift;

const ID: u64 = 0x0102_0304;

/// A frame is seen at its last byte that matters and not before; it is told apart from every other protocol; written again
/// it is what it was; with another id it has that.
fn holds<L: Layout>(title: &str, kind: FrameKind, id: u64) {
    let bytes = golden(title);
    let frame = outline::<L>(&bytes, &LIMITS);
    assert_eq!((frame.kind, frame.id, frame.total_bytes()), (kind, id, bytes.len() as u64), "{title}");
    for length in 0..bytes.len() {
        match L::scan(&bytes[..length], &LIMITS) {
            Ok(Scan::More(wanted)) => assert!(length < wanted && wanted <= bytes.len(), "{title}: {length}"),
            Ok(Scan::Frame(early)) => {
                assert_eq!(early, frame, "{title}: {length}");
                assert!(frame.seen_bytes as usize <= length, "{title}: {length}");
            }
            Err(error) => panic!("{title}: {length} bytes: {error}"),
        }
        assert_ne!(L::detect(&bytes[..length]), Detection::NoMatch, "{title}: {length}");
    }
    assert_eq!(L::detect(&bytes), Detection::Match, "{title}");
    assert_eq!(rewritten::<L>(&bytes, id, &Edits::default()), bytes, "{title}");
    for other in [0, 1, 200, 70_000, 0x7fff_ffff] {
        let again = rewritten::<L>(&bytes, other, &Edits::default());
        let found = outline::<L>(&again, &LIMITS);
        assert_eq!((found.id, found.total_bytes()), (other, again.len() as u64), "{title}");
        assert_eq!(rewritten::<L>(&again, id, &Edits::default()), bytes, "{title}");
    }
}

#[test]
fn golden_frames_hold_in_every_protocol() {
    for version in ["bolt", "boltv2"] {
        holds::<Bolt>(&format!("{version} request"), FrameKind::Request, ID);
        holds::<Bolt>(&format!("{version} response"), FrameKind::Response, ID);
        holds::<Bolt>(&format!("{version} heartbeat request"), FrameKind::Ping, 7);
        holds::<Bolt>(&format!("{version} heartbeat reply"), FrameKind::Pong, 7);
    }
    holds::<Dubbo>("dubbo request", FrameKind::Request, ID);
    holds::<Dubbo>("dubbo response", FrameKind::Response, ID);
    holds::<Dubbo>("dubbo heartbeat request", FrameKind::Ping, 7);
    holds::<Dubbo>("dubbo heartbeat reply", FrameKind::Pong, 7);
    holds::<Tars>("tars request", FrameKind::Request, ID);
    holds::<Tars>("tars response", FrameKind::Response, ID);
    holds::<Tars>("tars heartbeat request", FrameKind::Ping, 7);
    holds::<Tars>("tars heartbeat reply", FrameKind::Response, 7);
    holds::<DubboThrift>("dubbo-thrift request", FrameKind::Request, ID);
    holds::<DubboThrift>("dubbo-thrift response", FrameKind::Response, ID);
}

#[test]
fn calls_tell_their_routing_keys() {
    for version in ["bolt", "boltv2"] {
        let told = told::<Bolt>(&golden(&format!("{version} request")), &LIMITS);
        assert_eq!(
            (told.service.as_str(), told.version.as_str()),
            ("com.alipay.test.TestService:1.0", "1.0")
        );
        let trace =
            ("rpc_trace_context.sofaTraceId".to_owned(), "0a0fe8a1160514813200110022123 4".replace(' ', ""));
        assert!(told.fields.contains(&trace), "{told:?}");
    }
    let early = told::<Dubbo>(&golden("dubbo request"), &LIMITS);
    assert_eq!((early.service.as_str(), early.method.as_str()), ("io.mosn.EchoService", "echo"));
    assert_eq!((early.version.as_str(), early.group.as_str(), early.fields.len()), ("1.0.0", "", 0));
    let late = told::<Dubbo>(&golden("dubbo request"), &WITH_LATE_FIELDS);
    assert_eq!((late.group.as_str(), late.fields.len()), ("g1", 5));
    assert!(late.fields.contains(&("timeout".to_owned(), "3000".to_owned())), "{late:?}");
    let tars = told::<Tars>(&golden("tars request"), &WITH_LATE_FIELDS);
    assert_eq!((tars.service.as_str(), tars.method.as_str()), ("Mosn.EchoServer.EchoObj", "echo"));
    assert_eq!(tars.fields, [("k".to_owned(), "v".to_owned())]);
    let thrift = told::<DubboThrift>(&golden("dubbo-thrift request"), &LIMITS);
    assert_eq!((thrift.service.as_str(), thrift.method.as_str()), ("io.mosn.EchoService", "echo"));
}

#[test]
fn timeouts_and_statuses_are_told() {
    assert_eq!(outline::<Bolt>(&golden("bolt request"), &LIMITS).timeout_ms, Some(3000));
    assert_eq!(outline::<Bolt>(&golden("bolt heartbeat request"), &LIMITS).timeout_ms, None);
    assert_eq!(outline::<Tars>(&golden("tars request"), &WITH_LATE_FIELDS).timeout_ms, Some(3000));
    for (status, http) in [(0u8, 200), (4, 503), (7, 504), (16, 502), (2, 500)] {
        let mut answer = golden("bolt response");
        answer[11] = status;
        assert_eq!(outline::<Bolt>(&answer, &LIMITS).status, http, "bolt {status}");
    }
    for (status, http) in [(20, 200), (31, 504), (60, 404), (100, 503), (70, 500)] {
        let mut answer = golden("dubbo response");
        answer[3] = status;
        assert_eq!(outline::<Dubbo>(&answer, &LIMITS).status, http, "Dubbo {status}");
    }
    let mut failed = golden("dubbo-thrift response");
    failed[47] = 3;
    assert_eq!(outline::<DubboThrift>(&failed, &LIMITS).status, 500);
}

#[test]
fn our_heartbeats_are_theirs() {
    fn ours<L: Layout>(title: &str, dialect: u8) {
        let mut ping = Vec::new();
        assert!(L::write_ping(dialect, 7, &mut ping));
        assert_eq!(outline::<L>(&ping, &LIMITS).kind, FrameKind::Ping);
        assert_eq!(outline::<L>(&ping, &LIMITS).id, 7);
        let theirs = golden(&format!("{title} heartbeat request"));
        let mut pong = Vec::new();
        L::write_pong(&outline::<L>(&theirs, &LIMITS), &theirs, &mut pong);
        let answer = outline::<L>(&pong, &LIMITS);
        assert!(matches!((answer.kind, answer.id), (FrameKind::Pong | FrameKind::Response, 7)), "{answer:?}");
        assert_eq!(answer.total_bytes(), pong.len() as u64);
    }
    ours::<Bolt>("bolt", 1);
    ours::<Bolt>("boltv2", 2);
    ours::<Dubbo>("dubbo", 0);
    ours::<Tars>("tars", 1);
    let mut ping = Vec::new();
    Bolt::write_ping(1, 7, &mut ping);
    assert_eq!(ping, golden("bolt heartbeat request"));
    let mut pong = Vec::new();
    Bolt::write_pong(&outline::<Bolt>(&ping, &LIMITS), &ping, &mut pong);
    assert_eq!(pong, golden("bolt heartbeat reply"));
    let mut ping = Vec::new();
    Dubbo::write_ping(0, 7, &mut ping);
    assert_eq!(ping, golden("dubbo heartbeat request"));
}

#[test]
fn errors_are_said_in_the_protocol_of_the_call() {
    fn reply<L: Layout>(title: &str, status: u16) -> (Vec<u8>, u16) {
        let request = golden(title);
        let frame = outline::<L>(&request, &LIMITS);
        let mut out = Vec::new();
        L::write_reply(
            &frame,
            &request[..frame.head_bytes as usize],
            status,
            b"no healthy upstream",
            &mut out,
        );
        let answer = outline::<L>(&out, &LIMITS);
        assert_eq!(
            (answer.kind, answer.id, answer.total_bytes()),
            (FrameKind::Response, ID, out.len() as u64)
        );
        (out, answer.status)
    }
    for (status, read_back) in [(503, 503), (504, 504), (502, 502), (404, 500)] {
        assert_eq!(reply::<Bolt>("bolt request", status).1, read_back);
        assert_eq!(
            reply::<Bolt>("boltv2 request", status).0[0],
            2,
            "an answer speaks the version of its call"
        );
        assert_eq!(reply::<Tars>("tars request", status).1, read_back);
    }
    assert_eq!(reply::<Dubbo>("dubbo request", 404).1, 404);
    assert_eq!(reply::<Dubbo>("dubbo request", 504).1, 504);
    let (thrift, status) = reply::<DubboThrift>("dubbo-thrift request", 503);
    assert_eq!(status, 500);
    assert!(thrift.windows(19).any(|window| window == b"no healthy upstream"));
}

#[test]
fn calls_that_are_made_here_tell_what_they_were_made_of() {
    let fields = [("k".to_owned(), "v".to_owned()), ("x-user".to_owned(), "1".repeat(300))];
    let call = NewCall {
        service: "io.mosn.EchoService",
        method: "echo",
        version: "1.0",
        group: "g1",
        fields: &fields,
        ..NewCall::default()
    };
    fn made<L: Layout>(call: &NewCall<'_>) -> Told {
        let mut bytes = vec![];
        assert!(L::write_call(call, 7, &mut bytes));
        let frame = outline::<L>(&bytes, &WITH_LATE_FIELDS);
        assert_eq!((frame.kind, frame.id, frame.total_bytes()), (FrameKind::Request, 7, bytes.len() as u64));
        told::<L>(&bytes, &WITH_LATE_FIELDS)
    }
    let bolt = made::<Bolt>(&call);
    assert_eq!((bolt.service.as_str(), bolt.version.as_str()), ("io.mosn.EchoService:1.0", "1.0"));
    assert_eq!((bolt.method.as_str(), &bolt.fields[2..]), ("echo", &fields[..]));
    let dubbo = made::<Dubbo>(&call);
    assert_eq!((dubbo.service.as_str(), dubbo.method.as_str()), ("io.mosn.EchoService", "echo"));
    assert_eq!(
        (dubbo.version.as_str(), dubbo.group.as_str(), &dubbo.fields[1..]),
        ("1.0", "g1", &fields[..])
    );
    let tars = made::<Tars>(&call);
    assert_eq!(
        (tars.service.as_str(), tars.method.as_str(), tars.fields),
        ("io.mosn.EchoService", "echo", fields.to_vec())
    );
    for told in [made::<Thrift>(&call), made::<DubboThrift>(&call)] {
        assert_eq!((told.service.as_str(), told.method.as_str()), ("io.mosn.EchoService", "echo"));
    }
}
