//! Frames that nobody asked for, exchanges given up, and frames that cannot be read: each concerns itself alone.

use crate::frames::{THRIFT, thrift};
use crate::proxy::{BOLT, BOLT_V2, DUBBO, KINDS, Kind, Proxy, Said, heard, requests};
use sidering_codecs::rpc::FrameKind;
use sidering_codecs::{Codec, Control};

#[test]
fn answers_to_nothing_are_skipped_and_told() {
    for kind in KINDS {
        let mut proxy = Proxy::new(kind);
        let sent = proxy.pass_up(&kind.request());
        let id = kind.id_of(&sent);
        for other in [0, 1 << 20 | id, id ^ 1, 4094, 4095, 0x7fff_ffff] {
            let stray = kind.with_id(&kind.response_of(&[b'z'; 300]), other);
            assert_eq!(heard(&mut *proxy.upstream, &stray), [Said::Stray], "{kind:?}: {other}");
        }
        let answer = kind.with_id(&kind.response(), id);
        assert_eq!(proxy.pass_down(&answer), kind.response());
        assert_eq!(heard(&mut *proxy.upstream, &answer), [Said::Stray], "{kind:?}: a second answer");
        // The same slot, another call.
        let sent = proxy.pass_up(&kind.request());
        assert_eq!(kind.id_of(&sent) & 0xfff, id & 0xfff);
        assert_eq!(heard(&mut *proxy.upstream, &answer), [Said::Stray], "{kind:?}: to the one before");
        assert!(proxy.upstream.is_reusable());
    }
}

#[test]
fn an_answer_before_its_call_was_sent_is_none() {
    for kind in KINDS {
        let mut probe = Proxy::new(kind);
        let sent = probe.pass_up(&kind.request());
        let mut client = kind.client();
        client.open().expect("there is room");
        let answer = kind.with_id(&kind.response(), kind.id_of(&sent));
        assert_eq!(heard(&mut *client, &answer), [Said::Stray], "{kind:?}");
    }
}

#[test]
fn without_ids_what_nobody_asked_for_ends_the_connection() {
    for unasked in [thrift(2, 1, b"yes"), thrift(1, 1, b"call")] {
        let mut client = THRIFT.client();
        assert_eq!(refusal(&mut *client, &unasked), 502);
        let mut opened = THRIFT.client();
        opened.open().expect("there is room");
        assert_eq!(refusal(&mut *opened, &unasked), 502);
        assert!(!opened.is_reusable());
    }
}

#[test]
fn a_call_given_up_is_answered_by_nobody() {
    for kind in KINDS {
        let mut proxy = Proxy::new(kind);
        let sent = proxy.pass_up(&kind.request());
        let (&down, &up) = proxy.up.iter().next().expect("a call was sent");
        assert!(proxy.upstream.abandon(up) && proxy.upstream.abandon(up), "{kind:?}: again is the same");
        assert!(proxy.downstream.abandon(down));
        assert!(proxy.is_idle());
        let late = kind.with_id(&kind.response(), kind.id_of(&sent));
        assert_eq!(heard(&mut *proxy.upstream, &late), [Said::Stray], "{kind:?}");
        assert!(proxy.upstream.is_reusable() && proxy.downstream.is_reusable());
    }
}

#[test]
fn an_exchange_may_be_given_up_while_its_bytes_come() {
    for kind in KINDS {
        let mut proxy = Proxy::new(kind);
        let sent = proxy.pass_up(&kind.request());
        let (&down, &up) = proxy.up.iter().next().expect("a call was sent");
        let answer = kind.with_id(&kind.response_of(&[b'y'; 1000]), kind.id_of(&sent));
        proxy.pass_down(&answer[..600]);
        // To the client a frame has begun that nobody can end.
        assert!(!proxy.downstream.abandon(down), "{kind:?}");
        assert!(!proxy.downstream.is_reusable() && !proxy.downstream.may_begin());
        // From the upstream the rest of it still comes.
        assert!(proxy.upstream.abandon(up));
        assert!(proxy.upstream.decode_end().is_err());
        assert_eq!(heard(&mut *proxy.upstream, &answer[600..]), [], "{kind:?}");
        assert!(proxy.upstream.is_idle());
        let mut server = kind.server();
        let call = kind.request_of(&[b'x'; 1000]);
        let stream = requests(&heard(&mut *server, &call[..600]))[0];
        assert!(server.abandon(stream));
        assert_eq!(heard(&mut *server, &call[600..]), [], "{kind:?}");
        assert!(server.is_idle() && server.is_reusable());
    }
}

#[test]
fn a_call_given_up_while_it_is_sent_ends_the_connection() {
    for kind in KINDS {
        let mut proxy = Proxy::new(kind);
        let call = kind.request_of(&[b'x'; 1000]);
        proxy.pass_up(&call[..600]);
        let &up = proxy.up.values().next().expect("a call was begun");
        assert!(!proxy.upstream.abandon(up), "{kind:?}");
        assert!(!proxy.upstream.is_reusable() && !proxy.upstream.may_begin());
        assert!(proxy.upstream.open().is_none());
        // Ended too early it is no better.
        let mut proxy = Proxy::new(kind);
        proxy.pass_up(&call[..600]);
        let &up = proxy.up.values().next().expect("a call was begun");
        let mut out = Vec::new();
        proxy.upstream.encode_end(up, &mut out);
        assert_eq!(out, b"");
        assert!(!proxy.upstream.is_reusable() && !proxy.upstream.may_begin(), "{kind:?}");
    }
}

#[test]
fn an_answer_may_come_before_its_call_is_sent_to_the_end() {
    for kind in KINDS {
        let mut proxy = Proxy::new(kind);
        let call = kind.request_of(&[b'x'; 1000]);
        let begun = proxy.pass_up(&call[..600]);
        let answer = kind.with_id(&kind.response(), kind.id_of(&begun));
        assert_eq!(proxy.pass_down(&answer), kind.response(), "{kind:?}");
        // Downstream the exchange is over, upstream its frame is not.
        assert_eq!(heard(&mut *proxy.downstream, &call[600..]), []);
        assert!(proxy.downstream.is_idle() && !proxy.upstream.is_idle());
        assert_eq!(heard(&mut *proxy.upstream, &answer), [Said::Stray], "{kind:?}");
    }
}

#[test]
fn frames_on_the_wrong_side() {
    for kind in KINDS {
        assert_eq!(refusal(&mut *kind.server(), &kind.response()), 400, "{kind:?}");
        // Servers that call back are told that nobody is there.
        let mut client = kind.client();
        let notice = [Said::Control(Control::Notice)];
        assert_eq!(heard(&mut *client, &kind.one_way()), notice);
        assert!(!client.has_control());
        assert_eq!(heard(&mut *client, &kind.request()), notice, "{kind:?}");
        let mut out = Vec::new();
        client.encode_control(&mut out);
        assert_eq!((kind.outline(&out).kind, kind.id_of(&out)), (FrameKind::Response, 0x0102_0304));
        assert!(client.is_reusable());
    }
}

/// A call whose head cannot be read though its end is known.
fn unreadable(kind: Kind, mut frame: Vec<u8>) -> Vec<u8> {
    match kind.title {
        // The length of the first field's name.
        "bolt" => frame[0x42] = 0xff,
        "boltv2" => frame[0x44] = 0xff,
        // No string where the version stands.
        _ => frame[16] = b'T',
    }
    frame
}

#[test]
fn a_call_that_cannot_be_read_is_answered_and_skipped() {
    for kind in [BOLT, BOLT_V2, DUBBO] {
        let bad = unreadable(kind, kind.request_of(&[b'x'; 500]));
        let good = kind.with_id(&kind.request(), 8);
        let all = [bad.clone(), good].concat();
        for cut in [all.len(), 300, 600] {
            let mut server = kind.server();
            let mut said = heard(&mut *server, &all[..cut]);
            said.extend(heard(&mut *server, &all[cut..]));
            assert_eq!(said[0], Said::Control(Control::Notice), "{kind:?}");
            assert!(matches!(said[1], Said::Request { .. }), "{kind:?}: {said:?}");
            let mut out = Vec::new();
            server.encode_control(&mut out);
            let reply = kind.outline(&out);
            assert_eq!((reply.kind, reply.id), (FrameKind::Response, 0x0102_0304), "{kind:?}");
            assert_ne!(reply.status, 200);
        }
    }
}

#[test]
fn an_answer_that_cannot_be_read_fails_its_call_alone() {
    let mut proxy = Proxy::new(BOLT);
    let sent = BOLT.split(&proxy.pass_up(&[BOLT.request(), BOLT.request()].concat()));
    // An answer with a block of fields whose first reaches beyond it.
    let mut bad = BOLT.with_id(&BOLT.response(), BOLT.id_of(&sent[0]));
    bad[15] = 4;
    bad.splice(20 + 0x2e..20 + 0x2e, [0, 0, 0, 9]);
    let good = BOLT.with_id(&BOLT.response(), BOLT.id_of(&sent[1]));
    let said = heard(&mut *proxy.upstream, &[bad, good].concat());
    assert!(matches!(said[0], Said::Reset { stream } if stream.slot() == 0), "{said:?}");
    assert!(matches!(said[1], Said::Response { stream, .. } if stream.slot() == 1), "{said:?}");
    assert!(proxy.upstream.is_idle() && proxy.upstream.is_reusable());
}

/// The status of the error that these bytes are.
fn refusal(codec: &mut dyn Codec, bytes: &[u8]) -> u16 {
    let mut said = Vec::new();
    crate::proxy::feed(codec, bytes, &mut said);
    match said[..] {
        [Said::Refused(status)] => status,
        _ => panic!("{said:?}"),
    }
}
