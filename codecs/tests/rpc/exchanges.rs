//! Calls and their answers through both codecs back to back: many at a time, in any order, with ids given and restored.

use crate::frames::{THRIFT, heartbeat, thrift};
use crate::proxy::{BOLT, BOLT_V2, DUBBO, DUBBO_THRIFT, KINDS, Proxy, Said, TARS, feed, heard, requests};
use crate::support::golden;
use sidering_codecs::registry::CodecOptions;
use sidering_codecs::rpc::FrameKind;
use sidering_codecs::{
    BodyLength, Codec, Control, Edits, Event, Fields, ResponseHead, Scratch, StreamId, Version,
};

const ID: u64 = 0x0102_0304;

#[test]
fn a_call_and_its_answer_pass_as_they_are_but_for_the_id() {
    for kind in KINDS {
        let mut proxy = Proxy::new(kind);
        for round in 0..3 {
            let sent = proxy.pass_up(&kind.request());
            assert_ne!(kind.id_of(&sent), ID, "{kind:?}");
            assert_eq!(kind.with_id(&sent, ID), kind.request(), "{kind:?} {round}");
            let answer = kind.with_id(&kind.response(), kind.id_of(&sent));
            assert_eq!(proxy.pass_down(&answer), kind.response(), "{kind:?} {round}");
            assert!(proxy.is_idle(), "{kind:?} {round}");
            assert!(proxy.downstream.is_reusable() && proxy.upstream.is_reusable());
        }
    }
}

#[test]
fn what_a_call_is_about_is_told() {
    for (kind, service, method) in [
        (BOLT, "com.alipay.test.TestService:1.0", ""),
        (DUBBO, "io.mosn.EchoService", "echo"),
        (TARS, "Mosn.EchoServer.EchoObj", "echo"),
        (DUBBO_THRIFT, "io.mosn.EchoService", "echo"),
    ] {
        let said = heard(&mut *kind.server(), &kind.request());
        let Said::Request { service: told, method: by, one_way, .. } = &said[0] else { panic!("{said:?}") };
        assert_eq!((told.as_str(), by.as_str(), *one_way), (service, method, false), "{kind:?}");
        assert!(matches!(said.last(), Some(Said::End { .. })));
    }
    let late = CodecOptions { late_fields: true, ..CodecOptions::default() };
    for (kind, fields) in [(DUBBO, 5), (TARS, 1)] {
        let said = heard(&mut *kind.server_with(late), &kind.request());
        assert!(matches!(&said[0], Said::Request { fields: told, .. } if *told == fields), "{said:?}");
    }
}

#[test]
fn answers_come_in_any_order_and_find_their_calls() {
    for kind in KINDS {
        let mut proxy = Proxy::new(kind);
        let count = 100;
        let calls: Vec<u8> = (0..count).flat_map(|id| kind.with_id(&kind.request(), 1000 + id)).collect();
        let sent = kind.split(&proxy.pass_up(&calls));
        let mut ids: Vec<u64> = sent.iter().map(|frame| kind.id_of(frame)).collect();
        let mut expected: Vec<u64> = (0..count).map(|id| 1000 + id).collect();
        let mut order: Vec<usize> = (0..count as usize).map(|index| index * 37 % count as usize).collect();
        order.sort_by_key(|&index| (index * 7919) % 101);
        ids = order.iter().map(|&index| ids[index]).collect();
        expected = order.iter().map(|&index| expected[index]).collect();
        let answers: Vec<u8> = ids.iter().flat_map(|&id| kind.with_id(&kind.response(), id)).collect();
        let told = kind.split(&proxy.pass_down(&answers));
        let told: Vec<u64> = told.iter().map(|frame| kind.id_of(frame)).collect();
        assert_eq!(told, expected, "{kind:?}");
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count as usize, "{kind:?}: no id is used twice at a time");
        assert!(proxy.is_idle());
    }
}

#[test]
fn one_id_may_be_used_for_two_calls_at_a_time() {
    for kind in KINDS {
        let mut proxy = Proxy::new(kind);
        let sent = kind.split(&proxy.pass_up(&[kind.request(), kind.request()].concat()));
        let answer = |frame: &[u8], text: &[u8]| kind.with_id(&kind.response_of(text), kind.id_of(frame));
        assert_eq!(proxy.pass_down(&answer(&sent[1], b"two")), kind.response_of(b"two"), "{kind:?}");
        assert_eq!(proxy.pass_down(&answer(&sent[0], b"one")), kind.response_of(b"one"), "{kind:?}");
    }
}

#[test]
fn a_call_that_wants_no_answer_is_over_when_it_has_passed() {
    for kind in KINDS {
        let mut proxy = Proxy::new(kind);
        let sent = proxy.pass_up(&kind.one_way());
        assert_eq!(kind.outline(&sent).kind, FrameKind::OneWay, "{kind:?}");
        assert!(proxy.is_idle(), "{kind:?}");
        // Nothing is answered to it, whoever would like to.
        let mut server = kind.server();
        let said = heard(&mut *server, &kind.one_way()[..40]);
        let mut out = Vec::new();
        for stream in requests(&said) {
            server.encode_local_reply(Some(stream), 503, b"", b"no", &mut out);
        }
        let rest = heard(&mut *server, &kind.one_way()[40..]);
        assert!(rest.len() <= 4);
        for stream in requests(&rest) {
            assert!(server.abandon(stream), "nobody waits for an answer");
        }
        assert_eq!(out, b"", "{kind:?}");
        assert!(!server.has_control() && server.is_idle() && server.is_reusable());
    }
}

#[test]
fn answers_of_our_own_are_for_their_calls() {
    for kind in KINDS {
        let mut server = kind.server();
        let calls: Vec<u8> = (5..8).flat_map(|id| kind.with_id(&kind.request(), id)).collect();
        let streams = requests(&heard(&mut *server, &calls));
        for (id, stream) in [(6, streams[1]), (7, streams[2]), (5, streams[0])] {
            let mut out = Vec::new();
            server.encode_local_reply(Some(stream), 503, b"x: y\r\n", b"no healthy upstream", &mut out);
            let reply = kind.outline(&out);
            assert_eq!((reply.kind, reply.id), (FrameKind::Response, id), "{kind:?}");
            assert_eq!(reply.total_bytes(), out.len() as u64, "{kind:?}");
            out.clear();
            server.encode_local_reply(Some(stream), 503, b"", b"", &mut out);
            assert_eq!(out, b"", "{kind:?}: once is enough");
        }
        assert!(server.is_idle() && server.is_reusable());
        server.encode_local_reply(None, 400, b"", b"", &mut Vec::new());
        assert!(!server.is_reusable());
    }
}

#[test]
fn an_answer_of_our_own_may_overtake_the_call() {
    for kind in KINDS {
        let mut server = kind.server();
        let call = kind.request_of(&[b'x'; 1000]);
        let said = heard(&mut *server, &call[..500]);
        let stream = requests(&said)[0];
        let mut out = Vec::new();
        server.encode_local_reply(Some(stream), 404, b"", b"", &mut out);
        assert_eq!(kind.outline(&out).id, ID);
        // The rest of it is of no interest, the next call is.
        let said = heard(&mut *server, &[&call[500..], &kind.request()].concat());
        assert!(matches!(said[0], Said::Request { .. }), "{kind:?}: {said:?}");
        assert!(server.is_reusable());
    }
}

#[test]
fn no_two_frames_mix() {
    for kind in KINDS {
        let mut proxy = Proxy::new(kind);
        let calls = [kind.request(), kind.with_id(&kind.request(), 9)].concat();
        let sent = kind.split(&proxy.pass_up(&calls));
        let answer = kind.with_id(&kind.response_of(&[b'y'; 1000]), kind.id_of(&sent[0]));
        let mut out = proxy.pass_down(&answer[..700]);
        assert!(!proxy.downstream.may_begin(), "{kind:?}");
        // What is said meanwhile waits.
        heard(&mut *proxy.downstream, &kind.with_id(&kind.request(), 10));
        let other = proxy.up.keys().copied().find(|stream| stream.slot() == 1).expect("the second");
        let mut early = Vec::new();
        proxy.downstream.encode_local_reply(Some(other), 503, b"", b"", &mut early);
        assert_eq!(early, b"", "{kind:?}");
        proxy.downstream.encode_control(&mut early);
        assert_eq!(early, b"", "{kind:?}");
        out.extend(proxy.pass_down(&answer[700..]));
        assert_eq!(out, kind.response_of(&[b'y'; 1000]), "{kind:?}");
        assert!(proxy.downstream.may_begin() && proxy.downstream.has_control());
        proxy.downstream.encode_control(&mut early);
        assert_eq!(kind.id_of(&early), 9);
    }
}

#[test]
fn heartbeats_are_answered_on_either_side() {
    for kind in [BOLT, BOLT_V2, DUBBO, TARS] {
        for mut codec in [kind.server(), kind.client()] {
            assert_eq!(heard(&mut *codec, &heartbeat(kind)), [Said::Control(Control::Ping)], "{kind:?}");
            assert!(codec.has_control() && codec.is_idle());
            let mut out = Vec::new();
            codec.encode_control(&mut out);
            assert_eq!(kind.id_of(&out), 7);
            assert!(!codec.has_control());
        }
    }
    // In the version in which it was asked.
    let mut server = BOLT.server();
    heard(&mut *server, &[heartbeat(BOLT), heartbeat(BOLT_V2)].concat());
    let mut out = Vec::new();
    server.encode_control(&mut out);
    assert_eq!(out[..20], golden("bolt heartbeat reply"));
    assert_eq!(out[20], 2);
}

#[test]
fn heartbeats_of_ours_are_told_from_calls() {
    for kind in [BOLT, BOLT_V2, DUBBO, TARS] {
        let mut proxy = Proxy::new(kind);
        let sent = proxy.pass_up(&kind.request());
        let mut ping = Vec::new();
        assert!(proxy.upstream.encode_ping(&mut ping));
        assert_eq!(kind.outline(&ping).kind, FrameKind::Ping);
        assert_eq!(ping[0], sent[0], "in the version of the calls");
        let pong = kind.with_id(&golden(&format!("{} heartbeat reply", kind.title)), kind.id_of(&ping));
        assert_eq!(heard(&mut *proxy.upstream, &pong), [Said::Control(Control::Pong)], "{kind:?}");
        assert_eq!(heard(&mut *proxy.upstream, &pong), [Said::Stray], "{kind:?}: once");
        let answer = kind.with_id(&kind.response(), kind.id_of(&sent));
        assert_eq!(proxy.pass_down(&answer), kind.response(), "{kind:?}");
    }
    for kind in [DUBBO_THRIFT, THRIFT] {
        let mut out = Vec::new();
        assert!(!kind.client().encode_ping(&mut out));
        assert_eq!(out, b"");
    }
}

#[test]
fn the_end_of_a_connection_is_announced_where_peers_understand_it() {
    let allowed = CodecOptions { go_away: true, ..CodecOptions::default() };
    let cases = [
        (BOLT, CodecOptions::default(), false),
        (BOLT, allowed, true),
        (DUBBO, CodecOptions::default(), true),
        (TARS, allowed, false),
        (DUBBO_THRIFT, allowed, false),
    ];
    for (kind, options, says_so) in cases {
        let mut server = kind.server_with(options);
        let stream = requests(&heard(&mut *server, &kind.request()))[0];
        server.close_after_current();
        server.close_after_current();
        assert!(!server.is_reusable() && !server.is_idle());
        assert_eq!(server.has_control(), says_so, "{kind:?}");
        let mut out = Vec::new();
        server.encode_control(&mut out);
        if says_so {
            assert_eq!(kind.split(&out).len(), 1, "it is said once");
            assert_eq!(kind.outline(&out).kind, FrameKind::GoAway);
            let mut client = kind.client();
            assert_eq!(heard(&mut *client, &out), [Said::Control(Control::GoAway)]);
            assert!(!client.is_reusable() && client.open().is_none());
        }
        // The call under way is still answered.
        out.clear();
        server.encode_local_reply(Some(stream), 503, b"", b"", &mut out);
        assert_eq!(kind.id_of(&out), ID);
        assert!(server.is_idle());
    }
}

#[test]
fn without_ids_one_call_is_under_way_at_a_time() {
    let mut proxy = Proxy::of(THRIFT.server(), THRIFT.client());
    let (first, second) = (thrift(1, 41, b"one"), thrift(1, 42, b"two"));
    let both = [first.clone(), second.clone()].concat();
    let mut said = Vec::new();
    let mut server = THRIFT.server();
    assert_eq!(feed(&mut *server, &both, &mut said), second.len(), "the second waits");
    assert_eq!(requests(&said).len(), 1);
    assert_eq!(proxy.pass_up(&first), first);
    assert!(proxy.upstream.open().is_none());
    let answer = thrift(2, 41, b"yes");
    assert_eq!(proxy.pass_down(&answer), answer);
    assert!(proxy.is_idle());
    assert_eq!(proxy.pass_up(&thrift(4, 43, b"and go")), thrift(4, 43, b"and go"));
    assert!(proxy.is_idle(), "a call that wants no answer is over");
    assert_eq!(proxy.pass_up(&second), second);
    // Nobody could tell a late answer from the next one.
    let opened = *proxy.down.keys().max().expect("calls were sent");
    assert!(!proxy.upstream.abandon(opened));
    assert!(!proxy.upstream.is_reusable());
    let asked = *proxy.up.keys().max().expect("calls came");
    assert!(!proxy.downstream.abandon(asked) && !proxy.downstream.is_reusable());
}

#[test]
fn an_answer_in_another_protocol_becomes_one_of_its_status() {
    let mut server = DUBBO.server();
    let stream = requests(&heard(&mut *server, &DUBBO.request()))[0];
    let head = ResponseHead {
        status: 404,
        version: Version::Http11,
        reason: b"Not Found",
        fields: Fields::default(),
        body: BodyLength::Sized(5),
        rpc: None,
    };
    let mut out = Vec::new();
    server.encode_response(stream, &head, &Edits::default(), &mut out).expect("it has a status");
    assert_eq!(server.encode_data(stream, b"hello", &mut out).allowed, 0, "the frame has no room for it");
    server.encode_end(stream, &mut out);
    assert_eq!((DUBBO.outline(&out).status, DUBBO.id_of(&out)), (404, ID));
    assert!(server.is_idle());
    // A call in another protocol cannot be made into one.
    let mut client = BOLT.client();
    let opened = client.open().expect("there is room");
    let (mut codec, mut scratch, call) = (DUBBO.server(), Default::default(), DUBBO.request());
    let mut input = call.as_slice();
    let Ok(Some(sidering_codecs::Event::Request { head, .. })) = codec.decode(&mut scratch, &mut input)
    else {
        panic!("no call")
    };
    let refused = client.encode_request(opened, &head, &Edits::default(), &mut out);
    assert_eq!(refused.map_err(|error| error.status), Err(501));
    assert!(client.abandon(opened) && client.is_idle() && client.is_reusable());
}

#[test]
fn fields_that_do_not_fit_leave_the_connection_as_it_was() {
    let mut proxy = Proxy::new(BOLT);
    let mut edits = Edits::default();
    edits.add(b"x", &vec![b'v'; 70_000]);
    let (mut scratch, call) = (Default::default(), BOLT.request());
    let mut input = call.as_slice();
    let Ok(Some(sidering_codecs::Event::Request { stream, head })) =
        proxy.downstream.decode(&mut scratch, &mut input)
    else {
        panic!("no call")
    };
    let opened = proxy.upstream.open().expect("there is room");
    let mut out = Vec::new();
    let refused = proxy.upstream.encode_request(opened, &head, &edits, &mut out);
    assert_eq!((refused.map_err(|error| error.status), out.len()), (Err(431), 0));
    assert!(proxy.upstream.may_begin() && proxy.upstream.abandon(opened) && proxy.upstream.is_idle());
    proxy.downstream.encode_local_reply(Some(stream), 431, b"", b"", &mut out);
    assert_eq!(BOLT.id_of(&out), ID);
    assert_ne!(opened, StreamId::default());
}

/// Takes `calls`, skips the end behind each head that is all of its message, and tells how many calls and ends were told.
fn told_where_ends_are_skipped(
    server: &mut dyn Codec,
    mut calls: &[u8],
    client: &mut dyn Codec,
) -> (usize, usize) {
    let (mut scratch, mut out) = (Scratch::default(), Vec::new());
    let (mut begun, mut ended, mut opened) = (0, 0, StreamId::default());
    while let Some(event) = server.decode(&mut scratch, &mut calls).expect("well-formed") {
        match event {
            Event::Request { head, .. } => {
                begun += 1;
                opened = client.open().expect("there is room");
                client.encode_request(opened, &head, &Edits::default(), &mut out).expect("it fits");
                let is_whole = head.rpc.is_some_and(|rpc| rpc.is_whole());
                assert_eq!(client.may_begin(), is_whole, "what is all of a message ends it");
                if is_whole {
                    server.skip_end();
                    client.encode_end(opened, &mut out);
                }
            }
            Event::Data { bytes, .. } => {
                client.encode_data(opened, bytes, &mut out);
            }
            Event::End { .. } => {
                ended += 1;
                client.encode_end(opened, &mut out);
            }
            other => panic!("{other:?}"),
        }
    }
    (begun, ended)
}

#[test]
fn the_end_behind_a_head_that_is_all_of_its_message_may_be_skipped() {
    for kind in KINDS {
        let (whole, long) = (kind.request(), kind.request_of(&[7; 5000]));
        let calls = [&whole[..], &long, &whole, &long, &long, &whole].concat();
        let (mut server, mut client) = (kind.server(), kind.client());
        let told = told_where_ends_are_skipped(&mut *server, &calls, &mut *client);
        assert_eq!(told, (6, 3), "{kind:?}");
        assert!(
            client.may_begin() && !server.is_idle() && !client.is_idle(),
            "{kind:?}: answers are awaited"
        );
    }
}

#[test]
fn an_answer_whose_end_is_skipped_ends_its_exchange() {
    for kind in KINDS {
        let mut proxy = Proxy::new(kind);
        for _ in 0..3 {
            let sent = proxy.pass_up(&kind.request());
            let answer = kind.with_id(&kind.response(), kind.id_of(&sent));
            let (mut scratch, mut input) = (Scratch::default(), answer.as_slice());
            let event = proxy.upstream.decode(&mut scratch, &mut input).expect("well-formed");
            let Some(Event::Response { stream, head }) = event else { panic!("{event:?}") };
            let mut out = Vec::new();
            let encoded =
                proxy.downstream.encode_response(proxy.down[&stream], &head, &Edits::default(), &mut out);
            encoded.expect("it fits");
            proxy.upstream.skip_end();
            assert_eq!(out, kind.response(), "{kind:?}");
            assert!(proxy.is_idle(), "{kind:?}");
        }
    }
}
