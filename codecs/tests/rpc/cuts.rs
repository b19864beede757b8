//! What is told and what is written does not depend on where the input was cut.

use crate::frames::{THRIFT, heartbeat, thrift, with_checksum};
use crate::proxy::{BOLT, BOLT_V2, DUBBO, KINDS, Kind, Proxy, Said, TARS, feed};
use proptest::prelude::*;
use sidering_codecs::registry::CodecOptions;

/// Frames of all kinds, one behind the other, and what an upstream gets of them apart from the ids.
fn conversation(kind: Kind) -> (Vec<u8>, Vec<Vec<u8>>) {
    let (mut bytes, mut sent) = (Vec::new(), Vec::new());
    let mut call = |frame: Vec<u8>| {
        bytes.extend_from_slice(&frame);
        sent.push(frame);
    };
    call(kind.request());
    call(kind.request_of(&[b'x'; 200]));
    call(kind.one_way());
    if kind.title == "boltv2" {
        call(with_checksum(kind.request_of(&[b'c'; 90])));
    }
    if kind.protocol != "dubbo_thrift" {
        bytes.extend_from_slice(&heartbeat(kind));
    }
    bytes.extend_from_slice(&kind.request_of(b"last"));
    sent.push(kind.request_of(b"last"));
    (bytes, sent)
}

fn check(kind: Kind, proxy: &mut Proxy, pieces: &[&[u8]], sent: &[Vec<u8>]) {
    let out: Vec<u8> = pieces.iter().flat_map(|piece| proxy.pass_up(piece)).collect();
    let frames = kind.split(&out);
    assert_eq!(frames.len(), sent.len(), "{kind:?}");
    for (frame, expected) in frames.iter().zip(sent) {
        if kind.outline(expected).trailer_bytes == 0 {
            assert_eq!(kind.with_id(frame, kind.id_of(expected)), *expected, "{kind:?}");
        }
    }
    let mut pong = Vec::new();
    proxy.downstream.encode_control(&mut pong);
    assert_eq!(pong.is_empty(), kind.protocol == "dubbo_thrift", "{kind:?}");
    // And back.
    let waiting: Vec<&Vec<u8>> = frames.iter().filter(|frame| is_answered(kind, frame)).collect();
    let expected: Vec<u8> =
        sent.iter().filter(|frame| is_answered(kind, frame)).flat_map(|_| kind.response_of(b"yes")).collect();
    let answers: Vec<u8> =
        waiting.iter().flat_map(|frame| kind.with_id(&kind.response_of(b"yes"), kind.id_of(frame))).collect();
    let step = pieces.first().map_or(1, |piece| piece.len().max(1));
    let told: Vec<u8> = answers.chunks(step).flat_map(|piece| proxy.pass_down(piece)).collect();
    assert_eq!(told, expected, "{kind:?}");
    assert!(proxy.is_idle(), "{kind:?}");
}

fn is_answered(kind: Kind, frame: &[u8]) -> bool {
    kind.outline(frame).kind == sidering_codecs::rpc::FrameKind::Request
}

fn both_ways(kind: Kind) -> [Proxy; 2] {
    let late = CodecOptions { late_fields: true, ..CodecOptions::default() };
    [Proxy::new(kind), Proxy::of(kind.server_with(late), kind.client())]
}

#[test]
fn frames_pass_byte_by_byte_and_cut_anywhere() {
    for kind in KINDS {
        let (bytes, sent) = conversation(kind);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        for mut proxy in both_ways(kind) {
            check(kind, &mut proxy, &single, &sent);
        }
        for cut in 0..bytes.len() {
            let mut proxies = both_ways(kind);
            check(kind, &mut proxies[cut % 2], &[&bytes[..cut], &bytes[cut..]], &sent);
        }
    }
}

#[test]
fn frames_without_ids_pass_byte_by_byte() {
    let mut proxy = Proxy::of(THRIFT.server(), THRIFT.client());
    for sequence_id in 0..3 {
        let (call, answer) = (thrift(1, sequence_id, b"ask"), thrift(2, sequence_id, b"say"));
        let sent: Vec<u8> = call.iter().flat_map(|&byte| proxy.pass_up(&[byte])).collect();
        assert_eq!(sent, call);
        let told: Vec<u8> = answer.iter().flat_map(|&byte| proxy.pass_down(&[byte])).collect();
        assert_eq!(told, answer);
        assert!(proxy.is_idle());
    }
}

#[test]
fn an_end_within_a_frame_is_an_error_and_between_frames_is_none() {
    for kind in KINDS {
        let call = kind.request();
        for cut in 0..=call.len() {
            let mut server = kind.server();
            let mut said = Vec::new();
            feed(&mut *server, &call[..cut], &mut said);
            let is_between = cut == 0 || cut == call.len();
            assert_eq!(server.decode_end().is_ok(), is_between, "{kind:?}: {cut}");
            assert!(!server.is_reusable());
        }
        let mut proxy = Proxy::new(kind);
        let sent = proxy.pass_up(&kind.request());
        let answer = kind.with_id(&kind.response(), kind.id_of(&sent));
        assert!(
            proxy.upstream.decode_end().is_ok(),
            "{kind:?}: whose calls are lost is the caller's to know"
        );
        proxy.pass_down(&answer[..answer.len() - 1]);
        assert_eq!(proxy.upstream.decode_end().map_err(|error| error.status), Err(502), "{kind:?}");
    }
}

/// A step of a random conversation.
#[derive(Clone, Debug)]
enum Step {
    Call(usize, u32),
    OneWay,
    Ping,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..700usize, 0..0x7fff_ffffu32).prop_map(|(payload, id)| Step::Call(payload, id)),
        1 => Just(Step::OneWay),
        1 => Just(Step::Ping),
    ];
    proptest::collection::vec(step, 1..12)
}

proptest! {
    #[test]
    fn any_cuts_tell_and_write_the_same(
        which in 0..4usize,
        steps in steps(),
        lengths in proptest::collection::vec(1..400usize, 1..20),
    ) {
        let kind = [BOLT, BOLT_V2, DUBBO, TARS][which];
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for step in &steps {
            match step {
                Step::Call(payload, id) => {
                    let frame = kind.with_id(&kind.request_of(&vec![b'p'; *payload]), u64::from(*id));
                    bytes.extend_from_slice(&frame);
                    expected.push(frame);
                }
                Step::OneWay => {
                    bytes.extend(kind.one_way());
                    expected.push(kind.one_way());
                }
                Step::Ping => bytes.extend(heartbeat(kind)),
            }
        }
        let (mut pieces, mut rest, mut lengths) = (Vec::new(), bytes.as_slice(), lengths.iter().cycle());
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(rest.len().min(*lengths.next().expect("it cycles")));
            pieces.push(piece);
            rest = behind;
        }
        let mut proxy = Proxy::new(kind);
        let out: Vec<u8> = pieces.iter().flat_map(|piece| proxy.pass_up(piece)).collect();
        let frames = kind.split(&out);
        prop_assert_eq!(frames.len(), expected.len());
        for (frame, expected) in frames.iter().zip(&expected) {
            prop_assert_eq!(&kind.with_id(frame, kind.id_of(expected)), expected);
        }
        let told = |pieces: &[&[u8]]| {
            let mut server = kind.server();
            let mut said = Vec::new();
            for piece in pieces {
                feed(&mut *server, piece, &mut said);
            }
            said.retain(|said| !matches!(said, Said::Data { .. }));
            said
        };
        prop_assert_eq!(told(&pieces), told(&[&bytes]));
    }

    #[test]
    fn noise_on_a_connection_is_survived(
        which in 0..6usize,
        is_server in any::<bool>(),
        kept in 0..300usize,
        noise in proptest::collection::vec(any::<u8>(), 0..400),
        piece in 1..50usize,
    ) {
        let kind = [BOLT, BOLT_V2, DUBBO, TARS, KINDS[4], THRIFT][which];
        let mut bytes = match (kind.title, is_server) {
            ("thrift", _) => thrift(1, 1, b"x"),
            (_, true) => kind.request(),
            (_, false) => kind.response(),
        };
        bytes.truncate(kept);
        bytes.extend_from_slice(&noise);
        let options = CodecOptions { header_bytes: 128, headers: 3, late_fields: true, ..CodecOptions::default() };
        let mut codec = if is_server { kind.server_with(options) } else { kind.client() };
        let mut said = Vec::new();
        for piece in bytes.chunks(piece) {
            feed(&mut *codec, piece, &mut said);
            if matches!(said.last(), Some(Said::Refused(_))) {
                prop_assert!(!codec.is_reusable());
                break;
            }
        }
        let mut out = Vec::new();
        codec.encode_control(&mut out);
        prop_assert!(out.len() <= sidering_codecs::rpc::MAX_CONTROL_BYTES);
    }
}
