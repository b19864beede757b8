//! Every bound of a connection, one below it, at it, and one beyond.

use crate::frames::{THRIFT, heartbeat, thrift};
use crate::proxy::{BOLT, DUBBO, DUBBO_THRIFT, KINDS, Said, TARS, feed, heard, requests};
use sidering_codecs::StreamId;
use sidering_codecs::registry::CodecOptions;
use sidering_codecs::rpc::{MAX_CONTROL_BYTES, MAX_STREAMS};

#[test]
fn so_many_calls_are_under_way_and_the_next_waits() {
    for kind in KINDS {
        let mut server = kind.server();
        let calls: Vec<u8> =
            (0..MAX_STREAMS as u64 - 1).flat_map(|id| kind.with_id(&kind.request(), id)).collect();
        let streams = requests(&heard(&mut *server, &calls));
        assert_eq!(streams.len(), MAX_STREAMS - 1, "{kind:?}");
        let (last, beyond) = (kind.with_id(&kind.request(), 5000), kind.with_id(&kind.request(), 5001));
        let mut said = Vec::new();
        let left = feed(&mut *server, &[last, beyond.clone()].concat(), &mut said);
        assert_eq!((requests(&said).len(), left), (1, beyond.len()), "{kind:?}");
        assert_eq!(feed(&mut *server, &beyond, &mut said), beyond.len(), "{kind:?}: still");
        let mut out = Vec::new();
        server.encode_local_reply(Some(streams[17]), 503, b"", b"", &mut out);
        assert_eq!(kind.id_of(&out), 17);
        let taken = requests(&heard(&mut *server, &beyond));
        assert_eq!(taken[0].slot(), streams[17].slot());
        assert_ne!(taken[0], streams[17]);
        assert!(taken.iter().chain(&streams).all(|stream| (stream.slot() as usize) < MAX_STREAMS));
    }
}

#[test]
fn so_many_calls_are_opened_and_no_more() {
    for kind in KINDS {
        let mut client = kind.client();
        // One number is the heartbeats'.
        let streams: Vec<_> = (0..MAX_STREAMS - 1).map(|_| client.open().expect("there is room")).collect();
        assert!(client.open().is_none(), "{kind:?}");
        assert!(client.abandon(streams[9]));
        assert_eq!(client.open().map(StreamId::slot), Some(9));
        assert!(client.open().is_none());
        for stream in streams {
            client.abandon(stream);
        }
    }
    let mut client = THRIFT.client();
    assert!(client.open().is_some() && client.open().is_none());
}

#[test]
fn answers_to_heartbeats_wait_up_to_a_bound() {
    for kind in [BOLT, DUBBO, TARS] {
        for is_server in [true, false] {
            let codec = || if is_server { kind.server() } else { kind.client() };
            let mut out = Vec::new();
            let mut probe = codec();
            heard(&mut *probe, &heartbeat(kind));
            probe.encode_control(&mut out);
            let fit = MAX_CONTROL_BYTES / out.len();
            let mut flooded = codec();
            let said = heard(&mut *flooded, &heartbeat(kind).repeat(fit));
            assert_eq!(said.len(), fit, "{kind:?}");
            let mut said = Vec::new();
            feed(&mut *flooded, &heartbeat(kind), &mut said);
            assert_eq!(said, [Said::Refused(if is_server { 400 } else { 502 })], "{kind:?}");
            assert!(!flooded.is_reusable());
            // Who takes the answers may go on for ever.
            let mut codec = codec();
            for _ in 0..3 {
                heard(&mut *codec, &heartbeat(kind).repeat(fit));
                out.clear();
                codec.encode_control(&mut out);
                assert_eq!(kind.split(&out).len(), fit);
            }
        }
    }
}

#[test]
fn a_head_may_be_as_long_as_the_options_say() {
    let frames = [
        (BOLT, BOLT.request_of(&[b'x'; 300])),
        (TARS, TARS.request_of(&[b'x'; 300])),
        (DUBBO_THRIFT, DUBBO_THRIFT.request_of(&[b'x'; 300])),
        (THRIFT, thrift(1, 7, &[b'x'; 300])),
    ];
    for (kind, frame) in frames {
        let head_bytes = kind.outline(&frame).head_bytes;
        for (limit, fits) in [(head_bytes - 1, false), (head_bytes, true), (head_bytes + 1, true)] {
            for piece_bytes in [1, 7, frame.len()] {
                let options = CodecOptions { header_bytes: limit, ..CodecOptions::default() };
                let mut server = kind.server_with(options);
                let mut said = Vec::new();
                for piece in frame.chunks(piece_bytes) {
                    feed(&mut *server, piece, &mut said);
                    if matches!(said.last(), Some(Said::Refused(_))) {
                        break;
                    }
                }
                if fits {
                    assert!(matches!(said[0], Said::Request { .. }), "{kind:?} {limit} {piece_bytes}");
                } else {
                    assert_eq!(said, [Said::Refused(431)], "{kind:?} {limit} {piece_bytes}");
                    assert!(!server.is_reusable());
                }
            }
        }
    }
}

#[test]
fn a_call_may_have_as_many_fields_as_the_options_say() {
    for (limit, fits) in [(1, false), (2, true), (3, true)] {
        let mut server = BOLT.server_with(CodecOptions { headers: limit, ..CodecOptions::default() });
        let said = heard(&mut *server, &BOLT.request());
        assert_eq!(matches!(said[0], Said::Request { .. }), fits, "{limit}");
        assert_eq!(server.has_control(), !fits, "{limit}");
    }
}
